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
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2/types"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/redact"
	"github.com/stemedb/firedrill/tools/report"
)

// Where a run leaves its reports, for people and for CI.
const (
	outputDir   = "build"
	jsonReport  = "e2e.json"
	junitReport = "e2e.xml"
)

// The environment variables that tell the suites what to prove, and to leave their testbed up.
const (
	rulesVariable        = "FIREDRILL_RULES"
	runbooksVariable     = "FIREDRILL_RUNBOOKS"
	alertmanagerVariable = "FIREDRILL_ALERTMANAGER"
	keepVariable         = "FIREDRILL_KEEP"
	progressVariable     = "FIREDRILL_PROGRESS" // where to write lines that are to be seen at once
	runVariable          = "FIREDRILL_RUN"      // the process whose end is the end of the run
)

// proof is what one run is to prove, and how.
type proof struct {
	inputs
	focus   string
	labels  string
	keep    bool
	procs   int
	expect  int           // how many specs have to run; 0 leaves it open
	timeout time.Duration // of all suites together; an hour where it is 0
	// environment is what the suites are told beside that.
	environment []string
	suites      []string
}

func proveCommand() *cobra.Command {
	var p proof
	cmd := &cobra.Command{
		Use:   "prove [suite folder...]",
		Short: "Check the rules, build the images, run the suites, print what they proved and leave a report",
		RunE: func(cmd *cobra.Command, suites []string) error {
			p.suites = suitesOr(suites)
			return p.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	p.inputs.addFlags(cmd)
	cmd.Flags().StringVar(&p.focus, "focus", "", "run only the specs whose text matches this regular expression")
	cmd.Flags().StringVar(&p.labels, "labels", "", "run only the specs whose labels match this Ginkgo label filter, as in \"CertificateExpired || CertificateExpiringSoon\"")
	cmd.Flags().IntVar(&p.expect, "expect", 0, "fail unless that many specs run, as for a shard of firedrill plan")
	p.addTestbedFlags(cmd)
	return cmd
}

// everySuite is every suite that proves alerts, as Ginkgo takes it.
const everySuite = "./e2e/..."

// suitesOr returns the suite folders of a command line, or all of ours.
func suitesOr(named []string) []string {
	if len(named) == 0 {
		return []string{everySuite}
	}
	return named
}

// addTestbedFlags adds the flags of the testbeds that specs run in.
func (p *proof) addTestbedFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.keep, "keep", false, "leave the testbed up and print how to enter it")
	// A testbed waits as long as it works: two for each processor keep it busy.
	cmd.Flags().IntVar(&p.procs, "procs", min(4, 2*runtime.NumCPU()), "testbeds to run side by side")
}

// run judges what costs little first: the arguments, the rules, Docker; then images, then suites.
func (p proof) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := p.validate(); err != nil {
		return err
	}
	if info, err := os.Stat(p.Runbooks); err != nil || !info.IsDir() { // a check can do without, a proof cannot
		return fmt.Errorf("the folder of runbooks %q does not exist: name it with --runbooks", p.Runbooks)
	}
	if err := p.inputs.check(ctx, stdout, output{format: "text"}); err != nil {
		return err
	}
	if info, err := os.Stat(p.Alertmanager); err != nil || info.IsDir() {
		return fmt.Errorf("Alertmanager's configuration %q does not exist: name it with --alertmanager", p.Alertmanager)
	}
	images, err := image.Ensure(ctx, stdout)
	if err != nil {
		return err
	}
	record, err := p.begin(ctx, images, stdout)
	if err != nil {
		return err
	}
	defer record.close()

	for _, name := range []string{jsonReport, junitReport} {
		if err := os.Remove(filepath.Join(outputDir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the report of the last run: %w", err)
		}
	}
	failure := p.runSuites(ctx, images, record, stdout, stderr)
	if errors.Is(failure, errNotStarted) {
		return failure
	}
	found, err := readGinkgo(filepath.Join(outputDir, jsonReport))
	if err != nil {
		return fmt.Errorf("the suites left no report (%w): see what they printed above", cmp.Or(failure, err))
	}
	if failure == nil {
		failure = p.shortfall(found)
	}
	j, err := record.end(found, failure)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nthe report is %s\n", filepath.Join(reportDir, report.PageFile))
	return printTable(stdout, report.Summarize(j))
}

// shortfall is the error of suites that ran another number of specs than they were to.
func (p proof) shortfall(found journal.Journal) error {
	if p.expect == 0 || len(found.Proofs) == p.expect {
		return nil
	}
	return fmt.Errorf("%d specs ran, and not %d: has one another text in each run?", len(found.Proofs), p.expect)
}

// validate says which argument is of no use.
func (p proof) validate() error {
	if _, err := regexp.Compile(p.focus); err != nil {
		return fmt.Errorf("--focus %q is not a regular expression: %w", p.focus, err)
	}
	if _, err := types.ParseLabelFilter(p.labels); err != nil {
		return fmt.Errorf("--labels %q is not a label filter of Ginkgo: write names with ||, && and ! between them, as in %q", p.labels, "CertificateExpired || CertificateExpiringSoon")
	}
	if p.procs < 1 {
		return fmt.Errorf("--procs %d: at least 1 is needed", p.procs)
	}
	for _, suite := range p.suites {
		if info, err := os.Stat(strings.TrimSuffix(suite, "...")); err != nil || !info.IsDir() {
			return fmt.Errorf("the suite folder %q does not exist: name one under e2e", suite)
		}
	}
	return nil
}

