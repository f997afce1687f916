package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/check"
	"github.com/stemedb/firedrill/tools/finding"
	"github.com/stemedb/firedrill/tools/nearest"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/witness"
)

// witnessing holds the flags of firedrill witness.
type witnessing struct {
	rules    string
	format   string
	generate bool
	output   string
	interval time.Duration
}

func witnessCommand() *cobra.Command {
	var w witnessing
	cmd := &cobra.Command{
		Use:     "witness [ALERT...]",
		Aliases: []string{"boundaries"},
		Short:   "Show for each alert whether it can fire, and at which input, as observed on Prometheus's engine",
		Long: `Shows for each alert one of four answers: it fires, with the input at which it does, the nearest at which it does
not, after how long, and what clears it; it never fires, or always, and why; or that is not known. What fires was observed
on Prometheus's engine. The command was called boundaries, and for one release still has that name too.

An alert that never or always fires is an error. As for firedrill check, a comment with the reason suppresses it, right
before the rule or among its lines; CHECK is the name of a check, such as expr/never, as the error gives it:

  # firedrill: ignore CHECK -- reason

An expression without a metric, such as vector(1), is meant to fire always.

--format json writes one object, in which durations are text, such as 5m:

  alerts: list, in the order of the files
    alert, file, line, group
    interval: between evaluations
    answer: "fires", "never fires", "always fires" or "not known"
    reasons: list of why it never or always fires, or why that is not known
      text
      places: list of {line, column, endLine, endColumn, text}, the parts of the expression that it is about; the columns
        of the first and the last character, from 1
    exporters: whether "never fires" rests on exporters doing as usual, rather than on the text alone
    suppressed: the reason of the comment that suppresses the error; absent without one
    meant: true for an expression without a metric; else absent
    input: at which it fires, as promtool writes it; absent unless it fires
      interval: between samples
      series: list of {series, values}
      checks: list of {at, firing}, how many alerts fire how long after the start
    boundaries: list, for each condition that was seen to decide
      condition: the part of the expression
      fires, quiet: the two neighbouring inputs
      after: how long the condition holds before the alert fires
      clears: list of what resolves it, and after how long
    unknown: list of {condition, reason}, the conditions without a boundary
  fires, never, always, notKnown: how many alerts have that answer
  failed: how many never or always fire without a reason given

--generate prints a file of promtool unit tests instead, to be saved in the folder of the rules: what fires is what was
observed with all rules of the files that it names. With --output FOLDER, it writes a file for each rule file,
NAME_witness_test.yml, which names the rule file and those that record what its alerts read. Since promtool evaluates all
groups of a test file at one interval, alerts of several intervals get a file each. What promtool cannot read, such as a
PrometheusRule manifest, is written beside it as NAME.rendered. A comment says which alerts have no test, and why.
Files that were written before are replaced, others are not.

Exit status: 0 no alert never or always fires, or there is a reason; 1 one does; 2 unusable input. With --generate, 0 or 2.`,
		RunE: w.run,
	}
	addRulesFlag(cmd, &w.rules)
	cmd.Flags().StringVar(&w.format, "format", "text", "text, json")
	cmd.Flags().BoolVar(&w.generate, "generate", false, "print promtool unit tests instead")
	cmd.Flags().StringVar(&w.output, "output", "", "with --generate: folder to write a test file for each rule file to, such as that of the rules")
	cmd.Flags().DurationVar(&w.interval, "interval", witness.DefaultInterval, "evaluation interval of groups that set none")
	return cmd
}

func (w *witnessing) run(cmd *cobra.Command, names []string) error {
	switch {
	case w.interval <= 0:
		return fmt.Errorf("--interval %s: give a positive duration, such as 1m", w.interval)
	case w.format != "text" && w.format != "json":
		return fmt.Errorf("--format %q: choose one of text, json", w.format)
	case w.output != "" && !w.generate:
		return errors.New("--output is for tests: give --generate as well")
	case w.generate && cmd.Flags().Changed("format"):
		return errors.New("--generate writes tests: leave out --format")
	}
	set, err := rule.Read(w.rules)
	if err != nil {
		return err
	}
	alerts, err := chosenOf(set.Alerts, w.rules, names)
	if err != nil {
		return err
	}
	results, err := witness.Find(cmd.Context(), set, alerts, w.interval)
	if err != nil {
		return err
	}
	switch {
	case w.output != "":
		return w.write(cmd, set, results)
	case w.generate:
		one, err := witness.GenerateOne(cmd.Context(), set, results, folderOf(w.rules, set))
		if err == nil {
			_, err = cmd.OutOrStdout().Write(one.Content)
		}
		return err
	}
	return w.report(cmd.OutOrStdout(), results)
}

