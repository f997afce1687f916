package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template/parse"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// templates demands that the labels which the templates of an alert show can exist, and that no label shows the value.
func (c *checker) templates(alert rule.Alert, expr parser.Expr) {
	alternatives := c.series.alternatives(expr)
	for field, texts := range map[string]map[string]string{"labels": alert.Labels, "annotations": alert.Annotations} {
		what := strings.TrimSuffix(field, "s")
		for name, text := range texts {
			reported := map[string]bool{}
			for _, use := range uses(text) {
				key := field + "." + name
				if use.label == "" {
					if field == "labels" && alert.For > 0 && !reported["$value"] && varies(expr) {
						reported["$value"] = true
						c.reportAt(alert, key, use.offset, "template/value", "%s never lasts for its %s: the label %q shows the value, and each new value makes a new alert that is pending from the start; show it in an annotation",
							alert.Name, model.Duration(alert.For), name)
					}
					continue
				}
				if reported[use.label] || use.label == model.MetricNameLabel {
					continue
				}
				for _, alt := range alternatives {
					if alt.labels.May(use.label) {
						continue
					}
					reported[use.label] = true
					where := ""
					if len(alternatives) > 1 {
						where = fmt.Sprintf(" where it fires by %s", promql.Excerpt(alt.expr))
					}
					fix := "keep that label in the expression, or leave it out of the template"
					if value, ok := alert.Labels[use.label]; ok {
						fix = fmt.Sprintf("the rule's own labels are not in $labels: write %q out", value)
					}
					c.reportAt(alert, key, use.offset, "template/label", "the %s %q of %s shows nothing for $labels.%s%s, since the series of its expression have %s; %s",
						what, name, alert.Name, use.label, where, alt.labels, fix)
					break
				}
			}
		}
	}
}

// varies reports whether the value by which an alert fires can differ from one evaluation to the next.
func varies(expr parser.Expr) bool {
	switch e := promql.Bare(expr).(type) {
	case *parser.BinaryExpr:
		switch {
		case e.Op == parser.EQLC && !e.ReturnBool:
			return linear(e.LHS).scale != 0 && linear(e.RHS).scale != 0
		case e.Op == parser.LAND || e.Op == parser.LUNLESS:
			return varies(e.LHS)
		case e.Op == parser.LOR:
			return varies(e.LHS) || varies(e.RHS)
		}
	case *parser.Call:
		return !strings.HasPrefix(e.Func.Name, "absent") && e.Func.Name != "vector" && e.Func.Name != "present_over_time"
	case *parser.AggregateExpr:
		return e.Op != parser.GROUP
	}
	return true
}

// use is a place in a template that shows a label of the series or, where label is empty, the value.
type use struct {
	label  string
	offset int
}

// uses returns what a template shows unconditionally, in the order of its text. A label that a condition around it
// tests is left out: its author knows that it can be missing.
func uses(text string) []use {
	tree := parse.New("template")
	tree.Mode = parse.SkipFuncCheck
	if _, err := tree.Parse(rule.TemplateVariables+text, "", "", map[string]*parse.Tree{}); err != nil {
		return nil // render reports what does not parse
	}
	w := &walker{}
	w.list(tree.Root, dotIsData, nil)
	for i := range w.uses {
		w.uses[i].offset -= len(rule.TemplateVariables)
	}
	return slices.DeleteFunc(w.uses, func(u use) bool { return u.offset < 0 || u.offset >= len(text) })
}

// dot is the meaning of {{ . }}.
type dot int

const (
	dotIsData   dot = iota // what Prometheus gives the template
	dotIsLabels            // the labels of the series
	dotIsOther
)

type walker struct{ uses []use }

func (w *walker) list(list *parse.ListNode, d dot, known map[string]bool) {
	if list == nil {
		return
	}
	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *parse.ActionNode:
			if len(n.Pipe.Decl) == 0 { // variables are not followed
				w.pipe(n.Pipe, d, known)
			}
		case *parse.IfNode:
			inner := tested(n.Pipe, d, known)
			w.list(n.List, d, inner)
			w.list(n.ElseList, d, inner)
		case *parse.WithNode:
			inner := tested(n.Pipe, d, known)
			w.list(n.List, dotOf(n.Pipe, d), inner)
			w.list(n.ElseList, d, inner)
		case *parse.RangeNode:
			w.pipe(n.Pipe, d, known)
			w.list(n.List, dotIsOther, known)
			w.list(n.ElseList, d, known)
		}
	}
}

