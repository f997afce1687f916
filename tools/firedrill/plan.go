package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/onsi/ginkgo/v2/types"
	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/project"
	"github.com/stemedb/firedrill/tools/report"
	"github.com/stemedb/firedrill/tools/shard"
)

func planCommand() *cobra.Command {
	p := proof{procs: 1} // a dry run needs no more
	var shards int
	var durations []string
	cmd := &cobra.Command{
		Use:   "plan --shards N [folder...]",
		Short: "Distribute the proofs to machines that run in parallel, as a matrix for GitHub Actions",
		Long: `Plan lists the specs with a dry run of Ginkgo, which compiles the suites and runs nothing, distributes them to N
machines by their last durations, and prints one line of JSON that fromJSON makes a matrix of:

  {"include":[{"shard":1,"of":2,"suites":"./e2e/tls","focus":"^(?:…)$","specs":9,"seconds":300}, …]}

A machine runs its shard by

  firedrill prove --focus "$FOCUS" --expect "$SPECS" $SUITES

Of a folder with a ` + project.FileName + `, the specs are its drills.

Each spec is in exactly one shard. Specs of a suite stay together where that costs no time, and those of an
Ordered container always. With fewer specs than machines there are fewer shards. "seconds" is the estimated
work of all processes of a machine together, not the time until it is done.

--durations is Ginkgo's JSON report of an earlier run, as firedrill prove writes it to ` + outputDir + `/` + jsonReport + `, or the
journal of its report, ` + reportDir + `/` + report.JournalFile + `. A spec that is not in it, or did not pass, is estimated at the median of the others.`,
		RunE: func(cmd *cobra.Command, suites []string) error {
			if shards < 1 || shards > shard.MaxShards {
				return fmt.Errorf("--shards %d: give 1 to %d, GitHub Actions' limit for a matrix", shards, shard.MaxShards)
			}
			last, err := readDurations(durations)
			if err != nil {
				return err
			}
			listed, err := p.specs(cmd.Context(), suites)
			if err != nil {
				return err
			}
			plan, err := shard.Plan(listed, last, shards)
			if err != nil {
				return err
			}
			for _, s := range plan {
				fmt.Fprintf(cmd.ErrOrStderr(), "plan: shard %d of %d: %d specs of %s, %d seconds of work\n", s.Shard, s.Of, s.Specs, s.Suites, s.Seconds)
			}
			return printMatrix(cmd.OutOrStdout(), plan)
		},
	}
	cmd.Flags().IntVar(&shards, "shards", 0, "number of machines")
	cmd.Flags().StringArrayVar(&durations, "durations", nil, "JSON report or journal of an earlier run; repeat it for each of its shards")
	cmd.Flags().StringVar(&p.labels, "labels", "", "plan only the specs whose labels match this Ginkgo label filter")
	_ = cmd.MarkFlagRequired("shards") // it exists
	return cmd
}

// printMatrix prints shards on one line, the format of a step's output in GitHub Actions.
func printMatrix(w io.Writer, shards []shard.Shard) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // people read it too
	return encoder.Encode(map[string][]shard.Shard{"include": shards})
}

// readDurations reads the reports of an earlier run.
func readDurations(files []string) ([]types.Report, error) {
	var all []types.Report
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read the durations: %w", err)
		}
		reports, err := shard.Read(file, f)
		f.Close() // nothing was written
		if err != nil {
			return nil, err
		}
		all = append(all, reports...)
	}
	return all, nil
}

// specs lists what firedrill prove would prove with the same folders and labels.
func (p proof) specs(ctx context.Context, folders []string) (listed []types.Report, err error) {
	if err := p.choose(folders); err != nil {
		return nil, err
	}
	if len(p.suites) > 0 {
		if listed, err = p.list(ctx); err != nil {
			return nil, err
		}
	}
	for _, s := range p.projects {
		listed = append(listed, s.list())
	}
	return listed, nil
}

// list returns the selected drills as the specs of a suite, as a dry run of one would report them.
func (s selection) list() types.Report {
	suite := types.Report{SuitePath: "./" + filepath.ToSlash(filepath.Dir(s.File)), SuiteDescription: s.File}
	if suite.SuitePath == "./." {
		suite.SuitePath = "."
	}
	for _, drill := range s.drills {
		suite.SpecReports = append(suite.SpecReports, types.SpecReport{LeafNodeType: types.NodeTypeIt, LeafNodeText: drill.Name(), State: types.SpecStatePassed})
	}
	return suite
}

// list returns the reports of a dry run of the selected specs: all pass, since nothing runs. The paths of the suites are as
// firedrill prove takes them.
func (p proof) list(ctx context.Context) ([]types.Report, error) {
	path, err := ginkgo(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "firedrill-")
	if err != nil {
		return nil, fmt.Errorf("list the specs: %w", err)
	}
	defer os.RemoveAll(dir)
	args := []string{"run", "--dry-run", "--no-color", "--output-dir=" + dir, "--json-report=" + jsonReport}
	cmd := exec.CommandContext(ctx, path, append(args, p.selection()...)...)
	cmd.Env = append(os.Environ(), "GINKGO_NO_COLOR=TRUE") // for output before it parses its arguments
	if output, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("Ginkgo cannot list the specs (%w):\n%s", err, strings.TrimSpace(string(output)))
	}
	f, err := os.Open(filepath.Join(dir, jsonReport))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no suite in %s: name a folder with one", strings.Join(p.suites, " "))
	}
	if err != nil {
		return nil, fmt.Errorf("list the specs: %w", err)
	}
	defer f.Close()
	listed, err := shard.Read(f.Name(), f)
	if err != nil {
		return nil, err
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("list the specs: %w", err)
	}
	for i := range listed {
		relative, err := filepath.Rel(here, listed[i].SuitePath)
		if err != nil {
			return nil, fmt.Errorf("list the specs: %w", err)
		}
		listed[i].SuitePath = "./" + filepath.ToSlash(relative)
	}
	return listed, nil
}
