//go:build !linux

package main

import (
	"context"
	"errors"
)

var errLinux = errors.New("packets are delayed on Linux only")

func openQueue(context.Context, chan<- packet) (func(id uint32) error, error) { return nil, errLinux }

func queuePackets() error { return errLinux }
