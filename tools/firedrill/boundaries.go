package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/boundary"
	"github.com/stemedb/firedrill/tools/rule"
)

func boundariesCommand() *cobra.Command {
	var (
		rules    string
		generate bool
		interval time.Duration
	)
	cmd := &cobra.Command{
		Use:   "boundaries [ALERT...]",
		Short: "Show at which inputs alerts begin to fire, as observed on Prometheus's engine",
		Long: `Shows at which inputs alerts begin to fire. From each expression firedrill derives input series just on
either side of each threshold, runs them on Prometheus's own engine, and prints what it saw. What it does
not understand of an expression is said below the table.

--generate prints the same as a file of promtool's unit tests, to be saved beside the rule files.`,
		RunE: func(cmd *cobra.Command, names []string) error {
			alerts, err := chosen(rules, names)
			if err != nil {
				return err
			}
			if interval <= 0 {
				return fmt.Errorf("--interval %s: give a positive duration, such as 1m", interval)
			}
			every := func(a rule.Alert) time.Duration {
				if a.Interval > 0 {
					return a.Interval
				}
				return interval
			}
			if generate { // a test file has one interval for all
				shortest := every(alerts[0])
				for _, a := range alerts {
					shortest = min(shortest, every(a))
				}
				every = func(rule.Alert) time.Duration { return shortest }
			}
			var all []boundary.Derived
			for _, a := range alerts {
				found, err := boundary.Derive(cmd.Context(), a, every(a))
				if err != nil {
					return err
				}
				all = append(all, found)
			}
			if generate {
				return boundary.WriteTests(cmd.OutOrStdout(), all, every(alerts[0]))
			}
			return boundary.WriteTable(cmd.OutOrStdout(), all)
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "rules", "folder of the rule files")
	cmd.Flags().BoolVar(&generate, "generate", false, "print promtool unit tests in place of the table")
	cmd.Flags().DurationVar(&interval, "interval", boundary.DefaultInterval, "time between evaluations, for groups that do not say")
	return cmd
}

// chosen loads the alerts of a folder, those named or all.
func chosen(dir string, names []string) ([]rule.Alert, error) {
	alerts, err := rule.LoadDir(dir)
	if err != nil {
		return nil, err
	}
	var known []string
	for _, a := range alerts {
		known = append(known, a.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no alert %q in %s: name one of %s", name, dir, strings.Join(known, ", "))
		}
	}
	if len(names) > 0 {
		alerts = slices.DeleteFunc(alerts, func(a rule.Alert) bool { return !slices.Contains(names, a.Name) })
	}
	if len(alerts) == 0 {
		return nil, fmt.Errorf("%s holds no alert: name a folder with alerting rules", dir)
	}
	return alerts, nil
}
