package witness

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// Answers returns the answer for each alert. Interval is the evaluation interval of groups that set none.
func Answers(ctx context.Context, alerts []rule.Alert, recordings []rule.Recording, interval time.Duration) ([]Result, error) {
	var known []promql.Recording
	for _, r := range recordings {
		if expr, err := promql.ParseExpr(r.Expr); err == nil {
			known = append(known, promql.Recording{Name: r.Name, Expr: expr, Labels: r.Labels, Place: fmt.Sprintf("%s:%d", r.File, r.Line)})
		}
	}
	knowledge := promql.Know(known, nil)
	all := make([]Result, len(alerts))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, a := range alerts {
		every := interval
		if a.Interval > 0 {
			every = a.Interval
		}
		all[i] = Result{Alert: a, Interval: every}
		if fromText(&all[i], knowledge) {
			continue
		}
		g.Go(func() error {
			d, err := Derive(ctx, a, every)
			all[i].add(d)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return all, nil
}

// fromText answers what the text alone tells: never.
func fromText(r *Result, knowledge *promql.Known) bool {
	expr, err := promql.ParseExpr(r.Alert.Expr)
	if err != nil {
		return false
	}
	for _, by := range []promql.Knowledge{promql.Sure, promql.Usual} {
		a := promql.Analyze(expr, knowledge, by)
		if a.Of(expr).Empty {
			r.Answer, r.Why, r.Sure = Never, a.Reasons(), by == promql.Sure
			return true
		}
	}
	if most, why, ok := promql.Lasts(expr); ok && r.Alert.For >= most {
		r.Answer, r.Why = Never, []promql.Reason{why}
		return true
	}
	if promql.Analyze(expr, knowledge, promql.Sure).Of(expr).Present {
		r.Answer = Always
	}
	return false
}

// add adds what was derived.
func (r *Result) add(d Derived) {
	r.Boundaries, r.Unknown = d.Boundaries, d.Unknown
	for _, b := range d.Boundaries {
		i := slices.IndexFunc(b.Scenarios, Scenario.fires)
		if i >= 0 {
			r.Input = b.Scenarios[i]
			break
		}
	}
	expr, _ := promql.ParseExpr(r.Alert.Expr)
	switch {
	case r.Answer == Always || expr != nil && promql.Always(expr):
		r.Answer = Always
		r.Why = []promql.Reason{{At: expr, First: expr.PositionRange(), Text: "it has a result whatever there is"}}
	case len(r.Boundaries) > 0:
		r.Answer = Fires
	default:
		r.Answer = NotKnown
		for _, u := range d.Unknown {
			if !slices.ContainsFunc(r.Why, func(w promql.Reason) bool { return w.Text == u.Reason }) {
				r.Why = append(r.Why, promql.Reason{At: expr, First: expr.PositionRange(), Text: u.Reason})
			}
		}
	}
}
