// Package runbook parses runbooks, and runs the steps of a branch verbatim in a shell on a terminal.
//
// A runbook is Markdown as GitHub renders it; the front matter of Hugo before it is read past. Its title is the first
// heading, or the front matter's. Its sections are known by the words in use, in any letter case, where the headings of
// the highest such level count (see Sections):
//
//	## Meaning       what the alert says
//	## Impact        what it does to users
//	## Diagnosis     also Investigation Steps, Investigation, Debugging Steps, Debugging
//	## Mitigation    also Resolution, Remediation, Fix
//
// The highest headings beneath Mitigation are its branches: the steps beneath one, followed in order, end the incident.
// Without headings beneath it, it is the one branch itself. Below the title, in any order, may stand a list of bold keys,
// which are compared with the rule:
//
//   - **Severity:** critical
//   - **Alert:** CertificateExpiringSoon
//   - **Trigger:** the certificate being served expires within 7 days
//   - **Duration:** 1h
//
// A procedure is a runbook without an alert, to which runbooks of alerts link. It has two keys:
//
//   - **Procedure:** DisasterRecovery
//   - **Trigger:** the host or its volume is lost
//
// Each fence whose language is bash or sh is a step. A fence of shell or console is one where Grammar.Steps names the
// language: lines that begin with the prompt, "$ " or else "# ", are its commands, the others are output; shell without
// a prompt is all commands. Any other fence is prose. Exceptions for a step are written in braces after the language,
// separated by spaces:
//
//	```bash {exit=1}        ends with exit status 1, and with no other
//	```bash {run=false}     is shown, never run
//	```bash {timeout="2m"}  may take that long instead of DefaultTimeout, in Prometheus's notation
//	```bash {#renew}        has a name
//
// The labels of the alert are shell variables in each step, so there are no <placeholders>.
//
// A Folder finds the runbook of an alert: the file of its name, or the file or section that its runbook_url leads to.
package runbook

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stemedb/firedrill/tools/nearest"
)

const (
	// MaxFileSize limits a runbook, in bytes.
	MaxFileSize = 1 << 20

	// DefaultTimeout limits a step that sets no timeout.
	DefaultTimeout = time.Minute
)

// Grammar is how the runbooks of a repository are written. The zero value is what the package documentation says.
type Grammar struct {
	Sections Sections
	Steps    []string // languages beside bash and sh of the fences that are steps: "shell", "console"
}

// Sections are headings of sections beside the usual ones, which they precede.
type Sections struct {
	Resolution    []string // the section that has the branches
	Investigation []string
}

var (
	resolutionWords    = []string{"Mitigation", "Resolution", "Remediation", "Fix"}
	investigationWords = []string{"Investigation Steps", "Investigation", "Diagnosis", "Debugging Steps", "Debugging"}
)

// Runbook is a Markdown file, or a section of one that has the runbooks of several alerts.
type Runbook struct {
	Path   string // as it was given to Parse
	Title  string
	Header Header
	Text   string // of the file, with blanks in place of front matter and \n at the end of each line

	// Problems are what is wrong with fences and steps, Structure what is wrong with the title, the header, the sections
	// and the branches. Both are in the order of the lines.
	Problems, Structure []Problem

	grammar     Grammar
	lineStarts  []int  // the offset in Text at which each line begins
	front       string // the title in the front matter
	preface     []field
	headings    []heading
	isSection   bool  // its first heading is that of the section
	resolutions []int // indices of the headings that have branches beneath them
	branches    []int // indices of the headings of the branches
	steps       []Step
	shown       []Step // the fences of commands that are not steps
}

// Problem is an error in a runbook.
type Problem struct {
	Check        string // that finds it, such as runbook/shell
	Path         string
	Line, Column int // counted from 1, the column in bytes; a column of 0 means the whole line
	Text         string
}

func (p Problem) Error() string {
	if p.Column > 0 {
		return fmt.Sprintf("%s:%d:%d: %s", p.Path, p.Line, p.Column, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s", p.Path, p.Line, p.Text)
}

// Header holds the keys below the title. Lines are counted from 1, and 0 for a key that is not given.
type Header struct {
	Severity     string
	SeverityLine int

	Alert     string
	AlertLine int

	// Procedure is the name of a procedure, which has no severity, alert or duration; empty for an alert's runbook.
	Procedure     string
	ProcedureLine int

	// Trigger is the alert's condition in words, or when to follow a procedure.
	Trigger     string
	TriggerLine int

	// Duration is how long the condition lasts before the alert fires: the rule's "for". It is -1 where it cannot be read.
	Duration     time.Duration
	DurationLine int
}

// Step is one fence of commands.
type Step struct {
	Name     string // from {#name}, unique in its runbook, or empty
	File     string
	Line     int    // of the first line of Source, counted from 1
	Language string // of a fence that is not a step, as it is written; may be empty
	Source   string // verbatim, without the indentation of its list or quotation, and without prompts; output is empty lines

	Exit    int           // the one exit status that is right
	Run     bool          // false for a step that is only shown
	Timeout time.Duration // how long it may take
}

// Branch is a heading and all the steps beneath it, those beneath its subheadings among them.
type Branch struct {
	Name  string // the heading's text, without Markdown
	Line  int
	Steps []Step
	Shown []Step // the fences of commands that are not steps
}

// heading is a heading of any level. Its steps begin at the index first.
type heading struct {
	level  int
	text   string
	anchor string // by which GitHub links to it
	line   int
	first  int
	fields []field // bold keys beneath it, before the next heading
}

// load reads the runbook at path.
func load(path string, g Grammar) (*Runbook, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the runbook: %w", err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the runbook: %w", err)
	}
	return Parse(path, src, g)
}

