package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/skeleton"
)

func newAlertCommand() *cobra.Command {
	var file string
	in := skeleton.Folders{}
	alert := &cobra.Command{
		Use:   "alert NAME",
		Short: "Write rule, promtool test, runbook and spec of an alert, which fail until they are filled in",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			written, err := skeleton.Alert(args[0], file, in)
			if err != nil {
				return err
			}
			for _, path := range written {
				fmt.Fprintln(cmd.OutOrStdout(), path)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "Fill in what says TODO: firedrill check lists it.")
			return nil
		},
	}
	alert.Flags().StringVar(&file, "file", "", "rule file to add the alert to, such as tls.yml (default: a new one, named after the alert)")
	alert.Flags().StringVar(&in.Rules, "rules", "rules", "folder of the rule files")
	alert.Flags().StringVar(&in.Runbooks, "runbooks", "runbooks", "folder of the runbooks")
	alert.Flags().StringVar(&in.Suites, "suites", "e2e", "folder of the suites")

	cmd := &cobra.Command{Use: "new", Short: "Write skeletons", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return errors.New("new what? write firedrill new alert NAME")
	}}
	cmd.AddCommand(alert)
	return cmd
}
