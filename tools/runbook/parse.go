package runbook

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// document is a runbook that is being parsed.
type document struct {
	*Runbook
	src   []byte         // Text
	named map[string]int // the lines of the steps that have a name
}

// Parse reads a runbook from memory; path only says where it came from. The error is for what is no text; what is wrong
// with the text is in Problems and Structure.
func Parse(path string, src []byte, g Grammar) (*Runbook, error) {
	if err := checkText(path, src); err != nil {
		return nil, err
	}
	// A byte order mark and carriage returns, which GitHub does not show, must not reach the shell.
	src = bytes.TrimPrefix(src, []byte("\uFEFF"))
	src = bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))
	front, src := frontMatter(src)

	d := &document{Runbook: &Runbook{Path: path, Text: string(src), grammar: g, front: front, lineStarts: []int{0}}, src: src, named: map[string]int{}}
	for i, b := range src {
		if b == '\n' && i+1 < len(src) {
			d.lineStarts = append(d.lineStarts, i+1)
		}
	}
	d.read()
	inOrder(d.Problems)
	d.readStructure()
	return d.Runbook, nil
}

func inOrder(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// frontTitle is the title in front matter of YAML or TOML.
var frontTitle = regexp.MustCompile(`(?m)^title\s*[:=]\s*["']?(.*?)["']?\s*$`)

// frontMatter returns the title that front matter gives, and the text with blanks in the place of front matter, so that
// lines and offsets stay.
func frontMatter(src []byte) (title string, text []byte) {
	for _, mark := range []string{"---", "+++"} {
		end := -1
		for line, offset := range linesOf(src) {
			isMark := strings.TrimRight(line, " \t\r\n") == mark
			if offset == 0 && !isMark {
				break
			}
			if offset > 0 && isMark {
				end = offset + len(line)
				break
			}
		}
		if end < 0 {
			continue
		}
		if m := frontTitle.FindSubmatch(src[:end]); m != nil {
			title = string(m[1])
		}
		blanks := bytes.Clone(src[:end])
		for i, b := range blanks {
			if b != '\n' && b != '\r' {
				blanks[i] = ' '
			}
		}
		return title, append(blanks, src[end:]...)
	}
	return "", src
}

// Blank returns a text with blanks in the place of its front matter.
func Blank(src []byte) []byte {
	_, text := frontMatter(src)
	return text
}

// linesOf yields each line, with its end, and its offset.
func linesOf(src []byte) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		offset := 0
		for line := range bytes.Lines(src) {
			if !yield(string(line), offset) {
				return
			}
			offset += len(line)
		}
	}
}

// checkText refuses files that are too large or not text.
func checkText(path string, src []byte) error {
	if len(src) > MaxFileSize {
		return Problem{Path: path, Line: 1, Text: fmt.Sprintf("the file is too large (more than %d bytes): a runbook has at most 1 MiB", MaxFileSize)}
	}
	lineAt := func(offset int) int { return 1 + bytes.Count(src[:offset], []byte("\n")) }
	if i := bytes.IndexByte(src, 0); i >= 0 {
		return Problem{Path: path, Line: lineAt(i), Text: fmt.Sprintf("a NUL byte at offset %d (%q): a runbook is text in UTF-8", i, excerpt(src, i))}
	}
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && size == 1 {
			return Problem{Path: path, Line: lineAt(i), Text: fmt.Sprintf("not UTF-8 at byte offset %d (%q): save the file in UTF-8", i, excerpt(src, i))}
		}
		i += size
	}
	return nil
}

// excerpt returns a few bytes around an offset, on the same line.
func excerpt(src []byte, offset int) []byte {
	from := max(offset-10, bytes.LastIndexByte(src[:offset], '\n')+1)
	to := min(offset+10, len(src))
	if i := bytes.IndexByte(src[offset:to], '\n'); i >= 0 {
		to = offset + i
	}
	return src[from:to]
}

