package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/check"
)

// inputs is what is to be proven: rules, runbooks, and the way from an alert to a person.
type inputs struct {
	rules, runbooks, alertmanager string
	metrics                       []string
	dashboards                    string
}

// inventory is what our own server exports; it says nothing of other rules than ours.
const inventory = "fixtures/metrics/stemedb-api.prom"

func (in *inputs) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&in.rules, "rules", "rules", "folder of the rule files")
	cmd.Flags().StringVar(&in.runbooks, "runbooks", "runbooks", "folder of the runbooks")
	cmd.Flags().StringVar(&in.alertmanager, "alertmanager", "fixtures/alertmanager/alertmanager.yml", "Alertmanager's configuration; empty to check no routes")
	cmd.Flags().StringArrayVar(&in.metrics, "metrics", nil, "file or URL with metrics as a target exports them; may be repeated (default, for our own rules, "+inventory+")")
	cmd.Flags().StringVar(&in.dashboards, "dashboards", "", "folder of Grafana dashboards")
	cmd.PreRun = func(cmd *cobra.Command, _ []string) {
		if _, err := os.Stat(inventory); err == nil && !cmd.Flags().Changed("rules") && !cmd.Flags().Changed("metrics") {
			in.metrics = []string{inventory}
		}
	}
}

// check prints what in the inputs disagrees. The error is errRefuted when something does.
func (in inputs) check(ctx context.Context, w io.Writer) error {
	findings, set, err := check.Run(ctx, check.Inputs{
		Rules: in.rules, Runbooks: in.runbooks, Alertmanager: in.alertmanager, Metrics: in.metrics, Dashboards: in.dashboards,
	})
	if err != nil {
		return err
	}
	for _, finding := range findings {
		fmt.Fprintf(w, "%v\n\n", finding)
	}
	for _, skipped := range set.Skipped {
		fmt.Fprintf(w, "check: passed over %s, %s\n", skipped.File, skipped.Why)
	}
	fmt.Fprintf(w, "check: %d alerts, %d findings\n", len(set.Alerts), len(findings))
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
			return in.check(cmd.Context(), cmd.OutOrStdout())
		},
	}
	in.addFlags(cmd)
	return cmd
}