// tested returns the labels that are known to be missing at times, with those that a condition tests.
func tested(pipe *parse.PipeNode, d dot, known map[string]bool) map[string]bool {
	condition := &walker{}
	condition.all(pipe, d)
	inner := maps.Clone(known)
	if inner == nil {
		inner = map[string]bool{}
	}
	for _, u := range condition.uses {
		inner[u.label] = true
	}
	return inner
}

// all collects every label that a pipeline looks at.
func (w *walker) all(node parse.Node, d dot) {
	switch n := node.(type) {
	case *parse.PipeNode:
		for _, cmd := range n.Cmds {
			w.all(cmd, d)
		}
	case *parse.CommandNode:
		w.command(n, d, nil)
		for _, arg := range n.Args {
			if _, ok := arg.(*parse.PipeNode); ok {
				w.all(arg, d)
			}
		}
	}
}

// choosing are the functions that are used to handle a missing label.
var choosing = []string{"or", "and", "not", "eq", "ne", "lt", "le", "gt", "ge", "len"}

func (w *walker) pipe(pipe *parse.PipeNode, d dot, known map[string]bool) {
	for _, cmd := range pipe.Cmds {
		if id, ok := cmd.Args[0].(*parse.IdentifierNode); ok && slices.Contains(choosing, id.Ident) {
			return
		}
	}
	for _, cmd := range pipe.Cmds {
		w.command(cmd, d, known)
		for _, arg := range cmd.Args {
			if nested, ok := arg.(*parse.PipeNode); ok {
				w.pipe(nested, d, known)
			}
		}
	}
}

func (w *walker) command(cmd *parse.CommandNode, d dot, known map[string]bool) {
	add := func(label string, pos parse.Pos) {
		if !known[label] || label == "" {
			w.uses = append(w.uses, use{label: label, offset: int(pos)})
		}
	}
	for i, arg := range cmd.Args {
		path, pos := dataPath(arg, d)
		switch {
		case len(path) == 2 && path[0] == "Labels":
			add(path[1], pos)
		case len(path) == 1 && path[0] == "Value":
			add("", pos)
		case len(path) == 1 && path[0] == "Labels" && i == 1 && len(cmd.Args) == 3:
			function, isFunction := cmd.Args[0].(*parse.IdentifierNode)
			key, isText := cmd.Args[2].(*parse.StringNode)
			if isFunction && isText && function.Ident == "index" {
				add(key.Text, pos)
			}
		}
	}
}

// dataPath returns the path in Prometheus's template data to what a node shows, such as Labels, instance; nil where it shows
// something else.
func dataPath(node parse.Node, d dot) ([]string, parse.Pos) {
	switch n := node.(type) {
	case *parse.VariableNode:
		pos := n.Pos
		if len(n.Ident) > 1 {
			pos -= parse.Pos(len(n.Ident[0])) // its position is that of the first field
		}
		switch n.Ident[0] {
		case "$":
			return n.Ident[1:], pos
		case "$labels":
			return append([]string{"Labels"}, n.Ident[1:]...), pos
		case "$value":
			return append([]string{"Value"}, n.Ident[1:]...), pos
		}
	case *parse.FieldNode:
		pos := n.Pos
		if len(n.Ident) > 1 {
			pos -= parse.Pos(len("." + n.Ident[0])) // likewise the second
		}
		switch d {
		case dotIsData:
			return n.Ident, pos
		case dotIsLabels:
			return append([]string{"Labels"}, n.Ident...), pos
		}
	case *parse.DotNode:
		if d == dotIsLabels {
			return []string{"Labels"}, n.Pos
		}
	}
	return nil, 0
}

// dotOf returns what the dot is in the block that a pipeline opens.
func dotOf(pipe *parse.PipeNode, d dot) dot {
	if len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 1 {
		return dotIsOther
	}
	arg := pipe.Cmds[0].Args[0]
	if _, ok := arg.(*parse.DotNode); ok {
		return d
	}
	found, _ := dataPath(arg, d)
	if len(found) == 1 && found[0] == "Labels" {
		return dotIsLabels
	}
	if v, ok := arg.(*parse.VariableNode); ok && len(v.Ident) == 1 && v.Ident[0] == "$" {
		return dotIsData
	}
	return dotIsOther
}
