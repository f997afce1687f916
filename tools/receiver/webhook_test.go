package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/prometheus/alertmanager/alert"
	amcommoncfg "github.com/prometheus/alertmanager/config/common"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/notify/webhook"
	"github.com/prometheus/alertmanager/template"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
)

// What Alertmanager's notifier sends is listed in the order of arrival.
func TestReceiveFromAlertmanager(t *testing.T) {
	srv := httptest.NewServer(newAPI())
	defer srv.Close()
	labels := model.LabelSet{"alertname": "CertificateExpiringSoon", "severity": "critical", "domain": "example.com"}
	start := time.Now().Add(-time.Hour).Truncate(time.Millisecond).UTC()

	send := func(receiver string, end time.Time) {
		t.Helper()
		tmpl, err := template.FromGlobs(nil)
		if err != nil {
			t.Fatal(err)
		}
		tmpl.ExternalURL = &url.URL{Scheme: "http", Host: "alertmanager:9093"}
		notifier, err := webhook.New(&webhook.WebhookConfig{
			URL:        amcommoncfg.SecretTemplateURL(srv.URL + "/receivers/" + receiver),
			HTTPConfig: &commoncfg.HTTPClientConfig{},
		}, tmpl, promslog.NewNopLogger())
		if err != nil {
			t.Fatal(err)
		}
		ctx := notify.WithGroupKey(context.Background(), "{}:{}")
		ctx = notify.WithReceiverName(ctx, receiver)
		ctx = notify.WithGroupLabels(ctx, model.LabelSet{"alertname": labels["alertname"]})
		_, err = notifier.Notify(ctx, &alert.Alert{Alert: model.Alert{
			Labels:      labels,
			Annotations: model.LabelSet{"summary": "TLS certificate expires in 6d 23h", "runbook_url": "https://example.com/runbooks/CertificateExpiringSoon.md"},
			StartsAt:    start,
			EndsAt:      end,
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now()
	send("page", time.Time{})
	send("ticket", start.Add(time.Minute))

	var got []notification
	if err := json.Unmarshal([]byte(get(t, srv.URL+"/notifications")), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 {
		t.Fatalf("got %d notifications, want 2", len(got))
	}
	for i, want := range []struct{ receiver, status string }{{"page", "firing"}, {"ticket", "resolved"}} {
		n := got[i]
		a := n.Message.Alerts[0]
		if n.Receiver != want.receiver || n.Message.Receiver != want.receiver || n.Message.Status != want.status || a.Status != want.status {
			t.Errorf("%d: for %s (%s), %s, %s; want %+v", i, n.Receiver, n.Message.Receiver, n.Message.Status, a.Status, want)
		}
		if a.Labels["domain"] != "example.com" || a.Annotations["summary"] != "TLS certificate expires in 6d 23h" || !a.StartsAt.Equal(start) {
			t.Errorf("%d: alert %+v", i, a)
		}
		if n.Message.GroupKey != "{}:{}" || n.Message.ExternalURL != "http://alertmanager:9093" {
			t.Errorf("%d: group %q from %q", i, n.Message.GroupKey, n.Message.ExternalURL)
		}
		if n.Received.Before(before) || n.Received.After(time.Now()) {
			t.Errorf("%d: received at %s, want a time since %s", i, n.Received, before)
		}
	}
}

const message = `{"version": "4", "status": "firing", "alerts": [{"status": "firing"}]}`

func TestNotificationsAreForgotten(t *testing.T) {
	api := newAPI()
	for _, step := range []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{"GET", "/healthz", "", 200, "ok\n"},
		{"GET", "/notifications", "", 200, "[]\n"},
		{"POST", "/receivers/page", message, 200, ""},
		{"DELETE", "/notifications", "", 204, ""},
		{"GET", "/notifications", "", 200, "[]\n"},
	} {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(step.method, step.path, strings.NewReader(step.body)))
		if w.Code != step.status || w.Body.String() != step.answer {
			t.Errorf("%s %s: %d %q, want %d %q", step.method, step.path, w.Code, w.Body, step.status, step.answer)
		}
	}
}

func TestTheNewestNotificationsAreKept(t *testing.T) {
	var n notifications
	for i := range kept + 5 {
		n.add(notification{Receiver: strconv.Itoa(i)})
	}
	if first, last := n.list[0].Receiver, n.list[len(n.list)-1].Receiver; len(n.list) != kept || first != "5" || last != strconv.Itoa(kept+4) {
		t.Errorf("%d are kept, from %s to %s; want the newest %d", len(n.list), first, last, kept)
	}
}

func TestBadRequests(t *testing.T) {
	api := newAPI()
	for _, tc := range []struct {
		method, path string
		body         io.Reader
		status       int
		want         string
	}{
		{"POST", "/receivers/page", strings.NewReader(""), 400, "no webhook message"},
		{"POST", "/receivers/page", strings.NewReader("null"), 400, "no webhook message"},
		{"POST", "/receivers/page", strings.NewReader("{}"), 400, `(version "")`},
		{"POST", "/receivers/page", strings.NewReader(`{"version": "4"}`), 400, "with one alert or more"},
		{"POST", "/receivers/page", strings.NewReader(`{"version": "5", "alerts": [{}]}`), 400, `(version "5")`},
		{"POST", "/receivers/page", strings.NewReader(`{"alerts": 1}`), 400, "cannot unmarshal"},
		{"POST", "/receivers/page", strings.NewReader(message + "x"), 400, "invalid character"},
		{"POST", "/receivers/page", strings.NewReader(strings.Repeat(" ", maxBody+1)), 413, "at most 262144 bytes"},
		{"POST", "/receivers/page", iotest.ErrReader(io.ErrUnexpectedEOF), 400, "read body: unexpected EOF"},
		{"POST", "/receivers/", strings.NewReader(message), 404, "not found"},
		{"POST", "/receivers/a/b", strings.NewReader(message), 404, "not found"},
		{"GET", "/receivers/page", nil, 405, "Not Allowed"},
		{"POST", "/notifications", nil, 405, "Not Allowed"},
		{"GET", "/", nil, 404, "not found"},
	} {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, tc.body))
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.want) {
			t.Errorf("%s %s: %d %q, want %d with %q", tc.method, tc.path, w.Code, w.Body, tc.status, tc.want)
		}
	}
}
