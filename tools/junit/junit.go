// Package junit writes results as JUnit XML, which CI systems show as tests.
package junit

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"time"
)

// Document is a report. Its numbers and durations are those of the cases.
type Document struct {
	XMLName xml.Name `xml:"testsuites"`
	Name    string   `xml:"name,attr,omitempty"`
	totals
	Suites []Suite `xml:"testsuite"`
}

// Suite is the cases of one file.
type Suite struct {
	Name string `xml:"name,attr"`
	totals
	Cases []Case `xml:"testcase"`
}

type totals struct {
	Tests    int     `xml:"tests,attr"`
	Failures int     `xml:"failures,attr"`
	Errors   int     `xml:"errors,attr"`
	Time     Seconds `xml:"time,attr,omitempty"`
}

// Case is one result. It passed without failures and errors.
type Case struct {
	ClassName string    `xml:"classname,attr"`
	Name      string    `xml:"name,attr"`
	File      string    `xml:"file,attr"`
	Line      int       `xml:"line,attr,omitempty"`
	Time      Seconds   `xml:"time,attr,omitempty"`
	Failures  []Problem `xml:"failure"`
	Errors    []Problem `xml:"error"`
	SystemOut string    `xml:"system-out,omitempty"`
}

// Problem is why a case did not pass.
type Problem struct {
	Message string `xml:"message,attr"` // one line
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// Seconds is a duration, written in seconds.
type Seconds time.Duration

// MarshalText implements encoding.TextMarshaler.
func (s Seconds) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%.6f", time.Duration(s).Seconds()), nil
}

// Add adds cases of a file to its suite, which may have none.
func (d *Document) Add(file string, cases ...Case) {
	i := slices.IndexFunc(d.Suites, func(s Suite) bool { return s.Name == file })
	if i < 0 {
		i = len(d.Suites)
		d.Suites = append(d.Suites, Suite{Name: file})
	}
	suite := &d.Suites[i]
	suite.Cases = append(suite.Cases, cases...)
	for _, c := range cases {
		for _, t := range []*totals{&suite.totals, &d.totals} {
			t.Tests++
			t.Time += c.Time
			t.Failures += min(len(c.Failures), 1)
			t.Errors += min(len(c.Errors), 1)
		}
	}
}

// Write writes the document.
func (d *Document) Write(w io.Writer) error {
	text, err := xml.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}
