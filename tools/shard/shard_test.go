package shard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
)

// suite is the report of a suite with a spec for each text.
func suite(path string, texts ...string) types.Report {
	report := types.Report{SuitePath: path, SuiteDescription: "About " + path}
	for _, text := range texts {
		report.SpecReports = append(report.SpecReports, types.SpecReport{LeafNodeType: types.NodeTypeIt, LeafNodeText: text, State: types.SpecStatePassed})
	}
	return report
}

// lasting is the report with the durations of its specs, in seconds.
func lasting(report types.Report, seconds ...float64) types.Report {
	report.SpecReports = slices.Clone(report.SpecReports)
	for i, s := range seconds {
		report.SpecReports[i].RunTime = time.Duration(s * float64(time.Second))
	}
	return report
}

// ordered is the report with each spec of an Ordered container of that text.
func ordered(report types.Report, container string) types.Report {
	report.SpecReports = slices.Clone(report.SpecReports)
	for i := range report.SpecReports {
		report.SpecReports[i].ContainerHierarchyTexts = []string{container}
		report.SpecReports[i].IsInOrderedContainer = true
	}
	return report
}

// runsOf returns on which shards each spec runs, as Ginkgo would choose them.
func runsOf(t *testing.T, listed []types.Report, shards []Shard) map[string][]int {
	t.Helper()
	where := map[string][]int{}
	for i, shard := range shards {
		if shard.Shard != i+1 || shard.Of != len(shards) {
			t.Errorf("shard %d of %d says that it is %d of %d", i+1, len(shards), shard.Shard, shard.Of)
		}
		specs := 0
		for s, suite := range listed {
			if !slices.Contains(strings.Fields(shard.Suites), suite.SuitePath) {
				continue
			}
			for j, spec := range suite.SpecReports {
				matches := regexp.MustCompile(shard.Focus).MatchString(suite.SuiteDescription + " " + spec.FullText())
				if matches && counts(spec) {
					key := fmt.Sprintf("%d/%d", s, j)
					where[key] = append(where[key], shard.Shard)
					specs++
				}
			}
		}
		if specs != shard.Specs || specs == 0 {
			t.Errorf("shard %d runs %d specs, and says %d", shard.Shard, specs, shard.Specs)
		}
	}
	return where
}

// counts reports whether a run would tell of a spec.
func counts(spec types.SpecReport) bool {
	return spec.LeafNodeType == types.NodeTypeIt && spec.State.Is(types.SpecStatePassed|types.SpecStatePending)
}

// demandEachOnce demands that each spec that a run would tell of runs on one shard, and that those of an Ordered container
// run on the same.
func demandEachOnce(t *testing.T, listed []types.Report, shards []Shard) {
	t.Helper()
	where := runsOf(t, listed, shards)
	together := map[string]int{}
	for s, suite := range listed {
		for j, spec := range suite.SpecReports {
			found := where[fmt.Sprintf("%d/%d", s, j)]
			switch {
			case !counts(spec):
			case len(found) != 1:
				t.Errorf("the spec %q of %s runs on the shards %v", spec.FullText(), suite.SuitePath, found)
			case spec.IsInOrderedContainer:
				key := fmt.Sprint(suite.SuitePath, spec.ContainerHierarchyTexts[0])
				if on, ok := together[key]; ok && on != found[0] {
					t.Errorf("the Ordered container of %q is torn apart: shards %d and %d", spec.FullText(), on, found[0])
				}
				together[key] = found[0]
			}
		}
	}
}

