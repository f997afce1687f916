package witness

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
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
	encode(&b, map[string][]string{"rule_files": files})
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
				encode(&one, []entry{anchored.test(d.Alert.Name, s)})
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

func encode(b *bytes.Buffer, value any) {
	e := yaml.NewEncoder(b)
	e.SetIndent(2)
	if err := e.Encode(value); err != nil {
		panic(err) // text, durations, lists and maps can always be encoded
	}
	e.Close()
}

func nodeOf(value any) *yaml.Node {
	n := &yaml.Node{}
	if err := n.Encode(value); err != nil {
		panic(err) // as in encode
	}
	return n
}

// entry is one entry of tests.
type entry struct {
	Name     string         `yaml:"name"`
	Interval model.Duration `yaml:"interval"`
	Series   []Series       `yaml:"input_series,omitempty"`
	Checks   []*yaml.Node   `yaml:"alert_rule_test"`
}

type expectedAlert struct {
	Labels      map[string]string `yaml:"exp_labels,omitempty"`
	Annotations map[string]string `yaml:"exp_annotations,omitempty"`
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
	var alerts []expectedAlert
	for _, f := range firing {
		alerts = append(alerts, expectedAlert{f.Labels.Map(), f.Annotations.Map()})
	}
	list := nodeOf(alerts)
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

func (a *anchors) test(alert string, s Scenario) entry {
	test := entry{Name: s.Name, Interval: model.Duration(s.Interval), Series: s.Series}
	for _, c := range s.Checks {
		check := nodeOf(struct {
			At    model.Duration `yaml:"eval_time"`
			Alert string         `yaml:"alertname"`
		}{model.Duration(c.At), alert})
		isShort := true
		if len(c.Firing) > 0 {
			expected := a.expected(alert, c.Firing)
			check.Content = append(check.Content, nodeOf("exp_alerts"), expected)
			isShort = expected.Kind == yaml.AliasNode
		}
		if isShort {
			check.Style, check.LineComment = yaml.FlowStyle, c.Why
		}
		test.Checks = append(test.Checks, check)
	}
	return test
}
