package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	promengine "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	promtemplate "github.com/prometheus/prometheus/template"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
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
				c.reportAt(alert, field+"."+name, err.offset, "alert/template", "a notification of %s would show an error in place of the %s %q: %s; fix the template",
					alert.Name, strings.TrimSuffix(field, "s"), name, err.reason)
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

type templateError struct {
	offset int // in the template
	reason string
}

var (
	// The variables that Prometheus defines before each template.
	preamble = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
	executed = regexp.MustCompile(`(?s):(\d+):(\d+): executing ".*?" at (<.*)$`)
	server   = &url.URL{Scheme: "https", Host: "prometheus.example.com"}
)

// render expands a template as Prometheus does, for a sample of value 1.
func render(alert rule.Alert, text string) (string, *templateError) {
	data := promtemplate.AlertTemplateData(alert.Labels, map[string]string{}, server.String(), promengine.Sample{F: 1})
	query := func(_ context.Context, query string, ts time.Time) (promengine.Vector, error) {
		if _, err := promql.ParseExpr(query); err != nil {
			return nil, fmt.Errorf("the query %q: %w", query, err)
		}
		return promengine.Vector{{Metric: labels.FromMap(alert.Labels), T: ts.UnixMilli(), F: 1}}, nil
	}
	const name = "template"
	// At time 0, so that the same input gives the same findings.
	expander := promtemplate.NewTemplateExpander(context.Background(), preamble+text, name, data, model.Time(0), query, server, nil)
	rendered, err := expander.Expand()
	if err == nil {
		return rendered, nil
	}
	cause := err
	if inner := errors.Unwrap(err); inner != nil {
		cause = inner
	}
	failed := &templateError{reason: cause.Error()} // the offset stays 0 where the error has none
	if m := executed.FindStringSubmatch(cause.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		column, _ := strconv.Atoi(m[2])
		start := 0
		for range line - 1 {
			start += strings.Index((preamble + text)[start:], "\n") + 1
		}
		failed.offset = start + column - len(preamble)
		failed.reason, _, _ = strings.Cut(m[3], " in type ") // what follows is Go's
	}
	return "", failed
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
	if !strings.HasSuffix(u.Path, "/"+want) {
		name := strings.TrimSuffix(path.Base(u.Path), ".md")
		if _, ok := c.runbooks[name]; ok && name != alert.Name {
			finding("leads to the runbook of %s: make it end in %s", name, want)
		} else {
			finding("leads nowhere (%q): make it end in %s", u.Path, want)
		}
		return
	}
	doc, ok := c.runbooks[alert.Name]
	if !ok || u.Fragment == "" {
		return // runbook/missing reports a missing file
	}
	var anchors []string
	for _, a := range anchorsIn([]byte(doc.text)) {
		anchors = append(anchors, a.fragment)
	}
	if !slices.Contains(anchors, u.Fragment) {
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

var (
	tags     = regexp.MustCompile(`<[^>]*>`)
	unlinked = regexp.MustCompile(`[^\p{L}\p{M}\p{N}\p{Pc}\- ]`)
)

// anchor is how GitHub links to a heading.
type anchor struct {
	fragment string
	line     int // of the heading, counted from 1
}

// anchorsIn returns the anchors of all headings of a Markdown file, in their order.
func anchorsIn(src []byte) []anchor {
	md := goldmark.New()
	var found []anchor
	seen := map[string]int{}
	_ = ast.Walk(md.Parser().Parse(text.NewReader(src)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if n.Kind() != ast.KindHeading || !entering {
			return ast.WalkContinue, nil
		}
		var rendered bytes.Buffer
		if err := md.Renderer().Render(&rendered, src, n); err != nil {
			return ast.WalkStop, err // writing to memory does not fail
		}
		heading := strings.TrimSpace(html.UnescapeString(tags.ReplaceAllString(rendered.String(), "")))
		fragment := strings.ReplaceAll(unlinked.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
		count := seen[fragment]
		seen[fragment]++
		if count > 0 {
			fragment += "-" + strconv.Itoa(count)
		}
		found = append(found, anchor{fragment, 1 + bytes.Count(src[:max(0, n.Pos())], []byte("\n"))})
		return ast.WalkSkipChildren, nil
	})
	return found
}

// metrics demands that a runbook mentions the metrics of its alert's expression.
func (c *checker) metrics(alert rule.Alert, expr parser.Expr, doc document) {
	reported := map[string]bool{}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok || selector.Name == "" || reported[selector.Name] {
			return nil
		}
		reported[selector.Name] = true
		for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
			if name := strings.TrimSuffix(selector.Name, suffix); mentions(doc.text, name) {
				return nil
			}
		}
		c.reportAt(alert, "expr", int(selector.PosRange.Start), "runbook/metric", "the runbook of %s never mentions the metric that raises it, %s: name it in %s, or fix the rule",
			alert.Name, selector.Name, doc.Path)
		return nil
	})
}

// mentions reports whether a text holds a metric's name as a whole word.
func mentions(text, name string) bool {
	found, err := regexp.MatchString(`(?:^|[^\w:])`+regexp.QuoteMeta(name)+`(?:[^\w:]|:?$|:[^\w:])`, text)
	return err == nil && found
}
