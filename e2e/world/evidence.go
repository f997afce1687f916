package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/stemedb/firedrill/tools/runbook"
)

// Evidence writes what tells how things came to be as they are into a folder, which it makes: the log of each
// container, the host's journal, the history of the alerts, the transcript of the steps, what the receivers got, what
// happened in the leaps. What cannot be had is said in its place, and private keys are left out.
func (w *World) Evidence(ctx context.Context, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	var failed []error
	write := func(name, content string, err error) {
		if err != nil {
			content += "\n(not to be had: " + err.Error() + ")\n"
		}
		failed = append(failed, os.WriteFile(filepath.Join(folder, name), []byte(runbook.Redact(content)), 0o644))
	}
	boxes := append([]*box{}, w.parties.boxes...)
	if w.watchers != nil {
		boxes = append(boxes, w.watchers.prometheus, w.watchers.alertmanager)
	}
	if w.host != nil {
		boxes = append(boxes, w.host.box)
		journal, err := w.host.Output(ctx, "journalctl --no-pager --output=short-precise")
		write("journal.txt", journal, err)
		certbot, err := w.host.Output(ctx, "cat /var/log/letsencrypt/letsencrypt.log")
		write("certbot.txt", certbot, err)
	}
	for _, b := range boxes {
		if b != nil {
			log, err := b.log(ctx)
			write("log-"+b.name+".txt", log, err)
		}
	}
	history, err := w.history(ctx)
	write("alerts.txt", history, err)
	received, err := w.Notifications(ctx)
	write("notifications.txt", List(received)+"\n", err)
	w.mu.Lock()
	steps := w.steps.String()
	var leaps strings.Builder
	for _, l := range w.leaps {
		fmt.Fprintf(&leaps, "%s up to %s\n", l.by, l.now.Format(time.TimeOnly))
		for _, t := range l.transitions {
			fmt.Fprintf(&leaps, "  %s %s: %s -> %s\n", t.At.Format(time.TimeOnly), t.Alert, t.From, t.To)
		}
	}
	w.mu.Unlock()
	write("steps.txt", steps, nil)
	write("leaps.txt", leaps.String(), nil)
	return errors.Join(failed...)
}

// history is every alert's state in the past, as Prometheus has stored it.
func (w *World) history(ctx context.Context) (string, error) {
	if w.watchers == nil || w.watchers.api == nil {
		return "", errors.New("no Prometheus")
	}
	now := time.Now()
	step := max(time.Second, (w.Leapt()+10*time.Minute)/5000).Truncate(time.Second)
	found, _, _, err := w.watchers.api.QueryRange(ctx, "ALERTS", prometheus.Range{Start: now.Add(-w.Leapt() - 10*time.Minute), End: now, Step: step})
	if err != nil {
		return "", err
	}
	return found.String() + "\n", nil
}

// Enter says how to look at a world that was kept.
func (w *World) Enter() string {
	return fmt.Sprintf(`The world %[1]s:
  host:          docker exec -it firedrill-%[1]s-host bash
  Prometheus:    http://%[2]s
  Alertmanager:  http://%[3]s
  notifications: http://%[4]s/notifications
`, w.config.Name, w.parties.ports[portPrometheus], w.parties.ports[portAlertmanager], w.parties.ports[portControl])
}
