package runbook

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// problem is an error in a runbook. Its column, counted in bytes from 1, is 0 for the whole line.
type problem struct {
	path         string
	line, column int
	text         string
}

func (p problem) Error() string {
	if p.column > 0 {
		return fmt.Sprintf("%s:%d:%d: %s", p.path, p.line, p.column, p.text)
	}
	return fmt.Sprintf("%s:%d: %s", p.path, p.line, p.text)
}

// document is a runbook that is being parsed.
type document struct {
	*Runbook
	src        []byte
	lineStarts []int          // the offset in src at which each line begins
	named      map[string]int // the lines of the steps that have a name
	problems   []problem
}

// Parse reads a runbook from memory; path only says where it came from. The error joins every problem found, each
// naming its file and line, in the order of the lines.
func Parse(path string, src []byte) (*Runbook, error) {
	if err := checkText(path, src); err != nil {
		return nil, err
	}
	// A byte order mark and carriage returns, which GitHub does not show, must not reach the shell.
	src = bytes.TrimPrefix(src, []byte("\uFEFF"))
	src = bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))

	d := &document{Runbook: &Runbook{Path: path}, src: src, lineStarts: []int{0}, named: map[string]int{}}
	for i, b := range src {
		if b == '\n' && i+1 < len(src) {
			d.lineStarts = append(d.lineStarts, i+1)
		}
	}
	d.read()
	d.checkStructure()
	if len(d.problems) == 0 {
		return d.Runbook, nil
	}

	slices.SortStableFunc(d.problems, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	var errs []error
	for _, p := range d.problems {
		errs = append(errs, p)
	}
	return nil, errors.Join(errs...)
}

