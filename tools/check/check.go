// Package check finds where rules, runbooks and routing disagree, before anything is started.
package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

// Finding is one disagreement.
type Finding struct {
	Check        string // the check that found it, as in "trigger/threshold"
	File         string
	Line, Column int    // counted from 1; Column 0 means the line as a whole
	Message      string // what contradicts what, and how to mend it
	Source       string // the line itself; empty where there is none to show
}

// String shows a finding as a reader meets it: what is wrong, where, and the line with a caret under the place.
func (f Finding) String() string {
	const widest = 160
	var b strings.Builder
	fmt.Fprintf(&b, "Error: %s (%s)\n  --> %s:%d", f.Message, f.Check, f.File, f.Line)
	source := []rune(f.Source)
	if len(source) > widest {
		source = append(source[:widest], '…')
	}
	if len(source) == 0 {
		return b.String()
	}
	number := fmt.Sprintf("%5d", f.Line)
	fmt.Fprintf(&b, "\n%s | %s", number, string(source))
	if f.Column > 0 && f.Column <= len(source) {
		indent := strings.Map(func(r rune) rune {
			if r == '\t' {
				return r
			}
			return ' '
		}, string(source[:f.Column-1]))
		fmt.Fprintf(&b, "\n%s | %s^", strings.Repeat(" ", len(number)), indent)
	}
	return b.String()
}

// promql parses what an unconfigured Prometheus does.
var promql = parser.NewParser(parser.Options{})

// Inputs is what is compared. Each but the folders of rules and of runbooks may be left empty.
type Inputs struct {
	Rules, Runbooks string   // folders
	Alertmanager    string   // its configuration
	Metrics         []string // expositions of what is exported, in files or behind URLs
	Dashboards      string   // a folder of Grafana's JSON
}

// Run compares rules with runbooks, and with routes, metrics and dashboards as far as there are any. It returns what
// disagrees, in the order of files and lines, and the rules that it looked at. The error joins all that makes the
// input unusable, each with its file and mostly its line; then nothing was compared.
func Run(ctx context.Context, in Inputs) ([]Finding, rule.Set, error) {
	rulesDir, runbooksDir := in.Rules, in.Runbooks
	set, rulesErr := rule.ReadDir(rulesDir)
	alerts := set.Alerts
	if rulesErr == nil && len(alerts) == 0 {
		rulesErr = fmt.Errorf("%s: no alert in its rule files: there is nothing to check", rulesDir)
	}
	books, booksErr := loadBooks(runbooksDir)
	routing, routingErr := loadRouting(in.Alertmanager)
	inventory, metricsErr := loadInventory(ctx, in.Metrics)
	dashboards, dashboardsErr := loadDashboards(in.Dashboards)
	if err := errors.Join(rulesErr, booksErr, routingErr, metricsErr, dashboardsErr); err != nil {
		return nil, rule.Set{}, err
	}

	c := &checker{rulesDir: rulesDir, runbooksDir: runbooksDir, books: books, lines: map[string][]string{}}
	c.rules(set, dashboards, inventory, routing)
	for _, alert := range alerts {
		expr, err := promql.ParseExpr(alert.Expr)
		if err != nil {
			return nil, rule.Set{}, fmt.Errorf("%s:%d: the expression of %s: %w", alert.File, alert.ExprLine, alert.Name, err)
		}
		c.labels(alert)
		c.annotations(alert)
		c.agreement(alert, expr, alert.Annotations["summary"], "summary", alert.File, at(alert, "annotations.summary"))
		if routing != nil && alert.Labels["severity"] != "" {
			c.route(alert, expr, routing)
		}
		if book, ok := c.runbookOf(alert); ok {
			c.header(alert, book)
			c.agreement(alert, expr, book.Header.Trigger, "runbook's trigger", book.Path, book.Header.TriggerLine)
			c.metrics(alert, expr, book)
		}
	}
	c.orphans(alerts)

	slices.SortFunc(c.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column, cmp.Compare(a.Check, b.Check), cmp.Compare(a.Message, b.Message))
	})
	return c.findings, set, nil
}

// book is a runbook with its text, for what is not in the steps.
type book struct {
	*runbook.Runbook
	text string
}

