package check

import (
	"slices"

	"mvdan.cc/sh/v3/syntax"
)

// endings finds what ends the session in which the steps of a branch are typed, so that no step after it is run. An exit
// with a status of failure after a condition is left alone: it says that the branch is the wrong one.
func (c *checker) endings(s script) {
	if s.Exit != 0 {
		return // the step is run in a subshell
	}
	visit(s.file, func(node syntax.Node, within []syntax.Node) {
		call, ok := node.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return
		}
		name := literalText(call.Args[0])
		if name != "exit" && name != "logout" && name != "exec" || !isInSession(within) {
			return
		}
		place := c.placeOf(s, call.Pos(), call.End())
		if name == "exec" {
			if i, _ := invoked(call.Args); len(i.wrappers) > 0 {
				c.reportPlace(place, "runbook/exit", "exec replaces the shell in which the steps are typed, so that no step after it is run: leave out exec")
			}
			return
		}
		if isConditional(within) && (len(call.Args) == 1 || literalText(call.Args[1]) != "0") {
			return
		}
		c.reportPlace(place, "runbook/exit", "%s ends the shell in which the steps are typed, so that no step after it is run: leave it out, or write the lines up to it in ( )", name)
	})
}

// isInSession tells whether what stands within these nodes runs in the shell itself, and not in a copy of it.
func isInSession(within []syntax.Node) bool {
	return !slices.ContainsFunc(within, func(outer syntax.Node) bool {
		switch outer := outer.(type) {
		case *syntax.Subshell, *syntax.CmdSubst, *syntax.ProcSubst, *syntax.FuncDecl, *syntax.CoprocClause:
			return true
		case *syntax.Stmt:
			return outer.Background
		case *syntax.BinaryCmd:
			return outer.Op == syntax.Pipe || outer.Op == syntax.PipeAll
		}
		return false
	})
}

// isConditional tells whether what stands within these nodes may not run.
func isConditional(within []syntax.Node) bool {
	return slices.ContainsFunc(within, func(outer syntax.Node) bool {
		switch outer := outer.(type) {
		case *syntax.IfClause, *syntax.CaseClause, *syntax.WhileClause, *syntax.ForClause:
			return true
		case *syntax.BinaryCmd:
			return outer.Op == syntax.AndStmt || outer.Op == syntax.OrStmt
		}
		return false
	})
}
