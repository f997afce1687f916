package mutate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/witness"
)

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// alert makes an alert A of an expression, with more lines of its rule.
func alert(t *testing.T, expr string, more ...string) rule.Alert {
	t.Helper()
	file := write(t, t.TempDir(), "rules.yml", "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |-\n      "+
		strings.ReplaceAll(expr, "\n", "\n      ")+"\n"+strings.Join(more, ""))
	alerts, err := rule.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return alerts[0]
}

// expressions are the mutants of an expression, each with what was done to it.
func expressions(t *testing.T, expr string) []string {
	t.Helper()
	mutants, err := Of(alert(t, expr))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range mutants {
		all = append(all, m.What+": "+m.Mutated.Expr)
	}
	return all
}

func TestMutantsOfExpressions(t *testing.T) {
	for expr, want := range map[string][]string{
		"x < 604800": {
			"comparison inverted: x > 604800", "comparison loosened or tightened: x <= 604800",
			"threshold x10: x < 6048000", "threshold /10: x < 60480",
			"threshold one unit higher: x < 604801", "threshold one unit lower: x < 604799",
			"threshold 10 % higher: x < 665280", "threshold 10 % lower: x < 544320",
		},
		"free < 7 * 86400 # a week": {
			"threshold x10: free < 70 * 86400 # a week", "threshold /10: free < 0.7 * 86400 # a week",
			"threshold one unit higher: free < 7 * 86400 + 1 # a week", "threshold one unit lower: free < 7 * 86400 - 1 # a week",
			"threshold 10 % higher: free < 7 * 86400 * 1.1 # a week", "threshold 10 % lower: free < 7 * 86400 * 0.9 # a week",
			"metric misspelt: fre < 7 * 86400 # a week",
		},
		"x > 0.85": {"threshold one unit higher: x > 0.86", "threshold one unit lower: x > 0.84", "threshold x10: x > 8.5"},
		"x <= 0":   {"threshold one unit higher: x <= 1", "threshold one unit lower: x <= -1", "comparison inverted: x >= 0", "comparison loosened or tightened: x < 0"},
		"x == 0":   {"comparison inverted: x != 0"},
		"100 > x":  {"comparison inverted: 100 < x", "threshold one unit higher: 101 > x"},
		"rate(x[5m]) > 1": {
			"window halved: rate(x[2m30s]) > 1", "window doubled: rate(x[10m]) > 1", "function changed: increase(x[5m]) > 1",
		},
		"max_over_time(rate(x[5m])[1h:1m]) > 1": {
			"window halved: max_over_time(rate(x[5m])[30m:1m]) > 1", "window halved: max_over_time(rate(x[2m30s])[1h:1m]) > 1",
		},
		"sum by (job, instance) (x) > 1": {
			"aggregation changed: avg by (job, instance) (x) > 1", "aggregation changed: max by (job, instance) (x) > 1",
			"by became without: sum without (job, instance) (x) > 1",
			"grouping label dropped: sum by (instance) (x) > 1", "grouping label dropped: sum by (job) (x) > 1",
		},
		"COUNT(x) WITHOUT(job) > 1": {
			"aggregation changed: sum(x) WITHOUT(job) > 1", "without became by: COUNT(x) by(job) > 1", "grouping label dropped: COUNT(x) WITHOUT() > 1",
		},
		`up{job="a", x=~"b,}", y!='c'} == 0`: {
			`matcher negated: up{job!="a", x=~"b,}", y!='c'} == 0`, `matcher dropped: up{x=~"b,}", y!='c'} == 0`,
			`matcher negated: up{job="a", x!~"b,}", y!='c'} == 0`, `matcher dropped: up{job="a", y!='c'} == 0`,
			`matcher negated: up{job="a", x=~"b,}", y='c'} == 0`, `matcher dropped: up{job="a", x=~"b,}"} == 0`,
		},
		`up{job="a"} == 0`: {`matcher dropped: up == 0`, `metric misspelt: u{job="a"} == 0`},
		"xx > 1 and on (job, instance) yy": {
			"and became unless: xx > 1 unless on (job, instance) yy", "and became or: xx > 1 or on (job, instance) yy",
			"matching label dropped: xx > 1 and on (instance) yy", "on became ignoring: xx > 1 and ignoring (job, instance) yy",
			"metric misspelt: xx > 1 and on (job, instance) y",
		},
		"xx unless yy":                    {"unless became and: xx and yy"},
		"xx or yy":                        {"or became and: xx and yy"},
		"predict_linear(x[1h], 7200) < 0": {"number x10: predict_linear(x[1h], 72000) < 0"},
	} {
		t.Run(expr, func(t *testing.T) {
			NewWithT(t).Expect(expressions(t, expr)).To(ContainElements(want))
		})
	}
	// Each mutant is one change, and none is the original.
	g := NewWithT(t)
	g.Expect(expressions(t, "x == 0")).To(HaveLen(4))
	g.Expect(expressions(t, "x < 604800")).To(HaveLen(9))
	g.Expect(expressions(t, "histogram_quantile(0.9, rate(x_bucket[5m])) > 1")).NotTo(ContainElement(HavePrefix("function changed")))
}