// random makes suites in which texts are often the same, or the beginning of another, or a regular expression.
func random(r *rand.Rand) (listed, last []types.Report) {
	words := []string{"a", "a b", "b", ".*", "(", "x|y", "$", "über", "a\nb", "\ufffd", `\`, ""}
	word := func() string { return words[r.IntN(len(words))] }
	for s := range 1 + r.IntN(4) {
		report := types.Report{SuitePath: fmt.Sprintf("./e2e/%d", s), SuiteDescription: word()}
		timed := report
		for range r.IntN(12) {
			spec := types.SpecReport{LeafNodeType: types.NodeTypeIt, LeafNodeText: word() + fmt.Sprint(r.IntN(20)), State: types.SpecStatePassed}
			for range r.IntN(3) {
				spec.ContainerHierarchyTexts = append(spec.ContainerHierarchyTexts, word())
			}
			spec.IsInOrderedContainer = len(spec.ContainerHierarchyTexts) > 0 && r.IntN(3) == 0
			if r.IntN(10) == 0 {
				spec.State = []types.SpecState{types.SpecStateSkipped, types.SpecStatePending}[r.IntN(2)]
			}
			report.SpecReports = append(report.SpecReports, spec)
			spec.RunTime = []time.Duration{0, 1, time.Millisecond, time.Second, time.Hour, maxSpec}[r.IntN(6)]
			if r.IntN(3) > 0 { // the others are new
				timed.SpecReports = append(timed.SpecReports, spec)
			}
		}
		report.SpecReports = append(report.SpecReports, types.SpecReport{LeafNodeType: types.NodeTypeSynchronizedBeforeSuite, State: types.SpecStatePassed})
		listed, last = append(listed, report), append(last, timed)
	}
	return listed, last
}

func TestEachSpecRunsOnOneShard(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		listed, last := random(r)
		for _, n := range []int{1, 2, 3, 7, MaxShards} {
			shards, err := Plan(listed, last, n)
			if err != nil {
				if len(runsOf(t, listed, []Shard{})) > 0 {
					t.Fatal(err)
				}
				continue
			}
			if len(shards) > n {
				t.Errorf("%d shards, more than %d", len(shards), n)
			}
			demandEachOnce(t, listed, shards)
			r.Shuffle(len(listed), func(i, j int) { listed[i], listed[j] = listed[j], listed[i] })
			for _, suite := range listed {
				specs := suite.SpecReports
				r.Shuffle(len(specs), func(i, j int) { specs[i], specs[j] = specs[j], specs[i] })
			}
			again, err := Plan(listed, last, n)
			NewWithT(t).Expect(err).NotTo(HaveOccurred())
			NewWithT(t).Expect(again).To(Equal(shards), "in another order, seed %d", seed)
		}
	}
}

func TestPlan(t *testing.T) {
	tls, api, meta := suite("./e2e/tls", "a", "b", "c", "d", "e", "f"), suite("./e2e/api", "g", "h"), suite("./e2e/meta", "i")
	for name, tc := range map[string]struct {
		listed, last []types.Report
		n            int
		want         []string
	}{
		"the longest first": {
			[]types.Report{tls}, []types.Report{lasting(tls, 10, 50, 20, 40, 30, 30)}, 3,
			[]string{"./e2e/tls ab 100 s", "./e2e/tls cd 100 s", "./e2e/tls ef 100 s"},
		},
		"a suite stays together where that costs no time": {
			[]types.Report{tls, api, meta}, []types.Report{lasting(tls, 10, 10, 10, 10, 10, 10), lasting(api, 30, 30), lasting(meta, 60)}, 3,
			[]string{"./e2e/api gh 100 s", "./e2e/meta i 100 s", "./e2e/tls abcdef 100 s"},
		},
		"a long suite is cut, and short ones are not": {
			[]types.Report{tls, api, meta}, []types.Report{lasting(tls, 60, 60, 60, 60, 60, 60), lasting(api, 50, 50), lasting(meta, 100)}, 4,
			[]string{"./e2e/tls ace 220 s", "./e2e/tls bdf 220 s", "./e2e/api gh 140 s", "./e2e/meta i 140 s"},
		},
		"one shard is all": {
			[]types.Report{tls, api}, nil, 1, []string{"./e2e/api ./e2e/tls ghabcdef 320 s"},
		},
		"what is new is taken to need the median": {
			[]types.Report{api, meta}, []types.Report{lasting(tls, 1, 1, 90, 90, 90, 90)}, 2,
			[]string{"./e2e/api gh 220 s", "./e2e/meta i 130 s"},
		},
		"no more shards than specs": {
			[]types.Report{api}, nil, 9, []string{"./e2e/api g 70 s", "./e2e/api h 70 s"},
		},
		"an Ordered container stays together": {
			[]types.Report{ordered(api, "in order"), meta}, []types.Report{lasting(ordered(api, "in order"), 500, 500)}, 9,
			[]string{"./e2e/api gh 1040 s", "./e2e/meta i 540 s"},
		},
		"a run that failed tells of what passed": {
			[]types.Report{api}, []types.Report{lasting(suite("./e2e/api", "g"), 70), {SuiteDescription: "About ./e2e/api", SpecReports: types.SpecReports{
				{LeafNodeType: types.NodeTypeIt, LeafNodeText: "h", State: types.SpecStateTimedout, RunTime: time.Hour},
			}}}, 1,
			[]string{"./e2e/api gh 180 s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			shards, err := Plan(tc.listed, tc.last, tc.n)
			g.Expect(err).NotTo(HaveOccurred())
			demandEachOnce(t, tc.listed, shards)
			var got []string
			for _, shard := range shards {
				letters := ""
				for _, text := range strings.FieldsFunc(shard.Focus, func(r rune) bool { return strings.ContainsRune("^$()?:|", r) }) {
					letters += text[len(text)-1:]
				}
				got = append(got, fmt.Sprintf("%s %s %d s", shard.Suites, letters, shard.Seconds))
			}
			g.Expect(got).To(ConsistOf(tc.want))
		})
	}
}

func TestPendingSpecs(t *testing.T) {
	g := NewWithT(t)
	listed := suite("./e2e/tls", "a", "b", "c")
	for i, label := range []string{"A", "A", "B"} {
		listed.SpecReports[i].LeafNodeLabels = []string{label}
		listed.SpecReports[i].State = types.SpecStatePending
	}
	listed.SpecReports[0].State = types.SpecStatePassed
	listed.SuiteConfig.LabelFilter = "A"
	shards, err := Plan([]types.Report{listed}, nil, 1)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(shards[0].Focus).To(Equal(`^(?:About \./e2e/tls a|About \./e2e/tls b)$`))
	listed.SuiteLabels = []string{"A"}
	shards, err = Plan([]types.Report{listed}, nil, 1)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(shards[0].Specs).To(Equal(3))
}

func TestNoSpecs(t *testing.T) {
	g := NewWithT(t)
	_, err := Plan([]types.Report{suite("./e2e/tls")}, nil, 2)
	g.Expect(err).To(MatchError(ContainSubstring("no spec to deal")))

	long := suite("./e2e/tls", strings.Repeat("a", maxFocus/2), strings.Repeat("b", maxFocus/2))
	_, err = Plan([]types.Report{long}, nil, 1)
	g.Expect(err).To(MatchError("shard 1 of 1 has 2 specs, too many to name on a command line: ask for more shards"))
	shards, err := Plan([]types.Report{long}, nil, 2)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(shards).To(HaveLen(2))
}

// A matrix as GitHub Actions takes it.
func TestShardIsAnElementOfAMatrix(t *testing.T) {
	g := NewWithT(t)
	shards, err := Plan([]types.Report{suite("./e2e/tls", "is (not) cleared")}, nil, 1)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(json.Marshal(shards)).To(MatchJSON(`[{"shard": 1, "of": 1, "suites": "./e2e/tls", "focus": "^(?:About \\./e2e/tls is \\(not\\) cleared)$", "specs": 1, "seconds": 70}]`))
}

func TestRead(t *testing.T) {
	for content, want := range map[string]string{
		`[]`:                                  "",
		``:                                    `e2e.json:1: not Ginkgo's JSON report of a run (unexpected end of JSON input): name the build/e2e.json or the report/journal.json of one`,
		"[\n{\n":                              `e2e.json:3: not Ginkgo's JSON report of a run (unexpected end of JSON input): name the build/e2e.json or the report/journal.json of one`,
		`[] []`:                               `e2e.json:1: not Ginkgo's JSON report of a run (invalid character '[' after top-level value): name the build/e2e.json or the report/journal.json of one`,
		"[\n{\"SuitePath\": 1}]":              `e2e.json:2: not Ginkgo's JSON report of a run (its SuitePath is a number): name the build/e2e.json or the report/journal.json of one`,
		`{"include": []}`:                     `e2e.json:1: not Ginkgo's JSON report of a run (`,
		spec(`"RunTime": 5`):                  "",
		spec(`"RunTime": -5`):                 `e2e.json: the spec "A b" has a RunTime of -5ns: it must be in nanoseconds, from 0 to a day`,
		spec(`"RunTime": 900000000000000000`): `e2e.json: the spec "A b" has a RunTime of 250000h0m0s: it must be in nanoseconds, from 0 to a day`,
		spec(`"RunTime": 9e99`):               `e2e.json:1: not Ginkgo's JSON report of a run (`,
		spec(`"Failure": 12`):                 `e2e.json:1: not Ginkgo's JSON report of a run (`,
		spec(`"RunTime": "5s"`):               `e2e.json:1: not Ginkgo's JSON report of a run (`,
		spec(`"ReportEntries": [7]`):          `e2e.json`,
	} {
		_, err := Read("e2e.json", strings.NewReader(content))
		g := NewWithT(t)
		if want == "" {
			g.Expect(err).NotTo(HaveOccurred(), content)
		} else {
			g.Expect(err).To(MatchError(HavePrefix(want)), content)
		}
	}
}