// checkText refuses files that are too large or not text.
func checkText(path string, src []byte) error {
	if len(src) > MaxFileSize {
		return problem{path: path, line: 1, text: fmt.Sprintf("the file is too large (more than %d bytes): a runbook has at most 1 MiB", MaxFileSize)}
	}
	lineAt := func(offset int) int { return 1 + bytes.Count(src[:offset], []byte("\n")) }
	if i := bytes.IndexByte(src, 0); i >= 0 {
		return problem{path: path, line: lineAt(i), text: fmt.Sprintf("a NUL byte at offset %d (%q): a runbook is text in UTF-8", i, excerpt(src, i))}
	}
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && size == 1 {
			return problem{path: path, line: lineAt(i), text: fmt.Sprintf("not UTF-8 at byte offset %d (%q): save the file in UTF-8", i, excerpt(src, i))}
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

// problemf records a problem with a line, or at a column of it.
func (d *document) problemf(line, column int, format string, args ...any) {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = shortened(s)
		}
	}
	d.problems = append(d.problems, problem{d.Path, line, column, fmt.Sprintf(format, args...)})
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
func (d *document) lineOf(offset int) int {
	i, found := slices.BinarySearch(d.lineStarts, offset)
	if found {
		return i + 1
	}
	return i
}

func (d *document) line(n int) string {
	end := len(d.src)
	if n < len(d.lineStarts) {
		end = d.lineStarts[n]
	}
	return strings.TrimRight(string(d.src[d.lineStarts[n-1]:end]), "\n")
}

// read walks the Markdown and collects title, header, headings and steps.
func (d *document) read() {
	// Just before goldmark's own parser for fences, which is at 700.
	blocks := append(parser.DefaultBlockParsers(), util.Prioritized(fenceParser{parser.NewFencedCodeBlockParser()}, 699))
	root := parser.NewParser(
		parser.WithBlockParsers(blocks...),
		parser.WithInlineParsers(parser.DefaultInlineParsers()...),
		parser.WithParagraphTransformers(parser.DefaultParagraphTransformers()...),
	).Parse(text.NewReader(d.src))

	var header []field
	// The visitor returns no error, so Walk has none to return.
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			h := heading{level: n.Level, text: plain(n, d.src), line: d.lineOf(n.Pos()), first: len(d.steps)}
			d.headings = append(d.headings, h)
			return ast.WalkSkipChildren, nil
		case *ast.FencedCodeBlock:
			d.readFence(n)
		case *ast.Paragraph, *ast.TextBlock:
			if len(d.headings) == 1 {
				header = append(header, d.fields(n)...)
			}
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
	d.findBranches()
	d.readHeader(header)
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

// key is a bold key of the header, and where its value goes.
type key struct {
	name, example string
	value         *string
	line          *int
}

func (d *document) readHeader(fields []field) {
	h := &d.Header
	severity := key{"Severity", "critical", &h.Severity, &h.SeverityLine}
	alert := key{"Alert", "CertificateExpiringSoon", &h.Alert, &h.AlertLine}
	procedure := key{"Procedure", "DisasterRecovery", &h.Procedure, &h.ProcedureLine}
	trigger := key{"Trigger", "the certificate expires within 7 days", &h.Trigger, &h.TriggerLine}
	duration := key{"Duration", "1h", new(string), &h.DurationLine}

	wanted := []key{severity, alert, trigger, duration}
	if slices.ContainsFunc(fields, func(f field) bool { return f.key == procedure.name }) {
		wanted = []key{procedure, trigger}
		for _, f := range fields {
			if slices.ContainsFunc([]key{severity, alert, duration}, func(k key) bool { return k.name == f.key }) {
				d.problemf(f.line, 0, "a procedure has no %s (%q): remove the line; the alert's runbook gives it", strings.ToLower(f.key), d.line(f.line))
			}
		}
	}
	for _, w := range wanted {
		for _, f := range fields {
			switch {
			case f.key != w.name:
			case *w.line > 0:
				d.problemf(f.line, 0, "%s is given twice (%q), the first time on line %d: give it once", w.name, f.value, *w.line)
			default:
				*w.value, *w.line = f.value, f.line
			}
		}
		example := fmt.Sprintf("- **%s:** %s", w.name, w.example)
		switch {
		case *w.line == 0 && len(d.headings) > 0:
			d.problemf(d.headings[0].line, 0, "the header does not give the %s (%q): a line below the title such as %q",
				strings.ToLower(w.name), d.headings[0].text, example)
		case *w.line > 0 && *w.value == "":
			d.problemf(*w.line, 0, "%s is empty (%q): a line such as %q", w.name, d.line(*w.line), example)
		case *w.line > 0 && w.name == duration.name:
			parsed, err := model.ParseDuration(*w.value)
			if err != nil {
				d.problemf(*w.line, 0, "not a duration (%q): Prometheus's notation, such as 1h, 5m or 0s", *w.value)
			}
			d.Header.Duration = time.Duration(parsed)
		}
	}
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
	step, isStep, err := readInfo(shortened(info)) // a valid one is short
	if err != nil {
		d.problemf(opening, 0, "%v", err)
	}
	step.File = d.Path
	step.Line = opening
	if n.Lines().Len() > 0 {
		step.Line = d.lineOf(n.Lines().At(0).Start)
	}
	step.Source = strings.TrimSuffix(string(n.Lines().Value(d.src)), "\n")
	if isStep {
		d.addStep(step, opening)
	}

	// Another fence that opens inside this one means that this one is not closed: to Markdown it goes on, and one step
	// contains the next.
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		inside := strings.TrimSpace(string(line.Value(d.src)))
		if rest := strings.TrimLeft(inside, marks[:1]); len(inside)-len(rest) >= len(marks) && rest != "" {
			d.problemf(opening, 0, "the fence is not closed (%q): a line of %s before line %d, which opens another (%q)",
				fence, marks, d.lineOf(line.Start), inside)
			return
		}
	}
	if _, ok := n.AttributeString(closed); !ok {
		d.problemf(opening, 0, "the fence is not closed (%q): a line of %s after the last line of its code", fence, marks)
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
		d.problemf(opening, 0, "the name is taken (%q) by the step on line %d: another name", "#"+step.Name, line)
	default:
		d.named[step.Name] = step.Line
	}
	d.steps = append(d.steps, step)
}

// checkStructure finds what is missing in the runbook as a whole.
func (d *document) checkStructure() {
	if len(d.headings) == 0 || d.headings[0].level != 1 || d.headings[0].text == "" {
		line := 1
		if len(d.headings) > 0 {
			line = d.headings[0].line
		}
		d.problemf(line, 0, "the runbook does not begin with a title (%q): a line such as %q", d.line(line), "# Certificate expiring soon")
	} else {
		d.Title = d.headings[0].text
	}

	if d.resolution < 0 {
		for _, h := range d.headings {
			if strings.EqualFold(h.text, "Resolution") {
				d.problemf(h.line, 0, "not the heading of a resolution (%q): %q", d.line(h.line), "## Resolution")
				return
			}
		}
		d.problemf(1, 0, "the runbook has no heading (%q): one, with a branch such as %q below it", "## Resolution", "### If the certificate is ours")
		return
	}

	resolution := d.headings[d.resolution]
	for _, h := range d.headings[d.resolution+1:] {
		if h.level == 2 && h.text == resolution.text {
			d.problemf(h.line, 0, "a second resolution (%q), the first is on line %d: one, with several branches", d.line(h.line), resolution.line)
		}
	}
	if len(d.branches) == 0 {
		d.problemf(resolution.line, 0, "a resolution without a branch (%q): a heading such as %q below it", d.line(resolution.line), "### If the certificate is ours")
		return
	}
	for _, s := range d.steps[resolution.first:d.headings[d.branches[0]].first] {
		if s.Run {
			d.problemf(s.Line, 0, "a step outside any branch (%q), which is never run: move it below the heading of a branch", firstLine(s.Source))
		}
	}
	lines := map[string]int{} // of the branches, by name
	for _, b := range d.Branches() {
		switch line, taken := lines[b.Name]; {
		case b.Name == "":
			d.problemf(b.Line, 0, "a branch without a name (%q): the case that it is for, such as %q", d.line(b.Line), "### If the certificate is ours")
		case taken:
			d.problemf(b.Line, 0, "a branch of the same name (%q) is on line %d: another name", b.Name, line)
		case !slices.ContainsFunc(b.Steps, func(s Step) bool { return s.Run }):
			d.problemf(b.Line, 0, "a branch with nothing to run (%q): at least one bash fence without {run=false} below it", b.Name)
		}
		if lines[b.Name] == 0 {
			lines[b.Name] = b.Line
		}
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
