package mutate

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/ruletest"
	"github.com/stemedb/firedrill/tools/witness"
)

// entry is one entry of tests in a test file.
type entry struct {
	Name     string           `yaml:"name"`
	Interval model.Duration   `yaml:"interval"`
	Series   []witness.Series `yaml:"input_series,omitempty"`
	Checks   []check          `yaml:"alert_rule_test"`
}

type check struct {
	At       model.Duration  `yaml:"eval_time"`
	Alert    string          `yaml:"alertname"`
	Expected []expectedAlert `yaml:"exp_alerts"`
}

type expectedAlert struct {
	Labels      map[string]string `yaml:"exp_labels,omitempty"`
	Annotations map[string]string `yaml:"exp_annotations,omitempty"`
}

// killing is the promtool test of an input at which a mutant differs, for the list of tests in a test file. It is empty
// unless it passes on the original and fails on the mutant, among the other rules.
func (t *Tests) killing(ctx context.Context, m Mutant, s witness.Scenario, d *witness.Difference) (string, error) {
	one := entry{Name: fmt.Sprintf("%s, not with %s", m.Original.Name, m.short()), Interval: model.Duration(s.Interval), Series: slices.Clone(s.Series)}
	c := check{At: model.Duration(d.At), Alert: m.Original.Name, Expected: []expectedAlert{}}
	for _, f := range d.A {
		labels := f.Labels.Map()
		delete(labels, model.AlertNameLabel)
		c.Expected = append(c.Expected, expectedAlert{labels, f.Annotations.Map()})
	}
	one.Checks = []check{c}
	text := encode([]entry{one})
	kills, err := t.kills(ctx, m, text)
	if err != nil || !kills {
		return "", err
	}
	return text, nil
}

func encode(value any) string {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(value); err != nil {
		panic(err) // text, durations, lists and maps can always be encoded
	}
	e.Close()
	return b.String()
}

// kills runs a list of tests on the original and on the mutant.
func (t *Tests) kills(ctx context.Context, m Mutant, tests string) (bool, error) {
	file, err := filepath.Abs(m.Original.File)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "firedrill-mutate-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	with := t.of(file)
	var escaped []string
	for _, path := range with.files { // rule_files are patterns
		escaped = append(escaped, strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path))
	}
	content := encode(map[string]any{"rule_files": escaped, "evaluation_interval": model.Duration(with.every)}) + "tests:\n" + tests
	path := filepath.Join(dir, "one_test.yml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return false, err
	}
	suite := ruletest.Load([]string{path}, ruletest.Options{Features: promql.Features})
	result, err := suite.Run(ctx)
	if err != nil || result.Err() != nil || result.Failed() {
		return false, err
	}
	groups, err := readGroups(file)
	if err != nil {
		return false, nil // not a rule file that promtool reads, such as a manifest
	}
	changed, err := suite.RunWith(ctx, file, withMutant(groups, m))
	if err != nil {
		return false, ctx.Err()
	}
	return changed.Failed(), nil
}

// short names a change on one line.
func (m Mutant) short() string {
	what := m.What
	if m.Field == "expr" && m.To != "" {
		what += fmt.Sprintf(" (%s for %s)", oneLine(m.To), oneLine(m.From))
	} else if m.From != "" {
		what += fmt.Sprintf(" (%s)", oneLine(m.From))
	}
	return what
}
