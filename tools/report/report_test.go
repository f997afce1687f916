package report

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/stemedb/firedrill/tools/journal"
)

// spec is the report of an It that passed.
func spec(took time.Duration, texts ...string) types.SpecReport {
	last := len(texts) - 1
	return types.SpecReport{
		ContainerHierarchyTexts: texts[:last],
		LeafNodeText:            texts[last],
		LeafNodeType:            types.NodeTypeIt,
		State:                   types.SpecStatePassed,
		RunTime:                 took,
	}
}

func with(s types.SpecReport, entry journal.Entry) types.SpecReport {
	s.ReportEntries = append(s.ReportEntries, types.ReportEntry{Name: journal.EntryName, Value: types.WrapEntryValue(entry)})
	return s
}

func failed(s types.SpecReport, state types.SpecState, message string) types.SpecReport {
	s.State, s.Failure = state, types.Failure{Message: message}
	return s
}

var began = time.Date(2026, time.March, 9, 10, 0, 0, 0, time.UTC)

func read(r io.Reader) (Summary, error) {
	j, err := journal.FromGinkgo(r)
	return Summarize(j), err
}

// written writes suites as Ginkgo does.
func written(t *testing.T, suites ...types.Report) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(suites); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestTable(t *testing.T) {
	skipped := spec(0, "CertificateExpired", "is not looked at")
	skipped.State = types.SpecStateSkipped
	skipped.LeafNodeLabels = []string{"left-out"}
	setup := spec(time.Second, "")
	setup.LeafNodeType = types.NodeTypeSynchronizedBeforeSuite
	for _, up := range []time.Duration{8040 * time.Millisecond, 12 * time.Second} {
		setup.ReportEntries = append(setup.ReportEntries, types.ReportEntry{Name: journal.TestbedUpName, Value: types.WrapEntryValue(up)})
	}

	summary, err := read(written(t,
		types.Report{StartTime: began, EndTime: began.Add(3*time.Minute + 11*time.Second + 700*time.Millisecond), SuiteSucceeded: false, SpecReports: types.SpecReports{
			setup,
			with(spec(12345*time.Millisecond, "CertificateExpiringSoon", "is resolved by"), journal.Entry{Alert: "CertificateExpiringSoon", Branch: "If The Timer Didn't Run", What: "resolved", Leapt: time.Hour, Beyond: 9 * time.Second}),
			failed(with(spec(71*time.Second, "CertificateExpiringSoon", "is resolved by"), journal.Entry{Alert: "CertificateExpiringSoon", Branch: "If Renewal Fails", What: "resolved", Leapt: 90 * time.Minute, Beyond: 16310 * time.Millisecond}),
				types.SpecStateTimedout, "Expected the alert to be resolved, but\n  CertificateExpiringSoon{domain=\"shop.example.com\"} is firing: 6d23h left (< 7d, rules/tls.yml:12),\n  for 1h0m42s, evaluated 1s ago"),
			with(spec(5*time.Second, "CertificateExpired", "fires"), journal.Entry{Alert: "CertificateExpired", Branch: "the boundary at 0, über Nacht", Leapt: 28*time.Hour + 30*time.Minute}),
			skipped,
		}, SuiteConfig: types.SuiteConfig{LabelFilter: "!left-out"}},
		types.Report{StartTime: began, EndTime: began.Add(40 * time.Millisecond), SuiteSucceeded: true, SpecReports: types.SpecReports{
			with(spec(40*time.Millisecond, "The harness fails when"), journal.Entry{Alert: "(sabotage)", Branch: "the threshold is 70 days"}),
		}}))
	if err != nil {
		t.Fatal(err)
	}
	if summary.Passed != 3 || summary.Failed != 1 {
		t.Errorf("%d passed and %d failed, want 3 and 1", summary.Passed, summary.Failed)
	}
	var got strings.Builder
	if err := summary.Write(&got); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/table.txt"
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the table is\n%s\nand %s holds\n%s", got.String(), golden, want)
	}
}

func TestFailuresWithoutASpec(t *testing.T) {
	setup := failed(types.SpecReport{LeafNodeType: types.NodeTypeSynchronizedBeforeSuite, RunTime: time.Second}, types.SpecStateFailed, "the testbed did not start")
	for name, suite := range map[string]types.Report{
		"the setup failed":      {SuiteDescription: "TLS", SpecReports: types.SpecReports{setup}},
		"the suite interrupted": {SuiteDescription: "TLS", SpecialSuiteFailureReasons: []string{"Interrupted by User"}},
	} {
		t.Run(name, func(t *testing.T) {
			summary, err := read(written(t, suite))
			if err != nil {
				t.Fatal(err)
			}
			var table strings.Builder
			if err := summary.Write(&table); err != nil {
				t.Fatal(err)
			}
			if summary.Failed+summary.Unknown != 1 || !strings.Contains(table.String(), "FAILED: the testbed") && !strings.Contains(table.String(), "UNKNOWN: Interrupted by User") {
				t.Errorf("%d failed, %d unknown:\n%s", summary.Failed, summary.Unknown, table.String())
			}
		})
	}
}

func TestReportsThatAreNone(t *testing.T) {
	for name, text := range map[string]string{
		"empty":        "",
		"cut short":    `[{"SpecReports":[`,
		"not a report": `{"a":1}`,
		"a bad entry":  `[{"SuiteSucceeded":true,"SpecReports":[{"LeafNodeType":"It","State":"passed","ReportEntries":[{"Name":"firedrill","Value":{"AsJSON":"7"}}]}]}]`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := read(strings.NewReader(text)); err == nil {
				t.Error("it was read")
			}
		})
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 31 * time.Hour: "31h", time.Hour + time.Second: "1h0m1s", 10 * time.Minute: "10m", 90 * time.Minute: "1h30m", 40 * time.Second: "40s",
	} {
		if got := short(d); got != want {
			t.Errorf("%v is %q, want %q", int64(d), got, want)
		}
	}
}
