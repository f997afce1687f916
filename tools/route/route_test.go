package route

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/common/model"
)

func parse(t *testing.T, text string) *Tree {
	t.Helper()
	tree, err := Parse("alertmanager.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestErrorsHaveAPlace(t *testing.T) {
	const receivers = "\nreceivers:\n  - name: mail\n  - name: page\n"
	for name, tc := range map[string]struct{ config, want string }{
		"receiver": {"route:\n  receiver: mail\n  routes:\n    - receiver: pager" + receivers,
			`alertmanager.yml:4:17: undefined receiver "pager" used in route: the nearest is "page", of "mail", "page"`},
		"root's receiver": {"route: {receiver: male}" + receivers,
			`alertmanager.yml:1:19: undefined receiver "male" used in route: the nearest is "mail", of "mail", "page"`},
		"time interval": {"route:\n  receiver: mail\n  routes:\n    - mute_time_intervals: [night, nights]" + receivers + "time_intervals: [{name: night}]",
			`alertmanager.yml:4:36: undefined time interval "nights" used in route: the only one is "night"`},
		"same receiver twice": {"route: {receiver: mail}" + receivers + "  - name: mail",
			`alertmanager.yml:5:11: notification config name "mail" is not unique: give it another name`},
		"regular expression": {"route:\n  receiver: mail\n  routes:\n    - matchers: ['a=~\"b\"', 'a=~\"(\"']" + receivers,
			"alertmanager.yml:4:28: error parsing regexp: missing closing ): value: fix it until Alertmanager loads it"},
		"the first of two alike": {"route:\n  receiver: mail\n  routes:\n    - match_re: {a: '('}\n    - match_re: {a: '('}" + receivers,
			"alertmanager.yml:4:21: error parsing regexp: missing closing ): value: fix it until Alertmanager loads it"},
		"day": {"route: {receiver: mail}" + receivers + "time_intervals:\n  - name: a\n    time_intervals:\n      - days_of_month: ['1', '32']",
			"alertmanager.yml:8:30: 32 is not a valid day of the month: out of range: fix it until Alertmanager loads it"},
		"what is missing": {"route: {receiver: mail}" + receivers + "    email_configs:\n      - {from: a@example.com, smarthost: 'mail:25'}",
			"alertmanager.yml:6:9: missing to address in email config: fix it until Alertmanager loads it"},
		"a variable": {"global:\n  smtp_smarthost: ${SMTP}\nroute: {receiver: mail}" + receivers,
			"alertmanager.yml:2:19: address ${SMTP}: missing port in address: give the configuration as it is deployed, since Alertmanager takes no value from the environment"},
		"manifest": {"apiVersion: monitoring.coreos.com/v1alpha1\nkind: AlertmanagerConfig\nspec: {}",
			"alertmanager.yml:2:7: a manifest of kind AlertmanagerConfig of Kubernetes: give Alertmanager's own configuration, which the operator writes to the secret alertmanager-NAME-generated"},
		"no time interval": {"route:\n  receiver: mail\n  routes:\n    - active_time_intervals: [day]" + receivers, `alertmanager.yml:4:31: undefined time interval "day" used in route: add it under time_intervals`},
		"a null beside":    {"route: {receiver: mail, group_by: [a, a]}\nreceivers: [{name: mail, webhook_configs: []}]\ntime_intervals:", `alertmanager.yml:1:39: duplicated label "a" in group_by: fix it until Alertmanager loads it`},
		"unknown key":      {"route: {receiver: mail}\nroutes: []" + receivers, `alertmanager.yml:2:1: field routes not found in type config.plain ("routes"): fix it until Alertmanager loads it`},
		"nothing at all":   {"", "alertmanager.yml: no route provided in config: fix it until Alertmanager loads it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("alertmanager.yml", []byte(tc.config))
			NewWithT(t).Expect(err).To(MatchError(tc.want))
		})
	}
}

// randomTree is a configuration with a few routes over the labels a, b and c, each of which is missing, x, y or z.
func randomTree(r *rand.Rand) string {
	var b strings.Builder
	var routes func(depth, indent int)
	routes = func(depth, indent int) {
		for range 1 + r.IntN(3) {
			pad := strings.Repeat(" ", indent)
			fmt.Fprintf(&b, "%s- continue: %t\n", pad, r.IntN(3) == 0)
			if n := r.IntN(3); n > 0 {
				fmt.Fprintf(&b, "%s  matchers:\n", pad)
				for range n {
					values := []string{"x", "y", "z", ""}
					op := []string{"=", "!=", "=~", "!~"}[r.IntN(4)]
					value := values[r.IntN(4)]
					if strings.HasSuffix(op, "~") {
						value = []string{"x|y", ".+", ".*", "y|z", "|x", "[xy]"}[r.IntN(6)]
					}
					fmt.Fprintf(&b, "%s    - '%c%s\"%s\"'\n", pad, 'a'+r.IntN(3), op, value)
				}
			}
			if depth > 0 && r.IntN(2) == 0 {
				fmt.Fprintf(&b, "%s  routes:\n", pad)
				routes(depth-1, indent+4)
			}
		}
	}
	b.WriteString("receivers: [{name: mail}]\nroute:\n  receiver: mail\n  routes:\n")
	routes(2, 4)
	return b.String()
}

