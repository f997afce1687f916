package ruletest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	yamlv2 "go.yaml.in/yaml/v2"
	"go.yaml.in/yaml/v3"
)

// testFile is a test file as promtool reads it. Its fields and their kinds decide, with promtool's own decoder, what is
// accepted.
type testFile struct {
	RuleFiles          []string       `yaml:"rule_files"`
	EvaluationInterval model.Duration `yaml:"evaluation_interval,omitempty"`
	GroupEvalOrder     []string       `yaml:"group_eval_order"`
	Tests              []testGroup    `yaml:"tests"`
	FuzzyCompare       bool           `yaml:"fuzzy_compare,omitempty"`
}

type testGroup struct {
	Interval       model.Duration `yaml:"interval"`
	InputSeries    []seriesText   `yaml:"input_series"`
	AlertTests     []alertTest    `yaml:"alert_rule_test,omitempty"`
	ExprTests      []exprTest     `yaml:"promql_expr_test,omitempty"`
	ExternalLabels labels.Labels  `yaml:"external_labels,omitempty"`
	ExternalURL    string         `yaml:"external_url,omitempty"`
	Name           string         `yaml:"name,omitempty"`
	Start          startTimestamp `yaml:"start_timestamp,omitempty"`

	line int // of the test group
}

type seriesText struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`

	line int
}

type alertTest struct {
	EvalTime  model.Duration  `yaml:"eval_time"`
	Alertname string          `yaml:"alertname"`
	Expected  []expectedAlert `yaml:"exp_alerts"`

	line int
}

type expectedAlert struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
	// The extension; see extended.
	MatchLabels      map[string]anchored `yaml:"match_labels"`
	MatchAnnotations map[string]anchored `yaml:"match_annotations"`
}

type exprTest struct {
	Expr     string           `yaml:"expr"`
	EvalTime model.Duration   `yaml:"eval_time"`
	Expected []expectedSample `yaml:"exp_samples"`

	line int
}

type expectedSample struct {
	Labels    string  `yaml:"labels"`
	Value     float64 `yaml:"value"`
	Histogram string  `yaml:"histogram"` // unless empty, Value is ignored
}

// startTimestamp is written in RFC 3339, or as seconds of Unix time.
type startTimestamp struct{ time.Time }

// UnmarshalYAML implements yaml.Unmarshaler.
func (t *startTimestamp) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if err := unmarshal(&text); err != nil {
		return err
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		whole, batch := math.Modf(seconds)
		t.Time = time.Unix(int64(whole), int64(batch*float64(time.Second))).UTC()
		return nil
	}
	parsed, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return fmt.Errorf("start_timestamp %q is no time: write it as in 2026-01-31T12:00:00Z, or as seconds since 1970", text)
	}
	t.Time = parsed
	return nil
}

// parseTestFile reads the content of a test file. An error names the file and, where there is one, the line.
func parseTestFile(path string, content []byte, extended bool) (*testFile, error) {
	var file testFile
	if err := yamlv2.UnmarshalStrict(content, &file); err != nil {
		return nil, undecodable(path, content, err)
	}
	if err := file.locate(path, content, extended); err != nil {
		return nil, err
	}
	if file.EvaluationInterval == 0 {
		file.EvaluationInterval = model.Duration(time.Minute)
	}
	seen := map[string]bool{}
	for _, name := range file.GroupEvalOrder {
		if seen[name] {
			return nil, fmt.Errorf("%s: group_eval_order names %q twice: name each group once", path, name)
		}
		seen[name] = true
	}
	for i := range file.Tests {
		t := &file.Tests[i]
		if t.Interval == 0 {
			t.Interval = file.EvaluationInterval
		}
		if t.Name == "" {
			t.Name = fmt.Sprintf("unnamed#%d", i)
		}
	}
	return &file, nil
}

// locate finds on which line each test and each assertion begins, and refuses the extension unless it is asked for.
func (f *testFile) locate(path string, content []byte, extended bool) error {
	var root struct {
		Tests []yaml.Node `yaml:"tests"`
	}
	// What only this decoder refuses costs the line numbers, no more.
	if yaml.Unmarshal(content, &root) != nil || len(root.Tests) != len(f.Tests) {
		return nil
	}
	for i, node := range root.Tests {
		t := &f.Tests[i]
		t.line = node.Line
		var inside struct {
			Series []yaml.Node `yaml:"input_series"`
			Alerts []yaml.Node `yaml:"alert_rule_test"`
			Exprs  []yaml.Node `yaml:"promql_expr_test"`
		}
		if node.Decode(&inside) != nil || len(inside.Series) != len(t.InputSeries) ||
			len(inside.Alerts) != len(t.AlertTests) || len(inside.Exprs) != len(t.ExprTests) {
			continue
		}
		for j, node := range inside.Series {
			t.InputSeries[j].line = node.Line
		}
		for j, node := range inside.Exprs {
			t.ExprTests[j].line = node.Line
		}
		for j, node := range inside.Alerts {
			t.AlertTests[j].line = node.Line
			var alerts struct {
				Expected []map[string]yaml.Node `yaml:"exp_alerts"`
			}
			if extended || node.Decode(&alerts) != nil {
				continue
			}
			for _, keys := range alerts.Expected {
				for _, key := range []string{"match_labels", "match_annotations"} {
					if at, ok := keys[key]; ok {
						return fmt.Errorf("%s:%d: %s is an extension that promtool refuses: allow it with --extended, or write exp_labels and exp_annotations",
							path, at.Line, key)
					}
				}
			}
		}
	}
	return nil
}

// badDuration is what the decoder says of one, without its place.
var badDuration = regexp.MustCompile(`duration string: "(.*)"$`)

// undecodable puts the file, and the line if it is known, in front of each of the decoder's complaints.
func undecodable(path string, content []byte, err error) error {
	typeErr, ok := err.(*yamlv2.TypeError)
	if !ok {
		if m := badDuration.FindStringSubmatch(err.Error()); m != nil {
			value := regexp.MustCompile(`:\s*["']?` + regexp.QuoteMeta(m[1]) + `["']?\s*(?:[,}#\r\n]|$)`)
			if at := value.FindIndex(content); at != nil {
				return fmt.Errorf("%s:%d: %w: write a whole number with a unit, as in 30s, 5m or 1h30m", path, 1+bytes.Count(content[:at[0]], []byte("\n")), err)
			}
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	var all []error
	for _, text := range typeErr.Errors {
		all = append(all, decodeError(path, text))
	}
	return errors.Join(all...)
}

// resolveGlobs returns the rule files that a test file names, and the patterns that match none.
func (f *testFile) resolveGlobs(path string) (files, missing []string, err error) {
	for _, pattern := range f.RuleFiles {
		if pattern != "" && !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(path), pattern)
		}
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: rule_files: %q is no pattern of file names: %w", path, pattern, err)
		}
		if len(found) == 0 {
			missing = append(missing, pattern)
		}
		files = append(files, found...)
	}
	return files, missing, nil
}

// start is when the test begins.
func (t *testGroup) start() time.Time {
	if t.Start.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return t.Start.Time
}

// length is the duration of the test: up to the last time that it asserts on.
func (t *testGroup) length() time.Duration {
	var last model.Duration
	for _, a := range t.AlertTests {
		last = max(last, a.EvalTime)
	}
	for _, e := range t.ExprTests {
		last = max(last, e.EvalTime)
	}
	return time.Duration(last)
}
