package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/stemedb/firedrill/tools/engine/enginetest"
)

// t0 is when the scraped series begin.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// scraped returns a storage with the series in promtool's notation, scraped every second from t0 on.
func scraped(t *testing.T, series ...string) *tsdb.DB {
	t.Helper()
	db := enginetest.Open(t, t.TempDir())
	enginetest.Write(t, db, t0, time.Second, series...)
	return db
}

// written returns the samples of the metrics that match the regular expression, by series, as text.
func written(t *testing.T, db *tsdb.DB, metric string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	enginetest.Each(t, db, metric, func(l labels.Labels, it chunkenc.Iterator, kind chunkenc.ValueType) {
		text := ""
		if kind != chunkenc.ValFloat {
			_, h := it.AtFloatHistogram(nil)
			text = h.String()
		} else if _, v := it.At(); value.IsStaleNaN(v) {
			text = "stale"
		} else {
			text = fmt.Sprint(v)
		}
		all[l.String()] = append(all[l.String()], fmt.Sprintf("%s: %s", time.UnixMilli(it.AtT()).Sub(t0), text))
	})
	return all
}

// file writes a rule file, in which tabs indent.
func file(t *testing.T, text string) RuleFile {
	t.Helper()
	return RuleFile{Path: enginetest.WriteRules(t, text), Name: enginetest.Deployed}
}

