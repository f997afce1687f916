package rule

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/stemedb/firedrill/tools/promql"
)

const ofThanos = `groups:
- name: g
  partial_response_strategy: WARN
  interval: 30s
  rules:
  - alert: A # on line 6
    expr: |
      up
        == 0
    labels: {team: "yes"}
`

const ofMimir = `# uploaded by mimirtool
namespace: infra
groups:
- name: g
  source_tenants: [a, b]
  evaluation_delay: 1m
  align_evaluation_time_on_interval: true
  remote_write: [{url: http://x}]
  rules:
  - alert: A
    expr: up == 0
---
namespace: other
groups:
- name: g
  rules:
  - record: r
    expr: sum(up)
`

func TestOtherPrograms(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	g.Expect(os.Mkdir("rules", 0o755)).To(Succeed())
	write(t, "rules", "mimir.yml", ofMimir)
	write(t, "rules", "thanos.yml", ofThanos)
	set, err := ReadDir("rules")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(set.Foreign).To(Equal([]Foreign{
		{"rules/mimir.yml", 2, "namespace", rulers},
		{"rules/thanos.yml", 3, "partial_response_strategy", "Thanos"},
	}))
	g.Expect(set.Alerts).To(HaveLen(2))
	g.Expect(set.Recordings).To(HaveLen(1))
	thanos := set.Alerts[1]
	g.Expect(thanos.Line).To(Equal(6))
	line, column := thanos.At("expr", len("up\n  "))
	g.Expect([2]int{line, column}).To(Equal([2]int{9, 9}))
	g.Expect(thanos.Labels).To(Equal(map[string]string{"team": "yes"}))
	for _, f := range set.Files {
		groups, errs := rulefmt.Parse(f.Content, false, model.UTF8Validation, promql.Parser, slog.New(slog.DiscardHandler))
		g.Expect(errs).To(BeEmpty(), "Prometheus loads %s", f.Content)
		if f.Name == "mimir.yml" {
			g.Expect(groups.Groups[0].QueryOffset.String()).To(Equal("1m"))
		}
	}
}

// A file that a Prometheus configuration names is Prometheus's, whatever else there is.
func TestOtherProgramsInPrometheus(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	g.Expect(os.Mkdir("rules", 0o755)).To(Succeed())
	write(t, ".", "prometheus.yml", "rule_files: [rules/*.yml]\n")
	write(t, "rules", "thanos.yml", ofThanos)
	_, err := Read("prometheus.yml")
	g.Expect(err).To(MatchError(`rules/thanos.yml:3: a field for Thanos, for which Prometheus does not load the file ("partial_response_strategy"): remove it, or the file from the rule_files of prometheus.yml`))
	write(t, "rules", "thanos.yml", header+"  - {name: g, rules: [{alert: C, expr: up}]}\n")
	_, err = Read("prometheus.yml")
	g.Expect(err).To(MatchError(ContainSubstring(`rules/thanos.yml:1: unknown field ("apiVersion")`)))
	write(t, "rules", "thanos.yml", "global: {}\n")
	_, err = Read("prometheus.yml")
	g.Expect(err).To(HaveOccurred())
}

