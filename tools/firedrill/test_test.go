package main

import (
	"os"
	"strings"
	"testing"
)

func TestRuleTests(t *testing.T) {
	t.Chdir(lay(t, map[string]string{
		"a.yml":      `groups: [{name: g, rules: [{alert: Down, expr: up == 0}]}]`,
		"good.yml":   `{rule_files: [a.yml], tests: [{name: good, input_series: [{series: up, values: "0"}], alert_rule_test: [{eval_time: 0m, alertname: Down, exp_alerts: [{}]}]}]}`,
		"bad.yml":    "rule_files: [a.yml]\ntests:\n  - name: bad\n    alert_rule_test:\n      - {eval_time: 0m, alertname: Down, exp_alerts: [{}]}\n",
		"b.yml":      `groups: [{name: g, rules: [{alert: Mad, expr: "mad_over_time(up[5m]) == 0"}]}]`,
		"new.yml":    `{rule_files: [b.yml], tests: [{name: new, input_series: [{series: up, values: "0"}], alert_rule_test: [{eval_time: 0m, alertname: Mad, exp_alerts: [{}]}], promql_expr_test: [{expr: "limitk(1, up)", eval_time: 0m, exp_samples: [{labels: up, value: 0}]}]}]}`,
		"warned.yml": `{rule_files: [none.yml], tests: [{}]}`,
	}))
	for _, test := range []struct {
		args   string
		status int
		says   string // stdout or stderr
	}{
		{"good.yml", exitProven, "test: 1 passed, 0 failed, 0 warnings"},
		{"good.yml bad.yml", exitFound, "FAIL bad\n     bad.yml:5: Down at 0s: 1 alert expected"},
		{"--run=good good.yml bad.yml", exitProven, "test: 1 passed"},
		{"warned.yml", exitProven, "warning: warned.yml: no rule file matches"},
		{"--strict warned.yml", exitFound, "1 warnings"},
		{"new.yml", exitBadInput, "b.yml: give --enable-feature=promql-experimental-functions, if the Prometheus"},
		{"good.yml new.yml", exitBadInput, "test: 1 passed, 1 failed"},
		{"--enable-feature=promql-delayed-name-removal,promql-experimental-functions new.yml", exitProven, "test: 1 passed"},
		{"--coverage good.yml", exitProven, "coverage 33.3%"},
		{"--min-coverage=50 good.yml", exitFound, "less than --min-coverage 50%"},
		{"--junit=out.xml bad.yml", exitFound, "0 passed, 1 failed"},
		{"good.yml none.yml", exitBadInput, "firedrill: none.yml: cannot be read"},
		{"--run=( good.yml", exitBadInput, "is not a regular expression"},
		{"--lookback=0s good.yml", exitBadInput, "--lookback"},
		{"--max-samples=0 good.yml", exitBadInput, "--max-samples"},
		{"", exitBadInput, "requires at least 1 arg"},
	} {
		status, stdout, stderr := firedrill(t, t.Context(), append([]string{"test"}, strings.Fields(test.args)...)...)
		if status != test.status || !strings.Contains(stdout+stderr, test.says) {
			t.Errorf("%q: status %d, stdout\n%s\nstderr %s", test.args, status, stdout, stderr)
		}
	}
	junit, err := os.ReadFile("out.xml")
	if err != nil || !strings.Contains(string(junit), `<testcase classname="bad.yml" name="bad" file="bad.yml" line="3" time="0.`) {
		t.Errorf("%v %s", err, junit)
	}
}
