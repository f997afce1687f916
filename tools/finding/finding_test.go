package finding

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/tools/junit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// report has findings of every kind: a range, a place, a line, a file outside, an error next to a warning.
var report = Report{
	Checks: []Check{
		{Name: "route/receiver", Severity: Error, Help: "Alertmanager routes an alert to a receiver that somebody hears."},
		{Name: "runbook/misspelling", Severity: Warning, Help: "A shell variable is spelt as the one that is set."},
		{Name: "runbook/orphan", Severity: Error, Help: "Each runbook is named after an alert."},
		{Name: "trigger/threshold", Severity: Error, Help: "A time in a summary is the rule's threshold."},
	},
	Alerts: []Alert{{"CertificateExpired", "rules/tls.yml", 3}, {"CertificateExpiringSoon", "rules/tls.yml", 8}, {"BackupTooOld", "rules/a, b: 100%.yml", 3}},
	Findings: []Finding{
		{Severity: Error, Check: "trigger/threshold", Alert: "CertificateExpiringSoon", File: "rules/tls.yml", Line: 9, Column: 8, EndColumn: 18,
			Message: `it fires at "< 70 * 86400", but 100% of its <summary> says "7 days": write the same in both`, Source: "\té: x < 70 * 86400"},
		{Severity: Warning, Check: "runbook/misspelling", Alert: "CertificateExpiringSoon", File: "runbooks/CertificateExpiringSoon.md", Line: 40, Column: 6,
			Message: "nothing is known to set $domian:\nwrite $domain", Source: `dig "$domian"`},
		{Severity: Error, Check: "route/receiver", Alert: "CertificateExpiringSoon", File: "rules/tls.yml", Line: 11, Column: 3, Message: "nobody hears of it", Source: "  x: y"},
		{Severity: Error, Check: "runbook/orphan", Alert: "Gone", File: "runbooks/Gone.md", Line: 1, Message: "no rule raises Gone"},
		{Severity: Warning, Check: "runbook/misspelling", Alert: "BackupTooOld", File: "/srv/a, b: 100%.md", Line: 2, Message: "control \x1b[31m\x00"},
	},
}

func TestFormats(t *testing.T) {
	for _, format := range Formats {
		t.Run(format, func(t *testing.T) {
			g := NewWithT(t)
			var got bytes.Buffer
			g.Expect(report.Write(&got, format, false)).To(Succeed())
			golden := filepath.Join("testdata", "report."+format)
			if *update {
				g.Expect(os.WriteFile(golden, got.Bytes(), 0o644)).To(Succeed())
			}
			want, err := os.ReadFile(golden)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got.String()).To(Equal(string(want)))
		})
	}
}

func TestUnknownFormat(t *testing.T) {
	NewWithT(t).Expect(report.Write(io.Discard, "xml", false)).To(MatchError(`unknown format "xml": choose one of text, json, github, sarif, junit`))
}

func TestText(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for name, tc := range map[string]struct {
		finding Finding
		want    string
	}{
		"with a caret": {Finding{Check: "trigger/threshold", File: "rules/tls.yml", Line: 9, Column: 8, Message: "70 is not 7", Source: "\t\té: < 70"}, "" +
			"Error: 70 is not 7 (trigger/threshold)\n" +
			"  --> rules/tls.yml:9:8\n" +
			"    9 | \t\té: < 70\n" +
			"      | \t\t     ^"},
		"with an end": {Finding{Severity: Warning, Check: "c", File: "f", Line: 9, Column: 3, EndColumn: 5, Message: "m", Source: "abcdef"}, "" +
			"Warning: m (c)\n  --> f:9:3\n    9 | abcdef\n      |   ^^"},
		"with an end behind the line's": {Finding{Check: "c", File: "f", Line: 9, Column: 3, EndColumn: 50, Message: "m", Source: "abcdef"}, "" +
			"Error: m (c)\n  --> f:9:3\n    9 | abcdef\n      |   ^^^^"},
		"of a line as a whole": {Finding{Check: "runbook/orphan", File: "runbooks/A.md", Line: 120, Message: "nobody reads this", Source: "# A"}, "" +
			"Error: nobody reads this (runbook/orphan)\n" +
			"  --> runbooks/A.md:120\n" +
			"  120 | # A"},
		"without a line to show": {Finding{Check: "c", File: "f", Line: 1, Column: 5, Message: "m"}, "Error: m (c)\n  --> f:1:5"},
		"of a long line's beginning": {Finding{Check: "c", File: "f", Line: 1, Column: 5, Message: "m", Source: long}, "" +
			"Error: m (c)\n  --> f:1:5\n    1 | " + long[:160] + "…\n      |     ^"},
		"of a long line's middle": {Finding{Check: "c", File: "f", Line: 1, Column: 500, Message: "m", Source: long[:499] + "y" + long[:499]}, "" +
			"Error: m (c)\n  --> f:1:500\n    1 | …" + long[:79] + "y" + long[:80] + "…\n      | " + strings.Repeat(" ", 80) + "^"},
		"of what would steer a terminal": {Finding{Check: "c", File: "f", Line: 1, Message: "m\x1b[2J", Source: "a\x1b[2Jb\u009b"}, "" +
			"Error: m\uFFFD[2J (c)\n  --> f:1\n    1 | a\uFFFD[2Jb\uFFFD"},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(tc.finding.String()).To(Equal(tc.want))
		})
	}
}

