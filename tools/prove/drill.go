package prove

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/drill"
	"github.com/stemedb/firedrill/tools/project"
	"github.com/stemedb/firedrill/tools/testbed"
)

// drill is a drill of the project as package drill runs it.
func (w *worker) drill(d project.Drill) drill.Drill {
	made := drill.Drill{
		Alert: d.Alert, Branch: d.Branch, Also: d.Also, StaysFiring: d.StaysFiring, WrongBranch: d.WrongBranch, Exclusive: d.Exclusive,
		Allow: d.Allow, Fault: w.faults(d.Fault),
	}
	if len(d.Prepare) > 0 {
		made.Prepare = w.faults(d.Prepare)
	}
	if d.Verify != nil {
		made.Verify = func(context.Context) (drill.Action, error) {
			return func(ctx context.Context) error { return w.command(ctx, *d.Verify) }, nil
		}
	}
	return made
}

// command runs a command of the project; the error has its exit status and its output.
func (w *worker) command(ctx context.Context, c project.Command) error {
	service, err := w.testbed.Service(c.On)
	if err != nil {
		return err
	}
	return service.Try(ctx, c.Run)
}

// faults does one after the other. An error begins with the fault's place in the project's file.
func (w *worker) faults(all []project.Fault) drill.Action {
	return func(ctx context.Context) error {
		for _, f := range all {
			if err := w.fault(ctx, f); err != nil {
				return fmt.Errorf("%s:%d: %s: %w", w.Project.File, f.Line, f.Action, err)
			}
		}
		return nil
	}
}

func (w *worker) fault(ctx context.Context, f project.Fault) error {
	service, err := w.testbed.Service(f.Service)
	if err != nil {
		return err
	}
	switch f.Action {
	case project.Run:
		return service.Run(ctx, f.Script)
	case project.Kill:
		return service.Kill(ctx, f.Signal)
	case project.Stop:
		return service.StopGracefully(ctx)
	case project.Pause:
		return service.Pause(ctx)
	case project.Disconnect:
		return service.Disconnect(ctx)
	case project.Delay:
		return service.Delay(ctx, f.By)
	case project.CPUs:
		return service.LimitCPUs(ctx, f.To)
	case project.Memory:
		return service.LimitMemory(ctx, f.Bytes)
	case project.Fill:
		return service.Fill(ctx, f.Folder, f.Bytes)
	}
	return fmt.Errorf("there is no such fault")
}

// errLoadEnded is the cause of the end of a context whose load has ended before the drill.
var errLoadEnded = errors.New("the load ended before the drill")

// load starts what keeps asking the system, and returns a context that ends with it. stop ends it.
func (w *worker) load(ctx context.Context) (loaded context.Context, stop func()) {
	loaded, end := context.WithCancelCause(ctx)
	load := w.Project.Load
	if load == nil || load.Command == nil { // a service runs anyway
		return loaded, func() { end(nil) }
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := w.command(loaded, *load.Command)
		if err == nil {
			err = errors.New("exit 0: let it run until it is ended")
		}
		end(fmt.Errorf("%w: %w", errLoadEnded, err)) // the first cause counts
	}()
	return loaded, func() {
		end(context.Canceled)
		<-ended
	}
}

// responder is what another party does in a drill, once. The times in which responders act follow one another, so that no
// two goroutines have the same one.
type responder struct {
	project.Responder
	acted bool
}

// respond lets the responders of the drill under way act, until the context ends or one fails.
func (w *worker) respond(ctx context.Context) error {
	acting, ctx := errgroup.WithContext(ctx)
	for _, r := range w.responders {
		acting.Go(func() error { return w.await(ctx, r) })
	}
	return acting.Wait()
}

// look is how often a responder looks whether it is to act.
const look = 250 * time.Millisecond

// await has a responder act once it is to, unless it has. What it has begun it ends, though the context ends meanwhile.
func (w *worker) await(ctx context.Context, r *responder) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for !r.acted {
		if w.command(ctx, project.Command{Run: r.When, On: r.On}) == nil {
			r.acted = true
			acting, cancel := context.WithTimeout(context.WithoutCancel(ctx), testbed.Timeout)
			defer cancel()
			if err := w.act(acting, r.Responder); err != nil {
				return fmt.Errorf("%s:%d: a responder: %w", w.Project.File, r.Line, err)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	return nil
}

func (w *worker) act(ctx context.Context, r project.Responder) error {
	if r.Restore == "" {
		w.testbed.Say("a responder acts: %s", r.Run)
		return w.command(ctx, project.Command{Run: r.Run, On: r.On})
	}
	w.testbed.Say("a responder restores %s", r.Restore)
	service, err := w.testbed.Service(r.Restore)
	if err != nil {
		return err
	}
	return service.Restore(ctx)
}
