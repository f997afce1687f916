package ruletest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"go.yaml.in/yaml/v3"
)

// lay writes files into a folder of their own.
func lay(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// outcome runs one test file and prints all that came of it.
func outcome(t testing.TB, dir string, options Options) string {
	t.Helper()
	result, err := Load([]string{filepath.Join(dir, "a_test.yml")}, options).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range result.Files {
		for _, one := range f.Tests {
			for _, failure := range one.Failures {
				fmt.Fprintln(&b, failure)
			}
		}
		for _, w := range f.Warnings {
			fmt.Fprintln(&b, "warning:", w)
		}
	}
	if err := result.Err(); err != nil {
		fmt.Fprintln(&b, "unusable:", err)
	}
	return strings.ReplaceAll(b.String(), dir+"/", "")
}

// Every change of a rule must lead to the verdict that a fresh load of the changed file leads to.
func TestRunWithEqualsFreshLoad(t *testing.T) {
	changes := map[string]func(*rulefmt.Rule){
		"expr": func(r *rulefmt.Rule) { r.Expr = strings.NewReplacer("<", ">", "> ", "< ", "==", "!=").Replace(r.Expr) },
		"none": func(r *rulefmt.Rule) { r.Expr = "(" + r.Expr + ")" },
		"for": func(r *rulefmt.Rule) {
			r.For = map[bool]model.Duration{true: model.Duration(3 * time.Minute)}[r.Alert != ""]
		},
		"name": func(r *rulefmt.Rule) {
			if r.Alert != "" {
				r.Alert += "X"
			} else {
				r.Record += "X"
			}
		},
		"label": func(r *rulefmt.Rule) { r.Labels = map[string]string{"severity": "other"} },
	}
	passing := regexp.MustCompile("^(?:at |a second|an hour|the last|one of two|no target|pending|kept firing|absent|rules that read|while)")
	killed, survived := 0, 0
	for test, file := range map[string]string{
		"../../rules/tls_test.yml": "../../rules/tls.yml", "testdata/alert_test.yml": "testdata/rules.yml", "testdata/absent_test.yml": "testdata/absent.yml",
	} {
		content, err := os.ReadFile(test)
		if err != nil {
			t.Fatal(err)
		}
		suite := Load([]string{test}, Options{Run: passing})
		groups := func() *rulefmt.RuleGroups {
			parsed, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, promqlParser, quiet)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			return parsed
		}
		for g, group := range groups().Groups {
			for i := range group.Rules {
				for name, change := range changes {
					changed := groups()
					change(&changed.Groups[g].Rules[i])
					text, err := yaml.Marshal(changed)
					if err != nil {
						t.Fatal(err)
					}
					dir := lay(t, map[string]string{"a_test.yml": regexp.MustCompile(`rule_files:.*\n(?:  - .*\n)?`).ReplaceAllString(string(content), "rule_files: [a.yml]\n"), "a.yml": string(text)})
					fresh, err := Load([]string{filepath.Join(dir, "a_test.yml")}, suite.options).Run(t.Context())
					if err != nil || fresh.Err() != nil && fresh.Files[0].Err != nil {
						t.Fatalf("%v %v", err, fresh.Err())
					}
					want := firstFailure(fresh)
					result, err := suite.RunWith(t.Context(), suite.RuleFiles()[0], changed)
					if err != nil {
						t.Fatal(err)
					}
					if got := firstFailure(result); got != want && !strings.HasPrefix(want, "already ") {
						t.Errorf("%s: %s of %s%s changed: got %q, a fresh load %q", file, name, group.Rules[i].Alert, group.Rules[i].Record, got, want)
					}
					if want == "" {
						survived++
					} else {
						killed++
					}
				}
			}
		}
	}
	if killed < 20 || survived < 20 {
		t.Errorf("%d changes were noticed and %d were not: too few of one kind", killed, survived)
	}
}

func firstFailure(r *Result) string {
	for _, f := range r.Files {
		for _, one := range f.Tests {
			if len(one.Failures) > 0 {
				return one.Name
			}
		}
	}
	return ""
}

