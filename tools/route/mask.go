package route

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// secretKey matches the keys whose values a reader of a report must not see.
var secretKey = regexp.MustCompile(`(?i)(url|token|secret|pass|password|key|credential|auth|user|header|webhook|_id)$|^http_config$`)

// Masked returns the lines of the configuration, with a dot for each character of what may be secret.
func (t *Tree) Masked() []string {
	lines := strings.Split(t.content, "\n")
	mask := func(line, from int) {
		if line < 1 || line > len(lines) {
			return
		}
		text := []rune(lines[line-1])
		for i := min(max(from-1, 0), len(text)); i < len(text); i++ {
			text[i] = '•'
		}
		lines[line-1] = string(text)
	}
	var walk func(node *yaml.Node, secret bool)
	walk = func(node *yaml.Node, secret bool) {
		switch node.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(node.Content); i += 2 {
				walk(node.Content[i+1], secret || secretKey.MatchString(node.Content[i].Value))
			}
		case yaml.SequenceNode:
			for _, item := range node.Content {
				walk(item, secret)
			}
		case yaml.ScalarNode:
			if !secret || node.Value == "" || node.Line < 1 || node.Line > len(lines) {
				return
			}
			line := []rune(lines[node.Line-1])
			before, rest := string(line[:min(len(line), node.Column-1)]), string(line[min(len(line), node.Column-1):])
			if node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && strings.Contains(rest, node.Value) {
				lines[node.Line-1] = before + strings.Replace(rest, node.Value, strings.Repeat("•", len([]rune(node.Value))), 1)
				return
			}
			// A value of several lines, or one with escapes.
			mask(node.Line, node.Column)
			indent := len(lines[node.Line-1]) - len(strings.TrimLeft(lines[node.Line-1], " -"))
			for n := node.Line + 1; n <= len(lines); n++ {
				if text := lines[n-1]; strings.TrimSpace(text) != "" && len(text)-len(strings.TrimLeft(text, " ")) <= indent {
					break
				}
				mask(n, 1)
			}
		}
	}
	if t.document != nil {
		walk(t.document, false)
	}
	return lines
}