// Name is the name of the file without .md, or of its folder for an index.md, _index.md or README.md.
func (r *Runbook) Name() string {
	if isIndex(r.Path) {
		return filepath.Base(filepath.Dir(r.Path))
	}
	return strings.TrimSuffix(filepath.Base(r.Path), ".md")
}

// Anchors returns the fragments of the headings, in their order, and the line of each.
func (r *Runbook) Anchors() (fragments []string, lines []int) {
	for _, h := range r.headings {
		fragments, lines = append(fragments, h.anchor), append(lines, h.line)
	}
	return fragments, lines
}

// Steps returns every step in the order of the file.
func (r *Runbook) Steps() []Step { return slices.Clone(r.steps) }

// Shown returns the fences that have commands and are no steps, in the order of the file: those of shell and console, and
// plain ones that begin with a prompt or with programs that are known.
func (r *Runbook) Shown() []Step { return slices.Clone(r.shown) }

// Branches returns the branches of the resolution in the order of the file.
func (r *Runbook) Branches() []Branch {
	var branches []Branch
	for _, i := range r.branches {
		branches = append(branches, r.branch(i))
	}
	return branches
}

// Branch returns the branch of that name. The error lists the existing ones, or says what is wrong with the branch.
func (r *Runbook) Branch(name string) (Branch, error) {
	var names []string
	var found Branch
	for _, i := range r.branches {
		h := r.headings[i]
		names = append(names, h.text)
		if h.text != name {
			continue
		}
		if err := r.wrong(i); err != nil {
			return Branch{}, err
		}
		found = r.branch(i)
	}
	switch {
	case found.Line > 0:
		return found, nil
	case len(r.resolutions) == 0:
		return Branch{}, fmt.Errorf("%s:1: no branch (%q), since the runbook does not say what to do: %s", r.Path, name, needResolution)
	}
	resolution := r.headings[r.resolutions[0]]
	return Branch{}, fmt.Errorf("%s:%d: no branch (%q) under the heading %s: %s", r.Path, resolution.line, name, resolution.text, nearest.Choice(name, names))
}

// Investigation returns the steps of the investigation: of the section whose heading is the first of the words for it
// that is there. A runbook without one has a Branch without steps. The error says what is wrong with the section.
func (r *Runbook) Investigation() (Branch, error) {
	for _, word := range r.grammar.investigations() {
		if found := r.sections([]string{word}); len(found) > 0 {
			return r.Section(r.headings[found[0]].text)
		}
	}
	return Branch{}, nil
}

func (g Grammar) investigations() []string {
	return slices.Concat(g.Sections.Investigation, investigationWords)
}

// Investigates tells whether there is a heading of an investigation.
func (r *Runbook) Investigates() bool { return len(r.sections(r.grammar.investigations())) > 0 }

// Has tells whether there is a heading of that text, letter case aside.
func (r *Runbook) Has(section string) bool { return len(r.sections([]string{section})) > 0 }

// Section returns the steps beneath the heading, at any level. No such heading, several, or something wrong beneath it, is
// an error.
func (r *Runbook) Section(name string) (Branch, error) {
	found := -1
	var names []string
	for i, h := range r.headings {
		names = append(names, h.text)
		if h.text != name {
			continue
		}
		if found >= 0 {
			return Branch{}, fmt.Errorf("%s:%d: two headings of the same text (%q), the first on line %d: give one of them another",
				r.Path, h.line, name, r.headings[found].line)
		}
		found = i
	}
	if found < 0 {
		return Branch{}, fmt.Errorf("%s:1: no heading (%q): %s", r.Path, name, nearest.Choice(name, names))
	}
	if err := r.wrong(found); err != nil {
		return Branch{}, err
	}
	return r.branch(found), nil
}

// wrong joins the problems that stand beneath a heading.
func (r *Runbook) wrong(i int) error {
	last := math.MaxInt
	if end := r.end(i); end < len(r.headings) {
		last = r.headings[end].line - 1
	}
	var errs []error
	for _, p := range slices.Concat(r.Problems, r.Structure) {
		if r.headings[i].line <= p.Line && p.Line <= last {
			errs = append(errs, p)
		}
	}
	return errors.Join(errs...)
}

func (r *Runbook) branch(i int) Branch {
	last := len(r.lineStarts) + 1
	if end := r.end(i); end < len(r.headings) {
		last = r.headings[end].line
	}
	b := Branch{Name: r.headings[i].text, Line: r.headings[i].line, Steps: r.stepsOf(i)}
	for _, s := range r.shown {
		if b.Line < s.Line && s.Line < last {
			b.Shown = append(b.Shown, s)
		}
	}
	return b
}

// end returns the index of the heading that ends the section of heading i.
func (r *Runbook) end(i int) int {
	for j := i + 1; j < len(r.headings); j++ {
		if r.headings[j].level <= r.headings[i].level {
			return j
		}
	}
	return len(r.headings)
}

func (r *Runbook) stepsOf(i int) []Step {
	last := len(r.steps)
	if end := r.end(i); end < len(r.headings) {
		last = r.headings[end].first
	}
	return slices.Clone(r.steps[r.headings[i].first:last])
}
