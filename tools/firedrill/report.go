package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/redact"
	"github.com/stemedb/firedrill/tools/report"
)

// reportDir is the folder of a run's report.
const reportDir = "report"

// previousVariable is the environment variable with the path of the journal or report to compare with. By default it is
// the one in reportDir.
const previousVariable = "FIREDRILL_PREVIOUS"

func reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Verify, open and merge reports",
		Long: `Each run of prove leaves a report in report/: index.html for people, journal.json for programs, junit.xml for CI,
test-result.intoto.json to be signed, and SHA256SUMS of them all. It is compared with the report that was there before,
or with the journal or the report that the environment variable ` + previousVariable + ` names.`,
	}
	cmd.AddCommand(reportVerifyCommand(), reportOpenCommand(), reportMergeCommand())
	return cmd
}

func reportVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify [DIR]",
		Short: "Check whether a file of a report was changed, removed or added",
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
				return errFound
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is unchanged\n", dir)
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
				return fmt.Errorf("no report in %s: %w", named(args), err)
			}
			if err := browse(cmd.Context(), page); err != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "cannot open a browser (%v): open %s\n", err, page)
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout(), page)
			return nil
		},
	}
}

// browse opens a page in the desktop's browser.
func browse(ctx context.Context, page string) error {
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	} else if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return errors.New("no desktop")
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
			previous, err := previousJournal(into, cmd.OutOrStdout())
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
	_ = cmd.MarkFlagRequired("into") // the flag exists
	return cmd
}

// named is the report of the command line, or reportDir.
func named(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return reportDir
}

// previousJournal is the journal to compare with: the given one, or that of the report that the run will replace. It is nil
// if that report does not exist or cannot be read.
func previousJournal(dir string, out io.Writer) (*journal.Journal, error) {
	name := os.Getenv(previousVariable)
	if _, err := os.Stat(filepath.Join(dir, report.JournalFile)); name == "" && err != nil {
		return nil, nil
	}
	j, err := report.ReadJournal(cmp.Or(name, dir))
	switch {
	case err != nil && name != "":
		return nil, fmt.Errorf("%s: %w", previousVariable, err)
	case err != nil:
		fmt.Fprintf(out, "no run to compare with: %v\n", err)
		return nil, nil
	}
	return &j, nil
}

// record holds what is known of a run before its suites start. It becomes the report once they have ended.
type record struct {
	journal  journal.Journal // without its proofs
	previous *journal.Journal
	secrets  *os.File // the file to which suites add their secrets
}

// begin records what the run proves, and with what. Problems that would prevent the report are errors now, not after an
// hour.
func (p proof) begin(ctx context.Context, images image.Set, out io.Writer) (*record, error) {
	r := &record{journal: journal.Journal{Run: journal.Run{Started: time.Now().UTC(), Command: append([]string{"firedrill"}, os.Args[1:]...), Firedrill: version(), Go: runtime.Version()}}}
	err := report.Replaceable(reportDir)
	if err != nil {
		return nil, err
	}
	if r.previous, err = previousJournal(reportDir, out); err != nil {
		return nil, err
	}
	if r.journal.Inputs, err = journal.Inputs(p.Rules, p.Runbooks); err != nil {
		return nil, err
	}
	if r.journal.Versions, err = journal.Versions(ctx); err != nil {
		return nil, err
	}
	if r.journal.Images, err = digests(ctx, images); err != nil {
		return nil, err
	}
	r.journal.Run.Commit, r.journal.Run.Dirty = journal.Commit(ctx)
	if r.secrets, err = os.CreateTemp("", "firedrill-secrets-"); err != nil {
		return nil, fmt.Errorf("make a file for the suites' secrets: %w", err)
	}
	return r, nil
}

// close removes the secrets.
func (r *record) close() {
	r.secrets.Close()
	os.Remove(r.secrets.Name())
}

// end writes the report of the suites' results, and returns its journal. failure is the error of running them.
func (r *record) end(found journal.Journal, failure error) (journal.Journal, error) {
	j := r.journal
	j.Schema, j.Kind, j.Proofs = found.Schema, found.Kind, found.Proofs
	j.Run.Ended, j.Run.Testbeds = time.Now().UTC(), found.Run.Testbeds
	if failure != nil && !slices.ContainsFunc(j.Proofs, func(p journal.Proof) bool { return p.Verdict != journal.True }) {
		j.Proofs = append(j.Proofs, journal.Proof{
			Suite: "firedrill", Alert: "(the run)", Verdict: journal.Unknown, Started: j.Run.Started, Ended: j.Run.Ended,
			Failure: fmt.Sprintf("a suite did not complete (%v): see its output", failure),
		})
	}
	junit, err := os.ReadFile(filepath.Join(outputDir, junitReport))
	if err != nil {
		return journal.Journal{}, fmt.Errorf("the suites left no JUnit report: %w", err)
	}
	secrets, err := redact.ReadNoted(r.secrets)
	if err != nil {
		return journal.Journal{}, err
	}
	redactor, err := redact.New(secrets...)
	if err != nil {
		return journal.Journal{}, err
	}
	// Ginkgo's reports and the evidence are kept beside it, for the next plan, CI and people.
	evidence := cmp.Or(os.Getenv("FIREDRILL_EVIDENCE"), filepath.Join(outputDir, "evidence"))
	for _, left := range []string{filepath.Join(outputDir, jsonReport), filepath.Join(outputDir, junitReport), evidence} {
		if err := cleanse(left, redactor); err != nil {
			return journal.Journal{}, fmt.Errorf("remove secrets from the suites' output: %w", err)
		}
	}
	return report.Write(reportDir, report.Source{
		Journal: j, JUnit: junit, Previous: r.previous, Secrets: redactor,
		Evidence: []string{evidence},
	})
}

// cleanse removes the secrets from a file, or from all files in a folder, if it exists.
func cleanse(path string, secrets redact.Redactor) error {
	return filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil || !entry.Type().IsRegular():
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return os.WriteFile(file, secrets.Bytes(content), 0o644)
	})
}

// version is that of firedrill.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}

// digests returns the images with their digests in the Docker Engine.
func digests(ctx context.Context, images image.Set) ([]journal.Image, error) {
	cli, err := image.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer cli.Close()
	found := []journal.Image{}
	for _, variable := range images.Environ() { // such as FIREDRILL_IMAGE_HOST=reference
		name, ref, _ := strings.Cut(variable, "=")
		seen, err := cli.ImageInspect(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("inspect the image %s: %w", ref, err)
		}
		found = append(found, journal.Image{Name: strings.ToLower(strings.TrimPrefix(name, "FIREDRILL_IMAGE_")), Reference: ref, Digest: seen.ID})
	}
	return found, nil
}
