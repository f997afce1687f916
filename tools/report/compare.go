package report

import (
	"time"

	"github.com/stemedb/firedrill/tools/journal"
)

// comparison is a run compared with the previous one.
type comparison struct {
	Against *journal.Journal
	Proven  int // that were not before
	Failed  int // that were proven before
	Gone    []journal.Proof
	changes map[key]change
}

// change is a proof compared with the one of the previous run.
type change struct {
	Word  string // empty where there is nothing to say
	Class string // better or worse, or empty
}

// key identifies a proof.
type key struct{ suite, spec, alert, branch string }

func keyOf(p journal.Proof) key { return key{p.Suite, p.Spec, p.Alert, p.Branch} }

// compare compares a run with the previous one, if it is given.
func compare(j journal.Journal, previous *journal.Journal) comparison {
	c := comparison{Against: previous, changes: map[key]change{}}
	if previous == nil {
		return c
	}
	before := map[key]journal.Proof{}
	for _, p := range previous.Proofs {
		before[keyOf(p)] = p
	}
	for _, p := range j.Proofs {
		old, ok := before[keyOf(p)]
		delete(before, keyOf(p))
		now := journal.True == p.Verdict
		was := ok && old.Verdict == journal.True
		switch {
		case !ok:
			c.changes[keyOf(p)] = change{Word: "new"}
		case now && !was:
			c.Proven++
			c.changes[keyOf(p)] = change{"newly proven", "better"}
		case was && p.Verdict == journal.False:
			c.Failed++
			c.changes[keyOf(p)] = change{"newly failed", "worse"}
		case was && !now:
			c.changes[keyOf(p)] = change{"was proven", "worse"}
		case now:
			c.changes[keyOf(p)] = pace(took(p), took(old))
		default:
			c.changes[keyOf(p)] = change{Word: "not proven before either"}
		}
	}
	for _, p := range previous.Proofs {
		if _, ok := before[keyOf(p)]; ok {
			c.Gone = append(c.Gone, p)
		}
	}
	return c
}

// pace says whether a proof was faster or slower, where it was so by a second and by a tenth: less is chance.
func pace(now, before time.Duration) change {
	switch difference := now - before; {
	case max(difference, -difference) < max(time.Second, before/10):
		return change{Word: "as fast as before"}
	case difference < 0:
		return change{span(-difference) + " faster", "better"}
	default:
		return change{span(difference) + " slower", "worse"}
	}
}

func (c comparison) of(p journal.Proof) change { return c.changes[keyOf(p)] }
