package rule

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// problem is one thing wrong with a rule file; it is comparable, so that the same thing found twice is said once.
type problem struct {
	file  string
	line  int    // 0: the file as a whole
	text  string // the offending text, if there is one to show
	wrong string
	right string
}

func (p problem) Error() string {
	var b strings.Builder
	b.WriteString(p.file)
	if p.line > 0 {
		fmt.Fprintf(&b, ":%d", p.line)
	}
	b.WriteString(": " + p.wrong)
	if p.text != "" {
		fmt.Fprintf(&b, " (%q)", shorten(p.text))
	}
	return b.String() + ": " + p.right
}

func shorten(text string) string {
	const most = 80
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// reason is what the operating system says, without the path that the caller names anyway.
func reason(err error) string {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// read returns a file's content, refusing what cannot be a rule file before it is read.
func read(file string) ([]byte, error) {
	// Asked before opening: to open a named pipe is to wait for its writer.
	info, err := os.Stat(file)
	if err != nil {
		return nil, problem{file: file, wrong: "cannot be read: " + reason(err), right: "name a rule file"}
	}
	switch {
	case info.IsDir():
		return nil, problem{file: file, wrong: "is a directory", right: "name a rule file"}
	case !info.Mode().IsRegular():
		return nil, problem{file: file, wrong: "is not a regular file", right: "name a rule file"}
	case info.Size() > MaxFileSize:
		return nil, problem{file: file, wrong: "is too large", text: fmt.Sprintf("%d bytes", info.Size()),
			right: fmt.Sprintf("keep a rule file within %d bytes, and split the groups over several", MaxFileSize)}
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, problem{file: file, wrong: "cannot be read: " + reason(err), right: "let this user read it"}
	}
	return content, nil
}

// source is a rule file's text, in which errors and fields are found again.
type source struct {
	file    string
	content []byte
}

func (s *source) problem(line int, wrong, right string) problem {
	return problem{file: s.file, line: line, text: s.text(line), wrong: wrong, right: right}
}

// text returns a line without its indentation.
func (s *source) text(line int) string {
	start := s.lineStart(line)
	end := len(s.content)
	if i := bytes.IndexByte(s.content[start:], '\n'); i >= 0 {
		end = start + i
	}
	return strings.TrimSpace(string(s.content[start:end]))
}

// lineStart returns the offset of a line's first byte.
func (s *source) lineStart(line int) int {
	start := 0
	for ; line > 1; line-- {
		i := bytes.IndexByte(s.content[start:], '\n')
		if i < 0 {
			break
		}
		start += i + 1
	}
	return start
}

const noGroups = "write groups: with at least one group, or remove the file"

// notText finds the first thing in a file that no YAML file holds.
func (s *source) notText() (problem, bool) {
	if len(bytes.TrimSpace(s.content)) == 0 {
		return problem{file: s.file, line: 1, wrong: "the file is empty", right: noGroups}, true
	}
	for i := 0; i < len(s.content); {
		r, size := utf8.DecodeRune(s.content[i:])
		line := 1 + bytes.Count(s.content[:i], []byte("\n"))
		switch {
		case r == utf8.RuneError && size == 1:
			return s.problem(line, fmt.Sprintf("not UTF-8: byte 0x%02x", s.content[i]), "save the file as UTF-8"), true
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			return s.problem(line, fmt.Sprintf("a control character, 0x%02x", r), "remove it"), true
		// YAML takes each of these for the end of a line; editors, and the line numbers in messages, do not.
		case r == '\r' && !bytes.HasPrefix(s.content[i+1:], []byte("\n")), r == 0x85, r == 0x2028, r == 0x2029:
			return s.problem(line, fmt.Sprintf("an unusual line end, %U", r), "end the line with a newline"), true
		}
		i += size
	}
	return problem{}, false
}

// document returns the root mapping of the file's only document.
func (s *source) document() (*yaml.Node, []problem) {
	decoder := yaml.NewDecoder(bytes.NewReader(s.content))
	var doc yaml.Node
	if err := decoder.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, s.undecodable(err)
	}
	for {
		var next yaml.Node
		err := decoder.Decode(&next)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, s.undecodable(err)
		}
		if len(next.Content) > 0 && next.Content[0].Tag != "!!null" {
			// Prometheus goes on with the first document alone; whatever the others ask for would never page anybody.
			return nil, []problem{s.problem(next.Line, "a second YAML document, which Prometheus ignores", "move it to a file of its own")}
		}
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, []problem{s.problem(max(doc.Line, 1), "holds no rule group", noGroups)}
	}
	return doc.Content[0], nil
}

// durations finds the malformed durations in a file, wherever Prometheus expects one.
func (s *source) durations(root *yaml.Node) (problems []problem) {
	check := func(in *yaml.Node, field string) {
		node := value(in, field)
		if node == nil || node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
			return
		}
		if _, err := model.ParseDuration(node.Value); err != nil {
			problems = append(problems, problem{file: s.file, line: node.Line, text: node.Value,
				wrong: fmt.Sprintf("%q is not a duration", field), right: "write a whole number with a unit, as in 30s, 5m or 1h30m"})
		}
	}
	for _, group := range items(value(root, "groups")) {
		check(group, "interval")
		check(group, "query_offset")
		for _, r := range items(value(group, "rules")) {
			check(r, "for")
			check(r, "keep_firing_for")
		}
	}
	return problems
}