func load(t *testing.T, db Storage, text string) *Engine {
	t.Helper()
	e, err := New(Config{RuleFiles: []RuleFile{file(t, text)}, EvaluationInterval: time.Second}, db)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// live evaluates from one time since t0 to another.
func live(t *testing.T, e *Engine, from, to time.Duration) []string {
	t.Helper()
	if err := e.Resume(t.Context(), t0.Add(from)); err != nil {
		t.Fatal(err)
	}
	if err := e.Run(t.Context(), t0.Add(to)); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, tr := range e.Transitions() {
		all = append(all, fmt.Sprintf("%s %s: %s->%s", tr.At.Sub(t0).Truncate(time.Millisecond), tr.Labels, tr.From, tr.To))
	}
	return all
}

func TestAlertStates(t *testing.T) {
	db := scraped(t, `level 100x29 10x59 100x200`, `up 1x300`)
	e := load(t, db, `
groups:
- name: g
	interval: 5s
	rules:
	- {alert: Low, expr: level < 50, for: 20s, keep_firing_for: 30s, labels: {team: infra}}
	- {alert: LowAtOnce, expr: level < 50}
`)
	got := live(t, e, 0, 5*time.Minute)
	phase := e.groups[0].EvalTimestamp(t0.Add(5*time.Second - 1).UnixNano()).Sub(t0)
	at := func(slot time.Duration) string {
		return (slot*5*time.Second + phase).Truncate(time.Millisecond).String()
	}
	want := []string{
		at(6) + ` {alertname="Low", team="infra"}: inactive->pending`,
		at(6) + ` {alertname="LowAtOnce"}: inactive->firing`,
		at(10) + ` {alertname="Low", team="infra"}: pending->firing`,
		at(18) + ` {alertname="LowAtOnce"}: firing->inactive`,
		at(24) + ` {alertname="Low", team="infra"}: firing->inactive`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	firing := written(t, db, "ALERTS")[`{__name__="ALERTS", alertname="Low", alertstate="firing", team="infra"}`]
	if n := len(firing); n != 15 || firing[14] != at(24)+": stale" {
		t.Errorf("the series of the firing alert is %q, want 14 samples and a stale marker", firing)
	}
}

func TestGroupsKeepIntervalAndOffset(t *testing.T) {
	db := scraped(t, `level 1x600`)
	text := `
groups:
- name: every second
	rules:
	- {record: a, expr: level}
- name: every seven
	interval: 7s
	rules:
	- {record: b, expr: level}
`
	live(t, load(t, db, text), 0, 10*time.Minute)
	for metric, want := range map[string]struct {
		group    string
		interval time.Duration
	}{"a": {"every second", time.Second}, "b": {"every seven", 7 * time.Second}} {
		g := rules.NewGroup(rules.GroupOptions{Name: want.group, File: "/etc/prometheus/rules.yml", Interval: want.interval})
		slot := g.EvalTimestamp(t0.UnixNano()).Add(want.interval)
		for series, samples := range written(t, db, metric) {
			for _, s := range samples {
				if at := slot.Truncate(time.Millisecond).Sub(t0).String(); !strings.HasPrefix(s, at+":") {
					t.Fatalf("%s has the sample %q, want one at %s", series, s, at)
				}
				slot = slot.Add(want.interval)
			}
			if end := t0.Add(10 * time.Minute); !slot.After(end) {
				t.Errorf("%s ends before %s, want it to go on until %s", series, slot, end)
			}
		}
	}
}

// The rules of the test of batches: what can be foreseen, what cannot, and what fails.
const manyRules = `
groups:
- name: g
	query_offset: 3s
	rules:
	- {record: plain, expr: 'level * 2'}
	- {record: of_recorded, expr: 'plain + 1'}
	- {record: rate, expr: 'sum by (job) (rate(requests[1m]))'}
	- {record: number, expr: 'time()'}
	- {record: histogram, expr: 'rate(latency[30s])'}
	- {record: ahead, expr: 'level offset -10s'}
	- {record: fixed, expr: 'level @ 1772366400'}
	- {record: ended, expr: 'absent(short)'}
	- {record: sub, expr: 'max_over_time(rate(requests[10s])[1m:5s])'}
	- {record: anything, expr: 'count({__name__=~"p.+"})'}
	- {record: sometimes_fails, expr: 'level / on() doubled'}
	- {alert: Low, expr: 'level < 50', for: 1m, labels: {v: '{{ query "requests" | len }}'}}
	- {alert: Other, expr: 'ALERTS{alertname="Low"} == 1', for: 10s}
- name: h
	interval: 7s
	rules:
	- {record: plain, expr: 'level * 2', labels: {by: h}}
`

func TestBatchesEqualInstantQueries(t *testing.T) {
	series := []string{
		`level 100x59 10x150 100x200`, `requests{job="a"} 0+3x200 0+5x200`, `requests{job="b"} 0+1x400`,
		`latency {{count:3 sum:4 buckets:[1 2]}}+{{count:3 sum:4 buckets:[1 2]}}x400`,
		`short 1x20`, `doubled{n="1"} 1x400`, `doubled{n="2"} _x199 1x50`,
	}
	batched, instant := scraped(t, series...), scraped(t, series...)
	e := load(t, batched, manyRules)
	if n := len(e.groups[0].batches); n != 8 {
		t.Errorf("%d expressions can be foreseen, want 8 of 13", n)
	}
	gotTransitions := live(t, e, 0, 400*time.Second)
	e = load(t, instant, manyRules)
	for _, g := range e.groups {
		g.batches = nil
	}
	wantTransitions := live(t, e, 0, 400*time.Second)

	if !slices.Equal(gotTransitions, wantTransitions) || len(wantTransitions) == 0 {
		t.Errorf("the transitions are\n%q\nwith instant queries\n%q", gotTransitions, wantTransitions)
	}
	got, want := written(t, batched, ".+"), written(t, instant, ".+")
	for s := range want {
		if !reflect.DeepEqual(got[s], want[s]) {
			t.Errorf("%s is\n%q\nwith instant queries\n%q", s, got[s], want[s])
		}
	}
	if len(got) != len(want) || len(want) < 20 {
		t.Errorf("%d series, %d with instant queries, want all of the rules'", len(got), len(want))
	}
}

func TestResumeRestoresAServersState(t *testing.T) {
	text := enginetest.OneGroup("g",
		`{alert: Low, expr: level < 50, for: 5m}`,
		`{alert: Kept, expr: level > 50, keep_firing_for: 1h}`)
	series := []string{`level 100x59 10x600`}
	once, twice := scraped(t, series...), scraped(t, series...)
	want := live(t, load(t, once, text), 0, 10*time.Minute)

	got := live(t, load(t, twice, text), 0, 2*time.Minute)
	got = append(got, live(t, load(t, twice, text), 2*time.Minute, 10*time.Minute)...)

	if !slices.Equal(got, want) {
		t.Errorf("stopped and resumed\n%s\nin one go\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	low := `{__name__="ALERTS_FOR_STATE", alertname="Low"}`
	if got, want := written(t, twice, "ALERTS_FOR_STATE")[low], written(t, once, "ALERTS_FOR_STATE")[low]; !slices.Equal(got, want) || len(want) == 0 {
		t.Errorf("stopped and resumed, %s is\n%q\nin one go\n%q", low, got, want)
	}
	kept := written(t, twice, "ALERTS")[`{__name__="ALERTS", alertname="Kept", alertstate="firing"}`]
	if n := len(kept); n > 125 {
		t.Errorf("an alert that only keep_firing_for kept has %d samples, so it has outlived a restart", n)
	}
}

func TestResumeWritesNothing(t *testing.T) {
	db := scraped(t, `level 10x60`)
	e := load(t, db, enginetest.OneGroup("g", "{record: a, expr: level}", "{alert: B, expr: level < 50}"))
	if err := e.Resume(t.Context(), t0.Add(30*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := written(t, db, "a|ALERTS.*"); len(got) > 0 {
		t.Errorf("Resume wrote %v, want nothing: that time has been lived through", got)
	}
}

func TestWrites(t *testing.T) {
	e := load(t, scraped(t), enginetest.OneGroup("g", "{record: a, expr: b}", "{alert: C, expr: d}"))
	for metric, want := range map[string]bool{"a": true, "b": false, "C": false, "d": false, "ALERTS": true, "ALERTS_FOR_STATE": true} {
		if got := e.Writes(metric); got != want {
			t.Errorf("Writes(%q) is %v, want %v", metric, got, want)
		}
	}
}

func TestRuleFileErrorsHavePositions(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"expression":    {"groups:\n- name: g\n\trules:\n\t- alert: A\n\t\texpr: level <\n", `rules.yml:5:11: group "g", rule 1, "A": could not parse expression`},
		"unknown field": {"groups:\n- name: g\n\trulez: []\n", `rules.yml: yaml: unmarshal errors:` + "\n  line 3: field rulez not found"},
		"no YAML":       {"groups: [\n", "rules.yml: yaml: line 1: did not find expected node content"},
		"not UTF-8":     {"groups:\n- name: \xff\n", "rules.yml: yaml: invalid leading UTF-8 octet"},
	} {
		t.Run(name, func(t *testing.T) {
			f := file(t, c.text)
			_, err := New(Config{RuleFiles: []RuleFile{f}, EvaluationInterval: time.Second}, scraped(t))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), f.Path) {
				t.Errorf("got error %v, want one that says %q", err, c.want)
			}
		})
	}
}

func TestInvalidConfig(t *testing.T) {
	f := file(t, "groups: []\n")
	for want, cfg := range map[string]Config{
		"evaluation interval 0s: must be positive":         {},
		"no such file or directory":                        {EvaluationInterval: 1, RuleFiles: []RuleFile{{Path: "nowhere.yml"}}},
		"rule file /etc/prometheus/rules.yml: named twice": {EvaluationInterval: 1, RuleFiles: []RuleFile{f, f}},
		"external URL: ":                                   {EvaluationInterval: 1, ExternalURL: "::"},
	} {
		if _, err := New(cfg, scraped(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one that says %q", err, want)
		}
	}
}

func TestStorageErrorEndsTheRun(t *testing.T) {
	full := errors.New("disk full")
	for name, fail := range map[string]failing{"append": {append: full}, "commit": {commit: full}} {
		t.Run(name, func(t *testing.T) {
			fail.DB = scraped(t, `level 1x60`)
			e := load(t, fail, enginetest.OneGroup("g", "{record: a, expr: level}"))
			if err := e.Resume(t.Context(), t0); err != nil {
				t.Fatal(err)
			}
			if err := e.Run(t.Context(), t0.Add(time.Minute)); !errors.Is(err, full) {
				t.Errorf("got error %v, want that of the storage", err)
			}
		})
	}
}

func TestACancelledRunEnds(t *testing.T) {
	e := load(t, scraped(t, `level 1x60`), enginetest.OneGroup("g", "{record: a, expr: level}"))
	if err := e.Resume(t.Context(), t0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Run(ctx, t0.Add(time.Minute)); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

// failing is a storage that takes no samples.
type failing struct {
	*tsdb.DB
	append, commit error
}

func (f failing) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return failingAppender{f.DB.AppenderV2(ctx), f}
}

type failingAppender struct {
	storage.AppenderV2
	failing failing
}

func (a failingAppender) Append(ref storage.SeriesRef, l labels.Labels, st, t int64, v float64,
	h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AppendV2Options) (storage.SeriesRef, error) {
	if a.failing.append != nil {
		return 0, a.failing.append
	}
	return a.AppenderV2.Append(ref, l, st, t, v, h, fh, opts)
}

func (a failingAppender) Commit() error { return errors.Join(a.AppenderV2.Commit(), a.failing.commit) }
