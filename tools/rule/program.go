package rule

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/stemedb/firedrill/tools/promql"
)

// Foreign is a field that another program reads in a rule file, and for which Prometheus refuses the file. It does not
// change which alerts a rule raises.
type Foreign struct {
	File    string
	Line    int
	Field   string
	Program string // as in "Thanos"
}

const (
	rulers     = "the rulers of Mimir, Cortex and Loki"
	delayField = "evaluation_delay" // query_offset, as it was called before Prometheus had it
)

// foreignFields are the fields of groups that other programs read, by name. The fields of a manifest are no matter of theirs.
var foreignFields = map[string]struct {
	program string
	isRight func(*yaml.Node) bool
	right   string
}{
	"partial_response_strategy":         {"Thanos", isStrategy, "write warn or abort"},
	"source_tenants":                    {"the rulers of Mimir and Cortex", isTenants, "write a list of tenants, as in [team-a, team-b]"},
	delayField:                          {"the rulers of Mimir and Loki", isScalar, "write a duration"}, // see durations
	"align_evaluation_time_on_interval": {"the ruler of Mimir", isBool, "write true or false"},
	"remote_write":                      {rulers, isRemotes, "write a list of mappings that have a url"},
}

// strategy is what Thanos takes, and Kubernetes in a PrometheusRule.
var strategy = regexp.MustCompile(`^(?i:abort|warn)?$`)

func isStrategy(node *yaml.Node) bool { return isScalar(node) && strategy.MatchString(node.Value) }
func isScalar(node *yaml.Node) bool   { return node.Kind == yaml.ScalarNode }
func isBool(node *yaml.Node) bool     { return node.ShortTag() == "!!bool" }

func isTenants(node *yaml.Node) bool {
	return node.Kind == yaml.SequenceNode && !slices.ContainsFunc(items(node), func(n *yaml.Node) bool { return !isScalar(n) || n.Value == "" })
}

func isRemotes(node *yaml.Node) bool {
	return node.Kind == yaml.SequenceNode && !slices.ContainsFunc(items(node), func(n *yaml.Node) bool { return scalar(value(n, "url")) == "" })
}

// ProgramOf says which program reads a field of rule files that Prometheus refuses; empty for any other field.
func ProgramOf(field string) string {
	if field == namespaceField {
		return rulers
	}
	return foreignFields[field].program
}

// namespaceField is beside the groups of a file that mimirtool, cortextool and lokitool upload. A file may hold several
// documents that have it.
const namespaceField = "namespace"

// foreignIn finds the fields of a rule file that other programs read, and what is wrong with them.
func (s *source) foreignIn(roots []*yaml.Node) (found []Foreign, problems []problem) {
	add := func(mapping *yaml.Node, field string) {
		found = append(found, Foreign{File: s.file, Line: keyLine(mapping, field), Field: field, Program: ProgramOf(field)})
	}
	for _, root := range roots {
		if namespace := value(root, namespaceField); namespace != nil {
			add(root, namespaceField)
			if !isScalar(namespace) {
				problems = append(problems, s.problem(namespace.Line, "not the name of a namespace", "write text"))
			}
		}
		for _, group := range items(value(root, "groups")) {
			for field, node := range entries(group) {
				known, isForeign := foreignFields[field]
				if !isForeign {
					continue
				}
				add(group, field)
				if !known.isRight(node) {
					p := s.problem(node.Line, fmt.Sprintf("%q is not what %s takes", field, known.program), known.right)
					problems = append(problems, p)
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b Foreign) int { return a.Line - b.Line })
	return found, problems
}

// pipeline is what follows a stream selector in LogQL, strings left out, and functions are LogQL's alone.
var (
	quoted    = regexp.MustCompile("\"(?:[^\"\\\\\n]|\\\\.)*\"|`[^`]*`|'(?:[^'\\\\\n]|\\\\.)*'")
	pipeline  = regexp.MustCompile(`(?:^|[^\w:])\{[^{}]*\}\s*(?:\|=|\|~|\|>|!>|!=\s*""|!~\s*""|\|\s*[a-z_]+\b)`)
	functions = regexp.MustCompile(`\b(?:bytes_rate|bytes_over_time|rate_counter)\s*\(`)
)

// isLogQL reports whether an expression that is not PromQL has the shape of LogQL.
func isLogQL(expr string) bool {
	var lines []string
	for line := range strings.Lines(quoted.ReplaceAllString(expr, `""`)) {
		line, _, _ = strings.Cut(line, "#")
		lines = append(lines, line)
	}
	bare := strings.Join(lines, "\n")
	return pipeline.MatchString(bare) || functions.MatchString(bare)
}

// loki finds the first expression of a rule file that only Loki reads, where it reads the others as well: a stream is
// selected by labels, never by a name.
func loki(roots []*yaml.Node) *yaml.Node {
	var first *yaml.Node
	for _, root := range roots {
		for _, r := range allRules(root) {
			node := value(r, "expr")
			if node == nil {
				continue
			}
			expr, err := promql.ParseExpr(node.Value)
			switch {
			case err != nil && !isLogQL(node.Value), err == nil && !mayBeLogQL(expr):
				return nil
			case first == nil && (err != nil || countsLines(expr)):
				first = node
			}
		}
	}
	return first
}

// allRules returns the rules of a rule file or a manifest.
func allRules(root *yaml.Node) (all []*yaml.Node) {
	groups := value(root, "groups")
	if isObject(root) {
		groups = value(value(root, "spec"), "groups")
		for _, item := range items(value(root, "items")) {
			all = append(all, allRules(item)...)
		}
	}
	for _, group := range items(groups) {
		all = append(all, items(value(group, "rules"))...)
	}
	return all
}

// mayBeLogQL reports whether no selector of an expression has a name, and there is one.
func mayBeLogQL(expr parser.Expr) bool {
	selectors := parser.ExtractSelectors(expr)
	return len(selectors) > 0 && !slices.ContainsFunc(selectors, func(matchers []*labels.Matcher) bool {
		return slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return m.Name == labels.MetricName })
	})
}

// countsLines reports whether an expression counts what it selects without a name, which in PromQL fails as soon as there
// are two metrics.
func countsLines(expr parser.Expr) (counts bool) {
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		call, ok := node.(*parser.Call)
		counts = counts || ok && (call.Func.Name == "rate" || call.Func.Name == "count_over_time")
		return nil
	})
	return counts
}

// template is what no YAML file and no template of Prometheus holds: actions of Helm's, and tags of Jinja's and Liquid's.
var template = regexp.MustCompile(`\{\{[^}]*(?:\.(?:Values|Release|Chart|Files|Capabilities)\b|\b(?:include|tpl|toYaml|nindent)\b)|^\s*\{%`)

// templated finds the line on which a file that is not YAML shows that another program renders it first.
func (s *source) templated() int {
	n := 0
	for line := range strings.Lines(string(s.content)) {
		n++
		if template.MatchString(line) {
			return n
		}
	}
	return 0
}
