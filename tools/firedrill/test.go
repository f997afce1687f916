package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/ruletest"
)

// ruleTests holds the flags of firedrill test.
type ruleTests struct {
	ruletest.Options
	run         string
	lookback    string
	junit       string
	minCoverage float64
}

func testCommand() *cobra.Command {
	var t ruleTests
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Run promtool's unit tests of rules, many times faster",
		Long: `Run unit tests of rules in the format of "promtool test rules", with the verdicts of promtool
` + ruletest.Version + `, but faster.

With --extended, an expected alert may also have match_labels and match_annotations. They give a regular
expression for a label or annotation, which must match all of its value. With one of them, even an empty one,
labels (or annotations) that are not named do not count:

    exp_alerts:
      - exp_labels: {severity: critical}       # exactly this, and
        match_labels: {instance: "db-[0-9]+"}  # this; other labels may exist
        match_annotations: {}                  # any annotations

With --coverage, all rules are evaluated, and each alert_rule_test counts the state of its alert at that time:
firing, pending, resolved (it has been firing in this test), or quiet.

Exit status: 0 all tests passed; 1 one failed, or --strict or --min-coverage is not met; 2 the input is invalid.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			t.Coverage = t.Coverage || cmd.Flags().Changed("min-coverage")
			return t.test(cmd, files)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&t.run, "run", "", "run only the tests whose name matches this regular expression")
	flags.BoolVar(&t.Strict, "strict", false, "fail on warnings, and look for more of them: tests that hold whatever the rules are, groups in both orders and at their own intervals")
	flags.BoolVar(&t.Extended, "extended", false, "accept match_labels and match_annotations")
	flags.StringVar(&t.junit, "junit", "", "write the results to this file as JUnit XML")
	addFeatureFlag(cmd, &t.Features)
	flags.IntVar(&t.MaxSamples, "max-samples", ruletest.DefaultMaxSamples, "samples that one query may load")
	flags.StringVar(&t.lookback, "lookback", model.Duration(ruletest.DefaultLookback).String(), "how far back a query looks for a sample")
	flags.BoolVar(&t.Coverage, "coverage", false, "print in which states the tests assert on each rule")
	flags.Float64Var(&t.minCoverage, "min-coverage", 0, "fail if less than this percentage of states is covered")
	return cmd
}

// test runs the tests of the files and prints the results.
func (t ruleTests) test(cmd *cobra.Command, files []string) error {
	if t.run != "" {
		run, err := regexp.Compile(t.run)
		if err != nil {
			return fmt.Errorf("--run %q is not a regular expression: %w", t.run, err)
		}
		t.Options.Run = run
	}
	lookback, err := model.ParseDuration(t.lookback)
	if err != nil || lookback <= 0 {
		return fmt.Errorf("--lookback %q: give a duration, as in 5m", t.lookback)
	}
	t.Lookback = time.Duration(lookback)
	if t.MaxSamples < 1 {
		return fmt.Errorf("--max-samples %d: give at least 1", t.MaxSamples)
	}

	result, err := ruletest.Load(files, t.Options).Run(cmd.Context())
	if err != nil {
		return err
	}
	if t.junit != "" {
		if err := t.writeJUnit(result); err != nil {
			return err
		}
	}
	return t.print(cmd.OutOrStdout(), result)
}

func (t ruleTests) writeJUnit(result *ruletest.Result) error {
	file, err := os.Create(t.junit)
	if err != nil {
		return fmt.Errorf("write the JUnit XML: %w", err)
	}
	err = errors.Join(result.WriteJUnit(file, t.Strict), file.Close())
	if err != nil {
		return fmt.Errorf("write the JUnit XML: %w", err)
	}
	return nil
}

// print prints the results. The error is that of invalid input, or errFound if a test fails or a limit is not met.
func (t ruleTests) print(w io.Writer, result *ruletest.Result) error {
	passed, failed, warned := 0, 0, 0
	for _, f := range result.Files {
		for _, one := range f.Tests {
			if !one.Failed() {
				passed++
				continue
			}
			failed++
			for _, failure := range one.Failures {
				fmt.Fprintf(w, "FAIL %s\n     %s\n\n", one.Name, indented(failure.String()))
			}
		}
		warned += len(f.Warnings)
		for _, warning := range f.Warnings {
			fmt.Fprintf(w, "warning: %s\n", warning)
		}
	}
	failing := failed > 0 || t.Strict && warned > 0
	if result.Coverage != nil {
		printCoverage(w, result.Coverage)
		if percent := result.Coverage.Percent(); percent < t.minCoverage {
			fmt.Fprintf(w, "coverage %.1f%% is less than --min-coverage %v%%\n", percent, t.minCoverage)
			failing = true
		}
	}
	fmt.Fprintf(w, "test: %d passed, %d failed, %d warnings\n", passed, failed, warned)
	if err := result.Err(); err != nil {
		return err
	}
	if failing {
		return errFound
	}
	return nil
}

func indented(text string) string { return strings.ReplaceAll(text, "\n", "\n     ") }

func printCoverage(w io.Writer, c *ruletest.Coverage) {
	file := ""
	for _, r := range c.Rules {
		if r.File != file {
			file = r.File
			fmt.Fprintf(w, "%s\n", file)
		}
		if !r.Alert {
			fmt.Fprintf(w, "  %-50s %s\n", r.Rule, word(r.Recorded, "recorded"))
			continue
		}
		pending := "       "
		if r.CanPend {
			pending = word(r.Pending, "pending")
		}
		line := fmt.Sprintf("  %-50s %s %s", r.Rule, word(r.Firing, "firing"), pending)
		if !r.Always {
			line += fmt.Sprintf(" %s %s", word(r.Quiet, "quiet"), word(r.Resolved, "resolved"))
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	fmt.Fprintf(w, "coverage %.1f%%\n", c.Percent())
}

// word is the state if it was seen, or as many dashes.
func word(seen bool, state string) string {
	if seen {
		return state
	}
	return strings.Repeat("-", len(state))
}
