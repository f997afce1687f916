package ruletest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     junitTime    `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     junitTime   `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string         `xml:"name,attr"`
	Classname string         `xml:"classname,attr"`
	File      string         `xml:"file,attr"`
	Line      int            `xml:"line,attr,omitempty"`
	Time      junitTime      `xml:"time,attr"`
	Failures  []junitProblem `xml:"failure"`
	Errors    []junitProblem `xml:"error"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type junitTime time.Duration

func (t junitTime) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%.6f", time.Duration(t).Seconds()), nil
}

// WriteJUnit writes the result as JUnit XML: a suite for each file, a case for each test group. A warning fails its file
// only if strict.
func (r *Result) WriteJUnit(w io.Writer, strict bool) error {
	var all junitSuites
	for _, f := range r.Files {
		suite := junitSuite{Name: f.Path}
		for _, t := range f.Tests {
			c := junitCase{Name: t.Name, Classname: f.Path, File: f.Path, Line: t.Line, Time: junitTime(t.Took)}
			for _, failure := range t.Failures {
				c.Failures = append(c.Failures, problemOf(failure.String()))
			}
			if t.Err != nil {
				c.Errors = append(c.Errors, problemOf(t.Err.Error()))
			}
			suite.add(c)
		}
		if f.Err != nil {
			suite.add(junitCase{Name: "reading the file", Classname: f.Path, File: f.Path, Errors: []junitProblem{problemOf(f.Err.Error())}})
		}
		if strict && len(f.Warnings) > 0 {
			c := junitCase{Name: "warnings", Classname: f.Path, File: f.Path}
			for _, warning := range f.Warnings {
				c.Failures = append(c.Failures, problemOf(warning.String()))
			}
			suite.add(c)
		}
		all.Tests, all.Failures, all.Errors, all.Time = all.Tests+suite.Tests, all.Failures+suite.Failures, all.Errors+suite.Errors, all.Time+suite.Time
		all.Suites = append(all.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	s.Time += c.Time
	if len(c.Failures) > 0 {
		s.Failures++
	}
	if len(c.Errors) > 0 {
		s.Errors++
	}
	s.Cases = append(s.Cases, c)
}

func problemOf(text string) junitProblem {
	first, _, _ := strings.Cut(text, "\n")
	return junitProblem{Message: first, Text: text}
}
