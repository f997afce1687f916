package change

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stemedb/firedrill/tools/rule"
)

// tree is where things are in the repository: paths relative to its root.
type tree struct {
	repo     repository
	project  string   // the folder
	rules    []string // patterns of rule files, and of folders of them
	runbooks string   // the folder

	file    string   // the firedrill.yml; empty where there is none
	configs []string // files that it names
	sources []string // files and folders that its compose files name
}

// use fills the tree, and returns what the rule files hold.
func (t *tree) use(in Inputs) (rule.Set, error) {
	if p := in.Project; p != nil {
		var err error
		if t.file, err = t.repo.relative(p.File); err != nil {
			return rule.Set{}, err
		}
		t.configs = t.inRepository(append(slices.Clone(p.Compose), p.Prometheus, p.Alertmanager))
		t.sources = t.inRepository(p.Sources)
	}
	if in.Rules != "" || in.Project == nil {
		if err := t.addRules(filepath.SplitList(in.Rules)); err != nil {
			return rule.Set{}, err
		}
		return rule.Read(in.Rules)
	}
	return in.Project.Set, t.addRules(in.Project.Rules)
}

// addRules adds the patterns for which paths of rules stand. A Prometheus configuration is one of the configs.
func (t *tree) addRules(paths []string) error {
	for _, name := range paths {
		if _, err := os.Stat(name); err == nil {
			file, err := t.repo.relative(name)
			if err != nil {
				return err
			}
			patterns, isConfig, err := rule.Patterns(name)
			if err != nil {
				return err
			}
			if !isConfig {
				t.rules = append(t.rules, only(file))
				continue
			}
			t.configs = append(t.configs, file)
			for _, pattern := range patterns {
				t.rules = append(t.rules, t.pattern(pattern))
			}
			continue
		}
		t.rules = append(t.rules, t.pattern(name))
	}
	return nil
}

// pattern is a pattern of files as git names them.
func (t *tree) pattern(pattern string) string {
	if filepath.IsAbs(pattern) {
		pattern, _ = filepath.Rel(t.repo.root, pattern) // both are absolute
		return filepath.ToSlash(pattern)
	}
	return path.Join(t.project, filepath.ToSlash(pattern))
}

// only is the pattern that matches one path.
func only(name string) string { return regexp.MustCompile(`[*?[\\]`).ReplaceAllString(name, `\$0`) }

// inRepository returns the paths of files and folders as git stores them, without those that are outside of its tree.
func (t tree) inRepository(files []string) (inside []string) {
	for _, file := range files {
		if file == "" {
			continue
		}
		if name, err := t.repo.relative(file); err == nil {
			inside = append(inside, name)
		}
	}
	return inside
}

// kind is what a file is to us.
type kind int

const (
	harness kind = iota // and all that we know nothing of
	projectFile
	ruleFile
	testFile
	runbookFile
	documentation // and what belongs to other projects in the repository
)

func (t tree) kind(file string) kind {
	ext := path.Ext(file)
	isSource := slices.ContainsFunc(t.sources, func(source string) bool { return file == source || under(file, source) })
	switch {
	case file == t.file:
		return projectFile
	case slices.Contains(t.configs, file):
		return harness
	case rule.IsTest(path.Base(file)) && isNamed(t.rules, strings.TrimSuffix(file, "_test"+ext)+ext, rule.IsFile):
		return testFile
	case isNamed(t.rules, file, rule.IsFile):
		return ruleFile
	case ext == ".md" && isNamed([]string{only(t.runbooks)}, file, isShown):
		return runbookFile // or a README, which is the runbook of no alert
	case ext == ".md" && t.file != "":
		return documentation
	case isSource:
		return harness
	}

	inProject := file
	if t.project != "." {
		var isInside bool
		inProject, isInside = strings.CutPrefix(file, t.project+"/")
		isOurs := isInside || isNamed(t.rules, file, anyName) || under(file, t.runbooks) || under(file, ".github")
		if !isOurs {
			return documentation
		}
	}
	top, _, _ := strings.Cut(inProject, "/")
	isCode := slices.Contains([]string{"tools", "e2e", "fixtures"}, top) // where Markdown may be a test's input
	if top == "docs" || ext == ".md" && !isCode || inProject == "LICENSE" {
		return documentation
	}
	return harness
}

func anyName(string) bool { return true }

// isShown reports whether a file is not hidden, nor in a hidden folder.
func isShown(name string) bool { return !strings.Contains("/"+name, "/.") }

// isNamed reports whether one of the patterns matches a file, or a folder above it, and the name of the file from that
// folder on is right.
func isNamed(patterns []string, file string, isRight func(name string) bool) bool {
	for _, pattern := range patterns {
		name := path.Base(file)
		for at := file; ; at = path.Dir(at) {
			if at != file {
				name = strings.TrimPrefix(file, at+"/")
			}
			if ok, _ := path.Match(pattern, at); ok && isRight(name) {
				return true
			}
			if at == "." {
				break
			}
		}
	}
	return false
}

func under(file, folder string) bool {
	return folder == "." || strings.HasPrefix(file, folder+"/")
}

