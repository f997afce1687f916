package rule

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/rulefmt"
	static "github.com/stemedb/firedrill/tools/promql"
	"go.yaml.in/yaml/v3"
)

// Set is all that a folder of rules holds.
type Set struct {
	Alerts     []Alert
	Recordings []Recording
	Groups     []Group
	Files      []File // those with at least one rule
	Skipped    []Skipped
	Foreign    []Foreign // the first of each file

	loads []load // see Loads
}

// Group is a rule group as Prometheus reads it.
type Group struct {
	File string
	rulefmt.RuleGroup
}

// Features returns the features that Prometheus has to be started with to load the rules, as --enable-feature names them.
func (set Set) Features() []string {
	needed := map[string]bool{}
	note := func(expr string) {
		for _, feature := range static.Needed(expr) {
			needed[feature] = true
		}
	}
	for _, alert := range set.Alerts {
		note(alert.Expr)
	}
	for _, r := range set.Recordings {
		note(r.Expr)
	}
	return slices.Sorted(maps.Keys(needed))
}

// File is what Prometheus loads of a file: the file as it is or, of one with manifests, the groups of one PrometheusRule.
type File struct {
	Path    string // of the file as read; the same for all manifests of that file
	Name    string // relative to the folder, with slashes, ending in .yml, unlike that of any other File; only ReadDir sets it
	Content []byte
}

// Skipped is a file that was passed over, since it is plainly something else than rules.
type Skipped struct {
	File string
	Line int    // that shows it; 0 for the file as a whole
	Why  string // as in "a manifest of kind Deployment"
}

func (s Skipped) String() string {
	if s.Line == 0 {
		return s.File + ", " + s.Why
	}
	return fmt.Sprintf("%s:%d, %s", s.File, s.Line, s.Why)
}

// LoadDir reads the alerts of a folder, as ReadDir does.
func LoadDir(dir string) ([]Alert, error) {
	set, err := ReadDir(dir)
	return set.Alerts, err
}

// ReadDir reads the rule files and the PrometheusRule manifests in dir and in the folders below it: those of
// which IsFile says so. The order is that of the files' paths, and within a file its own.
func ReadDir(dir string) (Set, error) {
	_, files, err := Walk(dir)
	if err != nil {
		return Set{}, err
	}
	return ReadFiles(dir, files)
}

// ReadFiles reads rule files and PrometheusRule manifests. It is as strict as Load, but passes over a file
// that is plainly something else, and says so in the set. Names of files are relative to dir, and below it.
func ReadFiles(dir string, files []string) (Set, error) {
	return ReadSources(dir, Source{Files: files})
}

// ReadSources reads the rule files of several sources as ReadFiles does. Of those that a Prometheus configuration names, none
// is passed over: Prometheus would not start.
func ReadSources(dir string, sources ...Source) (Set, error) {
	return readSources(dir, dir, sources)
}

