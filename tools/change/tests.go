package change

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// tests are the groups of a promtool test file.
type tests []test

// test is one group: what it says, whatever its layout, and whom it is about.
type test struct {
	text   string
	alerts []string // named in alert_rule_test
	exprs  []string // of promql_expr_test
}

// parseTests reads a promtool test file: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/.
// Whatever else it has than groups is part of each of them.
func parseTests(content []byte) (tests, error) {
	var document map[string]any
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, err
	}
	groups, _ := document["tests"].([]any)
	frame := maps.Clone(document)
	delete(frame, "tests")
	var all tests
	for i, group := range groups {
		text, err := json.Marshal([]any{plain(frame), plain(group)})
		if err != nil {
			return nil, fmt.Errorf("test group %d: %w", i+1, err)
		}
		t := test{text: string(text)}
		for _, assertion := range children(group, "alert_rule_test") {
			if name, ok := assertion["alertname"].(string); ok {
				t.alerts = append(t.alerts, name)
			}
		}
		for _, assertion := range children(group, "promql_expr_test") {
			if expr, ok := assertion["expr"].(string); ok {
				t.exprs = append(t.exprs, expr)
			}
		}
		all = append(all, t)
	}
	return all, nil
}

// plain returns a YAML value as one that JSON can hold: YAML's keys need not be text, and its numbers may be infinite.
func plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, element := range v {
			out[key] = plain(element)
		}
		return out
	case map[any]any:
		out := make(map[string]any, len(v))
		for key, element := range v {
			out[fmt.Sprint(key)] = plain(element)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = plain(element)
		}
		return out
	case string:
		return strings.TrimSpace(v)
	}
	return fmt.Sprint(value)
}

// children returns the mappings in a list that a mapping holds.
func children(of any, key string) []map[string]any {
	mapping, _ := of.(map[string]any)
	list, _ := mapping[key].([]any)
	var found []map[string]any
	for _, element := range list {
		if child, ok := element.(map[string]any); ok {
			found = append(found, child)
		}
	}
	return found
}

// without returns the groups that others do not have.
func (ts tests) without(others tests) tests {
	return slices.DeleteFunc(slices.Clone(ts), func(t test) bool {
		return slices.ContainsFunc(others, func(o test) bool { return o.text == t.text })
	})
}

// names reports whether a group is about an alert that stands on the given rules: it asserts on it, or it reads what one
// of the rules writes.
func (t test) names(alert string, behind rules) bool {
	if slices.Contains(t.alerts, alert) {
		return true
	}
	for _, source := range t.exprs {
		expr, err := promql.ParseExpr(source)
		if err != nil {
			continue // promtool says so
		}
		for _, selector := range selectors(expr) {
			if slices.ContainsFunc(behind, func(r parsed) bool { return r.feeds(selector) }) {
				return true
			}
		}
	}
	return false
}