func TestMutantsOfFields(t *testing.T) {
	g := NewWithT(t)
	mutants, err := Of(alert(t, "x > 1",
		"    for: 1h\n    keep_firing_for: 10m\n    labels: {severity: critical}\n    annotations:\n      summary: 'of {{ $labels.job }} on {{ .Labels.instance }}'\n"))
	g.Expect(err).NotTo(HaveOccurred())
	var all []string
	for _, m := range mutants {
		if m.Field != "expr" {
			all = append(all, m.What+": "+strings.Join([]string{m.Field, m.From, m.To}, ","))
		}
	}
	g.Expect(all).To(Equal([]string{
		"for removed: for,1h,", "for halved: for,1h,30m", "for doubled: for,1h,2h",
		"keep_firing_for removed: keep_firing_for,10m,", "keep_firing_for halved: keep_firing_for,10m,5m",
		"severity changed: labels.severity,critical,warning",
		"annotation label misspelt: annotations.summary,job,jo", "annotation label misspelt: annotations.summary,instance,instanc",
	}))
	for _, m := range mutants {
		if m.Field == "annotations.summary" && m.From == "job" {
			g.Expect(m.Mutated.Annotations).To(HaveKeyWithValue("summary", "of {{ $labels.jo }} on {{ .Labels.instance }}"))
			g.Expect(m.Original.Annotations).To(HaveKeyWithValue("summary", "of {{ $labels.job }} on {{ .Labels.instance }}"))
		}
	}
}

func TestDiff(t *testing.T) {
	g := NewWithT(t)
	a := alert(t, "up{job=\"ä\"}  ==\n  0", "    for: 60m # an hour\n    labels: {severity: page}\n")
	content, err := os.ReadFile(a.File)
	g.Expect(err).NotTo(HaveOccurred())
	mutants, err := Of(a)
	g.Expect(err).NotTo(HaveOccurred())
	diffs := map[string]string{}
	for _, m := range mutants {
		_, lines, _ := strings.Cut(m.Diff(string(content)), "\n+++ "+a.File+"\n")
		diffs[m.What] = lines
	}
	g.Expect(diffs).To(HaveKeyWithValue("comparison inverted", "@@ -6 +6 @@\n-      up{job=\"ä\"}  ==\n+      up{job=\"ä\"}  !=\n"))
	g.Expect(diffs).To(HaveKeyWithValue("threshold one unit higher", "@@ -7 +7 @@\n-        0\n+        1\n"))
	g.Expect(diffs).To(HaveKeyWithValue("for removed", "@@ -8 +7,0 @@\n-    for: 60m # an hour\n"))
	g.Expect(diffs).To(HaveKeyWithValue("for halved", "@@ -8 +8 @@\n-    for: 60m # an hour\n+    for: 30m # an hour\n"))
	g.Expect(diffs).To(HaveKeyWithValue("severity changed", "@@ -9 +9 @@\n-    labels: {severity: page}\n+    labels: {severity: warning}\n"))
	g.Expect(diffs).To(HaveKeyWithValue("matcher dropped", "@@ -6 +6 @@\n-      up{job=\"ä\"}  ==\n+      up  ==\n"))
}

