package check

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stemedb/firedrill/tools/runbook"
	"mvdan.cc/sh/v3/syntax"
)

// waitsForOthers tells whether a step waits until something has changed, which others do then.
func waitsForOthers(file *syntax.File) bool {
	waits := false
	visit(file, func(node syntax.Node, _ []syntax.Node) {
		switch node := node.(type) {
		case *syntax.WhileClause:
			waits = true
		case *syntax.CallExpr:
			i, ok := invoked(node.Args)
			words := i.operands(kubectlValues)
			waits = waits || ok && (i.name == "sleep" || len(words) > 1 && (words[0] == "wait" || words[0] == "rollout"))
		}
	})
	return waits
}

// looksAtSomething tells whether a step runs anything but what only prints or sets variables.
func looksAtSomething(file *syntax.File) bool {
	looks := false
	visit(file, func(node syntax.Node, _ []syntax.Node) {
		if call, ok := node.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			i, _ := invoked(call.Args)
			looks = looks || !slices.Contains([]string{":", "cd", "echo", "false", "printf", "set", "true"}, i.name)
		}
	})
	return looks
}

// cures checks that the branches of a runbook change something, by steps that are run.
func (c *checker) cures(doc *runbook.Runbook, scripts []script) {
	for _, branch := range doc.Branches() {
		var steps []script
		for _, s := range scripts {
			if s.branch == branch.Name && s.Run {
				steps = append(steps, s)
			}
		}
		if len(steps) == 0 {
			continue // runbook/branch reports it
		}
		isLooking := slices.ContainsFunc(steps, func(s script) bool { return looksAtSomething(s.file) }) && !slices.ContainsFunc(steps, func(s script) bool { return !onlyLooks(s.file) || waitsForOthers(s.file) })
		for _, shown := range branch.Shown {
			if c.notRun(shown, branch, steps) {
				isLooking = false
			}
		}
		if isLooking && !c.leadsOn(doc, branch) {
			c.report("runbook/cure", doc.Path, branch.Line, 0, "the steps of %q change nothing, they only look: add the commands that end the incident, or move these to the investigation", branch.Name)
		}
	}
}

// notRun reports a fence of commands that change something and are not run, though the branch has steps.
func (c *checker) notRun(shown runbook.Step, branch runbook.Branch, steps []script) bool {
	file := shown.Syntax()
	if file == nil || onlyLooks(file) {
		return false
	}
	isRepeated := func(stmt *syntax.Stmt) bool {
		return slices.ContainsFunc(steps, func(s script) bool {
			return slices.ContainsFunc(s.file.Stmts, func(other *syntax.Stmt) bool { return printed(stmt) == printed(other) })
		})
	}
	for _, stmt := range file.Stmts {
		if isRepeated(stmt) || onlyLooks(&syntax.File{Stmts: []*syntax.Stmt{stmt}}) || !c.isCommand(shown, file, stmt) {
			continue
		}
		c.reportPlace(c.placeOf(script{Step: shown}, stmt.Pos(), stmt.End()), "runbook/unrun",
			"this is not run, since its fence is of %s, while %q has steps: write bash after the marks, without prompts and output, and {run=false} behind it for what is only shown",
			shown.Kind(), branch.Name)
		return true
	}
	return false
}

// programName is what the name of a program looks like, unlike the words of a table, of YAML and of prose.
var programName = regexp.MustCompile(`^[~./a-z0-9_-]*[a-z0-9]$`)

// isCommand tells whether a statement in a fence that is not run is a command, and no output or comment.
func (c *checker) isCommand(shown runbook.Step, file *syntax.File, stmt *syntax.Stmt) bool {
	line := strings.TrimLeft(c.line(shown.File, shown.Line+int(stmt.Pos().Line())-1), " \t>")
	if strings.HasPrefix(line, "$ ") {
		return true
	}
	known, unlike := false, false
	visit(file, func(node syntax.Node, within []syntax.Node) {
		call, ok := node.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return
		}
		name, isPlain := plainText(call.Args[0])
		unlike = unlike || isPlain && !programName.MatchString(name) && !slices.Contains(lookers, name)
		if call.Pos().Offset() >= stmt.Pos().Offset() && call.End().Offset() <= stmt.End().Offset() {
			known = known || runbook.IsProgram(name)
		}
	})
	return known || shown.Language == "shell" && !unlike && !strings.HasPrefix(line, "# ")
}

// printed returns a statement in one layout.
func printed(stmt *syntax.Stmt) string {
	var b strings.Builder
	if err := syntax.NewPrinter(syntax.Minify(true)).Print(&b, stmt); err != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}

// leadsOn tells whether a branch has a link to another runbook, where the cure may be.
func (c *checker) leadsOn(doc *runbook.Runbook, branch runbook.Branch) bool {
	lines := strings.Split(doc.Text, "\n")
	_, headings := doc.Anchors()
	last := len(lines)
	for _, line := range headings {
		if line > branch.Line {
			last = line - 1
			break
		}
	}
	text := strings.Join(lines[branch.Line-1:last], "\n")
	return slices.ContainsFunc(c.runbooks.linked(doc), func(other string) bool { return strings.Contains(text, filepath.Base(other)) })
}
