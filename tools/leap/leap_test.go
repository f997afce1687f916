package leap_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"

	"github.com/stemedb/firedrill/tools/engine"
	"github.com/stemedb/firedrill/tools/engine/enginetest"
	"github.com/stemedb/firedrill/tools/leap"
)

const target = `{job="api",instance="host:9100"}`

// after is the time of the leap: the samples end at 59 s, and Prometheus is down for some seconds more.
const down = 3 * time.Second

func TestHistoryShiftsAndSeriesContinue(t *testing.T) {
	dir := record(t, everySecond(), time.Minute,
		`up`+target+` 1x59`,
		`temperature`+target+` 0+1x59`,
		`gone`+target+` 1x20 stale`,
		`going`+target+` 1x58 stale`)
	db, _ := leapt(t, dir, time.Hour, t0.Add(59*time.Second+down), everySecond())

	got := the(t, db, "temperature")
	var want []point
	for i := range 60 {
		want = append(want, point{at: time.Duration(i)*time.Second - time.Hour, value: float64(i)})
	}
	for at := 60*time.Second - time.Hour; at <= 59*time.Second+down; at += time.Second {
		want = append(want, point{at: at, value: 59})
	}
	if !slices.Equal(got, want) {
		t.Errorf("temperature is\n%v\nwant\n%v", got, want)
	}

	for metric, n := range map[string]int{"gone": 21, "going": 59} {
		got := the(t, db, metric)
		end := point{at: time.Duration(n)*time.Second - time.Hour, stale: true}
		if last := got[len(got)-1]; len(got) != n+1 || last != end {
			t.Errorf("%s has %d samples, the last one %v; want %d, and the stale marker %v", metric, len(got), last, n+1, end)
		}
	}
}

func TestOnlySeriesOfTheLastScrapeContinue(t *testing.T) {
	// A Prometheus that was restarted marks nothing stale: what had gone in the meantime just ends.
	dir := record(t, everySecond(), time.Minute,
		`up`+target+` 1x59`,
		`kept`+target+` 1x59`,
		`forgotten`+target+` 1x50`,
		`up{job="api",instance="broken:9100"} 1x30 0x28`,
		`kept{job="api",instance="broken:9100"} 1x30 stale`,
		`pushed{job="batch"} 7x50`) // no up of its own
	db, _ := leapt(t, dir, time.Hour, t0.Add(time.Minute), everySecond())

	for series, alive := range map[string]bool{
		`kept` + target:                           true,
		`forgotten` + target:                      false,
		`kept{job="api",instance="broken:9100"}`:  false,
		`up{job="api",instance="broken:9100"}==0`: true,
		`pushed{job="batch"}`:                     true,
	} {
		if got := query(t, db, `count(`+series+`) or vector(0)`, t0) == 1; got != alive {
			t.Errorf("%s continues: %v, want %v", series, got, alive)
		}
	}
}

func TestTypeDecidesWhetherAValueGrows(t *testing.T) {
	cfg := everySecond()
	cfg.Types = map[string]model.MetricType{
		"requests_total": model.MetricTypeCounter,
		"open":           model.MetricTypeCounter, // as OpenMetrics names the family of open_total
		"latency":        model.MetricTypeHistogram,
		"size":           model.MetricTypeSummary,
		"load":           model.MetricTypeGauge,
		"build_info":     model.MetricTypeInfo,
		"odd":            model.MetricTypeUnknown,
		"queue":          model.MetricTypeGaugeHistogram,
	}
	for metric, grows := range map[string]bool{
		`requests_total`:    true,
		`open_total`:        true,
		`latency_bucket`:    true,
		`latency_sum`:       true,
		`latency_count`:     true,
		`size_sum`:          true,
		`size_count`:        true,
		`size`:              false,
		`load`:              false,
		`build_info`:        false,
		`odd`:               false,
		`queue_bucket`:      false,
		`undeclared_total`:  false,
		`undeclared_count`:  false,
		`up`:                false,
		`scrape_duration_s`: false,
	} {
		t.Run(metric, func(t *testing.T) {
			dir := record(t, cfg, time.Minute, metric+target+` 1e6+2x59`)
			db, _ := leapt(t, dir, time.Hour, t0.Add(time.Minute), cfg)
			rate := query(t, db, `deriv(`+metric+`[5m])`, t0.Add(-30*time.Minute))
			if want := map[bool]float64{true: 2, false: 0}[grows]; math.Abs(rate-want) > 1e-6 {
				t.Errorf("%s changes by %v in a second, want %v", metric, rate, want)
			}
			if v := query(t, db, metric, t0.Add(time.Minute)); v != 1e6+2*59 {
				t.Errorf("%s comes out at %v, want %v, where it went in", metric, v, 1e6+2*59)
			}
		})
	}
}