func TestEquivalents(t *testing.T) {
	g := NewWithT(t)
	a := alert(t, "x > 2 * 30", "    for: 1m\n")
	b := a
	b.Expr = "x > 60"
	g.Expect(Mutant{Original: a, Mutated: b, Field: "expr"}.Equivalent()).To(ContainSubstring("constants"))
	b.Expr = "x > 61"
	g.Expect(Mutant{Original: a, Mutated: b, Field: "expr"}.Equivalent()).To(BeEmpty())
	b.Expr = "x > bool 60"
	g.Expect(Mutant{Original: a, Mutated: b, Field: "expr"}.Equivalent()).To(BeEmpty())

	a.Expr, b.Expr = "vector(1)", "vector(10)"
	g.Expect(Mutant{Original: a, Mutated: b, Field: "expr"}.Equivalent()).To(ContainSubstring("shows no value"))
	a.Annotations = map[string]string{"summary": "{{ $value }}"}
	g.Expect(Mutant{Original: a, Mutated: b, Field: "expr"}.Equivalent()).To(BeEmpty())
	a.Expr, a.Annotations = "x > 2 * 30", nil

	mutants, err := Of(a)
	g.Expect(err).NotTo(HaveOccurred())
	reasons := map[string]string{}
	for _, m := range mutants {
		reasons[m.What] = m.Equivalent()
	}
	g.Expect(reasons["for halved"]).To(Equal("evaluated every 1m0s, both fire at the same evaluation"))
	g.Expect(reasons["for removed"]).To(BeEmpty())
	g.Expect(reasons["for doubled"]).To(BeEmpty())

	for expr, want := range map[string][]string{
		"sum by (job) (x) > 1": {"annotation label misspelt"}, // which the alert cannot have
		"count(x) > 0":         {"comparison loosened or tightened", "threshold one unit lower", "annotation label misspelt"},
		"x and sum by (job) (count by (job) (x)) > 2": {"threshold 10 % higher", "aggregation changed", "aggregation changed", "aggregation changed", "annotation label misspelt"},
		`a{job!=""} / b{job!=""} > 1`:                 {"matcher dropped", "matcher dropped"},
		"up < 1":                                      {"threshold /10", "threshold 10 % lower"},
		"up <= 0":                                     {},
		"x > 1":                                       {},
	} {
		mutants, err := Of(alert(t, expr, "    annotations: {summary: '{{ $labels.instance }}'}\n"))
		g.Expect(err).NotTo(HaveOccurred())
		var found []string
		for _, m := range mutants {
			if m.Equivalent() != "" {
				found = append(found, m.What)
			}
		}
		g.Expect(found).To(ConsistOf(want), expr)
	}
}

const rulesText = `groups:
- name: g
  rules:
  - alert: A
    expr: x > 10
    for: 10m
    labels: {severity: page}
  - alert: B
    expr: sum by (job) (y) > 10
`

// judge runs the tests against all mutants of the rules.
func judge(t *testing.T, rules, tests string) ([]Outcome, map[string]string) {
	t.Helper()
	g := NewWithT(t)
	dir := t.TempDir()
	file := write(t, dir, "rules.yml", rules)
	alerts, err := rule.Load(file)
	g.Expect(err).NotTo(HaveOccurred())
	loaded, err := Load(t.Context(), []string{write(t, dir, "rules_test.yml", tests)})
	g.Expect(err).NotTo(HaveOccurred())
	var mutants []Mutant
	for _, a := range alerts {
		own, err := Of(a)
		g.Expect(err).NotTo(HaveOccurred())
		mutants = append(mutants, own...)
	}
	outcomes, err := loaded.Run(t.Context(), mutants)
	g.Expect(err).NotTo(HaveOccurred())
	survivors := map[string]string{}
	g.Expect(loaded.Distinguish(t.Context(), outcomes)).To(Succeed())
	for _, o := range outcomes {
		if o.Verdict == Survived {
			survivors[o.Original.Name+" "+o.What] = o.Why
			if !o.isUsuallyEquivalent() {
				g.Expect(o.Test).To(ContainSubstring("alertname: "+o.Original.Name), o.short())
			}
		}
	}
	return outcomes, survivors
}

