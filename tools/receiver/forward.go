package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// dialer looks names up at each connection. Its timeout limits how long a name server may take to answer that there is no such
// container; for one that exists it answers in a millisecond.
var dialer = &net.Dialer{Timeout: 2 * time.Second}

// A forward passes TCP connections on to a target, "host:port". Its name is looked up for each of them, because a container
// that was recreated has another address.
type forward struct {
	target string
	dial   func(ctx context.Context, network, address string) (net.Conn, error)

	unreachable atomic.Bool // since the last dial
}

func newForward(target string) *forward { return &forward{target: target, dial: dialer.DialContext} }

func (f *forward) serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		client, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		go f.pass(ctx, client.(*net.TCPConn))
	}
}

// pass connects client with the target until both directions have ended. While the target cannot be reached, the client
// is reset at once, which is closest to a refused connection.
func (f *forward) pass(ctx context.Context, client *net.TCPConn) {
	defer client.Close()
	conn, err := f.dial(ctx, "tcp", f.target)
	if err != nil {
		client.SetLinger(0)
		// A client that waits for the target connects many times a second: the first error is logged.
		if !f.unreachable.Swap(true) {
			slog.Warn("forward: target is unreachable", "target", f.target, "err", err)
		}
		return
	}
	f.unreachable.Store(false)
	target := conn.(*net.TCPConn)
	defer target.Close()

	stop := context.AfterFunc(ctx, func() {
		client.Close()
		target.Close()
	})
	defer stop()
	var up sync.WaitGroup
	up.Go(func() { stream(target, client) })
	stream(client, target)
	up.Wait()
}

// stream copies one direction. Its end is passed on as an end, with the other direction left open; a
// failure is passed on as a reset of both, so that a truncated answer is not taken for a complete one.
func stream(to, from *net.TCPConn) {
	_, err := io.Copy(to, from)
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil {
		for _, conn := range []*net.TCPConn{to, from} {
			conn.SetLinger(0)
			conn.Close()
		}
	}
}
