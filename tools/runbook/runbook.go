// Package runbook parses runbooks, and runs the steps of a branch verbatim in a shell on a terminal.
//
// A runbook is Markdown as GitHub renders it. Below its title is a list of four bold keys, in any order:
//
//	# Certificate expiring soon
//
//	- **Severity:** critical
//	- **Alert:** CertificateExpiringSoon
//	- **Trigger:** the certificate being served expires within 7 days
//	- **Duration:** 1h
//
// A procedure is a runbook without an alert, to which runbooks of alerts link. It has two keys:
//
//   - **Procedure:** DisasterRecovery
//   - **Trigger:** the host or its volume is lost
//
// Each fence whose language is bash is a step; any other fence is prose. Each heading of level 3
// under "## Resolution" is a branch: the steps beneath it, followed in order, end the incident. Exceptions for a step are
// written in braces after the language, separated by spaces:
//
//	```bash {exit=1}        ends with exit status 1, and with no other
//	```bash {run=false}     is shown, never run
//	```bash {timeout="2m"}  may take that long instead of DefaultTimeout, in Prometheus's notation
//	```bash {#renew}        has a name
//
// The labels of the alert are shell variables in each step, so there are no <placeholders>.
package runbook

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// MaxFileSize limits a runbook, in bytes.
	MaxFileSize = 1 << 20

	// DefaultTimeout limits a step that sets no timeout.
	DefaultTimeout = time.Minute
)

// Runbook is a checked Markdown file: its branches can be followed.
type Runbook struct {
	Path   string // as it was given to Load or Parse
	Title  string
	Header Header

	headings   []heading
	resolution int   // index of the heading "## Resolution", or -1
	branches   []int // indices of the headings of its branches
	steps      []Step
}

// Header holds the keys below the title. Lines are counted from 1.
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

	// Duration is how long the condition lasts before the alert fires: the rule's "for".
	Duration     time.Duration
	DurationLine int
}

// Step is one bash fence.
type Step struct {
	Name   string // from {#name}, unique in its runbook, or empty
	File   string
	Line   int    // of the first line of Source, counted from 1
	Source string // verbatim, without the indentation of its list or quotation

	Exit    int           // the one exit status that is right
	Run     bool          // false for a step that is only shown
	Timeout time.Duration // how long it may take
}

// Branch is a heading and all the steps beneath it, those beneath its subheadings among them.
type Branch struct {
	Name  string // the heading's text, without Markdown
	Line  int
	Steps []Step
}

// heading is a heading of any level. Its steps begin at the index first.
type heading struct {
	level int
	text  string
	line  int
	first int
}

// Load reads the runbook at path. The error joins every problem found, each naming its file and line.
func Load(path string) (*Runbook, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the runbook: %w", err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the runbook: %w", err)
	}
	return Parse(path, src)
}

// Steps returns every step in the order of the file.
func (r *Runbook) Steps() []Step { return slices.Clone(r.steps) }

// Branches returns the branches of the resolution in the order of the file.
func (r *Runbook) Branches() []Branch {
	var branches []Branch
	for _, i := range r.branches {
		h := r.headings[i]
		branches = append(branches, Branch{Name: h.text, Line: h.line, Steps: r.stepsOf(i)})
	}
	return branches
}

// Branch returns the branch of that name. The error lists the existing ones.
func (r *Runbook) Branch(name string) (Branch, error) {
	var names []string
	for _, b := range r.Branches() {
		if b.Name == name {
			return b, nil
		}
		names = append(names, b.Name)
	}
	return Branch{}, fmt.Errorf("%s:%d: no branch (%q) under the heading Resolution: %s",
		r.Path, r.headings[r.resolution].line, name, choice(name, names))
}

// Section returns the steps beneath the heading, at any level. No such heading, or several, is an error.
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
		return Branch{}, fmt.Errorf("%s:1: no heading (%q): %s", r.Path, name, choice(name, names))
	}
	return Branch{Name: name, Line: r.headings[found].line, Steps: r.stepsOf(found)}, nil
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

// findBranches looks for the resolution and its branches among the headings.
func (r *Runbook) findBranches() {
	r.resolution = slices.IndexFunc(r.headings, func(h heading) bool { return h.level == 2 && h.text == "Resolution" })
	if r.resolution < 0 {
		return
	}
	end := r.end(r.resolution)
	for i := r.resolution + 1; i < end; i++ {
		if r.headings[i].level == 3 {
			r.branches = append(r.branches, i)
		}
	}
}

// choice names the most similar of the names, and lists all.
func choice(asked string, names []string) string {
	if len(names) == 0 {
		return "there is none"
	}
	nearest := slices.MinFunc(names, func(a, b string) int { return distance(asked, a) - distance(asked, b) })
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return fmt.Sprintf("the nearest is %q, of %s", nearest, strings.Join(quoted, ", "))
}

// distance is the least number of runes to insert, delete or replace, letter case aside, that makes a into b.
func distance(a, b string) int {
	from, to := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j := range to {
			cost := 1
			if to[j] == r {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}
