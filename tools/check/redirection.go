package check

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

var (
	number     = regexp.MustCompile(`^\d+$`)
	comparison = regexp.MustCompile(`^=\d*$`)

	// readers are programs that read the files they are given while they write.
	readers = []string{"awk", "cat", "cut", "grep", "head", "jq", "sed", "sort", "tail", "tr", "uniq"}
)

// redirections finds redirections that are certainly meant as something else.
func (c *checker) redirections(s script) {
	visit(s.file, func(node syntax.Node, within []syntax.Node) {
		stmt, ok := node.(*syntax.Stmt)
		if !ok {
			return
		}
		for i, r := range stmt.Redirs {
			if what := mistake(s.Source, stmt, r); what != "" {
				c.reportPlace(c.placeOf(s, r.Pos(), r.End()), "runbook/redirection", "%s", what)
			}
			if isTo(r, syntax.DplOut, "2", "1") && !isCaptured(stmt, within) {
				if j := slices.IndexFunc(stmt.Redirs[i+1:], isOutput); j >= 0 {
					c.reportPlace(c.placeOf(s, r.Pos(), stmt.Redirs[i+1+j].End()), "runbook/redirection",
						"standard error goes where standard output went before it was redirected: write 2>&1 behind the file")
				}
			}
		}
	})
}

// mistake says what is wrong with a redirection by itself; empty if nothing is.
func mistake(source string, stmt *syntax.Stmt, r *syntax.Redirect) string {
	writes := r.Op == syntax.RdrOut || r.Op == syntax.RdrClob || r.Op == syntax.AppOut
	if !writes && r.Op != syntax.RdrIn {
		return ""
	}
	target, ok := plainText(r.Word)
	if !ok {
		return ""
	}
	name, last := "", ""
	var operands []string
	call, isCall := stmt.Cmd.(*syntax.CallExpr)
	if isCall && len(call.Args) > 0 {
		name, _ = plainText(call.Args[0])
		for _, arg := range call.Args[1:] {
			if operand, ok := plainText(arg); ok {
				operands = append(operands, operand)
			}
		}
		if final := call.Args[len(call.Args)-1]; final.End() == r.OpPos {
			last = final.Lit()
		}
	}
	operator := r.Op.String()
	switch {
	case writes && (last == "-" || last == "=") && r.N == nil && strings.HasPrefix(source[min(len(source), int(r.OpPos.Offset())):], "> "):
		return `the shell takes "` + last + `>" for a redirection to the file "` + target + `": quote the arrow, or write a command`
	case (name == "[" || name == "test") && r.N == nil && !strings.Contains(target, "/"):
		return "the shell takes " + operator + ` for a redirection, of the file "` + target + `": write -lt, -gt, -le or -ge, or [[ ]]`
	case r.Word.Lit() != "" && comparison.MatchString(target):
		return "the shell takes " + operator + target + ` for a redirection, of the file "` + target + `": quote it, or write -le or -ge`
	case r.Word.Lit() != "" && number.MatchString(target):
		if writes {
			return `this writes a file named "` + target + `": write >&` + target + " for a descriptor, or quote the " + operator
		}
		return `this reads a file named "` + target + `": write <&` + target + " for a descriptor, or quote the " + operator
	case (r.Op == syntax.RdrOut || r.Op == syntax.RdrClob) && slices.Contains(readers, name) && slices.Contains(operands, target) && !strings.HasPrefix(target, "/dev/"):
		return `the shell empties "` + target + `" before ` + name + " reads it: write to another file, and rename that"
	}
	return ""
}

func isTo(r *syntax.Redirect, op syntax.RedirOperator, from, to string) bool {
	return r.Op == op && r.N != nil && r.N.Value == from && r.Word.Lit() == to
}

// isOutput reports whether standard output is redirected to a file.
func isOutput(r *syntax.Redirect) bool {
	return (r.Op == syntax.RdrOut || r.Op == syntax.RdrClob || r.Op == syntax.AppOut) && (r.N == nil || r.N.Value == "1")
}

// isCaptured reports whether standard output may be a pipe before a statement redirects it: then standard error alone
// can be meant to go there.
func isCaptured(stmt *syntax.Stmt, within []syntax.Node) bool {
	var inner syntax.Node = stmt
	for _, outer := range slices.Backward(within) {
		switch outer := outer.(type) {
		case *syntax.CmdSubst, *syntax.ProcSubst, *syntax.FuncDecl:
			return true
		case *syntax.BinaryCmd:
			if (outer.Op == syntax.Pipe || outer.Op == syntax.PipeAll) && outer.X == inner {
				return true
			}
		case *syntax.Stmt:
			if slices.ContainsFunc(outer.Redirs, isOutput) || outer.Coprocess {
				return true
			}
		}
		inner = outer
	}
	return false
}
