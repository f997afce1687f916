package check

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/nearest"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
	"mvdan.cc/sh/v3/syntax"
)

var (
	shellName = regexp.MustCompile(`^[A-Za-z_]\w*$`)

	// environment are the variables that the shell or a login sets.
	environment = regexp.MustCompile(`^(_|BASH.*|COMP_.*|COMPREPLY|HIST.*|LC_.*|PS[0-4]|READLINE_.*|SUDO_.*|SSH_.*|XDG_.*|DBUS_.*|SYSTEMD_.*|AWS_.*|` +
		`(?i:https?|ftp|no|all)_(?i:proxy)|COLUMNS|COPROC|DEBIAN_FRONTEND|DIRSTACK|DISPLAY|EDITOR|EPOCH.*|EUID|FUNCNAME|GROUPS|HOME|HOST|HOSTNAME|HOSTTYPE|` +
		`IFS|INVOCATION_ID|KUBECONFIG|LANG|LANGUAGE|LINENO|LINES|LOGNAME|MACHTYPE|MAIL|MAPFILE|OLDPWD|OPTARG|OPTERR|OPTIND|OSTYPE|PAGER|PATH|PIPESTATUS|` +
		`PPID|PROMPT_COMMAND|PWD|RANDOM|REPLY|SECONDS|SHELL|SHELLOPTS|SHLVL|SRANDOM|TERM|TMPDIR|TZ|UID|USER|VISUAL)$`)

	// external are the usual names of external labels, which Prometheus's configuration adds to alerts.
	external = regexp.MustCompile(`^(cluster|datacenter|dc|env|environment|monitor|prometheus|prometheus_replica|region|replica|tenant|zone)$`)

	templateLabel = regexp.MustCompile(`(?:\$labels|\.Labels)\.([A-Za-z_]\w*)`)
)

// variables finds shell variables in the steps of a runbook that nothing sets when an alert leads to it. Each branch is
// followed in a separate shell, which has the labels of the alert; the sections outside of the resolution share one here,
// since they are followed one after the other.
func (c *checker) variables(alert rule.Alert, expr parser.Expr, doc *runbook.Runbook, scripts []script) {
	for _, s := range scripts {
		if isOpen(s.file) {
			return // what is read from elsewhere may set any variable
		}
	}
	labels, isAll := c.series.of(expr).Only()
	known := map[string]bool{"alertname": true}
	for _, from := range []map[string]string{alert.Labels, alert.Annotations} {
		for _, template := range from {
			for _, m := range templateLabel.FindAllStringSubmatch(template, -1) {
				known[m[1]] = true
			}
		}
	}
	for name := range alert.Labels {
		known[name] = true
	}
	for _, name := range labels {
		known[name] = true
	}

	anywhere := map[string]int{} // the line on which a script sets it first
	for _, s := range scripts {
		for name := range sets(s.file) {
			if _, ok := anywhere[name]; !ok {
				anywhere[name] = s.Line
			}
		}
	}
	typed := map[string]bool{} // what the fences that are no steps set
	for _, s := range doc.Shown() {
		if file := s.Syntax(); file != nil {
			maps.Copy(typed, sets(file))
		}
	}
	for _, s := range scripts {
		visit(s.file, func(node syntax.Node, _ []syntax.Node) {
			if use, ok := node.(*syntax.ParamExp); ok && use.Param != nil && !isBare(use) {
				typed[use.Param.Value] = true // what may be unset, as ${FILTER:-} says
			}
		})
	}
	set := map[string]map[string]bool{} // by branch, so far
	for _, s := range scripts {
		if set[s.branch] == nil {
			set[s.branch] = map[string]bool{}
		}
		maps.Copy(set[s.branch], sets(s.file))
		visit(s.file, func(node syntax.Node, _ []syntax.Node) {
			use, ok := node.(*syntax.ParamExp)
			if !ok || !isBare(use) {
				return
			}
			name := use.Param.Value
			if known[name] || typed[name] || set[s.branch][name] || environment.MatchString(name) {
				return
			}
			place := c.placeOf(s, use.Pos(), use.End())
			line, isElsewhere := anywhere[name]
			near := meant(name, known, anywhere)
			switch {
			case isElsewhere:
				c.reportPlace(place, "runbook/variable", "nothing has set $%s here: %s sets it on line %d, in a section that is followed in another shell; set it in this one too",
					name, s.File, line)
			case isAll && !external.MatchString(name):
				hint := ""
				if near != "" {
					hint = fmt.Sprintf(" ($%s is)", near)
				}
				c.reportPlace(place, "runbook/variable", "$%s is not a label of %s, whose labels are %s, and nothing sets it before%s: fix the name, or set it in a step",
					name, alert.Name, strings.Join(slices.Sorted(maps.Keys(known)), ", "), hint)
			case near == "" && name == strings.ToUpper(name): // which no label is
				before := slices.DeleteFunc(slices.Concat(doc.Steps(), doc.Shown()), func(other runbook.Step) bool { return other.Line >= s.Line })
				hint := cmp.Or(runbook.CouldSet(before, name), "set it in a step, or use a label of the alert")
				c.reportPlace(place, "runbook/variable", "nothing sets $%s before: %s", name, hint)
			case near != "":
				c.reportPlace(place, "runbook/misspelling", "nothing is known to set $%s: write $%s if that is meant", name, near)
			}
		})
	}
}

