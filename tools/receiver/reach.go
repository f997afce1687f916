package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"
)

// reach prints whether a TCP connection to a HOST:PORT can be made.
func reach(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("unexpected arguments (%q): want HOST:PORT", args)
	}
	took, err := connect(ctx, args[0], 0)
	if err != nil {
		fmt.Fprintf(out, "not reached: %v\n", err)
		return nil
	}
	fmt.Fprintf(out, "reached: %s in %s\n", args[0], took)
	return nil
}

// connect returns how long a TCP connection takes. It gives up five seconds after it was expected.
func connect(ctx context.Context, address string, expected time.Duration) (time.Duration, error) {
	began := time.Now()
	conn, err := (&net.Dialer{Timeout: expected + 5*time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	conn.Close()
	return took, nil
}
