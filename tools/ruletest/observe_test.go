package ruletest

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// rulesOf reads one rule file whose rules are evaluated every minute.
func rulesOf(t *testing.T, content string) *Rules {
	t.Helper()
	rules, err := NewRules([]RuleFile{{Path: "rules.yml", Content: []byte(content)}}, time.Minute, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestObserve(t *testing.T) {
	g := NewWithT(t)
	rules := rulesOf(t, `
groups:
- name: readers
  rules:
  - {alert: A, expr: 'recorded > 1', for: 1m, labels: {severity: warning}, annotations: {summary: 'is {{ $value }}'}}
  - {alert: A, expr: 'recorded > 5', labels: {severity: critical}}
- name: others
  rules: [{alert: B, expr: 'y > 1'}]
- name: recorders
  rules: [{record: recorded, expr: 'x * 2'}]
`)
	g.Expect(rules.Order()).To(Equal([]string{"recorders", "readers"}))
	in := Input{Interval: time.Minute, Series: []Series{{`x{job="a"}`, "1 1 3 0"}}}
	var seen []string
	found, err := rules.Observe(t.Context(), in, "A", []time.Duration{0, time.Minute, 2 * time.Minute, 3 * time.Minute})
	g.Expect(err).NotTo(HaveOccurred())
	for _, firing := range found {
		var all []string
		for _, f := range firing {
			all = append(all, f.Labels.Get("severity")+" "+f.Annotations.Get("summary"))
		}
		seen = append(seen, strings.Join(all, ", "))
	}
	g.Expect(seen).To(Equal([]string{"", "warning is 2", "critical , warning is 6", ""}))

	in.Series = append(in.Series, Series{"x", "1 two"})
	_, err = rules.Observe(t.Context(), in, "A", []time.Duration{0})
	g.Expect(err).To(MatchError(ContainSubstring(`input_series "x 1 two"`)))
	in.Series = []Series{{"x", "1x3"}, {"recorded", "1x3"}}
	_, err = rules.Observe(t.Context(), in, "A", []time.Duration{0})
	g.Expect(err).To(MatchError(ContainSubstring("record: recorded")))
}

func TestObserveWhatDependsOnChance(t *testing.T) {
	g := NewWithT(t)
	files := []RuleFile{
		{"a.yml", []byte("groups: [{name: g, rules: [{alert: A, expr: 'recorded > 1'}]}]")},
		{"b.yml", []byte("groups: [{name: g, rules: [{record: recorded, expr: x}]}]")},
	}
	rules, err := NewRules(files, time.Minute, Options{})
	g.Expect(err).NotTo(HaveOccurred())
	in := Input{Interval: time.Minute, Series: []Series{{"x", "2 0 0"}}}
	_, err = rules.Observe(t.Context(), in, "A", []time.Duration{0})
	g.Expect(err).To(MatchError(ErrOrder))
	_, err = rules.Observe(t.Context(), in, "A", []time.Duration{2 * time.Minute})
	g.Expect(err).NotTo(HaveOccurred())
}

func TestRulesThatAreNone(t *testing.T) {
	_, err := NewRules([]RuleFile{{"a.yml", []byte("groups: [{name: g, rules: [{alert: A, expr: 'x >'}]}]")}}, time.Minute, Options{})
	NewWithT(t).Expect(err).To(MatchError(HavePrefix("a.yml: ")))
}
