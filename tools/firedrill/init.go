package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/project"
)

func initCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a " + project.FileName + " by looking at the folder's compose file, rules and runbooks",
		Long: `Write a ` + project.FileName + ` by looking at the files of this folder and of those below it: the compose file,
rule files, runbooks that are named after alerts, and the configurations of Prometheus and
Alertmanager. Where there is no configuration of Prometheus and the compose file tells what to
scrape, it writes a prometheus.yml as well. It has a drill for each branch of each runbook. What the files do not tell stands in
it as a comment, "# TODO key", and is printed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := os.Lstat(project.FileName); err == nil && !force {
				return fmt.Errorf("%s exists: add --force to overwrite it", project.FileName)
			}
			proposed, err := project.Propose(".")
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if proposed.Prometheus != nil {
				if err := writeNew("prometheus.yml", proposed.Prometheus); err != nil {
					return err
				}
				fmt.Fprintln(out, "wrote prometheus.yml")
			}
			if err := os.WriteFile(project.FileName, proposed.Content, 0o666); err != nil {
				return err
			}
			fmt.Fprintf(out, "wrote %s, drills: %d\n", project.FileName, proposed.Drills)
			section := func(title string, lines []string) {
				if len(lines) > 0 {
					fmt.Fprintf(out, "%s:\n  %s\n", title, strings.Join(lines, "\n  "))
				}
			}
			section("taken for likely", proposed.Guesses)
			open := proposed.Notes
			if _, err := project.Load(project.FileName); err != nil {
				open = append(open, strings.Split(err.Error(), "\n")...)
			}
			section("left to do", open)
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "overwrite a "+project.FileName)
	return cmd
}

// writeNew writes a file that does not exist.
func writeNew(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
