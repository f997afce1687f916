package promql

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// Lookback is for how long Prometheus takes the last sample of a series for its present value, unless it is started with
// another --query.lookback-delta.
const Lookback = 5 * time.Minute

// Pace is how often a rule is evaluated, and what it reads gets a sample.
type Pace struct {
	Known *Known
	Turn  Turn          // of the rule
	Step  time.Duration // of a subquery without one: the global evaluation interval; 0 where it is not known
	// Scraped returns how often what a selector asks for is scraped, at the most often; 0 where that is not known. It may
	// be nil.
	Scraped func(*parser.VectorSelector) time.Duration
}

// ofTwo are the functions that compare samples: one alone says nothing.
var ofTwo = []string{
	"rate", "increase", "irate", "delta", "idelta", "deriv", "predict_linear", "double_exponential_smoothing", "changes", "resets",
}

// ofAll are the functions that are asked for something that happens at any time, not for how things are just now.
var ofAll = []string{
	"rate", "increase", "changes", "resets", "max_over_time", "min_over_time", "sum_over_time", "count_over_time", "present_over_time",
}

// Reasons are where the ranges and recordings of an expression do not fit how often things happen: of the kinds Few,
// Blind, Stale and Early. What depends on an interval that is not known is left out.
func (p Pace) Reasons(expr parser.Expr) []Reason {
	var all []Reason
	add := func(found []Reason) { // once for all ranges that lack the same
		for _, r := range found {
			if !slices.ContainsFunc(all, func(o Reason) bool { return o.Kind == r.Kind && o.Every == r.Every && o.Length == r.Length }) {
				all = append(all, r)
			}
		}
	}
	var visit func(node parser.Node, function string, every time.Duration, inner bool)
	visit = func(node parser.Node, function string, every time.Duration, inner bool) {
		switch e := node.(type) {
		case *parser.Call:
			function = e.Func.Name
		case *parser.MatrixSelector:
			s := e.VectorSelector.(*parser.VectorSelector)
			if e.RangeExpr == nil && !s.Anchored && !s.Smoothed {
				of, sure := p.period(s)
				add(ranged(e, e.Range, function, of, sure, every))
			}
			return
		case *parser.SubqueryExpr:
			step := e.Step
			if step == 0 {
				step = p.Step
			}
			if e.StepExpr != nil {
				step = 0
			}
			if e.RangeExpr == nil {
				add(ranged(e, e.Range, function, samples{step, "evaluated"}, true, every))
			}
			every, inner = step, true
		case *parser.VectorSelector:
			if r, ok := p.instant(e, inner); ok {
				all = append(all, r)
			}
			return
		}
		for child := range parser.ChildrenIter(node) {
			visit(child, function, every, inner)
		}
	}
	visit(expr, "", p.Turn.Every, false)
	return all
}

// samples is how often something gets a sample, and how.
type samples struct {
	every time.Duration
	how   string
}

// period is how often what is selected gets a sample; sure where that is no more often.
func (p Pace) period(s *parser.VectorSelector) (of samples, sure bool) {
	name := NameOf(s)
	switch {
	case p.Known.isRecorded(name):
		for i, r := range p.Known.recordings[name] {
			if r.Turn.Every == 0 {
				return samples{}, false
			}
			if i == 0 || r.Turn.Every < of.every {
				of = samples{r.Turn.Every, "recorded"}
			}
		}
		return of, true
	case p.Scraped == nil || len(p.Known.recordings[name]) > 0 || name == "ALERTS" || name == "ALERTS_FOR_STATE":
		return samples{}, false
	}
	return samples{p.Scraped(s), "scraped"}, false
}

// ranged is what is wrong with a range that a function is given, whose samples are so far apart and which is evaluated
// each time that every is over.
func ranged(e parser.Expr, length time.Duration, function string, of samples, sure bool, every time.Duration) []Reason {
	reason := func(kind Kind, every time.Duration, format string, args ...any) []Reason {
		return []Reason{{Kind: kind, At: e, First: e.PositionRange(), Second: e.PositionRange(), Text: fmt.Sprintf(format, args...), Every: every, Length: length, Scraped: of.how == "scraped"}}
	}
	d := func(v time.Duration) string { return model.Duration(v).String() }
	two := slices.Contains(ofTwo, function)
	what := fmt.Sprintf("%s() of %s, which is %s every %s", function, Excerpt(e), of.how, d(of.every))
	switch {
	case of.every <= 0:
	case two && length <= of.every:
		r := reason(Few, of.every, "%s: a range of %s never holds two samples", what, d(length))
		r[0].Never = sure
		return r
	case two && length < 2*of.every:
		return reason(Few, of.every, "%s: a range of %s holds one sample alone at times, which is too few", what, d(length))
	case length < of.every:
		return reason(Few, of.every, "%s: a range of %s holds no sample at times", what, d(length))
	}
	switch blind := every > 0 && slices.Contains(ofAll, function); {
	case blind && length < every:
		return reason(Blind, every, "%s() of %s is evaluated every %s: what happens in the other %s is never seen", function, Excerpt(e), d(every), d(every-length))
	case blind && two && function != "rate" && (length == every || length < every+of.every):
		return reason(Blind, every, "%s() of %s is evaluated every %s: what happens between the last sample of one range and the first of the next is never seen", function, Excerpt(e), d(every))
	case two && of.how == "scraped" && length < 4*of.every:
		return reason(Few, of.every, "%s: a range of %s holds fewer than four samples, so that one or two scrapes that fail leave no result", what, d(length))
	}
	return nil
}

