package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/change"
	"github.com/stemedb/firedrill/tools/project"
)

func affectedCommand() *cobra.Command {
	var in inputs
	var rev string
	cmd := &cobra.Command{
		Use:   "affected --since REV",
		Short: "Print the label filter for the specs that a git change calls for",
		Long: `Affected compares the working tree, uncommitted and new files included, with the commit at which its
branch left REV, and prints one line: Ginkgo's label filter for the specs that the change calls for, as
"firedrill prove --labels" takes it. Why goes to standard error.

  A || B   the proofs of these alerts: their rules (after parsing), the recording rules that they use,
           their runbooks, their tests or their drills in ` + project.FileName + ` have changed, or they are gone
  ` + change.Every + `    all proofs: something changed that is none of that, and no documentation
  ` + change.None + `     no proof: nothing changed that any could show

Run it where the project is: of what lies outside of the working directory, only the workflows count, and what a
` + project.FileName + ` and its compose files name.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := in.load(); err != nil {
				return err
			}
			set, err := in.since(cmd.Context(), rev)
			if err != nil {
				return err
			}
			for line := range strings.Lines(set.String()) {
				fmt.Fprint(cmd.ErrOrStderr(), "affected: ", line)
			}
			fmt.Fprintln(cmd.OutOrStdout(), set.LabelFilter())
			return nil
		},
	}
	cmd.Flags().StringVar(&rev, "since", "", "revision to compare with, such as origin/main")
	in.addFolderFlags(cmd)
	_ = cmd.MarkFlagRequired("since") // it exists
	return cmd
}
