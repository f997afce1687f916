package main

import (
	"context"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Packets are accepted in the order of arrival, each as soon as it was held long enough, and those that are due together at
// once.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		packets := make(chan packet, 10)
		type accepted struct {
			id uint32
			at time.Duration
		}
		var got []accepted
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- hold(ctx, packets, 100*time.Millisecond, func(id uint32) error {
				got = append(got, accepted{id, time.Since(began)})
				return nil
			})
		}()
		for i, pause := range []time.Duration{0, 0, 30, 500, 99} {
			time.Sleep(pause * time.Millisecond)
			packets <- packet{uint32(i), time.Now()}
		}
		time.Sleep(time.Second)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := []accepted{{1, 100 * time.Millisecond}, {2, 130 * time.Millisecond}, {3, 630 * time.Millisecond}, {4, 729 * time.Millisecond}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("accepted %v, want %v", got, want)
		}
	})
}

func TestReach(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"reached: " + l.Addr().String() + " in ", "not reached: dial tcp " + l.Addr().String()} {
		var out strings.Builder
		if err := reach(t.Context(), []string{l.Addr().String()}, &out); err != nil || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%q (%v), want %q", out.String(), err, want)
		}
		l.Close()
	}
}

func TestWrongCommands(t *testing.T) {
	for line, want := range map[string]string{
		"reach":                          "want HOST:PORT",
		"delay --to a:1":                 "want --by DURATION --to HOST:PORT",
		"delay --by 1s":                  "want --by DURATION --to HOST:PORT",
		"delay --by 1s --to a:1 again":   "want --by DURATION --to HOST:PORT",
		"delay --by soon":                `invalid value "soon"`,
		"delay --by 1s --to 127.0.0.1:0": "connect before anything is delayed: dial tcp 127.0.0.1:0",
	} {
		words := strings.Fields(line)
		if err := commands[words[0]](t.Context(), words[1:], new(strings.Builder)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}
