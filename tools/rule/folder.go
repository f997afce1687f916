package rule

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Set is all that a folder of rules holds.
type Set struct {
	Alerts     []Alert
	Recordings []Recording
	Skipped    []Skipped
}

// Skipped is a file that was passed over, since it is plainly something else than rules.
type Skipped struct {
	File string
	Why  string // as in "a manifest of kind Deployment"
}

// LoadDir reads the alerts of a folder, as ReadDir does.
func LoadDir(dir string) ([]Alert, error) {
	set, err := ReadDir(dir)
	return set.Alerts, err
}

// ReadDir reads the rule files and the PrometheusRule manifests in dir and in the folders below it: *.yml, *.yaml and
// *.rules, except promtool tests (*_test.yml) and what is hidden behind a dot. It is as strict as Load, but passes over
// a file that is plainly something else, and says so in the set. The order is that of the files' paths, and within a
// file its own.
func ReadDir(dir string) (Set, error) {
	files, err := ruleFiles(dir)
	if err != nil {
		return Set{}, err
	}
	var (
		set  Set
		errs []error
	)
	for _, file := range files {
		content, err := read(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		src := &source{file: file, content: content}
		roots, problems := src.roots()
		if len(problems) > 0 {
			if why := src.notRules(); why != "" {
				set.Skipped = append(set.Skipped, Skipped{File: file, Why: why})
				continue
			}
			errs = append(errs, inOrder(problems)...)
			continue
		}
		if why := foreign(roots); why != "" {
			set.Skipped = append(set.Skipped, Skipped{File: file, Why: why})
			continue
		}
		found, problems := src.rules(roots)
		set.Alerts = append(set.Alerts, found.alerts...)
		set.Recordings = append(set.Recordings, found.recordings...)
		errs = append(errs, inOrder(problems)...)
	}
	if len(files) == len(set.Skipped) {
		p := problem{file: dir, wrong: "holds no rule file", right: "put at least one *.yml or *.yaml there that is not a *_test.yml"}
		if len(files) > 0 {
			p.text = set.Skipped[0].File + " is " + set.Skipped[0].Why
		}
		errs = append(errs, p)
	}
	if err := errors.Join(errs...); err != nil {
		return Set{}, err
	}
	return set, nil
}

// ruleFiles lists what may be a rule file in a folder.
func ruleFiles(dir string) (files []string, err error) {
	unreadable := func(name string, err error) error {
		return problem{file: name, wrong: "cannot be read as a folder of rules: " + reason(err), right: "name a folder with rule files"}
	}
	if _, err := os.ReadDir(dir); err != nil {
		return nil, unreadable(dir, err)
	}
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return unreadable(filepath.Join(dir, name), err)
		case name != "." && strings.HasPrefix(base, ".") && entry.IsDir():
			return fs.SkipDir
		case entry.IsDir() || strings.HasPrefix(base, "."):
		default:
			ext := path.Ext(base)
			if slices.Contains([]string{".yml", ".yaml", ".rules"}, ext) && !strings.HasSuffix(strings.TrimSuffix(base, ext), "_test") {
				files = append(files, filepath.Join(dir, name))
			}
		}
		return nil
	})
	return files, err
}

// ruleKeys are the keys of which every rule file and every manifest with rules has one.
var ruleKeys = []string{"groups", "alert", "record", "expr"}

// notRules says what a file is that is not even YAML, if it is plain that it is no rule file gone wrong.
func (s *source) notRules() string {
	if len(bytes.TrimSpace(s.content)) == 0 {
		return "" // it may have been one
	}
	for _, key := range ruleKeys {
		if bytes.Contains(s.content, []byte(key)) {
			return ""
		}
	}
	return "not YAML, and no word of it is a rule's"
}

// foreign says what the documents of a file are, if they are plainly no rules.
func foreign(roots []*yaml.Node) string {
	switch {
	case len(roots) == 0:
		return "empty: its YAML holds nothing"
	case slices.ContainsFunc(roots, isObject):
		if slices.ContainsFunc(roots, func(root *yaml.Node) bool { return holdsRules(root) || !isObject(root) }) {
			return ""
		}
		return "a manifest of kind " + kindOf(roots[0])
	case len(roots) > 1:
		return ""
	}
	root := roots[0]
	has := func(keys ...string) bool {
		return !slices.ContainsFunc(keys, func(key string) bool { return value(root, key) == nil })
	}
	switch groups := value(root, "groups"); {
	case has("tests") && groups == nil:
		return "a promtool test"
	case has("apiVersion"):
		return "a file of Grafana's, or of another program that has an apiVersion"
	case groups != nil && len(groups.Content) == 0 && len(root.Content) == 2:
		return "empty: it has no group"
	case groups == nil && !mentionsRules(root, map[*yaml.Node]bool{}):
		return "something else: none of its keys is a rule's"
	}
	return ""
}

// mentionsRules reports whether a key anywhere in a document is one of a rule's.
func mentionsRules(node *yaml.Node, seen map[*yaml.Node]bool) bool {
	node = resolve(node)
	if seen[node] {
		return false
	}
	seen[node] = true
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 && slices.Contains(ruleKeys, child.Value) || mentionsRules(child, seen) {
			return true
		}
	}
	return false
}
