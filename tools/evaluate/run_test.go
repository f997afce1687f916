package evaluate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
)

// compiled returns the rules of a rule file.
func compiled(t testing.TB, text string) *Rules {
	t.Helper()
	c := New(Options{})
	parsed, errs := rulefmt.Parse([]byte(text), false, model.UTF8Validation, c.parser, quiet)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	groups, err := c.Groups("a.yml", parsed.Groups)
	if err != nil {
		t.Fatal(err)
	}
	sorted, _ := Order(groups)
	return c.Rules(sorted)
}

// named returns the rule of a name.
func (r *Rules) named(t testing.TB, name string) *Rule {
	t.Helper()
	for _, one := range r.rules {
		if one.Name == name {
			return one
		}
	}
	t.Fatalf("no rule %s", name)
	return nil
}

// data reads series in the notation of unit tests, with samples every minute.
func data(t testing.TB, series ...string) *Data {
	t.Helper()
	var all []promql.Series
	for _, text := range series {
		ls, values, err := New(Options{}).parser.ParseSeriesDesc(text)
		if err != nil {
			t.Fatal(err)
		}
		s := promql.Series{Metric: ls}
		for i, v := range values {
			if !v.Omitted {
				s.Floats = append(s.Floats, promql.FPoint{T: int64(i) * 60_000, F: v.Value})
			}
		}
		all = append(all, s)
	}
	return NewData(all)
}

// history prints the states of a rule, with the firing alerts at each of its evaluations.
func (r *Run) history(t testing.TB, alert *Rule) string {
	t.Helper()
	var b strings.Builder
	for at, s := range r.Evaluations(alert) {
		firing, err := r.Firing(t.Context(), alert, at)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s pending %v firing %v\n", at.Sub(r.Start), s.Pending, firing)
	}
	return b.String()
}