// touched says what changed files touch, with the rule files as they are now by their paths, and the folder of the runbooks.
func (t tree) touched(ctx context.Context, changed []file, now map[string][]rule.File, runbooks string) (*Set, error) {
	s := &Set{repo: t.repo, files: map[string]bool{}, alerts: map[string][]string{}}
	olds := map[string]string{} // git's names of old rule files
	var testFiles, books []file
	var drills []string // alerts whose drills have changed
	for _, f := range changed {
		s.files[f.path] = true
		switch t.kind(f.path) {
		case harness:
			s.harness = append(s.harness, f.path)
		case projectFile:
			var rest bool
			var err error
			if drills, rest, err = t.changedDrills(ctx, f); err != nil {
				return nil, err
			}
			if rest {
				s.harness = append(s.harness, f.path)
			}
		case ruleFile:
			olds[f.path] = f.old
		case testFile:
			testFiles = append(testFiles, f)
		case runbookFile:
			books = append(books, f)
		}
	}
	before, after, others, err := t.loadRules(ctx, now, olds)
	if err != nil {
		return nil, err
	}
	s.harness = append(s.harness, others...)
	slices.Sort(s.harness)
	s.harness = slices.Compact(s.harness)
	behind := map[string]rules{} // what an alert stood on before the change, or stands on now
	for _, alert := range append(before.alerts(), after.alerts()...) {
		if _, isKnown := s.alerts[alert]; isKnown {
			continue
		}
		was, is := before.behind(alert), after.behind(alert)
		behind[alert] = append(was, is...)
		s.alerts[alert] = nil
		if why := compare(alert, was, is); why != "" {
			s.alerts[alert] = []string{why}
		}
	}
	followed, unused, err := t.changedRunbooks(ctx, books, slices.Concat(before, after), runbooks)
	if err != nil {
		return nil, err
	}
	for alert := range s.alerts {
		if followed[alert] {
			s.alerts[alert] = append(s.alerts[alert], "its runbook has changed")
		}
		if slices.Contains(drills, alert) {
			s.alerts[alert] = append(s.alerts[alert], "its drill has changed")
		}
	}
	s.others = unused
	for _, f := range testFiles {
		groups, err := t.changedTests(ctx, f)
		if err != nil {
			return nil, err
		}
		for alert, why := range s.alerts {
			if slices.ContainsFunc(groups, func(g test) bool { return g.names(alert, behind[alert]) }) {
				s.alerts[alert] = append(why, fmt.Sprintf("its tests in %q have changed", path.Base(f.path)))
			}
		}
	}
	return s, nil
}

// compare says how what an alert stands on has changed, or "" when it has not.
func compare(alert string, was, is rules) string {
	own := func(rs rules) []string {
		return slices.DeleteFunc(slices.Clone(rs), func(r parsed) bool { return r.alert != alert }).texts()
	}
	switch {
	case len(was) == 0:
		return "it is new"
	case len(is) == 0:
		return "it is gone"
	case !slices.Equal(own(was), own(is)):
		return "its rule has changed"
	case !slices.Equal(was.texts(), is.texts()):
		return "a rule that it uses has changed"
	case isReordered(was, is):
		return "the order of the rules in its group has changed"
	}
	return ""
}

// loadRules reads the rules as they are and as they were, and returns the changed files that never had any. An old version
// that cannot be read had no rules.
func (t tree) loadRules(ctx context.Context, now map[string][]rule.File, olds map[string]string) (before, after rules, others []string, err error) {
	for name, files := range now {
		for _, f := range files {
			found, err := parseRules(f.Content)
			if err != nil {
				return nil, nil, nil, t.place(name, err)
			}
			after = append(after, found...)
			if _, hasChanged := olds[name]; !hasChanged {
				before = append(before, found...)
			}
		}
	}
	for name, old := range olds {
		var was rule.Set
		if old != "" {
			content, err := t.repo.read(ctx, old)
			if err != nil {
				return nil, nil, nil, err
			}
			was, _ = rule.Parse(name, content)
		}
		for _, f := range was.Files {
			if found, err := parseRules(f.Content); err == nil {
				before = append(before, found...)
			}
		}
		if len(was.Files)+len(now[name]) == 0 {
			others = append(others, name)
		}
	}
	return before, after, others, nil
}

// changedTests returns the groups that only one version of a test file has.
func (t tree) changedTests(ctx context.Context, f file) (tests, error) {
	var before, after tests
	content, err := t.now(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if after, err = parseTests(content); err != nil {
		return nil, t.place(f.path, err)
	}
	if f.old != "" {
		content, err := t.repo.read(ctx, f.old)
		if err != nil {
			return nil, err
		}
		before, _ = parseTests(content) // one that cannot be read had no tests
	}
	return append(before.without(after), after.without(before)...), nil
}

// now returns the content of a file in the working tree.
func (t tree) now(file string) ([]byte, error) {
	path := filepath.Join(t.repo.root, filepath.FromSlash(file))
	info, err := os.Stat(path) // before opening: to open a named pipe is to wait for its writer
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: is not a regular file: name one, or remove it", file)
	case info.Size() > maxFileSize:
		return nil, fmt.Errorf("%s: is too large (%d bytes): keep it within %d", file, info.Size(), maxFileSize)
	}
	return os.ReadFile(path)
}

var yamlLine = regexp.MustCompile(`(?s)line (\d+): (.*)$`)

// place says where in a file something is wrong.
func (t tree) place(file string, err error) error {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s:%s: %s", file, m[1], m[2])
	}
	return fmt.Errorf("%s: %w", file, err)
}