// isBare reports whether a use of a variable assumes that it is set.
func isBare(use *syntax.ParamExp) bool {
	if use.Param == nil || !shellName.MatchString(use.Param.Value) || use.Excl || use.IsSet || use.Names != 0 {
		return false
	}
	if use.Exp != nil {
		switch use.Exp.Op {
		case syntax.AlternateUnset, syntax.AlternateUnsetOrNull, syntax.DefaultUnset, syntax.DefaultUnsetOrNull,
			syntax.ErrorUnset, syntax.ErrorUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
			return false
		}
	}
	return true
}

// meant returns the name that may have been meant, out of labels and variables that are set; "" for none.
func meant(name string, labels map[string]bool, set map[string]int) string {
	const shortest = 4 // too many shorter names differ in one character
	if len(name) < shortest {
		return ""
	}
	isUpper := func(name string) bool { return name == strings.ToUpper(name) }
	names := slices.AppendSeq(slices.Collect(maps.Keys(labels)), maps.Keys(set))
	return nearest.Within(1, name, slices.DeleteFunc(names, func(other string) bool {
		if strings.EqualFold(name, other) {
			return false
		}
		// host1 and host2 are meant to differ, host and hosts too, and a name in capitals is no label.
		isNumbered := strings.EqualFold(strings.TrimRight(name, "0123456789"), strings.TrimRight(other, "0123456789"))
		isPlural := strings.EqualFold(name+"s", other) || strings.EqualFold(other+"s", name)
		return len(other) < shortest || isNumbered || isPlural || isUpper(name) && !isUpper(other)
	}))
}

// sets returns the variables that a script sets anywhere. One that is set before a command is set for that command only.
func sets(file *syntax.File) map[string]bool {
	names := map[string]bool{}
	add := func(lit *syntax.Lit) {
		if lit != nil {
			names[lit.Value] = true
		}
	}
	visit(file, func(node syntax.Node, _ []syntax.Node) {
		switch node := node.(type) {
		case *syntax.CallExpr:
			if len(node.Args) == 0 {
				for _, assign := range node.Assigns {
					add(assign.Name)
				}
				return
			}
			switch literalText(node.Args[0]) {
			case "getopts", "mapfile", "printf", "read", "readarray", "wait":
				for _, arg := range node.Args[1:] {
					if name := literalText(arg); shellName.MatchString(name) {
						names[name] = true
					}
				}
			}
		case *syntax.DeclClause:
			for _, assign := range node.Args {
				add(assign.Name)
			}
		case *syntax.WordIter:
			add(node.Name)
		case *syntax.CoprocClause:
			if node.Name != nil {
				names[literalText(node.Name)] = true
			}
		case *syntax.Redirect:
			if node.N != nil { // {fd}>file
				names[strings.Trim(node.N.Value, "{}")] = true
			}
		case *syntax.ParamExp:
			if node.Exp != nil && (node.Exp.Op == syntax.AssignUnset || node.Exp.Op == syntax.AssignUnsetOrNull) {
				add(node.Param)
			}
		case *syntax.BinaryArithm:
			if word, ok := node.X.(*syntax.Word); ok && strings.HasSuffix(node.Op.String(), "=") {
				names[word.Lit()] = true
			}
		case *syntax.UnaryArithm:
			if word, ok := node.X.(*syntax.Word); ok && (node.Op == syntax.Inc || node.Op == syntax.Dec) {
				names[word.Lit()] = true
			}
		}
	})
	return names
}
