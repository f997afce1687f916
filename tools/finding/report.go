package finding

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Report is the result of a run of checks.
type Report struct {
	Checks   []Check // all that ran
	Alerts   []Alert // those that were checked
	Findings []Finding
}

// Alert is the position of an alert's rule.
type Alert struct {
	Name string `json:"name"`
	File string `json:"file"`
	Line int    `json:"line"`
}

// Formats are those of Write:
//
//   - text: for people, as Finding.String shows each;
//   - json: one object, see writeJSON;
//   - github: workflow commands, which GitHub shows as annotations of the changed lines;
//   - sarif: SARIF 2.1.0, for code scanning and editors;
//   - junit: XML with a test case for each alert, for CI systems that show tests.
var Formats = []string{"text", "json", "github", "sarif", "junit"}

// Write writes the report in one of the Formats. Colour is for text alone.
func (r Report) Write(w io.Writer, format string, color bool) error {
	switch format {
	case "text":
		return r.writeText(w, color)
	case "json":
		return r.writeJSON(w)
	case "github":
		return r.writeGitHub(w)
	case "sarif":
		return r.writeSARIF(w)
	case "junit":
		return r.writeJUnit(w)
	}
	return fmt.Errorf("unknown format %q: choose one of %s", format, strings.Join(Formats, ", "))
}

// Count returns how many findings have a severity.
func (r Report) Count(severity Severity) int {
	count := 0
	for _, f := range r.Findings {
		if f.Severity == severity {
			count++
		}
	}
	return count
}

func (r Report) writeText(w io.Writer, color bool) error {
	paint := plain
	if color {
		paint = colored
	}
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(w, "%s\n\n", f.text(paint)); err != nil {
			return err
		}
	}
	return nil
}

// writeJSON writes one object, whose fields are stable:
//
//	alerts     the alerts that were checked: name, file, line
//	errors     number of errors
//	warnings   number of warnings
//	findings   a list, in order of files and lines:
//	  severity   "error" or "warning"
//	  check      the name of the check, as "firedrill check --list" lists it
//	  alert      the alert that it concerns, if any
//	  file       the path
//	  line       counted from 1
//	  column     in characters from 1; absent for the whole line
//	  endColumn  the column after the last character, if known
//	  message    one sentence
//	  source     the source line, if any
func (r Report) writeJSON(w io.Writer) error {
	type jsonFinding struct {
		Severity  Severity `json:"severity"`
		Check     string   `json:"check"`
		Alert     string   `json:"alert,omitempty"`
		File      string   `json:"file"`
		Line      int      `json:"line"`
		Column    int      `json:"column,omitempty"`
		EndColumn int      `json:"endColumn,omitempty"`
		Message   string   `json:"message"`
		Source    string   `json:"source,omitempty"`
	}
	document := struct {
		Alerts   []Alert       `json:"alerts"`
		Errors   int           `json:"errors"`
		Warnings int           `json:"warnings"`
		Findings []jsonFinding `json:"findings"`
	}{
		// Empty lists are [], never null.
		Alerts: append([]Alert{}, r.Alerts...), Errors: r.Count(Error), Warnings: r.Count(Warning), Findings: []jsonFinding{},
	}
	for _, f := range r.Findings {
		document.Findings = append(document.Findings, jsonFinding(f))
	}
	return encode(w, document)
}

func encode(w io.Writer, document any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

// Escapes of workflow commands: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
var (
	commandData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func (r Report) writeGitHub(w io.Writer) error {
	for _, f := range r.Findings {
		var place strings.Builder
		fmt.Fprintf(&place, "file=%s,line=%d", commandProperty.Replace(inRepository(f.File)), f.Line)
		if f.Column > 0 {
			fmt.Fprintf(&place, ",col=%d", f.Column)
		}
		if f.EndColumn > 0 {
			fmt.Fprintf(&place, ",endColumn=%d", f.EndColumn)
		}
		if _, err := fmt.Fprintf(w, "::%s %s,title=%s::%s\n", f.Severity, place.String(), commandProperty.Replace(f.Check), printable(commandData.Replace(f.Message))); err != nil {
			return err
		}
	}
	return nil
}

// inRepository returns a path relative to the working directory, with forward slashes, for annotations of a repository's
// files. A path outside it is absolute.
func inRepository(file string) string {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return filepath.ToSlash(file)
	}
	root, err := os.Getwd()
	if err != nil {
		return filepath.ToSlash(file)
	}
	relative, err := filepath.Rel(root, absolute)
	if err != nil || !filepath.IsLocal(relative) {
		return filepath.ToSlash(absolute)
	}
	return filepath.ToSlash(relative)
}

// uri returns a path as a URI, relative if the path is.
func uri(path string) string {
	u := url.URL{Path: path}
	if strings.HasPrefix(path, "/") {
		u.Scheme = "file"
	}
	return u.String()
}
