package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/witness"
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
		Long: `Shows at which inputs alerts begin to fire. From each expression firedrill derives input series on either side
of each threshold, evaluates them with Prometheus's engine, and prints what it observed. Parts of an expression
that it does not understand are listed below the table.

--generate prints a promtool unit test file instead, to be saved beside the rule files.`,
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
			var all []witness.Derived
			for _, a := range alerts {
				found, err := witness.Derive(cmd.Context(), a, every(a))
				if err != nil {
					return err
				}
				all = append(all, found)
			}
			if generate {
				return witness.WriteTests(cmd.OutOrStdout(), all, every(alerts[0]))
			}
			return witness.WriteTable(cmd.OutOrStdout(), all)
		},
	}
	addRulesFlag(cmd, &rules)
	cmd.Flags().BoolVar(&generate, "generate", false, "print promtool unit tests instead of the table")
	cmd.Flags().DurationVar(&interval, "interval", witness.DefaultInterval, "evaluation interval of groups that set none")
	return cmd
}

// chosen loads the named alerts of a list of paths, as rule.Read has it, or all.
func chosen(rules string, names []string) ([]rule.Alert, error) {
	set, err := rule.Read(rules)
	if err != nil {
		return nil, err
	}
	alerts := set.Alerts
	var known []string
	for _, a := range alerts {
		known = append(known, a.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no alert %q in %s: name one of %s", name, rules, strings.Join(known, ", "))
		}
	}
	if len(names) > 0 {
		alerts = slices.DeleteFunc(alerts, func(a rule.Alert) bool { return !slices.Contains(names, a.Name) })
	}
	if len(alerts) == 0 {
		return nil, fmt.Errorf("no alert in %s: name a folder with alerting rules", rules)
	}
	return alerts, nil
}
