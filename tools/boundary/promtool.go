package boundary

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v3"
)

// WriteTests writes the scenarios as a promtool unit test file, to be saved beside the rule files. interval is the
// evaluation interval for which the alerts were derived.
func WriteTests(w io.Writer, all []Derived, interval time.Duration) error {
	var files []string
	for _, d := range all {
		if name := filepath.Base(d.Alert.File); !slices.Contains(files, name) {
			files = append(files, name)
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The thresholds of %s and their `for`, one step to either side, as observed by firedrill boundaries.\n", strings.Join(files, ", "))
	encode(&b, mapping("rule_files", scalars(files)))
	fmt.Fprintf(&b, "\nevaluation_interval: %s\n\ntests:\n", model.Duration(interval).String())
	anchored := &anchors{uses: map[string]int{}, names: map[string]string{}, taken: map[string]bool{}}
	for _, d := range all {
		for _, boundary := range d.Boundaries {
			for _, s := range boundary.Scenarios {
				anchored.count(s)
			}
		}
	}
	first, seen := true, map[string]bool{}
	for _, d := range all {
		for _, u := range d.Unknown {
			fmt.Fprintf(&b, "%s  # %s is not tested here: %s: %s.\n", gap(&first), d.Alert.Name, u.Condition, strings.ReplaceAll(u.Reason, "\n", " "))
		}
		for _, boundary := range d.Boundaries {
			for _, s := range boundary.Scenarios {
				if seen[s.Name] {
					continue // two conditions share a boundary
				}
				seen[s.Name] = true
				b.WriteString(gap(&first))
				var one bytes.Buffer
				encode(&one, sequence(anchored.test(d.Alert.Name, s)))
				for line := range strings.Lines(one.String()) {
					b.WriteString("  " + line)
				}
			}
		}
	}
	if first {
		fmt.Fprintln(&b, "  []")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// gap returns the empty line between two tests.
func gap(first *bool) string {
	if *first {
		*first = false
		return ""
	}
	return "\n"
}

func encode(b *bytes.Buffer, node *yaml.Node) {
	e := yaml.NewEncoder(b)
	e.SetIndent(2)
	if err := e.Encode(node); err != nil {
		panic(err) // scalars, mappings and sequences can always be encoded
	}
	e.Close()
}

// anchors writes alerts that several checks expect in full only once.
type anchors struct {
	uses  map[string]int
	names map[string]string
	taken map[string]bool
}

func (a *anchors) count(s Scenario) {
	for _, c := range s.Checks {
		a.uses[fmt.Sprint(c.Firing)]++
	}
}

func (a *anchors) expected(alert string, firing []Firing) *yaml.Node {
	content := fmt.Sprint(firing)
	if name := a.names[content]; name != "" {
		return &yaml.Node{Kind: yaml.AliasNode, Value: name}
	}
	list := sequence()
	for _, f := range firing {
		one := mapping()
		for _, part := range []struct {
			name   string
			labels labels.Labels
		}{{"exp_labels", f.Labels}, {"exp_annotations", f.Annotations}} {
			if part.labels.IsEmpty() {
				continue
			}
			m := mapping()
			part.labels.Range(func(l labels.Label) { m.Content = append(m.Content, scalar(l.Name), quoted(l.Value)) })
			one.Content = append(one.Content, scalar(part.name), m)
		}
		list.Content = append(list.Content, one)
	}
	if a.uses[content] > 1 {
		name := alert
		for i := 2; a.taken[name]; i++ {
			name = fmt.Sprintf("%s%d", alert, i)
		}
		if strings.Trim(strings.ToLower(alert), "abcdefghijklmnopqrstuvwxyz0123456789_-") == "" {
			a.names[content], list.Anchor = name, name
			a.taken[name] = true
		}
	}
	return list
}

// test is one entry of tests.
func (a *anchors) test(alert string, s Scenario) *yaml.Node {
	inputs := sequence()
	for _, in := range s.Series {
		inputs.Content = append(inputs.Content, mapping("series", scalar(in.Series), "values", scalar(in.Values)))
	}
	checks := sequence()
	for _, c := range s.Checks {
		check := mapping("eval_time", scalar(model.Duration(c.At).String()), "alertname", scalar(alert))
		if len(c.Firing) > 0 {
			check.Content = append(check.Content, scalar("exp_alerts"), a.expected(alert, c.Firing))
		}
		if len(c.Firing) == 0 || check.Content[len(check.Content)-1].Kind == yaml.AliasNode {
			check.Style = yaml.FlowStyle
		}
		if check.Style == yaml.FlowStyle {
			check.LineComment = c.Why
		}
		checks.Content = append(checks.Content, check)
	}
	test := mapping("name", scalar(s.Name), "interval", scalar(model.Duration(s.Interval).String()))
	if len(s.Series) > 0 {
		test.Content = append(test.Content, scalar("input_series"), inputs)
	}
	test.Content = append(test.Content, scalar("alert_rule_test"), checks)
	return test
}

func scalar(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	if _, err := strconv.Atoi(text); err == nil {
		n.Tag = "!!int" // promtool reads it as text; without the tag it would be quoted
	}
	return n
}

func quoted(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

func sequence(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Content: items}
}

// mapping makes a mapping of alternating names and nodes.
func mapping(pairs ...any) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range pairs {
		switch p := p.(type) {
		case string:
			m.Content = append(m.Content, scalar(p))
		case *yaml.Node:
			m.Content = append(m.Content, p)
		}
	}
	return m
}

func scalars(texts []string) *yaml.Node {
	list := sequence()
	for _, t := range texts {
		list.Content = append(list.Content, scalar(t))
	}
	return list
}
