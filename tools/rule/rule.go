// Package rule reads Prometheus rule files exactly as Prometheus does, and knows where in them everything stands.
package rule

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/promql"
	"go.yaml.in/yaml/v3"
)

// MaxFileSize is the size in bytes above which a rule file is refused unread.
const MaxFileSize = 4 << 20

const (
	maxExpr     = 32 << 10 // bytes of one expression
	maxDepth    = 1000     // levels of one expression
	maxExpanded = 8 << 20  // bytes of a file's rules, each alias counted as often as it is used
	nodeSize    = 32       // bytes that a key or a value counts for beside its text
)

// Alert is one alerting rule as deployed. Its name is the index by which its runbook and its spec are found.
type Alert struct {
	Name string
	File string
	// Line and ExprLine say where the alert's name and the first character of its expression stand in File.
	Line, ExprLine int

	Group string
	// Interval is the group's own evaluation interval; 0 leaves it to Prometheus's configuration.
	Interval time.Duration

	Expr               string
	For, KeepFiringFor time.Duration
	// Labels are those that the rule adds, the labels of its group among them.
	Labels      map[string]string
	Annotations map[string]string

	src    *source
	fields map[string]*yaml.Node
}

// At returns the line and the column, both counted from 1, of the byte at offset in the value of a field: "alert",
// "expr", "for", "labels.severity", "annotations.summary", and "group" for the name of its group. It sees through YAML's block and quoted scalars. For a field
// that the rule does not have, it returns the place of the alert's name.
func (a Alert) At(field string, offset int) (line, column int) {
	node, ok := a.fields[field]
	if !ok {
		if field == "alert" || a.src == nil {
			return a.Line, 1
		}
		return a.At("alert", 0)
	}
	return a.src.locate(node, offset)
}

// Recording is one recording rule as deployed.
type Recording struct {
	Name string // of the metric that it writes
	File string
	// Line and ExprLine say where the name and the first character of the expression stand in File.
	Line, ExprLine int

	Group    string
	Interval time.Duration // 0 leaves it to Prometheus's configuration

	Expr string
	// Labels are those that the rule adds, the labels of its group among them. One that is empty removes.
	Labels map[string]string

	src    *source
	fields map[string]*yaml.Node
}

// At returns the line and the column, both counted from 1, of the byte at offset in the value of a field, as Alert.At
// does: "record", "expr", "labels.job".
func (r Recording) At(field string, offset int) (line, column int) {
	node, ok := r.fields[field]
	if !ok {
		if field == "record" || r.src == nil {
			return r.Line, 1
		}
		return r.At("record", 0)
	}
	return r.src.locate(node, offset)
}

