package main

import (
	"strings"
	"testing"
)

const (
	oneRule = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: x > 10\n    for: 10m\n"
	oneTest = "rule_files: [a.yml]\ntests:\n- input_series: [{series: x, values: 100x60}]\n  alert_rule_test: [{eval_time: 30m, alertname: A, exp_alerts: [{}]}]\n"
)

func TestMutate(t *testing.T) {
	t.Chdir(lay(t, map[string]string{"rules/a.yml": oneRule, "rules/a_test.yml": oneTest}))
	status, stdout, stderr := firedrill(t, t.Context(), "mutate")
	if status != exitFound || stderr != "" || !strings.Contains(stdout, "rules/a.yml:6:10: survived: A: for doubled\n") || !strings.Contains(stdout, "+    for: 20m\n") {
		t.Errorf("status %d, stdout\n%s\nstderr %s", status, stdout, stderr)
	}
	if status, stdout, stderr = firedrill(t, t.Context(), "mutate", "--min-score=10", "--tests=rules/*_test.yml", "A"); status != exitProven {
		t.Errorf("status %d, stdout\n%s\nstderr %s", status, stdout, stderr)
	}
}

func TestWitnessAtAnotherInterval(t *testing.T) {
	t.Chdir(lay(t, map[string]string{"rules/a.yml": oneRule}))
	status, stdout, stderr := firedrill(t, t.Context(), "witness", "--generate", "--interval=30s", "A")
	if status != exitProven || stderr != "" || !strings.Contains(stdout, "        values: 11x20 10\n") || !strings.Contains(stdout, "\nevaluation_interval: 30s\n") {
		t.Errorf("status %d, stdout\n%s\nstderr %s", status, stdout, stderr)
	}
}

func TestUnusableMutateAndWitness(t *testing.T) {
	t.Chdir(lay(t, map[string]string{"rules/a.yml": oneRule, "none/a.yml": "groups: [{name: g, rules: []}]\n"}))
	for _, test := range []struct {
		says string
		args []string
	}{
		{`no alert "B" in rules: the only one is "A"`, []string{"witness", "B"}},
		{"no alert in none", []string{"witness", "--rules=none"}},
		{"nowhere: cannot be read as a folder of rules", []string{"mutate", "--rules=nowhere"}},
		{"--interval 0s: give a positive duration", []string{"witness", "--interval=0s"}},
		{"rules holds no *_test.yml", []string{"mutate"}},
		{`--tests "x*.yml" matches no file`, []string{"mutate", "--tests=x*.yml"}},
		{`--tests "[" is not a pattern`, []string{"mutate", "--tests=["}},
		{"--min-score 101", []string{"mutate", "--min-score=101"}},
	} {
		status, stdout, stderr := firedrill(t, t.Context(), test.args...)
		if status != exitBadInput || stdout != "" || !strings.Contains(stderr, test.says) {
			t.Errorf("%q: status %d, stdout %q, stderr %q", test.args, status, stdout, stderr)
		}
	}
}
