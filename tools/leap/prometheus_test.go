package leap_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	promapi "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stemedb/firedrill/tools/engine"
	"github.com/stemedb/firedrill/tools/engine/enginetest"
	"github.com/stemedb/firedrill/tools/leap"
)

var liveRules = enginetest.OneGroup("tls",
	`{record: left:min, expr: min(cert_seconds_left)}`,
	`{alert: ExpiringSoon, expr: left:min < 500, for: 20s, labels: {severity: critical, site: '{{ $externalLabels.site }}'}}`,
	`{alert: ExpiringForAnHour, expr: cert_seconds_left < 500, for: 1h}`)

// One Prometheus lives through a rule's `for`, another one leaps over it. Both must have the same history to tell.
func TestLeapEqualsPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs Prometheus for some tens of seconds")
	}
	binary := enginetest.Build(t, "prometheus", "-ldflags=-s -w")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	target := newHost(t)
	patient, leaper := newPrometheus(t, binary, target), newPrometheus(t, binary, target)

	// Quiet, then pending before our eyes.
	patient.start(ctx)
	leaper.start(ctx)
	for _, p := range []*prometheus{patient, leaper} {
		p.await(ctx, `count_over_time(left:min[1m]) >= 3`)
	}
	target.left.Store(100)
	leaper.await(ctx, `ALERTS{alertname="ExpiringSoon",alertstate="pending"} and on() ALERTS{alertname="ExpiringForAnHour"}`)
	leaper.stop()
	stopped := time.Now()

	const d = 10 * time.Minute
	report := leaper.leap(ctx, d)
	if got := fmt.Sprint(changes(report)); got != "[ExpiringSoon pending->firing]" {
		t.Errorf("the leap of %s reports %s, want that ExpiringSoon fired", d, got)
	}
	leaper.start(ctx)
	leaper.awaitNew(ctx, `ALERTS{alertname="ExpiringSoon",alertstate="firing"}`)
	leaper.awaitNew(ctx, `ALERTS{alertname="ExpiringForAnHour",alertstate="pending"}`)
	patient.await(ctx, `count_over_time(ALERTS{alertname="ExpiringSoon",alertstate="firing"}[1m]) >= 3`)

	lived, leapt := patient.history(ctx, "ExpiringSoon"), leaper.history(ctx, "ExpiringSoon")
	if lived.labels != leapt.labels {
		t.Errorf("the alert is %s, and %s after a leap", lived.labels, leapt.labels)
	}
	if since := leapt.active.Add(d); since.Sub(lived.active).Abs() > time.Minute {
		t.Errorf("active since %s, and since %s before a leap of %s", lived.active, leapt.active, d)
	}
	// On a busy machine, Prometheus misses evaluations. Those that it makes, it makes at their time, and in a leap none
	// is missed.
	live := int(stopped.Sub(leapt.active.Add(d)) / time.Second)
	for age, state := range lived.states {
		if got := leapt.states[age]; got != state && (got != "" || age > live) {
			t.Errorf("%ds after it became active the alert is %q, and %q in a leap", age, state, got)
		}
	}
	for age := range int(d / time.Second) {
		want := "firing"
		if age < 20 {
			want = "pending"
		}
		if got := leapt.states[age]; got != want && (got != "" || age > live) {
			t.Errorf("in the leap, %ds after it became active, the alert is %q, want %q", age, got, want)
		}
	}

	// It is a Prometheus like any other: it scrapes, its counters have not jumped, and it can leap again.
	leaper.awaitNew(ctx, `up`)
	leaper.await(ctx, `max_over_time(rate(lived_seconds_total[30s])[15m:1s]) < 2`)
	leaper.stop()
	if got := fmt.Sprint(changes(leaper.leap(ctx, time.Hour))); got != "[ExpiringForAnHour pending->firing]" {
		t.Errorf("the leap of an hour reports %s, want that ExpiringForAnHour fired", got)
	}
	leaper.start(ctx)
	leaper.awaitNew(ctx, `ALERTS{alertname="ExpiringForAnHour",alertstate="firing"}`)
	leaper.awaitNew(ctx, `ALERTS{alertname="ExpiringSoon",alertstate="firing"}`)

	// And it clears.
	target.left.Store(1000)
	leaper.await(ctx, `left:min == 1000 unless on() ALERTS`)
	leaper.stop()
	patient.stop()
}

func changes(r leap.Report) []string {
	var all []string
	for _, tr := range r.Transitions {
		all = append(all, fmt.Sprintf("%s %s->%s", tr.Alert, tr.From, tr.To))
	}
	return all
}

// host is what Prometheus scrapes: a certificate, and a counter that has counted for long, one in a second.
type host struct {
	*httptest.Server
	left atomic.Int64
}

func newHost(t *testing.T) *host {
	tg := &host{}
	tg.left.Store(1000)
	began := time.Now()
	tg.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintf(w, "# TYPE cert_seconds_left gauge\ncert_seconds_left %d\n", tg.left.Load())
		fmt.Fprintf(w, "# TYPE lived_seconds_total counter\nlived_seconds_total %f\n", 1e6+time.Since(began).Seconds())
	}))
	t.Cleanup(tg.Close)
	return tg
}

// prometheus is a real one, which scrapes and evaluates every second.
type prometheus struct {
	t       *testing.T
	binary  string
	config  string
	rules   engine.RuleFile
	data    string
	types   map[string]model.MetricType
	cmd     *exec.Cmd
	api     promapi.API
	started time.Time
}

