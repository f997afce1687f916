package check

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestKeys(t *testing.T) {
	for name, tc := range map[string]struct{ rest, want string }{
		"a label misspelt":           {"labels:\n      serverity: page\n", "a.yml:7:7 rule/key: A has the label serverity, and no severity: did you mean severity?"},
		"and there too":              {"labels:\n      serverity: page\n      severity: page\n", ""},
		"a usual label misspelt":     {"labels:\n      severity: page\n      taem_name: x\n", "a.yml:8:7 rule/key: A has the label taem_name, and no team_name: did you mean team_name?"},
		"another label":              {"labels:\n      severity: page\n      service: x\n", ""},
		"an annotation misspelt":     {"labels:\n      severity: page\n    annotations:\n      descripton: x\n", "a.yml:9:7 rule/key: A has the annotation descripton, and no description: did you mean description?"},
		"in several lines":           {"labels:\n      severity: page\n    annotations:\n      sumary: >-\n        x\n", "a.yml:9:7 rule/key: A has the annotation sumary, and no summary: did you mean summary?"},
		"for among the labels":       {"labels:\n      severity: page\n      for: 5m\n", "a.yml:8:7 rule/key: for is a label of A, and not the rule's own: move it to the left, beside labels"},
		"expr among the annotations": {"labels:\n      severity: page\n    annotations:\n      expr: up\n", "a.yml:9:7 rule/key: expr is an annotation of A, and not the rule's own: move it to the left, beside annotations"},
		"a summary among the labels": {"labels:\n      severity: page\n      summary: x\n", "a.yml:8:7 rule/key: Warning: summary is a label of A, and is usually found among the annotations: move it there"},
		"and among the annotations":  {"labels:\n      severity: page\n      summary: x\n    annotations:\n      summary: x\n", ""},
		"severity as an annotation":  {"annotations:\n      severity: page\n", "a.yml:7:7 rule/key: Warning: severity is an annotation of A, and is usually found among the labels: move it there"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range alertsOf(t, Inputs{}, head+"  - alert: A\n    expr: up == 0\n    "+tc.rest+
				"  - {alert: B, expr: up == 0, labels: {severity: page, team_name: x}}\n"+
				"  - {alert: C, expr: up == 0, labels: {severity: page, team_name: x}}\n") {
				if strings.Contains(f, " rule/key: ") {
					got = append(got, f)
				}
			}
			NewWithT(t).Expect(strings.Join(got, "\n")).To(Equal(tc.want))
		})
	}
}
