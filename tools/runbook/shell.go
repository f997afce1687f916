package runbook

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/text"
	"mvdan.cc/sh/v3/syntax"
)

const (
	// maxStepSize is the size in bytes of the longest step. It keeps the shell's parser, which recurses, within bounds.
	maxStepSize = 32 << 10

	// maxPlaceholders is how many placeholders of one step are reported.
	maxPlaceholders = 10
)

// checkShell finds syntax errors and placeholders in a step.
func (d *document) checkShell(step Step, lines *text.Segments) {
	if len(step.Source) > maxStepSize {
		d.problemf(step.Line, 0, "the step is too long (%q, %d bytes): at most %d bytes; put a program of that size into a file",
			firstLine(step.Source), len(step.Source), maxStepSize)
		return
	}

	// Each placeholder that is found is replaced by x's of the same length, so that the parser reads what follows, at the
	// same positions.
	src := []byte(step.Source)
	for range maxPlaceholders {
		file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(string(src)), "")
		at, found := findPlaceholder(src, file, err)
		if found != "" {
			line, column := d.place(step, lines, at)
			d.problemf(line, column, `placeholder (%q): a step is run as written; the alert's labels are shell variables, so "$%s" for the label %s`,
				found, labelFor(found), labelFor(found))
			copy(src[at:], strings.Repeat("x", len(found)))
			continue
		}
		if err != nil {
			offset, reason := explain(err)
			line, column := d.place(step, lines, offset)
			d.problemf(line, column, "shell syntax error (%q): %s", strings.TrimSpace(d.line(line)), reason)
		} else if step.Run && len(file.Stmts) == 0 {
			d.problemf(step.Line, 0, "a step without a command (%q): a command, or another language for prose", strings.TrimSpace(d.line(step.Line)))
		}
		return
	}
}

// place returns the line and the column in the runbook of an offset in a step's source.
func (d *document) place(step Step, lines *text.Segments, offset int) (line, column int) {
	last := lines.Len() - 1
	for i := range lines.Len() {
		segment := lines.At(i)
		length := segment.Len() // with its padding, the columns left over of a tab that the list takes part of
		if offset < length || i == last {
			line = d.lineOf(segment.Start)
			inLine := max(0, min(offset, length-1)-segment.Padding)
			return line, segment.Start + inLine - d.lineStarts[line-1] + 1
		}
		offset -= length
	}
	return step.Line, 1
}

func explain(err error) (offset int, reason string) {
	var parse syntax.ParseError
	var language syntax.LangError
	switch {
	case errors.As(err, &parse):
		return int(parse.Pos.Offset()), parse.Text
	case errors.As(err, &language):
		return int(language.Pos.Offset()), fmt.Sprintf("not in bash: %s", language.Feature)
	}
	return 0, err.Error()
}

// placeholder matches <words>. The shell reads it as two redirections, or one and a syntax error.
var placeholder = regexp.MustCompile(`^<[A-Za-z][A-Za-z0-9_-]*( [A-Za-z][A-Za-z0-9_-]*)*>`)

// findPlaceholder returns the first placeholder in a source, of which file and err are what the shell's parser made.
// Quoted text, comments and here-documents have none, because nothing in them is a redirection.
func findPlaceholder(src []byte, file *syntax.File, err error) (at int, found string) {
	if err != nil {
		offset, _ := explain(err)
		if offset >= len(src) {
			return 0, ""
		}
		if src[offset] == '>' { // nothing follows it that it could redirect to
			for i := offset - 1; i >= 0 && src[i] != '\n'; i-- {
				if src[i] == '<' {
					offset = i
					break
				}
			}
		}
		return offset, string(placeholder.Find(src[offset:]))
	}

	var inputs []int
	outputs := map[int]bool{}
	syntax.Walk(file, func(n syntax.Node) bool {
		if r, ok := n.(*syntax.Redirect); ok {
			switch r.Op {
			case syntax.RdrIn:
				inputs = append(inputs, int(r.OpPos.Offset()))
			case syntax.RdrOut, syntax.RdrClob, syntax.DplOut:
				outputs[int(r.OpPos.Offset())] = true
			}
		}
		return true
	})
	for _, in := range inputs {
		found := string(placeholder.Find(src[in:]))
		end := in + len(found)
		if found != "" && outputs[end-1] && !isPair(src, in, end) {
			return in, found
		}
	}
	return 0, ""
}

// isPair tells "sort <in>out", two redirections without a space between them, from "curl https://<domain>/" and from
// "deploy -d <domain> -n".
func isPair(src []byte, from, end int) bool {
	if from > 0 && !strings.ContainsRune(" \t\n;|&(", rune(src[from-1])) || end >= len(src) {
		return false
	}
	b := src[end]
	return b == '_' || b == '$' || b == '"' || b == '\'' || b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z'
}

// labelFor returns the name of the label that a placeholder most likely means.
func labelFor(placeholder string) string {
	name := strings.ToLower(strings.Trim(placeholder, "<>"))
	name = strings.NewReplacer("-", "_", " ", "_").Replace(name)
	for _, prefix := range []string{"your_", "the_", "my_"} {
		name = strings.TrimPrefix(name, prefix)
	}
	return name
}
