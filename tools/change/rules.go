package change

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	static "github.com/stemedb/firedrill/tools/promql"
)

var promql = parser.NewParser(static.Options)

// rules are those of all rule files at one moment.
type rules []parsed

// parsed is a rule as Prometheus understands it: without comments and layout.
type parsed struct {
	alert, record string // one of them is empty
	runbookURL    string // as it is written
	text          string // the same for rules that do the same
	selectors     []*parser.VectorSelector
	reads         map[string]place // by name, the rules of its group that write what it reads
}

// place is where in its group a rule stands that another reads: before it, which reads the value of the same evaluation
// then, or after it, which reads that of the one before. Of several rules, both may be set.
type place struct{ before, after bool }

// parseRules reads a rule file as Prometheus loads it.
func parseRules(content []byte) (rules, error) {
	groups, errs := rulefmt.Parse(content, true, model.UTF8Validation, promql, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return nil, errs[0]
	}
	var all rules
	for _, group := range groups.Groups {
		first := len(all)
		for _, r := range group.Rules {
			expr, err := promql.ParseExpr(r.Expr)
			if err != nil {
				return nil, fmt.Errorf("the expression of %s%s: %w", r.Alert, r.Record, err)
			}
			lifted := maps.Clone(group.Labels)
			if lifted == nil {
				lifted = map[string]string{}
			}
			maps.Copy(lifted, r.Labels)
			// The name of the group and its place in the file are left out: a rule that has moved is the same rule.
			text, err := json.Marshal([]any{r.Alert, r.Record, expr.String(), r.For, r.KeepFiringFor, lifted, r.Annotations,
				group.Interval, group.QueryOffset, group.Limit})
			if err != nil {
				return nil, fmt.Errorf("writing down %s%s: %w", r.Alert, r.Record, err)
			}
			all = append(all, parsed{alert: r.Alert, record: r.Record, runbookURL: r.Annotations["runbook_url"], text: string(text), selectors: selectors(expr)})
		}
		all[first:].place()
	}
	return all, nil
}

// place notes which rules of a group read each other, and in which order they stand.
func (group rules) place() {
	for i := range group {
		group[i].reads = map[string]place{}
		for j, writer := range group {
			if i == j || !slices.ContainsFunc(group[i].selectors, writer.feeds) {
				continue
			}
			at := group[i].reads[writer.name()]
			at.before, at.after = at.before || j < i, at.after || j > i
			group[i].reads[writer.name()] = at
		}
	}
}

// isReordered tells whether a rule stands before another of its group in one version and after it in the other, where one
// reads the other. What is no longer in one group counts as the same.
func isReordered(was, is rules) bool {
	return slices.ContainsFunc(was, func(old parsed) bool {
		return slices.ContainsFunc(is, func(new parsed) bool {
			if old.text != new.text {
				return false
			}
			for name, at := range old.reads {
				if now, ok := new.reads[name]; ok && now != at {
					return true
				}
			}
			return false
		})
	})
}

// name is that of the alert or of the metric that is recorded.
func (r parsed) name() string { return r.alert + r.record }

func selectors(expr parser.Expr) (found []*parser.VectorSelector) {
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			found = append(found, selector)
		}
		return nil
	})
	return found
}

// alerts returns the names of the alerts, each once.
func (rs rules) alerts() []string {
	var names []string
	for _, r := range rs {
		if r.alert != "" {
			names = append(names, r.alert)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// behind returns the rules that an alert stands on: those of its name, and, through recording rules and the ALERTS of
// other alerts, all that they read.
func (rs rules) behind(alert string) rules {
	var found rules
	isFound := make([]bool, len(rs))
	var add func(int)
	add = func(i int) {
		if isFound[i] {
			return // as it will be where rules read each other in a circle
		}
		isFound[i] = true
		found = append(found, rs[i])
		for _, selector := range rs[i].selectors {
			for j := range rs {
				if rs[j].feeds(selector) {
					add(j)
				}
			}
		}
	}
	for i, r := range rs {
		if r.alert == alert {
			add(i)
		}
	}
	return found
}

// feeds reports whether a selector can read what the rule writes, going by the names alone.
func (r parsed) feeds(selector *parser.VectorSelector) bool {
	names := []string{r.record}
	if r.alert != "" {
		names = []string{"ALERTS", "ALERTS_FOR_STATE"}
	}
	return slices.ContainsFunc(names, func(name string) bool {
		for _, m := range selector.LabelMatchers {
			switch {
			case m.Name == labels.MetricName && !m.Matches(name):
				return false
			case m.Name == labels.AlertName && r.alert != "" && !m.Matches(r.alert):
				return false
			}
		}
		return true
	})
}

// texts returns what the rules say, in one order, each once.
func (rs rules) texts() []string {
	texts := make([]string, len(rs))
	for i, r := range rs {
		texts[i] = r.text
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}
