package check

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/tools/finding"
)

// alertsOf checks a rule file, and returns what this package's own conventions do not ask for.
func alertsOf(t *testing.T, in Inputs, content string) []string {
	t.Helper()
	t.Chdir(t.TempDir())
	return found(t, in, content)
}

func found(t *testing.T, in Inputs, content string) []string {
	t.Helper()
	for _, dir := range []string{"r", "runbooks"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, "r/a.yml", content)
	in.Rules, in.Runbooks = "r", "runbooks"
	findings, _, err := Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, f := range findings {
		switch f.Check {
		case "alert/labels", "alert/annotations", "runbook/missing", "runbook/url":
			continue
		}
		texts = append(texts, lineText(f))
	}
	return texts
}

// lineText shows a finding as file:line:column of its place, check and message.
func lineText(f finding.Finding) string {
	before, _, _ := strings.Cut(f.String(), "\n")
	place := strings.TrimPrefix(f.File, "r/")
	return place + ":" + strconv.Itoa(f.Line) + ":" + strconv.Itoa(f.Column) + " " + f.Check + ": " + strings.TrimSuffix(strings.TrimPrefix(before, "Error: "), " ("+f.Check+")")
}

func writeFile(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

const head = "groups:\n- name: g\n  rules:\n"

func TestTemplates(t *testing.T) {
	for name, tc := range map[string]struct {
		expr, annotation string
		want             []string // the text at the place of each finding, and the end of its message
	}{
		"a label that is there":    {"sum by (job) (a) > 1", "'{{ $labels.job }}'", nil},
		"any label of a selector":  {"a > 1", "'{{ $labels.instance }}'", nil},
		"aggregated away":          {"sum by (job) (a) > 1", "'on {{ $labels.instance }}'", []string{"$labels.instance }}: no label but job"}},
		"the other ways to write":  {"sum(a) > 1", `"{{ .Labels.x }} {{ index $labels \"y\" }} {{ $.Labels.z }}"`, []string{".Labels.x: no labels", "$labels: no labels", "$.Labels.z: no labels"}},
		"in a function":            {"sum(a) > 1", `'{{ printf "%s" $labels.x | toUpper }}'`, []string{"$labels.x |: no labels"}},
		"in a query":               {"sum(a) > 1", `'{{ range query (printf "up{x=%q}" $labels.x) }}{{ .Labels.y }}{{ end }}'`, []string{"$labels.x): no labels"}},
		"in the dot of a with":     {"sum(a) > 1", `'{{ with $labels }}{{ .x }}{{ end }}'`, []string{".x }}: no labels"}},
		"said once":                {"sum(a) > 1", "'{{ $labels.x }}{{$labels.x}}'", []string{"$labels.x }}: no labels"}},
		"a condition on it":        {"sum(a) > 1", "'{{ if $labels.x }}{{ $labels.x }}{{ end }}{{ with $labels.y }}{{ . }}{{ else }}{{ $labels.y }}{{ end }}'", nil},
		"a condition on another":   {"sum(a) > 1", "'{{ if $labels.y }}{{ $labels.x }}{{ end }}'", []string{"$labels.x: no labels"}},
		"a choice":                 {"sum(a) > 1", `'{{ or $labels.x "nothing" }}{{ if eq $labels.y "1" }}{{ end }}'`, nil},
		"a variable":               {"sum(a) > 1", "'{{ $x := $labels.x }}{{ with $x }}{{ . }}{{ end }}'", nil},
		"another dot":              {"sum(a) > 1", `'{{ range query "up" }}{{ .Labels.instance }}{{ end }}'`, nil},
		"one of two ways to fire":  {"a == 0 or absent(a)", "'{{ $labels.x }}'", []string{"$labels.x: no labels"}},
		"a recorded metric":        {"job:a:sum > 1", "'{{ $labels.job }}{{ $labels.x }}'", []string{"$labels.x: no label but job"}},
		"on several lines":         {"sum(a) > 1", ">-\n        one\n        {{ $labels.x }}", []string{"$labels.x: no labels"}},
		"of an expression on more": {">-\n      sum without (x)\n        (a)", "'{{ $labels.x }}'", []string{"$labels.x: lost the label x"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			content := head + "  - alert: A\n    expr: " + tc.expr + "\n    annotations:\n      summary: " + tc.annotation + "\n" +
				"- name: recordings\n  rules:\n  - {record: 'job:a:sum', expr: sum by (job) (a)}\n"
			lines := strings.Split(content, "\n")
			got := alertsOf(t, Inputs{}, content)
			g.Expect(got).To(HaveLen(len(tc.want)), "%q", got)
			for i, want := range tc.want {
				text, has, _ := strings.Cut(want, ": ")
				parts := strings.SplitN(got[i], ":", 4)
				line, _ := strconv.Atoi(parts[1])
				column, _ := strconv.Atoi(strings.Fields(parts[2])[0])
				g.Expect(lines[line-1][column-1:]).To(HavePrefix(text))
				g.Expect(got[i]).To(ContainSubstring(" have " + has + "; "))
			}
		})
	}
}

func TestTemplateMessages(t *testing.T) {
	g := NewWithT(t)
	g.Expect(alertsOf(t, Inputs{}, head+"  - {alert: A, expr: a == 0 or absent(a), annotations: {summary: '{{ $labels.x }}'}}\n")).To(Equal([]string{
		`a.yml:4:70 template/label: the annotation "summary" of A shows nothing for $labels.x where it fires by absent(a), since the series of its expression have no labels; keep that label in the expression, or leave it out of the template`}))
	g.Expect(alertsOf(t, Inputs{}, head+"  - {alert: A, expr: sum(a), labels: {severity: page, team: '{{ $labels.severity }}'}}\n")).To(Equal([]string{
		`a.yml:4:65 template/label: the label "team" of A shows nothing for $labels.severity, since the series of its expression have no labels; the rule's own labels are not in $labels: write "page" out`}))
}

func TestValueInALabel(t *testing.T) {
	for name, tc := range map[string]struct{ expr, rest, want string }{
		"shown":            {"a > 1", "for: 5m, labels: {level: '{{ $value }}'}", `a.yml:4:58 template/value: A never lasts for its 5m: the label "level" shows the value, and each new value makes a new alert that is pending from the start; show it in an annotation`},
		"without for":      {"a > 1", "labels: {level: '{{ $value }}'}", ""},
		"in a condition":   {"a > 1", "for: 5m, labels: {level: '{{ if gt $value 5.0 }}high{{ else }}low{{ end }}'}", ""},
		"one value only":   {"a == 1", "for: 5m, labels: {level: '{{ $value }}'}", ""},
		"in an annotation": {"a > 1", "for: 5m, annotations: {summary: '{{ $value }}'}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := alertsOf(t, Inputs{}, head+"  - {alert: A, expr: "+tc.expr+", "+tc.rest+"}\n")
			NewWithT(t).Expect(strings.Join(got, "\n")).To(Equal(tc.want))
		})
	}
}

