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

	"github.com/stemedb/firedrill/tools/check"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/ruletest"
)

// answer is the answer for an expression, with more lines of its rule.
func answer(t *testing.T, expr string, more ...string) Result {
	t.Helper()
	text := "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |-\n      " + strings.ReplaceAll(expr, "\n", "\n      ") + "\n" + strings.Join(more, "")
	return answers(t, text)[0]
}

// answers are the answers for the alerts of a rule file.
func answers(t *testing.T, text string) []Result {
	t.Helper()
	set, err := rule.Parse("rules.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := Find(t.Context(), set, set.Alerts, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// rows are an answer in few words: the boundaries where it fires, else what it is.
func rows(r Result) []string {
	var all []string
	for _, b := range r.Boundaries {
		all = append(all, strings.Join([]string{b.Fires, b.Quiet, model.Duration(b.After).String()}, " | "))
	}
	for _, u := range r.Unknown {
		all = append(all, "not known: "+u.Condition)
	}
	if r.Answer != Fires {
		all = append(all, string(r.Answer))
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
		"-x > 5":         {"x at -6 (6) | -5 (5) | 0s"},
		"x > bool 5 > 0": {"x at 6 (1) | 5 (0) | 0s"},
		"up == 0":        {"up at 0 | 1 | 0s"},
		"x == 5":         {"x at 5 | 6, 4 | 0s"},
		"x != 3":         {"x at 4, 2 | 3 | 0s"},
		"x > 10 < 20":    {"x at 11 | 10 | 0s", "x at 19 | 20 | 0s"},
		`a > 5 and on (instance) b{mode="on"} == 1`: {"a at 6 | 5 | 0s", "b at 1 | 0, 2 | 0s"},
		"a > 5 or b < 2": {"a at 6 | 5 | 0s", "b at 1 | 2 | 0s"},
		"a > 5 unless on (instance) maintenance == 1":                {"a at 6 | 5 | 0s", "maintenance missing | there | 0s"},
		`up{job="a"} unless on (job) seconds or absent(up{job="a"})`: {"seconds missing | there | 0s"},
		"absent(up == 1)":                  {"up missing | there | 0s"},
		"absent_over_time(heartbeat[10m])": {"heartbeat missing | there | 0s"},
		"failure_info":                     {"failure_info there | missing | 0s"},
		"rate(x_total[5m]) > 0.5":          {"x_total rising by 31 each 1m (0.516667) | rising by 30 each 1m (0.5) | 0s"},
		"rate(x_total[1m]) > 1":            {"x_total rising by 31 each 30s (1.03333) | rising by 30 each 30s (1) | 0s"},
		"increase(x_total[10m]) > 3":       {"x_total rising by 0.4 each 1m (4) | rising by 0.3 each 1m (3) | 0s"},
		"rate(x_total[5m]) < 1":            {"x_total rising by 59 each 1m (0.983333) | rising by 60 each 1m (1) | 0s"},
		`sum by (job) (rate(r{code=~"5.."}[5m])) / sum by (job) (rate(r[5m])) > 0.05`:          {"r rising by 1899 each 1m (0.050025) | rising by 1900 each 1m (0.05) | 0s"},
		"rate(a[5m]) / (rate(a[5m]) + rate(b[5m])) < 0.8 and rate(a[5m]) + rate(b[5m]) > 1":    {"b rising by 26 each 1m (0.793651) | rising by 24 each 1m (0.806452) | 0s", "b rising by 61 each 1m (1.01667) | rising by 60 each 1m (1) | 0s"},
		"rate(a[5m]) / (rate(a[5m]) + rate(b[5m])) < 0.8 and rate(a[5m]) + rate(b[5m]) > 0.01": {"b rising by 26 each 1m (0.793651) | rising by 24 each 1m (0.806452) | 0s", "b rising by 0.7 each 1m (0.0116667) | rising by 0.5 each 1m (0.00833333) | 0s"},
		"avail / size * 100 < 10":     {"avail at 9 | 10 | 0s"},
		"(size - avail) / size > 0.9": {"avail at 100 (0.9001) | 100.1 (0.9) | 0s"},
		"used / size > 0.999":         {"used at 100 (1) | 99.8 (0.998) | 0s"},
		`100 - avg by (instance) (rate(cpu{mode="idle"}[5m])) * 100 > 80`: {"cpu rising by 11 each 1m (81.6667) | rising by 12 each 1m (80) | 0s"},
		"max(x) > 3":                                                    {"x at 4 | 3 | 0s"},
		"min without (cpu) (x) > 3":                                     {"x at 4 | 3 | 0s"},
		"count by (job) (up == 0) > 2":                                  {"up{instance=\"host-1:9100\"} at 0 | 1 | 0s", "3 series of up | 2 series | 0s"},
		"count(count by (version) (build_info)) > 1":                    {"2 series of build_info | 1 series | 0s"},
		"histogram_quantile(0.9, sum by (le) (rate(l_bucket[5m]))) > 2": {"l_bucket with 89 of 100 within 2 (2.18182) | with 90 of 100 within 2 (2) | 0s"},
		"time() - last > 26 * 3600":                                     {"last 93601s ago (93601) | 93600s ago (93600) | 0s"},
		"not_after - time() < 604800":                                   {"not_after in 604799s (604799) | in 604800s (604800) | 0s"},
		"(time() - max(last)) / 3600 > 24":                              {"last 86401s ago (24.0003) | 86400s ago (24) | 0s"},
		"predict_linear(free[1h], 4 * 3600) < 0":                        {"free falling by 0.42 each 1m to 100 (-0.8) | falling by 0.41 each 1m to 100 (1.6) | 0s"},
		"changes(state[15m]) > 3":                                       {"state changing each 4m (4) | changing each 5m (3) | 0s"},
		"resets(x_total[1h]) > 2":                                       {"x_total reset each 20m (3) | reset each 21m (2) | 0s"},
		"avg_over_time(x[30m]) > 5":                                     {"x at 6 | 5 | 0s"},
		"max_over_time(rate(x[5m])[30m:1m]) > 1":                        {"x rising by 61 each 1m (1.01667) | rising by 60 each 1m (1) | 0s"},
		"vector(1)":                                                     {"always fires"},
		"vector(1) > 5":                                                 {"never fires"},
		"x > 5 and hour() > 8":                                          {"never fires"},
		"x - x offset 1h > 5":                                           {"x at 94 before, at 100 since (6) | at 95 before, at 100 since (5) | 0s"},
		"stddev(x) > 5":                                                 {"x{instance=\"host-1:9100\"} at 111 (5.5) | 110 (5) | 0s"},
		"absent(x) == 1":                                                {"x missing | there | 0s"},
		"absent(x) > 0":                                                 {"x missing | there | 0s"},
		"absent_over_time(x[5m]) > 0":                                   {"x missing | there | 0s"},
		"sum(up == bool 0) > 2":                                         {"up{instance=\"host-1:9100\"} at 0 | 1 | 0s"},
		"count(x) > 0":                                                  {"1 series of x | no series | 0s"},
		"3 <= round((e - time()) / 86400, 0.1) < 20":                    {"e in 254880s (3) | in 254879s (2.9) | 0s", "e in 1723679s (19.9) | in 1723680s (20) | 0s"},
		"round((e - time()) / 86400, 0.1) < 0":                          {"e 4321s ago (-0.1) | 4320s ago (0) | 0s"},
		`absent(m{job="x"}) and up{job="x"} == 1`:                       {"never fires"},
		`{"disk.usage.percent"} > 90`:                                   {"{\"disk.usage.percent\"} at 91 | 90 | 0s"},
		"x / x offset 1d > 2":                                           {"x at 49.4 before, at 99 since (2.00405) | at 49.5 before, at 99 since (2) | 0s"},
		"x unless x offset 10m":                                         {"x new | there before | 0s"},
		"x offset 10m unless x":                                         {"x gone | there | 0s"},
		"time() - timestamp(x) > 120":                                   {"x with a sample each 4m (180) | with a sample each 3m (120) | 0s"},
		`count(count_values("v", config)) > 1`:                          {"2 series of config | 1 series | 0s"},
		"max by (job) (x) != min by (job) (x)":                          {"x{instance=\"host-1:9100\"} at 101, 99 | 100 | 0s"},
		"up == 0 unless on (job) (sum by (job) (up) == 0)":              {"up{instance=\"host-1:9100\"} at 0 | 1 | 0s", "up{instance=\"host-2:9100\"} at 1 | 0 | 0s"},
		"(count(x) or vector(0)) < 1":                                   {"x missing | there | 0s"},
		"time() - x > 86400 and x > 0":                                  {"x 86401s ago (86401) | 86400s ago (86400) | 0s", "x 86459s ago (1) | 86460s ago (0) | 0s"},
		"quantile(0.9, x) > 5":                                          {"x at 6 | 5 | 0s"},
		"quantile_over_time(0.5, x[10m]) > 5":                           {"x at 6 | 5 | 0s"},
		"changes(x[1m]) > 0":                                            {"x changing each 2m10s (1) | changing each 2m5s (0) | 0s"},
		"delta(x[10m]) < 0":                                             {"x falling by 1 each 1m to 100 (-10) | rising by 0 each 1m (0) | 0s"},
		"rate(x_total[15m]) / rate(x_total[1d]) > 2":                    {"x_total rising by 49 each 1m before, by 100 since (2.01891) | rising by 50 each 1m before, by 101 since (1.99875) | 0s"},
		"count without (sha256) (count by (job, sha256) (x)) > 1":       {"2 series of x | 1 series | 0s"},
		"x > 1 and on () day_of_week() == 0":                            {"x at 2 | 1 | 0s", "at 00:00 on Sunday, 11 January | at 23:00 on Saturday, 10 January | 0s"},
		"free_bytes / size_bytes < 0.1 and predict_linear(free_bytes[6h], 86400) < 0": {"size_bytes at 91 (0.0989011) | 90 (0.1) | 0s", "free_bytes falling by 0.00626 each 1m to 9 (-0.0144) | falling by 0.00625 each 1m to 9 (0) | 0s"},
		"x < 3 or y > 5": {"x at 2 | 3 | 0s", "y at 6 | 5 | 0s"},
		"a * on (job) group_left () topk(1, b) > 5":                                              {"a at 0.06 (6) | 0.05 (5) | 0s"},
		`label_replace(up, "node", "$1", "instance", "(.*):.*") * on (node) group_left () n > 3`: {"up at 1 | 0 | 0s"},
	} {
		t.Run(expr, func(t *testing.T) {
			NewWithT(t).Expect(rows(answer(t, expr))).To(Equal(want))
		})
	}
}

func TestFor(t *testing.T) {
	g := NewWithT(t)
	d := answer(t, "x < 604800", "    for: 1h\n    keep_firing_for: 10m\n")
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
		`A is quiet with x at 604800; x{instance="host-1:9100", job="job-1"} 604800x60; 1h quiet`,
		`A fires with x at 604799 for 1h; x{instance="host-1:9100", job="job-1"} 604799x60 604800x10; 59m quiet; 1h fires; 1h10m fires; 1h11m quiet`,
	}))
}

