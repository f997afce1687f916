package project

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/docker/go-units"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/stemedb/firedrill/tools/nearest"
)

const (
	// MaxFileSize is the size in bytes above which a firedrill.yml is refused.
	MaxFileSize = 1 << 20
	maxExpanded = 1 << 16 // keys and values, each alias counted as often as it is used
)

// problem is one thing wrong with a firedrill.yml; it is comparable, so that the same thing found twice is said once.
type problem struct {
	file         string
	line, column int    // counted from 1, in characters; 0: the file as a whole
	text         string // the offending text, if there is one to show
	wrong, right string
}

func (p problem) Error() string {
	var b strings.Builder
	b.WriteString(p.file)
	if p.line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.line, p.column)
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

// inOrder joins the problems in the order of their places.
func inOrder(problems []problem) error {
	slices.SortFunc(problems, func(a, b problem) int {
		return cmp.Or(a.line-b.line, a.column-b.column, cmp.Compare(a.wrong, b.wrong), cmp.Compare(a.text, b.text), cmp.Compare(a.right, b.right))
	})
	const most = 50
	problems = slices.Compact(problems)
	var errs []error
	for _, p := range problems[:min(most, len(problems))] {
		errs = append(errs, p)
	}
	if rest := len(problems) - most; rest > 0 {
		errs = append(errs, fmt.Errorf("%s: %d more problems: fix these first", problems[0].file, rest))
	}
	return errors.Join(errs...)
}

// decoder reads the shape of a file, and notes where each value stands.
type decoder struct {
	file     string
	lines    []string
	nodes    map[any]*yaml.Node // by a pointer to the value
	problems []problem
}

func (d *decoder) problem(node *yaml.Node, text, wrong, right string) {
	line, column := node.Line, node.Column
	if line > len(d.lines) { // of an empty document at the end
		line, column = len(d.lines), 1
	}
	d.problems = append(d.problems, problem{d.file, line, column, text, wrong, right})
}

// wrong notes a problem of a value, which must have been decoded; of one that was not, there is nothing to say.
func (d *decoder) wrong(value any, wrong, right string) {
	if node := d.nodes[value]; node != nil {
		d.problem(node, d.text(node), wrong, right)
	}
}

// text is a scalar's value, or the line in which another value begins.
func (d *decoder) text(node *yaml.Node) string {
	if node.Kind == yaml.ScalarNode && node.Value != "" {
		first, _, more := strings.Cut(node.Value, "\n")
		if more {
			first += "…"
		}
		return first
	}
	return d.line(node.Line)
}

func (d *decoder) line(number int) string {
	if number < 1 || number > len(d.lines) {
		return ""
	}
	return strings.TrimSpace(d.lines[number-1])
}

const theFile = "write rules, runbooks, compose, operator, prometheus and drills, or have firedrill init write it"

// parse decodes the content of a file into a project. What it could not decode is left out and among the problems.
func parse(file string, content []byte) (*Project, *decoder) {
	p := &Project{File: file}
	d := &decoder{file: file, lines: strings.Split(string(content), "\n"), nodes: map[any]*yaml.Node{}}
	root, ok := d.root(content)
	if !ok {
		return p, d
	}
	d.mapping(root, reflect.ValueOf(p).Elem(), "the file")
	return p, d
}