func TestExtended(t *testing.T) {
	const rules = `groups: [{name: g, rules: [{alert: A, expr: up == 0, labels: {severity: page}, annotations: {summary: "{{ $labels.job }} of {{ $value }}"}}]}]`
	for _, test := range []struct {
		expected string
		passes   bool
	}{
		{`[{match_labels: {job: "a|b"}, match_annotations: {}}, {match_labels: {job: a}, match_annotations: {}}]`, true}, // the first has to make room
		{`[{match_labels: {job: a}, match_annotations: {}}, {match_labels: {job: a}, match_annotations: {}}]`, false},
		{`[{exp_labels: {severity: page}, match_labels: {}, match_annotations: {summary: ".* of 0"}}, {match_labels: {}, match_annotations: {}}]`, true},
		{`[{exp_labels: {severity: page}, match_labels: {}, match_annotations: {summary: "of 0"}}, {match_labels: {}, match_annotations: {}}]`, false},
		{`[{exp_labels: {severity: ticket}, match_labels: {}, match_annotations: {}}, {match_labels: {}, match_annotations: {}}]`, false},
		{`[{exp_labels: {severity: page, job: a}, match_annotations: {}}, {exp_labels: {severity: page, job: b}, exp_annotations: {summary: b of 0}}]`, true},
		{`[{exp_labels: {job: a}, match_annotations: {}}, {match_labels: {}, match_annotations: {}}]`, false}, // labels are all of them
		{`[{match_labels: {}, match_annotations: {}}]`, false},
	} {
		dir := lay(t, map[string]string{"a.yml": rules, "a_test.yml": `
rule_files: [a.yml]
tests:
  - input_series: [{series: 'up{job="a"}', values: "0"}, {series: 'up{job="b"}', values: "0"}]
    alert_rule_test: [{eval_time: 0m, alertname: A, exp_alerts: ` + test.expected + `}]`})
		if got := outcome(t, dir, Options{Extended: true}); (got == "") != test.passes {
			t.Errorf("%s: %s", test.expected, got)
		}
		if got := outcome(t, dir, Options{}); !strings.HasPrefix(got, "unusable: a_test.yml:5: match_") {
			t.Errorf("without the option, %s: %s", test.expected, got)
		}
	}
}

func TestWarnings(t *testing.T) {
	rules := map[string]string{
		"order.yml": `groups: [{name: reads, rules: [{alert: A, expr: "one > 0"}, {record: two, expr: one}]}, {name: writes, rules: [{record: one, expr: "up + (two or vector(0))"}]}]`,
		"slow.yml":  `groups: [{name: slow, interval: 5m, rules: [{alert: A, expr: up > 0}]}]`,
	}
	for name, test := range map[string]struct{ text, always, strict string }{
		"nothing":   {`{tests: [{promql_expr_test: [{expr: "1", eval_time: 0m, exp_samples: [{value: 1}]}]}]}`, "", ""},
		"missing":   {`{rule_files: [nobody.yml], tests: [{}]}`, "no rule file matches", "no rule file matches"},
		"no test":   {`{rule_files: [order.yml]}`, "there is no test", "there is no test"},
		"chance":    {`{rule_files: [order.yml], tests: [{input_series: [{series: up, values: 1x5}], alert_rule_test: [{eval_time: 0m, alertname: A}]}]}`, "", "only by chance"},
		"no chance": {`{rule_files: [order.yml], group_eval_order: [reads, writes], tests: [{input_series: [{series: up, values: 1x5}], alert_rule_test: [{eval_time: 0m, alertname: A}]}]}`, "", ""},
		"interval":  {`{rule_files: [slow.yml], tests: [{input_series: [{series: up, values: "0x2 1x9"}], alert_rule_test: [{eval_time: 4m, alertname: A, exp_alerts: [{}]}]}]}`, "", "own intervals"},
		"ended":     {`{rule_files: [slow.yml], tests: [{input_series: [{series: up, values: "1x2"}], alert_rule_test: [{eval_time: 5m, alertname: A, exp_alerts: [{}]}]}]}`, "", "ended 3m before"},
		"goes on":   {`{rule_files: [slow.yml], tests: [{input_series: [{series: up, values: "1x9"}], alert_rule_test: [{eval_time: 5m, alertname: A, exp_alerts: [{}]}]}]}`, "", ""},
	} {
		files := map[string]string{"a_test.yml": test.text}
		for n, text := range rules {
			files[n] = text
		}
		dir := lay(t, files)
		for _, want := range []struct {
			options Options
			text    string
		}{{Options{}, test.always}, {Options{Strict: true}, test.strict}} {
			got := outcome(t, dir, want.options)
			warning := ""
			if i := strings.Index(got, "warning: "); i >= 0 {
				warning = got[i:]
			}
			if !strings.Contains(warning, want.text) || want.text == "" && warning != "" {
				t.Errorf("%s, strict %v: got %q, want %q", name, want.options.Strict, got, want.text)
			}
		}
	}
}