func TestDuplicates(t *testing.T) {
	const (
		duplicate = `a.yml:5:13 alert/duplicate: A is defined at r/a.yml:4 already, with the same labels and the same expression: remove one of the two`
		hidden    = `a.yml:%:13 alert/hidden: this A cannot be distinguished from the one at r/a.yml:^, which fires whenever it does and has the same labels, so that Alertmanager takes the two for one: give it another label, such as another severity, or remove it`
		first     = "4>5"
		second    = "5>4"
	)
	for name, tc := range map[string]struct{ one, two, want string }{
		"the same":                         {"expr: a > 1, for: 5m", "expr: a > 1, for: 5m", duplicate},
		"the same, in other words":         {"expr: 'sum by (x, y) (a{p=\"1\",q=\"2\"}) > 2 * 3'", "expr: '6 < (sum(a{q=\"2\", p=\"1\"}) by (y, x))'", duplicate},
		"another severity":                 {"expr: a > 1, labels: {severity: page}", "expr: a > 1, labels: {severity: ticket}", ""},
		"another threshold and severity":   {"expr: a > 1, labels: {severity: page}", "expr: a > 2, labels: {severity: ticket}", ""},
		"another name":                     {"expr: a > 1", "expr: a > 1, labels: {alertname: B}", ""},
		"a narrower condition":             {"expr: a > 1", "expr: a > 2", second},
		"a wider one":                      {"expr: a >= 2", "expr: a >= 1", first},
		"below":                            {"expr: a < 1", "expr: a <= 0", second},
		"a range apart":                    {"expr: a > 1", "expr: a < 1", ""},
		"of another metric":                {"expr: a > 1", "expr: b > 2", ""},
		"of another window":                {"expr: 'rate(a[5m]) > 1'", "expr: 'rate(a[1h]) > 2'", ""},
		"at another offset":                {"expr: a > 1", "expr: a offset 5m > 2", ""},
		"a further condition":              {"expr: a > 1", "expr: a > 1 and b > 1", second},
		"an exception":                     {"expr: a > 1", "expr: a > 2 unless on (job) b > 1", second},
		"one of two conditions":            {"expr: a > 1 or b > 1", "expr: b > 2", second},
		"a condition on the right":         {"expr: b > 1", "expr: a > 1 and b > 1", ""},
		"later at a wider condition":       {"expr: a > 1, for: 1h", "expr: a > 2, for: 5m", ""},
		"sooner at a wider condition":      {"expr: a > 1, for: 5m", "expr: a > 2, for: 1h", second},
		"the same, but later":              {"expr: a > 1, for: 5m", "expr: a > 1, for: 1h", second},
		"a narrower one that goes on":      {"expr: a > 1", "expr: a > 2, keep_firing_for: 5m", ""},
		"a bool, which always has a value": {"expr: sum(a > bool 1) > 1", "expr: sum(a > bool 2) > 1", ""},
		"the value in a label":             {"expr: a > 1, labels: {x: '{{ $value }}'}", "expr: a > 1, labels: {x: '{{ $value }}'}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			want := tc.want
			if one, other, ok := strings.Cut(want, ">"); ok && len(one) == 1 {
				want = strings.NewReplacer("%", one, "^", other).Replace(hidden)
			}
			two := "  - {alert: A, " + tc.two + "}\n"
			if strings.Contains(two, "alertname: B") {
				two = "  - {alert: B, expr: a > 1}\n"
			}
			got := alertsOf(t, Inputs{}, head+"  - {alert: A, "+tc.one+"}\n"+two)
			NewWithT(t).Expect(strings.Join(got, "\n")).To(Equal(want))
		})
	}
}