// A counter that comes out of a leap anywhere but where the target goes on makes rate() see a restart that never was.
func TestCountersKeepTheirRateThroughTheLeapAndAfter(t *testing.T) {
	cfg := everySecond()
	cfg.Types = map[string]model.MetricType{"requests_total": model.MetricTypeCounter}
	for name, c := range map[string]struct {
		values string // two a second at the end
		then   string // what the target reports once Prometheus is back
		leap   time.Duration
	}{
		"old":                         {`1000000+2x119`, `1000246+2x600`, time.Hour},
		"young":                       {`2+2x119`, `248+2x600`, time.Hour},
		"younger than the leap":       {`500+2x119`, `746+2x600`, 10 * time.Minute},
		"a little older":              {`1900+2x119`, `2146+2x600`, 16 * time.Minute},
		"restarted a while ago":       {`1000000+2x60 0+2x58`, `124+2x600`, time.Hour},
		"restarted a moment ago":      {`1000000+2x114 0+2x4`, `16+2x600`, time.Hour},
		"restarted, and a short leap": {`1000000+2x30 0+2x88`, `184+2x600`, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			dir := record(t, cfg, 2*time.Minute, `up`+target+` 1x119`, `requests_total`+target+" "+c.values)
			back := t0.Add(119*time.Second + down + time.Second)
			db, _ := leapt(t, dir, c.leap, back.Add(-time.Second), cfg)
			enginetest.Write(t, db, back, time.Second, `requests_total`+target+" "+c.then)

			// After the first minute, which was written by the test, every window sees two a second, or up to three
			// seconds' growth more in the moment of the return.
			for at := t0.Add(time.Minute - c.leap); at.Before(back.Add(10 * time.Minute)); at = at.Add(10 * time.Second) {
				rate := query(t, db, `rate(requests_total[1m])`, at)
				if rate < 1.75 || rate > 2.3 {
					t.Fatalf("the rate is %v at %s, want 2", rate, at.Sub(t0))
				}
			}
		})
	}
}

// The buckets of a histogram are counters of different sizes: what one loses in a leap the others must lose as well, or
// a quantile is no longer what it was.
func TestQuantilesOfASmallHistogram(t *testing.T) {
	cfg := everySecond()
	cfg.Types = map[string]model.MetricType{"latency": model.MetricTypeHistogram}
	bucket := func(le string) string { return `latency_bucket{job="api",instance="host:9100",le="` + le + `"} ` }
	// One a second that is slow, then ten a second that are not.
	dir := record(t, cfg, time.Minute, `up`+target+` 1x59`,
		bucket("0.5")+`0x29 10+10x29`, bucket("2.5")+`20+1x29 59+10x29`, bucket("+Inf")+`20+1x29 59+10x29`)
	cfg.ScrapeInterval = 5 * time.Second
	db, _ := leapt(t, dir, 4*time.Minute, t0.Add(time.Minute+down), cfg)
	for at := t0.Add(-80 * time.Second); at.Before(t0.Add(time.Minute)); at = at.Add(time.Second) {
		share := query(t, db, `sum(rate(latency_bucket{le="0.5"}[2m])) / sum(rate(latency_bucket{le="+Inf"}[2m]))`, at)
		if math.Abs(share-1) > 1e-6 {
			t.Fatalf("of all that there was in two minutes without a slow one, %v were fast at %s", share, at.Sub(t0))
		}
	}
}

