package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/check"
)

func indexCommand() *cobra.Command {
	var in inputs
	cmd := &cobra.Command{
		Use:   "index",
		Short: "Write the index of the runbooks, as the README of their folder",
		Long: `Index writes ` + check.IndexFile + ` into the folder of the runbooks: each alert with its severity, condition, duration,
the branches of its runbook and the labels that nearly all alerts have, and the procedures that runbooks link to.
From then on firedrill check reports an index that is out of date. A ` + check.IndexFile + ` that is not such an index is left as it is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := in.load(); err != nil {
				return err
			}
			if in.Runbooks == "" {
				return errors.New("--runbooks is empty: name the folder of the runbooks")
			}
			content, err := check.Index(in.Inputs)
			if err != nil {
				return err
			}
			file := filepath.Join(in.Runbooks, check.IndexFile)
			old, err := os.ReadFile(file)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("reading the existing index: %w", err)
			}
			if err == nil && !check.IsIndex(old) {
				return fmt.Errorf("%s: not an index that firedrill wrote: give it another name to keep it", file)
			}
			if err := os.WriteFile(file, content, 0o644); err != nil {
				return fmt.Errorf("writing the index: %w", err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), file)
			return nil
		},
	}
	in.addFolderFlags(cmd)
	return cmd
}
