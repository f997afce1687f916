package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/mutate"
	"github.com/stemedb/firedrill/tools/rule"
)

// mutation holds the flags of firedrill mutate.
type mutation struct {
	rules    string
	tests    []string
	minScore float64
}

func mutateCommand() *cobra.Command {
	var m mutation
	cmd := &cobra.Command{
		Use:   "mutate [ALERT...]",
		Short: "Make plausible mistakes in rules, and see whether their tests fail",
		Long: `Makes plausible mistakes in each rule, one at a time, runs the unit tests that depend on it, and lists the
changes for which all tests passed: the mistakes that people make most often first, each with an input that
distinguishes the two rules and with a test that fails on the change, ready for the list of tests in a test
file. A change that makes no difference is listed as equivalent and does not count.

Exit status: 0 the score is at least --min-score; 1 it is less; 2 the input is invalid, or a test fails on the
unchanged rules.`,
		RunE: func(cmd *cobra.Command, names []string) error {
			return m.run(cmd, names)
		},
	}
	addRulesFlag(cmd, &m.rules)
	cmd.Flags().StringSliceVar(&m.tests, "tests", nil, "test files, folders of them, or patterns for them (default: the *_test.yml, *_test.yaml and *_test.rules in the folders of the rules and below)")
	cmd.Flags().Float64Var(&m.minScore, "min-score", 100, "percentage of mutants that tests must kill, in total")
	return cmd
}

func (m mutation) run(cmd *cobra.Command, names []string) error {
	if m.minScore < 0 || m.minScore > 100 {
		return fmt.Errorf("--min-score %v: give a percentage from 0 to 100", m.minScore)
	}
	alerts, err := chosen(m.rules, names)
	if err != nil {
		return err
	}
	files, err := m.testFiles()
	if err != nil {
		return err
	}
	outcomes, err := runMutants(cmd.Context(), alerts, files)
	if err != nil {
		return err
	}
	content := map[string]string{}
	for _, a := range alerts {
		if content[a.File] == "" {
			text, err := os.ReadFile(a.File)
			if err != nil {
				return fmt.Errorf("read %s again: %w", a.File, err)
			}
			content[a.File] = string(text)
		}
	}
	if err := mutate.Write(cmd.OutOrStdout(), outcomes, content); err != nil {
		return err
	}
	if _, total := mutate.Scores(outcomes); total.Percent() < m.minScore {
		return errFound
	}
	return nil
}

// runMutants makes the mutants of alerts, runs the tests on them, and finds inputs that distinguish survivors.
func runMutants(ctx context.Context, alerts []rule.Alert, files []string) ([]mutate.Outcome, error) {
	tests, err := mutate.Load(ctx, files)
	if err != nil {
		return nil, err
	}
	var mutants []mutate.Mutant
	for _, a := range alerts {
		own, err := mutate.Of(a)
		if err != nil {
			return nil, err
		}
		mutants = append(mutants, own...)
	}
	outcomes, err := tests.Run(ctx, mutants)
	if err != nil {
		return nil, err
	}
	return outcomes, tests.Distinguish(ctx, outcomes)
}

// testFiles returns the files that --tests names.
func (m mutation) testFiles() ([]string, error) {
	if len(m.tests) == 0 {
		var files []string
		for _, path := range filepath.SplitList(m.rules) {
			if info, err := os.Stat(path); err != nil || !info.IsDir() {
				path = filepath.Dir(path)
			}
			found, err := testsBelow(path)
			if err != nil {
				return nil, err
			}
			files = append(files, found...)
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s holds no *_test.yml: name the unit tests with --tests", m.rules)
		}
		slices.Sort(files)
		return slices.Compact(files), nil
	}
	var files []string
	for _, p := range m.tests {
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("--tests %q is not a pattern: %w", p, err)
		}
		before := len(files)
		for _, path := range found {
			if info, err := os.Stat(path); err != nil || !info.IsDir() {
				files = append(files, path)
				continue
			}
			below, err := testsBelow(path)
			if err != nil {
				return nil, err
			}
			files = append(files, below...)
		}
		if len(files) == before {
			return nil, fmt.Errorf("--tests %q matches no file: name a file of unit tests", p)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// testsBelow lists the test files in a folder and in those below it, as rule.IsTest has it.
func testsBelow(dir string) ([]string, error) {
	folders, _, err := rule.Walk(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !e.IsDir() && rule.IsTest(e.Name()) {
				files = append(files, filepath.Join(folder, e.Name()))
			}
		}
	}
	slices.Sort(files)
	return files, nil
}