// spec is a report of one spec with that field.
func spec(field string) string {
	return `[{"SuiteDescription": "A", "SpecReports": [{"LeafNodeType": "It", "LeafNodeText": "b", "State": "passed", ` + field + `}]}]`
}

// Whatever file of durations a user hands over, it is refused in a sentence or the plan is whole.
func FuzzRead(f *testing.F) {
	tls, api := suite("./e2e/tls", "a", "b", "c"), ordered(suite("./e2e/api", "d", "e"), "in order")
	listed := []types.Report{tls, api}
	for _, last := range [][]types.Report{nil, {}, {tls}, {lasting(tls, 1, 2, 3), lasting(api, 86400, 0)}} {
		content, err := json.Marshal(last)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	for _, field := range []string{`"RunTime": -1`, `"RunTime": 9e18`, `"RunTime": 1e5`, `"LeafNodeType": 3`, `"ReportEntries": [{"Value": 1}]`, `"ContainerHierarchyTexts": [""]`} {
		f.Add([]byte(spec(field)))
	}
	f.Add([]byte(`[{"SuiteDescription": "\ud800", "SpecReports": null}]`))
	f.Fuzz(func(t *testing.T, content []byte) {
		last, err := Read("e2e.json", bytes.NewReader(content))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "e2e.json") {
				t.Errorf("no file in %q", err)
			}
			return
		}
		for n := 1; n <= 6; n++ {
			shards, err := Plan(listed, last, n)
			if err != nil {
				t.Fatal(err)
			}
			demandEachOnce(t, listed, shards)
		}
	})
}

func TestSuiteStartCost(t *testing.T) {
	piece := func(suite, text string, seconds float64) part {
		return part{suites: map[string]bool{suite: true}, texts: []string{text}, specs: 1, seconds: seconds}
	}
	distributed := distribute([]part{piece("tls", "a", 100), piece("api", "b", 90), piece("tls", "c", 20)}, 2)
	g := NewWithT(t)
	g.Expect(distributed).To(HaveLen(2))
	g.Expect(distributed[0].texts).To(Equal([]string{"a", "c"}))
	g.Expect(distributed[1].texts).To(Equal([]string{"b"}))
}

// Cut or whole, both machines would have 70 s of work; whole, the suites come in their order.
func TestCoarsestOfEqualPlans(t *testing.T) {
	g := NewWithT(t)
	api, tls := suite("./e2e/api", "a", "b"), suite("./e2e/tls", "c")
	shards, err := Plan([]types.Report{api, tls}, []types.Report{lasting(api, 10, 20), lasting(tls, 30)}, 2)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(shards).To(HaveExactElements(HaveField("Suites", "./e2e/api"), HaveField("Suites", "./e2e/tls")))
}