// errNotStarted is the error of suites that could not even be started.
var errNotStarted = errors.New("the suites cannot be started")

// runSuites runs the suites with the Ginkgo of go.mod. An interrupt is theirs to heed: they take down
// their testbeds and write their report.
func (p proof) runSuites(ctx context.Context, images image.Set, record *record, stdout, stderr io.Writer) error {
	path, err := ginkgo(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotStarted, err)
	}
	variables, err := p.variables()
	if err != nil {
		return fmt.Errorf("%w: %w", errNotStarted, err)
	}
	progress, stop, err := relay(stdout)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotStarted, err)
	}
	defer stop()
	variables = append(variables, images.Environ()...)
	variables = append(variables, redact.Variable+"="+record.secrets.Name())
	variables = append(variables, progressVariable+"="+progress, fmt.Sprintf("%s=%d", runVariable, os.Getpid()))
	cmd := exec.Command(path, p.ginkgoArgs(isTerminal(stdout))...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Env = append(os.Environ(), variables...)
	// In a process group of their own, the suites get each interrupt once, whether it came from
	// the terminal or from kill: a second one would cut their cleanup short.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}

	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", errNotStarted, ctx.Err())
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: %w", errNotStarted, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case <-signals:
			fmt.Fprintln(stdout, "interrupted: the suites are removing their testbeds")
			syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		case err := <-ended:
			return err
		}
	}
}

// ginkgo returns the path of the program itself, since with `go tool` something would stand between it and a signal.
func ginkgo(ctx context.Context) (string, error) {
	path, err := exec.CommandContext(ctx, "go", "tool", "-n", "ginkgo").Output()
	if err != nil {
		return "", fmt.Errorf("building Ginkgo: %w", err)
	}
	return strings.TrimSpace(string(path)), nil
}

// variables are the environment variables for the suites. Each suite runs in its own folder, so that
// paths are absolute.
func (p proof) variables() ([]string, error) {
	var variables []string
	for _, input := range []struct{ variable, path string }{
		{rulesVariable, p.Rules}, {runbooksVariable, p.Runbooks}, {alertmanagerVariable, p.Alertmanager},
	} {
		path, err := filepath.Abs(input.path)
		if err != nil {
			return nil, err
		}
		variables = append(variables, input.variable+"="+path)
	}
	variables = append(variables, p.environment...)
	if p.keep {
		variables = append(variables, keepVariable+"=1")
	}
	return variables, nil
}

// ginkgoArgs is the command line of Ginkgo.
func (p proof) ginkgoArgs(color bool) []string {
	args := []string{
		"run",
		fmt.Sprintf("--procs=%d", p.procs),
		"--randomize-all",
		"--keep-going",
		"--timeout=" + cmp.Or(p.timeout, time.Hour).String(),
		"--output-dir=" + outputDir,
		"--json-report=" + jsonReport,
		"--junit-report=" + junitReport,
	}
	if !color {
		args = append(args, "--no-color")
	}
	return append(args, p.selection()...)
}

// selection is the part of Ginkgo's command line that says which specs to run.
func (p proof) selection() []string {
	var args []string
	if p.focus != "" {
		args = append(args, "--focus="+p.focus)
	}
	if p.labels != "" {
		args = append(args, "--label-filter="+p.labels)
	}
	if slices.Contains(p.suites, everySuite) {
		args = append(args, "--skip-package="+filepath.Base(recoverySuite)) // firedrill drill is for disasters
	}
	return append(args, p.suites...)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func tableCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "table REPORT",
		Short: "Print what a run proved, from Ginkgo's JSON report of it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			j, err := readGinkgo(args[0])
			if err != nil {
				return err
			}
			return printTable(cmd.OutOrStdout(), report.Summarize(j))
		},
	}
}

func readGinkgo(path string) (journal.Journal, error) {
	f, err := os.Open(path)
	if err != nil {
		return journal.Journal{}, err
	}
	defer f.Close()
	j, err := journal.FromGinkgo(f)
	if err != nil {
		return journal.Journal{}, fmt.Errorf("%s: %w", path, err)
	}
	return j, nil
}

// printTable prints the table, then one plain line that closes the run.
func printTable(w io.Writer, summary report.Summary) error {
	if summary.Passed+summary.Failed+summary.Unknown == 0 {
		return errors.New("no spec ran: --focus or --labels match none, or the suites are empty")
	}
	fmt.Fprintln(w)
	if err := summary.Write(w); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	fmt.Fprintf(w, "\n%d passed, %d failed", summary.Passed, summary.Failed)
	if summary.Unknown > 0 {
		fmt.Fprintf(w, ", %d unknown", summary.Unknown)
	}
	fmt.Fprintln(w)
	if summary.Failed+summary.Unknown > 0 {
		return errFound
	}
	return nil
}