// ofRules leaves out what is found in Alertmanager's configuration.
func ofRules(findings []string) []string {
	return slices.DeleteFunc(findings, func(f string) bool { return strings.HasPrefix(f, "am.yml") })
}

func TestInhibited(t *testing.T) {
	const alertmanager = "route: {receiver: r}\nreceivers: [{name: r, webhook_configs: [{url: 'http://x.example.com'}]}]\ninhibit_rules:\n"
	const want = `a.yml:5:13 alert/hidden: B never notifies: an inhibition rule of am.yml mutes it while A fires, which fires whenever it does (r/a.yml:4): fix the inhibition rule, or remove the alert`
	wide, narrow := "{alert: A, expr: a > 1, labels: {severity: critical, team: x}}", "{alert: B, expr: a > 2, labels: {severity: warning, team: x}}"
	for name, tc := range map[string]struct{ inhibit, one, two, want string }{
		"always":                       {"- {source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [team, instance]}", wide, narrow, want},
		"old matchers":                 {"- {source_match: {alertname: A}, target_match_re: {alertname: 'B|C'}}", wide, narrow, want},
		"the wide one":                 {"- {source_matchers: [severity=warning], target_matchers: [severity=critical]}", wide, narrow, ""},
		"of another team":              {"- {source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [severity]}", wide, narrow, ""},
		"by a label that may be there": {"- {source_matchers: [cluster=x], target_matchers: [severity=warning]}", wide, narrow, ""},
		"sources and targets are one":  {"- {source_matchers: [team=x], target_matchers: [team=x]}", wide, narrow, ""},
		"source later":                 {"- {source_matchers: [severity=critical], target_matchers: [severity=warning]}", strings.Replace(wide, "labels", "for: 5m, labels", 1), narrow, ""},
		"of another metric":            {"- {source_matchers: [severity=critical], target_matchers: [severity=warning]}", strings.Replace(wide, "a > 1", "b > 1", 1), narrow, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			writeFile(t, "am.yml", alertmanager+tc.inhibit+"\n")
			got := ofRules(found(t, Inputs{Alertmanager: "am.yml"}, head+"  - "+tc.one+"\n  - "+tc.two+"\n"))
			NewWithT(t).Expect(strings.Join(got, "\n")).To(Equal(tc.want))
		})
	}
}

