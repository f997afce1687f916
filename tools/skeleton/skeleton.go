// Package skeleton writes the rule, the promtool test, the runbook and the spec of a new alert, which all fail until they
// are filled in.
package skeleton

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/stemedb/firedrill/tools/check"
	"github.com/stemedb/firedrill/tools/rule"
)

//go:embed *.tmpl
var files embed.FS

var templates = template.Must(template.ParseFS(files, "*.tmpl"))

// Folders are where a project has its rules, its runbooks and its suites. Missing ones are made.
type Folders struct {
	Rules, Runbooks, Suites string
}

var (
	alertName = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*$`)
	fileName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
	wordStart = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])`)
)

// Alert writes the skeleton of an alert, all of it or nothing, and returns the paths of the files that it has written or
// added to. The rule goes into the file of that name in the folder of rules, behind the rules in it; for "", into a new
// file named after the alert. It is an error if the alert or a new file exists already, or if the name does not suit an
// alert.
func Alert(name, file string, in Folders) ([]string, error) {
	if !alertName.MatchString(name) {
		return nil, fmt.Errorf("%q is not a name for an alert: write it in words without spaces that begin in upper case, such as BackupTooOld", name)
	}
	others, err := alerts(in.Rules)
	if err != nil {
		return nil, err
	}
	s := skeleton{Alert: name, Snake: snake(name), Title: words(name, " "), RunbookURL: runbookURL(name, others), in: in}
	s.Labels = slices.DeleteFunc(check.UsualLabels(others), func(name string) bool { return name == "severity" })
	for _, other := range others {
		if strings.EqualFold(other.Name, name) {
			return nil, fmt.Errorf("%s:%d: an alert %s exists already: choose another name", other.File, other.Line, other.Name)
		}
	}
	mayExist := file != ""
	if file == "" {
		file = s.Snake + ".yml"
	}
	if s.stem, err = stem(file); err != nil {
		return nil, err
	}
	s.Rules = filepath.Join(in.Rules, file)
	s.DashboardURL = dashboardURL(s.Rules, others)
	s.Runbook = filepath.Join(in.Runbooks, name+".md")
	if _, err := os.Lstat(s.Rules); err == nil && !mayExist {
		return nil, fmt.Errorf("%s exists already: to add the alert to it, write --file %s", s.Rules, file)
	}

	var changes []change
	for _, plan := range []func() ([]change, error){s.rule, s.test, s.runbook, s.spec} {
		planned, err := plan()
		if err != nil {
			return nil, err
		}
		changes = append(changes, planned...)
	}
	if err := apply(changes); err != nil {
		return nil, err
	}
	var written []string
	for _, c := range changes {
		written = append(written, c.path)
	}
	return written, nil
}

// skeleton is the data of the templates.
type skeleton struct {
	Alert, Snake, Title string
	Labels              []string // beside severity, that nearly all alerts have
	RunbookURL          string
	DashboardURL        string // empty where no alert has one
	Rules, Runbook      string // paths
	Package             string // of the suite

	stem string // of the rule file's name
	in   Folders
}

func (s *skeleton) render(name string) ([]byte, error) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, s); err != nil {
		return nil, fmt.Errorf("filling the template %s: %w", name, err)
	}
	return b.Bytes(), nil
}

func (s *skeleton) rule() ([]change, error) {
	item, err := s.render("rule.yml.tmpl")
	if err != nil {
		return nil, err
	}
	return list{
		path: s.Rules, item: item, in: []string{"groups", "rules"},
		head: fmt.Sprintf("groups:\n  - name: %s\n    rules:\n", s.stem),
	}.add()
}

func (s *skeleton) test() ([]change, error) {
	item, err := s.render("test.yml.tmpl")
	if err != nil {
		return nil, err
	}
	return list{
		path: strings.TrimSuffix(s.Rules, filepath.Ext(s.Rules)) + "_test.yml", item: item, in: []string{"tests"},
		head: fmt.Sprintf("# The boundaries of %[1]s, run by promtool.\nrule_files:\n  - %[1]s\n\nevaluation_interval: 1m\n\ntests:\n", filepath.Base(s.Rules)),
	}.add()
}

