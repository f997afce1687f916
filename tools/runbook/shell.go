package runbook

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
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
		d.report("runbook/shell", step.Line, 0, "the step is too long (%q, %d bytes): at most %d bytes; put a program of that size into a file",
			firstLine(step.Source), len(step.Source), maxStepSize)
		return
	}
	file, found, err := step.parse()
	for _, p := range found {
		line, column := d.place(step, lines, p.offset)
		what := fmt.Errorf("placeholder (%q): a step is run as written; %s", shortened(p.text), d.instead(step, p.text))
		d.report("runbook/placeholder", line, column, "%v", what)
	}
	switch {
	case len(found) == maxPlaceholders:
	case err != nil:
		offset, reason := explain(err)
		line, column := d.place(step, lines, offset)
		d.report("runbook/shell", line, column, "shell syntax error (%q): %s", strings.TrimSpace(d.line(line)), reason)
	case step.Run && len(file.Stmts) == 0:
		d.report("runbook/shell", step.Line, 0, "a step without a command (%q): a command, or another language for prose", strings.TrimSpace(d.line(step.Line)))
	}
}

// Syntax returns what the shell's parser makes of a step, with x's in the place of placeholders; nil for what is not shell.
func (s Step) Syntax() *syntax.File {
	if len(s.Source) > maxStepSize {
		return nil
	}
	file, _, err := s.parse()
	if err != nil {
		return nil
	}
	return file
}

// found is a placeholder in a step's source.
type found struct {
	offset int
	text   string
}

// parse parses a step, and finds up to maxPlaceholders placeholders.
func (s Step) parse() (*syntax.File, []found, error) {
	// Each placeholder that is found is replaced by x's of the same length, so that the parser reads what follows, at the
	// same positions.
	src := []byte(s.Source)
	var all []found
	for {
		file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(string(src)), "")
		at, text := findPlaceholder(src, file, err)
		if text == "" || len(all) == maxPlaceholders {
			return file, all, err
		}
		all = append(all, found{at, text})
		copy(src[at:], strings.Repeat("x", len(text)))
	}
}

// place returns the line and the column in the runbook of an offset in a step's source, whose lines are the last parts of
// the fence's.
func (d *document) place(step Step, lines *text.Segments, offset int) (line, column int) {
	if lines.Len() == 0 {
		return step.Line, 1
	}
	offset = min(offset, len(step.Source))
	nth := strings.Count(step.Source[:offset], "\n")
	begin := strings.LastIndexByte(step.Source[:offset], '\n') + 1
	own := firstLine(step.Source[begin:])
	line = step.Line + nth
	first := d.lineOf(lines.At(0).Start)
	segment := lines.At(min(line-first, lines.Len()-1))
	line = d.lineOf(segment.Start)
	whole := segment.Len() // with its padding, the columns left over of a tab that the list takes part of
	if strings.HasSuffix(string(segment.Value(d.src)), "\n") {
		whole--
	}
	inLine := max(0, whole-len(own)+offset-begin-segment.Padding)
	return line, segment.Start + inLine - d.lineStarts[line-1] + 1
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

// instead says what to write in place of a placeholder: the variable that an earlier step sets, or could set, or a label.
func (d *document) instead(step Step, placeholder string) string {
	label := labelFor(placeholder)
	before := slices.DeleteFunc(slices.Concat(d.steps, d.shown), func(s Step) bool { return s.Line >= step.Line })
	for _, s := range before {
		if name := assigned(s.Syntax(), label); name != "" {
			return fmt.Sprintf("write \"$%s\", which the step on line %d sets", name, s.Line)
		}
	}
	if hint := CouldSet(before, label); hint != "" {
		return hint + " for it"
	}
	return fmt.Sprintf(`the alert's labels are shell variables, so "$%s" for the label %s`, label, label)
}

// listers are the words by which a command shows what there is.
var listers = []string{"get", "list", "ls", "show", "ps", "top", "status"}

// CouldSet names the last of the steps that lists what a name stands for, as "get pods" does for pod_name or POD. It is
// empty where none does.
func CouldSet(steps []Step, name string) string {
	nouns := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '_' || r == '-' || r == ' ' })
	for _, noun := range slices.Backward(nouns) {
		if len(noun) < 3 || slices.Contains([]string{"name", "the", "your", "label", "value"}, noun) {
			continue
		}
		for _, s := range slices.Backward(steps) {
			if lists(s.Syntax(), noun) {
				return fmt.Sprintf("the step on line %d, which lists %ss, could set $%s", s.Line, strings.TrimSuffix(noun, "s"), name)
			}
		}
	}
	return ""
}

func lists(file *syntax.File, noun string) bool {
	does := false
	if file == nil {
		return false
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok {
			isList := false
			for _, arg := range call.Args {
				word := strings.ToLower(arg.Lit())
				isList = isList || slices.Contains(listers, word)
				does = does || isList && (word == noun || word == noun+"s" || word == strings.TrimSuffix(noun, "s"))
			}
		}
		return !does
	})
	return does
}

// assigned returns the variable that a step assigns under a label's name, letter case and an ending of _name aside.
func assigned(file *syntax.File, label string) string {
	variable := ""
	if file == nil {
		return ""
	}
	bare := func(name string) string { return strings.TrimSuffix(strings.ToLower(name), "_name") }
	syntax.Walk(file, func(n syntax.Node) bool {
		if assign, ok := n.(*syntax.Assign); ok && assign.Name != nil && bare(assign.Name.Value) == bare(label) {
			variable = assign.Name.Value
		}
		return true
	})
	return variable
}

// labelFor returns the name of the label that a placeholder most likely means.
func labelFor(placeholder string) string {
	name := strings.ToLower(strings.Trim(placeholder, "<>"))
	name = strings.NewReplacer("-", "_", " ", "_").Replace(name)
	for _, prefix := range []string{"your_", "the_", "my_", "value_of_"} {
		name = strings.TrimPrefix(name, prefix)
	}
	for _, suffix := range []string{"_from_alert", "_from_the_alert", "_label"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}
