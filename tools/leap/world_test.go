package leap_test

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/stemedb/firedrill/tools/engine"
	"github.com/stemedb/firedrill/tools/engine/enginetest"
	"github.com/stemedb/firedrill/tools/leap"
)

// t0 is when the recorded past begins.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var promqlParser = parser.NewParser(parser.Options{})

// record returns the TSDB directory of a Prometheus that scraped the series from t0 on, one sample in each interval, in
// promtool's notation ("up 1x59"), and evaluated the rules of cfg until end, when it was stopped.
func record(t testing.TB, cfg leap.Config, end time.Duration, series ...string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	db := enginetest.Open(t, dir)
	enginetest.Write(t, db, t0, cfg.ScrapeInterval, series...)
	evaluate(t, db, cfg, t0, t0.Add(end))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// evaluate lives the rules of cfg over what db holds.
func evaluate(t testing.TB, db *tsdb.DB, cfg leap.Config, from, to time.Time) []engine.Transition {
	t.Helper()
	e, err := engine.New(engine.Config{
		RuleFiles: cfg.RuleFiles, EvaluationInterval: cfg.EvaluationInterval,
		ExternalLabels: cfg.ExternalLabels, ExternalURL: cfg.ExternalURL,
	}, db)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Resume(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	if err := e.Run(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	return e.Transitions()
}

// leapt leaps from dir and returns what came out, open as Prometheus opens it.
func leapt(t testing.TB, dir string, d time.Duration, now time.Time, cfg leap.Config) (*tsdb.DB, leap.Report) {
	t.Helper()
	dst := filepath.Join(t.TempDir(), "leapt")
	report, err := leap.Leap(t.Context(), dir, dst, d, now, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return enginetest.Open(t, dst), report
}

// rulesFile writes a rule file and returns it.
func rulesFile(t testing.TB, text string) engine.RuleFile {
	t.Helper()
	return engine.RuleFile{Path: enginetest.WriteRules(t, text), Name: enginetest.Deployed}
}

// everySecond is the configuration of a Prometheus that scrapes and evaluates once in a second.
func everySecond(files ...engine.RuleFile) leap.Config {
	return leap.Config{RuleFiles: files, ScrapeInterval: time.Second, EvaluationInterval: time.Second}
}

// point is a sample of a number, by the time since t0. A stale marker is shown as such.
type point struct {
	at    time.Duration
	value float64
	stale bool
}

// points returns the samples of all series of the metrics that match the regular expression, by series.
func points(t testing.TB, db *tsdb.DB, metric string) map[string][]point {
	t.Helper()
	all := map[string][]point{}
	enginetest.Each(t, db, metric, func(l labels.Labels, it chunkenc.Iterator, kind chunkenc.ValueType) {
		if kind != chunkenc.ValFloat {
			t.Fatalf("%s has samples that are no numbers", l)
		}
		at, v := it.At()
		p := point{at: time.UnixMilli(at).Sub(t0), value: v}
		if value.IsStaleNaN(v) {
			p.value, p.stale = 0, true
		}
		all[l.String()] = append(all[l.String()], p)
	})
	return all
}

// the returns the samples of the one series of the metric.
func the(t testing.TB, db *tsdb.DB, metric string) []point {
	t.Helper()
	all := points(t, db, metric)
	if len(all) != 1 {
		t.Fatalf("%s has %d series, want one: %v", metric, len(all), slices.Collect(maps.Keys(all)))
	}
	for _, p := range all {
		return p
	}
	return nil
}

var queries = promql.NewEngine(promql.EngineOpts{MaxSamples: 50_000_000, Timeout: time.Minute, Parser: promqlParser})

// query returns the value of an expression that has one.
func query(t testing.TB, db *tsdb.DB, expr string, at time.Time) float64 {
	t.Helper()
	q, err := queries.NewInstantQuery(t.Context(), db, nil, expr, at)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	v, err := q.Exec(t.Context()).Vector()
	if err != nil || len(v) != 1 {
		t.Fatalf("%s at %s is %v, %v, want one value", expr, at.Sub(t0), v, err)
	}
	return v[0].F
}