func TestCoverage(t *testing.T) {
	dir := lay(t, map[string]string{
		"a.yml": `groups: [{name: g, rules: [{alert: A, expr: a > 0, for: 1m}, {alert: B, expr: b > 0}, {alert: W, expr: vector(1)}, {record: c, expr: a}, {record: d, expr: b}]}]`,
		"a_test.yml": `
rule_files: [a.yml]
tests:
  - input_series: [{series: a, values: "0 1 1 0 0"}]
    alert_rule_test:
      - {eval_time: 0m, alertname: A}
      - {eval_time: 1m, alertname: A}
      - {eval_time: 2m, alertname: A, exp_alerts: [{}]}
      - {eval_time: 3m, alertname: A}
      - {eval_time: 3m, alertname: B}
      - {eval_time: 3m, alertname: W, exp_alerts: [{}]}`,
	})
	result, err := Load([]string{filepath.Join(dir, "a_test.yml")}, Options{Coverage: true}).Run(t.Context())
	if err != nil || result.Failed() {
		t.Fatal(err, result)
	}
	path := filepath.Join(dir, "a.yml")
	want := []RuleCoverage{
		{File: path, Group: "g", Rule: "A", Alert: true, CanPend: true, Firing: true, Pending: true, Quiet: true, Resolved: true},
		{File: path, Group: "g", Rule: "B", Alert: true, Quiet: true},
		{File: path, Group: "g", Rule: "W", Alert: true, Always: true, Firing: true},
		{File: path, Group: "g", Rule: "c", Recorded: true},
		{File: path, Group: "g", Rule: "d"},
	}
	for i, r := range result.Coverage.Rules {
		if r != want[i] {
			t.Errorf("got %+v, want %+v", r, want[i])
		}
	}
	if got := result.Coverage.Percent(); got != 70 { // 7 of 10
		t.Errorf("%v %%", got)
	}
}

