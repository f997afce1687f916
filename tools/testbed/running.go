package testbed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// Running says which services of the system under test do not run, and why: those that ended with another status than 0,
// that Docker restarts, or whose health check has not succeeded. Each comes with the end of its log.
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
		if why := notRunning(seen.State); why != "" {
			log, _ := c.Log(ctx)
			errs = append(errs, fmt.Errorf("service %s %s; its log ends:\n%s", name, why, lastLines(log)))
		}
	}
	return errors.Join(errs...)
}

// notRunning says why a service does not run; "" where it does, or has ended as it should.
func notRunning(s *container.State) string {
	switch {
	case s.Restarting:
		return fmt.Sprintf("is restarted again and again: it ended with status %d", s.ExitCode)
	case !s.Running && s.ExitCode != 0:
		return fmt.Sprintf("ended with status %d", s.ExitCode)
	case s.Running && s.Health != nil && s.Health.Status != container.Healthy && s.Health.Status != container.NoHealthcheck:
		return fmt.Sprintf("is %s by its health check", s.Health.Status)
	}
	return ""
}

// lastLines are the last ten lines of a text, indented.
func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-10):], "\n  ")
}