var (
	yamlLine     = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
	unknownField = regexp.MustCompile(`^field (.*) not found in type rulefmt\.(\w+)$`)
	wrongKind    = regexp.MustCompile("(?s)^cannot unmarshal !!(\\w+)(?: `.*`)? into (.*)$")

	knownFields = map[string]string{
		"RuleGroups": "a rule file has groups and nothing beside it",
		"RuleGroup":  "a group has name, interval, query_offset, limit, labels and rules",
		"Rule":       "a rule has alert or record, expr, for, keep_firing_for, labels and annotations",
	}
	kinds = map[string]string{
		"seq": "a list", "map": "a mapping", "str": "text", "int": "a number", "float": "a number", "bool": "true or false",
		"string": "text", "map[string]string": "a mapping of names to text",
		"[]rulefmt.RuleGroup": "a list of groups", "rulefmt.RuleGroup": "a group",
		"[]rulefmt.Rule": "a list of rules", "rulefmt.Rule": "a rule",
	}
)

// kind says in plain words what YAML's tags and Go's types are called in the decoder's errors.
func kind(name string) string {
	return cmp.Or(kinds[strings.TrimSuffix(name, "Node")], name)
}

// undecodable translates the YAML decoder's errors into problems of this file.
func (s *source) undecodable(err error) (problems []problem) {
	typeErr, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		line, wrong := yamlPosition(err.Error())
		// The decoder knows where the list or mapping began that went wrong, not always the very line.
		return []problem{s.problem(line, "not valid YAML from here on: "+wrong, "mend the indentation, or quote the value")}
	}
	for _, text := range typeErr.Errors {
		line, wrong := yamlPosition(text)
		p := s.problem(line, wrong, "write each key once")
		if m := unknownField.FindStringSubmatch(wrong); m != nil {
			p.text, p.wrong, p.right = m[1], "unknown field", knownFields[m[2]]
		} else if m := wrongKind.FindStringSubmatch(wrong); m != nil {
			p.wrong, p.right = kind(m[1])+" in the wrong place", "write "+kind(m[2])
		}
		problems = append(problems, p)
	}
	return problems
}

func yamlPosition(text string) (line int, message string) {
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		return line, m[2]
	}
	return 1, strings.TrimPrefix(text, "yaml: ")
}

var (
	badTemplate   = regexp.MustCompile(`(?s)^(label|annotation) "([^"]*)": template: .*?:(\d+):(?:\d+:)? (.*)$`)
	repeatedGroup = regexp.MustCompile(`(?s)^groupname: "(.*)" is repeated`)
)

// remedy says what would be right where Prometheus only says what is wrong.
func remedy(wrong string) string {
	for _, known := range [][2]string{
		{"Groupname must not be empty", "give the group a name"},
		{"is repeated", "give each group of the file a name of its own"},
		{"'record'", "write alert: for what calls somebody, record: for what is only computed"},
		{"'expr'", "write expr: with the PromQL expression"},
		{"recording rule", "keep annotations, for and keep_firing_for to alerts, and name what is recorded like a metric"},
	} {
		if strings.Contains(wrong, known[0]) {
			return known[1]
		}
	}
	return "mend it until Prometheus loads the file"
}

// invalid translates an error of Prometheus's validation, which mostly knows the rule and seldom the line.
func (s *source) invalid(err error, groups []*yaml.Node) problem {
	ruleErr, ok := errors.AsType[*rulefmt.Error](err)
	if !ok { // about a group; the position that it gives is always 0:0
		wrong := strings.TrimPrefix(err.Error(), "0:0: ")
		name := ""
		if m := repeatedGroup.FindStringSubmatch(wrong); m != nil {
			name = m[1]
		}
		line := 1
		for _, group := range groups {
			if scalar(value(group, "name")) == name {
				line = group.Line
			}
		}
		return s.problem(line, wrong, remedy(wrong))
	}
	group := at(groups, slices.IndexFunc(groups, func(g *yaml.Node) bool { return scalar(value(g, "name")) == ruleErr.Group }))
	node := at(items(value(group, "rules")), ruleErr.Rule-1)
	alert := Alert{src: s, fields: fields(group, node), Line: node.Line}
	cause, name := ruleErr.Err.Unwrap(), cmp.Or(ruleErr.RuleName, "this rule")

	if parseErrs, ok := errors.AsType[parser.ParseErrors](cause); ok {
		first := parseErrs[0]
		start := min(max(int(first.PositionRange.Start), 0), len(first.Query))
		end := min(max(int(first.PositionRange.End), start), len(first.Query))
		line, _ := alert.At("expr", start)
		p := problem{file: s.file, line: line, text: first.Query[start:end],
			wrong: fmt.Sprintf("the expression of %s is not PromQL: %v", name, first.Err), right: "mend it until Prometheus can parse it"}
		if p.text == "" {
			p.text = s.text(line)
		}
		return p
	}
	if m := badTemplate.FindStringSubmatch(cause.Error()); m != nil {
		field := m[1] + "s." + m[2]
		n, _ := strconv.Atoi(m[3])
		line, _ := alert.At(field, lineOffset(scalar(alert.fields[field]), n))
		return s.problem(line, fmt.Sprintf("the template of %s %q of %s does not parse: %s", m[1], m[2], name, m[4]),
			"use what Prometheus's templates know, as in {{ $labels.instance }} or {{ $value | humanizeDuration }}")
	}
	return s.problem(node.Line, cause.Error(), remedy(cause.Error()))
}