func newPrometheus(t *testing.T, binary string, tg *host) *prometheus {
	t.Helper()
	dir := t.TempDir()
	p := &prometheus{t: t, binary: binary, config: filepath.Join(dir, "prometheus.yml"), data: filepath.Join(dir, "data")}
	p.rules = engine.RuleFile{Path: rulesFile(t, liveRules).Path}
	config := fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s, external_labels: {site: test}}
rule_files: [%q]
scrape_configs:
- job_name: api
  static_configs: [{targets: [%q]}]
`, p.rules.Path, strings.TrimPrefix(tg.URL, "http://"))
	if err := os.WriteFile(p.config, []byte(config), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd != nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
	})
	return p
}

// start returns when Prometheus serves its API. It must have nothing to complain of.
func (p *prometheus) start(ctx context.Context) {
	p.t.Helper()
	p.started = time.Now()
	p.cmd = exec.Command(p.binary, "--config.file="+p.config, "--storage.tsdb.path="+p.data,
		"--web.listen-address=127.0.0.1:0", "--rules.alert.for-grace-period=0s", "--scrape.discovery-reload-interval=100ms")
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	log := bufio.NewScanner(stderr)
	var lines []string
	url := ""
	for log.Scan() {
		lines = append(lines, log.Text())
		if strings.Contains(log.Text(), "level=WARN") || strings.Contains(log.Text(), "level=ERROR") {
			p.t.Errorf("Prometheus says %s", log.Text())
		}
		if _, address, ok := strings.Cut(log.Text(), `msg="Listening on" `); ok {
			_, address, _ = strings.Cut(address, "address=")
			url = "http://" + strings.Fields(address)[0]
		}
		if strings.Contains(log.Text(), `msg="Server is ready to receive web requests."`) {
			break
		}
	}
	client, err := api.NewClient(api.Config{Address: url})
	if url == "" || err != nil {
		p.t.Fatalf("Prometheus did not start: %v\n%s", err, strings.Join(lines, "\n"))
	}
	p.api = promapi.NewAPI(client)
	go func() { // so that it can go on writing
		for log.Scan() {
		}
	}()
	p.await(ctx, `vector(1)`)
}

func (p *prometheus) stop() {
	p.t.Helper()
	metadata, err := p.api.Metadata(p.t.Context(), "", "")
	if err != nil {
		p.t.Fatal(err)
	}
	p.types = map[string]model.MetricType{}
	for family, m := range metadata {
		p.types[family] = model.MetricType(m[0].Type)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Fatalf("Prometheus stopped with %v", err)
	}
	p.cmd = nil
}

// leap replaces the data of the stopped Prometheus by what a leap makes of them.
func (p *prometheus) leap(ctx context.Context, d time.Duration) leap.Report {
	p.t.Helper()
	dst := filepath.Join(p.t.TempDir(), "data")
	report, err := leap.Leap(ctx, p.data, dst, d, time.Now(), leap.Config{
		RuleFiles:      []engine.RuleFile{p.rules},
		ScrapeInterval: time.Second, EvaluationInterval: time.Second,
		ExternalLabels: labels.FromStrings("site", "test"),
		Types:          p.types,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.data = dst
	return report
}

func (p *prometheus) query(ctx context.Context, expr string) model.Value {
	p.t.Helper()
	value, _, _, err := p.api.Query(ctx, expr, time.Time{})
	if err != nil {
		p.t.Fatalf("%s: %v", expr, err)
	}
	return value
}

// await returns when the expression has a value.
func (p *prometheus) await(ctx context.Context, expr string) {
	p.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for p.query(ctx, expr).(model.Vector).Len() == 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.t.Fatalf("waited in vain for %s; there are %v", expr, p.query(p.t.Context(), `{__name__=~"up|cert_.*|left:min|ALERTS.*"}`))
		}
	}
}

// awaitNew returns when the series is 1 in a sample that was written after the start. Until Prometheus has restored its
// alerts, which takes it two evaluations, it shows those of the past.
func (p *prometheus) awaitNew(ctx context.Context, series string) {
	p.t.Helper()
	p.await(ctx, fmt.Sprintf(`%s == 1 and timestamp(%[1]s) > %.3f`, series, float64(p.started.UnixMilli())/1000))
}

// alertHistory is what Prometheus has stored of an alert.
type alertHistory struct {
	labels string
	active time.Time
	states map[int]string // by the seconds since it became active
}

func (p *prometheus) history(ctx context.Context, alert string) alertHistory {
	p.t.Helper()
	h := alertHistory{states: map[int]string{}}
	for _, r := range p.query(ctx, fmt.Sprintf(`ALERTS_FOR_STATE{alertname=%q}[2h]`, alert)).(model.Matrix) {
		for _, v := range r.Values {
			if at := time.Unix(int64(v.Value), 0).UTC(); h.active.IsZero() {
				h.active = at
			} else if !at.Equal(h.active) {
				p.t.Errorf("%s is active since %s, then since %s", alert, h.active, at)
			}
		}
	}
	for _, r := range p.query(ctx, fmt.Sprintf(`ALERTS{alertname=%q}[2h]`, alert)).(model.Matrix) {
		state := string(r.Metric["alertstate"])
		delete(r.Metric, "alertstate")
		if own := r.Metric.String(); h.labels == "" {
			h.labels = own
		} else if own != h.labels {
			p.t.Errorf("the alert is %s, then %s", h.labels, own)
		}
		for _, v := range r.Values {
			age := int(v.Timestamp.Unix() - h.active.Unix())
			if was, twice := h.states[age]; twice {
				p.t.Errorf("%s is %s and %s in the same second", alert, was, state)
			}
			h.states[age] = state
		}
	}
	if len(h.states) == 0 {
		p.t.Fatalf("%s has no history; there are %v", alert, slices.Collect(maps.Keys(p.types)))
	}
	return h
}
