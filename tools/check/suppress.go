package check

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stemedb/firedrill/tools/finding"
	"github.com/stemedb/firedrill/tools/nearest"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
	"go.yaml.in/yaml/v3"
)

// suppression is a comment that suppresses the findings of a check, and says why:
//
//	# firedrill: ignore metric/unknown -- exported by the next release
//	<!-- firedrill: ignore runbook/program -- installed by the step above -->
//
// In a rule file it is right before a rule or among its lines and covers the rule; in Alertmanager's configuration the same
// holds for a route, without those below it, a receiver, an inhibition rule and a time interval. In a runbook it is before or in a
// paragraph, list or fence and covers that, or before a heading and covers its section. At the top of a file it covers
// the file.
type suppression struct {
	place
	text     string // from "firedrill:" on
	from, to int    // the lines that it covers; both 0 for none
}

var (
	yamlComment     = regexp.MustCompile(`(?:^|\s)#\s*(firedrill:.*?)\s*$`)
	markdownComment = regexp.MustCompile(`<!--\s*(firedrill:.*?)\s*-->`)
	suppressionText = regexp.MustCompile(`^firedrill:\s*ignore\s+(\S+)(?:\s+--\s*(.*))?$`)
)

// suppress removes the findings that a comment with a reason covers, and reports what is wrong with the comments.
func (c *checker) suppress(alerts []rule.Alert, alertmanager string) {
	files := map[string]bool{alertmanager: alertmanager != ""}
	for _, alert := range alerts {
		files[alert.File] = true
	}
	for _, f := range c.findings {
		files[f.File] = true
	}
	for _, doc := range c.runbooks.Runbooks {
		files[doc.Path] = true
	}
	for file, is := range files {
		if !is {
			continue
		}
		for _, s := range c.suppressions(file) {
			c.apply(s)
		}
	}
}

// apply removes the findings that one suppression covers.
func (c *checker) apply(s suppression) {
	m := suppressionText.FindStringSubmatch(s.text)
	if m == nil {
		c.reportPlace(s.place, "suppression/unknown", `%q is not understood: write "firedrill: ignore", the name of a check, " -- " and the reason`, s.text)
		return
	}
	name, reason := m[1], m[2]
	if !isCheck(name) {
		var names []string
		for _, check := range Checks {
			names = append(names, check.Name)
		}
		hint := ""
		if near := nearest.Within(1, name, names); near != "" {
			hint = ", such as " + near
		}
		c.reportPlace(s.place, "suppression/unknown", "there is no check %q: name one that firedrill check --list lists%s", name, hint)
		return
	}
	if reason == "" {
		c.reportPlace(s.place, "suppression/reason", `%s is not suppressed, since the comment gives no reason: write " -- " and the reason after its name`, name)
		return
	}
	before := len(c.findings)
	c.findings = slices.DeleteFunc(c.findings, func(f finding.Finding) bool { return s.reasonFor(f) != "" })
	if len(c.findings) == before && !c.skipped[name] {
		c.reportPlace(s.place, "suppression/unused", "%s finds nothing that this comment covers: remove it, or put it right before what it is meant for", name)
	}
}

// reasonFor returns why a finding is suppressed; empty where it is not.
func (s suppression) reasonFor(f finding.Finding) string {
	m := suppressionText.FindStringSubmatch(s.text)
	if m == nil || f.Check != m[1] || f.File != s.file || f.Line < s.from || f.Line > s.to || strings.HasPrefix(f.Check, "suppression/") {
		return ""
	}
	return m[2]
}

// Suppressed returns for each finding the reason that a comment gives for suppressing it; empty where none does.
func Suppressed(findings []finding.Finding) []string {
	c := &checker{lines: map[string][]string{}}
	comments := map[string][]suppression{}
	reasons := make([]string, len(findings))
	for i, f := range findings {
		if _, ok := comments[f.File]; !ok {
			comments[f.File] = c.suppressions(f.File)
		}
		for _, s := range comments[f.File] {
			reasons[i] = cmp.Or(reasons[i], s.reasonFor(f))
		}
	}
	return reasons
}

// suppressions returns the suppressions in a rule file or a runbook, in the order of the lines.
func (c *checker) suppressions(file string) []suppression {
	c.line(file, 1)
	content := strings.Join(c.lines[file], "\n")
	if !strings.Contains(content, "firedrill:") {
		return nil
	}
	var found []suppression
	switch {
	case rule.IsFile(filepath.Base(file)):
		found = yamlSuppressions(content)
	case filepath.Ext(file) == ".md":
		found = markdownSuppressions(runbook.Blank([]byte(content)))
	}
	for i := range found {
		found[i].file = file
	}
	return found
}

func yamlSuppressions(content string) []suppression {
	var found []suppression
	lines := strings.Split(content, "\n")
	starts := ruleStarts([]byte(content))
	for i, line := range lines {
		line = strings.TrimRight(line, "\r")
		m := yamlComment.FindStringSubmatchIndex(line)
		if m == nil {
			continue
		}
		s := suppression{text: line[m[2]:m[3]], place: place{line: i + 1, column: 1 + utf8.RuneCountInString(line[:m[2]])}}
		s.end = s.column + utf8.RuneCountInString(s.text)
		s.from, s.to = covered(lines, starts, i+1)
		found = append(found, s)
	}
	return found
}

// start is the line on which a rule, or another thing that a comment can cover, begins, or something else after one.
type start struct {
	line   int
	isRule bool
}

