// Command firedrill proves that every alert fires when it should and that following its runbook, to
// the letter, makes it stop.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/image"
)

// The exit statuses.
const (
	exitProven   = 0
	exitFound    = 1 // a proof failed, or a check found something
	exitBadInput = 2 // the input or the machine cannot be used; nothing was proven
)

// errFound ends a command that has told what is wrong already.
var errFound = errors.New("a check or a proof failed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run runs one command line and returns its exit status. Whatever goes wrong is a sentence on stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "firedrill: an error in firedrill, please report it: %v\n", r)
			status = exitBadInput
		}
	}()
	cmd := newCommand()
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitProven
	case errors.Is(err, errFound):
		return exitFound
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	}
	for line := range strings.Lines(err.Error()) { // several, where several inputs are wrong
		fmt.Fprintf(stderr, "firedrill: %s\n", strings.TrimRight(line, "\n"))
	}
	return exitBadInput
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "firedrill",
		Short: "Every alert fires when it should, and following its runbook makes it stop",
		Long: `Firedrill proves that every alert fires when it should and that following its runbook, to the
letter, makes it stop.

Exit status: 0 proven; 1 a proof failed or a check found something; 2 the input or the
machine cannot be used.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddCommand(initCommand(), schemaCommand(), checkCommand(), routeCommand(), watchCommand(), testCommand(), witnessCommand(), mutateCommand(), newAlertCommand(),
		indexCommand(), affectedCommand(), planCommand(), imagesCommand(), proveCommand(), drillCommand(), tableCommand(), reportCommand(), cleanCommand())
	return root
}

func imagesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "images",
		Short: "Build the images that are missing or out of date",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := image.Ensure(cmd.Context(), cmd.OutOrStdout())
			return err
		},
	}
}

func cleanCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "clean",
		Short: "Remove what firedrill made in Docker: containers, volumes, networks, images",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return image.Clean(cmd.Context(), cmd.OutOrStdout())
		},
	}
}
