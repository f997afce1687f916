package world

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Notification is one alert in a message that Alertmanager sent and a receiver got.
type Notification struct {
	Receiver    string // page or ticket
	Status      string // firing or resolved
	Labels      map[string]string
	Annotations map[string]string
	Received    time.Time
}

// Alert is the alert's name.
func (n Notification) Alert() string { return n.Labels["alertname"] }

func (n Notification) String() string {
	return fmt.Sprintf("%s %s %s%s: %s (%s)", n.Receiver, n.Status, n.Alert(), distinguishing(n.Labels),
		n.Annotations["summary"], n.Annotations["runbook_url"])
}

// Notifications are those that receivers have got since Begin, the first first.
func (w *World) Notifications(ctx context.Context) ([]Notification, error) {
	content, err := w.parties.get(ctx, portControl, "/notifications")
	if err != nil {
		return nil, fmt.Errorf("ask the receivers: %w", err)
	}
	var messages []struct {
		Receiver string
		Received time.Time
		Message  struct {
			Alerts []struct {
				Status      string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := json.Unmarshal(content, &messages); err != nil {
		return nil, fmt.Errorf("read what the receivers got: %w", err)
	}
	var notifications []Notification
	for _, m := range messages {
		for _, a := range m.Message.Alerts {
			notifications = append(notifications, Notification{
				Receiver: m.Receiver, Status: a.Status, Labels: a.Labels, Annotations: a.Annotations, Received: m.Received,
			})
		}
	}
	return notifications, nil
}

// Page waits for the alert to reach a receiver, firing, and returns what arrived: all that the on-call knows.
func (w *World) Page(ctx context.Context, a *Alert) (Notification, error) {
	var page Notification
	err := w.await(ctx, a.Name+" to reach a receiver", func(ctx context.Context) error {
		got, err := w.Notifications(ctx)
		if err != nil {
			return err
		}
		for _, n := range got {
			if n.Alert() == a.Name && n.Status == "firing" {
				page = n
				return nil
			}
		}
		return fmt.Errorf("no receiver got it (its severity is %q); received: %s", a.Labels["severity"], List(got))
	})
	return page, err
}

// List is the notifications, a line each.
func List(notifications []Notification) string {
	if len(notifications) == 0 {
		return "nothing"
	}
	lines := make([]string, len(notifications))
	for i, n := range notifications {
		lines[i] = n.String()
	}
	return strings.Join(lines, "\n  ")
}
