package ruletest

import (
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
)

// BenchmarkMutant runs our own tests over our own rules with one of them changed, so that no test notices.
func BenchmarkMutant(b *testing.B) {
	const path = "../../rules/tls.yml"
	suite := Load([]string{"../../rules/tls_test.yml"}, Options{})
	groups, errs := rulefmt.ParseFile(path, false, model.UTF8Validation, promqlParser, quiet)
	if len(errs) > 0 {
		b.Fatal(errs)
	}
	for i, r := range groups.Groups[0].Rules {
		groups.Groups[0].Rules[i].Expr = "(" + r.Expr + ")"
	}
	for b.Loop() {
		result, err := suite.RunWith(b.Context(), path, groups)
		if err != nil || result.Failed() || len(result.Files) == 0 {
			b.Fatalf("error %v, result %+v", err, result)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mutants/s")
}
