package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/change"
	"github.com/stemedb/firedrill/tools/check"
	"github.com/stemedb/firedrill/tools/finding"
	"github.com/stemedb/firedrill/tools/project"
	"github.com/stemedb/firedrill/tools/prove"
	"github.com/stemedb/firedrill/tools/rule"
)

// inputs are the rules, the runbooks, the routing, the host and the specs.
type inputs struct {
	check.Inputs
	project *project.Project // that they are filled from; nil without a firedrill.yml
	changed *change.Set      // nil to check all
	alerts  []string         // whose findings are reported, beside those of no alert; nil for all
	cmd     *cobra.Command   // whose flags they are
}

// The defaults of --metrics, --dashboards and --prometheus. They belong to the default of --rules, and are not used for other rules.
const (
	inventory  = "fixtures/inventory/*.prom"
	dashboards = "fixtures/grafana"
	prometheus = "fixtures/prometheus/prometheus.yml"
)

// optional are the inputs that are left out where a flag empties them, or where no flag names them and they do not exist.
var optional = []string{"runbooks", "alertmanager", "programs", "specs"}

// ruleList is the value of --rules, a list of paths as rule.Read has it, to which each further --rules adds.
type ruleList struct {
	list  *string
	isSet bool // and not the default
}

func (r *ruleList) String() string { return *r.list }
func (r *ruleList) Type() string   { return "path" }

func (r *ruleList) Set(path string) error {
	if r.isSet {
		path = *r.list + string(filepath.ListSeparator) + path
	}
	*r.list, r.isSet = path, true
	return nil
}

// addRulesFlag adds --rules.
func addRulesFlag(cmd *cobra.Command, list *string) {
	*list = "rules"
	cmd.Flags().Var(&ruleList{list: list}, "rules", "folder of the rule files, a rule file, a pattern for them, or a Prometheus configuration that has rule_files; may be repeated")
}

// addFolderFlags adds the flags of the rules and the runbooks alone.
func (in *inputs) addFolderFlags(cmd *cobra.Command) {
	in.cmd = cmd
	addRulesFlag(cmd, &in.Rules)
	cmd.Flags().StringVar(&in.Runbooks, "runbooks", "runbooks", "folder of the runbooks")
}

func (in *inputs) addFlags(cmd *cobra.Command) {
	in.addFolderFlags(cmd)
	cmd.Flags().StringVar(&in.Alertmanager, "alertmanager", "fixtures/alertmanager/alertmanager.yml", "Alertmanager's configuration")
	cmd.Flags().StringVar(&in.Prometheus, "prometheus", "", "Prometheus's configuration, for the external labels of alerts, and how often it evaluates and scrapes (default, with the default --rules, "+prometheus+")")
	cmd.Flags().DurationVar(&in.ScrapeInterval, "scrape-interval", 0, "how often targets are scraped (default, as --prometheus says)")
	cmd.Flags().StringVar(&in.Programs, "programs", "fixtures/inventory/programs.txt", "file with the names of the host's programs, one a line")
	cmd.Flags().StringVar(&in.Specs, "specs", "e2e", "folder of the Go specs that follow the runbooks")
	cmd.Flags().StringArrayVar(&in.Metrics, "metrics", nil, "file or URL with metrics as a target exports them; may be repeated (default, with the default --rules, "+inventory+")")
	addFeatureFlag(cmd, &in.Features)
	cmd.Flags().StringVar(&in.Dashboards, "dashboards", "", "folder of Grafana dashboards (default, with the default --rules, "+dashboards+")")
}

// present returns the inputs without those that are left out, and which those are.
func (in *inputs) present() (check.Inputs, []string) {
	found := in.Inputs
	var out []string
	for i, value := range []*string{&found.Runbooks, &found.Alertmanager, &found.Programs, &found.Specs} {
		if _, err := os.Stat(*value); errors.Is(err, fs.ErrNotExist) && !in.cmd.Flags().Changed(optional[i]) {
			*value = ""
		}
		if *value == "" {
			out = append(out, "--"+optional[i])
		}
	}
	if in.project == nil && !in.cmd.Flags().Changed("rules") {
		if !in.cmd.Flags().Changed("metrics") {
			found.Metrics, _ = filepath.Glob(inventory) // a pattern that is well formed
		}
		if _, err := os.Stat(dashboards); err == nil && !in.cmd.Flags().Changed("dashboards") {
			found.Dashboards = dashboards
		}
		if _, err := os.Stat(prometheus); err == nil && !in.cmd.Flags().Changed("prometheus") {
			found.Prometheus = prometheus
		}
	}
	if len(found.Metrics) == 0 {
		out = append(out, "--metrics")
	}
	return found, out
}

// output is how findings are written.
type output struct {
	format string
	strict bool
}

// check writes the findings. The error is errFound if there are errors.
func (in *inputs) check(ctx context.Context, w io.Writer, out output) error {
	found, err := in.find(ctx, w, out)
	if err == nil && found > 0 {
		err = errFound
	}
	return err
}

