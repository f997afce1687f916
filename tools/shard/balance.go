package shard

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
)

// part is a set of specs for one machine.
type part struct {
	suites  map[string]bool // their paths
	texts   []string
	specs   int
	seconds float64 // of all specs in sequence
}

func (p *part) add(other part) {
	maps.Copy(p.suites, other.suites)
	p.texts = append(p.texts, other.texts...)
	p.specs += other.specs
	p.seconds += other.seconds
}

// cost returns the seconds of work of a part.
func (p part) cost() float64 { return p.seconds + startSeconds*float64(len(p.suites)) }

// costWith returns the cost of a part with another added.
func (p part) costWith(other part) float64 {
	cost := p.cost() + other.seconds
	for suite := range other.suites {
		if !p.suites[suite] {
			cost += startSeconds
		}
	}
	return cost
}

// balance distributes units to at most n machines. It cuts the suites into ever smaller pieces, down to the units,
// distributes them, and takes the distribution that ends first; of equal ones, the coarsest.
func balance(units []part, n int) []part {
	groups := map[string][]part{} // by their suites
	var longest float64
	for _, unit := range units {
		group := strings.Join(slices.Sorted(maps.Keys(unit.suites)), " ")
		groups[group] = append(groups[group], unit)
		longest += unit.seconds
	}
	var best []part
	for limit := longest; ; limit /= 2 {
		var pieces []part
		for _, group := range slices.Sorted(maps.Keys(groups)) {
			pieces = append(pieces, distribute(groups[group], pieceCount(groups[group], limit))...)
		}
		distributed := distribute(pieces, n)
		if best == nil || last(distributed) < last(best) {
			best = distributed
		}
		if len(pieces) >= len(units) {
			return best
		}
	}
}

// pieceCount returns the number of pieces such that none is much longer than the limit.
func pieceCount(units []part, limit float64) int {
	var seconds float64
	for _, unit := range units {
		seconds += unit.seconds
	}
	return min(int(math.Ceil(seconds/limit)), len(units))
}

// last returns the cost of the slowest machine.
func last(distributed []part) float64 { return slices.MaxFunc(distributed, byCost).cost() }

func byCost(a, b part) int { return cmp.Compare(a.cost(), b.cost()) }

// distribute gives each part, the longest first, to the one of n machines that would be done first with it. It returns
// the machines with specs.
func distribute(parts []part, n int) []part {
	longestFirst := slices.SortedFunc(slices.Values(parts), func(a, b part) int {
		return cmp.Or(cmp.Compare(b.seconds, a.seconds), slices.Compare(a.texts, b.texts))
	})
	machines := make([]part, min(n, len(parts)))
	for i := range machines {
		machines[i].suites = map[string]bool{}
	}
	for _, p := range longestFirst {
		first := 0
		for i := range machines {
			if machines[i].costWith(p) < machines[first].costWith(p) {
				first = i
			}
		}
		machines[first].add(p)
	}
	return slices.DeleteFunc(machines, func(m part) bool { return m.specs == 0 })
}
