package testbed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
)

// A service runs once it has run for a moment: one that fails does so at its start. One that Docker has restarted runs once it has
// run for as long as Docker wants, too, before it forgets that.
const (
	runsAfter        = 2 * time.Second
	runsAfterRestart = 10 * time.Second
)

// started is a start of a service, and when it was first seen: the Engine's clock is another.
type started struct {
	at   string
	seen time.Time
}

// Running says which services of the system under test do not run, and why: those that ended with another status than 0,
// that have just been started or restarted, or whose health check has not succeeded. Each comes with the end of its log.
func (t *Testbed) Running(ctx context.Context) error {
	t.mu.Lock()
	services := maps.Clone(t.services)
	t.mu.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(services)) {
		c := services[name]
		seen, err := c.Inspect(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("inspect container %s: %w", name, err))
			continue
		}
		if why := notRunning(seen.State, seen.RestartCount, t.runFor(c.ID, seen.State.StartedAt)); why != "" {
			log, _ := c.Log(ctx)
			errs = append(errs, fmt.Errorf("service %s %s; its log ends:\n%s", name, why, lastLines(log)))
		}
	}
	return errors.Join(errs...)
}

// runFor is how long a container is known to run since that start.
func (t *Testbed) runFor(id, start string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.starts[id].at != start {
		if t.starts == nil {
			t.starts = map[string]started{}
		}
		t.starts[id] = started{start, time.Now()}
	}
	return time.Since(t.starts[id].seen)
}

// notRunning says why a service does not run that Docker has restarted so many times, and that has run for so long since; ""
// where it does, or has ended as it should.
func notRunning(s *container.State, restarts int, ran time.Duration) string {
	switch {
	case s.Restarting:
		return fmt.Sprintf("is restarted again and again: it ended with status %d", s.ExitCode)
	case !s.Running && s.ExitCode != 0:
		return fmt.Sprintf("ended with status %d", s.ExitCode)
	case s.Running && s.Health != nil && s.Health.Status != container.Healthy && s.Health.Status != container.NoHealthcheck:
		return fmt.Sprintf("is %s by its health check", s.Health.Status)
	case s.Running && restarts > 0 && ran < runsAfterRestart:
		return fmt.Sprintf("was restarted %d times, and has not run for %v since", restarts, runsAfterRestart)
	case s.Running && ran < runsAfter:
		return fmt.Sprintf("has not run for %v yet", runsAfter)
	}
	return ""
}

// lastLines are the last ten lines of a text, indented.
func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-10):], "\n  ")
}

// hasBash says so where the operator has no bash. What else is wrong with it is not said.
func (t *Testbed) hasBash(ctx context.Context) error {
	operator, err := t.Service(t.config.Operator)
	if err != nil {
		return err
	}
	if _, err = operator.Output(ctx, ":"); isNoBash(err) {
		return fmt.Errorf("%s: the service %s has no bash, in which the steps of runbooks are typed: install it in its image, or name another operator", t.composeFiles(), operator.Name)
	}
	return nil
}

// isNoBash says whether a script was not run since the container has no bash.
func isNoBash(err error) bool {
	return err != nil && strings.Contains(err.Error(), `exec: "bash": executable file not found`)
}
