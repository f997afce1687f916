package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/check"
)

// inputs is what is to be proven: rules, runbooks, and the way from an alert to a person.
type inputs struct {
	rules, runbooks, alertmanager string
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
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Compare rules, runbooks and routes with each other",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return in.check(cmd.OutOrStdout())
		},
	}
	in.addFlags(cmd)
	return cmd
}