// problemf makes a problem with a line, or at a column of it.
func (r *Runbook) problemf(check string, line, column int, format string, args ...any) Problem {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = shortened(s)
		}
	}
	return Problem{check, r.Path, line, column, fmt.Sprintf(format, args...)}
}

// report records what is wrong with a fence or a step.
func (d *document) report(check string, line, column int, format string, args ...any) {
	d.Problems = append(d.Problems, d.problemf(check, line, column, format, args...))
}

// maxShown limits the bytes of an offending text in a message.
const maxShown = 100

func shortened(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "..."
}

// lineOf returns the line, counted from 1, in which the byte at offset stands.
func (r *Runbook) lineOf(offset int) int {
	i, found := slices.BinarySearch(r.lineStarts, offset)
	if found {
		return i + 1
	}
	return i
}

func (r *Runbook) line(n int) string {
	end := len(r.Text)
	if n < len(r.lineStarts) {
		end = r.lineStarts[n]
	}
	return strings.TrimRight(r.Text[r.lineStarts[n-1]:end], "\n")
}

// read walks the Markdown and collects headings, bold keys and steps.
func (d *document) read() {
	// Just before goldmark's own parser for fences, which is at 700.
	blocks := append(parser.DefaultBlockParsers(), util.Prioritized(fenceParser{parser.NewFencedCodeBlockParser()}, 699))
	root := parser.NewParser(
		parser.WithBlockParsers(blocks...),
		parser.WithInlineParsers(parser.DefaultInlineParsers()...),
		parser.WithParagraphTransformers(parser.DefaultParagraphTransformers()...),
	).Parse(text.NewReader(d.src))

	slugs := map[string]int{}
	// The visitor returns no error, so Walk has none to return.
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			h := heading{level: n.Level, text: plain(n, d.src), anchor: slug(n, d.src), line: d.lineOf(n.Pos()), first: len(d.steps)}
			count := slugs[h.anchor]
			slugs[h.anchor]++
			if count > 0 {
				h.anchor += "-" + strconv.Itoa(count)
			}
			d.headings = append(d.headings, h)
			return ast.WalkSkipChildren, nil
		case *ast.FencedCodeBlock:
			d.readFence(n)
		case *ast.Paragraph, *ast.TextBlock:
			into := &d.preface
			if last := len(d.headings); last > 0 {
				into = &d.headings[last-1].fields
			}
			*into = append(*into, d.fields(n)...)
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
}

var unlinked = regexp.MustCompile(`[^\p{L}\p{M}\p{N}\p{Pc}\- ]`)

// slug is the fragment that GitHub makes of a heading's text.
func slug(n ast.Node, src []byte) string {
	text := strings.ToLower(strings.TrimSpace(inline(n, src)))
	return strings.ReplaceAll(unlinked.ReplaceAllString(text, ""), " ", "-")
}

// fenceParser is goldmark's own, which also notes that a fence was closed by a fence, and not by the end of the file
// or of the list or quotation that it stands in.
type fenceParser struct{ parser.BlockParser }

const closed = "closed"

func (p fenceParser) Continue(node ast.Node, reader text.Reader, pc parser.Context) parser.State {
	state := p.BlockParser.Continue(node, reader, pc)
	if state == parser.Close {
		node.SetAttributeString(closed, true)
	}
	return state
}

// field is one line that begins with a bold key.
type field struct {
	key, value string
	line       int
}

// fields returns the bold keys of a paragraph, each with what follows it.
func (d *document) fields(paragraph ast.Node) []field {
	var fields []field
	lineBegins := true
	for n := paragraph.FirstChild(); n != nil; n = n.NextSibling() {
		strong, ok := n.(*ast.Emphasis)
		switch {
		case ok && strong.Level == 2 && lineBegins:
			fields = append(fields, field{key: plain(n, d.src), line: d.lineOf(n.Pos())})
		case len(fields) > 0:
			fields[len(fields)-1].value += inline(n, d.src)
		}
		t, ok := n.(*ast.Text)
		lineBegins = ok && (t.SoftLineBreak() || t.HardLineBreak())
	}
	for i, f := range fields {
		// The colon may stand inside the bold text or after it.
		key, inside := strings.CutSuffix(f.key, ":")
		value := strings.Join(strings.Fields(f.value), " ")
		if !inside {
			value = strings.TrimSpace(strings.TrimPrefix(value, ":"))
		}
		fields[i].key, fields[i].value = key, value
	}
	return fields
}

