package testbed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/stemedb/firedrill/tools/runbook"
)

// Evidence writes what tells how things came to be as they are into a folder, which it makes: the log of each container,
// what Config.Evidence prints, the history of the alerts, the transcript of the steps, what the receivers got, what
// happened in the leaps. What cannot be read is said in its place, and private keys are left out.
func (t *Testbed) Evidence(ctx context.Context, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	var failed []error
	write := func(name, content string, err error) {
		if err != nil {
			content += "\n(cannot be read: " + err.Error() + ")\n"
		}
		failed = append(failed, os.WriteFile(filepath.Join(folder, name), []byte(runbook.Redact(content)), 0o644))
	}
	t.mu.Lock()
	containers := slices.Concat(t.beside, slices.Collect(maps.Values(t.services)))
	steps := t.steps.String()
	var leaps strings.Builder
	for _, l := range t.leaps {
		fmt.Fprintf(&leaps, "%s up to %s\n", l.by, l.now.Format(time.TimeOnly))
		for _, change := range l.transitions {
			fmt.Fprintf(&leaps, "  %s %s: %s -> %s\n", change.At.Format(time.TimeOnly), change.Alert, change.From, change.To)
		}
	}
	t.mu.Unlock()
	if operator := t.Operator(); operator != nil {
		for name, script := range t.config.Evidence {
			output, err := operator.Output(ctx, script)
			write(name, output, err)
		}
	}
	for _, c := range containers {
		log, err := c.Log(ctx)
		write("log-"+c.Name+".txt", log, err)
	}
	history, err := t.history(ctx)
	write("alerts.txt", history, err)
	received, err := t.Notifications(ctx)
	write("notifications.txt", List(received)+"\n", err)
	write("steps.txt", steps, nil)
	write("leaps.txt", leaps.String(), nil)
	write("testcontainers.txt", lines.String(), nil)
	return errors.Join(failed...)
}

// history is every alert's state in the past, as Prometheus has stored it.
func (t *Testbed) history(ctx context.Context) (string, error) {
	if t.api == nil {
		return "", errors.New("Prometheus does not run")
	}
	now := time.Now()
	step := max(time.Second, (t.Leapt()+10*time.Minute)/5000).Truncate(time.Second)
	found, _, _, err := t.api.QueryRange(ctx, "ALERTS", prometheus.Range{Start: now.Add(-t.Leapt() - 10*time.Minute), End: now, Step: step})
	if err != nil {
		return "", err
	}
	return found.String() + "\n", nil
}

// Enter says how to look at a testbed that was kept.
func (t *Testbed) Enter() string {
	t.mu.Lock()
	others := slices.Sorted(maps.Keys(t.services))
	t.mu.Unlock()
	others = slices.DeleteFunc(others, func(name string) bool { return name == t.config.Operator })
	var services strings.Builder
	for _, name := range append([]string{t.config.Operator}, others...) {
		fmt.Fprintf(&services, "  %s: docker exec -it %s-%s bash\n", name, t.prefix(), name)
	}
	return fmt.Sprintf(`The testbed %s:
%s  Prometheus: http://%s
  Alertmanager: http://%s
  notifications: http://%s/notifications
`, t.config.Name, &services, t.endpoints[portPrometheus], t.endpoints[portAlertmanager], t.endpoints[portReceiver])
}