// At 25 of 125 the quotient differs from 0.8 by a last bit alone: that is no boundary.
func TestForOfAValueThatRoundingChanges(t *testing.T) {
	NewWithT(t).Expect(rows(answer(t, "rate(a[5m]) / (rate(a[5m]) + rate(b[5m])) < 0.8 and rate(a[5m]) + rate(b[5m]) > 1", "    for: 15m\n"))).To(Equal([]string{
		"b rising by 26 each 1m (0.793651) | rising by 24 each 1m (0.806452) | 15m", "b rising by 61 each 1m (1.01667) | rising by 60 each 1m (1) | 15m"}))
}

func TestIntervalOfTheGroup(t *testing.T) {
	for interval, want := range map[string]time.Duration{"15s": 90 * time.Second, "1m": 2 * time.Minute} {
		all := answers(t, "groups: [{name: g, interval: "+interval+", rules: [{alert: A, expr: x > 5, for: 90s}]}]")
		NewWithT(t).Expect(all[0].Boundaries[0].After).To(Equal(want))
	}
}

func TestLabelsThatAnnotationsShow(t *testing.T) {
	g := NewWithT(t)
	d := answer(t, `x{job=~"api|web", env!="test", pod=~"db-[0-9]+"} > 5`, "    annotations: {summary: '{{ $labels.instance }} is at {{ $value }}'}\n")
	s := d.Boundaries[0].Scenarios[1]
	g.Expect(s.Series[0].Series).To(Equal(`x{instance="host-1:9100", job="api", pod="db-1"}`))
	g.Expect(s.Checks[0].Firing[0].Annotations.Get("summary")).To(Equal("host-1:9100 is at 6"))
}

