package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/report"
)

// reportDir is where a run leaves its report.
const reportDir = "report"

// previousVariable is the environment variable that names the journal, or the report, of the run to compare with; without
// it, that is the one in reportDir.
const previousVariable = "FIREDRILL_PREVIOUS"

func reportCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "report", Short: "Verify, open and merge the reports that runs leave"}
	cmd.AddCommand(reportVerifyCommand(), reportOpenCommand(), reportMergeCommand())
	return cmd
}

func reportVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify [DIR]",
		Short: "Tell whether a file of a report was changed, is missing or was added",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := named(args)
			wrong, err := report.Verify(dir)
			if err != nil {
				return err
			}
			for _, sentence := range wrong {
				fmt.Fprintln(cmd.OutOrStdout(), sentence)
			}
			if len(wrong) > 0 {
				return errRefuted
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is as it was written\n", dir)
			return nil
		},
	}
}

func reportOpenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "open [DIR]",
		Short: "Open a report in a browser",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			page, err := filepath.Abs(filepath.Join(named(args), report.PageFile))
			if err != nil {
				return err
			}
			if _, err := os.Stat(page); err != nil {
				return fmt.Errorf("there is no report in %s: %w", named(args), err)
			}
			if err := browse(cmd.Context(), page); err != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "no browser could be opened (%v): open %s\n", err, page)
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout(), page)
			return nil
		},
	}
}

// browse has the desktop open a page.
func browse(ctx context.Context, page string) error {
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	} else if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return errors.New("there is no desktop")
	}
	return exec.CommandContext(ctx, program, page).Run()
}

func reportMergeCommand() *cobra.Command {
	var into string
	cmd := &cobra.Command{
		Use:   "merge DIR... --into DIR",
		Short: "Join the reports of a run's shards into one",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, shards []string) error {
			previous, err := previousJournal(into)
			if err != nil {
				return err
			}
			j, err := report.Merge(shards, into, previous)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(into, report.PageFile))
			return printTable(cmd.OutOrStdout(), report.Summarize(j))
		},
	}
	cmd.Flags().StringVar(&into, "into", "", "folder to write the joined report to")
	_ = cmd.MarkFlagRequired("into") // there is such a flag
	return cmd
}

// named is the report that a command line names, or the one that a run leaves.
func named(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return reportDir
}

// previousJournal is the journal to compare with: the one that is named, or that of the report which is about to be
// replaced; nil where there is none.
func previousJournal(dir string) (*journal.Journal, error) {
	name := os.Getenv(previousVariable)
	if name == "" {
		name = filepath.Join(dir, report.JournalFile)
		if _, err := os.Stat(name); err != nil {
			return nil, nil
		}
	}
	j, err := report.ReadJournal(name)
	if err != nil {
		return nil, fmt.Errorf("the previous run: %w", err)
	}
	return &j, nil
}
