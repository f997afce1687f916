// Package shard deals the specs of Ginkgo suites to machines that run side by side, so that each spec runs on exactly one
// of them and all are done at about the same time.
package shard

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2/types"
)

const (
	// Most is how many jobs GitHub Actions makes of a matrix at most:
	// https://docs.github.com/en/actions/reference/limits.
	Most = 256

	// worldStart is what a suite costs each machine that runs specs of it, in seconds of a spec: 10 s until a world is
	// up, in each of four processes.
	worldStart = 40

	// unknown is how many seconds a spec is taken to need where no report tells of any.
	unknown = 30

	// shortest is how many seconds any spec is taken to need, so that those of no time at all are dealt evenly too.
	shortest = 0.1

	// longestFocus is how many bytes of a regular expression one argument of a command line is sure to hold.
	longestFocus = 100 << 10
)

// Shard is what one machine runs: the specs of some suites whose text matches the focus. In JSON it is an element of
// "include" in a matrix of GitHub Actions.
type Shard struct {
	Shard   int    `json:"shard"` // from 1
	Of      int    `json:"of"`
	Suites  string `json:"suites"` // folders as they were listed, separated by spaces
	Focus   string `json:"focus"`  // Ginkgo's regular expression, which matches these specs as a whole and no others
	Specs   int    `json:"specs"`
	Seconds int    `json:"seconds"` // of work that is expected, for all the processes of the machine together
}

// Plan deals the specs that a dry run has listed to n machines, or to fewer where there are not so many. How long each
// takes is what the last run says, and where it says nothing, the median of what it says of others. Specs of a suite
// stay together where that costs no time, and those of an Ordered container always. Equal input gives an equal plan, in
// whatever order it comes. It is an error when no spec was listed, and when a focus is too long for a command line.
func Plan(listed, last []types.Report, n int) ([]Shard, error) {
	parts := units(listed, durations(last))
	if len(parts) == 0 {
		return nil, fmt.Errorf("no spec to deal: the suites have none, or the label filter matches none")
	}
	var shards []Shard
	dealt := balance(parts, n)
	for i, part := range dealt {
		slices.Sort(part.texts)
		for j, text := range part.texts {
			part.texts[j] = regexp.QuoteMeta(text)
		}
		shard := Shard{
			Shard: i + 1, Of: len(dealt), Specs: part.specs, Seconds: int(math.Round(part.cost())),
			Suites: strings.Join(slices.Sorted(maps.Keys(part.suites)), " "), Focus: "^(?:" + strings.Join(part.texts, "|") + ")$",
		}
		if len(shard.Focus) > longestFocus {
			return nil, fmt.Errorf("shard %d of %d has %d specs, too many to name on a command line: ask for more shards", shard.Shard, shard.Of, shard.Specs)
		}
		shards = append(shards, shard)
	}
	return shards, nil
}

// passed reports whether a report is about a spec that has passed. In a dry run, that is one that would run.
func passed(spec types.SpecReport) bool {
	return spec.LeafNodeType == types.NodeTypeIt && spec.State.Is(types.SpecStatePassed)
}

// chosen returns the specs that a dry run would run, and those that are pending: a run tells of them, since they prove
// nothing.
func chosen(suite types.Report) []types.SpecReport {
	filter, err := types.ParseLabelFilter(suite.SuiteConfig.LabelFilter)
	if err != nil { // Ginkgo has refused it
		return nil
	}
	var specs []types.SpecReport
	for _, spec := range suite.SpecReports {
		isPending := spec.LeafNodeType == types.NodeTypeIt && spec.State.Is(types.SpecStatePending)
		if passed(spec) || isPending && filter(slices.Concat(suite.SuiteLabels, spec.Labels())) {
			specs = append(specs, spec)
		}
	}
	return specs
}

// textOf is what Ginkgo compares a focus with.
func textOf(suite types.Report, spec types.SpecReport) string {
	return suite.SuiteDescription + " " + spec.FullText()
}

// durations returns how many seconds each spec took that passed, by its text: the longest, where it ran several times.
func durations(last []types.Report) map[string]float64 {
	took := map[string]float64{}
	for _, suite := range last {
		for _, spec := range suite.SpecReports {
			if passed(spec) {
				text := textOf(suite, spec)
				took[text] = max(took[text], spec.RunTime.Seconds())
			}
		}
	}
	return took
}

// estimate returns what is expected of a spec that is not among the durations.
func estimate(took map[string]float64) float64 {
	if len(took) == 0 {
		return unknown
	}
	sorted := slices.Sorted(maps.Values(took))
	return sorted[len(sorted)/2]
}

// units returns the specs, with those in one part that cannot be told apart by their text or that are in one Ordered
// container.
func units(listed []types.Report, took map[string]float64) []part {
	var found []part
	var parents []int // of each part: itself, or another that it goes with
	root := func(i int) int {
		for parents[i] != i {
			i = parents[i]
		}
		return i
	}
	owners := map[string]int{}
	join := func(i int, key string) {
		if owner, ok := owners[key]; ok {
			parents[root(i)] = root(owner)
		}
		owners[key] = i
	}
	other := estimate(took)
	for _, suite := range listed {
		for _, spec := range chosen(suite) {
			text := textOf(suite, spec)
			seconds, ok := took[text]
			if !ok {
				seconds = other
			}
			i := len(found)
			found = append(found, part{suites: map[string]bool{suite.SuitePath: true}, texts: []string{text}, specs: 1, seconds: max(seconds, shortest)})
			parents = append(parents, i)
			join(i, "text "+text)
			if spec.IsInOrderedContainer && len(spec.ContainerHierarchyTexts) > 0 {
				// Which container is the Ordered one is not said: the outermost holds it.
				join(i, fmt.Sprintf("container %s %q", suite.SuitePath, spec.ContainerHierarchyTexts[0]))
			}
		}
	}
	var whole []part
	index := map[int]int{} // of the whole that a root stands for
	for i, p := range found {
		r := root(i)
		at, ok := index[r]
		if !ok {
			at = len(whole)
			index[r] = at
			whole = append(whole, part{suites: map[string]bool{}})
		}
		whole[at].add(p)
	}
	for i := range whole {
		slices.Sort(whole[i].texts)
		whole[i].texts = slices.Compact(whole[i].texts)
	}
	return whole
}