// allLabels are all values of a, b and c; w stands for any other.
func allLabels() []map[string]string {
	var all []map[string]string
	values := []string{"", "w", "x", "y", "z"}
	for _, a := range values {
		for _, b := range values {
			for _, c := range values {
				all = append(all, map[string]string{"a": a, "b": b, "c": c})
			}
		}
	}
	return all
}

// An alert's way ends where Alertmanager says, and a route that Reaches calls unreachable is on the way of no alert.
func TestWayAndReaches(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	unreachable := 0
	for range 300 {
		text := randomTree(r)
		tree := parse(t, text)
		tried := map[*Node][]map[string]string{} // by what is known of the labels, whether an alert matches
		for _, labels := range allLabels() {
			var ends []int
			for _, step := range tree.Way(labels) {
				if step.Notifies {
					ends = append(ends, step.Idx)
				}
				if step.Missed == nil {
					tried[step.Node] = append(tried[step.Node], labels)
				}
			}
			set := model.LabelSet{}
			for name, value := range labels {
				set[model.LabelName(name)] = model.LabelValue(value)
			}
			var want []int
			for _, end := range tree.Root.Match(set) {
				want = append(want, end.Idx)
			}
			if !slices.Equal(ends, want) {
				t.Fatalf("%v ends at %v, by Alertmanager at %v\n%s", labels, ends, want, text)
			}
		}
		for _, known := range []map[string]string{{}, {"a": "x"}, {"a": "", "b": "y"}} {
			alert := Alert(func(name string) (string, bool) {
				value, ok := known[name]
				return value, ok
			})
			tree.Top.Walk(func(n *Node) bool {
				reached := slices.ContainsFunc(tried[n], func(labels map[string]string) bool {
					for name, value := range known {
						if labels[name] != value {
							return false
						}
					}
					return true
				})
				switch reaches := alert.Reaches(n); {
				case reached && !reaches:
					t.Fatalf("an alert with %v reaches the route at %s, but Reaches says no\n%s", known, n.Place.In("it"), text)
				case !reached && !reaches:
					unreachable++
				case !reached && reaches && !strings.Contains(text, "[xy]"):
					t.Fatalf("no alert with %v reaches the route at %s, but Reaches says yes\n%s", known, n.Place.In("it"), text)
				}
				return true
			})
		}
	}
	NewWithT(t).Expect(unreachable).To(BeNumerically(">", 100))
}

func TestInhibitionMay(t *testing.T) {
	tree := parse(t, `
route: {receiver: mail}
receivers: [{name: mail}]
inhibit_rules:
  - source_matchers: ['severity="critical"']
    target_match: {team: db}
    equal: [zone]
`)
	in := tree.Inhibitions[0]
	critical := map[string]string{"severity": "critical", "zone": "a"}
	for name, tc := range map[string]struct {
		source, target map[string]string
		want           bool
	}{
		"same zone":          {critical, map[string]string{"team": "db", "zone": "a"}, true},
		"another zone":       {critical, map[string]string{"team": "db", "zone": "b"}, false},
		"no zone":            {critical, map[string]string{"team": "db"}, false},
		"another team":       {critical, map[string]string{"team": "web", "zone": "a"}, false},
		"not critical":       {map[string]string{"zone": "a"}, map[string]string{"team": "db", "zone": "a"}, false},
		"both on both":       {map[string]string{"severity": "critical", "team": "db"}, map[string]string{"severity": "critical", "team": "db"}, false},
		"the target on both": {map[string]string{"severity": "critical"}, map[string]string{"severity": "critical", "team": "db"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(in.May(Exactly(tc.source), Exactly(tc.target))).To(Equal(tc.want))
		})
	}
}

