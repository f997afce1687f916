package promql

import (
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/prometheus/prometheus/model/labels"
)

// metBySome reports whether some value of a label meets all matchers; "" counts where the label may be missing. Where that
// takes too long to find out, or a pattern asks for the beginning of a word or a line, it is true.
func metBySome(matchers []*labels.Matcher, mayMiss bool) bool {
	const most = 1000 // states
	if mayMiss && !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches("") }) {
		return true
	}
	all := make([]automaton, len(matchers))
	edges := []rune{0}
	for i, m := range matchers {
		var ok bool
		if all[i], ok = automatonOf(m); !ok {
			return true
		}
		edges = append(edges, all[i].edges()...)
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)

	// What the patterns can still match after some text, by where each of them is.
	start := make([][]uint32, len(all))
	for i, a := range all {
		start[i] = []uint32{uint32(a.prog.Start)}
	}
	type state struct {
		at    [][]uint32
		empty bool // the text so far
	}
	seen := map[string]bool{}
	open := []state{{start, true}}
	for len(open) > 0 {
		s := open[len(open)-1]
		open = open[:len(open)-1]
		if (!s.empty || mayMiss) && met(all, s.at, s.empty) {
			return true
		}
		for _, r := range edges {
			next, ok := after(all, s.at, s.empty, r)
			if key := keyOf(next); ok && !seen[key] {
				if len(seen) == most {
					return true
				}
				seen[key] = true
				open = append(open, state{next, false})
			}
		}
	}
	return false
}

// automaton is a matcher as what it reads, character by character.
type automaton struct {
	prog *syntax.Prog
	not  bool
}

func automatonOf(m *labels.Matcher) (automaton, bool) {
	text := m.Value
	if m.Type == labels.MatchEqual || m.Type == labels.MatchNotEqual {
		text = literal(text)
	}
	parsed, err := syntax.Parse(text, syntax.Perl|syntax.DotNL) // as Prometheus does
	if err != nil {
		return automaton{}, false
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return automaton{}, false
	}
	for _, inst := range prog.Inst {
		if inst.Op == syntax.InstEmptyWidth && syntax.EmptyOp(inst.Arg)&^(syntax.EmptyBeginText|syntax.EmptyEndText) != 0 {
			return automaton{}, false
		}
	}
	return automaton{prog, m.Type == labels.MatchNotEqual || m.Type == labels.MatchNotRegexp}, true
}

// literal is a pattern that matches the text alone.
func literal(text string) string {
	var b strings.Builder
	for _, r := range text {
		b.WriteString(`\x{` + strconv.FormatInt(int64(r), 16) + "}")
	}
	return b.String()
}

// edges are characters of which at least one is in each set of characters that the automaton does not tell apart.
func (a automaton) edges() (all []rune) {
	add := func(low, high rune) {
		for _, r := range []rune{low, high + 1} {
			if r >= 0xD800 && r < 0xE000 { // no characters
				r = 0xE000
			}
			if r <= unicode.MaxRune {
				all = append(all, r)
			}
		}
	}
	for _, inst := range a.prog.Inst {
		switch inst.Op {
		case syntax.InstRune, syntax.InstRune1:
			if len(inst.Rune) == 1 { // and, where case makes no difference, its other forms
				add(inst.Rune[0], inst.Rune[0])
				for r := unicode.SimpleFold(inst.Rune[0]); r != inst.Rune[0]; r = unicode.SimpleFold(r) {
					add(r, r)
				}
				continue
			}
			for i := 0; i+1 < len(inst.Rune); i += 2 {
				add(inst.Rune[i], inst.Rune[i+1])
			}
		case syntax.InstRuneAnyNotNL:
			add('\n', '\n')
		}
	}
	return all
}

// reach are the instructions that read something, or are the end, that can be reached without reading.
func (a automaton) reach(from []uint32, empty, end bool) []uint32 {
	var found []uint32
	seen := make([]bool, len(a.prog.Inst))
	var visit func(pc uint32)
	visit = func(pc uint32) {
		if seen[pc] {
			return
		}
		seen[pc] = true
		switch inst := a.prog.Inst[pc]; inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			visit(inst.Out)
			visit(inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			visit(inst.Out)
		case syntax.InstEmptyWidth:
			need := syntax.EmptyOp(inst.Arg)
			if (need&syntax.EmptyBeginText == 0 || empty) && (need&syntax.EmptyEndText == 0 || end) {
				visit(inst.Out)
			}
		case syntax.InstFail:
		default:
			found = append(found, pc)
		}
	}
	for _, pc := range from {
		visit(pc)
	}
	return found
}

// after is where the automatons are when they have read one more character; false where one that must match no longer can.
func after(all []automaton, at [][]uint32, empty bool, r rune) ([][]uint32, bool) {
	next := make([][]uint32, len(all))
	for i, a := range all {
		for _, pc := range a.reach(at[i], empty, false) {
			if inst := &a.prog.Inst[pc]; inst.Op != syntax.InstMatch && inst.MatchRune(r) {
				next[i] = append(next[i], inst.Out)
			}
		}
		if len(next[i]) == 0 && !a.not {
			return nil, false
		}
		slices.Sort(next[i])
		next[i] = slices.Compact(next[i])
	}
	return next, true
}

// met reports whether the text so far meets all matchers.
func met(all []automaton, at [][]uint32, empty bool) bool {
	for i, a := range all {
		matches := slices.ContainsFunc(a.reach(at[i], empty, true), func(pc uint32) bool { return a.prog.Inst[pc].Op == syntax.InstMatch })
		if matches == a.not {
			return false
		}
	}
	return true
}

func keyOf(at [][]uint32) string {
	var b strings.Builder
	for _, pcs := range at {
		for _, pc := range pcs {
			b.WriteString(strconv.Itoa(int(pc)))
			b.WriteByte(' ')
		}
		b.WriteByte('|')
	}
	return b.String()
}
