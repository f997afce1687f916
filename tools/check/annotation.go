package check

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

// annotations demands the usual annotations, and that their templates can be rendered: Prometheus sends the error in place
// of one that cannot.
func (c *checker) annotations(alert rule.Alert) {
	for _, name := range annotationNames {
		if (name == "summary" || name == "description") && alert.Annotations["message"] != "" {
			continue // the name that mixins had for both: https://github.com/monitoring-mixins/docs
		}
		if alert.Annotations[name] == "" && c.usualAnnotations[name] {
			c.reportAt(alert, "annotations."+name, 0, "alert/annotations", "%s has no annotation %q, which most alerts have: add it to the rule", alert.Name, name)
		}
	}
	for field, texts := range map[string]map[string]string{"labels": alert.Labels, "annotations": alert.Annotations} {
		for name, value := range texts {
			rendered, err := render(alert, value)
			if err != nil {
				c.reportAt(alert, field+"."+name, err.Offset, "alert/template", "a notification of %s would show an error in place of the %s %q: %s; fix the template",
					alert.Name, strings.TrimSuffix(field, "s"), name, err.Reason)
				continue
			}
			if i := strings.Index(rendered, "%!"); i >= 0 && strings.Contains(value, "printf") {
				c.reportAt(alert, field+"."+name, strings.Index(value, "printf"), "alert/template", "the %s %q of %s renders as %q, since the verb does not suit the value ($value is a float64): fix the format, as in %%.0f",
					strings.TrimSuffix(field, "s"), name, alert.Name, rendered)
			}
			if name == "runbook_url" && value != "" {
				c.link(alert, rendered)
			}
			if name == "dashboard_url" && value != "" && c.dashboardsDir != "" {
				c.dashboard(alert, rendered)
			}
		}
	}
}

// render expands a template of an alert for a sample of value 1.
func render(alert rule.Alert, text string) (string, *rule.TemplateError) {
	return alert.Render(text, alert.Labels, nil)
}

// link checks that a runbook_url leads to the runbook, as far as the repository can tell.
func (c *checker) link(alert rule.Alert, address string) {
	finding := func(format string, args ...any) {
		c.reportAt(alert, "annotations.runbook_url", 0, "runbook/url", "%s", fmt.Sprintf("the runbook_url of "+alert.Name+" "+format, args...))
	}
	folder := "runbooks"
	if absolute, err := filepath.Abs(c.runbooksDir); err == nil && c.runbooksDir != "" {
		folder = filepath.Base(absolute)
	}
	want := folder + "/" + alert.Name + ".md"
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		finding("is not a link that can be opened (%q): write https://…/%s", address, want)
		return
	}
	if c.runbooksDir == "" {
		return
	}
	if page := path.Base(u.Path); path.Ext(page) != ".md" && strings.EqualFold(strings.TrimSuffix(page, path.Ext(page)), alert.Name) {
		return // a site that is generated from the runbooks: its addresses and anchors are not known
	}
	doc := c.runbooks.of[alert.Name]
	linked, _ := c.runbooks.Linked(address)
	if doc != nil && (linked == nil || linked.Path == doc.Path) {
		want = folder + "/" + c.runbooks.Rel(doc)
	}
	if !strings.HasSuffix(u.Path, "/"+want) {
		if doc == nil && linked != nil {
			return // runbook/missing reports the heading
		}
		if linked != nil && doc != nil && linked.Path != doc.Path {
			finding("leads to the runbook of %s: make it end in %s", linked.Name(), want)
		} else if linked == nil || path.Ext(u.Path) == ".md" {
			finding("leads nowhere (%q): make it end in %s", u.Path, want)
		}
		return // or a site that is generated from the runbooks: its addresses are not known
	}
	if doc == nil || u.Fragment == "" {
		return // runbook/missing reports a missing file
	}
	if anchors, _ := doc.Anchors(); !slices.Contains(anchors, u.Fragment) {
		finding("leads to no heading of %s (%q): its headings are #%s", filepath.Base(doc.Path), "#"+u.Fragment, strings.Join(anchors, ", #"))
	}
}

// dashboardPath is the path under which Grafana serves a dashboard: its uid, then optionally its title.
var dashboardPath = regexp.MustCompile(`/d/([^/]+)(?:/[^/]*)?/?$`)

// dashboard checks that a dashboard_url leads to one of the dashboards.
func (c *checker) dashboard(alert rule.Alert, address string) {
	there := "those in " + c.dashboardsDir + " are /d/" + strings.Join(c.dashboards, ", /d/")
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		c.reportAt(alert, "annotations.dashboard_url", 0, "alert/dashboard", "the dashboard_url of %s is not a link that can be opened (%q): write https://… to a dashboard; %s", alert.Name, address, there)
		return
	}
	m := dashboardPath.FindStringSubmatch(u.Path)
	if m == nil || !slices.Contains(c.dashboards, m[1]) {
		c.reportAt(alert, "annotations.dashboard_url", 0, "alert/dashboard", "the dashboard_url of %s leads to no dashboard (%q): %s", alert.Name, u.Path, there)
	}
}

// metrics demands that a runbook mentions the metrics of its alert's expression, where at least half of the others mention
// one.
func (c *checker) metrics(alert rule.Alert, expr parser.Expr, doc *runbook.Runbook) {
	if !c.mentioning(alert.Name, doc) {
		return
	}
	for _, selector := range selectors(expr) {
		if !mentionsMetric(doc.Text, selector.Name) {
			c.reportAt(alert, "expr", int(selector.PosRange.Start), "runbook/metric", "the runbook of %s never mentions the metric that raises it, %s: name it in %s, or fix the rule",
				alert.Name, selector.Name, doc.Path)
		}
	}
}

// mentioning tells whether a runbook is to mention the metrics of its alert's rule: at least half of the runbooks of other
// alerts do or, where there are none, it states the trigger.
func (c *checker) mentioning(but string, doc *runbook.Runbook) bool {
	if c.mentions == nil {
		c.mentions = map[string]bool{}
		for _, alert := range c.alerts {
			expr, err := promql.ParseExpr(alert.Expr)
			if doc := c.runbooks.of[alert.Name]; err == nil && doc != nil {
				c.mentions[alert.Name] = slices.ContainsFunc(selectors(expr), func(s *parser.VectorSelector) bool { return mentionsMetric(doc.Text, s.Name) })
			}
		}
	}
	have, all := 0, 0
	for alert, does := range c.mentions {
		if alert != but {
			all++
			if does {
				have++
			}
		}
	}
	if all == 0 {
		return doc.Header.Trigger != ""
	}
	return 2*have >= all
}

// selectors returns the first selector of each metric in an expression.
func selectors(expr parser.Expr) []*parser.VectorSelector {
	var found []*parser.VectorSelector
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if ok && selector.Name != "" && !slices.ContainsFunc(found, func(s *parser.VectorSelector) bool { return s.Name == selector.Name }) {
			found = append(found, selector)
		}
		return nil
	})
	return found
}

// mentionsMetric reports whether a text holds a metric's name, or that of the histogram or summary that it is a part of.
func mentionsMetric(text, name string) bool {
	return slices.ContainsFunc([]string{"", "_bucket", "_sum", "_count"}, func(suffix string) bool {
		return mentions(text, strings.TrimSuffix(name, suffix))
	})
}

// mentions reports whether a text holds a metric's name as a whole word.
func mentions(text, name string) bool {
	found, err := regexp.MatchString(`(?:^|[^\w:])`+regexp.QuoteMeta(name)+`(?:[^\w:]|:?$|:[^\w:])`, text)
	return err == nil && found
}
