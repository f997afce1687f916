package check

import (
	"maps"
	"net/url"
	"path"
	"slices"

	"github.com/stemedb/firedrill/tools/rule"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

// procedures checks the runbooks that belong to no alert. One is followed by a link from the runbook of an alert, and so
// with that alert's labels.
func (c *checker) procedures(alerts []rule.Alert, programs *programs, specs *specs) {
	for _, name := range slices.Sorted(maps.Keys(c.runbooks)) {
		doc := c.runbooks[name]
		if doc.Header.Procedure == "" || slices.ContainsFunc(alerts, func(a rule.Alert) bool { return a.Name == name }) {
			continue // header/alert reports it
		}
		if doc.Header.Procedure != name {
			c.report("header/alert", doc.Path, doc.Header.ProcedureLine, 0, "the procedure in %s.md says that it is %q: write %s there", name, doc.Header.Procedure, name)
		}
		leading := leadingTo(name, alerts, c.runbooks)
		if len(leading) == 0 {
			c.report("runbook/orphan", doc.Path, doc.Header.ProcedureLine, 0, "no runbook of an alert links to the procedure %s: link to it from one, as in [%[1]s](%[1]s.md), or remove it", name)
		}
		c.finished(name, doc)
		scripts := scriptsOf(doc)
		c.steps(scripts, programs)
		for _, alert := range leading {
			if expr, err := promql.ParseExpr(alert.Expr); err == nil { // what does not parse has been refused
				c.variables(alert, expr, scripts)
			}
		}
		c.branches(doc, specs)
	}
}

// leadingTo returns the alerts whose runbooks link to a procedure.
func leadingTo(procedure string, alerts []rule.Alert, runbooks map[string]document) []rule.Alert {
	return slices.DeleteFunc(slices.Clone(alerts), func(alert rule.Alert) bool {
		return !slices.Contains(linked([]byte(runbooks[alert.Name].text)), procedure+".md")
	})
}

// linked returns the files beside a Markdown file that it links to.
func linked(src []byte) []string {
	var files []string
	_ = ast.Walk(goldmark.DefaultParser().Parse(text.NewReader(src)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if link, ok := n.(*ast.Link); ok && entering {
			if u, err := url.Parse(string(link.Destination)); err == nil { // the path of an address elsewhere begins with a slash
				files = append(files, path.Clean(u.Path))
			}
		}
		return ast.WalkContinue, nil
	})
	return files
}