// lineOffset returns the offset at which the n-th line of text starts, its indentation left out.
func lineOffset(text string, n int) int {
	offset := 0
	for line := range strings.Lines(text) {
		if n--; n <= 0 {
			break
		}
		offset += len(line)
	}
	return offset
}

// value returns what a mapping holds under a key, through aliases and merges, or nil.
func value(mapping *yaml.Node, key string) *yaml.Node {
	return entries(mapping)[key]
}

// entries returns a mapping's values by key, with those that it merges in (<<) where it has none of its own.
func entries(mapping *yaml.Node) map[string]*yaml.Node {
	found := map[string]*yaml.Node{}
	collect(resolve(mapping), found, 0)
	return found
}

func collect(mapping *yaml.Node, into map[string]*yaml.Node, depth int) {
	const deepest = 10 // a mapping can be written to merge itself
	if mapping == nil || mapping.Kind != yaml.MappingNode || depth > deepest {
		return
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, val := resolve(mapping.Content[i]), resolve(mapping.Content[i+1])
		if key.Tag == "!!merge" {
			merged = append(append(merged, val), items(val)...)
		} else if _, ok := into[key.Value]; !ok {
			into[key.Value] = val
		}
	}
	for _, from := range merged {
		collect(from, into, depth+1)
	}
}

// items returns a sequence's elements.
func items(sequence *yaml.Node) []*yaml.Node {
	sequence = resolve(sequence)
	if sequence == nil || sequence.Kind != yaml.SequenceNode {
		return nil
	}
	elements := make([]*yaml.Node, len(sequence.Content))
	for i, node := range sequence.Content {
		elements[i] = resolve(node)
	}
	return elements
}

// at returns an element, or an empty node where a file is stranger than its validation knew.
func at(nodes []*yaml.Node, i int) *yaml.Node {
	if i < 0 || i >= len(nodes) {
		return &yaml.Node{Line: 1, Column: 1}
	}
	return nodes[i]
}

func scalar(node *yaml.Node) string {
	if node == nil {
		return ""
	}
	return node.Value
}

func resolve(node *yaml.Node) *yaml.Node {
	for node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// locate returns the line and column of the byte at offset in a scalar's value.
//
// A scalar as written and its value differ in indentation, in folded line ends and in quoting, but every other
// character of the value stands in the text too, in the same order: so the two are walked side by side. Where that
// fails, at an escape that stands for another character, the answer is the scalar's beginning.
func (s *source) locate(node *yaml.Node, offset int) (line, column int) {
	at := s.lineStart(node.Line)
	for range node.Column - 1 { // YAML counts characters
		_, size := utf8.DecodeRune(s.content[at:])
		at += size
	}
	if i, ok := align(s.content[at:], node, offset); ok {
		at += i
	}
	before := s.content[:at]
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[start:])
}

var properties = regexp.MustCompile(`^(?:[&!]\S*\s+)+`)

func align(text []byte, node *yaml.Node, offset int) (int, bool) {
	i := len(properties.Find(text)) // an anchor or a tag
	switch {
	case node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		i += bytes.IndexByte(text[i:], '\n') + 1
	case node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		i++
	}
	last := i
	for j := 0; ; i, j = i+1, j+1 {
		for j < len(node.Value) && isSpace(node.Value[j]) {
			j++
		}
		if j >= len(node.Value) {
			return last, true // the end: just behind the last character
		}
		for i < len(text) && isSpace(text[i]) {
			i++
		}
		if node.Style&yaml.DoubleQuotedStyle != 0 {
			for i+1 < len(text) && text[i] == '\\' && (isSpace(text[i+1]) || text[i+1] == 'n' || text[i+1] == 't') {
				for i += 2; i < len(text) && isSpace(text[i]); i++ {
				}
			}
			if i < len(text) && text[i] == '\\' {
				i++
			}
		}
		if i >= len(text) || text[i] != node.Value[j] {
			return 0, false
		}
		if j >= offset {
			return i, true
		}
		if node.Style&yaml.SingleQuotedStyle != 0 && text[i] == '\'' {
			i++ // written twice
		}
		last = i + 1
	}
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r'
}