// instant is what is wrong with a selector of the present value.
func (p Pace) instant(e *parser.VectorSelector, inner bool) (Reason, bool) {
	name := NameOf(e)
	r := Reason{At: e, First: e.PositionRange(), Second: e.PositionRange()}
	if !p.Known.isRecorded(name) || e.Timestamp != nil || e.StartOrEnd != 0 {
		return r, false
	}
	before, after, elsewhere := p.recorders(name)
	if elsewhere == 0 && before+after > 0 && !inner && e.OriginalOffset == 0 && e.OriginalOffsetExpr == nil {
		if before > 0 {
			return r, false // as fresh as the evaluation
		}
		r.Kind, r.Every = Early, p.Turn.Every
		place := p.Known.recordings[name][0].Place
		if r.Never = p.Turn.Every >= Lookback; r.Never {
			r.Text = fmt.Sprintf("%s is recorded after this rule (%s), in the same group, and its sample of %s ago is stale by now, so it never has a value here", name, place, model.Duration(p.Turn.Every))
		} else {
			r.Text = fmt.Sprintf("%s is recorded after this rule (%s), in the same group, so it has the value of the evaluation before", name, place)
		}
		return r, true
	}
	of, _ := p.period(e)
	if of.every <= Lookback || elsewhere == 0 {
		return r, false
	}
	r.Kind, r.Every = Stale, of.every
	r.Text = fmt.Sprintf("%s, which %s records every %s, is stale %s after each sample and has no value for the other %s",
		name, p.Known.recordings[name][0].Place, model.Duration(of.every), model.Duration(Lookback), model.Duration(of.every-Lookback))
	return r, true
}

// recorders counts the rules that record a metric: in the same group before this rule and after it, and in other groups.
// One that reads what it records itself, from the evaluation before, counts as before.
func (p Pace) recorders(name string) (before, after, elsewhere int) {
	for _, r := range p.Known.recordings[name] {
		switch {
		case r.Turn.Group != p.Turn.Group:
			elsewhere++
		case r.Turn.Order <= p.Turn.Order:
			before++
		default:
			after++
		}
	}
	return before, after, elsewhere
}

// Pending returns why an alert's for never passes, where what it reads is stale before that.
func (p Pace) Pending(expr parser.Expr, wait time.Duration) (Reason, bool) {
	every := p.Turn.Every
	if every <= 0 || wait <= 0 {
		return Reason{}, false
	}
	for _, s := range needed(expr) {
		name := NameOf(s)
		of, _ := p.period(s)
		_, _, elsewhere := p.recorders(name)
		if of.how != "recorded" || len(p.Known.recordings[name]) != 1 || elsewhere == 0 || s.Timestamp != nil || s.StartOrEnd != 0 {
			continue
		}
		// No step from evaluation to evaluation leads over the time without a value.
		if every <= of.every-Lookback && Passes(wait, every) >= Lookback {
			return Reason{Kind: Stale, At: s, First: s.PositionRange(), Second: s.PositionRange(), Never: true, Every: of.every, Text: fmt.Sprintf(
				"%s, which %s records every %s, is stale %s after each sample, so the alert's for of %s never passes",
				name, p.Known.recordings[name][0].Place, model.Duration(of.every), model.Duration(Lookback), model.Duration(wait))}, true
		}
	}
	return Reason{}, false
}

// Passes is how long an alert is pending in fact that is evaluated every so often: until the first evaluation at which its
// for is over.
func Passes(wait, every time.Duration) time.Duration {
	return (wait + every - 1) / every * every
}

// needed are the selectors of present values without any of which an expression has no result.
func needed(expr parser.Expr) []*parser.VectorSelector {
	switch e := Bare(expr).(type) {
	case *parser.VectorSelector:
		return []*parser.VectorSelector{e}
	case *parser.AggregateExpr:
		return needed(e.Expr)
	case *parser.UnaryExpr:
		return needed(e.Expr)
	case *parser.BinaryExpr:
		m := e.VectorMatching
		switch {
		case e.Op == parser.LOR || m != nil && (m.FillValues.LHS != nil || m.FillValues.RHS != nil):
			return nil
		case e.Op == parser.LUNLESS:
			return needed(e.LHS)
		}
		return slices.Concat(needed(e.LHS), needed(e.RHS))
	case *parser.Call:
		switch e.Func.Name {
		case "absent", "vector", "scalar":
			return nil
		}
		for _, arg := range e.Args {
			if arg.Type() == parser.ValueTypeVector {
				return needed(arg)
			}
		}
	}
	return nil
}
