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
	config  string // the Prometheus configuration that names it, if one does
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
		line := func() int { return 1 + bytes.Count(s.content[:i], []byte("\n")) }
		switch {
		case r == utf8.RuneError && size == 1:
			return s.problem(line(), fmt.Sprintf("not UTF-8: byte 0x%02x", s.content[i]), "save the file as UTF-8"), true
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			return s.problem(line(), fmt.Sprintf("a control character, 0x%02x", r), "remove it"), true
		// YAML takes each of these for the end of a line; editors, and the line numbers in messages, do not.
		case r == '\r' && !bytes.HasPrefix(s.content[i+1:], []byte("\n")), r == 0x85, r == 0x2028, r == 0x2029:
			return s.problem(line(), fmt.Sprintf("an unusual line end, %U", r), "end the line with a newline"), true
		}
		i += size
	}
	return problem{}, false
}

// documents returns the root of each YAML document that holds anything.
func (s *source) documents() ([]*yaml.Node, []problem) {
	decoder := yaml.NewDecoder(bytes.NewReader(s.content))
	var roots []*yaml.Node
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return roots, nil
		}
		if err != nil {
			return nil, s.undecodable(err, func(line int) int { return line })
		}
		if len(doc.Content) > 0 && doc.Content[0].Tag != "!!null" {
			roots = append(roots, doc.Content[0])
		}
	}
}

// durations finds the malformed durations in a file, wherever Prometheus expects one.
func (s *source) durations(groups []*yaml.Node) (problems []problem) {
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
	for _, group := range groups {
		check(group, "interval")
		check(group, "query_offset")
		check(group, delayField)
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
func (s *source) undecodable(err error, original func(line int) int) (problems []problem) {
	typeErr, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		line, wrong := yamlPosition(err.Error())
		line = original(line)
		if p, ok := s.helm(line); ok {
			return []problem{p}
		}
		// The decoder knows where the list or mapping began that went wrong, not always the very line.
		return []problem{s.problem(line, "not valid YAML from here on: "+wrong, "fix the indentation, or quote the value")}
	}
	for _, text := range typeErr.Errors {
		line, wrong := yamlPosition(text)
		p := s.problem(original(line), wrong, "write each key once")
		if m := unknownField.FindStringSubmatch(wrong); m != nil {
			p.text, p.wrong, p.right = m[1], "unknown field", knownFields[m[2]]
			if program := ProgramOf(m[1]); program != "" {
				p.wrong = "a field for " + program + ", for which Prometheus does not load the file"
				p.right = "remove it: " + p.right
				if s.config != "" {
					p.right = "remove it, or the file from the rule_files of " + s.config
				}
			}
		} else if m := wrongKind.FindStringSubmatch(wrong); m != nil {
			p.wrong, p.right = kind(m[1])+" in the wrong place", "write "+kind(m[2])
			if action, ok := s.helm(p.line); ok && action.line == p.line { // which reads as a mapping of a mapping
				p = action
			}
		}
		problems = append(problems, p)
	}
	return problems
}

// helm finds the Helm action by which a file stops being YAML: at or before the line where the decoder gave up, or
// else the first of all.
func (s *source) helm(upTo int) (problem, bool) {
	first, last := 0, 0
	n := 0
	for line := range strings.Lines(string(s.content)) {
		n++
		before, _, found := strings.Cut(strings.TrimSpace(line), "{{")
		// A template of Prometheus's own stands in a quoted or a block scalar, or follows other words.
		if !found || before != "" && !strings.HasSuffix(before, ": ") && !strings.HasSuffix(before, "- ") {
			continue
		}
		if first == 0 {
			first = n
		}
		if n <= upTo {
			last = n
		}
	}
	if first == 0 {
		return problem{}, false
	}
	return s.problem(cmp.Or(last, first), "a Helm template, not YAML", "render the chart first, as with helm template, or quote the value"), true
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
	return "fix it so that Prometheus loads the file"
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
			wrong: fmt.Sprintf("the expression of %s is not PromQL: %v", name, first.Err), right: "fix it so that Prometheus can parse it"}
		if p.text == "" {
			p.text = s.text(line)
		}
		if isLogQL(first.Query) {
			p.wrong, p.right = fmt.Sprintf("the expression of %s is LogQL, which Loki reads and Prometheus does not", name), "move the rule to a file that Loki loads"
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
