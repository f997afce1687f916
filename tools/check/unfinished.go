package check

import (
	"regexp"
	"strings"

	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

// todo is what a skeleton has in the places to fill in, alone or at the beginning of a name.
var todo = regexp.MustCompile(`\bTODO(?:\b|_\w*)`)

// unfinished demands that an alert has no TODO in its fields. Comments in rule files may have one.
func (c *checker) unfinished(alert rule.Alert) {
	fields := map[string]string{"expr": alert.Expr}
	for name, value := range alert.Labels {
		fields["labels."+name] = value
	}
	for name, value := range alert.Annotations {
		fields["annotations."+name] = value
	}
	for field, value := range fields {
		if found := todo.FindStringIndex(value); found != nil {
			kind, name, _ := strings.Cut(field, ".")
			c.reportAt(alert, field, found[0], "alert/unfinished", "%s is not filled in, since its %s says %q: replace it with the real text",
				alert.Name, strings.TrimSpace(strings.TrimSuffix(kind, "s")+" "+name), value[found[0]:found[1]])
		}
	}
}

// finished demands that a runbook has no TODO.
func (c *checker) finished(doc *runbook.Runbook) {
	line := 0
	for text := range strings.Lines(doc.Text) {
		line++
		if found := todo.FindStringIndex(text); found != nil {
			c.report("runbook/unfinished", doc.Path, line, 1+len([]rune(text[:found[0]])), "the runbook of %s is not filled in (%q): replace it with what the on-call needs to know",
				doc.Name(), text[found[0]:found[1]])
		}
	}
}