// plain returns the text of a node's inline content as a reader sees it, on one line.
func plain(n ast.Node, src []byte) string {
	return strings.Join(strings.Fields(inline(n, src)), " ")
}

func inline(n ast.Node, src []byte) string {
	switch n := n.(type) {
	case *ast.Text:
		value := n.Segment.Value(src)
		if _, code := n.Parent().(*ast.CodeSpan); !code {
			value = util.ResolveEntityNames(util.ResolveNumericReferences(util.UnescapePunctuations(value)))
		}
		if n.SoftLineBreak() || n.HardLineBreak() {
			return string(value) + " "
		}
		return string(value)
	case *ast.String:
		return string(n.Value)
	case *ast.AutoLink:
		return string(n.Label(src))
	}
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		b.WriteString(inline(c, src))
	}
	return b.String()
}

func (d *document) readFence(n *ast.FencedCodeBlock) {
	opening := d.lineOf(n.Pos())
	fence := d.line(opening)
	fence = strings.TrimSpace(fence[max(0, strings.IndexAny(fence, "`~")):])
	marks := fence[:len(fence)-len(strings.TrimLeft(fence, fence[:1]))]

	var info string
	if n.Info != nil {
		info = string(n.Info.Segment.Value(d.src))
	}
	step, language, err := readInfo(shortened(info), d.grammar.Steps) // a valid one is short
	if err != nil {
		d.report("runbook/fence", opening, 0, "%v", err)
	}
	step.File = d.Path
	step.Line = opening
	if n.Lines().Len() > 0 {
		step.Line = d.lineOf(n.Lines().At(0).Start)
	}
	step.Source = strings.TrimSuffix(string(n.Lines().Value(d.src)), "\n")
	isStep := language.isStep
	if first, found := prompted(step.Source); found && isStep && !language.isSession {
		_ = step.typed(false) // so that what it sets is known, and its placeholders
		line, column := d.place(step, n.Lines(), 0)
		d.report("runbook/shell", line, column, "a prompt in a step (%q), which is typed as it is written: remove the prompts, and the output; or write console after the marks, for prose", first)
	}
	if language.isSession && !step.typed(language.name == "shell") {
		isStep = false
	} else if isStep {
		d.addStep(step, opening)
	} else if language.isSession || language.isPlain && step.isTyped() {
		step.Language = language.name
		d.shown = append(d.shown, step)
	}

	// Another fence that opens inside this one means that this one is not closed: to Markdown it goes on, and one step
	// contains the next.
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		inside := strings.TrimSpace(string(line.Value(d.src)))
		if rest := strings.TrimLeft(inside, marks[:1]); len(inside)-len(rest) >= len(marks) && rest != "" {
			d.report("runbook/fence", opening, 0, "the fence is not closed (%q): a line of %s before line %d, which opens another (%q)",
				fence, marks, d.lineOf(line.Start), inside)
			return
		}
	}
	if _, ok := n.AttributeString(closed); !ok {
		d.report("runbook/fence", opening, 0, "the fence is not closed (%q): a line of %s after the last line of its code", fence, marks)
		return
	}
	if isStep {
		d.checkShell(step, n.Lines())
	}
}

func (d *document) addStep(step Step, opening int) {
	switch line, taken := d.named[step.Name]; {
	case step.Name == "":
	case taken:
		d.report("runbook/fence", opening, 0, "the name is taken (%q) by the step on line %d: another name", "#"+step.Name, line)
	default:
		d.named[step.Name] = step.Line
	}
	d.steps = append(d.steps, step)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
