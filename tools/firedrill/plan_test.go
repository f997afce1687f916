package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/stemedb/firedrill/tools/shard"
)

const suites = "./testdata/suites/..."

// planned runs firedrill plan.
func planned(t *testing.T, args ...string) []shard.Shard {
	t.Helper()
	status, stdout, stderr := firedrill(t, t.Context(), append([]string{"plan"}, args...)...)
	if status != exitProven || strings.Count(stdout, "\n") != 1 || !strings.HasPrefix(stderr, "plan: shard 1 of ") {
		t.Fatalf("status %d, stdout\n%s\nstderr %s", status, stdout, stderr)
	}
	var matrix struct{ Include []shard.Shard }
	if err := json.Unmarshal([]byte(stdout), &matrix); err != nil {
		t.Fatal(err)
	}
	return matrix.Include
}

// selected returns the specs that Ginkgo would run of p's.
func selected(t *testing.T, p proof) []string {
	t.Helper()
	p.procs = 1
	reports, err := p.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, suite := range reports {
		for _, spec := range suite.SpecReports {
			isPending := spec.State == types.SpecStatePending && regexp.MustCompile(p.focus).MatchString(suite.SuiteDescription+" "+spec.FullText())
			if spec.LeafNodeType == types.NodeTypeIt && (spec.State == types.SpecStatePassed || isPending) {
				found = append(found, suite.SuitePath+": "+spec.FullText())
			}
		}
	}
	slices.Sort(found)
	return found
}

// What the shards run, as Ginkgo itself understands their focus, is all that there is, and nothing twice.
func TestShardsRunEachSpecOnce(t *testing.T) {
	want := []string{
		"./testdata/suites/first: An alert fires",
		"./testdata/suites/first: An alert fires (at once)",
		"./testdata/suites/first: An alert fires again.*",
		"./testdata/suites/first: An alert has a namesake",
		"./testdata/suites/first: An alert has a namesake",
		"./testdata/suites/first: An alert is not written yet",
		"./testdata/suites/first: In order breaks",
		"./testdata/suites/first: In order clears",
		"./testdata/suites/second: Another says \"$x\" | y\nin two lines",
		"./testdata/suites/second: breaks",
	}
	if got := selected(t, proof{suites: []string{suites}}); !slices.Equal(got, want) {
		t.Fatalf("the suites have %q", got)
	}
	shards := planned(t, "--shards=3", suites)
	var got []string
	for _, s := range shards {
		specs := selected(t, proof{focus: s.Focus, suites: strings.Fields(s.Suites)})
		if len(specs) != s.Specs {
			t.Errorf("shard %d runs %d specs, and says %d", s.Shard, len(specs), s.Specs)
		}
		got = append(got, specs...)
	}
	slices.Sort(got)
	if len(shards) != 3 || !slices.Equal(got, want) {
		t.Errorf("%d shards run %q", len(shards), got)
	}
}

func TestPlanKnowsLabelsAndDurations(t *testing.T) {
	report := filepath.Join(t.TempDir(), "e2e.json")
	content := `[{"SuiteDescription": "One", "SpecReports": [{"LeafNodeType": "It", "ContainerHierarchyTexts": ["An alert"], "LeafNodeText": "fires", "State": "passed", "RunTime": 600000000000}]}]`
	if err := os.WriteFile(report, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	shards := planned(t, "--shards=2", "--labels=Alert", "--durations="+report, "--durations="+reportOf(t, types.SpecStatePassed), suites)
	if len(shards) != 2 || shards[0].Specs+shards[1].Specs != 3 {
		t.Errorf("shards %+v", shards)
	}
	for _, s := range shards {
		if s.Seconds < 600 || s.Seconds > 1300 { // as long as all that is known
			t.Errorf("shard %+v", s)
		}
	}
}

// A spec that the plan knew by another text must not be missing unnoticed.
func TestShardOfTooFewSpecsFails(t *testing.T) {
	found, err := readGinkgo(reportOf(t, types.SpecStatePassed, types.SpecStatePassed))
	if err != nil {
		t.Fatal(err)
	}
	for _, expect := range []int{0, 2} {
		if err := (proof{expect: expect}).shortfall(found.Proofs); err != nil {
			t.Errorf("of %d: %v", expect, err)
		}
	}
	err = proof{expect: 3}.shortfall(found.Proofs)
	if err == nil || err.Error() != "2 specs ran, and not 3: has one another text in each run?" {
		t.Errorf("of 3: %v", err)
	}
}

func TestPlanRefuses(t *testing.T) {
	report := filepath.Join(t.TempDir(), "e2e.json")
	if err := os.WriteFile(report, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{}, `required flag(s) "shards" not set`},
		{[]string{"--shards=0"}, "--shards 0: give 1 to 256"},
		{[]string{"--shards=257"}, "--shards 257: give 1 to 256"},
		{[]string{"--shards=2", "--labels=(("}, "is not a label filter of Ginkgo"},
		{[]string{"--shards=2", "nowhere"}, `the folder "nowhere" does not exist`},
		{[]string{"--shards=2", "--durations=none.json"}, "none.json"},
		{[]string{"--shards=2", "--durations=" + report}, "e2e.json:1: not Ginkgo's JSON report of a run"},
		{[]string{"--shards=2", "--labels=Nothing", suites}, "no spec to deal"},
		{[]string{"--shards=2", "./testdata/suites"}, "Ginkgo cannot list the specs (exit status 1):\nfiredrill: ginkgo run failed\nfiredrill:   Found no test suites"},
	} {
		status, stdout, stderr := firedrill(t, t.Context(), append([]string{"plan"}, test.args...)...)
		if status != exitBadInput || stdout != "" || !strings.Contains(stderr, test.says) {
			t.Errorf("%q: status %d, stdout\n%s\nstderr %s", test.args, status, stdout, stderr)
		}
	}
}
