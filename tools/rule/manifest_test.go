package rule

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

const header = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: m\nspec:\n  groups:\n"

func TestManifest(t *testing.T) {
	for name, tc := range map[string]struct {
		content string
		at      [][2]int // of the 3 in each alert's expression
	}{
		"alone": {header + "  - name: g\n    partial_response_strategy: warn\n    rules:\n    - alert: A\n      expr: |\n        up\n          > 3\n", [][2]int{{13, 13}}},
		"after another document, with an expression that is a number": {"---\napiVersion: v1\nkind: Pod\n---\n" + header +
			"  - name: g\n    rules:\n    - alert: A\n      expr: 3\n", [][2]int{{14, 13}}},
		"two documents with a group of the same name": {header + "  - name: g\n    rules:\n    - {alert: A, expr: up > 3}\n---\n" + header +
			"  - name: g\n    rules:\n    - {alert: A, expr: \"up\\n > 3\"}\n", [][2]int{{9, 29}, {19, 32}}},
		"in a list": {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: PrometheusRule\n  spec:\n    groups:\n    - name: g\n      rules:\n      - alert: A\n        expr: >-\n          up\n          > 3\n",
			[][2]int{{13, 13}}},
		"as JSON": {"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\", \"kind\": \"PrometheusRule\",\n \"spec\": {\"groups\": [{\"name\": \"g\", \"rules\": [\n  {\"alert\": \"A\", \"expr\": \"up\\n > 3\"}]}]}}]}",
			[][2]int{{3, 34}}},
		"with an anchor outside of the groups": {"apiVersion: v1\nkind: PrometheusRule\nmetadata: {annotations: {e: &e up > 3}}\nspec:\n  groups:\n  - name: g\n    rules:\n    - alert: A\n      expr: *e\n",
			[][2]int{{3, 37}}},
		"without a group": {"apiVersion: v1\nkind: PrometheusRule\nspec: {groups: []}\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			alerts, err := Load(write(t, t.TempDir(), "m.yaml", tc.content))
			g.Expect(err).NotTo(HaveOccurred())
			var got [][2]int
			for _, a := range alerts {
				line, column := a.At("expr", strings.Index(a.Expr, "3"))
				got = append(got, [2]int{line, column})
			}
			g.Expect(got).To(Equal(tc.at))
		})
	}
}

func TestManifestRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ content, want string }{
		"an unknown field": {header + "  - name: g\n    rules:\n    - alert: A\n      expr: |\n        up\n        > 0\n      exprr: up\n",
			`m.yaml:13: unknown field ("exprr"): a rule has alert or record, expr, for, keep_firing_for, labels and annotations`},
		"a list for text": {header + "  - name: g\n    rules:\n    - alert: A\n      expr:\n      - up\n",
			`m.yaml:11: a list in the wrong place ("- up"): write text`},
		"a key twice": {header + "  - name: g\n    rules:\n    - alert: A\n      expr: up\n      expr: up\n",
			`m.yaml:11: mapping key "expr" already defined at line 10 ("expr: up"): write each key once`},
		"a spec twice": {header + "  - name: g\nspec: {}\n", `m.yaml:8: mapping key "spec" already defined at line 5 ("spec: {}"): write each key once`},
		"bad PromQL": {header + "  - name: g\n    rules:\n    - alert: A\n      expr: |\n        up\n          > forty(2)\n",
			`m.yaml:12: the expression of A is not PromQL: unknown function with name "forty" ("forty"): fix it so that Prometheus can parse it`},
		"a bad duration": {header + "  - name: g\n    rules:\n    - {alert: A, expr: up, for: soon}\n",
			`m.yaml:9: "for" is not a duration ("soon"): write a whole number with a unit, as in 30s, 5m or 1h30m`},
		"no spec":      {"apiVersion: v1\nkind: PrometheusRule\n", `m.yaml:1: a PrometheusRule without a spec ("apiVersion: v1"): write spec: with groups: in it`},
		"another kind": {"apiVersion: v1\nkind: Pod\n", `m.yaml:1: a manifest of kind Pod ("apiVersion: v1"): name a rule file, or a manifest of kind PrometheusRule`},
		"a rule file among manifests": {"groups: []\n---\n" + header, "m.yaml:1: rule groups among manifests, which neither Prometheus nor its operator reads (\"groups: []\"): " +
			"make it a manifest of kind PrometheusRule, or move it to a file of its own"},
		"a number for groups": {"apiVersion: v1\nkind: PrometheusRule\nspec:\n  groups: 3\n", `m.yaml:4: a number in the wrong place ("groups: 3"): write a list of groups`},
		"a Helm template": {"apiVersion: v1\nkind: PrometheusRule\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  groups: {{ .Values.groups }}\n",
			`m.yaml:6: a Helm template, not YAML ("groups: {{ .Values.groups }}"): render the chart first, as with helm template, or quote the value`},
		"a Helm condition": {"{{- if .Values.alerts }}\n" + header + "{{- end }}\n",
			`m.yaml:1: a Helm template, not YAML ("{{- if .Values.alerts }}"): render the chart first, as with helm template, or quote the value`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			t.Chdir(t.TempDir())
			alerts, err := Load(write(t, ".", "m.yaml", tc.content))
			g.Expect(alerts).To(BeEmpty())
			g.Expect(err).To(MatchError(tc.want))
		})
	}
}

