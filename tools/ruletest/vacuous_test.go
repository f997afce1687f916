package ruletest

import (
	"strings"
	"testing"
)

func TestCasesOfWeakTests(t *testing.T) {
	const dir = "testdata/cases/41-robustness/"
	for file, want := range map[string][]string{
		"typoalert_test.yml": {`typoalert_test.yml:5: no rule of the rule_files raises an alert "Aa", so that nothing is tested: name one that a rule raises, such as A`},
		"typoseries_test.yml": {
			`typoseries_test.yml:5: A does not fire at 1m whatever its rule says, since until then the test has no sample of up, which it reads: give the test such series`,
			`typoseries_test.yml:4: no rule of the rule_files and no expr of the test reads upp: remove the series, or fix its name`,
		},
		"year_test.yml": nil, // it fires before, and then its series end
	} {
		for _, strict := range []bool{true, false} {
			result, err := Load([]string{dir + file}, Options{Strict: strict}).Run(t.Context())
			if err != nil || result.Failed() {
				t.Fatal(err, result)
			}
			var got []string
			for _, w := range result.Files[0].Warnings {
				got = append(got, strings.TrimPrefix(w.String(), dir))
			}
			expected := want
			if !strict {
				expected = nil // as promtool
			}
			if strings.Join(got, "\n") != strings.Join(expected, "\n") {
				t.Errorf("%s, strict %v: got\n%s\nwant\n%s", file, strict, strings.Join(got, "\n"), strings.Join(expected, "\n"))
			}
		}
	}
}

func TestVacuous(t *testing.T) {
	const rules = `
groups:
  - name: g
    rules:
      - {record: "job:up:sum", expr: sum by (job) (up)}
      - {alert: Down, expr: "job:up:sum == 0"}
      - {alert: Gone, expr: absent(up)}
      - {alert: Any, expr: '{__name__=~"x.*"} > 0'}
      - {alert: Twice, expr: one > 0}
      - {alert: Twice, expr: two > 0}
      - {alert: Shown, expr: one > 5, annotations: {summary: '{{ with query "three" }}{{ . }}{{ end }}'}}
`
	for name, tc := range map[string]struct{ input, tests, want, exprs string }{
		"a sample, through a recording rule": {"{series: 'up{job=\"a\"}', values: 1x5}", "{eval_time: 1m, alertname: Down}", "", ""},
		"no sample":                          {"{series: one, values: 1x5}", "{eval_time: 1m, alertname: Down}", "Down does not fire at 1m", ""},
		"a sample that comes later":          {"{series: up, values: _x4 0x5}", "{eval_time: 3m, alertname: Down}", "no sample of job:up:sum", ""},
		"one that has come":                  {"{series: up, values: _x4 1x5}", "{eval_time: 5m, alertname: Down}", "", ""},
		"a label that the rule leaves out":   {"{series: 'up{job=\"b\"}', values: 1x5}", "{eval_time: 1m, alertname: Down}", "", ""},
		"absent":                             {"{series: up, values: 1x5}", "{eval_time: 1m, alertname: Gone}", "", ""},
		"any metric":                         {"{series: x1, values: 0x5}", "{eval_time: 1m, alertname: Any}", "", ""},
		"any metric, without one":            {"", "{eval_time: 1m, alertname: Any}", "the test has no series until then", ""},
		"one of two rules":                   {"{series: two, values: 0x5}", "{eval_time: 1m, alertname: Twice}", "", ""},
		"none of two rules":                  {"{series: up, values: 0x5}", "{eval_time: 1m, alertname: Twice}", "no sample of one, two", ""},
		"an alert that fires":                {"{series: two, values: 1x5}", "{eval_time: 1m, alertname: Twice, exp_alerts: [{}]}", "", ""},
		"an unknown alert":                   {"{series: up, values: 1x5}", "{eval_time: 1m, alertname: Dwon}", `no rule of the rule_files raises an alert "Dwon", so that nothing is tested: name one that a rule raises, such as Down`, ""},
		"a series in a template":             {"{series: one, values: 0x5}, {series: three, values: 0x5}", "{eval_time: 1m, alertname: Shown}", "", ""},
		"a series of nobody":                 {"{series: one, values: 0x5}, {series: four, values: 0x5}, {series: 'four{a=\"b\"}', values: 0x5}", "{eval_time: 1m, alertname: Shown}", "reads four", ""},
		"a series of the test": {"{series: one, values: 0x5}, {series: four, values: 0x5}", "{eval_time: 1m, alertname: Shown}", "",
			"{expr: four, eval_time: 1m, exp_samples: [{labels: four, value: 0}]}"},
	} {
		files := map[string]string{"a.yml": rules, "a_test.yml": "rule_files: [a.yml]\ntests:\n  - input_series: [" + tc.input + "]\n    alert_rule_test: [" + tc.tests + "]\n    promql_expr_test: [" + tc.exprs + "]\n"}
		// Any would read each series: it is left out where it is not what is tested.
		if !strings.Contains(tc.tests, "Any") {
			files["a.yml"] = strings.Replace(rules, `'{__name__=~"x.*"} > 0'`, "x > 0", 1)
		} else {
			files["a.yml"] = strings.Replace(rules, "absent(up)", "up == 2", 1) // which writes ALERTS
		}
		got := outcome(t, lay(t, files), Options{Strict: true})
		if !strings.Contains(got, tc.want) || tc.want == "" && got != "" || strings.Count(got, "\n") > 1 {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}
