package leap_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/stemedb/firedrill/tools/engine"
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
	db := open(t, dir)
	write(t, db, t0, cfg.ScrapeInterval, series...)
	evaluate(t, db, cfg, t0, t0.Add(end))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t testing.TB, dir string) *tsdb.DB {
	t.Helper()
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = 0
	opts.StripeSize = 1 << 10
	db, err := tsdb.Open(dir, nil, nil, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// write appends series in promtool's notation, the first sample at from.
func write(t testing.TB, db *tsdb.DB, from time.Time, interval time.Duration, series ...string) {
	t.Helper()
	app := db.AppenderV2(context.Background())
	for _, text := range series {
		l, values, err := promqlParser.ParseSeriesDesc(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for i, v := range values {
			if v.Omitted {
				continue
			}
			at := from.Add(time.Duration(i) * interval).UnixMilli()
			if _, err := app.Append(0, l, 0, at, v.Value, nil, v.Histogram, storage.AppendV2Options{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
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
	return open(t, dst), report
}

// rulesFile writes a rule file and returns it.
func rulesFile(t testing.TB, text string) engine.RuleFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "\t", "  ")), 0o666); err != nil {
		t.Fatal(err)
	}
	return engine.RuleFile{Path: path, Name: "/etc/prometheus/rules.yml"}
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
	each(t, db, metric, func(l labels.Labels, it chunkenc.Iterator, kind chunkenc.ValueType) {
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

func each(t testing.TB, db *tsdb.DB, metric string, do func(labels.Labels, chunkenc.Iterator, chunkenc.ValueType)) {
	t.Helper()
	const ever = int64(1) << 60
	q, err := db.Querier(-ever, ever)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	set := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, metric))
	for set.Next() {
		it := set.At().Iterator(nil)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			do(set.At().Labels(), it, kind)
		}
		if err := it.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := set.Err(); err != nil {
		t.Fatal(err)
	}
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
