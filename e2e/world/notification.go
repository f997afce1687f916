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
	Receiver    string // page, ticket or deadman
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

// List is the notifications, a line each; what a dead man's switch hears again and again is listed once.
func List(notifications []Notification) string {
	if len(notifications) == 0 {
		return "nothing"
	}
	var lines []string
	heard := false
	for _, n := range notifications {
		if n.Receiver != deadman {
			lines = append(lines, n.String())
		} else if !heard {
			heard = true
			lines = append(lines, n.String()+", again and again")
		}
	}
	return strings.Join(lines, "\n  ")
}

// deadman is the receiver that is told again and again that all is well.
const deadman = "deadman"

// Silence has Alertmanager hold back the alert of that name for an hour, as an operator does who wants quiet.
func (w *World) Silence(ctx context.Context, alert string) error {
	now := time.Now().UTC()
	_, err := w.parties.post(ctx, portAlertmanager, "/api/v2/silences", map[string]any{
		"matchers": []map[string]any{{"name": "alertname", "value": alert, "isRegex": false, "isEqual": true}},
		"startsAt": now, "endsAt": now.Add(time.Hour), "createdBy": "somebody", "comment": "too much noise",
	})
	if err != nil {
		return fmt.Errorf("silence %s: %w", alert, err)
	}
	return nil
}
