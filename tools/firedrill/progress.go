package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// relay makes a named pipe and copies to w what the suites write to it about their progress. Ginkgo prints the output of a
// parallel process only after its spec has ended.
func relay(w io.Writer) (pipe string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "firedrill-")
	if err != nil {
		return "", nil, fmt.Errorf("make a pipe for progress: %w", err)
	}
	pipe = filepath.Join(dir, "progress")
	err = syscall.Mkfifo(pipe, 0o600)
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, fmt.Errorf("make a pipe for progress: %w", err)
	}
	// Opened at both ends, so that neither waits for the other, and the end of one suite does not end the reading.
	lines, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, fmt.Errorf("open a pipe for progress: %w", err)
	}
	go io.Copy(w, lines)
	return pipe, func() {
		lines.Close()
		os.RemoveAll(dir)
	}, nil
}
