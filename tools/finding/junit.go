package finding

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stemedb/firedrill/tools/junit"
)

// writeJUnit writes a suite for each file and in it a case for each alert, with or without findings: CI systems compare
// cases of several runs by name, and an alert's name is stable, unlike a line number or a sentence. A finding without an
// alert has a case named after its check, which exists only when it fails. A case has one failure with all its findings,
// since most readers show only the first. Warnings alone are output.
func (r Report) writeJUnit(w io.Writer) error {
	type key struct{ file, name string }
	found := map[key][]Finding{}
	var keys []key // in order of the report
	add := func(k key) {
		if !slices.Contains(keys, k) {
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
		if !slices.Contains(keys, k) { // a finding in a runbook belongs to its alert
			named, ok := byName[f.Alert]
			if k = named; !ok {
				k = key{f.File, f.Check}
			}
		}
		add(k)
		found[k] = append(found[k], f)
	}

	document := junit.Document{Name: "firedrill check"}
	for _, k := range keys {
		c := judged(found[k])
		c.ClassName, c.Name, c.File = k.file, k.name, inRepository(k.file)
		document.Add(k.file, c)
	}
	return document.Write(w)
}

// judged is a case with the failure or the output of these findings.
func judged(findings []Finding) (c junit.Case) {
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
		return c
	}
	message := errors[0].Message
	if more := len(errors) - 1; more > 0 {
		message += fmt.Sprintf(" (and %d more)", more)
	}
	c.Failures = []junit.Problem{{Message: message, Type: errors[0].Check, Text: text}}
	return c
}