// find writes the findings, and counts the errors among them.
func (in *inputs) find(ctx context.Context, w io.Writer, out output) (int, error) {
	if !slices.Contains(finding.Formats, out.format) {
		return 0, fmt.Errorf("--format %q: choose one of %s", out.format, strings.Join(finding.Formats, ", "))
	}
	if in.project != nil {
		if err := prove.Check(in.project); err != nil {
			return 0, err
		}
	}
	present, without := in.present()
	findings, set, err := check.Run(ctx, present)
	if err != nil {
		return 0, err
	}
	if in.changed != nil {
		findings = slices.DeleteFunc(findings, func(f finding.Finding) bool { return !in.changed.Touches(f.File, f.Alert) })
	}
	if in.alerts != nil {
		findings = slices.DeleteFunc(findings, func(f finding.Finding) bool { return f.Alert != "" && !slices.Contains(in.alerts, f.Alert) })
	}
	report := finding.Report{Checks: check.Checks, Findings: findings}
	for _, alert := range set.Alerts {
		report.Alerts = append(report.Alerts, finding.Alert{Name: alert.Name, File: alert.File, Line: alert.Line})
	}
	if out.strict {
		for i := range report.Findings {
			report.Findings[i].Severity = finding.Error
		}
	}
	if err := report.Write(w, out.format, isColored(w)); err != nil {
		return 0, fmt.Errorf("writing the findings: %w", err)
	}
	if out.format == "text" || out.format == "github" { // read by people
		writeNotes(w, set)
		fmt.Fprintf(w, "check: %d alerts, %d errors, %d warnings", len(set.Alerts), report.Count(finding.Error), report.Count(finding.Warning))
		if len(without) > 0 {
			fmt.Fprintf(w, "; left out: %s", strings.Join(without, ", "))
		}
		fmt.Fprintln(w)
	}
	return report.Count(finding.Error), nil
}

// writeNotes writes which files are not read, and which are for other programs than Prometheus. Many that are skipped for the
// same reason are one line, except those that hold rules.
func writeNotes(w io.Writer, set rule.Set) {
	const many = 5
	same := map[string]int{}
	for _, skipped := range set.Skipped {
		same[skipped.Why]++
	}
	said := map[string]bool{}
	for _, skipped := range set.Skipped {
		switch n := same[skipped.Why]; {
		case skipped.Line > 0 || n < many:
			fmt.Fprintf(w, "check: skipped %s\n", skipped)
		case !said[skipped.Why]:
			said[skipped.Why] = true
			fmt.Fprintf(w, "check: skipped %s, and so are %d others\n", skipped, n-1)
		}
	}
	for _, f := range set.Foreign {
		fmt.Fprintf(w, "check: %s:%d has %s, a field for %s: Prometheus itself does not load the file\n", f.File, f.Line, f.Field, f.Program)
	}
}

// isColored reports whether colours are seen and wanted: https://no-color.org
func isColored(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func checkCommand() *cobra.Command {
	var in inputs
	var out output
	var list bool
	var changedSince string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Compare rules, runbooks, routes, the host and the specs with each other",
		Long: `Compare rules, runbooks, routes, the host and the specs with each other, before anything is
started. An input that a flag empties (--runbooks=) is left out, and so is one that no flag
names and whose default does not exist.

In a folder with a ` + project.FileName + `, the rules, the runbooks and the configurations of Prometheus and Alertmanager
are those that it names, its drills are the specs, and programs, metrics and dashboards are left out, unless flags name them.

A finding is suppressed by a comment with the reason, right before the rule or among its lines,
before a paragraph, fence or heading of a runbook, or at the top of a file:

  # firedrill: ignore CHECK -- reason
  <!-- firedrill: ignore CHECK -- reason -->

It is a hook of pre-commit as well: firedrill-check.

Exit status: 0 no errors, though there may be warnings; 1 errors, or with --strict warnings;
2 unusable input, which is reported on stderr in every format.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if list {
				for _, check := range check.Checks {
					fmt.Fprintf(cmd.OutOrStdout(), "%-21s  %-7s  %s\n", check.Name, check.Severity, check.Help)
				}
				return nil
			}
			if err := in.load(); err != nil {
				return err
			}
			if cmd.Flags().Changed("changed-since") {
				if in.changed, err = in.since(cmd.Context(), changedSince); err != nil {
					return err
				}
			}
			return in.check(cmd.Context(), cmd.OutOrStdout(), out)
		},
	}
	in.addFlags(cmd)
	cmd.Flags().StringVar(&out.format, "format", "text", strings.Join(finding.Formats, ", "))
	cmd.Flags().BoolVar(&out.strict, "strict", false, "fail on warnings too")
	cmd.Flags().StringVar(&changedSince, "changed-since", "", "report only on what git sees changed since this revision, such as origin/main")
	cmd.Flags().BoolVar(&list, "list", false, "list the checks and exit")
	return cmd
}
