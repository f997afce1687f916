package service

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stemedb/firedrill/tools/nearest"
)

// source is the text of compose files, to tell where something stands. What another file brings by include or extends is
// not found in it.
type source []document

type document struct {
	file string
	root *yaml.Node // nil where it is no YAML
}

func readSource(files []string) source {
	var s source
	for _, file := range files {
		d := document{file: file}
		var node yaml.Node
		if content, err := os.ReadFile(file); err == nil && yaml.Unmarshal(content, &node) == nil && len(node.Content) > 0 {
			d.root = node.Content[0]
		}
		s = append(s, d)
	}
	return s
}

// place is where the value of these keys stands, or that of as many of them as there are, in the file that has most of them.
func (s source) place(keys ...string) string {
	d, node, _ := s.find(keys)
	return d.at(node)
}

// find returns the value of the first depth keys, in the file that has most of them; of several, in the last.
func (s source) find(keys []string) (of document, found *yaml.Node, depth int) {
	for _, d := range s {
		node, n := d.root, 0
		for n < len(keys) {
			next := value(node, keys[n])
			if next == nil {
				break
			}
			node, n = next, n+1
		}
		if n > 0 && n >= depth || of.file == "" {
			of, found, depth = d, node, n
		}
	}
	return of, found, depth
}

// value is that of a key of a mapping; nil where there is none.
func value(node *yaml.Node, key string) *yaml.Node {
	if node = behind(node); node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

// behind is what an alias stands for.
func behind(node *yaml.Node) *yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func (d document) at(node *yaml.Node) string {
	if node == nil || node == d.root {
		return d.file
	}
	return fmt.Sprintf("%s:%d:%d", d.file, node.Line, node.Column)
}

// scalar is the first key or value below a node that is the text, or begins with it as data:/data does with a volume; nil where there is none.
func scalar(node *yaml.Node, text string) *yaml.Node {
	if node == nil || node.Kind == yaml.ScalarNode && (node.Value == text || strings.HasPrefix(node.Value, text+":")) {
		return node
	}
	for _, below := range node.Content {
		if found := scalar(below, text); found != nil {
			return found
		}
	}
	return nil
}

var (
	// What compose says beside the fact, and where its parser was.
	noise  = regexp.MustCompile(`^(validating|failed to parse) [^ ]+: +|^error while |^decoding failed due to the following error\(s\): |yaml: construct errors: line \d+: |go-yaml load error in parser \([^)]*\) |: invalid compose project$|: stat [^ ]+: no such file or directory$| You may need to escape any \$ with another \$\.`)
	parsed = regexp.MustCompile(`^at L(\d+)\.C(\d+)(?:-L(\d+)\.C(\d+))?: |^line (\d+)(): `)
	// What an error is about: services.web.image, 'services[web].image', service "web", service web.
	about     = regexp.MustCompile(`\b(services|volumes|networks|secrets|configs)(?:\.|\[)([\w-]+)\]?((?:\.[\w-]+)*)|\b(service) "?([\w-]+)`)
	undefined = regexp.MustCompile(`undefined (?:build )?(service|network|volume|secret|config) "?([^" ]+)`)
	required  = regexp.MustCompile(`required variable (\w+) is missing a value`)
	notFound  = regexp.MustCompile(`^env file ([^ ]+) not found`)
	word      = regexp.MustCompile(`[^\s"',:;()]+`)
)

// explain is compose's error about these files as a line that says where the fault is, and what is right.
func (s source) explain(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if here, err := os.Getwd(); err == nil {
		text = strings.ReplaceAll(text, here+string(os.PathSeparator), "")
	}
	file := s[0].file
	for _, d := range s { // it names one that it cannot read
		if strings.Contains(text, d.file+":") {
			file = d.file
		}
	}
	text = strings.TrimSpace(noise.ReplaceAllString(text, ""))
	if at := parsed.FindStringSubmatch(text); at != nil {
		text = strings.TrimPrefix(text, at[0])
		switch {
		case at[3] != "":
			file += ":" + at[3] + ":" + at[4]
		case at[1] != "":
			file += ":" + at[1] + ":" + at[2]
		default:
			file += ":" + at[5]
		}
		return fmt.Errorf("%s: not valid YAML from here on: %s: fix it until docker compose config accepts it", file, text)
	}
	right := "fix it until docker compose config accepts it"
	if m := undefined.FindStringSubmatch(text); m != nil {
		right = nearest.Choice(m[2], s.keys(m[1]+"s"))
	} else if m := required.FindStringSubmatch(text); m != nil {
		right = fmt.Sprintf("set %s in the environment, or in .env beside the compose file", m[1])
	} else if notFound.MatchString(text) {
		right = "write it, or remove it from env_file"
	} else if strings.Contains(text, "neither an image") {
		right = "write image or build, and set the variables in them: one that is not set is empty"
	}
	if place := s.of(text); place != "" {
		file = place
	}
	return errors.New(file + ": " + text + ": " + right)
}

// keys are those of a mapping at the top of the files.
func (s source) keys(of string) []string {
	var names []string
	for _, d := range s {
		if mapping := behind(value(d.root, of)); mapping != nil && mapping.Kind == yaml.MappingNode {
			for i := 0; i < len(mapping.Content); i += 2 {
				names = append(names, mapping.Content[i].Value)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// of is the place of what a text is about: the last of its words that is a key or a value of the service that it names, or
// of the files where it names none; "" where there is none.
func (s source) of(text string) string {
	var keys []string
	if m := about.FindStringSubmatch(text); m != nil && m[4] != "" {
		keys = []string{"services", m[5]}
	} else if m != nil {
		keys = append([]string{m[1], m[2]}, strings.FieldsFunc(m[3], func(r rune) bool { return r == '.' })...)
	}
	within := s
	place := ""
	if d, node, depth := s.find(keys); depth > 0 {
		within, place = source{{d.file, node}}, d.at(node)
		if depth == len(keys) && depth > 2 {
			return place
		}
	}
	for _, text := range slices.Backward(word.FindAllString(text, -1)) {
		for _, d := range within {
			if found := scalar(d.root, text); found != nil && !slices.Contains(keys, text) {
				return fmt.Sprintf("%s:%d:%d", d.file, found.Line, found.Column)
			}
		}
	}
	return place
}
