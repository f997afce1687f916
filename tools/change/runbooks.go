package change

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/stemedb/firedrill/tools/project"
	"github.com/stemedb/firedrill/tools/runbook"
)

// changedRunbooks returns the alerts whose runbooks, as they were or as they are, are among the changed Markdown files in
// the folder of runbooks, and the files that are no alert's. Where there is a firedrill.yml, those are documentation.
func (t tree) changedRunbooks(ctx context.Context, changed []file, alerting rules, dir string) (alerts map[string]bool, others []string, err error) {
	if len(changed) == 0 {
		return nil, nil, nil
	}
	var grammar runbook.Grammar // which runbook is an alert's does not depend on it
	after, err := runbook.ReadFolder(dir, grammar)
	if _, missing := os.Stat(dir); err != nil && !errors.Is(missing, fs.ErrNotExist) {
		return nil, nil, err
	}
	before := runbook.Folder{Dir: dir}
	used := map[string]bool{} // the changed files, and whether they are an alert's
	for _, f := range changed {
		used[f.path] = false
		if f.old == "" {
			continue
		}
		content, err := t.repo.read(ctx, f.old)
		if err != nil {
			return nil, nil, err
		}
		name, err := filepath.Rel(t.runbooks, f.path)
		if err != nil {
			return nil, nil, err
		}
		doc, err := runbook.Parse(filepath.Join(dir, name), content, grammar)
		if err == nil && (name != path.Base(name) || !doc.IsIndex()) { // one that cannot be read was of no alert
			before.Runbooks = append(before.Runbooks, doc)
		}
	}
	for _, doc := range after.Runbooks {
		if _, isChanged := used[path.Join(t.runbooks, after.Rel(doc))]; !isChanged {
			before.Runbooks = append(before.Runbooks, doc)
		}
	}
	page := func(folder runbook.Folder, r parsed) string {
		doc, err := folder.For(r.alert, r.runbookURL)
		if err != nil {
			return ""
		}
		return path.Join(t.runbooks, folder.Rel(doc))
	}
	alerts = map[string]bool{}
	for _, r := range alerting {
		if r.alert == "" {
			continue
		}
		was, is := page(before, r), page(after, r)
		_, isChanged := used[is]
		alerts[r.alert] = alerts[r.alert] || isChanged || was != is
		for _, name := range []string{was, is} {
			if _, isChanged := used[name]; isChanged {
				used[name] = true
			}
		}
	}
	for name, isUsed := range used {
		if !isUsed && t.file == "" && path.Base(name) != "README.md" {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return alerts, others, nil
}

// changedDrills returns the alerts whose drills in the firedrill.yml have changed; with rest, anything else in it has too.
func (t tree) changedDrills(ctx context.Context, f file) (alerts []string, rest bool, err error) {
	if f.old == "" {
		return nil, true, nil
	}
	before, err := t.repo.read(ctx, f.old)
	if err != nil {
		return nil, false, err
	}
	after, err := t.now(f.path)
	if err != nil {
		return nil, false, err
	}
	alerts, rest = project.Changed(before, after)
	return alerts, rest, nil
}
