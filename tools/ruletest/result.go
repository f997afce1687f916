package ruletest

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Result is the outcome of a run.
type Result struct {
	Files    []FileResult
	Coverage *Coverage // nil unless asked for
}

// FileResult is the outcome of the tests of one file.
type FileResult struct {
	Path     string
	Err      error // the file is invalid
	Tests    []TestResult
	Warnings []Warning
}

// TestResult is the outcome of one test group.
type TestResult struct {
	Name     string
	Index    int   // in the file
	Line     int   // where it begins, from 1; 0 if unknown
	Err      error // its input series or a rule file is invalid
	Failures []Failure
	Took     time.Duration
}

// Failed reports whether the test did not pass.
func (t TestResult) Failed() bool { return t.Err != nil || len(t.Failures) > 0 }

// Failure is an assertion that does not hold, or a rule that cannot be evaluated.
type Failure struct {
	File    string
	Line    int    // of the assertion, from 1; 0 if unknown
	Message string // what was expected and what came, on one line or more
}

func (f Failure) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message)
}

// Warning describes a weakness of a test. It changes no verdict.
type Warning struct {
	File    string
	Line    int // from 1; 0 for the file as a whole
	Message string
}

func (w Warning) String() string { return Failure(w).String() }

// Failed reports whether a test did not pass.
func (r *Result) Failed() bool {
	for _, f := range r.Files {
		for _, t := range f.Tests {
			if t.Failed() {
				return true
			}
		}
	}
	return r.Err() != nil
}

// Err joins the errors of invalid input, or is nil.
func (r *Result) Err() error {
	var errs []error
	said := map[string]bool{}
	add := func(err error) {
		if err != nil && !said[err.Error()] {
			said[err.Error()] = true
			errs = append(errs, err)
		}
	}
	for _, f := range r.Files {
		add(f.Err)
		for _, t := range f.Tests {
			add(t.Err)
		}
	}
	return errors.Join(errs...)
}

// lineError is an error with a line number.
type lineError struct {
	line int
	err  error
}

func (p *lineError) Error() string { return p.err.Error() }

// abbreviated shortens a text for a message.
func abbreviated(text string) string {
	const most = 80
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

var (
	linePrefix   = regexp.MustCompile(`^\s*(?:line )?(\d+):(?:(\d+):)? (.*)$`)
	unknownField = regexp.MustCompile(`^field (.*) not found in type \w+\.(\w+)$`)
	wrongKind    = regexp.MustCompile("(?s)^cannot unmarshal !!(\\w+)( `.*`)? into (\\S+)$")

	// What a test file may hold, by the types that it is decoded into.
	fieldsOf = map[string]string{
		"testFile":       "a test file has rule_files, evaluation_interval, group_eval_order, fuzzy_compare and tests",
		"testGroup":      "a test has name, interval, input_series, alert_rule_test, promql_expr_test, external_labels, external_url and start_timestamp",
		"seriesText":     "an input series has series and values",
		"alertTest":      "an alert_rule_test has eval_time, alertname and exp_alerts",
		"expectedAlert":  "an expected alert has exp_labels and exp_annotations",
		"exprTest":       "a promql_expr_test has expr, eval_time and exp_samples",
		"expectedSample": "an expected sample has labels, value and histogram",
	}
)

// decodeError adds the file, and the line if there is one, to a YAML decoder's error, in plainer words.
func decodeError(path, text string) error {
	line := ""
	if m := linePrefix.FindStringSubmatch(text); m != nil {
		line, text = ":"+m[1], m[3]
	}
	if m := unknownField.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("unknown field %s", strconv.Quote(m[1]))
		if fields := fieldsOf[m[2]]; fields != "" {
			text += ": " + fields
		}
	} else if m := wrongKind.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("%s%s in the wrong place, where %s belongs", kindOf(m[1]), m[2], kindOf(m[3]))
	}
	return fmt.Errorf("%s%s: %s", path, line, text)
}

// kindOf translates the names of YAML tags and Go types in a decoder's errors.
func kindOf(name string) string {
	switch {
	case name == "seq" || strings.HasPrefix(name, "[]"):
		return "a list"
	case name == "map" || strings.HasPrefix(name, "map[") || strings.HasPrefix(name, "ruletest."):
		return "a mapping"
	case name == "str" || name == "string":
		return "text"
	case name == "int" || name == "float" || name == "float64":
		return "a number"
	case name == "bool":
		return "true or false"
	}
	return name
}