func TestRateOfTheLastScrapes(t *testing.T) {
	cfg := everySecond()
	cfg.Types = map[string]model.MetricType{"errors_total": model.MetricTypeCounter}
	for name, c := range map[string]struct {
		values string
		rate   float64
	}{
		"since a moment ago": {`0x48 0+5x10`, 5},
		"until a moment ago": {`0+5x45 230x13`, 0},
		"one scrape":         {`7`, 0},
		"not a number":       {`0+1x57 NaN NaN`, 0},
		"infinite":           {`0+1x57 Inf`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := record(t, cfg, time.Minute, `errors_total`+target+" "+c.values)
			db, _ := leapt(t, dir, time.Hour, t0.Add(time.Minute), cfg)
			samples := the(t, db, "errors_total")
			first, last := samples[len(samples)-1200], samples[len(samples)-1100]
			if c.rate == 0 && (first.value == last.value || math.IsNaN(first.value) && math.IsNaN(last.value)) {
				return
			}
			if got := (last.value - first.value) / 100; math.Abs(got-c.rate) > 1e-6 {
				t.Errorf("it grows by %v in a second, want %v", got, c.rate)
			}
		})
	}
}

func TestNativeHistogramsGrowAsCountersAndHoldAsGauges(t *testing.T) {
	dir := record(t, everySecond(), 2*time.Minute,
		`up`+target+` 1x119`,
		`latency`+target+` {{schema:0 count:10 sum:20 buckets:[4 6]}}+{{schema:0 count:3 sum:5 buckets:[1 2]}}x119`,
		`restarted`+target+` {{schema:0 count:900 sum:20 buckets:[400 500]}}x60 {{schema:0 count:3 sum:5 buckets:[1 2]}}+{{schema:0 count:3 sum:5 buckets:[1 2]}}x58`,
		`stocked`+target+` {{schema:0 count:500000 sum:20 buckets:[500000]}}+{{schema:0 count:3 sum:5 buckets:[1 2]}}x119`,
		`queue`+target+` {{schema:0 count:10 sum:20 buckets:[4 6] counter_reset_hint:gauge}}+{{schema:0 count:3 sum:5 buckets:[1 2]}}x119`,
		`ended`+target+` {{schema:0 count:10 sum:20 buckets:[4 6]}}x20 stale`)
	now := t0.Add(119*time.Second + down)
	db, _ := leapt(t, dir, time.Hour, now, everySecond())

	for _, c := range []struct {
		expr  string
		want  float64
		after time.Duration // when what was recorded has passed
	}{
		{`histogram_count(rate(latency[1m]))`, 3, 0},
		{`histogram_sum(rate(latency[1m]))`, 5, 0},
		{`histogram_fraction(0, 1, rate(latency[1m]))`, 1.0 / 3, 0},
		{`histogram_count(rate(restarted[1m]))`, 3, time.Minute},
		{`histogram_count(delta(queue[1m]))`, 0, time.Minute},
		{`count(ended) or vector(0)`, 0, 0},
	} {
		for at := t0.Add(2*time.Minute - time.Hour + c.after); !at.After(now); at = at.Add(10 * time.Second) {
			if got := query(t, db, c.expr, at); math.Abs(got-c.want) > 0.1 {
				t.Fatalf("%s is %v at %s, want %v", c.expr, got, at.Sub(t0), c.want)
			}
		}
	}
	for metric, want := range map[string]float64{
		"latency": 10 + 119*3, "restarted": 59 * 3, "stocked": 500000 + 119*3, "queue": 10 + 119*3,
	} {
		if got := query(t, db, `histogram_count(`+metric+`)`, now); got != want {
			t.Errorf("%s comes out with a count of %v, want %v, where it went in", metric, got, want)
		}
	}
}