// Load reads the alerts of rule files and of PrometheusRule manifests, strictly: what Prometheus would refuse or
// silently ignore is an error. The error joins every problem found, each naming its file and line.
func Load(files ...string) ([]Alert, error) {
	var (
		alerts []Alert
		errs   []error
	)
	for _, file := range files {
		content, err := read(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found, err := Parse(file, content)
		alerts = append(alerts, found.Alerts...)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return alerts, nil
}

// inOrder sorts the problems of a file by their lines, and drops what is said twice.
func inOrder(problems []problem) []error {
	slices.SortFunc(problems, func(a, b problem) int {
		return cmp.Or(a.line-b.line, cmp.Compare(a.wrong, b.wrong), cmp.Compare(a.text, b.text))
	})
	var errs []error
	for _, p := range slices.Compact(problems) {
		errs = append(errs, p)
	}
	return errs
}

// Parse reads the content of a rule file or of manifests as Load does. The file is for the errors.
func Parse(file string, content []byte) (Set, error) {
	set, problems := parse(file, content)
	return set, errors.Join(inOrder(problems)...)
}

func parse(file string, content []byte) (Set, []problem) {
	src := &source{file: file, content: content}
	roots, problems := src.roots()
	if len(problems) > 0 {
		return Set{}, problems
	}
	return src.rules(roots)
}

// roots returns the documents of a file, if it can hold any.
func (s *source) roots() ([]*yaml.Node, []problem) {
	if p, ok := s.notText(); ok {
		return nil, []problem{p}
	}
	return s.documents()
}

// rules reads the documents of a file, which are one rule file or any number of manifests.
func (s *source) rules(roots []*yaml.Node) (Set, []problem) {
	if slices.ContainsFunc(roots, isObject) && s.config == "" {
		return s.objects(roots)
	}
	if len(roots) == 0 || roots[0].Kind != yaml.MappingNode {
		line := 1
		if len(roots) > 0 {
			line = roots[0].Line
		}
		return Set{}, []problem{s.problem(line, "holds no rule group", noGroups)}
	}
	foreign, problems := s.foreignIn(roots)
	if len(foreign) > 0 && s.config == "" {
		return s.rulesOfOthers(roots, foreign, problems)
	}
	if len(roots) > 1 {
		// Prometheus goes on with the first document alone; whatever the others ask for would never page anybody.
		return Set{}, []problem{s.problem(roots[1].Line, "a second YAML document, which Prometheus ignores", "move it to a file of its own")}
	}
	groups := value(roots[0], "groups")
	found, problems := s.groups(s.content, groups, func(line int) int { return line })
	if len(problems) == 0 && len(items(groups)) == 0 {
		problems = []problem{s.problem(1, "holds no rule group", noGroups)}
	}
	return found, problems
}

// rulesOfOthers reads the documents of a rule file that another program than Prometheus reads.
func (s *source) rulesOfOthers(roots []*yaml.Node, foreign []Foreign, problems []problem) (found Set, _ []problem) {
	for i, root := range roots {
		problems = append(problems, s.repeated(root)...)
		if i > 0 && value(root, namespaceField) == nil {
			problems = append(problems, s.problem(root.Line, "a second YAML document without a namespace", "give each a namespace, or move it to a file of its own"))
		}
		for field := range entries(root) {
			if field != "groups" && field != namespaceField {
				p := s.problem(keyLine(root, field), "unknown field", "beside groups, a rule file of "+rulers+" has a namespace")
				p.text = field
				problems = append(problems, p)
			}
		}
		if groups := value(root, "groups"); len(items(groups)) == 0 {
			problems = append(problems, s.problem(root.Line, "holds no rule group", noGroups))
		} else if p, ok := s.tooMuch(groups); ok {
			problems = append(problems, p)
		}
	}
	if len(problems) > 0 {
		return Set{}, problems
	}
	for _, root := range roots {
		in, wrong := s.extracted(value(root, "groups"), func(field string) bool { return foreignFields[field].program != "" })
		found.add(in)
		problems = append(problems, wrong...)
	}
	if len(problems) > 0 {
		return Set{}, problems
	}
	found.Foreign = foreign[:1]
	return found, nil
}

// groups reads rule groups. Content is a rule file of Prometheus that holds them, and original returns the line of
// the source from which a line of content comes.
func (s *source) groups(content []byte, node *yaml.Node, original func(line int) int) (found Set, problems []problem) {
	if p, ok := s.tooMuch(node); ok {
		return Set{}, []problem{p}
	}
	groupNodes := items(node)
	// Looked at first, because Prometheus's message for one says neither where nor in which field.
	if problems := s.durations(groupNodes); len(problems) > 0 {
		return Set{}, problems
	}
	groups, errs := rulefmt.Parse(content, false, model.UTF8Validation, promql.Parser, slog.New(slog.DiscardHandler))
	if groups == nil {
		for _, err := range errs {
			problems = append(problems, s.undecodable(err, original)...)
		}
		return Set{}, problems
	}
	for _, err := range errs {
		problems = append(problems, s.invalid(err, groupNodes))
	}
	if len(problems) > 0 {
		return Set{}, problems
	}
	for i, group := range groups.Groups {
		found.Groups = append(found.Groups, Group{s.file, group})
		ruleNodes := items(value(at(groupNodes, i), "rules"))
		for j, r := range group.Rules {
			if expr, err := promql.ParseExpr(r.Expr); err == nil && deeper(expr, maxDepth) {
				line := cmp.Or(value(at(ruleNodes, j), "expr"), at(ruleNodes, j)).Line
				problems = append(problems, s.problem(line, fmt.Sprintf("an expression nested more than %d deep", maxDepth), "record its parts"))
				continue
			}
			found.addRule(s, group, r, at(groupNodes, i), at(ruleNodes, j))
		}
	}
	if len(problems) > 0 {
		return Set{}, problems
	}
	if len(found.Alerts)+len(found.Recordings) > 0 {
		found.Files = []File{{Path: s.file, Content: content}}
	}
	return found, nil
}

// deeper reports whether an expression is nested more than so many levels deep. A chain of operators is nested as well.
func deeper(node parser.Node, levels int) bool {
	if levels == 0 {
		return true
	}
	for child := range parser.ChildrenIter(node) {
		if deeper(child, levels-1) {
			return true
		}
	}
	return false
}

func (set *Set) addRule(s *source, group rulefmt.RuleGroup, r rulefmt.Rule, groupNode, node *yaml.Node) {
	labels := maps.Clone(group.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, r.Labels)
	if r.Record != "" {
		recording := Recording{
			Name: r.Record, File: s.file,
			Group: group.Name, Interval: time.Duration(group.Interval),
			Expr: r.Expr, Labels: labels,
			src: s, fields: fields(groupNode, node),
			Line: node.Line,
		}
		recording.Line, _ = recording.At("record", 0)
		recording.ExprLine, _ = recording.At("expr", 0)
		set.Recordings = append(set.Recordings, recording)
		return
	}
	alert := Alert{
		Name: r.Alert, File: s.file,
		Group: group.Name, Interval: time.Duration(group.Interval),
		Expr: r.Expr, For: time.Duration(r.For), KeepFiringFor: time.Duration(r.KeepFiringFor),
		Labels: labels, Annotations: r.Annotations,
		src: s, fields: fields(groupNode, node),
		Line: node.Line,
	}
	alert.Line, _ = alert.At("alert", 0)
	alert.ExprLine, _ = alert.At("expr", 0)
	set.Alerts = append(set.Alerts, alert)
}

// fields lists the scalars of a rule by the names that At knows. A group's labels are those of each of its rules.
func fields(group, rule *yaml.Node) map[string]*yaml.Node {
	nodes := map[string]*yaml.Node{}
	for _, name := range []string{"alert", "record", "expr", "for", "keep_firing_for"} {
		if node := value(rule, name); node != nil {
			nodes[name] = node
		}
	}
	if node := value(group, "name"); node != nil {
		nodes["group"] = node
	}
	for _, from := range []*yaml.Node{group, rule} {
		for _, name := range []string{"labels", "annotations"} {
			for key, node := range entries(value(from, name)) {
				nodes[name+"."+key] = node
			}
		}
	}
	return nodes
}