// root is the one document of a file.
func (d *decoder) root(content []byte) (*yaml.Node, bool) {
	start := &yaml.Node{Line: 1, Column: 1}
	if len(content) > MaxFileSize {
		d.problem(start, fmt.Sprintf("%d bytes", len(content)), "the file is too large", fmt.Sprintf("keep it within %d bytes", MaxFileSize))
		return nil, false
	}
	for i := 0; i < len(content); {
		r, size := utf8.DecodeRune(content[i:])
		wrong, right := "", ""
		switch {
		case r == utf8.RuneError && size == 1:
			wrong, right = "not UTF-8", "save the file as UTF-8"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			wrong, right = "a control character", "remove it"
		// YAML takes each of these for the end of a line; editors, and the line numbers in messages, do not.
		case r == '\r' && !bytes.HasPrefix(content[i+1:], []byte("\n")), r == 0x85, r == 0x2028, r == 0x2029:
			wrong, right = "an unusual line end", "end the line with a newline"
		}
		if wrong != "" {
			before := content[:i]
			at := &yaml.Node{Line: 1 + bytes.Count(before, []byte("\n")), Column: 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])}
			d.problem(at, string(content[i:i+size]), wrong, right)
			return nil, false
		}
		i += size
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var root *yaml.Node
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			d.notYAML(err)
			return nil, false
		}
		if root != nil {
			d.problem(document.Content[0], d.text(document.Content[0]), "a second YAML document", "keep one: a project is one document")
			return nil, false
		}
		root = document.Content[0]
	}
	switch {
	case root == nil || root.Tag == "!!null":
		d.problem(start, "", "the file is empty", theFile)
		return nil, false
	case size(root, map[*yaml.Node]int{}) > maxExpanded:
		d.problem(root, d.line(root.Line), fmt.Sprintf("more than %d keys and values, aliases written out", maxExpanded), "use fewer aliases (*name)")
		return nil, false
	}
	d.tags(root)
	return root, len(d.problems) == 0
}

