package rule

import (
	"bytes"
	"regexp"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// value returns what a mapping holds under a key, through aliases and merges, or nil.
func value(mapping *yaml.Node, key string) *yaml.Node {
	return entries(mapping)[key]
}

// entries returns a mapping's values by key, with those that it merges in (<<) where it has none of its own.
func entries(mapping *yaml.Node) map[string]*yaml.Node {
	found := map[string]*yaml.Node{}
	collect(resolve(mapping), found, map[*yaml.Node]bool{})
	return found
}

// collect takes each mapping once: one can be written to merge itself, and others a thousand times.
func collect(mapping *yaml.Node, into map[string]*yaml.Node, seen map[*yaml.Node]bool) {
	if mapping == nil || mapping.Kind != yaml.MappingNode || seen[mapping] {
		return
	}
	seen[mapping] = true
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
		collect(from, into, seen)
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
