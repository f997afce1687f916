package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stemedb/firedrill/tools/finding"
	"github.com/stemedb/firedrill/tools/nearest"
	"github.com/stemedb/firedrill/tools/rule"
)

// ofRule are the keys of a rule beside its labels and annotations, of which one too far to the right is a label or an
// annotation.
var ofRule = []string{"alert", "annotations", "expr", "for", "keep_firing_for", "labels", "record"}

// keys demands that the labels and annotations of an alert are spelt and placed as they are meant.
func (c *checker) keys(alert rule.Alert) {
	for _, in := range []struct {
		field         string
		texts, others map[string]string
		known         []string // names that are meant where one is nearly the same
		misplaced     []string // names that belong to the others
	}{
		{"labels", alert.Labels, alert.Annotations, append(c.usualLabels, "severity"), annotationNames},
		{"annotations", alert.Annotations, alert.Labels, annotationNames, []string{"severity"}},
	} {
		what := strings.TrimSuffix(in.field, "s")
		for _, name := range slices.Sorted(maps.Keys(in.texts)) {
			missing := slices.DeleteFunc(slices.Clone(in.known), func(known string) bool { return in.texts[known] != "" })
			near := nearest.Within(slips(name), name, missing)
			_, elsewhere := in.others[name]
			switch {
			case slices.Contains(ofRule, name):
				c.reportKey(alert, in.field, name, finding.Error, "%s is %s of %s, and not the rule's own: move it to the left, beside %s", name, article(what), alert.Name, in.field)
			case slices.Contains(in.misplaced, name) && !elsewhere:
				to := "annotations"
				if in.field == to {
					to = "labels"
				}
				c.reportKey(alert, in.field, name, finding.Warning, "%s is %s of %s, and is usually found among the %s: move it there", name, article(what), alert.Name, to)
			case near != "" && !slices.Contains(in.known, name):
				c.reportKey(alert, in.field, name, finding.Error, "%s has the %s %s, and no %s: did you mean %s?", alert.Name, what, name, near, near)
			}
		}
	}
}

func article(what string) string {
	if what == "annotation" {
		return "an annotation"
	}
	return "a " + what
}

// slips is how many characters may differ between a name and that which is meant.
func slips(name string) int {
	switch {
	case len(name) >= 7:
		return 2
	case len(name) >= 5:
		return 1
	}
	return 0
}

// reportKey reports on the name of a label or an annotation.
func (c *checker) reportKey(alert rule.Alert, field, name string, severity finding.Severity, format string, args ...any) {
	line, column := alert.At(field+"."+name, 0)
	p := place{file: alert.File, line: line, column: column}
	for n := line; n > line-2; n-- { // a text in several lines begins below its name
		if text := c.line(alert.File, n); strings.Contains(text, name+":") {
			p.line = n
			p = p.around(text, name)
			break
		}
	}
	c.reportPlace(p, "rule/key", "%s", fmt.Sprintf(format, args...))
	last := &c.findings[len(c.findings)-1]
	last.Alert, last.Severity = alert.Name, severity
}