// A quantile without le has a finding that package check words.
func TestReasonsHaveFindings(t *testing.T) {
	r := answer(t, "histogram_quantile(0.9, sum(rate(foo_bucket[5m]))) > 1")
	g := NewWithT(t)
	g.Expect(r.Answer).To(Equal(Never))
	g.Expect(check.Never(r.Alert, r.Why, promql.Sure)).To(HaveLen(1))
}

func TestTable(t *testing.T) {
	g := NewWithT(t)
	all := []Answered{{Result: answer(t, "x < 604800", "    for: 1h\n")}, {Result: answer(t, "info(x) > 5")}, {Result: answer(t, "x > 5 < 3")},
		{Result: answer(t, "vector(1)"), Meant: true}, {Result: answer(t, "x == 0 and x offset 1h > 0", "    for: 1h\n")}}
	for i := range all {
		all[i].Alert.File = "rules.yml"
		all[i].Alert.Name += strconv.Itoa(i)
	}
	all[2].Suppressed = "a rehearsal"
	var out strings.Builder
	g.Expect(WriteTable(&out, all)).To(Succeed())
	g.Expect(out.String()).To(Equal(`ALERT  FIRES AT                              NOT AT  AFTER  CLEARS WHEN
A0     x at 604799                           604800  1h     604800: at once
                                                            x gone: at once
A1     not known
A2     never fires, suppressed: a rehearsal
A3     always fires, as is meant
A4     never fires
rules.yml:6:7: A1: not known: info() is not searched
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
	g.Expect(fires.Input).To(Equal(&jsonInput{"1m", "", []jsonSeries{{`x{instance="host-1:9100", job="job-1"}`, "6x2 5"}}, []jsonCheck{{"1m", 0}, {"2m", 1}, {"3m", 0}}}))
	g.Expect(fires.Boundaries).To(Equal([]jsonBoundary{{"x > 5", "x at 6", "5", "2m", []string{"5: at once", "x gone: at once"}}}))
	g.Expect(document.Alerts[1].Exporters).To(BeFalse())
	g.Expect(document.Alerts[1].Reasons).To(HaveLen(1))
	g.Expect(document.Alerts[1].Reasons[0].Places).NotTo(BeEmpty())
	place := document.Alerts[1].Reasons[0].Places[0]
	g.Expect([]int{place.Line, place.EndLine, place.EndColumn - place.Column + 1}).To(Equal([]int{6, 6, len(place.Text)}))
}

// generated returns the tests generated for a folder of rules, as they are in place there, and their results.
func generated(t *testing.T, dir string) ([]Generated, *ruletest.Result) {
	t.Helper()
	set, err := rule.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := Find(t.Context(), set, set.Alerts, time.Minute)
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

// Recordings are evaluated from their inputs at their own intervals, and ALERTS from the alerts of the files.
func TestWhatRulesWrite(t *testing.T) {
	all := answers(t, `
groups:
- name: slow
  interval: 10m
  rules:
  - {record: job:slow:sum, expr: sum by (job) (x)}
- name: fast
  rules:
  - {record: job:fast:sum, expr: sum by (job) (x), labels: {tier: gold}}
  - {alert: Cause, expr: cause > 1, for: 2m, labels: {severity: critical}}
- name: readers
  rules:
  - {alert: Recorded, expr: job:fast:sum > 5, for: 3m}
  - {alert: Labelled, expr: 'job:fast:sum{tier="gold"} > 5'}
  - {alert: AggregatedAway, expr: 'job:fast:sum{instance="a"} > 5'}
  - {alert: Slow, expr: job:slow:sum > 5}
  - {alert: TooSlow, expr: job:slow:sum > 5, for: 15m}
  - {alert: Range, expr: 'max_over_time(job:slow:sum[25m]) > 5', for: 15m}
  - {alert: Effect, expr: 'ALERTS{alertname="Cause", alertstate="firing"} == 1'}
  - {alert: OtherLabel, expr: 'ALERTS{alertname="Cause", severity="warning"} == 1'}
`)
	seen := map[string][]string{}
	for _, r := range all {
		seen[r.Alert.Name] = rows(r)
	}
	NewWithT(t).Expect(seen).To(Equal(map[string][]string{
		"Cause":          {"cause at 2 | 1 | 2m"},
		"Recorded":       {"x at 6 | 5 | 3m"},
		"Labelled":       {"x at 6 | 5 | 0s"},
		"AggregatedAway": {"never fires"},
		"Slow":           {"x at 6 | 5 | 0s"},
		"TooSlow":        {"never fires"},
		"Range":          {"x at 6 | 5 | 15m"},
		"Effect":         {"cause at 2 | 1 | 0s"},
		"OtherLabel":     {"not known"}, // perhaps another Prometheus has such an alert
	}))
}