// The counts of a scraped native histogram are integers; growing makes fractions of them.
func TestNativeHistogramsOfIntegers(t *testing.T) {
	const seconds = 120
	dir := filepath.Join(t.TempDir(), "data")
	db := enginetest.Open(t, dir)
	app := db.AppenderV2(t.Context())
	scraped := map[string][]*histogram.Histogram{
		"latency": tsdbutil.GenerateTestHistograms(seconds),
		"queue":   tsdbutil.GenerateTestGaugeHistograms(seconds),
	}
	for metric, values := range scraped {
		for i, h := range values {
			at := t0.Add(time.Duration(i) * time.Second).UnixMilli()
			l := labels.FromStrings(labels.MetricName, metric)
			if _, err := app.Append(0, l, 0, at, 0, h, nil, storage.AppendV2Options{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(app.Commit(), db.Close()); err != nil {
		t.Fatal(err)
	}
	now := t0.Add(seconds*time.Second + down)
	db, _ = leapt(t, dir, time.Hour, now, everySecond())

	at, latency := t0.Add(-10*time.Minute), scraped["latency"]
	perSecond := float64(latency[seconds-1].Count-latency[0].Count) / (seconds - 1)
	if got := query(t, db, `histogram_count(rate(latency[1m]))`, at); math.Abs(got-perSecond) > 0.01 {
		t.Errorf("the histogram grows by %v in a second, want %v", got, perSecond)
	}
	if got := query(t, db, `histogram_count(delta(queue[1m]))`, at); got != 0 {
		t.Errorf("the gauge histogram changes by %v in a minute, want 0", got)
	}
	for metric, values := range scraped {
		want := float64(values[seconds-1].Count)
		if got := query(t, db, `histogram_count(`+metric+`)`, now); got != want {
			t.Errorf("%s comes out with a count of %v, want %v, where it went in", metric, got, want)
		}
	}
}

// alertsOf is what the rules have written, for comparing.
func alertsOf(t *testing.T, db *tsdb.DB) map[string][]point {
	return points(t, db, `ALERTS.*|.+:.+`)
}

// The meaning of a leap: what the rules write in a past that was lived through and in one that was leapt is the same.
func TestLeapEqualsRealTime(t *testing.T) {
	for name, c := range map[string]struct {
		rules string
		types map[string]model.MetricType
	}{
		"pending, then firing": {rules: enginetest.OneGroup("tls",
			`{alert: CertificateExpiringSoon, expr: level < 50, for: 10m, labels: {severity: critical}}`,
			`{alert: Quiet, expr: level > 50}`,
			`{alert: AtOnce, expr: level < 40}`)},
		"from recorded series": {rules: `
groups:
- name: records
	rules:
	- {record: level:avg, expr: avg(level)}
	- {record: low:bool, expr: level:avg < bool 50}
- name: alerts
	interval: 7s
	rules:
	- {alert: LowForLong, expr: low:bool == 1, for: 5m}
	- {alert: AnyAlert, expr: 'count(ALERTS{alertstate="firing",alertname="LowForLong"}) > 0', for: 1m}
`},
		"clearing by itself, kept firing": {rules: `
groups:
- name: changes
	interval: 3s
	rules:
	- {alert: Changed, expr: 'changes(level[5m]) > 0', keep_firing_for: 4m}
	- {alert: ChangedForAWhile, expr: 'changes(level[5m]) > 0', for: 1m}
`},
		"templates": {rules: enginetest.OneGroup("templates", `{alert: Low, expr: level < 50, for: 10m, labels: {site: '{{ $externalLabels.site }}', url: '{{ externalURL }}', level: '{{ $value }}'}}`)},
		"looking back": {rules: `
groups:
- name: late
	query_offset: 20s
	rules:
	- {record: level:late, expr: level}
	- {alert: Low, expr: level < 50, for: 5m}
`},
		"counters": {types: map[string]model.MetricType{"requests_total": model.MetricTypeCounter}, rules: enginetest.OneGroup("counters", `{alert: Busy, expr: 'rate(requests_total[1m]) > 1.5', for: 10m}`)},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := everySecond(rulesFile(t, c.rules))
			cfg.Types = c.types
			cfg.ExternalLabels = labels.FromStrings("site", "test")
			cfg.ExternalURL = "http://prometheus.example:9090/"
			const d, lived = 21 * time.Minute, 4 * time.Minute
			series := func(seconds int) []string {
				return []string{
					fmt.Sprintf(`up%s 1x%d`, target, seconds),
					fmt.Sprintf(`level%s 100-1x60 39x%d`, target, seconds-61),
					fmt.Sprintf(`requests_total%s 100+2x%d`, target, seconds),
				}
			}
			// Stopped half a second after the last scrape, which every group's evaluation of that second may precede.
			short := record(t, cfg, lived+500*time.Millisecond, series(int(lived/time.Second))...)
			now := t0.Add(lived + 500*time.Millisecond)
			db, report := leapt(t, short, d, now, cfg)

			long := enginetest.Open(t, filepath.Join(t.TempDir(), "long"))
			enginetest.Write(t, long, t0.Add(-d), time.Second, series(int((lived+d)/time.Second))...)
			want := evaluate(t, long, cfg, t0.Add(-d), now)

			got, wanted := alertsOf(t, db), alertsOf(t, long)
			if len(wanted) == 0 {
				t.Fatal("the rules write nothing, so this test says nothing")
			}
			if !reflect.DeepEqual(got, wanted) {
				for s := range wanted {
					t.Errorf("%s\nleapt %v\nlived %v", s, differing(got[s], wanted[s]), differing(wanted[s], got[s]))
				}
				for s := range got {
					if wanted[s] == nil {
						t.Errorf("%s\nleapt %v\nlived nothing", s, got[s][:1])
					}
				}
			}
			gapStart := now.Add(-d)
			want = slices.DeleteFunc(want, func(tr engine.Transition) bool { return !tr.At.After(gapStart) })
			if !reflect.DeepEqual(report.Transitions, want) {
				t.Errorf("reported\n%v\nlived\n%v", report.Transitions, want)
			}
		})
	}
}

// differing returns the points of a that are not in b.
func differing(a, b []point) []point {
	return slices.DeleteFunc(slices.Clone(a), func(p point) bool { return slices.Contains(b, p) })
}

func TestTransitionsAreReportedWhenTheyHappened(t *testing.T) {
	cfg := everySecond(rulesFile(t, enginetest.OneGroup("tls",
		`{alert: Low, expr: level < 50, for: 1h, labels: {severity: critical}}`,
		`{alert: Unchanged, expr: 'changes(level[10m]) == 0'}`)))
	dir := record(t, cfg, time.Minute, `up`+target+` 1x59`, `level`+target+` 60x29 40x29`)
	_, report := leapt(t, dir, 2*time.Hour, t0.Add(time.Minute), cfg)

	var got []string
	for _, tr := range report.Transitions {
		got = append(got, fmt.Sprintf("%s %s->%s %s %s", tr.Alert, tr.From, tr.To, tr.At.Sub(t0).Truncate(time.Second), tr.Labels.Get("severity")))
	}
	// The group's slots are 0.4 s after the second. The level fell at 30 s, and changes() saw it for 10 minutes.
	want := []string{
		"Unchanged inactive->firing -1h49m30s ",
		"Low pending->firing -59m29s critical",
	}
	if !slices.Equal(got, want) {
		t.Errorf("reported %q, want %q", got, want)
	}
}

func TestAlertsKeepTheirAgeOverSeveralLeaps(t *testing.T) {
	cfg := everySecond(rulesFile(t, enginetest.OneGroup("tls", `{alert: Low, expr: level < 50, for: 3h}`)))
	dir := record(t, cfg, time.Minute, `up`+target+` 1x59`, `level`+target+` 40x59`)
	now := t0.Add(time.Minute)
	for range 3 {
		next := filepath.Join(t.TempDir(), "next")
		if _, err := leap.Leap(t.Context(), dir, next, time.Hour, now, cfg); err != nil {
			t.Fatal(err)
		}
		dir = next
	}
	db := enginetest.Open(t, dir)
	active := t0.Add(-3 * time.Hour)
	if got := query(t, db, `ALERTS_FOR_STATE`, now); got < float64(active.Unix()) || got > float64(active.Unix()+2) {
		t.Errorf("active since %s, want since %s", time.Unix(int64(got), 0).UTC(), active)
	}
	if got := query(t, db, `count(ALERTS{alertstate="firing"})`, now); got != 1 {
		t.Errorf("%v alerts fire, want 1", got)
	}
}

// What is an hour old stays an hour old: an age that fell back in a leap would clear the alert that it had raised.
func TestTimestampsMoveWithTheClock(t *testing.T) {
	cfg := everySecond(rulesFile(t, enginetest.OneGroup("backup", `{alert: Stale, expr: time() - done_timestamp_seconds > 3600, for: 30m}`)))
	done := t0.Add(-time.Hour + 20*time.Second).Unix() // it becomes an hour old at 20 s
	dir := record(t, cfg, time.Minute, `up`+target+` 1x59`,
		fmt.Sprintf(`done_timestamp_seconds%s 5x9 %dx49`, target, done), `never_timestamp_seconds`+target+` 0x59`)
	now := t0.Add(time.Minute)
	db, _ := leapt(t, dir, 30*time.Minute, now, cfg)
	for at := t0.Add(30*time.Second - 30*time.Minute); !at.After(now); at = at.Add(10 * time.Second) {
		if age := query(t, db, `time() - done_timestamp_seconds`, at); age < 3605 || age > 3645 {
			t.Fatalf("it is %v s old at %s, want an hour and less than a minute", age, at.Sub(t0))
		}
	}
	for series, want := range map[string]float64{
		`done_timestamp_seconds`:             float64(done),
		`never_timestamp_seconds`:            0,
		`count(ALERTS{alertstate="firing"})`: 1,
	} {
		if got := query(t, db, series, now); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

// A Prometheus has to open what a leap of any length leaves, without a word, and to go on with it.
func TestLongLeaps(t *testing.T) {
	cfg := leap.Config{ScrapeInterval: 15 * time.Second, EvaluationInterval: 15 * time.Second}
	cfg.RuleFiles = append(cfg.RuleFiles, rulesFile(t, enginetest.OneGroup("tls",
		`{record: level:max, expr: 'max_over_time(level[3h])'}`,
		`{alert: Low, expr: level < 50, for: 30m}`)))
	dir := record(t, cfg, 5*time.Minute, `up`+target+` 1x19`, `level`+target+` 45+0x19`)
	for _, d := range []time.Duration{10 * time.Second, time.Minute, time.Hour, 3 * time.Hour, 49 * time.Hour} {
		t.Run(d.String(), func(t *testing.T) {
			now := t0.Add(5 * time.Minute)
			db, _ := leapt(t, dir, d, now, cfg)

			metas := db.BlockMetas()
			if overlaps := tsdb.OverlappingBlocks(metas); len(overlaps) > 0 {
				t.Errorf("blocks overlap: %s", overlaps)
			}
			for _, m := range metas {
				const span = tsdb.DefaultBlockDuration
				if m.MinTime/span != (m.MaxTime-1)/span {
					t.Errorf("block %s is of [%d, %d), more than one range of 2h", m.ULID, m.MinTime, m.MaxTime)
				}
			}
			if want := int(d/(2*time.Hour)) + 2; len(metas) > want {
				t.Errorf("%d blocks, want at most %d", len(metas), want)
			}

			check := func(when string) {
				t.Helper()
				if got, want := len(the(t, db, "level")), int(d/cfg.ScrapeInterval)+20; got < want || got > want+2 {
					t.Errorf("%s: %d samples, want %d", when, got, want)
				}
				if got := query(t, db, `ALERTS_FOR_STATE`, now); math.Abs(got-float64(t0.Add(-d).Unix())) > 15 {
					t.Errorf("%s: active since %v, want %v", when, got, t0.Add(-d).Unix())
				}
				if got := query(t, db, `level:max`, now); got != 45 {
					t.Errorf("%s: the recorded series is %v, want 45", when, got)
				}
			}
			check("opened")
			// Rules with an offset, and targets with their own timestamps, write a little into the past.
			enginetest.Write(t, db, now.Add(-time.Minute), time.Second, `late 1 1`)
			enginetest.Write(t, db, now.Add(15*time.Second), cfg.ScrapeInterval, `level`+target+` 45`)
			if err := db.Compact(t.Context()); err != nil {
				t.Fatal(err)
			}
			check("compacted")
		})
	}
}

// t0 is where one block ends and the next begins, and so is every second hour before and after it.
func TestBlockBoundaries(t *testing.T) {
	cfg := leap.Config{ScrapeInterval: 15 * time.Second, EvaluationInterval: 15 * time.Second}
	cfg.RuleFiles = append(cfg.RuleFiles, rulesFile(t, `
groups:
- name: g
	query_offset: 1m
	rules:
	- {record: recorded, expr: level}
`))
	dir := record(t, cfg, 2*time.Minute, `level 1x8`)
	check := func(d, down time.Duration) {
		t.Helper()
		now := t0.Add(2*time.Minute + down)
		db, _ := leapt(t, dir, d, now, cfg)
		level, recorded := the(t, db, "level"), the(t, db, "recorded")
		if got, want := len(level), int((2*time.Minute+down+d)/cfg.ScrapeInterval)+1; got != want {
			t.Errorf("leap of %s, %s after the stop: %d samples, want %d", d, down, got, want)
		}
		for _, samples := range [][]point{level, recorded} {
			for i := range samples[1:] {
				if samples[i+1].at-samples[i].at != cfg.ScrapeInterval {
					t.Fatalf("leap of %s, %s after the stop: there is nothing between %s and %s", d, down, samples[i].at, samples[i+1].at)
				}
			}
		}
	}
	for around := -12 * time.Minute; around <= 12*time.Minute; around += time.Minute {
		check(2*time.Hour+around, 0)
		check(time.Hour, 12*time.Minute+around)
	}
}

func TestDirectoryOfAStoppedPrometheus(t *testing.T) {
	dir := record(t, everySecond(), time.Minute, `up`+target+` 1x59`)
	before := files(t, dir)
	dst := filepath.Join(t.TempDir(), "leapt")
	if _, err := leap.Leap(t.Context(), dir, dst, 3*time.Hour, t0.Add(time.Minute), everySecond()); err != nil {
		t.Fatal(err)
	}
	if after := files(t, dir); !slices.Equal(before, after) {
		t.Errorf("the source has changed from %v to %v", before, after)
	}
	entries, err := os.ReadDir(dst)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); name != "wal" && name != "chunks_head" && len(name) != 26 {
			t.Errorf("%s is no part of a TSDB", name)
		}
	}
}

func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			all = append(all, fmt.Sprint(path, info.Size(), info.ModTime()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLeapRefuses(t *testing.T) {
	cfg := everySecond()
	dir := record(t, cfg, time.Minute, `up`+target+` 1x59`)
	empty := record(t, cfg, time.Minute)
	now := t0.Add(time.Minute)
	with := func(change func(*leap.Config)) leap.Config { c := cfg; change(&c); return c }
	broken := rulesFile(t, "groups:\n- name: g\n\trules:\n\t- alert: A\n\t\texpr: level <\n")

	for _, c := range []struct {
		src  string
		d    time.Duration
		now  time.Time
		cfg  leap.Config
		want string
	}{
		{dir, 0, now, cfg, "leap by 0s: a leap must be longer than 0s"},
		{dir, -time.Hour, now, cfg, "leap by -1h0m0s: a leap must be longer than 0s"},
		{dir, 1500 * time.Millisecond, now, cfg, "leap by 1.5s: a leap must be of whole seconds"},
		{dir, time.Hour, t0, cfg, "now is 2026-03-01T12:00:00Z, before the newest sample, which is of 2026-03-01T12:00:59Z"},
		{empty, time.Hour, now, cfg, "holds no samples, so no series can continue: let Prometheus scrape at least once"},
		{t.TempDir(), time.Hour, now, cfg, "it is not the data directory of a Prometheus"},
		{dir + "/nowhere", time.Hour, now, cfg, "no such file or directory"},
		{dir, time.Hour, now, with(func(c *leap.Config) { c.ScrapeInterval = 0 }), "scrape interval 0s: must be at least 1ms"},
		{dir, time.Hour, now, with(func(c *leap.Config) { c.EvaluationInterval = 0 }), "evaluation interval 0s: must be positive"},
		{dir, time.Hour, now, with(func(c *leap.Config) { c.RuleFiles = append(c.RuleFiles, broken) }), broken.Path + ":5:"},
	} {
		t.Run(c.want, func(t *testing.T) {
			_, err := leap.Leap(t.Context(), c.src, filepath.Join(t.TempDir(), "dst"), c.d, c.now, c.cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one that says %q", err, c.want)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := leap.Leap(ctx, dir, filepath.Join(t.TempDir(), "dst"), time.Hour, now, cfg)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want %v", err, context.Canceled)
		}
	})
	t.Run("destination in use", func(t *testing.T) {
		_, err := leap.Leap(t.Context(), dir, dir, time.Hour, now, cfg)
		if err == nil || !strings.Contains(err.Error(), "is in the way") {
			t.Errorf("got error %v, want one that says what is in the way", err)
		}
	})
}