var (
	yamlLine      = regexp.MustCompile(`(?s)^(?:yaml: )?(?:line (\d+)(?:, column \d+)?: )?(.*)$`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// notYAML notes the decoder's error. It says the line in which a list or mapping began that went wrong, not always the
// very line, and of an unknown anchor nothing.
func (d *decoder) notYAML(err error) {
	m := yamlLine.FindStringSubmatch(err.Error())
	number, _ := strconv.Atoi(m[1])
	number = min(max(number, 1), len(d.lines))
	if anchor := unknownAnchor.FindStringSubmatch(m[2]); anchor != nil {
		alias := "*" + anchor[1]
		for i, line := range d.lines {
			if before, _, found := strings.Cut(line, alias); found {
				d.problem(&yaml.Node{Line: i + 1, Column: 1 + utf8.RuneCountInString(before)}, alias, "an alias without its anchor", "write &"+anchor[1]+" before the value that it stands for, or quote the text")
				return
			}
		}
	}
	line := d.lines[number-1]
	at := &yaml.Node{Line: number, Column: 1 + len(line) - len(strings.TrimLeft(line, " "))}
	d.problem(at, d.line(number), "not valid YAML from here on: "+m[2], "fix the indentation, which is of spaces, or quote the value")
}

// tags notes the tags that are written out: none is needed, and each has a value be another than it looks like.
func (d *decoder) tags(node *yaml.Node) {
	if node.Style&yaml.TaggedStyle != 0 {
		d.problem(node, node.Tag, "a tag", "remove it, and quote the value if it is a text")
	} else if text := d.from(node); node.Kind != yaml.AliasNode && strings.HasPrefix(text, "!") { // which YAML reads past
		d.problem(node, text, "a tag", "quote the value: a text cannot begin with !")
	}
	for _, child := range node.Content {
		d.tags(child)
	}
}

// from is the text of the line from where a value begins, without its anchor.
func (d *decoder) from(node *yaml.Node) string {
	line := []rune(d.lines[min(node.Line, len(d.lines))-1])
	text := string(line[min(max(node.Column-1, 0), len(line)):])
	if node.Anchor != "" {
		text = strings.TrimPrefix(text, "&"+node.Anchor)
	}
	return strings.TrimSpace(text)
}

// size counts keys and values, each alias as often as it is used, and stops above maxExpanded.
func size(node *yaml.Node, sizes map[*yaml.Node]int) int {
	node = resolve(node)
	if n, ok := sizes[node]; ok {
		return n
	}
	sizes[node] = maxExpanded + 1 // found again below itself: it never ends
	n := 1
	for _, child := range node.Content {
		n = min(n+size(child, sizes), maxExpanded+1)
	}
	sizes[node] = n
	return n
}

func resolve(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// kind says in plain words what a value is.
func kind(node *yaml.Node) string {
	switch {
	case node.Kind == yaml.SequenceNode:
		return "a list"
	case node.Kind == yaml.MappingNode:
		return "a mapping"
	}
	switch node.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "empty"
	case "!!timestamp":
		return "a date"
	case "!!str":
		return "a text"
	}
	return "of the type " + node.ShortTag()
}

// key is a key of a mapping, as messages have it.
type key struct {
	name     string
	example  string // of its value
	required bool
	absolute bool     // its value is an absolute path
	oneOf    []string // its values; nil for any
	index    []int    // of its field
}

// keysOf returns the keys of a type.
func keysOf(t reflect.Type) (keys []key) {
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		name, option, _ := strings.Cut(tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		if option == "inline" {
			for _, k := range keysOf(t.Field(i).Type) {
				k.index = append([]int{i}, k.index...)
				keys = append(keys, k)
			}
			continue
		}
		k := key{name: name, example: tag.Get("example"), required: option == "required", absolute: option == "absolute", index: []int{i}}
		if values := tag.Get("oneof"); values != "" {
			k.oneOf = strings.Split(values, ",")
		}
		keys = append(keys, k)
	}
	return keys
}

func (k key) as() string { return "as in " + k.name + ": " + k.example }

// pair is a key of a mapping as it stands in the file, and its value.
type pair struct {
	key
	at, value *yaml.Node
}

// pairs returns what a mapping has under the known keys, and notes what is wrong with the others: those that are not known,
// are there twice, or are required and missing, unless a misspelt one is there.
func (d *decoder) pairs(node *yaml.Node, what string, known []key) (pairs []pair) {
	meant := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		at, value := resolve(node.Content[i]), resolve(node.Content[i+1])
		n := slices.IndexFunc(known, func(k key) bool { return at.Kind == yaml.ScalarNode && k.name == at.Value })
		first := slices.IndexFunc(pairs, func(p pair) bool { return p.name == at.Value })
		switch {
		case at.ShortTag() == "!!merge":
			d.problem(at, d.line(at.Line), "a merge key", "write out the keys that it stands for")
			return pairs
		case n < 0:
			meant[nearest.Of(at.Value, names(known))] = true
			d.problem(at, d.text(at), what+" has no such key", nearest.Choice(at.Value, names(known)))
		case first >= 0:
			d.problem(at, d.text(at), "a key that "+what+" has already", fmt.Sprintf("keep one: the first is on line %d", pairs[first].at.Line))
		default:
			pairs = append(pairs, pair{known[n], at, value})
		}
	}
	for _, k := range known {
		if k.required && !meant[k.name] && !slices.ContainsFunc(pairs, func(p pair) bool { return p.name == k.name }) {
			d.missing(node, what, k)
		}
	}
	return pairs
}

func names(keys []key) (names []string) {
	for _, k := range keys {
		names = append(names, k.name)
	}
	return names
}

// custom is a type that decodes itself.
type custom interface {
	decode(d *decoder, node *yaml.Node, k key)
}

// mapping decodes a mapping into a struct.
func (d *decoder) mapping(node *yaml.Node, into reflect.Value, what string) {
	if node.Kind != yaml.MappingNode {
		d.problem(node, d.text(node), what+" is "+kind(node), "write a mapping of "+strings.Join(names(keysOf(into.Type())), ", "))
		return
	}
	if line := into.FieldByName("Line"); line.IsValid() {
		line.SetInt(int64(node.Line))
	}
	for _, p := range d.pairs(node, what, keysOf(into.Type())) {
		d.value(p.value, into.FieldByIndex(p.index), p.key)
	}
}

// missing notes that a mapping lacks a key: at the comment "# TODO key" where it has one, as firedrill init writes it.
func (d *decoder) missing(node *yaml.Node, what string, k key) {
	last := len(d.lines)
	if node.Column > 1 { // not the file's own
		last = lastLine(node) + 1
	}
	for n := node.Line; n <= min(last, len(d.lines)); n++ {
		text := d.lines[n-1]
		if before, comment, found := strings.Cut(text, "#"); found && strings.HasPrefix(strings.TrimSpace(comment), "TODO "+k.name) {
			at := &yaml.Node{Line: n, Column: 1 + utf8.RuneCountInString(before)}
			if at.Column == 1 || node.Column > 1 {
				d.problem(at, d.line(n), fmt.Sprintf("%s has no %q", what, k.name), "write it, "+k.as())
				return
			}
		}
	}
	d.problem(node, d.line(node.Line), fmt.Sprintf("%s has no %q", what, k.name), "add it, "+k.as())
}

func lastLine(node *yaml.Node) int {
	line := node.Line
	if node.Kind != yaml.AliasNode && len(node.Content) > 0 {
		line = max(line, lastLine(node.Content[len(node.Content)-1]))
	}
	return line
}

var kinds = map[reflect.Type]string{
	reflect.TypeFor[Drill](): "a drill", reflect.TypeFor[Command](): "a command",
	reflect.TypeFor[Sections](): "sections", reflect.TypeFor[Scenario](): "a scenario",
}

// value decodes what stands under a key.
func (d *decoder) value(node *yaml.Node, into reflect.Value, k key) {
	node = resolve(node)
	d.nodes[into.Addr().Interface()] = node
	if node.ShortTag() == "!!null" || node.Kind == yaml.ScalarNode && strings.TrimSpace(node.Value) == "" || node.Kind != yaml.ScalarNode && len(node.Content) == 0 {
		d.problem(node, d.line(node.Line), strconv.Quote(k.name)+" is empty", "write its value, "+k.as()+", or remove the key")
		return
	}
	if c, ok := into.Addr().Interface().(custom); ok {
		c.decode(d, node, k)
		return
	}
	switch into.Kind() {
	case reflect.String:
		if node.Kind == yaml.ScalarNode && node.ShortTag() != "!!str" {
			d.problem(node, d.text(node), strconv.Quote(k.name)+" is "+kind(node)+", not a text", fmt.Sprintf("quote it: %q", node.Value))
		} else if !d.is(node, k, "!!str", "a text") { // and noted
		} else if k.absolute && !path.IsAbs(node.Value) {
			d.problem(node, d.text(node), strconv.Quote(k.name)+" is not an absolute path", "write the path in the service, "+k.as())
		} else if k.oneOf != nil && !slices.Contains(k.oneOf, node.Value) {
			d.problem(node, d.text(node), "no value of "+strconv.Quote(k.name), nearest.Choice(node.Value, k.oneOf))
		} else {
			into.SetString(node.Value)
		}
	case reflect.Int64: // a duration
		into.SetInt(int64(d.duration(pair{key: k, value: node}, 1)))
	case reflect.Bool:
		if d.is(node, k, "!!bool", "true or false") {
			into.SetBool(strings.EqualFold(node.Value, "true"))
		}
	case reflect.Slice:
		elements := []*yaml.Node{node}
		if node.Kind == yaml.SequenceNode {
			elements = node.Content
		}
		into.Set(reflect.MakeSlice(into.Type(), len(elements), len(elements)))
		for i, element := range elements {
			d.value(element, into.Index(i), k)
		}
	case reflect.Map:
		d.texts(node, into, k)
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.value(node, into.Elem(), k)
	case reflect.Struct:
		d.mapping(node, into, kinds[into.Type()])
	}
}

// is reports whether a value is of a type, and notes a problem where it is not.
func (d *decoder) is(node *yaml.Node, k key, tag, want string) bool {
	if node.Kind == yaml.ScalarNode && node.ShortTag() == tag {
		return true
	}
	d.problem(node, d.text(node), strconv.Quote(k.name)+" is "+kind(node)+", not "+want, "write "+want+", "+k.as())
	return false
}

// texts decodes a mapping of names to texts.
func (d *decoder) texts(node *yaml.Node, into reflect.Value, k key) {
	if node.Kind != yaml.MappingNode {
		d.problem(node, d.text(node), strconv.Quote(k.name)+" is "+kind(node)+", not a mapping", "write a mapping, "+k.as())
		return
	}
	texts := map[string]string{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		at, value := resolve(node.Content[i]), resolve(node.Content[i+1])
		if _, ok := texts[at.Value]; ok {
			d.problem(at, d.text(at), "a key that "+k.name+" has already", "keep one")
			continue
		}
		var text string
		if d.is(at, k, "!!str", "a text") {
			d.value(value, reflect.ValueOf(&text).Elem(), key{name: at.Value, example: "/var/lib/metrics", absolute: k.absolute})
			texts[at.Value] = text
			d.nodes[place{k.name, at.Value}] = at
		}
	}
	into.Set(reflect.ValueOf(texts))
}

// place is a key of a mapping of texts.
type place struct{ mapping, key string }

func (c *Command) decode(d *decoder, node *yaml.Node, k key) {
	if node.Kind == yaml.ScalarNode {
		d.value(node, reflect.ValueOf(&c.Run).Elem(), k)
		return
	}
	d.mapping(node, reflect.ValueOf(c).Elem(), k.name)
}

func (l *Traffic) decode(d *decoder, node *yaml.Node, k key) {
	if node.Kind == yaml.ScalarNode {
		d.value(node, reflect.ValueOf(&l.Service).Elem(), k)
		return
	}
	l.Command = new(Command)
	d.value(node, reflect.ValueOf(l.Command).Elem(), k)
}

func (r *Responder) decode(d *decoder, node *yaml.Node, k key) {
	before := len(d.problems)
	d.mapping(node, reflect.ValueOf(r).Elem(), "a responder")
	if len(d.problems) == before && (r.Run == "") == (r.Restore == "") {
		d.problem(node, d.line(node.Line), "a responder has either run or restore", "write one of them, as in run: /usr/local/bin/sign or restore: web")
	}
}

func (o *Objectives) decode(d *decoder, node *yaml.Node, k key) {
	if node.Kind != yaml.MappingNode {
		d.problem(node, d.text(node), strconv.Quote(k.name)+" is "+kind(node)+", not a mapping", "write a mapping, "+k.as())
		return
	}
	for _, p := range d.pairs(node, strconv.Quote(k.name), keysOf(reflect.TypeFor[Objectives]())) {
		switch p.name {
		case "rto":
			o.RTO = d.duration(p, 1)
		case "rpo":
			o.RPO = d.duration(p, 0)
		case "records":
			o.Records = d.count(p)
		}
	}
}

// actions are the keys of which each fault has one, and what else a fault has with it.
var actions = []struct {
	key
	action  Action
	options []key
}{
	{key{name: "run", example: "pkill -9 nginx"}, Run, []key{on}},
	{key{name: "kill", example: "web"}, Kill, []key{{name: "signal", example: "TERM", oneOf: signals}}},
	{key{name: "stop", example: "web"}, Stop, nil},
	{key{name: "pause", example: "web"}, Pause, nil},
	{key{name: "disconnect", example: "web"}, Disconnect, nil},
	{key{name: "delay", example: "web"}, Delay, []key{{name: "by", example: "200ms", required: true}}},
	{key{name: "cpus", example: "web"}, CPUs, []key{{name: "to", example: "0.1", required: true}}},
	{key{name: "memory", example: "web"}, Memory, []key{{name: "to", example: "64MiB", required: true}}},
	{key{name: "fill", example: "/var/lib/web", absolute: true}, Fill, []key{on, {name: "leave", example: "1MiB"}}},
}

var on = key{name: "on", example: "web"}

func (f *Fault) decode(d *decoder, node *yaml.Node, k key) {
	f.Line = node.Line
	var does, every []key
	for _, a := range actions {
		does = append(does, a.key)
		every = append(append(every, a.key), a.options...)
	}
	oneOf := "write one of " + strings.Join(names(does), ", ") + ", as in {kill: web}"
	if node.Kind != yaml.MappingNode {
		d.problem(node, d.text(node), strconv.Quote(k.name)+" is "+kind(node)+", not a mapping", oneOf)
		return
	}
	chosen := -1
	for i := 0; i+1 < len(node.Content); i += 2 {
		at := resolve(node.Content[i])
		n := slices.IndexFunc(does, func(k key) bool { return at.Kind == yaml.ScalarNode && k.name == at.Value })
		switch {
		case n < 0 || n == chosen:
		case chosen >= 0:
			d.problem(at, d.text(at), "a second action in one fault", fmt.Sprintf("write a list of faults: [{%s: …}, {%s: …}]", does[chosen].name, at.Value))
			return
		default:
			chosen = n
		}
	}
	if chosen < 0 {
		before := len(d.problems)
		var unique []key
		for _, k := range every {
			if k.required = false; !slices.ContainsFunc(unique, func(other key) bool { return other.name == k.name }) {
				unique = append(unique, k)
			}
		}
		if d.pairs(node, "a fault", unique); len(d.problems) == before {
			d.problem(node, d.line(node.Line), "a fault that does nothing", oneOf)
		}
		return
	}
	a := actions[chosen]
	f.Action = a.action
	for _, p := range d.pairs(node, "the fault "+a.name, append([]key{a.key}, a.options...)) {
		f.set(d, p)
	}
	if f.Action == Kill && f.Signal == "" {
		f.Signal = signals[0]
	}
}

// set decodes one key of a fault.
func (f *Fault) set(d *decoder, p pair) {
	into := &f.Service
	switch {
	case p.name == "run":
		into = &f.Script
	case p.name == "fill":
		into = &f.Folder
	case p.name == "signal":
		into = &f.Signal
	case p.name == "by":
		f.By = d.duration(p, 1)
		return
	case p.name == "leave", p.name == "to" && f.Action == Memory:
		d.bytes(p, &f.Bytes)
		return
	case p.name == "to":
		f.To = d.number(p)
		return
	}
	d.value(p.value, reflect.ValueOf(into).Elem(), p.key)
}

// signals are those that end a process. A run sends others: whether they took, only the service knows.
var signals = []string{"KILL", "TERM", "INT", "QUIT", "ABRT", "SEGV"}

// scalar returns a scalar that is not empty and of one of the types.
func (d *decoder) scalar(p pair, want string, tags ...string) (string, bool) {
	if p.value.Kind == yaml.ScalarNode && strings.TrimSpace(p.value.Value) != "" && slices.Contains(tags, p.value.ShortTag()) {
		return p.value.Value, true
	}
	d.problem(p.value, d.text(p.value), strconv.Quote(p.name)+" is not "+want, "write "+want+", "+p.as())
	return "", false
}

func (d *decoder) duration(p pair, least time.Duration) time.Duration {
	const want = "a duration"
	text, ok := d.scalar(p, want, "!!str")
	parsed, err := model.ParseDuration(text)
	if ok && (err != nil || time.Duration(parsed) < least) {
		right := "write a whole number with a unit, "
		if least > 0 {
			right += "above 0, "
		}
		d.problem(p.value, text, strconv.Quote(p.name)+" is not "+want, right+p.as())
		return 0
	}
	return time.Duration(parsed)
}

func (d *decoder) count(p pair) int64 {
	const want = "a whole number"
	text, ok := d.scalar(p, want, "!!int")
	n, err := strconv.ParseInt(text, 10, 64)
	if ok && (err != nil || n < 0) {
		d.problem(p.value, text, strconv.Quote(p.name)+" is not "+want, "write 0 or more, in decimal digits, "+p.as())
		return 0
	}
	return n
}

var sizes = regexp.MustCompile(`^[0-9]{1,15}(\.[0-9]{1,3})?([kKmMgGtT]?[bB]?|[kKmMgGtT]i[bB])$`)

func (d *decoder) bytes(p pair, into *int64) {
	const want = "a size"
	text, ok := d.scalar(p, want, "!!int", "!!str")
	if !ok {
		return
	}
	n, err := units.RAMInBytes(text)
	switch {
	case !sizes.MatchString(text), err != nil:
		d.problem(p.value, text, strconv.Quote(p.name)+" is not "+want, "write a number of bytes, or one with a unit of k, M, G or T, "+p.as())
	case n < 0 || n > 1<<50:
		d.problem(p.value, text, strconv.Quote(p.name)+" is too large", "write a smaller size, "+p.as())
	default:
		*into = n
		d.nodes[into] = p.value
	}
}

func (d *decoder) number(p pair) float64 {
	const want = "a number from 0.01 to 1024" // Docker refuses less than a hundredth of a processor
	text, ok := d.scalar(p, want, "!!int", "!!float")
	if !ok {
		return 0
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0.01 && n <= 1024) {
		d.problem(p.value, text, strconv.Quote(p.name)+" is not "+want, "write the number of processors, "+p.as())
		return 0
	}
	return n
}