func TestExtentOf(t *testing.T) {
	now := time.Date(2026, 11, 29, 10, 30, 0, 0, time.UTC) // a Sunday
	for elements, want := range map[string]Extent{
		`{times: [{start_time: "00:00", end_time: "24:00"}]}`: Always,
		`{}`: Always,
		`{times: [{start_time: "00:00", end_time: "12:00"}]}, {times: [{start_time: "12:00", end_time: "24:00"}]}`: Always,
		`{times: [{start_time: "00:00", end_time: "12:00"}]}, {times: [{start_time: "12:01", end_time: "24:00"}]}`: Sometimes,
		`{weekdays: ['monday:saturday']}, {weekdays: [sunday]}`:                                                    Always,
		`{weekdays: ['monday:saturday']}`:                                              Sometimes,
		`{times: [{start_time: "00:00", end_time: "24:00"}], location: Europe/Berlin}`: Always,
		`{times: [{start_time: "00:00", end_time: "23:59"}]}`:                          Sometimes,
		`{days_of_month: ['1:31']}`:                                                    Always,
		`{days_of_month: ['1:30']}`:                                                    Sometimes,
		`{years: ['2019']}`:                                                            Never,
		`{years: ['2019:2025']}, {months: [february], days_of_month: ['30:31']}`:       Never,
		`{years: ['2026']}`:                                                            Sometimes,
		`{years: ['2026'], months: ['november'], days_of_month: ['29'], times: [{start_time: "10:00", end_time: "11:00"}]}`: Sometimes, // now
		`{years: ['2026'], months: ['november'], days_of_month: ['29'], times: [{start_time: "09:00", end_time: "10:00"}]}`: Never,
		`{years: ['2026'], months: ['november']}`:                         Sometimes,
		`{years: ['2026'], months: ['1:10']}`:                             Never,
		`{years: ['2099']}`:                                               Sometimes,
		`{months: [february], days_of_month: ['29'], weekdays: [monday]}`: Sometimes, // 2044
		`{months: [april], days_of_month: ['31']}`:                        Never,
	} {
		t.Run(elements, func(t *testing.T) {
			tree := parse(t, "route: {receiver: a}\nreceivers: [{name: a}]\ntime_intervals:\n  - name: it\n    time_intervals: ["+elements+"]")
			NewWithT(t).Expect(ExtentOf(tree.Intervals[0].Elements, now)).To(Equal(want))
		})
	}
}

func TestOver(t *testing.T) {
	now := time.Date(2026, 11, 29, 10, 30, 0, 0, time.UTC)
	for element, want := range map[string]bool{
		`{years: ['2019']}`:                                         true,
		`{years: ['2019'], months: [june]}`:                         true,
		`{years: ['2027']}`:                                         false,
		`{months: [april], days_of_month: ['31']}`:                  false,
		`{years: ['2019'], months: [april], days_of_month: ['31']}`: false,
	} {
		tree := parse(t, "route: {receiver: a}\nreceivers: [{name: a}]\ntime_intervals: [{name: it, time_intervals: ["+element+"]}]")
		NewWithT(t).Expect(Over(tree.Intervals[0].Elements[0], now)).To(Equal(want), element)
	}
}

// withTemplates is a configuration in a folder of its own, with the text of a title, and files beside it.
func withTemplates(t *testing.T, title string, files map[string]string, templates string) (*Tree, *Renderer) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Parse(filepath.Join(dir, "alertmanager.yml"), []byte(`
route: {receiver: chat, group_by: [team]}
receivers:
  - name: chat
    slack_configs:
      - api_url: https://hooks.example.com/SECRET
        title: `+fmt.Sprintf("%q", title)+`
templates: `+templates))
	if err != nil {
		t.Fatal(err)
	}
	renderer, err := tree.Renderer()
	if err != nil {
		t.Fatal(err)
	}
	return tree, renderer
}