func TestSurvivorsAreDistinguished(t *testing.T) {
	g := NewWithT(t)
	outcomes, survivors := judge(t, rulesText, `rule_files: [rules.yml]
tests:
- interval: 1m
  input_series: [{series: x, values: 100x60}]
  alert_rule_test:
  - {eval_time: 30m, alertname: A, exp_alerts: [{exp_labels: {severity: page}}]}
`)
	g.Expect(survivors).To(HaveKeyWithValue("A comparison loosened or tightened", "x{instance=\"host-1:9100\", job=\"job-1\"} 11x10 10\neach 1m, at 11m: the original is quiet, the mutant fires with {alertname=\"A\", instance=\"host-1:9100\", job=\"job-1\", severity=\"page\"}"))
	g.Expect(survivors).To(HaveKeyWithValue("A for doubled", "x{instance=\"host-1:9100\", job=\"job-1\"} 11x10 10\neach 1m, at 10m: the original fires with {alertname=\"A\", instance=\"host-1:9100\", job=\"job-1\", severity=\"page\"}, the mutant is quiet"))
	g.Expect(survivors).To(HaveKeyWithValue("A for halved", ContainSubstring("at 5m: the original is quiet, the mutant fires")))
	g.Expect(survivors).To(HaveKeyWithValue("A threshold one unit higher", ContainSubstring("} 11x10 10\n")))
	g.Expect(survivors).NotTo(HaveKey("A comparison inverted"))
	g.Expect(survivors).NotTo(HaveKey("A severity changed"))
	g.Expect(survivors).To(HaveKeyWithValue("B grouping label dropped", MatchRegexp(`y\{.*job="job-1"\}`)))
	g.Expect(survivors).To(HaveKeyWithValue("B aggregation changed", Not(BeEmpty())))

	alerts, total := Scores(outcomes)
	g.Expect(alerts).To(HaveLen(2))
	g.Expect(alerts[1].Killed).To(BeZero(), "nothing tests B")
	g.Expect(total.Killed).To(Equal(alerts[0].Killed))
	g.Expect(total.Percent()).To(And(BeNumerically(">", 0), BeNumerically("<", 50)))
}

// The sum of two series is over the limit, and their average is not.
func TestTwoSeriesDistinguishAggregations(t *testing.T) {
	g := NewWithT(t)
	outcomes, survivors := judge(t, rulesText, "rule_files: [rules.yml]\ntests: [{interval: 1m}]\n")
	g.Expect(survivors).To(HaveKey("B aggregation changed"))
	for _, o := range outcomes {
		if o.What == "aggregation changed" {
			g.Expect(o.Why).To(MatchRegexp(`(?s)y\{.*y\{`), o.To)
			g.Expect(o.Test).To(ContainSubstring("not with aggregation changed (" + o.To + " for sum)"))
		}
	}
}

const fillingUp = `groups:
- name: g
  rules:
  - alert: FillsUp
    expr: |
      fs_avail_bytes{fstype!=""} / fs_size_bytes{fstype!=""} * 100 < 40
      and predict_linear(fs_avail_bytes{fstype!=""}[6h], 24*60*60) < 0
      and fs_readonly{fstype!=""} == 0
    for: 1h
    labels: {severity: warning}
    annotations: {summary: '{{ $labels.instance }} fills up'}
`

