package mutate

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/witness"
)

// Search finds inputs for which mutants differ from their originals. It keeps what it derived for an alert.
type Search struct {
	tests   *Tests
	mu      sync.Mutex
	derived map[string]func() ([]witness.Scenario, error) // by file, group, name and expression
}

// NewSearch returns a search that also uses the inputs of tests, and writes tests like them.
func NewSearch(tests *Tests) *Search {
	return &Search{tests: tests, derived: map[string]func() ([]witness.Scenario, error){}}
}

const (
	maxCandidates = 300 // inputs that are tried for a mutant, of each source
	maxBases      = 6   // inputs of which variants are tried, of each source
)

// Distinguish describes for each survivor an input for which it and its original differ, with a test that shows it, or
// says that it found none. The error is ctx's.
func (s *Search) Distinguish(ctx context.Context, outcomes []Outcome) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range outcomes {
		if outcomes[i].Verdict == Survived {
			g.Go(func() error { return s.distinguish(ctx, &outcomes[i]) })
		}
	}
	return g.Wait()
}

func (s *Search) distinguish(ctx context.Context, o *Outcome) error {
	file, err := filepath.Abs(o.Original.File)
	if err != nil {
		return err
	}
	every := s.tests.of(file).every
	compared, err := witness.Compare(o.Original, o.Mutated, every)
	if err != nil {
		return err
	}
	var (
		seen   = map[string]bool{}
		most   int
		signed bool
		last   string // with a negative value, or without a test
	)
	try := func(input witness.Scenario) (done bool) {
		key := fmt.Sprint(input.Interval, input.Series)
		switch {
		case ctx.Err() != nil || len(seen) >= most:
			return true
		case seen[key] || !isPlausible(input):
			return false
		}
		seen[key] = true
		found, err := compared.Differ(ctx, input)
		if err != nil || found == nil {
			return false // one of them cannot be evaluated with this input, or both are alike
		}
		if isSigned(input) {
			if last == "" {
				last, signed = describe(input, found), true
				o.Test, _ = s.tests.killing(ctx, o.Mutant, input, found)
			}
			return false
		}
		test, err := s.tests.killing(ctx, o.Mutant, input, found)
		if test != "" || last == "" { // none where another rule gives the input, or has the alert's name
			last, o.Test, signed = describe(input, found), test, false
		}
		return test != ""
	}
	for _, stage := range []func() ([]witness.Scenario, error){
		func() ([]witness.Scenario, error) { return s.scenarios(ctx, o.Original, every) },
		func() ([]witness.Scenario, error) { return s.tests.inputs[o.Original.Name], nil },
		func() ([]witness.Scenario, error) { return s.scenarios(ctx, o.Mutated, every) },
	} {
		bases, err := stage()
		most = len(seen) + maxCandidates
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			continue
		}
		if slices.ContainsFunc(bases, try) || s.vary(bases, o.Mutant, try) {
			if o.Test != "" && !signed {
				break
			}
		}
	}
	if o.Why = last; last == "" {
		o.Why = fmt.Sprintf("none of %d inputs distinguishes them", len(seen))
	}
	return ctx.Err()
}

// vary tries the variants of some of the inputs, in turns: the plain ones of each come first.
func (s *Search) vary(bases []witness.Scenario, m Mutant, try func(witness.Scenario) bool) bool {
	bases = slices.Clone(bases)
	slices.SortStableFunc(bases, func(a, b witness.Scenario) int { return len(fires(b)) - len(fires(a)) })
	decides := decisiveIn(m)
	holds := []time.Duration{m.Original.For, m.Mutated.For, (m.Original.For + m.Mutated.For) / 2}
	for _, base := range bases[:min(len(bases), maxBases)] {
		for _, input := range slices.Collect(lasting(base, holds)) {
			if try(input) {
				return true
			}
		}
		for input := range variantsOf(base, decides) {
			if try(input) {
				return true
			}
		}
	}
	return false
}

// fires is not empty where the alert fires at some time of a scenario.
func fires(s witness.Scenario) []witness.Firing {
	for _, c := range s.Checks {
		if len(c.Firing) > 0 {
			return c.Firing[:1]
		}
	}
	return nil
}

// decisiveIn finds the ranges, offsets and matchers of both expressions.
func decisiveIn(m Mutant) decisive {
	d := decisive{texts: map[string][]string{}}
	for _, text := range []string{m.Original.Expr, m.Mutated.Expr} {
		expr, err := promql.ParseExpr(text)
		if err != nil {
			continue
		}
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			switch e := node.(type) {
			case *parser.MatrixSelector:
				d.windows = append(d.windows, e.Range)
			case *parser.SubqueryExpr:
				d.windows = append(d.windows, e.Range, e.OriginalOffset.Abs())
			case *parser.VectorSelector:
				d.windows = append(d.windows, e.OriginalOffset.Abs())
				for _, m := range e.LabelMatchers {
					d.match(m)
				}
			}
			return nil
		})
	}
	slices.Sort(d.windows)
	d.windows = slices.DeleteFunc(slices.Compact(d.windows), func(d time.Duration) bool { return d == 0 })
	return d
}

// match adds values for which a matcher decides.
func (d *decisive) match(m *labels.Matcher) {
	if m.Name == labels.MetricName {
		return
	}
	texts := []string{""}
	switch m.Type {
	case labels.MatchEqual, labels.MatchNotEqual:
		texts = append(texts, m.Value)
	default:
		texts = append(texts, m.SetMatches()...)
	}
	for _, text := range texts {
		if !slices.Contains(d.texts[m.Name], text) {
			d.texts[m.Name] = append(d.texts[m.Name], text)
		}
	}
}

// scenarios derives inputs from an alert's expression.
func (s *Search) scenarios(ctx context.Context, a rule.Alert, every time.Duration) ([]witness.Scenario, error) {
	key := strings.Join([]string{a.File, a.Group, a.Name, a.Expr, a.For.String()}, "\x00")
	s.mu.Lock()
	derive, ok := s.derived[key]
	if !ok {
		derive = sync.OnceValues(func() ([]witness.Scenario, error) {
			rules, err := witness.Load(rule.Set{Alerts: []rule.Alert{a}}, every)
			if err != nil {
				return nil, err
			}
			results, err := rules.All(ctx, []rule.Alert{a})
			if err != nil || results[0].Answer != witness.Fires {
				return nil, err
			}
			all := []witness.Scenario{results[0].Input}
			for _, b := range results[0].Boundaries {
				all = append(all, b.Scenarios...)
			}
			return all, nil
		})
		s.derived[key] = derive
	}
	s.mu.Unlock()
	return derive()
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
