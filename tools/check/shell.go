package check

import (
	"strings"
	"unicode/utf8"

	"github.com/stemedb/firedrill/tools/runbook"
	"mvdan.cc/sh/v3/syntax"
)

// script is a step as the shell's parser sees it.
type script struct {
	runbook.Step
	branch string // the branch that the step is in; empty outside of the resolution
	file   *syntax.File
}

// parseShell returns nil for what is not shell: a text within a step, since steps have been parsed before.
func parseShell(source string) *syntax.File {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(source), "")
	if err != nil {
		return nil
	}
	return file
}

// steps checks what the steps of a runbook do on the host.
func (c *checker) steps(scripts []script, programs *programs) {
	for _, s := range scripts {
		c.redirections(s)
		if s.Run {
			c.waiting(s)
			c.endings(s)
		}
	}
	if programs != nil {
		c.programs(scripts, programs)
	}
}

// scriptsOf returns the steps of a runbook, which are followed in that order.
func scriptsOf(doc *runbook.Runbook) []script {
	branches := map[int]string{}
	for _, branch := range doc.Branches() {
		for _, step := range branch.Steps {
			branches[step.Line] = branch.Name
		}
	}
	var found []script
	for _, step := range doc.Steps() {
		if file := step.Syntax(); file != nil {
			found = append(found, script{Step: step, branch: branches[step.Line], file: file})
		}
	}
	return found
}

// placeOf returns the place of a part of a step in its runbook. A step's lines are the runbook's, without the indentation
// of the list that the step is in.
func (c *checker) placeOf(s script, from, to syntax.Pos) place {
	p := place{file: s.File, line: s.Line + int(from.Line()) - 1}
	lines := strings.Split(s.Source, "\n")
	if from.Line() < 1 || int(from.Line()) > len(lines) {
		return p
	}
	whole, own := c.line(p.file, p.line), strings.TrimRight(lines[from.Line()-1], "\r")
	indent := len(whole) - len(own)
	if !strings.HasSuffix(whole, own) {
		return p // a tab of which the list takes a part
	}
	column := func(pos syntax.Pos) int {
		return 1 + utf8.RuneCountInString(whole[:min(len(whole), indent+int(pos.Col())-1)])
	}
	p.column = column(from)
	if to.Line() == from.Line() {
		p.end = column(to)
	}
	return p
}

// plainText returns a word that the shell leaves as it is, quoted or not.
func plainText(word *syntax.Word) (string, bool) {
	var b strings.Builder
	for _, part := range word.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			b.WriteString(strings.ReplaceAll(part.Value, `\`, ""))
		case *syntax.SglQuoted:
			b.WriteString(part.Value)
		case *syntax.DblQuoted:
			for _, inner := range part.Parts {
				lit, ok := inner.(*syntax.Lit)
				if !ok {
					return "", false
				}
				b.WriteString(lit.Value)
			}
		default:
			return "", false
		}
	}
	return b.String(), true
}

// visit walks a tree of the shell's parser, and passes each node with those around it, the outermost first.
func visit(root syntax.Node, do func(node syntax.Node, within []syntax.Node)) {
	var within []syntax.Node
	syntax.Walk(root, func(node syntax.Node) bool {
		if node == nil {
			within = within[:len(within)-1]
			return false
		}
		do(node, within)
		within = append(within, node)
		return true
	})
}
