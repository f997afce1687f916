// Package mutate measures the tests of alerts: it makes one plausible mistake at a time in a rule, and sees whether a
// test fails.
package mutate

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/witness"
)

// Mutant is an alert with one mistake.
type Mutant struct {
	Original, Mutated rule.Alert
	What              string // the kind of mistake, such as "comparison inverted"
	// Field is the changed field, named as in rule.Alert.At. To replaces From at Offset of its value.
	Field    string
	Offset   int
	From, To string
}

// edit replaces a part of a text.
type edit struct {
	what       string
	start, end int
	to         string
}

var promqlParser = parser.NewParser(promql.Options)

// Of returns the mutants of an alert, all of which Prometheus would load.
func Of(alert rule.Alert) ([]Mutant, error) {
	expr, err := promqlParser.ParseExpr(alert.Expr)
	if err != nil {
		return nil, fmt.Errorf("%s:%d: the expression of %s: %w", alert.File, alert.ExprLine, alert.Name, err)
	}
	var mutants []Mutant
	seen := map[string]bool{alert.Expr: true}
	for _, e := range edits(alert.Expr, expr) {
		text := alert.Expr[:e.start] + e.to + alert.Expr[e.end:]
		changed, err := promqlParser.ParseExpr(text)
		if err != nil || changed.Type() != parser.ValueTypeVector && changed.Type() != parser.ValueTypeScalar || seen[text] {
			continue
		}
		seen[text] = true
		m := Mutant{Original: alert, Mutated: alert, What: e.what, Field: "expr", Offset: e.start, From: alert.Expr[e.start:e.end], To: e.to}
		m.Mutated.Expr = text
		mutants = append(mutants, m)
	}
	return append(mutants, ofFields(alert)...), nil
}

// ofFields returns the mutants of all fields but the expression.
func ofFields(alert rule.Alert) []Mutant {
	var mutants []Mutant
	add := func(what, field string, offset int, from, to string, change func(*rule.Alert)) {
		m := Mutant{alert, alert, what, field, offset, from, to}
		change(&m.Mutated)
		mutants = append(mutants, m)
	}
	duration := func(field string, d time.Duration, doubled bool, set func(*rule.Alert, time.Duration)) {
		if d == 0 {
			return
		}
		from := model.Duration(d).String()
		add(field+" removed", field, 0, from, "", func(a *rule.Alert) { set(a, 0) })
		add(field+" halved", field, 0, from, model.Duration(d/2).String(), func(a *rule.Alert) { set(a, d/2) })
		if doubled {
			add(field+" doubled", field, 0, from, model.Duration(2*d).String(), func(a *rule.Alert) { set(a, 2*d) })
		}
	}
	duration("for", alert.For, true, func(a *rule.Alert, d time.Duration) { a.For = d })
	duration("keep_firing_for", alert.KeepFiringFor, false, func(a *rule.Alert, d time.Duration) { a.KeepFiringFor = d })

	if severity, ok := alert.Labels["severity"]; ok {
		other := "warning"
		if severity == other {
			other = "critical"
		}
		add("severity changed", "labels.severity", 0, severity, other, func(a *rule.Alert) { a.Labels = replaced(a.Labels, "severity", other) })
	}
	for _, name := range sorted(alert.Annotations) {
		text := alert.Annotations[name]
		for _, at := range labelInTemplate.FindAllStringSubmatchIndex(text, -1) {
			label := text[at[2]:at[3]]
			wrong := misspell(label)
			changed := text[:at[2]] + wrong + text[at[3]:]
			add("annotation label misspelt", "annotations."+name, at[2], label, wrong, func(a *rule.Alert) { a.Annotations = replaced(a.Annotations, name, changed) })
		}
	}
	return mutants
}

// misspell drops the last letter of a name.
func misspell(name string) string {
	if len(name) < 2 {
		return name + name
	}
	return name[:len(name)-1]
}

// Diff is the change as a unified diff of the file, without context.
func (m Mutant) Diff(content string) string {
	line, column := m.Original.At(m.Field, m.Offset)
	lines := strings.SplitAfter(content, "\n")
	if line < 1 || line > len(lines) {
		return ""
	}
	text := []rune(strings.TrimRight(lines[line-1], "\r\n"))
	before := string(text)
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n@@ -%d", m.Original.File, m.Original.File, line)
	rest := ""
	if column-1 <= len(text) {
		rest = string(text[column-1:])
	}
	from := m.From
	if m.Field == "for" || m.Field == "keep_firing_for" { // which can be written in more than one way
		from = strings.FieldsFunc(rest+" ", func(r rune) bool { return strings.ContainsRune(" \t,}'\"#", r) })[0]
	}
	switch {
	case m.To == "" && m.Field != "expr" && strings.HasPrefix(strings.TrimSpace(before), m.Field+":"):
		fmt.Fprintf(&b, " +%d,0 @@\n-%s\n", line-1, before)
	case strings.HasPrefix(rest, from):
		fmt.Fprintf(&b, " +%d @@\n-%s\n+%s\n", line, before, string(text[:column-1])+m.To+strings.TrimPrefix(rest, from))
	default: // written over several lines or with escapes
		fmt.Fprintf(&b, " +%d @@\n-%s\n+%s\n", line, oneLine(m.value(m.Original)), oneLine(m.value(m.Mutated)))
	}
	return b.String()
}

// value is the changed field of an alert, with its name.
func (m Mutant) value(a rule.Alert) string {
	kind, name, _ := strings.Cut(m.Field, ".")
	switch kind {
	case "expr":
		return "expr: " + a.Expr
	case "for":
		return "for: " + model.Duration(a.For).String()
	case "keep_firing_for":
		return "keep_firing_for: " + model.Duration(a.KeepFiringFor).String()
	case "labels":
		return name + ": " + a.Labels[name]
	}
	return name + ": " + a.Annotations[name]
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// every is how often the alert is evaluated.
func (m Mutant) every() time.Duration {
	return cmp.Or(m.Original.Interval, witness.DefaultInterval)
}
