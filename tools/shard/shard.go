// Package shard distributes the specs of Ginkgo suites to machines that run in parallel, so that each spec runs on exactly
// one of them and all finish at about the same time.
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
	// MaxShards is GitHub Actions' limit for the jobs of a matrix: https://docs.github.com/en/actions/reference/limits.
	MaxShards = 256

	// startSeconds is what a suite costs each machine that runs specs of it: 10 s to start in each of four processes.
	startSeconds = 40

	// defaultSeconds is the estimate for a spec when no report has durations.
	defaultSeconds = 30

	// minSeconds is the least estimate for a spec, so that specs that take no time are distributed evenly as well.
	minSeconds = 0.1

	// maxFocus limits a regular expression, in bytes, to what fits into one argument of a command line.
	maxFocus = 100 << 10
)

// Shard is the specs that one machine runs: those of some suites whose text matches the focus. In JSON it is an element
// of "include" in a matrix of GitHub Actions.
type Shard struct {
	Shard   int    `json:"shard"` // from 1
	Of      int    `json:"of"`
	Suites  string `json:"suites"` // folders as listed, separated by spaces
	Focus   string `json:"focus"`  // Ginkgo's regular expression, which matches exactly these specs
	Specs   int    `json:"specs"`
	Seconds int    `json:"seconds"` // estimated work of all processes of the machine
}

// Plan distributes the specs that a dry run has listed to at most n machines. A spec's duration is that of the last run,
// or the median of the others. Specs of a suite stay together where that costs no time, and those of an Ordered
// container always. Equal input in any order gives an equal plan. An empty list, or a focus that is too long for a
// command line, is an error.
func Plan(listed, last []types.Report, n int) ([]Shard, error) {
	parts := units(listed, durations(last))
	if len(parts) == 0 {
		return nil, fmt.Errorf("no spec to deal: the suites have none, or the label filter matches none")
	}
	var shards []Shard
	distributed := balance(parts, n)
	for i, part := range distributed {
		slices.Sort(part.texts)
		for j, text := range part.texts {
			part.texts[j] = regexp.QuoteMeta(text)
		}
		shard := Shard{
			Shard: i + 1, Of: len(distributed), Specs: part.specs, Seconds: int(math.Round(part.cost())),
			Suites: strings.Join(slices.Sorted(maps.Keys(part.suites)), " "), Focus: "^(?:" + strings.Join(part.texts, "|") + ")$",
		}
		if len(shard.Focus) > maxFocus {
			return nil, fmt.Errorf("shard %d of %d has %d specs, too many to name on a command line: ask for more shards", shard.Shard, shard.Of, shard.Specs)
		}
		shards = append(shards, shard)
	}
	return shards, nil
}

// passed reports whether a spec has passed or, in a dry run, would run.
func passed(spec types.SpecReport) bool {
	return spec.LeafNodeType == types.NodeTypeIt && spec.State.Is(types.SpecStatePassed)
}

// chosen returns the specs that a dry run would run, and pending ones, which a run reports as not proven.
func chosen(suite types.Report) []types.SpecReport {
	filter, err := types.ParseLabelFilter(suite.SuiteConfig.LabelFilter)
	if err != nil { // Ginkgo refuses it
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

// textOf is the text that Ginkgo matches with a focus.
func textOf(suite types.Report, spec types.SpecReport) string {
	return suite.SuiteDescription + " " + spec.FullText()
}

// durations returns the seconds of each spec that passed, by its text: the longest, if it ran several times.
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

// estimate returns the seconds of a spec that is not among the durations.
func estimate(took map[string]float64) float64 {
	if len(took) == 0 {
		return defaultSeconds
	}
	sorted := slices.Sorted(maps.Values(took))
	return sorted[len(sorted)/2]
}

// units returns the specs, with those in one part that have the same text or are in one Ordered container.
func units(listed []types.Report, took map[string]float64) []part {
	var found []part
	var parents []int // of each part: itself, or another that it is joined with
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
			found = append(found, part{suites: map[string]bool{suite.SuitePath: true}, texts: []string{text}, specs: 1, seconds: max(seconds, minSeconds)})
			parents = append(parents, i)
			join(i, "text "+text)
			if spec.IsInOrderedContainer && len(spec.ContainerHierarchyTexts) > 0 {
				// The report does not say which container is Ordered: the outermost contains it.
				join(i, fmt.Sprintf("container %s %q", suite.SuitePath, spec.ContainerHierarchyTexts[0]))
			}
		}
	}
	var whole []part
	index := map[int]int{} // of the joined part, by root
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
