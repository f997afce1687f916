package skeleton

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stemedb/firedrill/tools/rule"
)

// list is a YAML file that ends in a list to which an item is added.
type list struct {
	path string
	item []byte   // indented as in a new file
	head string   // of a new file, up to the list
	in   []string // the keys that lead to the list, each to the last element of the one before
}

// add plans the item's place at the end of the file. The content of the file stays as it is, to the byte; it is an error
// if the item cannot be added behind it.
func (l list) add() ([]change, error) {
	old, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return []change{{path: l.path, new: append([]byte(l.head), l.item...)}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the file to add to: %w", err)
	}
	if len(old) > rule.MaxFileSize {
		return nil, fmt.Errorf("%s: too large (%d bytes) to add to: name another file with --file", l.path, len(old))
	}
	refusal := fmt.Errorf("%s: does not end in a list of %s, one on a line, to which another can be added: name another file with --file",
		l.path, l.in[len(l.in)-1])
	indent, ok := l.indentation(old)
	if !ok {
		return nil, refusal
	}
	added := bytes.Clone(old)
	if !bytes.HasSuffix(added, []byte("\n")) {
		added = append(added, '\n')
	}
	added = append(added, '\n')
	own := len(l.item) - len(bytes.TrimLeft(l.item, " "))
	for line := range bytes.Lines(l.item) {
		added = append(append(added, indent...), line[min(own, len(line)-1):]...)
	}
	if !l.hasGrown(old, added) {
		return nil, refusal
	}
	return []change{{path: l.path, old: old, new: added}}, nil
}

// indentation returns what stands before the dash of the list's last item.
func (l list) indentation(content []byte) (string, bool) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil || len(document.Content) == 0 {
		return "", false
	}
	node := document.Content[0]
	for _, key := range l.in {
		var found *yaml.Node
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				found = node.Content[i+1]
			}
		}
		if found == nil || found.Kind != yaml.SequenceNode || len(found.Content) == 0 {
			return "", false
		}
		node = found.Content[len(found.Content)-1]
	}
	lines := bytes.Split(content, []byte("\n"))
	if node.Line < 1 || node.Line > len(lines) {
		return "", false
	}
	indent, _, isItem := strings.Cut(string(lines[node.Line-1]), "-")
	return indent, isItem && strings.Trim(indent, " ") == ""
}

// hasGrown reports whether the list has one more item, and nothing else is different.
func (l list) hasGrown(old, added []byte) bool {
	var before, after map[string]any
	if yaml.Unmarshal(old, &before) != nil || yaml.Unmarshal(added, &after) != nil {
		return false
	}
	holder := after
	for i, key := range l.in {
		items, _ := holder[key].([]any)
		if len(items) == 0 {
			return false
		}
		if i == len(l.in)-1 {
			holder[key] = items[:len(items)-1]
			break
		}
		if holder, _ = items[len(items)-1].(map[string]any); holder == nil {
			return false
		}
	}
	return reflect.DeepEqual(before, after)
}