func TestOtherProgramsRefuse(t *testing.T) {
	for name, tc := range map[string][2]string{
		"a strategy":         {strings.Replace(ofThanos, "WARN", "maybe", 1), `a.yml:3: "partial_response_strategy" is not what Thanos takes`},
		"a delay":            {strings.Replace(ofMimir, "delay: 1m", "delay: soon", 1), `a.yml:6: "evaluation_delay" is not a duration ("soon")`},
		"tenants":            {strings.Replace(ofMimir, "[a, b]", "a", 1), `a.yml:5: "source_tenants" is not what`},
		"alignment":          {strings.Replace(ofMimir, "true", "1s", 1), `a.yml:7: "align_evaluation_time_on_interval" is not what`},
		"a remote":           {strings.Replace(ofMimir, "url", "uri", 1), `a.yml:8: "remote_write" is not what`},
		"a namespace":        {strings.Replace(ofMimir, "infra", "[]", 1), `a.yml:2: not the name of a namespace`},
		"another field":      {strings.Replace(ofThanos, "interval", "every", 1), `a.yml:4: unknown field ("every")`},
		"a field beside":     {"x: y\n" + ofMimir, `a.yml:1: unknown field ("x")`},
		"a key twice":        {strings.Replace(ofThanos, "interval", "name", 1), `a.yml:4: mapping key "name" already defined at line 2`},
		"an expression":      {strings.Replace(ofThanos, "== 0", "== ", 1), `a.yml:9: the expression of A is not PromQL`},
		"a nameless one":     {strings.Replace(ofMimir, "namespace: other\n", "", 1), `a.yml:13: a second YAML document without a namespace`},
		"LogQL among PromQL": {ofThanos + "  - {alert: B, expr: 'rate({a=\"b\"} |= \"c\" [5m]) > 0'}\n", `a.yml:11: the expression of B is LogQL`},
		"Kubernetes' own":    {header + "  - {name: g, partial_response_strategy: no way, rules: [{alert: A, expr: up}]}\n", `no strategy that Kubernetes takes`},
		"no field of its":    {header + "  - {name: g, source_tenants: [a], rules: [{alert: A, expr: up}]}\n", `a field for the rulers of Mimir and Cortex, for which Prometheus does not load the file ("source_tenants"): remove it: a group has`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse("a.yml", []byte(tc[0])); err == nil || !strings.Contains(err.Error(), tc[1]) {
				t.Errorf("got %v, want %s", err, tc[1])
			}
		})
	}
}

func TestLoki(t *testing.T) {
	for expr, isLoki := range map[string]bool{
		`sum(rate({app="x"} |= "error" [5m])) > 1`:                   true,
		"count_over_time({app=\"x\"} |~ `a|b` | json [5m]) > 1":      true,
		`sum(count_over_time({app="x"} | json | __error__="" [5m]))`: true,
		`sum(rate({app="x"} != "debug" [5m])) > 1`:                   true,
		`sum by (app) (bytes_over_time({app="x"}[5m])) > 1`:          true,
		`sum(rate({app="x"}[5m])) > 1`:                               true,
		`sum(rate({__name__="a_total"}[5m])) > 1`:                    false,
		`sum(rate(a_total[5m])) > 1`:                                 false,
		`absent_over_time({app="x"}[5m])`:                            false,
		`{app="x"} > 1`:                                              false,
		`vector(1)`:                                                  false,
		`sum(rate({app="x"} |= "a" [5m])) > 1 # {`:                   true,
	} {
		t.Run(expr, func(t *testing.T) {
			g := NewWithT(t)
			dir := t.TempDir()
			write(t, dir, "a.yml", group+"    expr: up\n")
			write(t, dir, "b.yml", "groups:\n- name: g\n  rules:\n  - alert: B\n    expr: |\n      "+expr+"\n")
			set, err := ReadDir(dir)
			g.Expect(err).NotTo(HaveOccurred())
			if !isLoki {
				g.Expect(set.Skipped).To(BeEmpty())
				return
			}
			g.Expect(set.Skipped).To(Equal([]Skipped{{File: filepath.Join(dir, "b.yml"), Line: 5, Why: "a rule file of Loki's, whose LogQL is not PromQL"}}))
		})
	}
	if _, err := Parse("a.yml", []byte(group+"    expr: up{ | foo\n")); err == nil || !strings.Contains(err.Error(), "is not PromQL") {
		t.Error(err)
	}
}

// A template beside rule files is passed over; alone, it is the reason why there is nothing to read.
func TestTemplates(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	write(t, dir, "a.yml", group+"    expr: up\n")
	write(t, dir, "b.yml", "groups:\n{{- if .Values.x }}\n- name: g\n{{- end }}\n")
	write(t, dir, "c.alerts", group+"    expr: up > {{ .Values.limit }}\n")
	set, err := ReadDir(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(set.Skipped).To(HaveLen(2))
	g.Expect([]int{set.Skipped[0].Line, set.Skipped[1].Line}).To(Equal([]int{2, 5}))
	// What Prometheus expands itself is no other program's.
	write(t, dir, "b.yml", group+"    expr: up\n    annotations:\n      summary: {{ $labels.instance }}\n")
	_, err = ReadDir(dir)
	g.Expect(err).To(MatchError(ContainSubstring("b.yml:7")))
}
