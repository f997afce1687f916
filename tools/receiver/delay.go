package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"
)

// delay has each packet that arrives in the network namespace of this process by any interface but lo arrive so much later.
// It prints a line once a connection has taken that much longer, and goes on until ctx ends. Later packets are not delayed;
// those that are held at that moment are lost, which TCP repeats.
//
// Packets that leave could be held as well, but the kernel counts them as not sent yet: a connection would have two of
// them on their way at a time.
func delay(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("delay", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its error says it
	by := flags.Duration("by", 0, "")
	to := flags.String("to", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *by <= 0 || *to == "" || flags.NArg() > 0 {
		return fmt.Errorf("unexpected arguments (%q): want --by DURATION --to HOST:PORT", args)
	}
	before, err := connect(ctx, *to, 0)
	if err != nil {
		return fmt.Errorf("connect before anything is delayed: %w", err)
	}
	packets := make(chan packet, maxHeld)
	accept, err := openQueue(ctx, packets)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- hold(ctx, packets, *by, accept) }()
	if err := queuePackets(); err != nil {
		return err
	}
	after, err := connect(ctx, *to, *by)
	switch {
	case err != nil:
		return fmt.Errorf("connect while packets are delayed: %w", err)
	case after < *by:
		return fmt.Errorf("a connection to %s takes %s, and took %s before: its packets pass the queue by", *to, after, before)
	}
	fmt.Fprintf(out, "delayed: a connection to %s takes %s, and took %s before\n", *to, after, before)
	return <-ended
}

// maxHeld is how many packets are held at once: what arrives beyond is not delayed.
const maxHeld = 1 << 16

// A packet waits in the kernel until it is accepted.
type packet struct {
	id      uint32 // counted up by the kernel
	arrived time.Time
}

// hold accepts each packet once it has been held that long, until ctx ends, which is no error. accept lets a packet go on
// with all that arrived before it.
func hold(ctx context.Context, packets <-chan packet, by time.Duration, accept func(id uint32) error) error {
	var held []packet // the oldest first
	due := time.NewTimer(by)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case p := <-packets:
			if held = append(held, p); len(held) == 1 {
				due.Reset(time.Until(p.arrived.Add(by)))
			}
		case <-due.C:
			n := slices.IndexFunc(held, func(p packet) bool { return time.Since(p.arrived) < by })
			if n < 0 {
				n = len(held)
			}
			if n > 0 {
				if err := accept(held[n-1].id); err != nil {
					return fmt.Errorf("accept a packet: %w", err)
				}
			}
			if held = held[n:]; len(held) > 0 {
				due.Reset(time.Until(held[0].arrived.Add(by)))
			}
		}
	}
}