func TestRouteByAnyLabel(t *testing.T) {
	const alertmanager = "receivers: [{name: nobody}, {name: r, webhook_configs: [{url: 'http://x.example.com'}]}]\nroute:\n  receiver: nobody\n  routes:\n"
	for name, tc := range map[string]struct{ routes, labels, expr, want string }{
		"a team that is routed":      {"  - {receiver: r, matchers: [severity=page, team=x]}", "{severity: page, team: x}", "a", ""},
		"a team that is not":         {"  - {receiver: r, matchers: [severity=page, team=x]}", "{severity: page, team: y}", "a", `a.yml:4:42 route/receiver: no notification of A is sent: with severity "page" and team "y" it reaches only the receiver nobody, which has no integration (am.yml): give it labels that a route matches, or add a route for it`},
		"by team alone":              {"  - {receiver: r, matchers: [team=x]}", "{severity: page, team: y}", "a", `a.yml:4:42 route/receiver: no notification of A is sent: with team "y" it reaches only the receiver nobody, which has no integration (am.yml): give it a team that a route matches, or add a route for it`},
		"a route below a route":      {"  - receiver: nobody\n    matchers: [severity=page]\n    routes: [{receiver: r, matchers: [team=x]}]", "{severity: page, team: x}", "a", ""},
		"a label that series bring":  {"  - {receiver: r, matchers: [cluster=x]}", "{severity: page}", "a", ""},
		"a label that they have not": {"  - {receiver: r, matchers: [cluster=x]}", "{severity: page}", "sum(a)", `a.yml:4:42 route/receiver: no notification of A is sent: it reaches only the receiver nobody, which has no integration (am.yml): give it labels that a route matches, or add a route for it`},
		"a template":                 {"  - {receiver: r, matchers: [team=x]}", "{severity: page, team: '{{ $externalLabels.team }}'}", "a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			writeFile(t, "am.yml", alertmanager+tc.routes+"\n")
			got := ofRules(found(t, Inputs{Alertmanager: "am.yml"}, head+"  - {alert: A, labels: "+tc.labels+", expr: "+tc.expr+"}\n"))
			if len(got) > 0 { // wherever the label stands
				got[0] = "a.yml:4:42" + got[0][strings.Index(got[0], " "):]
			}
			NewWithT(t).Expect(strings.Join(got, "\n")).To(Equal(tc.want))
		})
	}
}

// What is written to exhaust its reader is checked all the same.
func TestChecksAreBounded(t *testing.T) {
	alert := func(expr string) string { return "  - {alert: A, expr: '" + expr + "', annotations: {summary: x}}\n" }
	for name, content := range map[string]string{
		"900 parentheses":      alert(strings.Repeat("(", 900) + "up" + strings.Repeat(")", 900)),
		"900 signs":            alert(strings.Repeat("-", 900) + "up"),
		"a long and":           alert(strings.Repeat("a and ", 900) + "a"),
		"a long or":            alert(strings.Repeat("a or ", 900) + "a"),
		"a long sum":           alert(strings.Repeat("a + ", 900) + "a"),
		"a long comparison":    alert(strings.Repeat("a > ", 900) + "1"),
		"a long constant":      alert("a > " + strings.Repeat("1 + ", 900) + "1"),
		"nested aggregations":  alert(strings.Repeat("sum(", 900) + "a" + strings.Repeat(")", 900)),
		"many matchers":        alert("a{" + strings.Repeat("x=\"1\",", 4_000) + "}"),
		"many arguments":       alert("label_join(a, \"x\"" + strings.Repeat(", \"y\"", 4_000) + ")"),
		"one alert many times": strings.Repeat(alert("a > 1"), 2_000),
		"a cycle of recordings": "  - {record: a:x, expr: 'b:x + 1'}\n  - {record: b:x, expr: 'c:x + 1'}\n  - {record: c:x, expr: 'a:x + 1'}\n" + alert("a:x") +
			"  - {record: d:x, expr: 'd:x'}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			writeFile(t, "m.prom", exposition)
			found(t, Inputs{Metrics: []string{"m.prom"}}, head+content)
		})
	}
}
