// Package check finds where rules, runbooks and routing disagree, before anything is started.
package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/finding"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

// Inputs is what is compared. All but the rules may be empty, and is left out then.
type Inputs struct {
	Rules        string    // where the rules are, as rule.Read has it
	Set          *rule.Set // what the rule files hold, where it has been read; Rules is for messages then
	Runbooks     string    // folder of the runbooks
	Grammar      runbook.Grammar
	Alertmanager string      // file of Alertmanager's configuration
	Prometheus   string      // file of Prometheus's configuration, for the labels that it adds to alerts, and its intervals
	Programs     string      // file that names the host's programs, one a line
	Specs        string      // folder of the Go specs that follow the runbooks, or the file that has the Drills
	Drills       [][2]string // the alert and the branch of each drill; nil where Specs is a folder
	Metrics      []string    // expositions of what is exported, in files or behind URLs
	Dashboards   string      // folder of Grafana's JSON
	// ScrapeInterval is how often targets are scraped; 0 leaves it to Prometheus's configuration.
	ScrapeInterval time.Duration
	Features       []string // that Prometheus is started with, as --enable-feature names them
}

// rules returns what the rule files hold.
func (in Inputs) rules() (rule.Set, error) {
	if in.Set != nil {
		return *in.Set, nil
	}
	return rule.Read(in.Rules)
}

