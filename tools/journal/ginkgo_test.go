package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"
)

// spec is Ginkgo's report of an It that passed.
func passed(texts ...string) types.SpecReport {
	last := len(texts) - 1
	return types.SpecReport{ContainerHierarchyTexts: texts[:last], LeafNodeText: texts[last], LeafNodeType: types.NodeTypeIt, State: types.SpecStatePassed, StartTime: at(60), EndTime: ended}
}

func in(state types.SpecState, message string, s types.SpecReport) types.SpecReport {
	s.State, s.Failure = state, types.Failure{Message: message}
	return s
}

func with(name string, value any, s types.SpecReport) types.SpecReport {
	s.ReportEntries = append(s.ReportEntries, types.ReportEntry{Name: name, Value: types.WrapEntryValue(value)})
	return s
}

func fromGinkgo(t *testing.T, suites ...types.Report) (Journal, error) {
	t.Helper()
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(suites); err != nil {
		t.Fatal(err)
	}
	return FromGinkgo(&b)
}

func TestFromGinkgo(t *testing.T) {
	teardown := in(types.SpecStateFailed, "the testbed was not removed", passed(""))
	teardown.LeafNodeType = types.NodeTypeAfterSuite
	j, err := fromGinkgo(t, types.Report{
		SuiteDescription: "TLS", SuiteSucceeded: false, StartTime: at(90), EndTime: ended,
		SpecReports: types.SpecReports{
			teardown,
			with(EntryName, Entry{Alert: "(contract)"}, passed("A", "is about no alert")),
			with(TestbedUpName, 8*time.Second, passed("A", "is proven")),
			with(EntryName, Entry{Alert: "B", Branch: "If", What: "resolved", Leapt: time.Hour, Beyond: time.Second}, passed("B", "is resolved")),
			with(ProofName, renewed(), with(EntryName, Entry{Alert: "C"}, passed("C", "is told in full"))),
			with(EvidenceName, "../../build/evidence/D-fails", in(types.SpecStateTimedout, "it took too long", passed("D", "fails"))),
			in(types.SpecStateInterrupted, "Interrupted by User", passed("E", "is interrupted")),
			in(types.SpecStateSkipped, "", passed("F", "is not come to")),
			in(types.SpecStateSkipped, "no network", passed("H", "skips itself")),
			in(types.SpecStatePending, "", passed("G", "is not written")),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range j.Proofs {
		got = append(got, fmt.Sprintf("%s|%s|%s|%s|%s|%v", p.Alert, p.Branch, p.What, p.Verdict, p.Failure, p.Leapt.Duration()))
	}
	want := []string{
		"A|is proven||true||0s",
		"AfterSuite|||false|the testbed was not removed|0s",
		"B|If|resolved|true||1h0m0s",
		"CertificateExpiringSoon|If The Timer Didn't Run|fired, runbook followed, resolved|true||1h0m0s",
		"D|fails||false|it took too long|0s",
		"E|is interrupted||unknown|interrupted: Interrupted by User|0s",
		"F|is not come to||unknown|it did not run: skipped|0s",
		"G|is not written||unknown|it did not run: pending|0s",
		"H|skips itself||unknown|skipped: no network|0s",
		"(contract)|||true||0s",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the proofs are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	told := j.Proofs[3]
	if told.Suite != "TLS" || told.Spec != "C is told in full" || len(told.Steps) != 5 || !told.Started.Equal(at(60)) {
		t.Errorf("the proof that is told in full is %+v", told)
	}
	if first := j.Proofs[0]; !first.Started.Equal(at(52)) {
		t.Errorf("the proof whose testbed was started first began at %s, want %s: without the start of the testbed", first.Started, at(52))
	}
	if j.Proofs[4].Evidence != "evidence/D-fails" {
		t.Errorf("the evidence is %q", j.Proofs[4].Evidence)
	}
	if j.Kind != KindProof || !j.Run.Started.Equal(at(90)) || len(j.Run.Testbeds) != 1 || j.Run.Testbeds[0] != secs(8) {
		t.Errorf("the run is %s, %+v", j.Kind, j.Run)
	}
	var b bytes.Buffer
	if err := j.Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := valid(t, b.Bytes()); err != nil {
		t.Error(err)
	}
}

// Ginkgo calls skipped what the command line did not choose as well.
func TestOnlyWhatWasChosenIsAProof(t *testing.T) {
	labelled := in(types.SpecStateSkipped, "", passed("A", "labelled"))
	labelled.LeafNodeLabels = []string{"A"}
	suite := types.Report{SpecialSuiteFailureReasons: []string{"Interrupted by User"}, SpecReports: types.SpecReports{labelled, in(types.SpecStateSkipped, "", passed("B", "focused")), passed("C", "ran")}}
	for want, config := range map[string]types.SuiteConfig{
		"A B C": {},
		"A C":   {LabelFilter: "A"},
		"B C":   {FocusStrings: []string{"none", "focus"}},
	} {
		suite.SuiteConfig = config
		j, err := fromGinkgo(t, suite)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range j.Proofs {
			got = append(got, p.Alert)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("proofs %q, want %s", got, want)
		}
		suite := suite
		suite.SuiteSucceeded = true // then none was left out but by choice
		if j, err = fromGinkgo(t, suite); err != nil || len(j.Proofs) != 1 {
			t.Errorf("%d proofs, %v", len(j.Proofs), err)
		}
	}
}

func TestSuitesWithoutASpecToBlame(t *testing.T) {
	j, err := fromGinkgo(t, types.Report{SuiteDescription: "TLS", SpecialSuiteFailureReasons: []string{"Failed to compile tls"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(j.Proofs) != 1 || j.Proofs[0].Verdict != Unknown || j.Proofs[0].Failure != "Failed to compile tls" {
		t.Errorf("%+v", j.Proofs)
	}
}

func TestADrillMakesADrill(t *testing.T) {
	j, err := fromGinkgo(t, types.Report{SuiteSucceeded: true, SpecReports: types.SpecReports{with(ProofName, drill().Proofs[0], passed("restores"))}})
	if err != nil || j.Kind != KindDrill || j.Proofs[0].Drill == nil {
		t.Errorf("%s, %v", j.Kind, err)
	}
}

func TestReportsThatAreNone(t *testing.T) {
	wrong := renewed()
	wrong.Bands[0].To = at(1e6)
	for name, want := range map[string]struct {
		spec types.SpecReport
		says string
	}{
		"of another kind": {with(ProofName, 7, passed("spec")), `the entry "firedrill proof" of the spec "spec"`},
		"senseless":       {with(ProofName, wrong, passed("spec")), `of the spec "spec": proof.bands[0] ends at`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := fromGinkgo(t, types.Report{SpecReports: types.SpecReports{want.spec}}); err == nil || !strings.Contains(err.Error(), want.says) {
				t.Error(err)
			}
		})
	}
}