func TestRender(t *testing.T) {
	alert := Firing{Labels: map[string]string{"alertname": "Low", "team": "db", "empty": ""}, Annotations: map[string]string{"summary": "it is <low>"}}
	for name, tc := range map[string]struct {
		title     string
		files     map[string]string
		templates string
		want      string
		wantErr   string
	}{
		"labels":      {title: `{{ .CommonLabels.alertname }} {{ .GroupLabels.team }}{{ .GroupLabels.alertname }} {{ .CommonAnnotations.summary }} {{ .CommonLabels.empty }}`, want: "Low db it is <low> "},
		"status":      {title: `{{ .Status }} {{ len .Alerts.Firing }} {{ .Receiver }} {{ .NotificationReason }}`, want: "firing 1 chat first notification"},
		"a default":   {title: `{{ template "slack.default.title" . }}`, want: "[FIRING:1] db (Low)"},
		"no function": {title: `{{ toFoo .Status }}`, wantErr: `function "toFoo" not defined`},
		"no field":    {title: `{{ .Labels.team }}`, wantErr: `<.Labels.team>: can't evaluate field Labels`},
		"an index":    {title: `{{ (index .Alerts 1).Status }}`, wantErr: "<index .Alerts 1>: error calling index: reflect: slice index out of range"},
		"not defined": {title: `{{ template "ours" . }}`, wantErr: `<{{template "ours" .}}>: template "ours" not defined`},
		"a file":      {title: `{{ template "ours" . }}`, files: map[string]string{"ours.tmpl": `{{ define "ours" }}our {{ .CommonLabels.team }}{{ end }}`}, templates: "['*.tmpl']", want: "our db"},
		"a file of another machine": {title: `{{ template "ours" . }}`, files: map[string]string{"templates/ours.tmpl": `{{ define "ours" }}ours{{ end }}`},
			templates: "['/no/such/folder/templates/*.tmpl']", want: "ours"},
		"a file that is not here":  {title: `{{ template "ours" . }}`, templates: "['/no/such/folder/ours.tmpl']"},
		"wrong beside such a file": {title: `{{ .Labels.team }}`, templates: "['/no/such/folder/ours.tmpl']", wantErr: `<.Labels.team>: can't evaluate field Labels`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			if tc.templates == "" {
				tc.templates = "[]"
			}
			tree, renderer := withTemplates(t, tc.title, tc.files, tc.templates)
			fields := tree.Integrations("chat")[0].Fields
			field := fields[slices.IndexFunc(fields, func(f Field) bool { return f.Key == "title" })]
			g.Expect(field.Place).To(Equal(Place{7, 16}))
			text, err := renderer.Render(field, tree.Top, alert)
			g.Expect(text).To(Equal(tc.want))
			if tc.wantErr == "" {
				g.Expect(err).NotTo(HaveOccurred())
			} else {
				g.Expect(err).To(MatchError(HavePrefix(tc.wantErr)))
			}
		})
	}
}

func TestTemplateFileThatIsRefused(t *testing.T) {
	g := NewWithT(t)
	_, renderer := withTemplates(t, "x", map[string]string{"a.tmpl": "{{ define \"a\" }}\n{{ nothing . }}{{ end }}", "b.tmpl": `{{ define "b" }}b{{ end }}`}, "['*.tmpl']")
	g.Expect(renderer.Wrong).To(HaveLen(1))
	g.Expect(renderer.Wrong[0].Error()).To(HaveSuffix(`a.tmpl:2: function "nothing" not defined`))
}

func TestSecrets(t *testing.T) {
	g := NewWithT(t)
	text := `global:
  slack_api_url: 'https://hooks.example.com/global'
  smtp_auth_password: "pass\tword"
route: {receiver: chat}
receivers:
  - name: chat
    webhook_configs:
      - url: https://user:deep@hooks.example.com/web
        http_config:
          authorization:
            credentials: letmein
    pagerduty_configs:
      - routing_key: |
          abc
        description: shown
`
	tree := parse(t, text)
	g.Expect(tree.Secrets()).To(ContainElements("https://hooks.example.com/global", "pass\tword", "letmein", "https://user:deep@hooks.example.com/web", "abc\n"))
	masked := strings.Join(tree.Masked(), "\n")
	for _, secret := range []string{"hooks", "pass\\t", "letmein", "abc", "deep"} {
		g.Expect(masked).NotTo(ContainSubstring(secret))
	}
	g.Expect(masked).To(ContainSubstring("description: shown"))
	g.Expect(masked).To(ContainSubstring("name: chat"))
	for i, line := range tree.Masked() {
		g.Expect([]rune(line)).To(HaveLen(len([]rune(strings.Split(text, "\n")[i]))), "columns stay")
	}
	for _, field := range tree.Integrations("chat")[0].Fields {
		g.Expect(field.Secret).To(Equal(field.Key == "routing_key"), field.Key)
	}
}

func TestExternal(t *testing.T) {
	g := NewWithT(t)
	external, err := ParseExternal("prometheus.yml", []byte(`
global: {external_labels: {cluster: a, env: '${ENV}', replica: r1}}
alerting:
  alert_relabel_configs:
    - {regex: replica, action: labeldrop}
    - {action: drop, source_labels: [x], regex: x}
  alertmanagers:
    - alert_relabel_configs: [{target_label: team, replacement: db}]
`))
	g.Expect(err).NotTo(HaveOccurred())
	for name, want := range map[string]string{"cluster": "a true", "env": "${ENV} false", "replica": " false", "team": " false", "zone": " true"} {
		value, known := external.Label(name)
		g.Expect(fmt.Sprint(value, " ", known)).To(Equal(want), name)
	}
	g.Expect(external.Keeps("severity")).To(BeTrue())
	g.Expect(external.Keeps("team")).To(BeFalse())
	var none *External
	_, known := none.Label("cluster")
	g.Expect(known).To(BeFalse())
	g.Expect(slices.Collect(maps.Keys(none.All()))).To(BeEmpty())
	_, err = ParseExternal("prometheus.yml", []byte("global: {\n"))
	g.Expect(err).To(MatchError(HavePrefix("prometheus.yml: line 1")))
}
