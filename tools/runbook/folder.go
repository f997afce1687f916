package runbook

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// Folder holds the runbooks in a folder and its subfolders.
type Folder struct {
	Dir string
	// Runbooks are all its Markdown files but README.md and FINDINGS.md of the folder itself, in the order of their paths.
	Runbooks []*Runbook
}

// ReadFolder reads the runbooks in a folder and its subfolders, the hidden ones left out. The error joins all that cannot
// be read.
func ReadFolder(dir string, g Grammar) (Folder, error) {
	f := Folder{Dir: dir}
	var errs []error
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != dir && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".md" || entry.Name() == "FINDINGS.md" || filepath.Dir(path) == filepath.Clean(dir) && isIndex(path):
			return nil
		}
		r, err := load(path, g)
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		f.Runbooks = append(f.Runbooks, r)
		return nil
	})
	if err != nil {
		err = fmt.Errorf("reading the folder of runbooks: %w", err)
	}
	return f, errors.Join(append(errs, err)...)
}

// isIndex tells whether a file is the page of its folder.
func isIndex(path string) bool {
	return slices.Contains([]string{"README.md", "index.md", "_index.md"}, filepath.Base(path))
}

// IsIndex tells whether a runbook is the page of its folder, and has the folder's name.
func (r *Runbook) IsIndex() bool { return isIndex(r.Path) }

// Rel returns the path of a runbook from the folder, with slashes.
func (f Folder) Rel(r *Runbook) string {
	rel, err := filepath.Rel(f.Dir, r.Path)
	if err != nil { // it was made of the folder's path
		return r.Path
	}
	return filepath.ToSlash(rel)
}

// Named returns the runbook of that name, such as an alert or a procedure. The error lists several.
func (f Folder) Named(name string) (*Runbook, error) {
	found := f.named(name)
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("%s has no runbook: write %s", name, filepath.Join(f.Dir, name+".md"))
	}
	return nil, fmt.Errorf("%s has several runbooks, %s and %s: leave one of that name, or have its runbook_url lead to one", name, found[0].Path, found[1].Path)
}

func (f Folder) named(name string) []*Runbook {
	var files, indices []*Runbook
	for _, r := range f.Runbooks {
		switch {
		case r.Name() != name:
		case r.IsIndex():
			indices = append(indices, r)
		default:
			files = append(files, r)
		}
	}
	if len(files) > 0 {
		return files
	}
	return indices
}

// For returns the runbook of an alert: the file of its name, or else the one that its runbook_url, with its templates
// rendered, leads to; of that, the section that the fragment leads to. The error says what is not there.
func (f Folder) For(alert, runbookURL string) (*Runbook, error) {
	named, err := f.Named(alert)
	if err == nil {
		return named, nil
	}
	linked, fragment := f.Linked(runbookURL)
	several := f.named(alert)
	switch {
	case linked == nil && len(several) == 0:
		for _, r := range f.Runbooks {
			if strings.EqualFold(r.Name(), alert) {
				return nil, fmt.Errorf("%s has no runbook (%s differs in upper and lower case): write %s", alert, f.Rel(r), filepath.Join(f.Dir, alert+".md"))
			}
		}
		return nil, err
	case linked == nil || len(several) > 0 && !slices.Contains(several, linked):
		return nil, err
	case fragment == "" || len(several) > 0:
		return linked, nil
	}
	part, ok := linked.section(fragment)
	if !ok {
		fragments, _ := linked.Anchors()
		return nil, fmt.Errorf("the runbook_url of %s leads to no heading of %s (%q): its headings are #%s",
			alert, f.Rel(linked), "#"+fragment, strings.Join(fragments, ", #"))
	}
	return part, nil
}

// Linked returns the runbook that an address leads to, and the fragment: the one of which most of the last elements of the
// path are the address's, letter case and .md aside. It is nil where none is, or several are alike.
func (f Folder) Linked(address string) (r *Runbook, fragment string) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil {
		return nil, ""
	}
	want := elements(u.Path)
	most := 0
	for _, candidate := range f.Runbooks {
		have := elements(f.Rel(candidate))
		n := 0
		for n < len(have) && n < len(want) && have[len(have)-1-n] == want[len(want)-1-n] {
			n++
		}
		score := 2 * n
		if n > 0 && n == len(have) { // all of its path
			score++
		}
		switch {
		case score > most:
			r, most = candidate, score
		case score == most:
			r = nil
		}
	}
	return r, u.Fragment
}

// elements returns the folders and the name in a path, for comparison; of the page of a folder, that is the folder.
func elements(path string) []string {
	path = strings.ToLower(strings.Trim(path, "/"))
	for _, page := range []string{"readme.md", "_index.md", "index.md", "index.html"} {
		path = strings.TrimSuffix(path, "/"+page)
	}
	path = strings.TrimSuffix(strings.TrimSuffix(path, ".md"), ".html")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}
