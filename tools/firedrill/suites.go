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
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/redact"
)

// errNotStarted is the error of suites that could not even be started.
var errNotStarted = errors.New("the suites cannot be started")

// proveSuites runs the suites, and adds to the record what they proved. The error is one before which nothing was proven.
func (p proof) proveSuites(ctx context.Context, images image.Set, record *record, stdout, stderr io.Writer) error {
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
	return record.addSuites(found, failure)
}

// addSuites adds what suites proved. failure is the error of running them.
func (r *record) addSuites(found journal.Journal, failure error) error {
	junit, err := os.ReadFile(filepath.Join(outputDir, junitReport))
	if err != nil {
		return fmt.Errorf("the suites left no JUnit report: %w", err)
	}
	// Ginkgo's reports and the evidence are kept beside it, for the next plan, CI and people.
	evidence := cmp.Or(os.Getenv("FIREDRILL_EVIDENCE"), filepath.Join(outputDir, "evidence"))
	r.left = append(r.left, filepath.Join(outputDir, jsonReport), filepath.Join(outputDir, junitReport), evidence)
	r.add(found, junit, evidence)
	r.failure = failure
	return nil
}

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
		paths := filepath.SplitList(input.path) // of the rules, there may be several
		for i := range paths {
			var err error
			if paths[i], err = filepath.Abs(paths[i]); err != nil {
				return nil, err
			}
		}
		variables = append(variables, input.variable+"="+strings.Join(paths, string(filepath.ListSeparator)))
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
