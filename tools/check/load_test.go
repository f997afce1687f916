package check

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// Rules of other environments are no duplicates, and what one of them records says nothing of the alerts of another.
func TestEnvironments(t *testing.T) {
	const rules = "groups:\n- name: g\n  rules:\n  - {record: 'job:up:sum', expr: 'sum by (LABEL) (up)'}\n  - {alert: A, expr: 'up == 0'}\n" +
		"  - {alert: B, expr: 'job:up:sum{job=\"x\"} == 0'}\n"
	for name, tc := range map[string]struct {
		rules string
		want  []string
	}{
		"a folder":        {"rules", []string{"route/receiver rules/staging/a.yml:6", "expr/never rules/staging/a.yml:6"}},
		"named together":  {"rules/production:rules/staging", []string{"alert/duplicate rules/staging/a.yml:5", "alert/duplicate rules/staging/a.yml:6"}},
		"a configuration": {"prometheus.yml", []string{"route/receiver rules/staging/a.yml:6", "expr/never rules/staging/a.yml:6"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			t.Chdir(t.TempDir())
			for environment, label := range map[string]string{"production": "job", "staging": "instance"} {
				folder := filepath.Join("rules", environment)
				g.Expect(os.MkdirAll(folder, 0o755)).To(Succeed())
				g.Expect(os.WriteFile(filepath.Join(folder, "a.yml"), []byte(strings.ReplaceAll(rules, "LABEL", label)), 0o644)).To(Succeed())
			}
			// Which series have a job depends on the environment.
			g.Expect(os.WriteFile("alertmanager.yml", []byte("route: {receiver: none, routes: [{receiver: pager, matchers: [job=x]}]}\n"+
				"receivers: [{name: none}, {name: pager, webhook_configs: [{url: http://x}]}]\n"), 0o644)).To(Succeed())
			g.Expect(os.WriteFile("prometheus.yml", []byte("rule_files: [rules/staging/*.yml]\n"), 0o644)).To(Succeed())
			found, _, err := Run(t.Context(), Inputs{Rules: tc.rules, Alertmanager: "alertmanager.yml"})
			g.Expect(err).NotTo(HaveOccurred())
			var got []string
			for _, f := range found {
				if slices.Contains([]string{"alert/duplicate", "expr/never", "record/duplicate", "route/receiver"}, f.Check) {
					got = append(got, f.Check+" "+fmt.Sprintf("%s:%d", f.File, f.Line))
				}
			}
			g.Expect(got).To(Equal(tc.want))
		})
	}
}