func (s *skeleton) runbook() ([]change, error) {
	content, err := s.render("runbook.md.tmpl")
	return []change{{path: s.Runbook, new: content}}, err
}

// spec writes a spec into the suite of the rule file, and the suite where it does not exist.
func (s *skeleton) spec() ([]change, error) {
	folder := filepath.Join(s.in.Suites, s.stem)
	var changes []change
	var err error
	s.Package, err = suite(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.Package = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, strings.ToLower(s.stem))
		if !token.IsIdentifier(s.Package) || s.Package == "main" {
			return nil, fmt.Errorf("%q is not a name for a Go package, which the suite of %s needs: name a file with --file whose name begins with a letter and is not a Go keyword", s.stem, s.Rules)
		}
		content, err := s.render("suite.go.tmpl")
		if err != nil {
			return nil, err
		}
		changes = append(changes, change{path: filepath.Join(folder, "suite_test.go"), new: content})
	case err != nil:
		return nil, err
	}
	content, err := s.render("spec.go.tmpl")
	if err != nil {
		return nil, err
	}
	// In one word: Go builds a node_windows_test.go on Windows only.
	return append(changes, change{path: filepath.Join(folder, strings.ToLower(s.Alert)+"_test.go"), new: content}), nil
}

// suite returns the name of the Go package of the Ginkgo suite in a folder: that of its first test file that imports
// Ginkgo. The error is fs.ErrNotExist where the folder has no Go file.
func suite(folder string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return "", fmt.Errorf("looking for a suite in %s: %w", folder, err)
	}
	if len(paths) == 0 {
		return "", fs.ErrNotExist
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return "", fmt.Errorf("looking for a suite: %w", err)
		}
		if strings.HasSuffix(path, "_test.go") && slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool {
			return strings.HasPrefix(i.Path.Value, `"github.com/onsi/ginkgo/`)
		}) {
			return file.Name.Name, nil
		}
	}
	return "", fmt.Errorf("%s has Go files, but no Ginkgo suite: name another file with --file", folder)
}

// alerts reads the existing alerts. A missing or empty folder has none.
func alerts(folder string) ([]rule.Alert, error) {
	if _, files, err := rule.Walk(folder); err != nil || len(files) == 0 {
		return nil, nil
	}
	return rule.LoadDir(folder)
}

// stem returns the name of a rule file without its extension.
func stem(file string) (string, error) {
	if !fileName.MatchString(file) || !rule.IsFile(file) && !rule.IsTest(file) {
		return "", fmt.Errorf("%q is not a name for a rule file: write a name without a folder, such as tls.yml", file)
	}
	stem := strings.TrimSuffix(file, filepath.Ext(file))
	if rule.IsTest(file) {
		return "", fmt.Errorf("%q is the name of a promtool test: name the rule file with --file, such as tls.yml", file)
	}
	return stem, nil
}

// runbookURL returns the address of the runbook, beside that of another alert if there is one.
func runbookURL(name string, others []rule.Alert) string {
	for _, other := range others {
		if before, found := strings.CutSuffix(other.Annotations["runbook_url"], "/"+other.Name+".md"); found {
			return before + "/" + name + ".md"
		}
	}
	return "https://example.com/TODO/runbooks/" + name + ".md"
}

// dashboardURL returns the address that another alert of the rule file links to or, where none does, one of the same
// Grafana to be filled in.
func dashboardURL(file string, others []rule.Alert) string {
	found := ""
	for _, other := range others {
		address := other.Annotations["dashboard_url"]
		grafana, _, ok := strings.Cut(address, "/d/")
		switch {
		case !ok:
		case other.File == file:
			return address
		default:
			found = grafana + "/d/TODO"
		}
	}
	return found
}

// words splits a name in upper camel case: TLSCertExpired is TLS Cert Expired.
func words(name, separator string) string {
	for range 2 { // matches do not overlap: A of "AaBBb" ends where the next begins
		name = wordStart.ReplaceAllString(name, "$1$3 $2$4")
	}
	return strings.ReplaceAll(name, " ", separator)
}

func snake(name string) string { return strings.ToLower(words(name, "_")) }
