package finding

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		ClassName string        `xml:"classname,attr"`
		Name      string        `xml:"name,attr"`
		File      string        `xml:"file,attr"`
		Failure   *junitFailure `xml:"failure"`
		SystemOut string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes a suite for each file and in it a case for each alert, with or without findings: CI systems compare
// cases of several runs by name, and an alert's name is stable, unlike a line number or a sentence. A finding without an
// alert has a case named after its check, which exists only when it fails. A case has one failure with all its findings,
// since most readers show only the first. Warnings alone are output.
func (r Report) writeJUnit(w io.Writer) error {
	type key struct{ file, name string }
	found := map[key][]Finding{}
	var keys []key // in order of the report
	isKey := map[key]bool{}
	add := func(k key) {
		if !isKey[k] {
			isKey[k] = true
			keys = append(keys, k)
		}
	}
	byName := map[string]key{}
	for _, alert := range r.Alerts {
		k := key{alert.File, alert.Name}
		add(k)
		byName[alert.Name] = k
	}
	for _, f := range r.Findings {
		k := key{f.File, f.Alert}
		if !isKey[k] { // a finding in a runbook belongs to its alert
			named, ok := byName[f.Alert]
			if k = named; !ok {
				k = key{f.File, f.Check}
			}
		}
		add(k)
		found[k] = append(found[k], f)
	}

	document := junitSuites{Name: "firedrill check"}
	suites := map[string]int{}
	for _, k := range keys {
		i, ok := suites[k.file]
		if !ok {
			i = len(document.Suites)
			suites[k.file] = i
			document.Suites = append(document.Suites, junitSuite{Name: k.file})
		}
		c := junitCase{ClassName: k.file, Name: k.name, File: inRepository(k.file)}
		c.judge(found[k])
		suite := &document.Suites[i]
		suite.Cases = append(suite.Cases, c)
		suite.Tests++
		document.Tests++
		if c.Failure != nil {
			suite.Failures++
			document.Failures++
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (c *junitCase) judge(findings []Finding) {
	var texts []string
	var errors []Finding
	for _, f := range findings {
		texts = append(texts, f.String())
		if f.Severity == Error {
			errors = append(errors, f)
		}
	}
	text := strings.Join(texts, "\n\n")
	if len(errors) == 0 {
		c.SystemOut = text
		return
	}
	message := errors[0].Message
	if more := len(errors) - 1; more > 0 {
		message += fmt.Sprintf(" (and %d more)", more)
	}
	c.Failure = &junitFailure{Message: message, Type: errors[0].Check, Text: text}
}
