package ruletest

import (
	"io"
	"strings"

	"github.com/stemedb/firedrill/tools/junit"
)

// WriteJUnit writes the result as JUnit XML: a suite for each file, a case for each test group. A warning fails its file
// only if strict.
func (r *Result) WriteJUnit(w io.Writer, strict bool) error {
	var all junit.Document
	for _, f := range r.Files {
		all.Add(f.Path)
		for _, t := range f.Tests {
			c := junit.Case{Name: t.Name, ClassName: f.Path, File: f.Path, Line: t.Line, Time: junit.Seconds(t.Took)}
			for _, failure := range t.Failures {
				c.Failures = append(c.Failures, problemOf(failure.String()))
			}
			if t.Err != nil {
				c.Errors = append(c.Errors, problemOf(t.Err.Error()))
			}
			all.Add(f.Path, c)
		}
		if f.Err != nil {
			all.Add(f.Path, junit.Case{Name: "reading the file", ClassName: f.Path, File: f.Path, Errors: []junit.Problem{problemOf(f.Err.Error())}})
		}
		if strict && len(f.Warnings) > 0 {
			c := junit.Case{Name: "warnings", ClassName: f.Path, File: f.Path}
			for _, warning := range f.Warnings {
				c.Failures = append(c.Failures, problemOf(warning.String()))
			}
			all.Add(f.Path, c)
		}
	}
	return all.Write(w)
}

func problemOf(text string) junit.Problem {
	first, _, _ := strings.Cut(text, "\n")
	return junit.Problem{Message: first, Text: text}
}