// What is written to exhaust its reader is refused, or read, in the time that any other file takes.
func TestLoadIsBounded(t *testing.T) {
	bomb := "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	merges := "m0: &m0 {k: v}\n"
	for i := range 20 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
		merges += fmt.Sprintf("m%d: &m%d {<<: [%s]}\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*m%d, ", i), 10), ", "))
	}
	for name, tc := range map[string]struct{ content, want string }{
		"an alias bomb":               {bomb + "groups: *a20\n", "the rules grow beyond all measure by their aliases"},
		"an alias bomb beside groups": {bomb + group + "    expr: up\n", `unknown field ("a20")`},
		"a bomb of merges":            {merges + "groups: [*m20]\n", "the rules grow beyond all measure by their aliases"},
		"a bomb in a manifest": {"apiVersion: v1\nkind: PrometheusRule\n" + bomb + "spec: {groups: *a20}\n",
			"the rules grow beyond all measure by their aliases"},
		"a manifest within itself": {"apiVersion: v1\nkind: PrometheusRule\nspec: &s\n  groups:\n  - name: g\n    rules: [*s]\n",
			"the rules grow beyond all measure by their aliases"},
		"a list within itself":   {"apiVersion: v1\nkind: List\nitems: &i [*i]\n", "a manifest of kind List"},
		"one rule 100,000 times": {"groups:\n- name: g\n  rules: [&r {alert: A, expr: up}" + strings.Repeat(", *r", 100_000) + "]\n", "the rules grow beyond all measure"},
		"a long expression":      {group + "    expr: " + strings.Repeat("(", 100_000) + "up" + strings.Repeat(")", 100_000) + "\n", "rules.yml:5: an expression is too long"},
		"an expression nested 10,000 deep": {group + "    expr: " + strings.Repeat("(", 10_000) + "up" + strings.Repeat(")", 10_000) + "\n",
			`rules.yml:5: an expression nested more than 1000 deep`},
		"a chain of 5,000": {group + "    expr: " + strings.Repeat("a + ", 5_000) + "a\n", "rules.yml:5: an expression nested more than 1000 deep"},
		"deep YAML":        {strings.Repeat("[", 100_000), "not valid YAML"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			t.Chdir(t.TempDir())
			_, err := Load(write(t, ".", "rules.yml", tc.content))
			g.Expect(err).To(MatchError(ContainSubstring(tc.want)))
		})
	}
	t.Run("a BOM", func(t *testing.T) {
		g := NewWithT(t)
		alerts, err := Load(write(t, t.TempDir(), "rules.yml", "\ufeff"+group+"    expr: up\n"))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(alerts[0].Line).To(Equal(4))
	})
	t.Run("tabs", func(t *testing.T) {
		g := NewWithT(t)
		t.Chdir(t.TempDir())
		_, err := Load(write(t, ".", "rules.yml", "groups:\n- name: g\n\trules: []\n"))
		g.Expect(err).To(MatchError(ContainSubstring(`rules.yml:2: not valid YAML from here on: found a tab character that violates indentation ("- name: g")`)))
	})
}
