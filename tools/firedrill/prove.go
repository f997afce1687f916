package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2/types"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stemedb/firedrill/tools/change"
	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/project"
	"github.com/stemedb/firedrill/tools/prove"
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
	inputs   // of the suites
	focus    string
	labels   string
	keep     bool
	procs    int
	expect   int           // how many specs have to run; 0 leaves it open
	timeout  time.Duration // of all suites together; an hour where it is 0
	suites   []string      // folders
	projects []selection
	// environment is what the suites are told beside that.
	environment []string
	exercise    prove.Exercise // how the scenarios of projects are rehearsed
}

func proveCommand() *cobra.Command {
	var p proof
	cmd := &cobra.Command{
		Use:   "prove [folder...]",
		Short: "Check the rules, build the images, prove each drill, print what was proven and leave a report",
		Long: `Prove what the folders hold: the drills of a ` + project.FileName + `, or a Ginkgo suite. Without a folder, the ` + project.FileName + `
here or, where there is none, the suites of ` + everySuite + `.

First the rules and the runbooks are checked, and the images built that are missing. Then testbeds start, side by side:
in each, one drill after the other breaks something, waits for the alert, follows the runbook and sees the alert
resolved. The report is in ` + reportDir + `/.`,
		Example: `  firedrill prove
  firedrill prove --focus "DiskFull"
  firedrill prove --labels "DiskFull || SiteDown" --keep`,
		RunE: func(cmd *cobra.Command, folders []string) error {
			if p.labels == change.None {
				fmt.Fprintln(cmd.OutOrStdout(), "no proof is called for: --labels "+change.None)
				return nil
			}
			if err := p.choose(folders); err != nil {
				return err
			}
			return p.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	p.inputs.addFlags(cmd)
	cmd.Flags().StringVar(&p.focus, "focus", "", "run only the drills and specs whose text matches this regular expression")
	cmd.Flags().StringVar(&p.labels, "labels", "", "run only those whose labels, the names of alerts, match this Ginkgo label filter, as in \"DiskFull || SiteDown\"")
	cmd.Flags().IntVar(&p.expect, "expect", 0, "fail unless that many run, as for a shard of firedrill plan")
	p.addTestbedFlags(cmd)
	return cmd
}

// everySuite is every suite that proves alerts, as Ginkgo takes it.
const everySuite = "./e2e/..."

// addTestbedFlags adds the flags of the testbeds that specs run in.
func (p *proof) addTestbedFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.keep, "keep", false, "leave the testbeds up and print how to enter them")
	// A testbed waits as long as it works: two for each processor keep it busy.
	cmd.Flags().IntVar(&p.procs, "procs", min(4, 2*runtime.NumCPU()), "testbeds to run side by side")
}

// choose tells the suites from the projects among the folders of a command line, and selects the drills.
func (p *proof) choose(folders []string) error {
	if err := p.validate(); err != nil {
		return err
	}
	if len(folders) == 0 {
		folders = []string{everySuite}
		if _, err := os.Lstat(project.FileName); err == nil {
			folders = []string{"."}
		} else if _, err := os.Stat(strings.TrimSuffix(everySuite, "...")); err != nil {
			return errors.New("no " + project.FileName + " here: firedrill init writes one")
		}
	}
	for i, folder := range folders {
		if slices.ContainsFunc(folders[:i], func(other string) bool { return filepath.Clean(other) == filepath.Clean(folder) }) {
			continue
		}
		if filepath.Base(folder) == project.FileName {
			folder = filepath.Dir(folder)
		}
		loaded, err := loadProject(folder)
		switch {
		case err != nil:
			return err
		case loaded == nil:
			p.suites = append(p.suites, folder)
		default:
			p.projects = append(p.projects, selection{Project: loaded})
		}
	}
	if err := p.validate(); err != nil {
		return err
	}
	for i := range p.projects {
		if err := p.projects[i].choose(p.focus, p.labels); err != nil {
			return err
		}
		if len(p.suites)+len(p.projects) == 1 && len(p.projects[i].drills) == 0 {
			return p.projects[i].noneMatches()
		}
	}
	p.projects = slices.DeleteFunc(p.projects, func(s selection) bool { return len(s.drills) == 0 })
	return nil
}

