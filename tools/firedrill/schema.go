package main

import (
	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/project"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of " + project.FileName,
		Long: `Print the JSON Schema (draft 2020-12) of ` + project.FileName + `, by which editors complete and check it. For those
that use yaml-language-server:

  firedrill schema >firedrill.schema.json

and, as the first line of ` + project.FileName + `:

  # yaml-language-server: $schema=firedrill.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(project.Schema)
			return err
		},
	}
}
