package mutate

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/ruletest"
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
	Test    string // for a survivor, a promtool test that passes on the original and fails on the mutant, or ""
}

// Tests runs the unit tests of rule files on mutants of their rules. It is safe for concurrent use.
type Tests struct {
	suite  *ruletest.Suite
	paths  map[string]string // of the rule files as the suite names them, by absolute path
	groups map[string]*rulefmt.RuleGroups
	*given
}

// Load reads test files. It returns an error if a test is invalid or fails on the unchanged rules.
func Load(ctx context.Context, files []string) (*Tests, error) {
	t := &Tests{ruletest.Load(files, ruletest.Options{Features: promql.Features}), map[string]string{}, map[string]*rulefmt.RuleGroups{}, readGiven(files)}
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
		groups, err := readGroups(path)
		if err != nil {
			return nil, err
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		t.paths[absolute], t.groups[path] = path, groups
	}
	return t, nil
}

func readGroups(path string) (*rulefmt.RuleGroups, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	groups, errs := rulefmt.Parse(content, false, model.UTF8Validation, promqlParser, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return nil, fmt.Errorf("%s: %w", path, errs[0])
	}
	return groups, nil
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
	result, err := t.suite.RunWith(ctx, path, withMutant(t.groups[path], m))
	if err != nil {
		return false, err
	}
	return result.Failed(), nil
}

// withMutant returns a copy of a file's groups with the mutant in place of the original.
func withMutant(groups *rulefmt.RuleGroups, m Mutant) *rulefmt.RuleGroups {
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