func TestBadInput(t *testing.T) {
	deep := strings.Repeat("(", 10_000) + "up" + strings.Repeat(")", 10_000)
	many := strings.Builder{}
	for i := range 10_000 {
		fmt.Fprintf(&many, "      - {series: 'up{i=\"%d\"}', values: '1x60'}\n", i)
	}
	for name, test := range map[string]struct{ rules, text, want string }{
		"empty":            {"", "", "warning: a_test.yml: there is no test"},
		"binary":           {"", "\x00\x01", "unusable: a_test.yml: yaml: control characters"},
		"a bad duration":   {"", "# 5\ntests:\n  - interval: 15s\n    alert_rule_test: [{eval_time: 5, alertname: A}]", `unusable: a_test.yml:4: not a valid duration string: "5": write`},
		"huge repetition":  {"", `{tests: [{input_series: [{series: a, values: "1x1000000000"}], promql_expr_test: [{expr: a, eval_time: 1h, exp_samples: [{labels: a, value: 1}]}]}]}`, ""},
		"too many samples": {"", `{tests: [{interval: 1ms, input_series: [{series: a, values: "1x1000000000"}], promql_expr_test: [{expr: a, eval_time: 10d}]}]}`, "unusable: a_test.yml:1: input_series \"a 1x1000000000\": more than 20000000 samples"},
		"huge start times": {"", `{tests: [{input_series: [{series: a@st, values: "-1mx5"}, {series: a, values: "1x1000000000"}], promql_expr_test: [{expr: a, eval_time: 1h}]}]}`, "unusable: a_test.yml:1: input_series \"a 1x1000000000\": more than"},
		"huge histogram":   {"", `{tests: [{promql_expr_test: [{expr: a, eval_time: 1h, exp_samples: [{labels: a, histogram: "{{}}x1000000000"}]}]}]}`, "values where one is expected"},
		"endless":          {"", `{evaluation_interval: 1ms, tests: [{promql_expr_test: [{expr: a, eval_time: 9d}]}]}`, "unusable: a_test.yml:1: 777600000 evaluations are more than"},
		"deep":             {`groups: [{name: g, rules: [{record: a, expr: "` + deep + `"}]}]`, `{rule_files: [a.yml], tests: [{input_series: [{series: up, values: 1}], promql_expr_test: [{expr: a, eval_time: 0m, exp_samples: [{labels: a, value: 1}]}]}]}`, ""},
		"circular":         {`groups: [{name: g, rules: [{record: a, expr: b + 1 or up}, {record: b, expr: a + 1}]}]`, `{rule_files: [a.yml], tests: [{input_series: [{series: up, values: 1x9}], promql_expr_test: [{expr: b, eval_time: 3m, exp_samples: [{labels: b, value: 8}]}]}]}`, ""},
		"many series":      {`groups: [{name: g, rules: [{record: a, expr: up > 1}]}]`, "rule_files: [a.yml]\ntests:\n  - promql_expr_test: [{expr: count(up), eval_time: 1h, exp_samples: [{value: 10000}]}]\n    input_series:\n" + many.String(), "too many samples"},
	} {
		dir := lay(t, map[string]string{"a_test.yml": test.text, "a.yml": test.rules})
		if got := outcome(t, dir, Options{}); !strings.Contains(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", name, abbreviated(got), test.want)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a_test.yml"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := outcome(t, dir, Options{}); !strings.Contains(got, "is a directory") {
		t.Errorf("a directory: %s", got)
	}
	dir = lay(t, map[string]string{"a_test.yml": strings.Repeat("# nothing\n", 5_000_000)})
	if got := outcome(t, dir, Options{}); !strings.Contains(got, "50000000 bytes are more than") {
		t.Errorf("a large file: %s", got)
	}
	if got := outcome(t, t.TempDir(), Options{}); !strings.Contains(got, "no such file") {
		t.Errorf("no file: %s", got)
	}
}

func FuzzTestFile(f *testing.F) {
	for _, file := range testFiles(f) {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(content))
	}
	f.Fuzz(func(t *testing.T, text string) {
		format, err := parseTestFile("a_test.yml", []byte(text), true)
		if err != nil {
			return
		}
		s := Load(nil, Options{})
		for i := range format.Tests {
			s.prepare(&file{path: "a_test.yml"}, &format.Tests[i], i, time.Duration(format.EvaluationInterval))
		}
	})
}

func FuzzNotation(f *testing.F) {
	f.Add("up{job=\"a\"}", "1 2x3 4+5x6 _ _x7 stale", int64(60))
	f.Add("h", "{{schema:0 count:1 buckets:[1]}}x3", int64(1))
	f.Add("a@st", "-1m -1m+30sx2", int64(0))
	f.Fuzz(func(t *testing.T, series, values string, minutes int64) {
		if minutes < 0 || minutes > 1000 {
			return
		}
		// To shorten a line changes nothing that can be seen.
		line := strings.TrimSpace(series + " " + values)
		short := shortened(line, uint64(minutes)+2)
		if len(repetition.FindAllString(line, -1)) > 3 || regexp.MustCompile(`x\d{6}`).MatchString(line) {
			return
		}
		ls, long, err := notation.ParseSeriesDesc(line)
		shortLabels, few, shortErr := notation.ParseSeriesDesc(short)
		if (err == nil) != (shortErr == nil) {
			t.Fatalf("%q: %v; %q: %v", line, err, short, shortErr)
		}
		if err != nil {
			return
		}
		seen := min(int(minutes)+1, len(long))
		if shortLabels.Hash() != ls.Hash() || len(few) < seen || fmt.Sprint(few[:seen]) != fmt.Sprint(long[:seen]) {
			t.Fatalf("%q: %v; %q: %v", line, long, short, few)
		}
	})
}