// recordings prints what the rules have written.
func (r *Run) recordings(t testing.TB) string {
	t.Helper()
	var all []string
	for at := r.Start; !at.After(r.end()); at = at.Add(time.Minute) {
		vector, err := r.Values(t.Context(), `{__name__=~".+"}`, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range vector {
			// Where nothing selects it, the evaluation by rule does not write it.
			if r.WriteAlerts || !slices.Contains(alertMetrics, s.Metric.Get("__name__")) {
				all = append(all, fmt.Sprintf("%s %d: %x", s.Metric, s.T, s.F))
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

const chain = `
groups:
  - name: alerts
    interval: 2m
    rules:
      - {alert: High, expr: "job:x:sum > 3", for: 4m, keep_firing_for: 5m, labels: {severity: page}, annotations: {summary: "{{ $labels.job }} is at {{ $value }}"}}
      - {alert: Each, expr: "x > 2", labels: {level: "{{ $value }}"}, annotations: {summary: "{{ $labels.i }}"}}
      - {alert: Any, expr: "count(ALERTS{alertname='High', alertstate='firing'}) > 0", annotations: {summary: "{{ $value }}"}}
      - {alert: Gone, expr: absent(x), for: 2m, keep_firing_for: 5m}
  - name: records
    interval: 3m
    rules:
      - {record: "job:x:sum", expr: "sum by (job) (x)"}
      - {record: "other", expr: "y > 1"}
`

// What is evaluated rule by rule must be what a server does, over the same random series.
func TestByRuleEqualsByTime(t *testing.T) {
	all := compiled(t, chain)
	r := rand.New(rand.NewPCG(1, 2))
	active := 0
	for range 40 {
		var series []string
		for i := range 1 + r.IntN(3) {
			text := fmt.Sprintf(`x{job="a",i="%d"}`, i)
			for range 1 + r.IntN(6) {
				text += []string{" %dx%d", " _x%[2]d", " stale %[1]dx%[2]d"}[r.IntN(3)]
				text = fmt.Sprintf(text, r.IntN(5), 1+r.IntN(8))
				text = strings.Split(text, "%!")[0]
			}
			series = append(series, text)
		}
		in := Input{Data: data(t, series...), Length: 37 * time.Minute, Interval: time.Minute, OneInterval: r.IntN(2) == 0, WriteAlerts: r.IntN(2) == 0}
		for _, one := range all.rules {
			if one.Alerting {
				in.Watch = append(in.Watch, one)
			}
		}
		fast, err := all.RunByRule(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		slow, err := all.RunByTime(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, alert := range in.Watch {
			if got, want := fast.history(t, alert), slow.history(t, alert); got != want {
				t.Errorf("%s with %q, one interval %v: by rule\n%s\nby time\n%s", alert.Name, series, in.OneInterval, got, want)
			}
			if len(fast.States(alert)) > 0 {
				active++
			}
		}
		if got, want := fast.recordings(t), slow.recordings(t); got != want {
			t.Errorf("%q, one interval %v: by rule\n%s\nby time\n%s", series, in.OneInterval, got, want)
		}
		for _, one := range all.rules {
			if fast.Recorded(one) != slow.Recorded(one) {
				t.Errorf("%s recorded: by rule %v, by time %v", one.Name, fast.Recorded(one), slow.Recorded(one))
			}
		}
		slow.Close()
	}
	if active < 40 {
		t.Errorf("alerts were active in %d runs: too few to compare", active)
	}
}

func TestNeeded(t *testing.T) {
	all := compiled(t, chain)
	names := func(r *Rules) string {
		var all []string
		for _, one := range r.rules {
			all = append(all, one.Name)
		}
		return strings.Join(all, " ")
	}
	for alert, want := range map[string]string{"High": "job:x:sum High", "Each": "Each", "Any": "job:x:sum High Any", "Gone": "Gone"} {
		if got := names(all.Needed([]*Rule{all.named(t, alert)})); got != want {
			t.Errorf("%s needs %s, want %s", alert, got, want)
		}
	}
	expr, err := all.compiler.Expression("job:x:sum > 3")
	if err != nil {
		t.Fatal(err)
	}
	if got := names(all.Needed(nil, expr)); got != "job:x:sum" {
		t.Errorf("%s needs %s", expr.Text, got)
	}
	if got := names(all.Live(map[string]bool{"y": true})); got != "other Any Gone" {
		t.Errorf("with y, %s can have a value", got)
	}
	if got := len(all.Dependent([]*Rule{all.named(t, "job:x:sum")})); got != 3 {
		t.Errorf("%d rules depend on job:x:sum, want 3: itself, High and Any", got)
	}
}

// A recorded series that is older than the lookback is no more when it is read.
func TestOwnIntervals(t *testing.T) {
	all := compiled(t, `
groups:
  - {name: slow, interval: 10m, rules: [{record: slow, expr: x > 1}]}
  - {name: fast, rules: [{alert: Slow, expr: slow > 1, for: 15m}, {alert: Short, expr: slow > 1}]}
`)
	slow, short := all.named(t, "Slow"), all.named(t, "Short")
	in := Input{Data: data(t, "x 2x60"), Length: time.Hour, Interval: time.Minute, Watch: []*Rule{slow, short}}
	run, err := all.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range run.States(slow) {
		if len(s.Firing) > 0 {
			t.Errorf("Slow fires at %s", s.At)
		}
	}
	if at := run.Start.Add(14 * time.Minute); len(run.At(short, at).Firing) != 1 || run.At(short, at.Add(time.Minute)).Active() {
		t.Errorf("Short: %v", run.States(short))
	}
	values, err := run.Values(t.Context(), "slow", run.Start.Add(12*time.Minute))
	if err != nil || len(values) != 1 || values[0].F != 2 {
		t.Errorf("slow is %v, %v", values, err)
	}
	held, err := run.Range(t.Context(), "slow > 1", run.Start, run.end(), time.Minute)
	if err != nil || len(held) != 1 || len(held[0].Floats) != 31 { // 5 of each 10 minutes, and the last
		t.Errorf("slow > 1 holds %v, %v", held, err)
	}
	in.OneInterval = true
	if run, err = all.Run(t.Context(), in); err != nil || len(run.At(slow, run.end()).Firing) != 1 {
		t.Errorf("with one interval, Slow: %v, %v", run.States(slow), err)
	}
}

func TestErrorOfARule(t *testing.T) {
	all := compiled(t, `{groups: [{name: g, rules: [{record: r, expr: a * on (i) b}, {alert: A, expr: r > 0}]}]}`)
	in := Input{Data: data(t, `a{i="1"} 1`, `b{i="1",j="1"} 1`, `b{i="1",j="2"} 1`), Interval: time.Minute}
	for name, run := range map[string]func() (*Run, error){
		"by rule": func() (*Run, error) { return all.RunByRule(t.Context(), in) },
		"by time": func() (*Run, error) { return all.RunByTime(t.Context(), in) },
	} {
		_, err := run()
		failed, ok := errors.AsType[*RuleError](err)
		if !ok || failed.Rule.Name != "r" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMayQuery(t *testing.T) {
	for text, want := range map[string]bool{
		`{{ query "up" | first | value }}`:                        true,
		`{{ with printf "a{b='}}'}" . | query }}{{ . }}{{ end }}`: true,
		`{{ $labels.job }} has slow query {{ $value }}`:           false,
		`slow query`: false,
		`{{ query`:   false,
	} {
		if mayQuery(text) != want {
			t.Errorf("%s: want %v", text, want)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	all := compiled(b, `{groups: [{name: g, rules: [{alert: Errors, expr: 'rate(errors_total[5m]) > 0.1', for: 10m, labels: {severity: page}, annotations: {summary: '{{ $labels.instance }} fails'}}]}]}`)
	alert := all.named(b, "Errors")
	needed := all.Needed([]*Rule{alert})
	var series []string
	for i := range 4 {
		series = append(series, fmt.Sprintf(`errors_total{job="api",instance="%d"} 0+%dx20 100+1x10 1000+%dx30`, i, 5*i, 10*i))
	}
	in := Input{Data: data(b, series...), Length: 59 * time.Minute, Interval: time.Minute, Watch: []*Rule{alert}}
	b.ReportAllocs()
	for b.Loop() {
		run, err := needed.Run(b.Context(), in)
		if err != nil || run.memory == nil || len(run.States(alert)) == 0 {
			b.Fatal(err, run)
		}
	}
}