// loadBooks reads the runbooks in dir, by the names of the alerts that they are for.
func loadBooks(dir string) (map[string]book, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the folder of runbooks: %w", err)
	}
	books := map[string]book{}
	var errs []error
	for _, entry := range entries {
		name, isBook := strings.CutSuffix(entry.Name(), ".md")
		if !isBook || name == "README" || name == "FINDINGS" {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		r, err := runbook.Load(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("reading the runbook: %w", err))
			continue
		}
		books[name] = book{Runbook: r, text: string(text)}
	}
	return books, errors.Join(errs...)
}

type checker struct {
	rulesDir, runbooksDir string
	books                 map[string]book
	series                *series
	findings              []Finding
	lines                 map[string][]string // of the files shown so far
}

func (c *checker) report(check, file string, line, column int, format string, args ...any) {
	if _, ok := c.lines[file]; !ok {
		content, _ := os.ReadFile(file) // a file gone by now costs the finding its source line, no more
		c.lines[file] = strings.Split(string(content), "\n")
	}
	f := Finding{Check: check, File: file, Line: line, Column: column, Message: fmt.Sprintf(format, args...)}
	if line >= 1 && line <= len(c.lines[file]) {
		f.Source = strings.TrimRight(c.lines[file][line-1], "\r")
	}
	c.findings = append(c.findings, f)
}

// reportAt reports on the byte at offset in the value of an alert's field.
func (c *checker) reportAt(alert rule.Alert, field string, offset int, check, format string, args ...any) {
	line, column := alert.At(field, offset)
	c.report(check, alert.File, line, column, format, args...)
}

// at returns the line on which a field of an alert begins.
func at(alert rule.Alert, field string) int {
	line, _ := alert.At(field, 0)
	return line
}

// labels demands what routing and reading a notification need.
func (c *checker) labels(alert rule.Alert) {
	for _, name := range []string{"severity", "team"} {
		if alert.Labels[name] == "" {
			c.reportAt(alert, "labels."+name, 0, "alert/labels", "%s has no label %q, by which it is routed: add it to the rule", alert.Name, name)
		}
	}
}

// runbookOf returns the runbook that is named after an alert, and reports that there is none.
func (c *checker) runbookOf(alert rule.Alert) (book, bool) {
	found, ok := c.books[alert.Name]
	if !ok {
		hint := ""
		for name := range c.books {
			if strings.EqualFold(name, alert.Name) {
				hint = fmt.Sprintf(" (%s.md differs in upper and lower case)", name)
			}
		}
		c.reportAt(alert, "alert", 0, "runbook/missing", "whoever is called by %s has no runbook%s: write %s",
			alert.Name, hint, filepath.Join(c.runbooksDir, alert.Name+".md"))
	}
	return found, ok
}

func (c *checker) orphans(alerts []rule.Alert) {
	for name, book := range c.books {
		if !slices.ContainsFunc(alerts, func(a rule.Alert) bool { return a.Name == name }) {
			c.report("runbook/orphan", book.Path, 1, 0, "no rule in %s raises an alert %s: name the runbook after its alert, or remove it", c.rulesDir, name)
		}
	}
}

// header compares what a runbook says about its alert with the rule.
func (c *checker) header(alert rule.Alert, book book) {
	h := book.Header
	if h.Alert != alert.Name {
		c.report("header/alert", book.Path, h.AlertLine, 0, "the runbook of %s says that it is for the alert %q: write %s there", alert.Name, h.Alert, alert.Name)
	}
	if severity := alert.Labels["severity"]; severity != "" && !strings.EqualFold(severity, h.Severity) {
		c.reportAt(alert, "labels.severity", 0, "header/severity", "%s has severity %q, but its runbook says %q (%s:%d): write the same in both",
			alert.Name, severity, h.Severity, book.Path, h.SeverityLine)
	}
	if alert.For != h.Duration {
		when := "at once"
		if alert.For > 0 {
			when = fmt.Sprintf("once its condition has lasted %s", model.Duration(alert.For))
		}
		c.reportAt(alert, "for", 0, "header/duration", "%s fires %s, but its runbook says %s (%s:%d): write the same in both",
			alert.Name, when, model.Duration(h.Duration), book.Path, h.DurationLine)
	}
}
