package ruletest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/stemedb/firedrill/tools/evaluate"
)

// diffAlerts describes how the firing alerts differ from the expected ones: common alerts are left out, and each other
// alert is shown beside the expected one most similar to it.
func diffAlerts(a alertTest, got []evaluate.Alert) string {
	slices.SortFunc(got, func(a, b evaluate.Alert) int {
		return cmp.Or(labels.Compare(a.Labels, b.Labels), labels.Compare(a.Annotations, b.Annotations))
	})
	var missing []expectedAlert
	for _, e := range a.Expected {
		i := slices.IndexFunc(got, func(g evaluate.Alert) bool { return e.matches(a.Alertname, g) })
		if i < 0 {
			missing = append(missing, e)
		} else {
			got = slices.Delete(got, i, i+1)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %s: %s expected to fire, %s missing, %s unexpected", a.Alertname, a.EvalTime,
		count(len(a.Expected), "alert"), strconv.Itoa(len(missing)), strconv.Itoa(len(got)))
	for _, e := range missing {
		if len(got) == 0 {
			e.print(&b, a.Alertname)
			continue
		}
		likest := 0
		for i := range got {
			if e.similarity(got[i]) > e.similarity(got[likest]) {
				likest = i
			}
		}
		fmt.Fprintf(&b, "\n  expected (-), got (+) {%s}", short(got[likest].Labels))
		diffFields(&b, "labels", e.Labels, e.MatchLabels, got[likest].Labels)
		diffFields(&b, "annotations", e.Annotations, e.MatchAnnotations, got[likest].Annotations)
		got = slices.Delete(got, likest, likest+1)
	}
	for _, g := range got {
		fmt.Fprintf(&b, "\n  + %s", g.Labels)
		g.Annotations.Range(func(l labels.Label) { fmt.Fprintf(&b, "\n  +   %s: %q", l.Name, l.Value) })
	}
	return b.String()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func short(ls labels.Labels) string {
	return strings.Trim(ls.DropReserved(func(n string) bool { return n == labels.AlertName }).String(), "{}")
}

// similarity is the number of labels and annotations that both have.
func (e expectedAlert) similarity(g evaluate.Alert) int {
	n := 0
	for name, value := range e.Labels {
		if g.Labels.Get(name) == value {
			n += 2
		}
	}
	for name, value := range e.Annotations {
		if g.Annotations.Get(name) == value {
			n++
		}
	}
	return n
}

func (e expectedAlert) print(b *strings.Builder, name string) {
	fmt.Fprintf(b, "\n  - %s", labels.FromMap(e.named(name)))
	for _, key := range slices.Sorted(maps.Keys(e.MatchLabels)) {
		fmt.Fprintf(b, "\n  -   %s =~ %q", key, e.MatchLabels[key].text())
	}
	for _, key := range slices.Sorted(maps.Keys(e.Annotations)) {
		fmt.Fprintf(b, "\n  -   %s: %q", key, e.Annotations[key])
	}
	for _, key := range slices.Sorted(maps.Keys(e.MatchAnnotations)) {
		fmt.Fprintf(b, "\n  -   %s =~ %q", key, e.MatchAnnotations[key].text())
	}
}

// diffFields prints the labels or annotations that differ.
func diffFields(b *strings.Builder, title string, exact map[string]string, patterns map[string]anchored, got labels.Labels) {
	all := got.Map()
	delete(all, labels.AlertName)
	names := slices.Concat(slices.Collect(maps.Keys(all)), slices.Collect(maps.Keys(exact)), slices.Collect(maps.Keys(patterns)))
	names = slices.DeleteFunc(names, func(name string) bool { return name == labels.AlertName && exact[name] != "" })
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		value, has := all[name]
		want, wanted := exact[name]
		pattern, matched := patterns[name]
		switch {
		case wanted && want == value && has, matched && pattern.MatchString(value), !wanted && !matched && patterns != nil:
			continue
		case wanted:
			fmt.Fprintf(b, "\n  -   %s %s: %q", title, name, want)
		case matched:
			fmt.Fprintf(b, "\n  -   %s %s =~ %q", title, name, pattern.text())
		}
		if has {
			fmt.Fprintf(b, "\n  +   %s %s: %q", title, name, value)
		}
	}
}

// text is the expression as it was written.
func (a anchored) text() string {
	return strings.TrimSuffix(strings.TrimPrefix(a.String(), "^(?s:"), ")$")
}

// diffSamples prints the samples that are in only one of two sorted lists.
func diffSamples(expected, got []exprResult) string {
	var b strings.Builder
	left := slices.Clone(got)
	for _, e := range expected {
		i := slices.IndexFunc(left, func(g exprResult) bool {
			return labels.Equal(e.labels, g.labels) && e.value == g.value && e.histogram == g.histogram
		})
		if i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		fmt.Fprintf(&b, "\n  - %s", e)
	}
	for _, g := range left {
		fmt.Fprintf(&b, "\n  + %s", g)
	}
	if len(expected) == 0 {
		b.WriteString("\n  no sample was expected")
	}
	if len(got) == 0 {
		b.WriteString("\n  no sample came")
	}
	return b.String()
}
