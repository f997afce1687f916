package check

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
	"github.com/stemedb/firedrill/tools/scenario"
)

// specs are the Go specs in a folder, or drills in a file: which branch of which alert's runbook, or of which procedure,
// they name.
type specs struct {
	path      string
	areDrills bool
	named     map[[2]string]bool // alert and branch
}

// loadSpecs reads the Go files in a folder and its subfolders. A file names a branch of an alert's runbook where both
// names stand as string literals in the same composite literal or call, the innermost that holds both: a drill, a case of
// a table, or a Describe. Where a field Alert holds the alert, other alerts in that literal do not count. A file of
// scenarios beside them names branches as well, since a spec rehearses each. Where there are drills, nothing is read: they
// are in the file of that path. Without a path, there are no specs.
func loadSpecs(path string, drills [][2]string, alerts []rule.Alert, runbooks books) (*specs, error) {
	if path == "" {
		return nil, nil
	}
	s := &specs{path: path, areDrills: drills != nil, named: map[[2]string]bool{}}
	if s.areDrills {
		for _, drill := range drills {
			s.named[drill] = true
		}
		return s, nil
	}
	isAlert, isBranch := map[string]bool{}, map[string]bool{}
	for _, alert := range alerts {
		isAlert[alert.Name] = true
	}
	all := slices.Collect(maps.Values(runbooks.of))
	for name, doc := range runbooks.procedures() {
		isAlert[name] = true
		all = append(all, doc)
	}
	for _, doc := range all {
		for _, branch := range doc.Branches() {
			isBranch[branch.Name] = true
		}
	}
	dir := path
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("reading the specs: %w", err)
		case entry.IsDir() && path != dir && (entry.Name() == "testdata" || entry.Name() == "vendor" || strings.HasPrefix(entry.Name(), ".")):
			return filepath.SkipDir
		case entry.Name() == "scenarios.yml":
			scenarios, _ := scenario.Load(path) // the suite that rehearses them reports errors
			for _, one := range scenarios {
				s.named[[2]string{one.Runbook, one.Branch}] = true
			}
			return nil
		case !entry.Type().IsRegular() || filepath.Ext(path) != ".go":
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if list, ok := errors.AsType[scanner.ErrorList](err); ok {
			return fmt.Errorf("%w: fix it so that it compiles", list[0])
		}
		if err != nil {
			return fmt.Errorf("reading the specs: %w", err)
		}
		s.read(file, isAlert, isBranch)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *specs) read(file *ast.File, isAlert, isBranch map[string]bool) {
	// Names that the file gives to strings count as the strings.
	constants := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for i, name := range spec.Names {
				if i < len(spec.Values) {
					if value, ok := literal(spec.Values[i], nil); ok {
						constants[name.Name] = value
					}
				}
			}
		}
		return true
	})
	var within []ast.Node
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			within = within[:len(within)-1]
			return true
		}
		if branch, ok := literal(n, constants); ok && isBranch[branch] {
			for _, outer := range slices.Backward(within) {
				alerts := alertsIn(outer, constants, isAlert)
				for _, alert := range alerts {
					s.named[[2]string{alert, branch}] = true
				}
				if len(alerts) > 0 {
					break
				}
			}
		}
		within = append(within, n)
		return true
	})
}

// alertsIn returns the alerts that a composite literal or a call names: for a literal with a field Alert, only that one.
func alertsIn(outer ast.Node, constants map[string]string, isAlert map[string]bool) []string {
	switch outer := outer.(type) {
	case *ast.CompositeLit:
		for _, element := range outer.Elts {
			field, ok := element.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			if key, ok := field.Key.(*ast.Ident); ok && strings.EqualFold(key.Name, "alert") {
				if name, ok := literal(field.Value, constants); ok && isAlert[name] {
					return []string{name}
				}
			}
		}
	case *ast.CallExpr:
	default:
		return nil
	}
	var alerts []string
	ast.Inspect(outer, func(n ast.Node) bool {
		if name, ok := literal(n, constants); ok && isAlert[name] {
			alerts = append(alerts, name)
		}
		return true
	})
	return alerts
}

func literal(n ast.Node, constants map[string]string) (string, bool) {
	switch n := n.(type) {
	case *ast.BasicLit:
		if n.Kind == token.STRING {
			value, err := strconv.Unquote(n.Value)
			return value, err == nil
		}
	case *ast.Ident:
		value, ok := constants[n.Name]
		return value, ok
	}
	return "", false
}

// branches demands a spec, or a drill, for each branch of a runbook.
func (c *checker) branches(alert string, doc *runbook.Runbook, specs *specs) {
	if specs == nil {
		return
	}
	for _, branch := range doc.Branches() {
		if specs.named[[2]string{alert, branch.Name}] {
			continue
		}
		p := place{file: doc.Path, line: branch.Line}
		p = p.around(c.line(p.file, p.line), branch.Name)
		if specs.areDrills {
			c.reportPlace(p, "runbook/spec", "no drill in %s follows the branch %q of %s: add one, as in {alert: %[3]s, branch: %[2]q, fault: {kill: web}}", specs.path, branch.Name, alert)
		} else {
			c.reportPlace(p, "runbook/spec", "no spec in %s follows the branch %q of %s: write one that names both", specs.path, branch.Name, alert)
		}
		c.findings[len(c.findings)-1].Alert = alert // the file may serve others as well
	}
}
