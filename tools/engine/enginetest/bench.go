package enginetest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stemedb/firedrill/tools/rule"
)

// OverRules is a benchmark of what is done to the alerts of the rules that are deployed and, if the environment variable
// COLLECTION names any, of others: a list of paths, as rule.Read has it. It reports alerts/s and, if PINT names a pint, how
// long that takes for the same files, and how many times longer.
func OverRules(b *testing.B, do func(b *testing.B, paths string, set rule.Set) error) {
	over := func(name, paths string) {
		b.Run(name, func(b *testing.B) {
			set, err := rule.Read(paths)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := do(b, paths, set); err != nil {
					b.Fatal(err)
				}
			}
			each := b.Elapsed().Seconds() / float64(b.N)
			b.ReportMetric(float64(len(set.Alerts))/each, "alerts/s")
			if program := os.Getenv("PINT"); program != "" {
				took := pint(b, program, set)
				b.ReportMetric(took.Seconds(), "pint-s/op")
				b.ReportMetric(took.Seconds()/each, "times-faster-than-pint")
			}
		})
	}
	over("own", "../../rules")
	collection := os.Getenv("COLLECTION")
	for _, path := range filepath.SplitList(collection) {
		if !filepath.IsAbs(path) { // a benchmark runs in the folder of its package
			b.Fatalf("COLLECTION=%s: %q is relative: give the absolute path", collection, path)
		}
	}
	if collection != "" {
		over("collection", collection)
	}
}

// pint returns how long a pint takes for the files of rules.
func pint(t testing.TB, program string, set rule.Set) time.Duration {
	t.Helper()
	args := []string{"--offline", "lint"}
	for _, f := range set.Files {
		path, err := filepath.Abs(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(args, path) { // a file with several manifests is in there several times
			args = append(args, path)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = t.TempDir() // no configuration is there
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1 is for problems
		t.Fatalf("PINT=%s: %v\n%s", program, err, out)
	}
	return took
}
