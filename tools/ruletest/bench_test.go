package ruletest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"

	"github.com/stemedb/firedrill/tools/engine/enginetest"
)

// BenchmarkMutant runs our own tests over our own rules with one of them changed, each in turn, so that no test notices.
func BenchmarkMutant(b *testing.B) {
	const path = "../../rules/tls.yml"
	suite := Load([]string{"../../rules/tls_test.yml"}, Options{})
	groups, errs := rulefmt.ParseFile(path, false, model.UTF8Validation, promqlParser, quiet)
	if len(errs) > 0 {
		b.Fatal(errs)
	}
	changed := groups.Groups[0].Rules
	for i := 0; b.Loop(); i++ {
		r := &changed[i%len(changed)]
		as := r.Expr
		r.Expr = "(" + r.Expr + ")"
		result, err := suite.RunWith(b.Context(), path, groups)
		if err != nil || result.Failed() || len(result.Files) == 0 {
			b.Fatalf("error %v, result %+v", err, result)
		}
		r.Expr = as
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mutants/s")
}

// BenchmarkAgainstPromtool runs 300 test groups over 16 rules, as promtool does and as we do, and reports how many times
// longer promtool takes.
func BenchmarkAgainstPromtool(b *testing.B) {
	var rules, tests strings.Builder
	rules.WriteString("groups:\n  - name: g\n    rules:\n")
	tests.WriteString("rule_files: [a.yml]\ntests:\n")
	for i := range 8 {
		fmt.Fprintf(&rules, "      - {record: 'errors%d:ratio', expr: 'sum by (job) (rate(errors%d_total[5m])) / sum by (job) (rate(requests%d_total[5m]))'}\n", i, i, i)
		fmt.Fprintf(&rules, "      - {alert: Errors%d, expr: 'errors%d:ratio > 0.1', for: 10m, labels: {severity: page}, annotations: {summary: '{{ $labels.job }} fails {{ $value | humanizePercentage }}'}}\n", i, i)
	}
	for i := range 300 {
		n := i % 8
		fmt.Fprintf(&tests, `
  - name: test %d
    input_series:
      - {series: 'errors%d_total{job="a",instance="1"}', values: '0+%dx30'}
      - {series: 'requests%d_total{job="a",instance="1"}', values: '0+10x30'}
    alert_rule_test:
      - {eval_time: 10m, alertname: Errors%d}
      - {eval_time: 30m, alertname: Errors%d, exp_alerts: [{exp_labels: {severity: page, job: a}, exp_annotations: {summary: a fails %d%%}}]}
`, i, n, 2+i%5, n, n, n, 10*(2+i%5))
	}
	dir := lay(b, map[string]string{"a.yml": rules.String(), "a_test.yml": tests.String()})
	file := filepath.Join(dir, "a_test.yml")
	theirs := enginetest.Build(b, "promtool")
	var promtoolTook, tookUs time.Duration
	for b.Loop() {
		began := time.Now()
		if out, err := exec.Command(theirs, "test", "rules", file).CombinedOutput(); err != nil {
			b.Fatalf("promtool: %v\n%s", err, out)
		}
		promtoolTook += time.Since(began)
		began = time.Now()
		result, err := Load([]string{file}, Options{}).Run(b.Context())
		if err != nil || result.Failed() {
			b.Fatalf("%v %v", err, result.Files[0].Tests[0])
		}
		tookUs += time.Since(began)
	}
	b.ReportMetric(promtoolTook.Seconds()/tookUs.Seconds(), "times-faster-than-promtool")
	b.ReportMetric(300*float64(b.N)/tookUs.Seconds(), "tests/s")
}
