package rule

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Source is the rule files that a path names.
type Source struct {
	Files  []string
	Config string // the Prometheus configuration whose rule_files they are; empty where they are a folder's, or named
}

// Read reads the rules that a list of paths names, which is separated as that of $PATH is. Each is a folder, a rule file, a
// pattern for them, or a Prometheus configuration, whose rule_files are read. A configuration is what one Prometheus loads;
// the other paths are loaded together, but see Set.Loads.
func Read(paths string) (Set, error) {
	list := filepath.SplitList(paths)
	if len(list) < 2 && (paths == "" || isFolder(paths)) {
		return ReadDir(paths)
	}
	var sources []Source
	for _, path := range list {
		source, err := Find(path)
		if err != nil {
			return Set{}, err
		}
		if len(source.Files) == 0 {
			return Set{}, problem{file: path, wrong: "no rule file is there", right: "name a folder of rule files, a rule file, or a Prometheus configuration that has rule_files"}
		}
		sources = append(sources, source)
	}
	return readSources(".", paths, sources)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Find lists the rule files that one path of Read's names. There may be none in a folder, and none for a pattern.
func Find(path string) (Source, error) {
	if _, err := os.Stat(path); isFolder(path) || err != nil && !strings.ContainsAny(path, "*?[") {
		_, files, err := Walk(path)
		return Source{Files: files}, err
	}
	patterns, isConfig, err := Patterns(path)
	if err != nil {
		return Source{}, err
	}
	var source Source
	if isConfig {
		source.Config = path
	}
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return Source{}, problem{file: path, text: pattern, wrong: "is not a pattern of file names", right: "write a path with *, ? and [a-z] for what varies, as in rules/*.yml"}
		}
		if _, err := os.Lstat(pattern); err == nil {
			found = []string{pattern}
		}
		for _, name := range found {
			switch {
			case isConfig, name == pattern:
				source.Files = append(source.Files, name)
			case isFolder(name):
				_, inside, err := Walk(name)
				if err != nil {
					return Source{}, err
				}
				source.Files = append(source.Files, inside...)
			case IsFile(filepath.Base(name)):
				source.Files = append(source.Files, name)
			}
		}
	}
	if isConfig && len(source.Files) == 0 {
		return Source{}, problem{file: path, wrong: "none of its rule_files is on this machine", text: strings.Join(patterns, ", "), right: "name the folder of the rule files itself"}
	}
	return source, nil
}

// Patterns returns the patterns of rule files and of folders of them that a path of Read's stands for: those of the
// rule_files of a Prometheus configuration, or else the path.
func Patterns(path string) (patterns []string, isConfig bool, err error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return []string{path}, false, nil
	}
	content, err := read(path)
	if err != nil {
		return nil, false, err
	}
	var doc yaml.Node
	if yaml.Unmarshal(content, &doc) != nil || len(doc.Content) == 0 || value(doc.Content[0], "groups") != nil {
		return []string{path}, false, nil
	}
	root := doc.Content[0]
	files := value(root, "rule_files")
	switch {
	case value(root, "tests") != nil:
		return []string{path}, false, nil
	case files == nil && value(root, "scrape_configs") == nil && value(root, "global") == nil:
		return []string{path}, false, nil
	case len(items(files)) == 0:
		s := &source{file: path, content: content}
		return nil, false, s.problem(root.Line, "a Prometheus configuration without rule_files", "name the folder of the rule files itself")
	}
	for _, file := range items(files) {
		pattern := file.Value
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(path), pattern)
		}
		patterns = append(patterns, pattern)
	}
	return patterns, true, nil
}

// Loads returns the rules by what one Prometheus loads, which is what rules are compared within. A rule may be in several.
//
// A Prometheus configuration says what is loaded. Of other files, folders side by side are taken for the rules of several
// Prometheus (production, staging) if most of the rules of the one have the names of rules of the other; what lies beside
// and above them is loaded with each.
func (set Set) Loads() []Set {
	if len(set.loads) < 2 {
		return []Set{set}
	}
	var all []Set
	for _, files := range set.loads {
		outside := func(file string) bool { return !files[file] }
		all = append(all, Set{
			Alerts:     slices.DeleteFunc(slices.Clone(set.Alerts), func(a Alert) bool { return outside(a.File) }),
			Recordings: slices.DeleteFunc(slices.Clone(set.Recordings), func(r Recording) bool { return outside(r.File) }),
			Groups:     slices.DeleteFunc(slices.Clone(set.Groups), func(g Group) bool { return outside(g.File) }),
			Files:      slices.DeleteFunc(slices.Clone(set.Files), func(f File) bool { return outside(f.Path) }),
		})
	}
	return all
}

