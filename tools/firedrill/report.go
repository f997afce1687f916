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
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/redact"
	"github.com/stemedb/firedrill/tools/report"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/testbed"
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

// record holds what is known of a run, and what has been proven so far. It becomes the report at its end.
type record struct {
	journal  journal.Journal
	previous *journal.Journal
	secrets  *os.File // the file to which those that prove add their secrets
	junit    [][]byte
	evidence []string // folders
	left     []string // files and folders that stay beside the report
	lock     *os.File // on the folder; no other run is in it
	// temporary are folders that do not stay.
	temporary []string
	failure   error // why a run is not whole though each proof is
}

// begin records what the run proves, and with what. Problems that would prevent the report are errors now, not after an
// hour.
func (p proof) begin(ctx context.Context, out io.Writer, images ...image.Set) (*record, error) {
	r := &record{journal: journal.Journal{
		Schema: journal.Schema, Kind: journal.KindProof, Proofs: []journal.Proof{},
		Run: journal.Run{Started: time.Now().UTC(), Command: append([]string{"firedrill"}, os.Args[1:]...), Firedrill: version(), Go: runtime.Version()},
	}}
	var err error
	if r.lock, err = lock("."); err != nil {
		return nil, err
	}
	if err := report.Replaceable(reportDir); err != nil {
		return nil, err
	}
	if err := writable(filepath.Dir(reportDir)); err != nil {
		return nil, fmt.Errorf("the report cannot be written: %w", err)
	}
	if r.previous, err = previousJournal(reportDir, out); err != nil {
		return nil, err
	}
	if r.journal.Inputs, err = p.journalInputs(); err != nil {
		return nil, err
	}
	if r.journal.Versions, err = journal.Versions(ctx); err != nil {
		return nil, err
	}
	if r.journal.Images, err = digests(ctx, images...); err != nil {
		return nil, err
	}
	r.journal.Run.Commit, r.journal.Run.Dirty = journal.Commit(ctx)
	if r.secrets, err = testbed.CreateTemp(testbed.TemporarySecrets); err != nil {
		return nil, fmt.Errorf("make a file for the secrets: %w", err)
	}
	return r, nil
}

// lock locks a folder until the file is closed. It is an error where another run has locked it.
func lock(folder string) (*os.File, error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("lock the folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, errors.New("another run of firedrill is under way in this folder: wait for its end, or run in a copy")
	}
	return f, nil
}

// writable says why no folder can be made in a folder.
func writable(folder string) error {
	made, err := os.MkdirTemp(folder, ".firedrill-")
	if err != nil {
		return err
	}
	return os.Remove(made)
}

// journalInputs are the files of the suites' rules and runbooks, and of those of the projects.
func (p proof) journalInputs() ([]journal.Input, error) {
	inputs := []journal.Input{}
	if len(p.suites) > 0 {
		set, err := rule.Read(p.Rules)
		if err != nil {
			return nil, err
		}
		if inputs, err = journal.Inputs(set, p.Runbooks, p.Grammar); err != nil {
			return nil, err
		}
	}
	for _, s := range p.projects {
		more, err := journal.Inputs(s.Set, s.Runbooks, s.Grammar(), s.File)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, more...)
	}
	return inputs, nil
}

// close removes the secrets, and what is temporary.
func (r *record) close() {
	r.lock.Close() // nil in tests
	r.secrets.Close()
	os.Remove(r.secrets.Name())
	for _, folder := range r.temporary {
		os.RemoveAll(folder)
	}
}

// add adds what was proven, and the folder of its evidence.
func (r *record) add(found journal.Journal, junit []byte, evidence string) {
	r.journal.Proofs = append(r.journal.Proofs, found.Proofs...)
	r.journal.Run.Testbeds = append(r.journal.Run.Testbeds, found.Run.Testbeds...)
	r.junit, r.evidence = append(r.junit, junit), append(r.evidence, evidence)
}

// end writes the report, and returns its journal.
func (r *record) end() (journal.Journal, error) {
	j := r.journal
	journal.Sort(j.Proofs)
	j.Run.Ended = time.Now().UTC()
	if slices.ContainsFunc(j.Proofs, func(p journal.Proof) bool { return p.Drill != nil }) {
		j.Kind = journal.KindDrill
	}
	if r.failure != nil && !slices.ContainsFunc(j.Proofs, func(p journal.Proof) bool { return p.Verdict != journal.True }) {
		j.Proofs = append(j.Proofs, journal.Proof{
			Suite: "firedrill", Alert: "(the run)", Verdict: journal.Unknown, Started: j.Run.Started, Ended: j.Run.Ended,
			Failure: fmt.Sprintf("the run is not whole: %v", r.failure),
		})
	}
	secrets, err := redact.ReadNoted(r.secrets)
	if err != nil {
		return journal.Journal{}, err
	}
	redactor, err := redact.New(secrets...)
	if err != nil {
		return journal.Journal{}, err
	}
	for _, left := range r.left {
		if err := cleanse(left, redactor); err != nil {
			return journal.Journal{}, fmt.Errorf("remove secrets from the suites' output: %w", err)
		}
	}
	return report.Write(reportDir, report.Source{Journal: j, JUnit: r.junit, Previous: r.previous, Secrets: redactor, Evidence: r.evidence})
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

// digests returns the images of sets with their digests in the Docker Engine.
func digests(ctx context.Context, sets ...image.Set) ([]journal.Image, error) {
	cli, err := image.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer cli.Close()
	found := []journal.Image{}
	var variables []string
	for _, images := range sets {
		variables = append(variables, images.Environ()...)
	}
	slices.Sort(variables)
	for _, variable := range slices.Compact(variables) { // such as FIREDRILL_IMAGE_HOST=reference
		name, ref, _ := strings.Cut(variable, "=")
		seen, err := cli.ImageInspect(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("inspect the image %s: %w", ref, err)
		}
		found = append(found, journal.Image{Name: strings.ToLower(strings.TrimPrefix(name, "FIREDRILL_IMAGE_")), Reference: ref, Digest: seen.ID})
	}
	return found, nil
}
