// Package change knows which alerts a git change touches: by their rules after parsing, the recording rules that these
// use, their runbooks, their tests and their drills in a firedrill.yml. Whatever is none of that and no documentation is
// part of the harness, and touches every alert.
package change

import (
	"context"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stemedb/firedrill/tools/project"
	"github.com/stemedb/firedrill/tools/rule"
)

// Inputs is where alerts come from.
type Inputs struct {
	Rules    string           // where the rules are, as rule.Read has it; empty for the rules of Project
	Runbooks string           // folder of the runbooks; empty for none, and it need not exist
	Project  *project.Project // the firedrill.yml of the working directory; nil where there is none
}

// Set is what a change touches.
type Set struct {
	repo    repository
	files   map[string]bool     // all that changed, relative to the root of the working tree
	harness []string            // those of them that touch every alert, sorted
	alerts  map[string][]string // why an alert is touched; an alert that is not has no reason
	others  []string            // changed files beside the runbooks that are of no alert, sorted: procedures among them
}

// Since compares the working tree, files that are not committed yet among them, with the commit at which its branch left
// rev. The project is what the working directory holds: of what lies outside of it in the repository, only the rules,
// the runbooks, the workflows and the files that a firedrill.yml and its compose files name count. It is an error when rev
// is no revision, when the working directory is in no git working tree, and when a rule file, a runbook or a test as it is
// now cannot be read; that error names the file.
func Since(ctx context.Context, rev string, in Inputs) (*Set, error) {
	repo, err := open(ctx)
	if err != nil {
		return nil, err
	}
	t := tree{repo: repo}
	if t.project, err = repo.relative("."); err != nil {
		return nil, err
	}
	if in.Runbooks != "" {
		if t.runbooks, err = repo.relative(in.Runbooks); err != nil {
			return nil, err
		}
	}
	set, err := t.use(in)
	if err != nil {
		return nil, err
	}
	commit, err := repo.base(ctx, rev)
	if err != nil {
		return nil, err
	}
	changed, err := repo.changed(ctx, commit)
	if err != nil {
		return nil, err
	}
	files := map[string][]rule.File{}
	for _, f := range set.Files {
		folder, err := repo.relative(filepath.Dir(f.Path)) // of a symbolic link, git has what it says
		if err != nil {
			return nil, err
		}
		name := path.Join(folder, filepath.Base(f.Path))
		files[name] = append(files[name], f)
	}
	return t.touched(ctx, changed, files, in.Runbooks)
}

// Alerts returns why each alert is touched that is, in a few words each, by its name. Alerts that are gone count.
func (s *Set) Alerts() map[string][]string {
	touched := maps.Clone(s.alerts)
	maps.DeleteFunc(touched, func(_ string, why []string) bool { return len(why) == 0 })
	return touched
}

// Touches reports whether the change touches an alert or, for one that no rule raises, and for "", a file.
func (s *Set) Touches(file, alert string) bool {
	if len(s.harness) > 0 {
		return true
	}
	if why, isKnown := s.alerts[alert]; isKnown {
		return len(why) > 0
	}
	path, err := s.repo.relative(file)
	return err == nil && s.files[path]
}

// The label filters of all specs and of none, as long as no spec has the label none.
const (
	Every = "!none"
	None  = "none"
)

// A label that means the same to Ginkgo, to a shell and to make.
var label = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// LabelFilter returns Ginkgo's filter for the specs to run, which carry the names of alerts for labels: Every, None, or
// the names of those that are touched.
// See https://onsi.github.io/ginkgo/#spec-labels.
func (s *Set) LabelFilter() string {
	names := slices.Sorted(maps.Keys(s.Alerts()))
	switch {
	case len(s.harness) > 0:
		return Every
	case len(names) == 0:
		return None
	}
	for _, name := range names {
		if !label.MatchString(name) || strings.EqualFold(name, None) {
			return Every // no filter can tell this one
		}
	}
	return strings.Join(names, " || ")
}

// String says what is touched, and why, in a line each.
func (s *Set) String() string {
	var b strings.Builder
	const most = 5
	for i, file := range s.harness {
		if i == most {
			fmt.Fprintf(&b, "every alert: %d more files\n", len(s.harness)-most)
			break
		}
		fmt.Fprintf(&b, "every alert: %q is part of the harness\n", file)
	}
	touched := s.Alerts()
	for _, name := range slices.Sorted(maps.Keys(touched)) {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(touched[name], "; "))
	}
	for _, file := range s.others {
		fmt.Fprintf(&b, "no alert: %q has changed; if it is a procedure, firedrill drill rehearses it\n", file)
	}
	if b.Len() == 0 {
		return "no alert is touched\n"
	}
	return b.String()
}
