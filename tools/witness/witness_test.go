package witness

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/common/model"

	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/ruletest"
)

// derive finds the boundaries of an expression, with more lines of its rule.
func derive(t *testing.T, expr string, more ...string) Derived {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yml")
	text := "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |-\n      " + strings.ReplaceAll(expr, "\n", "\n      ") + "\n" + strings.Join(more, "")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	alerts, err := rule.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	found, err := Derive(t.Context(), alerts[0], time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// rows are the boundaries of an alert, in few words.
func rows(d Derived) []string {
	var all []string
	for _, b := range d.Boundaries {
		all = append(all, strings.Join([]string{b.Fires, b.Quiet, model.Duration(b.After).String()}, " | "))
	}
	for _, u := range d.Unknown {
		all = append(all, "not understood: "+u.Condition+": "+u.Reason)
	}
	return all
}

func TestShapes(t *testing.T) {
	for expr, want := range map[string][]string{
		"x < 7 * 86400":  {"x at 604799 | 604800 | 0s"},
		"x <= 0":         {"x at 0 | 1 | 0s"},
		"100 >= x":       {"x at 100 | 101 | 0s"},
		"x > 0.85":       {"x at 0.86 | 0.85 | 0s"},
		"x >= 1.50":      {"x at 1.5 | 1.49 | 0s"},
		"x > 1e3":        {"x at 1001 | 1000 | 0s"},
		"-x > 5":         {"x at -6 | -5 | 0s"},
		"x > bool 5 > 0": {"x at 6 | 5 | 0s"},
		"up == 0":        {"up at 0 | 1 | 0s"},
		"x == 5":         {"x at 5 | 6, 4 | 0s"},
		"x != 3":         {"x at 4, 2 | 3 | 0s"},
		"x > 10 < 20":    {"x at 19 | 20 | 0s", "x at 11 | 10 | 0s"},
		`a > 5 and on (instance) b{mode="on"} == 1`: {"a at 6 | 5 | 0s", "b at 1 | 0, 2 | 0s"},
		"a > 5 or b < 2": {"a at 6 | 5 | 0s", "b at 1 | 2 | 0s"},
		"a > 5 unless on (instance) maintenance == 1":                {"a at 6 | 5 | 0s", "maintenance at 0, 2 | 1 | 0s"},
		`up{job="a"} unless on (job) seconds or absent(up{job="a"})`: {"seconds missing | there | 0s", "up missing | there | 0s"},
		"absent(up == 1)":                  {"up at 0, 2 | 1 | 0s"},
		"absent_over_time(heartbeat[10m])": {"heartbeat missing | there | 0s"},
		"failure_info":                     {"failure_info there | missing | 0s"},
		"rate(x_total[5m]) > 0.5":          {"x_total rising by 31 each 1m (0.516667) | rising by 30 each 1m (0.5) | 0s"},
		"rate(x_total[1m]) > 1":            {"x_total rising by 31 each 30s (1.03333) | rising by 30 each 30s (1) | 0s"},
		"increase(x_total[10m]) > 3":       {"x_total rising by 0.4 each 1m (4) | rising by 0.3 each 1m (3) | 0s"},
		"rate(x_total[5m]) < 1":            {"x_total rising by 59 each 1m (0.983333) | rising by 60 each 1m (1) | 0s"},
		`sum by (job) (rate(r{code=~"5.."}[5m])) / sum by (job) (rate(r[5m])) > 0.05`: {"r rising by 6 each 1m (0.0594059) | rising by 5 each 1m (0.05) | 0s"},
		"rate(a[5m]) / (rate(a[5m]) + rate(b[5m])) < 0.8 and rate(a[5m]) + rate(b[5m]) > 1": {
			"a rising by 400 each 1m (0.7999999999999999) | rising by 401 each 1m (0.800399) | 0s", "b rising by 60 each 1m (1.01667) | rising by 59 each 1m (1) | 0s"},
		"rate(a[5m]) / (rate(a[5m]) + rate(b[5m])) < 0.8 and rate(a[5m]) + rate(b[5m]) > 0.01": {
			"a rising by 400 each 1m (0.7999999999999999) | rising by 401 each 1m (0.800399) | 0s",
			"not understood: rate(a[5m]) + rate(b[5m]) > 0.01: another condition changes at a rising by 400 each 1m"},
		"avail / size * 100 < 10":     {"avail at 9 (9) | 10 (10) | 0s"},
		"(size - avail) / size > 0.9": {"avail at 9 (0.91) | 10 (0.9) | 0s"},
		"used / size > 0.999":         {"used at 1000 (1) | 999 (0.999) | 0s"},
		`100 - avg by (instance) (rate(cpu{mode="idle"}[5m])) * 100 > 80`: {"cpu rising by 11 each 1m (81.6667) | rising by 12 each 1m (80) | 0s"},
		"max(x) > 3":                                                    {"x at 4 | 3 | 0s"},
		"min without (cpu) (x) > 3":                                     {"x at 4 | 3 | 0s"},
		"count by (job) (up == 0) > 2":                                  {"3 series of up | 2 series | 0s", "up at 0 | 1 | 0s"},
		"count(count by (version) (build_info)) > 1":                    {"2 series of build_info | 1 series | 0s"},
		"histogram_quantile(0.9, sum by (le) (rate(l_bucket[5m]))) > 2": {"l_bucket with 89 of 100 within 2 (2.18182) | with 90 of 100 within 2 (2) | 0s"},
		"time() - last > 26 * 3600":                                     {"last 93601s ago (93601) | 93600s ago (93600) | 0s"},
		"not_after - time() < 604800":                                   {"not_after in 604799s (604799) | in 604800s (604800) | 0s"},
		"(time() - max(last)) / 3600 > 24":                              {"last 86401s ago (24.0003) | 86400s ago (24) | 0s"},
		"predict_linear(free[1h], 4 * 3600) < 0":                        {"free falling from 18119 | falling from 18120 | 0s"},
		"changes(state[15m]) > 3":                                       {"state changing 4 times (4) | changing 3 times (3) | 0s"},
		"resets(x_total[1h]) > 2":                                       {"x_total reset 3 times (3) | reset 2 times (2) | 0s"},
		"avg_over_time(x[30m]) > 5":                                     {"x at 6 | 5 | 0s"},
		"max_over_time(rate(x[5m])[30m:1m]) > 1":                        {"x rising by 61 each 1m (1.01667) | rising by 60 each 1m (1) | 0s"},
		"vector(1)":                                                     {"always | never | 0s"},
		"vector(1) > 5":                                                 {"not understood: vector(1) > 5: it selects no series: it always or never holds"},
		"x > 5 and hour() > 8":                                          {"not understood: x > 5 and hour() > 8: it depends on the time of day or the date (hour)"},
		"x - x offset 1h > 5":                                           {"not understood: x - x offset 1h > 5: it compares x with its own past"},
		"stddev(x) > 5":                                                 {"not understood: stddev(x) > 5: stddev depends on how values are spread over series"},
	} {
		t.Run(expr, func(t *testing.T) {
			NewWithT(t).Expect(rows(derive(t, expr))).To(Equal(want))
		})
	}
}

func TestContradiction(t *testing.T) {
	NewWithT(t).Expect(rows(derive(t, "x > 5 < 3"))).To(ContainElement(HavePrefix("not understood: x > 5 < 3: ")))
}

func TestLimits(t *testing.T) {
	g := NewWithT(t)
	g.Expect(rows(derive(t, "max_over_time(x[10y]) > 5"))).To(ConsistOf(ContainSubstring("more than promtool loads")))
	g.Expect(rows(derive(t, "x > 5"+strings.Repeat(" or y > 5", 40)))).To(ConsistOf(ContainSubstring("it has 41 conditions, more than 40")))
}

func TestFor(t *testing.T) {
	g := NewWithT(t)
	d := derive(t, "x < 604800", "    for: 1h\n    keep_firing_for: 10m\n")
	g.Expect(rows(d)).To(Equal([]string{"x at 604799 | 604800 | 1h"}))
	b := d.Boundaries[0]
	g.Expect(b.Clears).To(Equal([]string{"604800: after 10m", "x gone: after 10m"}))
	var seen []string
	for _, s := range b.Scenarios {
		line := s.Name
		for _, in := range s.Series {
			line += "; " + in.Series + " " + in.Values
		}
		for _, c := range s.Checks {
			line += "; " + model.Duration(c.At).String() + map[bool]string{true: " fires", false: " quiet"}[len(c.Firing) > 0]
		}
		seen = append(seen, line)
	}
	g.Expect(seen).To(Equal([]string{
		"A is quiet with x at 604800; x 604800x60; 1h quiet",
		"A fires with x at 604799 for 1h; x 604799x60 604800x10; 59m quiet; 1h fires; 1h10m fires; 1h11m quiet",
		"A begins again after a gap of 1m; x 604799x30 604800 604799x60; 1h quiet; 1h31m quiet; 1h32m fires",
		"A is resolved when x is no longer reported; x 604799x60 stale; 1h fires; 1h11m quiet",
	}))
}

// At 400 of 500 the quotient is a last bit below 0.8 at some evaluations, and 0.8 at others.
func TestForOfAValueThatRoundingChanges(t *testing.T) {
	NewWithT(t).Expect(rows(derive(t, "rate(a[5m]) / (rate(a[5m]) + rate(b[5m])) < 0.8 and rate(a[5m]) + rate(b[5m]) > 1", "    for: 15m\n"))).To(Equal([]string{
		"a rising by 399 each 1m (0.799599) | rising by 401 each 1m (0.800399) | 15m", "b rising by 60 each 1m (1.01667) | rising by 59 each 1m (1) | 15m"}))
}

func TestIntervalOfTheGroup(t *testing.T) {
	g := NewWithT(t)
	alert := rule.Alert{Name: "A", Expr: "x > 5", For: 90 * time.Second}
	for interval, want := range map[time.Duration]time.Duration{15 * time.Second: 90 * time.Second, time.Minute: 2 * time.Minute} {
		found, err := Derive(t.Context(), alert, interval)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(found.Boundaries[0].After).To(Equal(want))
	}
	_, err := Derive(t.Context(), alert, 0)
	g.Expect(err).To(MatchError("evaluation interval 0s: must be positive"))
	_, err = Derive(t.Context(), rule.Alert{Name: "A", Expr: "x >"}, time.Minute)
	g.Expect(err).To(MatchError(ContainSubstring("the expression of A")))
}

func TestLabelsThatAnnotationsShow(t *testing.T) {
	g := NewWithT(t)
	d := derive(t, `x{job=~"api|web", env!="test", pod=~"db-[0-9]+"} > 5`, "    annotations: {summary: '{{ $labels.instance }} is at {{ $value }}'}\n")
	s := d.Boundaries[0].Scenarios[1]
	g.Expect(s.Series[0].Series).To(Equal(`x{instance="host-1:9100", job="api", pod="db-1"}`))
	g.Expect(s.Checks[0].Firing[0].Annotations.Get("summary")).To(Equal("host-1:9100 is at 6"))
}

func TestTable(t *testing.T) {
	g := NewWithT(t)
	all := []Answered{{Result: answer(t, "x < 604800", "    for: 1h\n")}, {Result: answer(t, "stddev(x) > 5")}, {Result: answer(t, "x > 5 < 3")},
		{Result: answer(t, "vector(1)"), Meant: true}, {Result: answer(t, "x == 0 and x offset 1h > 0", "    for: 1h\n")}}
	for i := range all {
		all[i].Alert.File = "rules.yml"
		all[i].Alert.Name += strconv.Itoa(i)
	}
	all[2].Suppressed = "a rehearsal"
	var out strings.Builder
	g.Expect(WriteTable(&out, all)).To(Succeed())
	g.Expect(out.String()).To(Equal(`ALERT  FIRES AT                               NOT AT  AFTER  CLEARS WHEN
A0     x at 604799                            604800  1h     604800: at once
                                                             x gone: at once
A1     not known
A2     never fires, suppressed: a rehearsal
A3     always fires, as is meant
A4     never fires, if exporters do as usual
rules.yml:6:7: A1: not known: stddev depends on how values are spread over series
`))
}

// A condition without a boundary is never missing beside one that has one, and namesakes can be told apart.
func TestTableOfPartsAndNamesakes(t *testing.T) {
	g := NewWithT(t)
	part := Answered{Result: Result{Alert: rule.Alert{Name: "A", File: "a.yml", Line: 1, Expr: "x > 1 and y > 2"}, Answer: Fires,
		Boundaries: []Boundary{{Fires: "x at 2", Quiet: "1", After: time.Minute}}, Unknown: []Unknown{{"y > 2", "it is\nhard"}}}}
	input := part
	input.Alert.Line, input.Boundaries, input.Unknown = 7, nil, nil
	input.Input = Scenario{Series: []Series{{"x", "2x5"}}, Checks: []Check{{Firing: []Firing{{}}}}}
	var out strings.Builder
	g.Expect(WriteTable(&out, []Answered{part, input})).To(Succeed())
	g.Expect(out.String()).To(Equal(`ALERT        FIRES AT             NOT AT  AFTER  CLEARS WHEN
A (a.yml:1)  x at 2               1       1m
             not known for y > 2
A (a.yml:7)  x 2x5
a.yml:1:1: A: not known for y > 2: it is hard
`))
}

func TestJSON(t *testing.T) {
	g := NewWithT(t)
	never := Answered{Result: answer(t, "count(x) == 0")}
	var out strings.Builder
	g.Expect(WriteJSON(&out, []Answered{{Result: answer(t, "x > 5", "    for: 2m\n")}, never, {Result: answer(t, "vector(1)"), Meant: true}})).To(Succeed())
	var document struct {
		Alerts []struct {
			Answer     string
			Reasons    []struct{ Places []jsonPlace }
			Exporters  bool
			Input      *jsonInput
			Boundaries []jsonBoundary
			Unknown    []jsonUnknown
		}
		Fires, Never, Always, NotKnown, Failed int
	}
	d := json.NewDecoder(strings.NewReader(out.String()))
	g.Expect(d.Decode(&document)).To(Succeed())
	g.Expect(out.String()).NotTo(ContainSubstring("null"))
	g.Expect([]int{document.Fires, document.Never, document.Always, document.NotKnown, document.Failed}).To(Equal([]int{1, 1, 1, 0, 1}))
	fires := document.Alerts[0]
	g.Expect(fires.Input).To(Equal(&jsonInput{"1m", []jsonSeries{{"x", "6x2 5"}}, []jsonCheck{{"1m", 0}, {"2m", 1}, {"3m", 0}}}))
	g.Expect(fires.Boundaries).To(Equal([]jsonBoundary{{"x > 5", "x at 6", "5", "2m", []string{"5: at once", "x gone: at once"}}}))
	g.Expect(document.Alerts[1].Exporters).To(BeFalse())
	g.Expect(document.Alerts[1].Reasons).To(HaveLen(1))
	g.Expect(document.Alerts[1].Reasons[0].Places).NotTo(BeEmpty())
	place := document.Alerts[1].Reasons[0].Places[0]
	g.Expect([]int{place.Line, place.EndLine, place.EndColumn - place.Column + 1}).To(Equal([]int{6, 6, len(place.Text)}))
}

// answer is the answer for an expression, with more lines of its rule.
func answer(t *testing.T, expr string, more ...string) Result {
	t.Helper()
	found := derive(t, expr, more...)
	all, err := Answers(t.Context(), []rule.Alert{found.Alert}, nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// generated returns the tests generated for a folder of rules, as they are in place there, and their results.
func generated(t *testing.T, dir string) ([]Generated, *ruletest.Result) {
	t.Helper()
	set, err := rule.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := Answers(t.Context(), set.Alerts, set.Recordings, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Generate(t.Context(), set, all, dir)
	if err != nil {
		t.Fatal(err)
	}
	var tests []string
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := os.WriteFile(path, f.Content, 0o644); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, "_test.yml") {
			tests = append(tests, path)
		}
	}
	result, err := ruletest.Load(tests, ruletest.Options{}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := result.Err(); err != nil {
		t.Fatal(err)
	}
	for _, f := range result.Files {
		for _, one := range f.Tests {
			if one.Failed() {
				t.Errorf("%s: %v", one.Name, one.Failures)
			}
		}
	}
	return files, result
}

// An input without checks gets those that show it.
func TestGeneratedChecks(t *testing.T) {
	g := NewWithT(t)
	file := filepath.Join(t.TempDir(), "a.yml")
	g.Expect(os.WriteFile(file, []byte("groups: [{name: g, rules: [{alert: A, expr: x > 1, for: 2m}, {alert: B, expr: vector(1), for: 3m}]}]"), 0o644)).To(Succeed())
	set, err := rule.ReadDir(filepath.Dir(file))
	g.Expect(err).NotTo(HaveOccurred())
	all := []Result{{Alert: set.Alerts[0], Interval: time.Minute, Answer: Fires, Input: Scenario{Interval: time.Minute, Series: []Series{{"x", "0 2x3 0x3"}}}},
		{Alert: set.Alerts[1], Interval: time.Minute, Answer: Always}}
	one, err := GenerateOne(t.Context(), set, all, filepath.Dir(file))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(one.Tests).To(Equal(2))
	g.Expect(string(one.Content)).To(And(
		ContainSubstring("- {eval_time: 2m, alertname: A} # not yet\n      - eval_time: 3m\n        alertname: A\n        exp_alerts:\n"),
		ContainSubstring("- {eval_time: 5m, alertname: A} # resolved\n"),
		ContainSubstring("- {eval_time: 2m, alertname: B} # not yet\n      - eval_time: 3m\n")))
}

// What is generated passes: of every shape, and of the rules that are deployed.
func TestGeneratedTestsPass(t *testing.T) {
	for _, file := range []string{"testdata/shapes.yml", "../../rules/api.yml", "../../rules/meta.yml", "../../rules/storage.yml", "../../rules/tls.yml"} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			g := NewWithT(t)
			dir := t.TempDir()
			content, err := os.ReadFile(file)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(os.WriteFile(filepath.Join(dir, filepath.Base(file)), content, 0o644)).To(Succeed())
			files, result := generated(t, dir)
			alerts, err := rule.LoadDir(dir)
			g.Expect(err).NotTo(HaveOccurred())
			fired := map[string]bool{}
			for _, one := range result.Files[0].Tests {
				fired[strings.Fields(one.Name)[0]] = true
			}
			for _, a := range alerts {
				g.Expect(fired).To(HaveKey(a.Name))
			}
			g.Expect(result.Files[0].Tests).To(HaveLen(files[0].Tests))
			g.Expect(string(files[0].Content)).NotTo(ContainSubstring("has no test"))
		})
	}
}

func FuzzDerive(f *testing.F) {
	for _, seed := range []string{
		"x < 604800", `a{b=~"[c-e].*|"} / on (b) group_left () c > 0.5 and absent(d)`, "rate(x[1s]) > 1e30", "x == NaN", "x > Inf",
		"histogram_quantile(2, l_bucket) > 1", "predict_linear(x[1m], 1) > time()", "changes(x[5m:1s]) > 1", "count(x) by (a, a) != 0",
		`{__name__=~".+"} unless {a=""}`, "x ^ 2 % 3 > y", "topk(1, x) > 3", "scalar(x) > bool 3", "absent(absent(x))",
	} {
		f.Add(seed, uint16(60))
	}
	f.Fuzz(func(t *testing.T, expr string, hold uint16) {
		if len(expr) > 200 {
			return
		}
		found, err := Derive(t.Context(), rule.Alert{Name: "A", Expr: expr, For: time.Duration(hold%3600) * time.Second}, time.Minute)
		if err == nil && len(found.Boundaries)+len(found.Unknown) == 0 {
			t.Errorf("%q has no boundary and no reason", expr)
		}
	})
}

func BenchmarkDeriveOwnRules(b *testing.B) {
	alerts, err := rule.LoadDir("../../rules")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, a := range alerts {
			if _, err := Derive(b.Context(), a, time.Minute); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(alerts)*b.N)/b.Elapsed().Seconds(), "alerts/s")
}
