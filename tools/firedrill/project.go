package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stemedb/firedrill/tools/change"
	"github.com/stemedb/firedrill/tools/project"
)

// loadProject reads the firedrill.yml of a folder; nil where it has none.
func loadProject(folder string) (*project.Project, error) {
	file := filepath.Join(folder, project.FileName)
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return project.Load(file)
}

// use fills the inputs from a firedrill.yml, where no flag names them. Without one, they stay as they are.
func (in *inputs) use(p *project.Project) {
	in.project = p
	if p == nil {
		return
	}
	named := in.cmd.Flags().Changed
	in.Grammar = p.Grammar()
	if !named("rules") {
		in.Rules, in.Set = strings.Join(p.Rules, ", "), &p.Set
	}
	if !named("runbooks") {
		in.Runbooks = p.Runbooks
	}
	if !named("alertmanager") {
		in.Alertmanager = p.Alertmanager
	}
	if !named("prometheus") {
		in.Prometheus = p.Prometheus
	}
	if !named("programs") {
		in.Programs = ""
	}
	if !named("specs") {
		in.Specs, in.Drills = p.File, [][2]string{}
		for _, drill := range p.Drills {
			in.Drills = append(in.Drills, [2]string{drill.Alert, drill.Branch})
		}
		for _, s := range p.Scenarios {
			in.Drills = append(in.Drills, [2]string{cmp.Or(s.Runbook, s.Alert), s.Branch})
		}
	}
}

// load fills the inputs from the firedrill.yml of the working directory, if there is one. Once there was one, it is an error
// if it is gone.
func (in *inputs) load() error {
	read := loadProject
	if in.project != nil {
		read = func(folder string) (*project.Project, error) {
			return project.Load(filepath.Join(folder, project.FileName))
		}
	}
	p, err := read(".")
	if err != nil {
		return err
	}
	in.use(p)
	return nil
}

// since says what a git change touches.
func (in *inputs) since(ctx context.Context, rev string) (*change.Set, error) {
	from := change.Inputs{Rules: in.Rules, Runbooks: in.Runbooks, Project: in.project}
	if in.Set != nil {
		from.Rules = ""
	}
	return change.Since(ctx, rev, from)
}
