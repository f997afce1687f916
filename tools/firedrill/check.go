package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/change"
	"github.com/stemedb/firedrill/tools/check"
)

// inputs is what is to be proven: rules, runbooks, and the way from an alert to a person.
type inputs struct {
	rules, runbooks, alertmanager string
	changed                       *change.Set // nil to look at all
}

func (in *inputs) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&in.rules, "rules", "rules", "folder of the rule files")
	cmd.Flags().StringVar(&in.runbooks, "runbooks", "runbooks", "folder of the runbooks")
	cmd.Flags().StringVar(&in.alertmanager, "alertmanager", "fixtures/alertmanager/alertmanager.yml", "Alertmanager's configuration; empty to check no routes")
}

// check prints what in the inputs disagrees. The error is errRefuted when something does.
func (in inputs) check(w io.Writer) error {
	findings, alerts, err := check.Run(in.rules, in.runbooks, in.alertmanager)
	if err != nil {
		return err
	}
	if in.changed != nil {
		findings = touched(in.changed, findings, alerts)
	}
	for _, finding := range findings {
		fmt.Fprintf(w, "%v\n\n", finding)
	}
	fmt.Fprintf(w, "check: %d alerts, %d findings\n", len(alerts), len(findings))
	if len(findings) > 0 {
		return errRefuted
	}
	return nil
}

func checkCommand() *cobra.Command {
	var in inputs
	var changedSince string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Compare rules, runbooks and routes with each other",
		Long:  `Check compares rules, runbooks and routes with each other. It is a pre-commit hook as well: firedrill-check.`,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cmd.Flags().Changed("changed-since") {
				in.changed, err = change.Since(cmd.Context(), changedSince, in.rules, in.runbooks)
				if err != nil {
					return err
				}
			}
			return in.check(cmd.OutOrStdout())
		},
	}
	in.addFlags(cmd)
	cmd.Flags().StringVar(&changedSince, "changed-since", "", "report only on what git sees changed since this revision, such as origin/main")
	return cmd
}
