package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/syntax"

	"github.com/stemedb/firedrill/tools/journal"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	styleText string
)

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"span":    span,
	"seconds": func(s journal.Seconds) string { return span(s.Duration()) },
	"took":    took,
	"clock":   clock,
	"moment":  moment,
	"ended":   ended,
	"letter":  letter,
	"roman":   roman,
	"stepID":  stepID,
	"inc":     func(i int) int { return i + 1 },
	"plural":  plural,
	"mark":    func(v journal.Verdict) verdictMark { return marks[v] },
	"labels":  labelled,
	"brief":   brief,
	"typed":   typed,
	"short":   func(commit string) string { return commit[:min(12, len(commit))] },
}).Parse(pageText))

// typed is a command line quoted for a shell.
func typed(args []string) string {
	var words []string
	for _, arg := range args {
		word, err := syntax.Quote(arg, syntax.LangBash)
		if err != nil { // a byte that a shell cannot be given
			word = strconv.Quote(arg)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// verdictMark is a verdict as it is shown: a sign and a word, not only a colour.
type verdictMark struct{ Sign, Word, Class string }

var marks = map[journal.Verdict]verdictMark{
	journal.True:    {"✓", "proven", "true"},
	journal.False:   {"✗", "failed", "false"},
	journal.Unknown: {"?", "unknown", "unknown"},
}

// page is what the template shows.
type page struct {
	journal.Journal
	Style      template.CSS
	Verdict    journal.Verdict
	Headline   string
	Summary    Summary
	Took       time.Duration
	Leapt      time.Duration
	Comparison comparison
	Proofs     []proofView
	Drills     []drillView
}

// proofView is a proof as the page shows it.
type proofView struct {
	journal.Proof
	ID       string
	First    bool // of its alert
	Change   change
	Timeline template.HTML
	Events   []event
	Legend   []legend
}

// Told says whether a proof has more than fits into a row of the table.
func (v proofView) Told() bool {
	return v.Timeline != "" || v.Failure != "" || v.Rule != nil || v.Evidence != "" || len(v.SideEffects) > 0
}

// effects are the side effects of a proof.
type effects []journal.SideEffect

// Effects are the proof's side effects.
func (v proofView) Effects() effects { return v.SideEffects }

// Summary says how many changes there are, and how many of them are dangerous. What is allowed is not.
func (e effects) Summary() string {
	changes, dangerous, allowed := 0, 0, 0
	for _, effect := range e {
		switch {
		case effect.Kind == "not examined":
			continue
		case effect.Allowed:
			allowed++
		case effect.Danger != "":
			dangerous++
		}
		changes++
	}
	text := fmt.Sprintf("%s, %d dangerous", plural(changes, "change", "changes"), dangerous)
	if allowed > 0 {
		text += fmt.Sprintf(", %d allowed", allowed)
	}
	if missing := len(e) - changes; missing > 0 {
		text += fmt.Sprintf(", %d not examined", missing)
	}
	return text
}

// legend names a series of a timeline.
type legend struct {
	Class, Label, Last string
}

// drillView is a drill as the page shows it.
type drillView struct {
	*journal.Drill
	ID         string
	Proof      journal.Proof
	Objectives []objective
}

// objective is an objective of a recovery, and what was measured.
type objective struct {
	What, Demanded, Measured string
	Verdict                  journal.Verdict
}

// writePage makes the page of a journal.
func writePage(j journal.Journal, previous *journal.Journal) ([]byte, error) {
	p := page{Journal: j, Style: template.CSS(styleText), Summary: Summarize(j), Comparison: compare(j, previous)}
	p.Took, p.Leapt = p.Summary.took, p.Summary.leapt
	p.Verdict, p.Headline = headline(p.Summary)
	alert := ""
	for i, proof := range j.Proofs {
		v := proofView{Proof: proof, ID: fmt.Sprintf("proof-%d", i+1), First: i == 0 || proof.Alert != alert, Change: p.Comparison.of(proof), Events: events(proof), Legend: legends(proof)}
		v.Timeline = timeline(v.ID, proof)
		alert = proof.Alert
		p.Proofs = append(p.Proofs, v)
		if proof.Drill != nil {
			p.Drills = append(p.Drills, drillView{proof.Drill, v.ID, proof, objectives(*proof.Drill)})
		}
	}
	p.judgeObjectives()
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("making the page: %w", err)
	}
	return b.Bytes(), nil
}

// judgeObjectives adds the objectives that were missed or not measured to the headline.
func (p *page) judgeObjectives() {
	missed, open := 0, 0
	for _, d := range p.Drills {
		for _, o := range d.Objectives {
			switch {
			case o.Verdict == journal.False:
				missed++
			case o.Verdict == journal.Unknown && o.Demanded != none:
				open++
			}
		}
	}
	joint := ", and "
	if p.Verdict == journal.True {
		joint = ", but "
	}
	switch {
	case missed > 0:
		p.Headline += joint + plural(missed, "objective was", "objectives were") + " missed"
		p.Verdict = journal.False
	case open > 0:
		p.Headline += joint + plural(open, "objective was", "objectives were") + " not measured"
		if p.Verdict == journal.True {
			p.Verdict = journal.Unknown
		}
	}
}

// headline is the run in one sentence.
func headline(s Summary) (journal.Verdict, string) {
	all := s.Passed + s.Failed + s.Unknown
	switch {
	case all == 0:
		return journal.Unknown, "Nothing was tried"
	case s.Failed > 0 && s.Unknown > 0:
		return journal.False, fmt.Sprintf("Not proven: %d of %d failed, %d unknown", s.Failed, all, s.Unknown)
	case s.Failed > 0:
		return journal.False, fmt.Sprintf("Not proven: %d of %d failed", s.Failed, all)
	case s.Unknown > 0:
		return journal.Unknown, fmt.Sprintf("Unknown: %d of %d did not run to the end", s.Unknown, all)
	case all == 1:
		return journal.True, "Proven"
	}
	return journal.True, fmt.Sprintf("Proven, all %d", all)
}

// name is what a proof is called.
func name(p journal.Proof) string {
	if p.Branch == "" {
		return p.Alert
	}
	return p.Alert + ": " + p.Branch
}

// Open are the proofs that are not proven.
func (p page) Open() []proofView {
	return slices.DeleteFunc(slices.Clone(p.Proofs), func(v proofView) bool { return v.Verdict == journal.True })
}

// Name is what the proof is called.
func (v proofView) Name() string { return name(v.Proof) }

// legends name the series that are drawn, by the labels in which they differ.
func legends(p journal.Proof) []legend {
	if p.Signal == nil {
		return nil
	}
	drawn := p.Signal.Series[:min(most, len(p.Signal.Series))]
	var sets []map[string]string
	for _, s := range drawn {
		sets = append(sets, s.Labels)
	}
	differing := distinguishing(sets)
	var found []legend
	for i, s := range drawn {
		l := legend{Class: fmt.Sprintf("s%d", i+1), Label: p.Signal.Expr}
		if len(drawn) > 1 {
			l.Label = labelled(differing[i])
		}
		if n := len(s.Samples); n > 0 {
			l.Last = value(s.Samples[n-1].Value, p.Signal.Unit)
		}
		found = append(found, l)
	}
	return found
}

// More is how many series are not drawn.
func (v proofView) More() int {
	if v.Signal == nil {
		return 0
	}
	return max(0, len(v.Signal.Series)-most)
}

// Threshold says what the rule compares its signal with.
func (v proofView) Threshold() string {
	if v.Rule == nil || v.Rule.Threshold == nil {
		return ""
	}
	unit := ""
	if v.Signal != nil {
		unit = v.Signal.Unit
	}
	return words[v.Rule.Threshold.Op] + " " + value(v.Rule.Threshold.Value, unit)
}

// none is shown where no objective was set.
const none = "none set"

// objectives are the lines of a drill's table of objectives.
func objectives(d journal.Drill) []objective {
	duration := func(s *journal.Seconds) string {
		if s == nil {
			return ""
		}
		return short(s.Duration().Round(100 * time.Millisecond)) // to be compared: 30.4s is more than 30s
	}
	count := func(n *int64) string {
		if n == nil {
			return ""
		}
		return plural(int(*n), "record", "records")
	}
	found := []objective{
		{"Recovery time (RTO)", duration(d.Objectives.RTO), duration(d.Measured.RTO), journal.Within(d.Measured.RTO, d.Objectives.RTO)},
		{"Records lost (RPO)", count(d.Objectives.RPORecords), count(d.Measured.RPORecords), journal.Within(d.Measured.RPORecords, d.Objectives.RPORecords)},
		{"Time whose records were lost (RPO)", duration(d.Objectives.RPO), duration(d.Measured.RPO), journal.Within(d.Measured.RPO, d.Objectives.RPO)},
	}
	for i := range found {
		found[i].Demanded = cmp.Or(found[i].Demanded, none)
		found[i].Measured = cmp.Or(found[i].Measured, "not measured")
	}
	return found
}

// Word is the result of an objective.
func (o objective) Word() string {
	return map[journal.Verdict]string{journal.True: "met", journal.False: "missed", journal.Unknown: "unknown"}[o.Verdict]
}
