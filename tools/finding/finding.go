// Package finding reports what is wrong in which file and how to fix it, in the formats that people, editors and CI systems
// read.
package finding

import (
	"fmt"
	"strings"
	"unicode"
)

// Severity decides whether a finding fails a run.
type Severity string

// The severities. Warnings do not fail a run.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Check is one kind of finding.
type Check struct {
	Name     string // such as "trigger/threshold": what it checks, and for what
	Severity Severity
	Help     string // one line: what it requires
}

// Finding is one problem at one place.
type Finding struct {
	Severity Severity
	Check    string // the name of the check that found it
	Alert    string // the alert whose rule or runbook it is in, or empty
	File     string // as the reader of the file named it
	Line     int    // counted from 1
	Column   int    // in characters, counted from 1; 0 for the whole line
	// EndColumn is the column after the last character, on the same line; 0 if unknown.
	EndColumn int
	Message   string // one sentence: what contradicts what, and how to fix it
	Source    string // the source line, or empty
}

// String is what is wrong, where, and the line with carets under the place.
func (f Finding) String() string { return f.text(plain) }

// paint colours a text, or returns it unchanged.
type paint func(color, text string) string

// The colours, by their codes in a terminal's control sequences.
const (
	red    = "1;31"
	yellow = "1;33"
	blue   = "1;34"
)

func plain(_, text string) string { return text }

func colored(color, text string) string { return "\x1b[" + color + "m" + text + "\x1b[0m" }

func (f Finding) text(paint paint) string {
	color, label := red, "Error"
	if f.Severity == Warning {
		color, label = yellow, "Warning"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s (%s)\n  %s %s:%d", paint(color, label+":"), printable(f.Message), f.Check, paint(blue, "-->"), f.File, f.Line)
	if f.Column > 0 {
		fmt.Fprintf(&b, ":%d", f.Column)
	}
	source, column := f.excerpt()
	if source == "" {
		return b.String()
	}
	number := fmt.Sprintf("%5d", f.Line)
	fmt.Fprintf(&b, "\n%s %s", paint(blue, number+" |"), source)
	if column > 0 {
		line := []rune(source)
		indent := strings.Map(func(r rune) rune {
			if r == '\t' {
				return r
			}
			return ' '
		}, string(line[:column-1]))
		length := max(1, min(f.EndColumn-f.Column, len(line)-column+1))
		fmt.Fprintf(&b, "\n%s %s%s", paint(blue, strings.Repeat(" ", len(number))+" |"), indent, paint(color, strings.Repeat("^", length)))
	}
	return b.String()
}

// excerpt returns the source line, or the part of a long one around the place, and the column of the place in it, or 0.
func (f Finding) excerpt() (source string, column int) {
	const widest = 160
	line := []rune(printable(f.Source))
	column = f.Column
	if column > len(line) {
		column = 0
	}
	from := 0
	if column > widest {
		from = column - widest/2
	}
	end := min(len(line), from+widest)
	source = string(line[from:end])
	if end < len(line) {
		source += "…"
	}
	if from > 0 {
		source = "…" + source
		column -= from - 1
	}
	return source, column
}

// printable replaces control characters, which could control the reader's terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