// readSources is ReadSources, with the name by which the sources are called in an error.
func readSources(dir, called string, sources []Source) (Set, error) {
	var (
		set       Set
		errs      []error
		templates []error // what is wrong with files that another program renders first
		files     []string
	)
	config := map[string]string{} // that names a file
	for _, source := range sources {
		files = append(files, source.Files...)
		for _, file := range source.Files {
			config[file] = cmp.Or(config[file], source.Config)
		}
	}
	slices.Sort(files)
	files = slices.Compact(files)
	for _, file := range files {
		content, err := read(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		src := &source{file: file, content: content, config: config[file]}
		roots, problems := src.roots()
		if src.config == "" {
			skipped := Skipped{File: file}
			if len(problems) == 0 {
				skipped.Why = foreign(roots)
				if node := loki(roots); node != nil {
					skipped.Line, skipped.Why = node.Line, "a rule file of Loki's, whose LogQL is not PromQL"
				}
			} else {
				skipped.Why = src.notRules()
			}
			if skipped.Why != "" {
				set.Skipped = append(set.Skipped, skipped)
				continue
			}
		}
		var found Set
		if len(problems) == 0 {
			found, problems = src.rules(roots)
		}
		if line := src.templated(); line > 0 && len(problems) > 0 && src.config == "" {
			set.Skipped = append(set.Skipped, Skipped{File: file, Line: line, Why: "a template that is not rendered: render it first, as with helm template"})
			templates = append(templates, inOrder(problems)...)
			continue
		}
		set.add(found)
		errs = append(errs, inOrder(problems)...)
	}
	switch {
	case len(files) > len(set.Skipped):
	case len(templates) > 0:
		errs = append(errs, templates...)
	default:
		p := problem{file: called, wrong: "holds no rule file", right: "put at least one *.yml or *.yaml there that is not a *_test.yml"}
		if len(files) > 0 {
			p.text = set.Skipped[0].File + " is " + set.Skipped[0].Why
		}
		errs = append(errs, p)
	}
	if err := errors.Join(errs...); err != nil {
		return Set{}, err
	}
	set.nameFiles(dir)
	set.split(sources)
	return set, nil
}

func (set *Set) add(other Set) {
	set.Alerts = append(set.Alerts, other.Alerts...)
	set.Recordings = append(set.Recordings, other.Recordings...)
	set.Groups = append(set.Groups, other.Groups...)
	set.Files = append(set.Files, other.Files...)
	set.Foreign = append(set.Foreign, other.Foreign...)
}

// oddName is what a name in rule_files cannot hold, since that is a pattern, or is better without.
var oddName = regexp.MustCompile(`[^A-Za-z0-9._/-]`)

// nameFiles gives each file a name, which is the file's own where it can be.
func (set *Set) nameFiles(dir string) {
	taken := map[string]bool{}
	var others []*File
	for i := range set.Files {
		f := &set.Files[i]
		own, err := filepath.Rel(dir, f.Path)
		if err != nil { // one of them is absolute
			own = f.Path
		}
		f.Name = oddName.ReplaceAllString(strings.ReplaceAll(filepath.ToSlash(own), "../", "_/"), "_")
		f.Name = strings.TrimPrefix(f.Name, "/")
		if f.Name != own || path.Ext(own) != ".yml" || taken[own] {
			others = append(others, f)
		} else {
			taken[own] = true
		}
	}
	for _, f := range others {
		stem := strings.TrimSuffix(f.Name, ".yml")
		f.Name = stem + ".yml"
		for n := 2; taken[f.Name]; n++ {
			f.Name = fmt.Sprintf("%s-%d.yml", stem, n)
		}
		taken[f.Name] = true
	}
}

// IsFile reports whether a file may hold rules, going by its name relative to the folder of rules: *.yml, *.yaml,
// *.rules and *.alerts do, except promtool tests and what is hidden behind a dot.
func IsFile(name string) bool { return isYAML(name) && !isTest(name) }

// IsTest reports whether a file is a promtool test, going by its name relative to the folder of rules: *_test.yml,
// *_test.yaml, *_test.rules and *_test.alerts are.
func IsTest(name string) bool { return isYAML(name) && isTest(name) }

func isTest(name string) bool {
	return strings.HasSuffix(strings.TrimSuffix(name, path.Ext(name)), "_test")
}

func isYAML(name string) bool {
	name = filepath.ToSlash(name)
	return slices.Contains([]string{".yml", ".yaml", ".rules", ".alerts"}, path.Ext(name)) && !strings.HasPrefix(name, ".") && !strings.Contains(name, "/.")
}

// Walk lists the folders and, as IsFile has it, the rule files in dir: dir itself first, each as a path with dir in
// front, in the order of the paths. It does not enter hidden folders.
func Walk(dir string) (folders, files []string, err error) {
	unreadable := func(name string, err error) error {
		return problem{file: name, wrong: "cannot be read as a folder of rules: " + reason(err), right: "name a folder with rule files"}
	}
	if _, err := os.ReadDir(dir); err != nil {
		return nil, nil, unreadable(dir, err)
	}
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return unreadable(filepath.Join(dir, name), err)
		case !entry.IsDir():
			if IsFile(name) {
				files = append(files, filepath.Join(dir, name))
			}
		case name != "." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		default:
			folders = append(folders, filepath.Join(dir, name))
		}
		return nil
	})
	return folders, files, err
}

// ruleKeys are the keys of which every rule file and every manifest with rules has one.
var ruleKeys = []string{"groups", "alert", "record", "expr"}

// ruleKey is one of ruleKeys in a text that is not YAML.
var ruleKey = regexp.MustCompile(`(?m)(?:^|[\s{,-])["']?(?:` + strings.Join(ruleKeys, "|") + `)["']?\s*:`)

// notRules says what a file is that is not even YAML, if it is plain that it is no rule file gone wrong.
func (s *source) notRules() string {
	if len(bytes.TrimSpace(s.content)) == 0 {
		return "empty, and Prometheus loads nothing of it"
	}
	if ruleKey.Match(s.content) {
		return ""
	}
	return "not YAML, and none of its keys is a rule's"
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
	case len(roots) > 1 && slices.ContainsFunc(roots, mentionsRules):
		return ""
	case len(roots) > 1:
		return "something else: none of its keys is a rule's"
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
	case groups == nil && !mentionsRules(root):
		return "something else: none of its keys is a rule's"
	case groups != nil && (len(items(groups)) > 0 && !slices.ContainsFunc(items(groups), holdsRulesSomehow) || groups.Kind == yaml.MappingNode && !hasRules(groups)):
		return "something else: none of its groups holds a rule"
	}
	return ""
}

// holdsRulesSomehow reports whether a group has rules, or anything that may be meant to be.
func holdsRulesSomehow(group *yaml.Node) bool {
	lists := 0
	for key, node := range entries(group) {
		if key == "rules" || slices.ContainsFunc(ruleKeys, func(key string) bool { return value(group, key) != nil }) {
			return true
		}
		for _, item := range items(node) {
			lists++
			if slices.ContainsFunc(ruleKeys, func(key string) bool { return value(item, key) != nil }) {
				return true
			}
		}
	}
	return lists == 0
}

// mentionsRules reports whether a document has groups, or rules where groups may be meant: those of a misspelt field, of a list
// without a name, or of one group or rule alone.
func mentionsRules(root *yaml.Node) bool {
	return value(root, "groups") != nil || hasRules(root) || slices.ContainsFunc(items(root), hasRules) ||
		slices.ContainsFunc(slices.Collect(maps.Values(entries(root))), func(node *yaml.Node) bool { return slices.ContainsFunc(items(node), hasRules) })
}

// hasRules reports whether a mapping is a group with rules, or a rule.
func hasRules(node *yaml.Node) bool {
	return isRule(node) || slices.ContainsFunc(items(value(node, "rules")), isRule)
}

func isRule(node *yaml.Node) bool {
	return value(node, "expr") != nil && (value(node, "alert") != nil || value(node, "record") != nil)
}
