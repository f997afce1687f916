package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// relay prints on w, as they come, the lines that are written to the named pipe that it makes: what the suites say of
// their progress. Ginkgo itself shows what a process of a parallel run has printed only when its spec is over.
func relay(w io.Writer) (pipe string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "firedrill-")
	if err != nil {
		return "", nil, fmt.Errorf("making a pipe for progress: %w", err)
	}
	pipe = filepath.Join(dir, "progress")
	err = syscall.Mkfifo(pipe, 0o600)
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, fmt.Errorf("making a pipe for progress: %w", err)
	}
	// Opened at both ends, so that no side waits for the other, and the end of one suite is not the end of all.
	lines, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, fmt.Errorf("opening a pipe for progress: %w", err)
	}
	go io.Copy(w, lines)
	return pipe, func() {
		lines.Close()
		os.RemoveAll(dir)
	}, nil
}