func TestColor(t *testing.T) {
	g := NewWithT(t)
	var bare, painted bytes.Buffer
	g.Expect(report.Write(&bare, "text", false)).To(Succeed())
	g.Expect(report.Write(&painted, "text", true)).To(Succeed())
	g.Expect(bare.String()).NotTo(ContainSubstring("\x1b"))
	g.Expect(painted.String()).To(ContainSubstring("\x1b[1;31mError:\x1b[0m "))
	g.Expect(painted.String()).To(ContainSubstring("\x1b[1;33mWarning:\x1b[0m "))
	stripped := painted.String()
	for _, code := range []string{"\x1b[" + red + "m", "\x1b[" + yellow + "m", "\x1b[" + blue + "m", "\x1b[0m"} {
		stripped = strings.ReplaceAll(stripped, code, "")
	}
	g.Expect(stripped).To(Equal(bare.String()))
}

// What https://docs.oasis-open.org/sarif/sarif/v2.1.0/ demands of what we write.
func TestSARIF(t *testing.T) {
	g := NewWithT(t)
	var b bytes.Buffer
	g.Expect(report.Write(&b, "sarif", false)).To(Succeed())
	var log struct {
		Schema  string `json:"$schema"`
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name  string
					Rules []struct {
						ID                     string
						ShortDescription, Help struct{ Text string }
						DefaultConfiguration   struct{ Level string }
					}
				}
			}
			ColumnKind string
			Results    []struct {
				RuleID    string
				RuleIndex *int
				Level     string
				Message   struct{ Text string }
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI, URIBaseID string }
						Region           struct{ StartLine, StartColumn, EndColumn int }
					}
				}
			}
		}
	}
	g.Expect(json.Unmarshal(b.Bytes(), &log)).To(Succeed())
	g.Expect(log.Version).To(Equal("2.1.0"))
	g.Expect(log.Schema).To(HaveSuffix("/sarif-2.1.0.json"))
	g.Expect(log.Runs).To(HaveLen(1))
	run := log.Runs[0]
	g.Expect(run.Tool.Driver.Name).To(Equal("firedrill"))
	g.Expect(run.ColumnKind).To(Equal("unicodeCodePoints"))
	g.Expect(run.Tool.Driver.Rules).To(HaveLen(len(report.Checks)))
	for _, rule := range run.Tool.Driver.Rules {
		g.Expect(rule.ID).NotTo(BeEmpty())
		g.Expect(rule.ShortDescription.Text).NotTo(BeEmpty())
		g.Expect(rule.Help.Text).NotTo(BeEmpty())
		g.Expect(rule.DefaultConfiguration.Level).To(BeElementOf("none", "note", "warning", "error"))
	}
	g.Expect(run.Results).To(HaveLen(len(report.Findings)))
	for _, result := range run.Results {
		g.Expect(run.Tool.Driver.Rules[*result.RuleIndex].ID).To(Equal(result.RuleID))
		g.Expect(result.Level).To(BeElementOf("none", "note", "warning", "error"))
		g.Expect(result.Message.Text).NotTo(BeEmpty())
		g.Expect(result.Locations).To(HaveLen(1))
		place := result.Locations[0].PhysicalLocation
		if strings.HasPrefix(place.ArtifactLocation.URI, "file:///") {
			g.Expect(place.ArtifactLocation.URIBaseID).To(BeEmpty())
		} else {
			g.Expect(place.ArtifactLocation.URI).NotTo(HavePrefix("/"))
			g.Expect(place.ArtifactLocation.URIBaseID).To(Equal("%SRCROOT%"))
		}
		g.Expect(place.Region.StartLine).To(BeNumerically(">=", 1))
		g.Expect(place.Region.EndColumn).To(Or(BeZero(), BeNumerically(">", place.Region.StartColumn)))
	}
}

func TestNoFindings(t *testing.T) {
	g := NewWithT(t)
	for format, want := range map[string]string{"text": "", "github": "", "json": `"findings": []`, "sarif": `"results": []`, "junit": `tests="0" failures="0"`} {
		var b bytes.Buffer
		g.Expect(Report{}.Write(&b, format, false)).To(Succeed())
		if want == "" {
			g.Expect(b.String()).To(BeEmpty())
		} else {
			g.Expect(b.String()).To(ContainSubstring(want))
			g.Expect(b.String()).NotTo(ContainSubstring("null"))
		}
	}
}

func TestJUnitCounts(t *testing.T) {
	g := NewWithT(t)
	var b bytes.Buffer
	g.Expect(report.Write(&b, "junit", false)).To(Succeed())
	var document junit.Document
	g.Expect(xml.Unmarshal(b.Bytes(), &document)).To(Succeed())
	tests, failures := 0, 0
	names := map[string]bool{}
	for _, suite := range document.Suites {
		for _, c := range suite.Cases {
			tests++
			if len(c.Failures) > 0 {
				failures++
			}
			names[c.Name] = true
		}
	}
	g.Expect(document.Tests).To(Equal(tests))
	g.Expect(document.Failures).To(Equal(failures))
	g.Expect(failures).To(Equal(2), "one alert, one runbook of no alert: warnings fail nothing")
	for _, alert := range report.Alerts {
		g.Expect(names).To(HaveKey(alert.Name))
	}
}

func TestPaths(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	dir, err := os.Getwd()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(inRepository("a/../b.md")).To(Equal("b.md"))
	g.Expect(inRepository(filepath.Join(dir, "b.md"))).To(Equal("b.md"))
	g.Expect(inRepository("../b.md")).To(Equal(filepath.ToSlash(filepath.Join(filepath.Dir(dir), "b.md"))))
	g.Expect(uri("a b/c:d%.md")).To(Equal("a%20b/c:d%25.md"))
	g.Expect(uri("a:b.md")).To(Equal("./a:b.md"))
	g.Expect(uri("/a b.md")).To(Equal("file:///a%20b.md"))
}
