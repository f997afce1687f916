package rule

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestLoads(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string // the alerts in each
		rules string
		want  []string // the files of each load
	}{
		"one folder":    {map[string]string{"rules/a.yml": "A B", "rules/b.yml": "A B"}, "rules", []string{"rules/a.yml rules/b.yml"}},
		"teams":         {map[string]string{"rules/x/a.yml": "A B C", "rules/y/a.yml": "A D E"}, "rules", []string{"rules/x/a.yml rules/y/a.yml"}},
		"environments":  {map[string]string{"rules/production/a.yml": "A B", "rules/staging/a.yml": "A B C"}, "rules", []string{"rules/production/a.yml", "rules/staging/a.yml"}},
		"what all have": {map[string]string{"rules/c.yml": "C", "rules/common/a.yml": "X", "rules/p/a.yml": "A", "rules/s/a.yml": "A"}, "rules", []string{"rules/c.yml rules/common/a.yml rules/p/a.yml", "rules/c.yml rules/common/a.yml rules/s/a.yml"}},
		"below others": {map[string]string{"rules/web/p/a.yml": "A", "rules/web/s/a.yml": "A", "rules/db/p/a.yml": "B", "rules/db/s/a.yml": "B"}, "rules",
			[]string{"rules/db/p/a.yml rules/web/p/a.yml", "rules/db/s/a.yml rules/web/s/a.yml"}},
		"copies of two": {map[string]string{"m/jvm/a.yml": "J K", "m/kafka/a.yml": "J K L M N", "m/spring/a.yml": "J K O P Q"}, "m",
			[]string{"m/jvm/a.yml", "m/kafka/a.yml m/spring/a.yml"}},
		"named together": {map[string]string{"rules/p/a.yml": "A", "rules/s/a.yml": "A"}, "rules/p:rules/s", []string{"rules/p/a.yml rules/s/a.yml"}},
		"a pattern":      {map[string]string{"rules/p/a.yml": "A", "rules/s/a.yml": "A"}, "rules/*/*.yml", []string{"rules/p/a.yml", "rules/s/a.yml"}},
		"a configuration": {map[string]string{"rules/p/a.yml": "A", "rules/s/a.yml": "A", "rules/t/a.yml": "A"}, "one.yml",
			[]string{"rules/p/a.yml rules/s/a.yml"}},
		"configurations": {map[string]string{"rules/p/a.yml": "A", "rules/s/a.yml": "A", "rules/t/a.yml": "A"}, "one.yml:two.yml",
			[]string{"rules/p/a.yml rules/s/a.yml", "rules/t/a.yml rules/s/a.yml"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			t.Chdir(t.TempDir())
			write(t, ".", "one.yml", "rule_files: [rules/p/*.yml, rules/s/*.yml]\n")
			write(t, ".", "two.yml", "rule_files: [rules/t/*.yml, rules/s/a.yml]\n")
			for file, alerts := range tc.files {
				text := "groups:\n- name: g\n  rules:\n"
				for alert := range strings.FieldsSeq(alerts) {
					text += "  - {alert: " + alert + ", expr: up}\n"
				}
				g.Expect(os.MkdirAll(filepath.Dir(file), 0o755)).To(Succeed())
				write(t, filepath.Dir(file), filepath.Base(file), text)
			}
			set, err := Read(tc.rules)
			g.Expect(err).NotTo(HaveOccurred())
			var got []string
			for _, load := range set.Loads() {
				var files, alerts []string
				for _, f := range load.Files {
					files = append(files, f.Path)
				}
				for _, a := range load.Alerts {
					alerts = append(alerts, a.File)
				}
				g.Expect(slices.Compact(alerts)).To(Equal(files))
				got = append(got, strings.Join(files, " "))
			}
			for i := range tc.want {
				tc.want[i] = strings.Join(slices.Sorted(strings.FieldsSeq(tc.want[i])), " ")
			}
			g.Expect(got).To(Equal(tc.want))
		})
	}
}

func TestReadRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".", "none.yml", "global: {}\n")
	write(t, ".", "elsewhere.yml", "rule_files: [/nowhere/*.yml]\n")
	for rules, want := range map[string]string{
		"":              "cannot be read as a folder of rules",
		"nowhere":       "nowhere: cannot be read as a folder of rules",
		"nowhere/*.yml": "nowhere/*.yml: no rule file is there",
		"none.yml":      "none.yml:1: a Prometheus configuration without rule_files",
		"elsewhere.yml": "elsewhere.yml: none of its rule_files is on this machine",
	} {
		if _, err := Read(rules); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", rules, err)
		}
	}
}
