package mutate

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/ruletest"
	"github.com/stemedb/firedrill/tools/witness"
)

// Verdict is the result for one mutant.
type Verdict int

const (
	Killed     Verdict = iota // a test failed
	Survived                  // no test noticed
	Equivalent                // no test can notice
)

// Outcome is the verdict on one mutant, and why.
type Outcome struct {
	Mutant
	Verdict Verdict
	Why     string // for an equivalent mutant, the reason; for a survivor, an input that distinguishes it
}

// Tests runs the unit tests of rule files on mutants of their rules. It is safe for concurrent use.
type Tests struct {
	suite  *ruletest.Suite
	paths  map[string]string // of the rule files as the suite names them, by absolute path
	groups map[string]*rulefmt.RuleGroups
}

// Load reads test files. It returns an error if a test is invalid or fails on the unchanged rules.
func Load(ctx context.Context, files []string) (*Tests, error) {
	t := &Tests{ruletest.Load(files, ruletest.Options{Features: promql.Features}), map[string]string{}, map[string]*rulefmt.RuleGroups{}}
	result, err := t.suite.Run(ctx)
	if err != nil {
		return nil, err
	}
	if err := result.Err(); err != nil {
		return nil, err
	}
	for _, f := range result.Files {
		for _, one := range f.Tests {
			if one.Failed() {
				return nil, fmt.Errorf("%s:%d: the test %q fails on the unchanged rules: fix it first", f.Path, one.Line, one.Name)
			}
		}
	}
	for _, path := range t.suite.RuleFiles() {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		groups, errs := rulefmt.Parse(content, false, model.UTF8Validation, promqlParser, slog.New(slog.DiscardHandler))
		if len(errs) > 0 {
			return nil, fmt.Errorf("%s: %w", path, errs[0])
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		t.paths[absolute], t.groups[path] = path, groups
	}
	return t, nil
}

// Run tests mutants in parallel and returns their outcomes in order. The error is ctx's.
func (t *Tests) Run(ctx context.Context, mutants []Mutant) ([]Outcome, error) {
	outcomes := make([]Outcome, len(mutants))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, m := range mutants {
		g.Go(func() error {
			outcomes[i] = Outcome{Mutant: m, Verdict: Killed}
			if why := m.Equivalent(); why != "" {
				outcomes[i].Verdict, outcomes[i].Why = Equivalent, why
				return ctx.Err()
			}
			killed, err := t.kill(ctx, m)
			if err == nil && !killed {
				outcomes[i].Verdict = Survived
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return outcomes, nil
}

// kill reports whether a test fails on a mutant.
func (t *Tests) kill(ctx context.Context, m Mutant) (bool, error) {
	absolute, err := filepath.Abs(m.Original.File)
	if err != nil {
		return false, err
	}
	path, tested := t.paths[absolute]
	if !tested {
		return false, nil
	}
	result, err := t.suite.RunWith(ctx, path, with(t.groups[path], m))
	if err != nil {
		return false, err
	}
	return result.Failed(), nil
}

// with returns a copy of a file's groups with the mutant in place of the original.
func with(groups *rulefmt.RuleGroups, m Mutant) *rulefmt.RuleGroups {
	changed := &rulefmt.RuleGroups{Groups: slices.Clone(groups.Groups)}
	for i, g := range changed.Groups {
		j := slices.IndexFunc(g.Rules, func(r rulefmt.Rule) bool { return r.Alert == m.Original.Name })
		if g.Name != m.Original.Group || j < 0 {
			continue
		}
		rules := slices.Clone(g.Rules)
		r := &rules[j]
		r.Expr, r.For, r.KeepFiringFor = m.Mutated.Expr, model.Duration(m.Mutated.For), model.Duration(m.Mutated.KeepFiringFor)
		r.Annotations = m.Mutated.Annotations
		if m.Field == "labels.severity" {
			r.Labels = replaced(r.Labels, "severity", m.Mutated.Labels["severity"])
		}
		changed.Groups[i].Rules = rules
	}
	return changed
}

// Derived caches the scenarios of alerts, which may distinguish a mutant from its original.
type Derived map[string][]witness.Scenario

const (
	maxVariants   = 12 // of one scenario
	maxCandidates = 200
)

// Distinguish describes an input for which a mutant and its original differ, or says that it found none.
func (d Derived) Distinguish(ctx context.Context, m Mutant) (string, error) {
	every := m.Original.Interval
	if every == 0 {
		every = witness.DefaultInterval
	}
	candidates, err := d.candidates(ctx, m, every)
	if err != nil {
		return "", err
	}
	for _, s := range candidates {
		found, err := witness.Differ(ctx, m.Original, m.Mutated, s, every)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			continue // one of them cannot be evaluated with this input
		}
		if found != nil {
			return describe(s, found), nil
		}
	}
	return fmt.Sprintf("none of %d inputs distinguishes them", len(candidates)), nil
}

func (d Derived) candidates(ctx context.Context, m Mutant, every time.Duration) ([]witness.Scenario, error) {
	own, ok := d[m.Original.Name]
	if !ok {
		var err error
		if own, err = scenarios(ctx, m.Original, every); err != nil {
			return nil, err
		}
		d[m.Original.Name] = own
	}
	var others []witness.Scenario
	if m.Field == "expr" {
		var err error
		if others, err = scenarios(ctx, m.Mutated, every); err != nil && ctx.Err() != nil {
			return nil, err
		}
	}
	all := append(slices.Clone(own), others...)
	for _, s := range slices.Clone(all) {
		all = append(all, s.Variants(maxVariants)...)
	}
	return all[:min(len(all), maxCandidates)], nil
}

func scenarios(ctx context.Context, a rule.Alert, every time.Duration) ([]witness.Scenario, error) {
	found, err := witness.Derive(ctx, a, every)
	var all []witness.Scenario
	for _, b := range found.Boundaries {
		all = append(all, b.Scenarios...)
	}
	return all, err
}

// describe describes an input and what differs.
func describe(s witness.Scenario, d *witness.Difference) string {
	var b strings.Builder
	for _, in := range s.Series {
		fmt.Fprintf(&b, "%s %s\n", in.Series, in.Values)
	}
	if len(s.Series) == 0 {
		b.WriteString("(no series)\n")
	}
	fmt.Fprintf(&b, "each %s, at %s: the original ", model.Duration(s.Interval), model.Duration(d.At))
	switch {
	case len(d.A) == 0:
		fmt.Fprintf(&b, "is quiet, the mutant fires%s", first(d.B))
	case len(d.B) == 0:
		fmt.Fprintf(&b, "fires%s, the mutant is quiet", first(d.A))
	case len(d.A) != len(d.B):
		fmt.Fprintf(&b, "fires %d times, the mutant %d times", len(d.A), len(d.B))
	default:
		for i := range d.A {
			if d.A[i].Labels.String() != d.B[i].Labels.String() {
				fmt.Fprintf(&b, "fires%s, the mutant%s", first(d.A[i:]), first(d.B[i:]))
				break
			}
			if one, other := d.A[i].Annotations, d.B[i].Annotations; one.String() != other.String() {
				for name, text := range one.Map() {
					if text != other.Get(name) {
						fmt.Fprintf(&b, "says %s: %q, the mutant %q", name, text, other.Get(name))
						break
					}
				}
				break
			}
		}
	}
	return b.String()
}

func first(all []witness.Firing) string {
	if len(all) == 0 {
		return ""
	}
	return " with " + all[0].Labels.String()
}