// Run compares rules, runbooks, routing, the host, the specs, metrics and dashboards with each other. It returns the
// findings, in the order of files and lines, and the rules. The error joins all that makes the input unusable, each with
// its file and mostly its line; then nothing was compared.
func Run(ctx context.Context, in Inputs) ([]finding.Finding, rule.Set, error) {
	set, rulesErr := in.rules()
	alerts := set.Alerts
	if rulesErr == nil && len(alerts) == 0 {
		rulesErr = fmt.Errorf("%s: no alert in its rule files: there is nothing to check", in.Rules)
	}
	runbooks, runbooksErr := loadRunbooks(in.Runbooks, in.Grammar, alerts)
	index, indexErr := loadIndex(in.Runbooks)
	routing, routingErr := loadRouting(in.Alertmanager, in.Prometheus)
	programs, programsErr := loadPrograms(in.Programs)
	specs, specsErr := loadSpecs(in.Specs, in.Drills, alerts, runbooks)
	inventory, metricsErr := loadInventory(ctx, in.Metrics)
	dashboards, dashboardsErr := loadDashboards(in.Dashboards)
	clock, clockErr := loadClock(in.Prometheus, in.ScrapeInterval)
	if in.Alertmanager != "" && routingErr != nil {
		clockErr = nil // said once
	}
	if err := errors.Join(rulesErr, runbooksErr, indexErr, routingErr, programsErr, specsErr, metricsErr, dashboardsErr, clockErr); err != nil {
		return nil, rule.Set{}, err
	}

	c := &checker{alerts: alerts, rulesDir: in.Rules, runbooksDir: in.Runbooks, runbooks: runbooks, dashboardsDir: in.Dashboards, dashboards: dashboards.uids, clock: clock, lines: map[string][]string{}, missing: map[parser.Expr]bool{}, skipped: map[string]bool{}}
	c.demanded = demandedLabels(alerts, routing)
	c.usualAnnotations = usualAnnotations(alerts)
	c.skip(in.Runbooks == "", "runbook/", "header/", "trigger/")
	c.skip(in.Alertmanager == "", "route/", "inhibition/", "alert/hidden")
	c.skip(in.Programs == "", "runbook/program")
	c.skip(in.Specs == "", "runbook/spec")
	c.skip(inventory == nil, "metric/")
	c.skip(in.Dashboards == "", "dashboard/", "alert/dashboard")
	c.features(set, in.Features)
	series := map[string]*series{} // of the first load that has a file
	for _, load := range set.Loads() {
		c.rules(load, inventory, routing)
		for _, f := range load.Files {
			if series[f.Path] == nil {
				series[f.Path] = c.series
			}
		}
	}
	for _, alert := range alerts {
		c.series = series[alert.File]
		expr, err := promql.ParseExpr(alert.Expr)
		if err != nil {
			return nil, rule.Set{}, fmt.Errorf("%s:%d: the expression of %s: %w", alert.File, alert.ExprLine, alert.Name, err)
		}
		routable := c.labels(alert)
		c.annotations(alert)
		c.unfinished(alert)
		c.agreement(alert, expr, alert.Annotations["summary"], "summary", alert.File, at(alert, "annotations.summary"))
		if routing != nil && routable {
			c.route(alert, expr, routing)
		}
		if doc := c.runbookOf(alert); doc != nil {
			c.header(alert, doc)
			if doc.Header.Trigger != "" {
				c.agreement(alert, expr, doc.Header.Trigger, "runbook's trigger", doc.Path, doc.Header.TriggerLine)
			}
			c.metrics(alert, expr, doc)
			c.sections(alert, doc)
			c.structure(doc)
			scripts := scriptsOf(doc)
			c.steps(scripts, programs)
			c.cures(doc, scripts)
			c.variables(alert, expr, doc, scripts)
			c.branches(alert.Name, doc, specs)
		}
	}
	c.dashboardQueries(set, dashboards.panels, inventory)
	c.files()
	c.procedures(alerts, programs, specs)
	c.stale(alerts, index)
	if routing != nil {
		c.configuration(routing)
	}
	c.suppress(alerts, in.Alertmanager)

	slices.SortFunc(c.findings, func(a, b finding.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column, cmp.Compare(a.Check, b.Check), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(c.findings), set, nil
}

// books are the runbooks of a folder.
type books struct {
	runbook.Folder
	of      map[string]*runbook.Runbook // by alert
	missing map[string]error            // why an alert has none
	meant   []*runbook.Runbook          // the files of sections that are not there
	links   map[*runbook.Runbook][]string
}

// loadRunbooks reads the runbooks in dir; without a path, there are none.
func loadRunbooks(dir string, g runbook.Grammar, alerts []rule.Alert) (books, error) {
	b := books{of: map[string]*runbook.Runbook{}, missing: map[string]error{}, links: map[*runbook.Runbook][]string{}}
	if dir == "" {
		return b, nil
	}
	var err error
	if b.Folder, err = runbook.ReadFolder(dir, g); err != nil {
		return b, err
	}
	for _, alert := range alerts {
		address, _ := render(alert, alert.Annotations["runbook_url"]) // alert/template reports what cannot be rendered
		if doc, err := b.For(alert.Name, address); err != nil {
			b.missing[alert.Name] = err
			if doc, _ = b.Linked(address); doc != nil {
				b.meant = append(b.meant, doc)
			}
		} else {
			b.of[alert.Name] = doc
		}
	}
	return b, nil
}

// procedures returns the runbooks that say that they are procedures, by name.
func (b books) procedures() map[string]*runbook.Runbook {
	found := map[string]*runbook.Runbook{}
	for _, doc := range b.Runbooks {
		if doc.Header.Procedure != "" && b.of[doc.Name()] == nil {
			found[doc.Name()] = doc
		}
	}
	return found
}

// alertsOf returns the alerts whose runbook is in a file, in order.
func (b books) alertsOf(path string) []string {
	var alerts []string
	for alert, doc := range b.of {
		if doc.Path == path {
			alerts = append(alerts, alert)
		}
	}
	slices.Sort(alerts)
	return alerts
}

// others counts the runbooks of other alerts, and those of them that have something.
func (b books) others(but string, has func(*runbook.Runbook) bool) (have, all int) {
	for alert, doc := range b.of {
		if alert != but {
			all++
			if has(doc) {
				have++
			}
		}
	}
	return have, all
}

type checker struct {
	alerts                []rule.Alert
	rulesDir, runbooksDir string
	runbooks              books
	dashboardsDir         string
	dashboards            []string // their uids, in order
	series                *series
	clock                 clock
	missing               map[parser.Expr]bool // the parts of expressions of which it has been said why they have no result
	mentions              map[string]bool      // whether an alert's runbook mentions a metric of the rule
	demanded              map[string]reason    // by label
	usualAnnotations      map[string]bool
	skipped               map[string]bool // the checks that could not run
	findings              []finding.Finding
	lines                 map[string][]string // of the files shown so far
}

// skip notes that the checks whose names begin with a prefix cannot run, so that their suppressions are not called unused.
func (c *checker) skip(when bool, prefixes ...string) {
	for _, check := range Checks {
		for _, prefix := range prefixes {
			if when && strings.HasPrefix(check.Name, prefix) {
				c.skipped[check.Name] = true
			}
		}
	}
}

// line returns a line of a file without its end; empty where there is none.
func (c *checker) line(file string, n int) string {
	if _, ok := c.lines[file]; !ok {
		content, _ := os.ReadFile(file) // if the file is gone by now, the finding has no source line
		c.lines[file] = strings.Split(string(content), "\n")
	}
	if n < 1 || n > len(c.lines[file]) {
		return ""
	}
	return strings.TrimRight(c.lines[file][n-1], "\r")
}

// place is a position in a file, its columns in characters from 1. A column of 0 means the whole line, an end of 0 that
// the end is not known.
type place struct {
	file              string
	line, column, end int
}

// around returns the place of a part of the line, or the whole line where the part is not in it.
func (p place) around(line, part string) place {
	if before, _, ok := strings.Cut(line, part); ok {
		p.column = 1 + utf8.RuneCountInString(before)
		p.end = p.column + utf8.RuneCountInString(part)
	}
	return p
}

func (c *checker) reportPlace(p place, check, format string, args ...any) {
	f := finding.Finding{
		Severity: severityOf(check), Check: check,
		File: p.file, Line: p.line, Column: p.column, EndColumn: p.end,
		Message: fmt.Sprintf(format, args...), Source: c.line(p.file, p.line),
	}
	for _, doc := range c.runbooks.Runbooks {
		if doc.Path == p.file {
			f.Alert = doc.Name()
		}
	}
	if alerts := c.runbooks.alertsOf(p.file); len(alerts) > 0 {
		f.Alert = alerts[0]
	}
	c.findings = append(c.findings, f)
}

func (c *checker) report(check, file string, line, column int, format string, args ...any) {
	c.reportPlace(place{file: file, line: line, column: column}, check, format, args...)
}

// reportAt reports on the byte at offset in the value of an alert's field.
func (c *checker) reportAt(alert rule.Alert, field string, offset int, check, format string, args ...any) {
	c.reportRange(alert, field, offset, offset, check, format, args...)
}

// reportRange reports on the bytes from start to end in the value of an alert's field.
func (c *checker) reportRange(alert rule.Alert, field string, start, end int, check, format string, args ...any) {
	p := place{file: alert.File}
	p.line, p.column = alert.At(field, start)
	if end > start {
		if line, column := alert.At(field, end-1); line == p.line && column >= p.column {
			p.end = column + 1
		}
	}
	c.reportPlace(p, check, format, args...)
	c.findings[len(c.findings)-1].Alert = alert.Name
}

// at returns the line on which a field of an alert begins.
func at(alert rule.Alert, field string) int {
	line, _ := alert.At(field, 0)
	return line
}

// annotationNames are the annotations that a notification is read by.
var annotationNames = []string{"summary", "description", "runbook_url", "dashboard_url"}

// usualAnnotations returns those of annotationNames that at least half of the alerts have.
func usualAnnotations(alerts []rule.Alert) map[string]bool {
	usual := map[string]bool{}
	for _, name := range annotationNames {
		usual[name] = 2*count(alerts, func(a rule.Alert) bool { return a.Annotations[name] != "" }) >= len(alerts)
	}
	return usual
}

func count(alerts []rule.Alert, has func(rule.Alert) bool) int {
	n := 0
	for _, alert := range alerts {
		if has(alert) {
			n++
		}
	}
	return n
}

// UsualLabels returns the labels that at least 90 % of the alerts have, in order of their names: what nearly all alerts
// have is missing where one lacks it.
func UsualLabels(alerts []rule.Alert) []string { return labelsOf(alerts, 90) }

// labelsOf returns the labels that at least that percentage of the alerts have, in order of their names.
func labelsOf(alerts []rule.Alert, percentage int) []string {
	names := map[string]bool{}
	for _, alert := range alerts {
		for name := range alert.Labels {
			names[name] = true
		}
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(names)), func(name string) bool {
		return 100*count(alerts, func(a rule.Alert) bool { return a.Labels[name] != "" }) < percentage*len(alerts)
	})
}

// reason is why a label is demanded.
type reason struct {
	text    string // as it ends a sentence about the label
	matched bool   // whether a route matches on it, so that without it nothing is known of the receiver
}

// demandedLabels returns the labels that an alert must have: those that a route matches on or groups by and at least half
// of the alerts have, and those that nearly all alerts have.
func demandedLabels(alerts []rule.Alert, r *routing) map[string]reason {
	demanded := map[string]reason{}
	for _, name := range UsualLabels(alerts) {
		demanded[name] = reason{text: "which nearly all alerts have"}
	}
	if r == nil {
		return demanded
	}
	for _, name := range labelsOf(alerts, 50) {
		switch {
		case slices.Contains(r.matched, name):
			demanded[name] = reason{text: "by which it is routed", matched: true}
		case slices.Contains(r.grouped, name):
			demanded[name] = reason{text: "by which its notifications are grouped"}
		}
	}
	return demanded
}

// labels demands the labels that an alert must have. It reports whether it has those that routes match on.
func (c *checker) labels(alert rule.Alert) (routable bool) {
	routable = true
	for name, why := range c.demanded {
		if alert.Labels[name] == "" {
			c.reportAt(alert, "labels."+name, 0, "alert/labels", "%s has no label %q, %s: add it to the rule", alert.Name, name, why.text)
			routable = routable && !why.matched
		}
	}
	return routable
}

// runbookOf returns the runbook of an alert, and reports a missing one.
func (c *checker) runbookOf(alert rule.Alert) *runbook.Runbook {
	if err := c.runbooks.missing[alert.Name]; err != nil {
		c.reportAt(alert, "alert", 0, "runbook/missing", "%v", err)
	}
	return c.runbooks.of[alert.Name]
}

// files reports what is wrong with the fences and steps of each file, and its TODOs, and the files to which nothing leads.
func (c *checker) files() {
	led := c.runbooks.led()
	for _, doc := range c.runbooks.Runbooks {
		if doc.IsIndex() && !led[doc.Path] {
			continue // text about the others
		}
		c.problems(doc)
		c.finished(doc)
		own := c.runbooks.of[doc.Name()]
		switch {
		case doc.Header.Procedure != "" || led[doc.Path]:
		case own != nil:
			c.report("runbook/orphan", doc.Path, 1, 0, "the runbook of %s is %s, where its runbook_url leads: remove this one", doc.Name(), own.Path)
		default:
			c.report("runbook/orphan", doc.Path, 1, 0, "no rule in %s raises an alert %s: name the runbook after its alert, or remove it", c.rulesDir, doc.Name())
		}
	}
}

// problems reports what is wrong with fences and steps.
func (c *checker) problems(doc *runbook.Runbook) {
	for _, p := range doc.Problems {
		at := place{file: p.Path, line: p.Line}
		if p.Column > 0 {
			line := c.line(p.Path, p.Line)
			at.column = 1 + utf8.RuneCountInString(line[:min(len(line), p.Column-1)])
		}
		c.reportPlace(at, p.Check, "%s", p.Text)
	}
}

// structure reports what is wrong with the title, the header, the sections and the branches of a runbook.
func (c *checker) structure(doc *runbook.Runbook) {
	for _, p := range doc.Structure {
		c.report(p.Check, p.Path, p.Line, 0, "%s", p.Text)
	}
}

// sections demands the sections that most of the other runbooks have.
func (c *checker) sections(alert rule.Alert, doc *runbook.Runbook) {
	line := 1
	if _, lines := doc.Anchors(); len(lines) > 0 {
		line = lines[0]
	}
	for _, section := range []struct {
		name, example string
		has           func(*runbook.Runbook) bool
	}{
		{"what it means", "## Meaning", func(r *runbook.Runbook) bool { return r.Has("Meaning") }},
		{"the impact", "## Impact", func(r *runbook.Runbook) bool { return r.Has("Impact") }},
		{"an investigation", "## Diagnosis", (*runbook.Runbook).Investigates},
	} {
		if have, all := c.runbooks.others(alert.Name, section.has); !section.has(doc) && 2*have > all {
			c.report("runbook/section", doc.Path, line, 0, "the runbook of %s has no section for %s, which most of the others have: add a heading such as %q", alert.Name, section.name, section.example)
		}
	}
	h := doc.Header
	if h.Procedure != "" {
		return // header reports it
	}
	for _, key := range []struct {
		name string
		line func(runbook.Header) int
	}{
		{"Severity", func(h runbook.Header) int { return h.SeverityLine }},
		{"Alert", func(h runbook.Header) int { return h.AlertLine }},
		{"Trigger", func(h runbook.Header) int { return h.TriggerLine }},
		{"Duration", func(h runbook.Header) int { return h.DurationLine }},
	} {
		have, all := c.runbooks.others(alert.Name, func(r *runbook.Runbook) bool { return key.line(r.Header) > 0 })
		if key.line(h) == 0 && have > 0 && 2*have >= all {
			c.report("header/missing", doc.Path, line, 0, "the header of the runbook of %s does not give the %s, which at least half of the others give: add a line below the title such as %q",
				alert.Name, strings.ToLower(key.name), "- **"+key.name+":** …")
		}
	}
}

// header compares what a runbook says about its alert with the rule.
func (c *checker) header(alert rule.Alert, doc *runbook.Runbook) {
	h := doc.Header
	if h.Procedure != "" {
		c.report("header/alert", doc.Path, h.ProcedureLine, 0, "the runbook of %s says that it is a procedure, which no alert has: write the header of a runbook, or give the procedure a file of another name", alert.Name)
		return
	}
	if h.Alert != "" && h.Alert != alert.Name {
		c.report("header/alert", doc.Path, h.AlertLine, 0, "the runbook of %s says that it is for the alert %q: write %s there", alert.Name, h.Alert, alert.Name)
	}
	if severity := alert.Labels["severity"]; severity != "" && h.Severity != "" && !strings.EqualFold(severity, h.Severity) {
		c.reportAt(alert, "labels.severity", 0, "header/severity", "%s has severity %q, but its runbook says %q (%s:%d): write the same in both",
			alert.Name, severity, h.Severity, doc.Path, h.SeverityLine)
	}
	if h.DurationLine > 0 && h.Duration >= 0 && alert.For != h.Duration {
		when := "at once"
		if alert.For > 0 {
			when = fmt.Sprintf("once its condition has lasted %s", model.Duration(alert.For))
		}
		c.reportAt(alert, "for", 0, "header/duration", "%s fires %s, but its runbook says %s (%s:%d): write the same in both",
			alert.Name, when, model.Duration(h.Duration), doc.Path, h.DurationLine)
	}
}
