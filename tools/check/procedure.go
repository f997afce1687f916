package check

import (
	"maps"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

// procedures checks the runbooks that belong to no alert. One is followed by a link from the runbook of an alert, and so
// with that alert's labels.
func (c *checker) procedures(alerts []rule.Alert, programs *programs, specs *specs) {
	procedures := c.runbooks.procedures() // header/alert reports one in the place of an alert's runbook
	for _, name := range slices.Sorted(maps.Keys(procedures)) {
		doc := procedures[name]
		if doc.Header.Procedure != name {
			c.report("header/alert", doc.Path, doc.Header.ProcedureLine, 0, "the procedure in %s.md says that it is %q: write %s there", name, doc.Header.Procedure, name)
		}
		leading := c.runbooks.leadingTo(doc, alerts)
		if len(leading) == 0 {
			c.report("runbook/orphan", doc.Path, doc.Header.ProcedureLine, 0, "no runbook of an alert links to the procedure %s: link to it from one, as in [%[1]s](%[1]s.md), or remove it", name)
		}
		c.structure(doc)
		scripts := scriptsOf(doc)
		c.steps(scripts, programs)
		c.cures(doc, scripts)
		for _, alert := range leading {
			if expr, err := promql.ParseExpr(alert.Expr); err == nil { // what does not parse has been refused
				c.variables(alert, expr, doc, scripts)
			}
		}
		if specs != nil && !specs.areDrills { // a drill is of an alert
			c.branches(name, doc, specs)
		}
	}
}

// leadingTo returns the alerts whose runbooks link to a procedure.
func (b books) leadingTo(procedure *runbook.Runbook, alerts []rule.Alert) []rule.Alert {
	return slices.DeleteFunc(slices.Clone(alerts), func(alert rule.Alert) bool {
		doc := b.of[alert.Name]
		return doc == nil || !slices.Contains(b.linked(doc), procedure.Path)
	})
}

// led returns the paths of the files to which alerts lead, by their runbook or by links from there.
func (b books) led() map[string]bool {
	led := map[string]bool{}
	open := slices.Clone(b.meant)
	for _, doc := range b.of {
		open = append(open, doc)
	}
	for len(open) > 0 {
		doc := open[0]
		open = open[1:]
		led[doc.Path] = true
		for _, next := range b.Runbooks {
			if !led[next.Path] && slices.Contains(b.linked(doc), next.Path) {
				open = append(open, next)
			}
		}
	}
	return led
}

// linked returns the paths of the runbooks that a runbook links to.
func (b books) linked(doc *runbook.Runbook) []string {
	if paths, ok := b.links[doc]; ok {
		return paths
	}
	paths := []string{}
	folder := filepath.Base(b.Dir)
	_ = ast.Walk(goldmark.DefaultParser().Parse(text.NewReader([]byte(doc.Text))), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		link, ok := n.(*ast.Link)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		u, err := url.Parse(string(link.Destination))
		if err != nil {
			return ast.WalkContinue, nil
		}
		for _, other := range b.Runbooks {
			rel := b.Rel(other)
			isBeside := u.Host == "" && path.Join(path.Dir(b.Rel(doc)), u.Path) == rel
			if isBeside || u.Host != "" && strings.HasSuffix(u.Path, "/"+folder+"/"+rel) {
				paths = append(paths, other.Path)
			}
		}
		return ast.WalkContinue, nil
	})
	b.links[doc] = paths
	return paths
}
