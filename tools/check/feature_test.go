package check

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	. "github.com/onsi/gomega"
)

// A rule that needs a feature of Prometheus takes neither its file nor the others down.
func TestFeatures(t *testing.T) {
	g := NewWithT(t)
	content, err := os.ReadFile("testdata/cases/28-experimental/rules/rules.yml")
	g.Expect(err).NotTo(HaveOccurred())
	t.Chdir(t.TempDir())
	write := func(text string) {
		t.Helper()
		g.Expect(os.MkdirAll("rules", 0o755)).To(Succeed())
		g.Expect(os.WriteFile(filepath.Join("rules", "rules.yml"), []byte(text), 0o644)).To(Succeed())
	}
	write(string(content))
	_, _, err = Run(t.Context(), Inputs{Rules: "rules"})
	g.Expect(err).To(MatchError(And(ContainSubstring("rules.yml:17: the expression of G"), ContainSubstring("rules.yml:21: the expression of I"), ContainSubstring("rules.yml:23: the expression of J"))))
	g.Expect(err).NotTo(MatchError(ContainSubstring("enable-feature")))

	valid := regexp.MustCompile(`      - alert: [GIJ]\n        expr: .*\n?`).ReplaceAllString(string(content), "")
	write(valid + "  - name: recorded\n    rules:\n      - {record: a, expr: a1 + fill(0) b1}\n      - alert: Suppressed\n        # firedrill: ignore expr/feature -- Prometheus is started with it\n        expr: info(up) == 1\n")
	findings := func(features ...string) []string {
		t.Helper()
		found, set, err := Run(t.Context(), Inputs{Rules: "rules", Features: features})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(set.Alerts).To(HaveLen(8))
		var of []string
		for _, f := range found {
			if f.Check == "expr/feature" {
				of = append(of, f.Source+": "+f.Message)
				g.Expect(f.Column).To(BeNumerically(">", 1))
			}
		}
		return of
	}
	g.Expect(findings()).To(HaveExactElements(
		ContainSubstring(`info(up) == 0: Prometheus refuses the file of A unless it is started with --enable-feature=promql-experimental-functions (function "info" is not enabled): give firedrill the same flag if it is, or write`),
		ContainSubstring("the file of D"), ContainSubstring("the file of E"), ContainSubstring("the file of F"),
		ContainSubstring("the file of a unless it is started with --enable-feature=promql-binop-fill-modifiers"),
	))
	g.Expect(findings("promql-experimental-functions", "another")).To(HaveExactElements(ContainSubstring("the file of a ")))
}