// folderOf is the folder of rules: that which was named, or that of the first file.
func folderOf(rules string, set rule.Set) string {
	if info, err := os.Stat(rules); err == nil && info.IsDir() {
		return rules
	}
	return filepath.Dir(set.Files[0].Path)
}

// report writes the answers. The error is errFound where an alert never or always fires, and no reason is given.
func (w *witnessing) report(out io.Writer, results []witness.Result) error {
	all, findings := judged(results)
	var err error
	if w.format == "json" {
		err = witness.WriteJSON(out, all)
	} else {
		err = writeAnswers(out, all, findings)
	}
	if err != nil {
		return fmt.Errorf("writing the answers: %w", err)
	}
	if len(findings) > 0 {
		return errFound
	}
	return nil
}

// judged returns the answers with what suppresses them, and the findings that nothing suppresses.
func judged(results []witness.Result) (all []witness.Answered, findings []finding.Finding) {
	var found []finding.Finding
	var of []int // the result that a finding is about
	for i, r := range results {
		all = append(all, witness.Answered{Result: r})
		var own []finding.Finding
		switch r.Answer {
		case witness.Never:
			by := promql.Usual
			if r.Sure {
				by = promql.Sure
			}
			own = check.Never(r.Alert, r.Why, by)
		case witness.Always:
			own = check.Always(r.Alert)
			all[i].Meant = len(own) == 0
		}
		for _, f := range own {
			f.Severity = finding.Error
			found, of = append(found, f), append(of, i)
		}
	}
	open := map[int]bool{}
	reasons := check.Suppressed(found)
	for i, reason := range reasons {
		if reason == "" {
			findings = append(findings, found[i])
			open[of[i]] = true
		}
	}
	for i, reason := range reasons {
		if !open[of[i]] {
			all[of[i]].Suppressed = reason
		}
	}
	return all, findings
}

// writeAnswers writes the table, the errors and how many alerts have which answer.
func writeAnswers(out io.Writer, all []witness.Answered, findings []finding.Finding) error {
	if err := witness.WriteTable(out, all); err != nil {
		return err
	}
	if len(findings) > 0 {
		fmt.Fprintln(out)
	}
	if err := (finding.Report{Findings: findings}).Write(out, "text", isColored(out)); err != nil {
		return err
	}
	counts := map[witness.Answer]int{}
	failed := 0
	for _, a := range all {
		counts[a.Answer]++
		if a.Failed() {
			failed++
		}
	}
	_, err := fmt.Fprintf(out, "witness: fires %d, never fires %d, always fires %d, not known %d; errors: %d\n",
		counts[witness.Fires], counts[witness.Never], counts[witness.Always], counts[witness.NotKnown], failed)
	return err
}

// write writes test files to the folder that --output names.
func (w *witnessing) write(cmd *cobra.Command, set rule.Set, results []witness.Result) error {
	files, err := witness.Generate(cmd.Context(), set, results, w.output)
	if err != nil {
		return err
	}
	for _, f := range files { // before any is written
		if err := ours(filepath.Join(w.output, filepath.FromSlash(f.Name))); err != nil {
			return err
		}
	}
	tests := 0
	for _, f := range files {
		path := filepath.Join(w.output, filepath.FromSlash(f.Name))
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, f.Content, 0o644)
		}
		if err != nil {
			return fmt.Errorf("write the tests: %w", err)
		}
		tests += f.Tests
		fmt.Fprintln(cmd.OutOrStdout(), path)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "witness: alerts %d, tests %d, files %d\n", len(results), tests, len(files))
	return err
}

// ours returns an error for a file that exists and was not generated.
func ours(path string) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && bytes.HasPrefix(content, []byte(witness.Heading)) {
		return nil
	}
	if err == nil {
		err = errors.New("it was not written by firedrill witness: rename it, or remove it")
	}
	return fmt.Errorf("%s is not replaced: %w", path, err)
}

// chosen loads the named alerts of a list of paths, as rule.Read has it, or all.
func chosen(rules string, names []string) ([]rule.Alert, error) {
	set, err := rule.Read(rules)
	if err != nil {
		return nil, err
	}
	return chosenOf(set.Alerts, rules, names)
}

// chosenOf returns the named ones of alerts, or all.
func chosenOf(alerts []rule.Alert, rules string, names []string) ([]rule.Alert, error) {
	var known []string
	for _, a := range alerts {
		known = append(known, a.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no alert %q in %s: %s", name, rules, nearest.Choice(name, known))
		}
	}
	if len(names) > 0 {
		alerts = slices.DeleteFunc(slices.Clone(alerts), func(a rule.Alert) bool { return !slices.Contains(names, a.Name) })
	}
	if len(alerts) == 0 {
		return nil, fmt.Errorf("no alert in %s: name a folder with alerting rules", rules)
	}
	return alerts, nil
}
