package check

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/stemedb/firedrill/tools/finding"
)

// What is reported is registered, and what is registered is reported: the names stand in the code as literals.
func TestRegistryIsComplete(t *testing.T) {
	g := NewWithT(t)
	files, err := filepath.Glob("*.go")
	g.Expect(err).NotTo(HaveOccurred())
	ofRunbooks, err := filepath.Glob("../runbook/*.go")
	g.Expect(err).NotTo(HaveOccurred())
	name := regexp.MustCompile(`^[a-z]+/[a-z-]+$`)
	var registered, reported []string
	for _, check := range Checks {
		registered = append(registered, check.Name)
		g.Expect(check.Help).To(HaveSuffix("."), check.Name)
		g.Expect(check.Severity).To(BeElementOf(finding.Error, finding.Warning), check.Name)
	}
	g.Expect(slices.IsSorted(registered)).To(BeTrue())
	for _, file := range append(files, ofRunbooks...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		g.Expect(err).NotTo(HaveOccurred())
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if method, ok := call.Fun.(*ast.SelectorExpr); !ok || !strings.HasPrefix(method.Sel.Name, "report") && method.Sel.Name != "structure" {
				return true
			}
			for _, arg := range call.Args {
				if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if value, _ := strconv.Unquote(lit.Value); name.MatchString(value) {
						reported = append(reported, value)
					}
				}
			}
			return true
		})
	}
	slices.Sort(reported)
	g.Expect(slices.Compact(reported)).To(Equal(registered))
}