// load is the files that one Prometheus loads.
type load map[string]bool

// split finds what is loaded together.
func (set *Set) split(sources []Source) {
	names := map[string]map[string]bool{} // of the rules of a file
	note := func(file, name string) {
		if names[file] == nil {
			names[file] = map[string]bool{}
		}
		names[file][name] = true
	}
	for _, alert := range set.Alerts {
		note(alert.File, "alert "+alert.Name)
	}
	for _, r := range set.Recordings {
		note(r.File, "record "+r.Name)
	}
	var others [][]load
	for _, source := range sources {
		if source.Config != "" {
			one := load{}
			for _, file := range source.Files {
				one[file] = true
			}
			set.loads = append(set.loads, one)
			continue
		}
		top := &folder{names: map[string]bool{}, below: map[string]*folder{}}
		for _, file := range source.Files {
			if names[file] != nil {
				top.add(file, strings.Split(filepath.ToSlash(filepath.Dir(filepath.Clean(file))), "/"), names[file])
			}
		}
		others = append(others, top.loads())
	}
	if len(others) > 0 {
		set.loads = append(set.loads, together(others)...)
	}
}

// folder is a folder that holds rules.
type folder struct {
	files []string
	names map[string]bool // of the rules in it and below
	below map[string]*folder
}

func (f *folder) add(file string, way []string, names map[string]bool) {
	for name := range names {
		f.names[name] = true
	}
	if len(way) == 0 {
		f.files = append(f.files, file)
		return
	}
	next := f.below[way[0]]
	if next == nil {
		next = &folder{names: map[string]bool{}, below: map[string]*folder{}}
		f.below[way[0]] = next
	}
	next.add(file, way[1:], names)
}

// copies reports whether most of the rules of one of two folders have the names of rules of the other.
func (f *folder) copies(other *folder) bool {
	if len(other.names) < len(f.names) {
		f, other = other, f
	}
	common := 0
	for name := range f.names {
		if other.names[name] {
			common++
		}
	}
	return 2*common > len(f.names)
}

// loads divides the files of a folder so that no two folders that are copies of each other are loaded together.
func (f *folder) loads() []load {
	own := load{}
	for _, file := range f.files {
		own[file] = true
	}
	var below []*folder
	for _, name := range slices.Sorted(maps.Keys(f.below)) {
		below = append(below, f.below[name])
	}
	with := [][]load{{own}} // loaded with each
	var apart [][]*folder   // of which one is loaded
	for i, one := range below {
		if !slices.ContainsFunc(below, func(other *folder) bool { return other != one && one.copies(other) }) {
			with = append(with, one.loads())
			continue
		}
		fits := slices.IndexFunc(apart, func(beside []*folder) bool { return !slices.ContainsFunc(beside, below[i].copies) })
		if fits < 0 {
			apart, fits = append(apart, nil), len(apart)
		}
		apart[fits] = append(apart[fits], one)
	}
	var alternatives []load
	for _, beside := range apart {
		var all [][]load
		for _, one := range beside {
			all = append(all, one.loads())
		}
		alternatives = append(alternatives, together(all)...)
	}
	if len(alternatives) > 0 {
		with = append(with, alternatives)
	}
	return together(with)
}

// together joins what is loaded side by side. Where several have more than one load, the first goes with the first.
func together(all [][]load) []load {
	var joined []load
	for _, loads := range all {
		for len(joined) < len(loads) {
			joined = append(joined, load{})
		}
	}
	for _, loads := range all {
		for i, into := range joined {
			for file := range loads[i%len(loads)] {
				into[file] = true
			}
		}
	}
	return joined
}