// No size is negative, and every survivor has an input and a test.
func TestInputsCanBe(t *testing.T) {
	g := NewWithT(t)
	outcomes, survivors := judge(t, fillingUp, `rule_files: [rules.yml]
tests:
- interval: 1m
  input_series:
  - {series: 'fs_avail_bytes{instance="a",fstype="ext4"}', values: '400-0.5x480'}
  - {series: 'fs_size_bytes{instance="a",fstype="ext4"}', values: '1000x480'}
  - {series: 'fs_readonly{instance="a",fstype="ext4"}', values: '0x480'}
  alert_rule_test:
  - {eval_time: 30m, alertname: FillsUp}
  - {eval_time: 7h, alertname: FillsUp, exp_alerts: [{exp_labels: {severity: warning, instance: a, fstype: ext4}, exp_annotations: {summary: a fills up}}]}
`)
	g.Expect(survivors).NotTo(BeEmpty())
	for what, why := range survivors {
		g.Expect(why).NotTo(MatchRegexp(`(?m)^fs_\w+\{.*\} -`), what)
	}
	for _, o := range outcomes {
		if o.What == "matcher dropped" {
			g.Expect(o.Verdict).To(Equal(Equivalent), o.short())
		}
	}
}

// A mutant that no exporter's series tell apart is a survivor that says so.
func TestUsuallyEquivalent(t *testing.T) {
	g := NewWithT(t)
	outcomes, _ := judge(t, "groups: [{name: g, rules: [{alert: A, expr: 'sum(rate(x_total[5m])) > 0'}]}]\n", `rule_files: [rules.yml]
tests: [{interval: 1m}]
`)
	found := map[string]Outcome{}
	for _, o := range outcomes {
		found[o.What+" "+o.To] = o
	}
	largest := found["aggregation changed max"]
	g.Expect(largest.Verdict).To(Equal(Survived))
	g.Expect(largest.Why).To(ContainSubstring("as usual"))
	g.Expect(found["aggregation changed min"].Test).NotTo(BeEmpty())
}

func TestATestThatDoesNotKillIsNotShown(t *testing.T) {
	g := NewWithT(t)
	a := alert(t, "x > 10")
	mutants, err := Of(a)
	g.Expect(err).NotTo(HaveOccurred())
	tests := &Tests{given: readGiven(nil)}
	one := "- input_series: [{series: x, values: 11x5}]\n  alert_rule_test: [{eval_time: 1m, alertname: A, exp_alerts: [{}]}]\n"
	for _, m := range mutants {
		kills, err := tests.kills(t.Context(), m, one)
		g.Expect(err).NotTo(HaveOccurred())
		want := m.What != "comparison loosened or tightened" && m.To != "9" && m.To != "1"
		g.Expect(kills).To(Equal(want && m.What != "threshold 10 % lower"), m.What+" "+m.To)
	}
	kills, err := tests.kills(t.Context(), mutants[0], strings.Replace(one, "11x5", "10x5", 1))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(kills).To(BeFalse(), "it fails on the original, too")
}

func TestRanked(t *testing.T) {
	g := NewWithT(t)
	mutants, err := Of(alert(t, `sum by (job) (rate(xx{a="1"}[5m])) / count(y) * 2 > 10 and ignoring (b) z unless on (c) u or v`,
		"    for: 1m\n    keep_firing_for: 5m\n    labels: {severity: page}\n    annotations: {summary: '{{ $labels.job }}'}\n"))
	g.Expect(err).NotTo(HaveOccurred())
	var outcomes []Outcome
	for _, m := range mutants {
		g.Expect(m.Likely()).NotTo(BeEmpty(), m.What)
		outcomes = append(outcomes, Outcome{Mutant: m, Verdict: Survived})
	}
	outcomes[0].Verdict, outcomes[1].Verdict = Killed, Equivalent
	found := ranked(outcomes)
	g.Expect(found).To(HaveLen(len(outcomes) - 1))
	g.Expect(found[len(found)-1].Verdict).To(Equal(Equivalent))
	g.Expect(found[0].rank()).To(BeNumerically("<", found[len(found)-2].rank()))
}

