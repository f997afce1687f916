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

const (
	maxCandidates = 300 // inputs that are tried for a mutant, of each source
	maxSlow       = 30  // the same where the rule reads ALERTS, which takes a storage on disk
	maxBases      = 6   // inputs of which variants are tried, of each source
	maxTests      = 5   // inputs of which a test is tried, for a mutant
)

// Distinguish describes for each survivor an input for which it and its original differ, with a test that shows it, or
// says that it found none. The error is ctx's.
func (t *Tests) Distinguish(ctx context.Context, outcomes []Outcome) error {
	for len(outcomes) > 0 {
		n := slices.IndexFunc(outcomes, func(o Outcome) bool { return !isSame(o.Original, outcomes[0].Original) })
		if n < 0 {
			n = len(outcomes)
		}
		if err := t.distinguish(ctx, outcomes[:n]); err != nil {
			return err
		}
		outcomes = outcomes[n:]
	}
	return nil
}

func isSame(a, b rule.Alert) bool {
	return a.File == b.File && a.Group == b.Group && a.Name == b.Name && a.ExprLine == b.ExprLine
}

// distinguish does so for the mutants of one alert.
func (t *Tests) distinguish(ctx context.Context, outcomes []Outcome) error {
	a := outcomes[0].Original
	file, err := filepath.Abs(a.File)
	if err != nil {
		return err
	}
	every := t.of(file).every
	original, err := witness.NewOriginal(a, every)
	if err != nil {
		return err
	}
	s := &search{tests: t, every: every, original: original, most: maxCandidates, kinds: map[string]kind{}}
	if strings.Contains(a.Expr, "ALERTS") {
		s.most = maxSlow
	}
	s.own = sync.OnceValues(func() ([]witness.Scenario, error) { return s.scenarios(ctx, a) })
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range outcomes {
		if outcomes[i].Verdict == Survived {
			g.Go(func() error { return s.distinguish(ctx, &outcomes[i]) })
		}
	}
	return g.Wait()
}

// search finds inputs for which mutants of one alert differ from it. It is safe for concurrent use.
type search struct {
	tests    *Tests
	every    time.Duration // between evaluations
	original *witness.Original
	most     int                                // inputs that are tried for a mutant, of each source
	own      func() ([]witness.Scenario, error) // the alert's inputs
	mutex    sync.Mutex
	kinds    map[string]kind // by the input
}

// kind is what an input is like.
type kind struct{ plausible, signed bool }

func (s *search) kindOf(key string, input witness.Scenario) kind {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	k, ok := s.kinds[key]
	if !ok {
		k = kind{isPlausible(input), isSigned(input)}
		s.kinds[key] = k
	}
	return k
}

func (s *search) distinguish(ctx context.Context, o *Outcome) error {
	if o.isUsuallyEquivalent() {
		o.Why = "no input distinguishes them as long as exporters do as usual"
		return nil
	}
	compared, err := s.original.Compare(o.Mutated)
	if err != nil {
		return err
	}
	var (
		seen   = map[string]bool{}
		most   int
		tests  int
		found  bool // an input without negative values, with a test
		signed bool
	)
	try := func(input witness.Scenario) (stop bool) {
		if ctx.Err() != nil || found || len(seen) >= most {
			return true
		}
		key := fmt.Sprint(input.Interval, input.Series)
		if seen[key] {
			return false
		}
		seen[key] = true
		is := s.kindOf(key, input)
		if !is.plausible || is.signed && o.Why != "" {
			return false
		}
		d, err := compared.Differ(ctx, input)
		if err != nil || d == nil {
			return false // one of them cannot be evaluated with this input, or both are alike
		}
		tests++
		test, err := s.tests.killing(ctx, o.Mutant, input, d)
		if err != nil {
			return false
		}
		if test != "" || o.Why == "" || signed && !is.signed { // none where another rule gives the input, or has the alert's name
			o.Why, o.Test, signed = describe(input, d), test, is.signed
		}
		found = test != "" && !is.signed || tests >= maxTests
		return found
	}
	sources := []func() ([]witness.Scenario, error){
		s.own,
		func() ([]witness.Scenario, error) { return s.tests.inputs[o.Original.Name], nil },
	}
	if o.Field == "expr" && s.most == maxCandidates {
		sources = append(sources, func() ([]witness.Scenario, error) { return s.scenarios(ctx, o.Mutated) })
	}
	for _, source := range sources {
		if found {
			break
		}
		bases, err := source()
		if err != nil {
			continue
		}
		most = len(seen) + s.most
		if !slices.ContainsFunc(bases, try) {
			vary(bases, o.Mutant, try)
		}
	}
	if o.Why == "" {
		o.Why = fmt.Sprintf("none of %d inputs distinguishes them", len(seen))
	}
	return ctx.Err()
}

// vary tries the variants of some of the inputs, first those of inputs for which the alert fires, until try says stop.
func vary(bases []witness.Scenario, m Mutant, try func(witness.Scenario) bool) {
	bases = slices.Clone(bases)
	slices.SortStableFunc(bases, func(a, b witness.Scenario) int { return len(fires(b)) - len(fires(a)) })
	decides := decisiveIn(m)
	holds := []time.Duration{m.Original.For, m.Mutated.For, (m.Original.For + m.Mutated.For) / 2}
	for _, base := range bases[:min(len(bases), maxBases)] {
		for input := range lasting(base, holds) {
			if try(input) {
				return
			}
		}
		for input := range variantsOf(base, decides) {
			if try(input) {
				return
			}
		}
	}
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

// decisiveIn finds the ranges, offsets and matchers of both expressions, and the labels on which they and the texts depend.
func decisiveIn(m Mutant) decisive {
	d := decisive{texts: map[string][]string{}}
	if strings.HasPrefix(m.Field, "annotations.") {
		d.has(m.From)
	}
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
			case *parser.AggregateExpr:
				d.has(e.Grouping...)
			case *parser.BinaryExpr:
				if e.VectorMatching != nil {
					d.has(e.VectorMatching.MatchingLabels...)
					d.has(e.VectorMatching.Include...)
				}
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
	if m.Name != labels.MetricName {
		d.add(m.Name, append([]string{""}, witness.Suggested(m)...)...)
	}
}

// has adds labels that series may have or not.
func (d *decisive) has(names ...string) {
	for _, name := range names {
		if name != labels.MetricName && name != labels.BucketLabel {
			d.add(name, "", name+"-1")
		}
	}
}

func (d *decisive) add(name string, texts ...string) {
	for _, text := range texts {
		if !slices.Contains(d.texts[name], text) {
			d.texts[name] = append(d.texts[name], text)
		}
	}
}

// scenarios are inputs for which an alert fires, and nearly does.
func (s *search) scenarios(ctx context.Context, a rule.Alert) ([]witness.Scenario, error) {
	rules, err := witness.Load(rule.Set{Alerts: []rule.Alert{a}}, s.every)
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