// covered returns the first and the last line that a comment on a line of a rule file covers.
func covered(lines []string, starts []start, line int) (from, to int) {
	isComment := func(n int) bool { return strings.HasPrefix(strings.TrimSpace(lines[n-1]), "#") }
	first := 1
	for first <= len(lines) && (isComment(first) || strings.TrimSpace(lines[first-1]) == "" || strings.HasPrefix(lines[first-1], "---")) {
		first++
	}
	if line < first {
		return 1, math.MaxInt
	}
	next := slices.IndexFunc(starts, func(s start) bool { return s.line > line })
	if next < 0 {
		next = len(starts)
	}
	own := next - 1
	if next < len(starts) {
		n := line
		for n < starts[next].line && isComment(n) {
			n++
		}
		if n == starts[next].line { // nothing but comments in between
			own = next
		}
	}
	if own < 0 || !starts[own].isRule {
		return 0, 0
	}
	if own+1 == len(starts) {
		return starts[own].line, math.MaxInt
	}
	return starts[own].line, starts[own+1].line - 1
}

// ruleStarts returns where rules and groups begin in a rule file, or in a manifest that holds one.
func ruleStarts(content []byte) []start {
	var starts []start
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) || err != nil { // the loader of the file reports it
			break
		}
		starts = append(starts, start{line: document.Line})
		collectStarts(&document, &starts)
	}
	slices.SortFunc(starts, func(a, b start) int { return cmp.Compare(a.line, b.line) })
	// The rule of a flow sequence may begin where its group does.
	return starts
}

// coverable are the keys of the lists whose elements a comment can cover.
var coverable = []string{"rules", "routes", "receivers", "inhibit_rules", "time_intervals", "mute_time_intervals"}

func collectStarts(node *yaml.Node, starts *[]start) {
	for i, child := range node.Content {
		isList := child.Kind == yaml.SequenceNode && node.Kind == yaml.MappingNode && i%2 == 1
		if isList && (node.Content[i-1].Value == "groups" || slices.Contains(coverable, node.Content[i-1].Value)) {
			for _, item := range child.Content {
				if item.Kind != yaml.ScalarNode {
					*starts = append(*starts, start{line: item.Line, isRule: node.Content[i-1].Value != "groups"})
				}
			}
		}
		collectStarts(child, starts)
	}
}

func markdownSuppressions(content []byte) []suppression {
	var found []suppression
	lineOf := func(offset int) int { return 1 + bytes.Count(content[:offset], []byte("\n")) }
	add := func(n ast.Node, segment text.Segment) {
		for _, m := range markdownComment.FindAllSubmatchIndex(segment.Value(content), -1) {
			offset := segment.Start + max(0, m[2]-segment.Padding)
			begin := bytes.LastIndexByte(content[:offset], '\n') + 1
			s := suppression{text: string(segment.Value(content)[m[2]:m[3]])}
			s.line, s.column = lineOf(offset), 1+utf8.RuneCount(content[begin:offset])
			s.end = s.column + utf8.RuneCountInString(s.text)
			from, to := coveredBy(n)
			if from >= 0 {
				s.from, s.to = lineOf(from), math.MaxInt
				if to >= 0 {
					s.to = lineOf(to) - 1
				}
			}
			found = append(found, s)
		}
	}
	_ = ast.Walk(goldmark.DefaultParser().Parse(text.NewReader(content)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.HTMLBlock:
			for _, segment := range n.Lines().Sliced(0, n.Lines().Len()) {
				add(n, segment)
			}
			if n.HasClosure() {
				add(n, n.ClosureLine)
			}
		case *ast.RawHTML:
			for _, segment := range n.Segments.Sliced(0, n.Segments.Len()) {
				add(n, segment)
			}
		}
		return ast.WalkContinue, nil
	})
	return found
}

// coveredBy returns the offsets between which a comment covers a file; from is -1 where it covers nothing, to is -1 where
// it covers the rest.
func coveredBy(comment ast.Node) (from, to int) {
	block := comment
	if comment.Type() == ast.TypeInline {
		for block.Type() == ast.TypeInline {
			block = block.Parent()
		}
	} else {
		isFirst := comment.Parent().Kind() == ast.KindDocument
		for n := comment.PreviousSibling(); n != nil; n = n.PreviousSibling() {
			isFirst = isFirst && n.Kind() == ast.KindHTMLBlock
		}
		if isFirst {
			return 0, -1
		}
		for block != nil && block.Kind() == ast.KindHTMLBlock {
			block = block.NextSibling()
		}
		if block == nil {
			return -1, -1
		}
	}
	next := following(block)
	if heading, ok := block.(*ast.Heading); ok {
		for next != nil {
			if other, ok := next.(*ast.Heading); ok && other.Level <= heading.Level {
				break
			}
			next = following(next)
		}
	}
	if next == nil {
		return begin(block), -1
	}
	return begin(block), begin(next)
}

// following returns the block after a block, on any level.
func following(block ast.Node) ast.Node {
	for n := block; n != nil; n = n.Parent() {
		if next := n.NextSibling(); next != nil {
			return next
		}
	}
	return nil
}

// begin returns the offset of a block's first character.
func begin(block ast.Node) int {
	for n := block; n != nil; n = n.FirstChild() {
		if n.Pos() >= 0 {
			return n.Pos()
		}
	}
	return 0
}
