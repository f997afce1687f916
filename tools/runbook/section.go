package runbook

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// readStructure reads title and header, finds the sections and the branches, and notes what is wrong with them.
func (r *Runbook) readStructure() {
	r.Structure, r.resolutions, r.branches = nil, nil, nil
	fields := r.preface
	switch {
	case len(r.headings) > 0 && (r.isSection || r.headings[0].level == 1 && r.headings[0].text != ""):
		r.Title, fields = r.headings[0].text, r.headings[0].fields
	case r.front != "":
		r.Title = r.front
	default:
		line := 1
		if len(r.headings) > 0 {
			line = r.headings[0].line
			fields = r.headings[0].fields
		}
		r.structure("runbook/heading", line, 0, "the runbook does not begin with a title (%q): a line such as %q", r.line(line), "# Certificate expiring soon")
	}
	r.readHeader(fields)
	r.findBranches()
	inOrder(r.Structure)
}

// structure records what is wrong with title, header, sections or branches.
func (r *Runbook) structure(check string, line, column int, format string, args ...any) {
	r.Structure = append(r.Structure, r.problemf(check, line, column, format, args...))
}

// key is a bold key of the header, and where its value goes.
type key struct {
	name, example string
	value         *string
	line          *int
}

// readHeader reads the header from bold keys.
func (r *Runbook) readHeader(fields []field) {
	r.Header = Header{}
	h := &r.Header
	severity := key{"Severity", "critical", &h.Severity, &h.SeverityLine}
	alert := key{"Alert", "CertificateExpiringSoon", &h.Alert, &h.AlertLine}
	procedure := key{"Procedure", "DisasterRecovery", &h.Procedure, &h.ProcedureLine}
	trigger := key{"Trigger", "the certificate expires within 7 days", &h.Trigger, &h.TriggerLine}
	duration := key{"Duration", "1h", new(string), &h.DurationLine}

	wanted := []key{severity, alert, trigger, duration}
	if slices.ContainsFunc(fields, func(f field) bool { return f.key == procedure.name }) {
		wanted = []key{procedure, trigger}
		for _, f := range fields {
			if slices.ContainsFunc([]key{severity, alert, duration}, func(k key) bool { return k.name == f.key }) {
				r.structure("header/value", f.line, 0, "a procedure has no %s (%q): remove the line; the alert's runbook gives it", strings.ToLower(f.key), r.line(f.line))
			}
		}
	}
	for _, w := range wanted {
		for _, f := range fields {
			switch {
			case f.key != w.name:
			case *w.line > 0:
				r.structure("header/value", f.line, 0, "%s is given twice (%q), the first time on line %d: give it once", w.name, f.value, *w.line)
			default:
				*w.value, *w.line = f.value, f.line
			}
		}
		example := fmt.Sprintf("- **%s:** %s", w.name, w.example)
		switch {
		case *w.line > 0 && *w.value == "":
			r.structure("header/value", *w.line, 0, "%s is empty (%q): a line such as %q", w.name, r.line(*w.line), example)
		case *w.line > 0 && w.name == duration.name:
			parsed, err := model.ParseDuration(*w.value)
			if err != nil {
				parsed = -1
				r.structure("header/value", *w.line, 0, "not a duration (%q): Prometheus's notation, such as 1h, 5m or 0s", *w.value)
			}
			r.Header.Duration = time.Duration(parsed)
		}
	}
}

// sections returns the indices of the headings whose text is one of the words, of the highest level that has any.
func (r *Runbook) sections(words []string) []int {
	var found []int
	for i, h := range r.headings {
		text := strings.TrimRight(h.text, ": ")
		isTitle := i == 0 && (r.isSection || h.level == 1)
		if isTitle || !slices.ContainsFunc(words, func(word string) bool { return strings.EqualFold(word, text) }) {
			continue
		}
		if len(found) > 0 && h.level < r.headings[found[0]].level {
			found = nil
		}
		if len(found) == 0 || h.level == r.headings[found[0]].level {
			found = append(found, i)
		}
	}
	return found
}

const needResolution = `a heading such as "## Mitigation", with the steps or a heading for each case below it`

// findBranches finds the branches: the highest headings beneath each resolution, or the resolution itself.
func (r *Runbook) findBranches() {
	r.resolutions = r.sections(slices.Concat(r.grammar.Sections.Resolution, resolutionWords))
	if len(r.resolutions) == 0 {
		line := 1
		if len(r.headings) > 0 {
			line = r.headings[0].line
		}
		r.structure("runbook/section", line, 0, "the runbook does not say what to do (%q): %s", r.Title, needResolution)
		return
	}
	for _, i := range r.resolutions {
		below := r.headings[i+1 : r.end(i)]
		if len(below) == 0 {
			r.branches = append(r.branches, i)
			continue
		}
		level := slices.MinFunc(below, func(a, b heading) int { return a.level - b.level }).level
		first := len(r.branches)
		for j, h := range below {
			if h.level == level {
				r.branches = append(r.branches, i+1+j)
			}
		}
		for _, s := range r.steps[r.headings[i].first:r.headings[r.branches[first]].first] {
			if s.Run {
				r.structure("runbook/heading", s.Line, 0, "a step outside any branch (%q), which is never run: move it below the heading of a branch", firstLine(s.Source))
			}
		}
	}

	lines := map[string]int{} // of the branches, by name
	for _, b := range r.Branches() {
		switch line, taken := lines[b.Name]; {
		case b.Name == "":
			r.structure("runbook/heading", b.Line, 0, "a branch without a name (%q): the case that it is for, such as %q", r.line(b.Line), "### If the certificate is ours")
		case taken:
			r.structure("runbook/heading", b.Line, 0, "a branch of the same name (%q) is on line %d: another name", b.Name, line)
		case slices.ContainsFunc(b.Steps, func(s Step) bool { return s.Run }):
		case len(b.Shown) > 0:
			r.structure("runbook/branch", b.Line, 0, "a branch whose commands (%q) are in fences of %s (%q), which are not steps: write bash after the marks, without prompts",
				firstLine(b.Shown[0].Source), b.Shown[0].Kind(), b.Name)
		default:
			r.structure("runbook/branch", b.Line, 0, "a branch with nothing to run (%q): at least one bash fence without {run=false} below it", b.Name)
		}
		if lines[b.Name] == 0 {
			lines[b.Name] = b.Line
		}
	}
}

// section returns the part of a runbook beneath the heading that a fragment leads to, as a runbook.
func (r *Runbook) section(fragment string) (*Runbook, bool) {
	i := slices.IndexFunc(r.headings, func(h heading) bool { return h.anchor == fragment })
	if i < 0 {
		return nil, false
	}
	end, last := r.end(i), len(r.lineStarts)+1
	part := *r
	part.isSection = true
	part.headings = slices.Clone(r.headings[i:end])
	for j := range part.headings {
		part.headings[j].first -= r.headings[i].first
	}
	part.steps = r.stepsOf(i)
	if end < len(r.headings) {
		last = r.headings[end].line
	}
	within := func(line int) bool { return r.headings[i].line <= line && line < last }
	part.shown = slices.DeleteFunc(slices.Clone(r.shown), func(s Step) bool { return !within(s.Line) })
	part.Problems = slices.DeleteFunc(slices.Clone(r.Problems), func(p Problem) bool { return !within(p.Line) })
	part.readStructure()
	return &part, true
}
