package shard

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
)

// part is specs that run on one machine.
type part struct {
	suites  map[string]bool // the paths of those that the specs are of
	texts   []string
	specs   int
	seconds float64 // that the specs take, one after another
}

func (p *part) add(other part) {
	maps.Copy(p.suites, other.suites)
	p.texts = append(p.texts, other.texts...)
	p.specs += other.specs
	p.seconds += other.seconds
}

// cost returns how many seconds of work a machine has with a part.
func (p part) cost() float64 { return p.seconds + worldStart*float64(len(p.suites)) }

// costWith returns the cost that a part has once another is added to it.
func (p part) costWith(other part) float64 {
	cost := p.cost() + other.seconds
	for suite := range other.suites {
		if !p.suites[suite] {
			cost += worldStart
		}
	}
	return cost
}

// balance deals units to n machines at most. It cuts the suites into ever smaller pieces, down to the units, deals the
// pieces, and of all those deals takes the one in which the last machine is done first; of equals, the coarsest.
func balance(units []part, n int) []part {
	homes := map[string][]part{} // by what suites they are of
	var longest float64
	for _, unit := range units {
		home := strings.Join(slices.Sorted(maps.Keys(unit.suites)), " ")
		homes[home] = append(homes[home], unit)
		longest += unit.seconds
	}
	var best []part
	for limit := longest; ; limit /= 2 {
		var pieces []part
		for _, home := range slices.Sorted(maps.Keys(homes)) {
			pieces = append(pieces, deal(homes[home], pieceCount(homes[home], limit))...)
		}
		dealt := deal(pieces, n)
		if best == nil || last(dealt) < last(best) {
			best = dealt
		}
		if len(pieces) >= len(units) {
			return best
		}
	}
}

// pieceCount returns into how many pieces units are cut, so that no piece is much longer than the limit.
func pieceCount(units []part, limit float64) int {
	var seconds float64
	for _, unit := range units {
		seconds += unit.seconds
	}
	return min(int(math.Ceil(seconds/limit)), len(units))
}

// last returns when the last machine is done.
func last(dealt []part) float64 { return slices.MaxFunc(dealt, byCost).cost() }

func byCost(a, b part) int { return cmp.Compare(a.cost(), b.cost()) }

// deal gives each part, the longest first, to the machine out of n that is done first with it, and returns what each
// machine has that has any.
func deal(parts []part, n int) []part {
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
