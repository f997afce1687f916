package testbed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Notification is one alert in a message that Alertmanager sent and a receiver got.
type Notification struct {
	Receiver    string // the name that Alertmanager's configuration has for it
	Status      string // firing or resolved
	Labels      map[string]string
	Annotations map[string]string
	Received    time.Time
}

// Alert is the alert's name.
func (n Notification) Alert() string { return n.Labels["alertname"] }

func (n Notification) String() string {
	return fmt.Sprintf("%s %s %s%s: %s (%s)", n.Receiver, n.Status, n.Alert(), labelText(n.Labels, nil),
		n.Annotations["summary"], n.Annotations["runbook_url"])
}

// Notifications are those that receivers have got since Begin, in the order of their arrival.
func (t *Testbed) Notifications(ctx context.Context) ([]Notification, error) {
	content, err := t.get(ctx, portReceiver, "/notifications")
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

// Notified waits until the alert, firing, has reached the receivers that Alertmanager's configuration has for it, and
// returns the notification that the first of them got: all that the on-call knows. It is an error where it reached another
// receiver as well.
func (t *Testbed) Notified(ctx context.Context, a *Alert) (Notification, error) {
	var first Notification
	err := t.Await(ctx, "a notification of "+a.Name, func(ctx context.Context) error {
		all, err := t.Notifications(ctx)
		if err != nil {
			return err
		}
		var got []string
		for _, n := range all {
			if n.Alert() != a.Name || n.Status != "firing" {
				continue
			}
			if len(got) == 0 {
				first = n
			}
			got = append(got, n.Receiver)
		}
		if len(got) == 0 {
			return fmt.Errorf("no receiver got it%s; received:\n  %s", t.whyNot(ctx, a), List(all))
		}
		slices.Sort(got)
		if want, _ := t.Receivers(first.Labels); !slices.Equal(slices.Compact(got), want) {
			return fmt.Errorf("%q got it, and the configuration routes it to %q; received:\n  %s", slices.Compact(got), want, List(all))
		}
		return nil
	})
	return first, err
}

// whyNot says what is known of why the notification of an alert reaches nobody: where it is routed, what suppresses it.
func (t *Testbed) whyNot(ctx context.Context, a *Alert) string {
	labels := a.Labels
	if o, err := a.Observe(ctx); err == nil && len(o.Instances) > 0 {
		labels = o.Instances[0].Labels
	}
	said := fmt.Sprintf(" (its labels are %s)", labelText(labels, nil))
	if to, _ := t.Receivers(labels); len(to) == 0 {
		return said + ": the configuration routes it to no receiver that has an integration"
	}
	content, err := t.get(ctx, portAlertmanager, "/api/v2/alerts/groups?filter=alertname="+url.QueryEscape(strconv.Quote(a.Name)))
	if err != nil {
		return said
	}
	var groups []struct {
		Alerts []struct {
			Status struct{ InhibitedBy, MutedBy, SilencedBy []string }
		}
	}
	if err := json.Unmarshal(content, &groups); err != nil || len(groups) == 0 || len(groups[0].Alerts) == 0 {
		return said + ": Alertmanager does not know it"
	}
	status := groups[0].Alerts[0].Status
	for _, by := range []struct {
		what  string
		names []string
	}{{"inhibited by the alerts", status.InhibitedBy}, {"muted by the time intervals", status.MutedBy}, {"silenced by", status.SilencedBy}} {
		if len(by.names) > 0 {
			said += fmt.Sprintf(": it is %s %s", by.what, strings.Join(by.names, ", "))
		}
	}
	return said
}

// Resolved says whether the receiver was told, last of all, that the alert is resolved.
func Resolved(all []Notification, receiver, alert string) bool {
	resolved := false
	for _, n := range all {
		if n.Receiver == receiver && n.Alert() == alert {
			resolved = n.Status == "resolved"
		}
	}
	return resolved
}

// changes are the notifications that do not repeat what their receiver knows already.
func changes(all []Notification) []Notification {
	known := map[string]string{}
	var news []Notification
	for _, n := range all {
		series := n.Receiver + n.Alert() + labelText(n.Labels, nil)
		if known[series] != n.Status {
			known[series] = n.Status
			news = append(news, n)
		}
	}
	return news
}

// List is the notifications, a line each, without repetitions.
func List(all []Notification) string {
	if len(all) == 0 {
		return "nothing"
	}
	var lines []string
	for _, n := range changes(all) {
		lines = append(lines, n.String())
	}
	return strings.Join(lines, "\n  ")
}

// Silence has Alertmanager hold back the alert of that name for an hour.
func (t *Testbed) Silence(ctx context.Context, alert string) error {
	now := time.Now().UTC()
	_, err := t.send(ctx, http.MethodPost, portAlertmanager, "/api/v2/silences", map[string]any{
		"matchers": []map[string]any{{"name": "alertname", "value": alert, "isRegex": false, "isEqual": true}},
		"startsAt": now, "endsAt": now.Add(time.Hour), "createdBy": "firedrill", "comment": "a silence",
	})
	if err != nil {
		return fmt.Errorf("silence %s: %w", alert, err)
	}
	return nil
}

// forget drops the notifications from before.
func (t *Testbed) forget(ctx context.Context) error {
	_, err := t.send(ctx, http.MethodDelete, portReceiver, "/notifications", nil)
	return err
}

func (t *Testbed) get(ctx context.Context, port int, path string) ([]byte, error) {
	return t.send(ctx, http.MethodGet, port, path, nil)
}

// send asks what a port of the receiver leads to, with a body in JSON where there is one.
func (t *Testbed) send(ctx context.Context, method string, port int, path string, body any) ([]byte, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+t.endpoints[port]+path, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	return Fetch(http.DefaultClient, request)
}

// Fetch sends a request and returns the body of the answer; a status other than 2xx is an error that holds it.
func Fetch(by *http.Client, request *http.Request) ([]byte, error) {
	response, err := by.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", request.Method, request.URL.Path, err)
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", request.Method, request.URL.Path, response.Status, strings.TrimSpace(string(content)))
	}
	return content, nil
}