func TestPlausible(t *testing.T) {
	g := NewWithT(t)
	for text, want := range map[string]bool{
		"up 0 1 _ stale": true, "up 2": false, "up 0.5": false, "fs_size_bytes -1": false, "fs_size_bytes 100-1x50": true, "x_total 5-1x10": false,
		"temperature_celsius -5": true, "probe_success 2": false, "build_info 1": true, "fs_avail 1-1x5": false,
	} {
		series, values, _ := strings.Cut(text, " ")
		g.Expect(isPlausible(witness.Scenario{Series: []witness.Series{{Series: series, Values: values}}})).To(Equal(want), text)
	}
	buckets := []witness.Series{{Series: `l_bucket{le="1"}`, Values: "0+2x5"}, {Series: `l_bucket{le="+Inf"}`, Values: "0+1x5"}}
	g.Expect(isPlausible(witness.Scenario{Series: buckets})).To(BeFalse())
	buckets[1].Values = "0+3x5"
	g.Expect(isPlausible(witness.Scenario{Series: buckets})).To(BeTrue())
}

func TestVariants(t *testing.T) {
	g := NewWithT(t)
	s := witness.Scenario{Interval: time.Minute, Series: []witness.Series{{Series: `x_total{job="a"}`, Values: "0+10x60"}, {Series: `y{job="a"}`, Values: "4x60"}}}
	var all [][]witness.Series
	for v := range variantsOf(s, decisive{windows: []time.Duration{10 * time.Minute}, texts: map[string][]string{"job": {"", "b"}, "zone": {"c"}}}) {
		g.Expect(isPlausible(v)).To(BeTrue())
		all = append(all, v.Series)
	}
	for name, want := range map[string][]witness.Series{
		"a label that a matcher names": {{Series: `x_total{job="b"}`, Values: "0+10x60"}, {Series: `y{job="a"}`, Values: "4x60"}},
		"a label that is new":          {{Series: `x_total{job="a"}`, Values: "0+10x60"}, {Series: `y{job="a", zone="c"}`, Values: "4x60"}},
		"one missing":                  {{Series: `y{job="a"}`, Values: "4x60"}},
		"twice as large":               {{Series: `x_total{job="a"}`, Values: "0+10x60"}, {Series: `y{job="a"}`, Values: "8x60"}},
		"two series, spread": {{Series: `x_total{instance="1", job="a"}`, Values: "0+15x60"}, {Series: `x_total{instance="2", job="a"}`, Values: "0+5x60"},
			{Series: `y{instance="1", job="a"}`, Values: "4x60"}, {Series: `y{instance="2", job="a"}`, Values: "4x60"}},
		"only one of them spread": {{Series: `x_total{job="a"}`, Values: "0+10x60"}, {Series: `y{instance="1", job="a"}`, Values: "4x60"}, {Series: `y{instance="2", job="a"}`, Values: "0x60"}},
		"a step":                  {{Series: `x_total{job="a"}`, Values: "0+10x10 100x49"}, {Series: `y{job="a"}`, Values: "4x60"}},
	} {
		g.Expect(all).To(ContainElement(want), name)
	}
}

func TestWrite(t *testing.T) {
	g := NewWithT(t)
	a := alert(t, "x > 10", "    for: 1m\n")
	mutants, err := Of(a)
	g.Expect(err).NotTo(HaveOccurred())
	var outcomes []Outcome
	for _, m := range mutants {
		switch m.What {
		case "comparison inverted":
			outcomes = append(outcomes, Outcome{m, Survived, "x 11\nfires", "- name: A\n"})
		case "for halved":
			outcomes = append(outcomes, Outcome{m, Equivalent, m.Equivalent(), ""})
		case "for removed":
			outcomes = append(outcomes, Outcome{Mutant: m})
		}
	}
	content, _ := os.ReadFile(a.File)
	var b strings.Builder
	g.Expect(Write(&b, outcomes, map[string]string{a.File: string(content)})).To(Succeed())
	text := strings.ReplaceAll(b.String(), a.File, "rules.yml")
	g.Expect(text).To(Equal(`rules.yml:6:9: survived: A: comparison inverted
    a condition is written the wrong way round
--- rules.yml
+++ rules.yml
@@ -6 +6 @@
-      x > 10
+      x < 10
    x 11
    fires
  a test that fails on it, for the list of tests:
    - name: A

rules.yml:7:10: equivalent: A: for halved
    evaluated every 1m0s, both fire at the same evaluation

ALERT  KILLED  SURVIVED  EQUIVALENT  SCORE
A      1       1         1           50.0%
total  1       1         1           50.0%
`))
}

func TestLoadRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ rules, tests, says string }{
		"failing tests": {rulesText, "rule_files: [rules.yml]\ntests:\n- name: wrong\n  alert_rule_test:\n  - {eval_time: 1m, alertname: A, exp_alerts: [{}]}\n",
			`the test "wrong" fails on the unchanged rules: fix it first`},
		"no YAML":        {rulesText, "tests: [\n", "_test.yml"},
		"no usable rule": {"groups: [\n", "rule_files: [rules.yml]\ntests:\n- alert_rule_test: [{eval_time: 1m, alertname: A}]\n", "rules.yml"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "rules.yml", tc.rules)
			_, err := Load(t.Context(), []string{write(t, dir, "_test.yml", tc.tests)})
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring(tc.says)))
		})
	}
}

// Our own rules are tested well enough to notice every mistake.
func TestOwnRules(t *testing.T) {
	g := NewWithT(t)
	alerts, err := rule.LoadDir("../../rules")
	g.Expect(err).NotTo(HaveOccurred())
	tests, mutants := own(t)
	outcomes, err := tests.Run(t.Context(), mutants)
	g.Expect(err).NotTo(HaveOccurred())
	for _, o := range outcomes {
		if o.Verdict == Survived {
			content, _ := os.ReadFile(o.Original.File)
			t.Errorf("%s: %s\n%s", o.Original.Name, o.What, o.Diff(string(content)))
		}
	}
	scores, _ := Scores(outcomes)
	g.Expect(scores).To(HaveLen(len(alerts)))
}

func own(t testing.TB) (*Tests, []Mutant) {
	t.Helper()
	files, err := filepath.Glob("../../rules/*_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := rule.LoadDir("../../rules")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := Load(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	var all []Mutant
	for _, a := range alerts {
		mutants, err := Of(a)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, mutants...)
	}
	return tests, all
}

func BenchmarkOwnRules(b *testing.B) {
	tests, mutants := own(b)
	for b.Loop() {
		if _, err := tests.Run(b.Context(), mutants); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(mutants)*b.N)/b.Elapsed().Seconds(), "mutants/s")
}

func FuzzOf(f *testing.F) {
	for _, seed := range []string{
		"x < 604800", `sum by (a, b) (rate(x{a="b", c=~"d|e"}[5m])) / on (a) group_left () y > bool 0.5 # c`, "{__name__=~`x`, a=''} or absent(up)",
		"count(x) without() == -1", `x{"a b"="c",} offset -5m unless ignoring(a) y @ end()`, "max_over_time(x[1h:] ) >= 1e3", "- 1 > x[1m]",
		"x{# }\n a='}'} > Inf", "\"x\" > 0x1F", "sum(\n# by (a)\nx) by (b)",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := promqlParser.ParseExpr(text); err != nil {
			return
		}
		mutants, err := Of(rule.Alert{Name: "A", Expr: text})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mutants {
			if m.Mutated.Expr == text || m.Mutated.Expr != text[:m.Offset]+m.To+text[m.Offset+len(m.From):] {
				t.Errorf("%s: %q to %q", m.What, text, m.Mutated.Expr)
			}
			if _, err := promqlParser.ParseExpr(m.Mutated.Expr); err != nil {
				t.Errorf("%s: %q: %v", m.What, m.Mutated.Expr, err)
			}
			m.Equivalent()
		}
	})
}