// run judges what costs little first: the rules and Docker; then images, then suites and drills.
func (p proof) run(ctx context.Context, stdout, stderr io.Writer) error {
	checked, err := p.check(ctx, stdout)
	if err != nil {
		return err
	}
	// What the suites need, and what the projects need.
	var suites, projects image.Set
	if len(p.suites) > 0 {
		if suites, err = image.Ensure(ctx, stdout); err != nil {
			return err
		}
	}
	if len(p.projects) > 0 {
		if projects, err = image.Ensure(ctx, stdout, p.images()...); err != nil {
			return err
		}
	}
	record, err := p.begin(ctx, stdout, suites, projects)
	if err != nil {
		return err
	}
	defer record.close()
	if len(p.suites) > 0 {
		if err := p.proveSuites(ctx, suites, record, stdout, stderr); err != nil {
			return err
		}
	}
	for _, s := range p.projects {
		if err := p.proveProject(ctx, s, projects, record, stdout); err != nil {
			return err
		}
	}
	if ctx.Err() != nil && !slices.ContainsFunc(record.journal.Proofs, func(proof journal.Proof) bool { return proof.Verdict != journal.Unknown }) {
		fmt.Fprintln(stdout, "\ninterrupted before anything was proven: the report of the last run stays")
		return errFound
	}
	if record.failure == nil {
		record.failure = p.shortfall(record.journal.Proofs)
	}
	j, err := record.end()
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nthe report is %s\n", filepath.Join(reportDir, report.PageFile))
	printFailures(stdout, j)
	if err := printTable(stdout, report.Summarize(j)); err != nil {
		return err
	}
	if checked > 0 {
		fmt.Fprintf(stdout, "%d errors of the check above remain: firedrill check lists them\n", checked)
		return errFound
	}
	return nil
}

// printFailures prints why drills of projects are not proven, in full, and where their evidence is.
func printFailures(w io.Writer, j journal.Journal) {
	for _, proof := range j.Proofs {
		if proof.Verdict == journal.True || filepath.Base(proof.Suite) != project.FileName {
			continue
		}
		fmt.Fprintf(w, "\n%s: %s\n", proof.Spec, proof.Failure)
		if proof.Evidence != "" {
			fmt.Fprintf(w, "  evidence: %s\n", filepath.Join(reportDir, filepath.FromSlash(proof.Evidence)))
		}
	}
}

// shortfall is the error of a run of another number of specs than it was to have.
func (p proof) shortfall(proofs []journal.Proof) error {
	if p.expect == 0 || len(proofs) == p.expect {
		return nil
	}
	return fmt.Errorf("%d specs ran, and not %d: has one another text in each run?", len(proofs), p.expect)
}

// check compares the rules with the runbooks, of what is to be proven. Errors in what suites prove end the run; of a project
// they are counted, and its drills are proven all the same.
func (p *proof) check(ctx context.Context, stdout io.Writer) (errs int, err error) {
	if len(p.suites) > 0 {
		if info, err := os.Stat(p.Runbooks); err != nil || !info.IsDir() { // a check can do without, a proof cannot
			return 0, fmt.Errorf("the folder of runbooks %q does not exist: name it with --runbooks", p.Runbooks)
		}
		if err := p.inputs.check(ctx, stdout, output{format: "text"}); err != nil {
			return 0, err
		}
		if info, err := os.Stat(p.Alertmanager); err != nil || info.IsDir() {
			return 0, fmt.Errorf("Alertmanager's configuration %q does not exist: name it with --alertmanager", p.Alertmanager)
		}
	}
	for _, s := range p.projects {
		of := p.inputs
		of.use(s.Project)
		if p.focus != "" || p.labels != "" {
			of.alerts = s.alerts()
		}
		found, err := of.find(ctx, stdout, output{format: "text"})
		if err != nil {
			return 0, err
		}
		errs += found
	}
	return errs, nil
}

// images are the names of the images that the projects need.
func (p *proof) images() []image.Name {
	names := []image.Name{image.Prometheus, image.Alertmanager, image.Receiver}
	for _, s := range p.projects {
		names = append(names, s.Images...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// validate says which argument is of no use.
func (p proof) validate() error {
	if _, err := regexp.Compile(p.focus); err != nil {
		return fmt.Errorf("--focus %q is not a regular expression: %w", p.focus, err)
	}
	if _, err := types.ParseLabelFilter(p.labels); err != nil {
		return fmt.Errorf("--labels %q is not a label filter of Ginkgo: write names with ||, && and ! between them, as in %q", p.labels, "CertificateExpired || CertificateExpiringSoon")
	}
	if p.expect < 0 {
		return fmt.Errorf("--expect %d: give how many are to run", p.expect)
	}
	if p.procs < 1 {
		return fmt.Errorf("--procs %d: at least 1 is needed", p.procs)
	}
	for _, suite := range p.suites {
		if info, err := os.Stat(strings.TrimSuffix(suite, "...")); err != nil || !info.IsDir() {
			return fmt.Errorf("the folder %q does not exist: name one with a firedrill.yml, or with a Ginkgo suite", suite)
		}
	}
	return nil
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
