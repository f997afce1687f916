package check

import (
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// routingFindings are the findings in the file alertmanager.yml of a folder, and in files of templates.
func routingFindings(t *testing.T, in Inputs) []string {
	t.Helper()
	var found []string
	for _, f := range runOn(t, in) {
		if !strings.HasPrefix(f, "rules/") && !strings.HasPrefix(f, "rules.yml") {
			found = append(found, f)
		}
	}
	return found
}

// Public reports of configurations that keep silent: each finding names the place and the fix.
func TestRoutingCases(t *testing.T) {
	for name, want := range map[string][]string{
		// https://github.com/prometheus/alertmanager/issues/3872
		"05-am-star-equal": {
			`alertmanager.yml:6:18 route/pattern: alertname="*" compares the label alertname with the text "*", as = and != take no pattern: write alertname=~".+"`,
			`alertmanager.yml:8:18 route/pattern: alertname="*" compares the label alertname with the text "*", as = and != take no pattern: write alertname=~".+"`,
			`alertmanager.yml:14:11 route/unused: no route has the receiver "default": add a route for it, or remove it`,
		},
		// https://github.com/prometheus/alertmanager/issues/3181
		"06-am-catchall-first": {
			`alertmanager.yml:5:7 route/shadowed: no alert reaches this route (cluster=~"mysql.*"): the route at alertmanager.yml:4:7 (every alert) is tried before it and takes all that it matches: give that one matchers, put it last, or add "continue: true" to it`,
			`alertmanager.yml:7:7 route/shadowed: no alert reaches this route (severity=~"warning|critical"): the route at alertmanager.yml:4:7 (every alert) is tried before it and takes all that it matches: give that one matchers, put it last, or add "continue: true" to it`,
			`alertmanager.yml:16:11 route/unused: no route has the receiver "blackhole": add a route for it, or remove it`,
		},
		// https://github.com/prometheus/alertmanager/issues/1671
		"09-am-inhibit-alert-label": {
			`alertmanager.yml:4:5 inhibition/unmatched: this inhibition rule never applies: no alert is its source (alertname="NodeDown" and severity="critical"): none has severity="critical" and alertname="NodeDown": what has alertname="NodeDown" (NodeDown) has severity="warning": fix the matchers, or remove the rule`,
			`alertmanager.yml:4:20 route/label: alert="NodeDown" asks for the label alert, which no rule gives, but the name of an alert is in its label alertname: write alertname="NodeDown"`,
			`alertmanager.yml:5:20 route/label: alert="MysqlDown" asks for the label alert, which no rule gives, but the name of an alert is in its label alertname: write alertname="MysqlDown"`,
			`alertmanager.yml:8:11 route/unused: no route has the receiver "slack": add a route for it, or remove it`,
			`alertmanager.yml:10:11 route/unused: no route has the receiver "opsgenie": add a route for it, or remove it`,
			`alertmanager.yml:14:11 route/unused: no route has the receiver "blackhole": add a route for it, or remove it`,
		},
		// https://github.com/prometheus/alertmanager/issues/3120
		"10-am-time-interval": {
			`alertmanager.yml:6:29 route/muted: this route never notifies: its mute_time_intervals "always" (alertmanager.yml:11:11) holds at all times: fix the time interval, or take it out of the route`,
			`alertmanager.yml:9:31 route/muted: this route never notifies: its active_time_intervals "never" (alertmanager.yml:13:11) never holds: fix the time interval, or take it out of the route`,
			`alertmanager.yml:22:11 route/unused: no route has the receiver "blackhole": add a route for it, or remove it`,
		},
		// https://github.com/prometheus/alertmanager/issues/871
		"39-am-config-errors": {
			`alertmanager.yml:1:37 route/unreached: no alert reaches this route (severity="crit"): none has severity="crit": write "critical" if that is meant, or remove the route`,
			`alertmanager.yml:2:128 route/unused: no route has the receiver "unused": add a route for it, or remove it`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir("testdata/cases/" + name)
			NewWithT(t).Expect(routingFindings(t, Inputs{Rules: "rules", Alertmanager: "alertmanager.yml"})).To(Equal(want))
		})
	}
}

// The rules of the tests below: two alerts of one name, one whose series have a known label, and one whose labels are known
// but for what Prometheus adds.
const routingRules = `
groups:
  - name: g
    rules:
      - {alert: DiskFull, expr: 'disk_free < 1', labels: {severity: critical, team: db}, annotations: {summary: 'full on {{ $labels.instance }}'}}
      - {alert: DiskFull, expr: 'disk_free < 5', labels: {severity: warning, team: db}, annotations: {summary: 'fills'}}
      - {alert: NodeDown, expr: 'up{job="node"} == 0', labels: {severity: critical, team: infra}, annotations: {summary: 'down'}}
      - {alert: JobsDown, expr: 'sum(up) < 2', labels: {severity: info, team: infra}, annotations: {summary: 'down'}}
      - {alert: Relayed, expr: 'relayed > 0', labels: {severity: '{{ $labels.level }}', team: infra}, annotations: {summary: 'x'}}
`

func TestRouting(t *testing.T) {
	root := func(routes string) string {
		return "route:\n  receiver: mail\n  routes:\n" + routes + "receivers:\n  - name: mail\n    webhook_configs: [{url: 'http://mail.example.com/'}]\n"
	}
	inhibit := func(rules string) string {
		return "inhibit_rules:\n" + rules + "route: {receiver: mail}\nreceivers: [{name: mail, webhook_configs: [{url: 'http://mail.example.com/'}]}]\n"
	}
	times := func(field, elements string) string {
		return root("    - "+field+": [it]\n") + "time_intervals: [{name: it, time_intervals: [" + elements + "]}]\n"
	}
	slack := func(field string) string {
		return "route: {receiver: chat, group_by: [team]}\nreceivers:\n  - name: chat\n    slack_configs:\n      - api_url: https://hooks.example.com/SECRET\n        " + field + "\n"
	}
	for name, tc := range map[string]struct {
		alertmanager, prometheus string
		want                     []string
	}{
		// Routes.
		"routes of all kinds":              {alertmanager: root("    - matchers: ['severity=\"critical\"']\n    - match_re: {team: 'db|web'}\n    - matchers: ['namespace=\"shop\"']\n    - match: {cluster: a}\n")},
		"an alert's label from its series": {alertmanager: root("    - matchers: ['severity=\"fatal\"']\n")}, // Relayed may have it
		"a label of the selector":          {alertmanager: root("    - matchers: ['job=\"node\"', 'alertname=\"NodeDown\"']\n")},
		"another value than the selector asks for": {root("    - matchers: ['job=\"nodes\"', 'alertname=\"NodeDown\"']\n"), "", []string{
			`alertmanager.yml:4:7 route/unreached: no alert reaches this route (job="nodes" and alertname="NodeDown"): none has job="nodes" and alertname="NodeDown": what has alertname="NodeDown" (NodeDown) has job="node": fix the matchers, or remove the route`}},
		"an alert that no rule raises": {root("    - matchers: ['alertname=\"DiskFul\"']\n    - matchers: ['alertname=\"Nothing\"']\n"), "", []string{
			`alertmanager.yml:4:7 route/unreached: no alert reaches this route (alertname="DiskFul"): none has alertname="DiskFul": write "DiskFull" if that is meant, or remove the route`,
			`alertmanager.yml:5:7 route/unreached: no alert reaches this route (alertname="Nothing"): no rule of rules raises an alert that meets alertname="Nothing": fix the name, or remove the route`}},
		"a label that Prometheus may add": {alertmanager: root("    - matchers: ['alertname=\"JobsDown\"', 'cluster=\"a\"']\n")},
		"a label that Prometheus adds":    {alertmanager: root("    - matchers: ['alertname=\"JobsDown\"', 'cluster=\"a\"']\n"), prometheus: "global: {external_labels: {cluster: a}}"},
		"another value than Prometheus adds": {root("    - matchers: ['alertname=\"JobsDown\"', 'cluster=\"b\"']\n"), "global: {external_labels: {cluster: a}}", []string{
			`alertmanager.yml:4:7 route/unreached: no alert reaches this route (alertname="JobsDown" and cluster="b"): none has cluster="b" and alertname="JobsDown": what has alertname="JobsDown" (JobsDown) has cluster="a": fix the matchers, or remove the route`}},
		"a label that is relabelled": {alertmanager: root("    - matchers: ['team=\"web\"']\n"), prometheus: "alerting: {alert_relabel_configs: [{target_label: team, replacement: web}]}"},
		"each alert taken before": {root("    - matchers: ['team=~\"db|infra\"']\n    - matchers: ['severity=\"critical\"']\n"), "", []string{
			`alertmanager.yml:5:7 route/unreached: no alert reaches this route (severity="critical"): the routes before it (alertmanager.yml:4:7) take what it matches (DiskFull, NodeDown, Relayed): put it before them, or remove it`}},
		"each alert taken before, with continue": {alertmanager: root("    - {matchers: ['team=~\"db|infra\"'], continue: true}\n    - matchers: ['severity=\"critical\"']\n")},
		"only the outermost route": {root("    - matchers: ['team=\"web\"']\n      routes: [{matchers: ['severity=\"critical\"']}]\n"), "", []string{
			`alertmanager.yml:4:7 route/unreached: no alert reaches this route (team="web"): none has team="web", their team is db, infra: fix the value, or remove the route`}},
		"a narrower one behind a wider one": {root("    - matchers: ['namespace=~\"a|b\"']\n    - matchers: ['namespace=\"a\"', 'severity=\"critical\"']\n"), "", []string{
			`alertmanager.yml:5:7 route/shadowed: no alert reaches this route (namespace="a" and severity="critical"): the route at alertmanager.yml:4:7 (namespace=~"a|b") is tried before it and takes all that it matches: put this one before it, or add "continue: true" to it`}},
		"behind several that take all": {root("    - matchers: ['namespace=\"a\"']\n    - matchers: ['namespace=\"b\"']\n    - matchers: ['namespace=~\"a|b\"']\n"), "", []string{
			`alertmanager.yml:6:7 route/shadowed: no alert reaches this route (namespace=~"a|b"): the routes before it (alertmanager.yml:4:7, alertmanager.yml:5:7) take all that it matches: put it before them, or add "continue: true" to one`}},
		"a parent that contradicts": {root("    - matchers: ['namespace=\"a\"']\n      routes: [{matchers: ['namespace=\"b\"']}]\n"), "", []string{
			`alertmanager.yml:5:16 route/shadowed: no alert can match namespace="a" and namespace="b": fix the matchers that contradict each other, or remove the route`}},

		// Patterns and names of labels.
		"patterns compared by =": {root("    - matchers: ['team=\"d*\"', 'namespace=\"a|b\"']\n    - match: {cluster: 'eu-.*'}\n    - matchers: ['zone!=\"^a$\"']\n"), "", []string{
			`alertmanager.yml:4:18 route/pattern: team="d*" compares the label team with the text "d*", as = and != take no pattern: write team=~"d.*"`,
			`alertmanager.yml:4:31 route/pattern: namespace="a|b" compares the label namespace with the text "a|b", as = and != take no pattern: write namespace=~"a|b"`,
			`alertmanager.yml:5:15 route/pattern: cluster="eu-.*" compares the label cluster with the text "eu-.*", as = and != take no pattern: write it under match_re, as in {cluster: 'eu-.*'}`,
			`alertmanager.yml:6:18 route/pattern: zone!="^a$" compares the label zone with the text "^a$", as = and != take no pattern: write zone!~"^a$"`}},
		"texts that are no patterns": {alertmanager: root("    - matchers: ['instance=\"10.0.0.1:9100\"', 'device=\"/dev/sda (old)\"', 'zone=\"a+b\"', 'path=\"/a?b=c\"']\n")},
		"a misspelt label": {root("    - matchers: ['serverity=\"critical\"']\n"), "", []string{
			`alertmanager.yml:4:18 route/label: serverity="critical" asks for the label serverity, which no rule gives, but nearly all alerts have the label severity: write severity="critical"`}},
		"other labels of series": {alertmanager: root("    - matchers: ['service=\"critical\"', 'teams=\"a\"']\n    - matchers: ['alert=\"some\"']\n")},

		"without a label, misspelt or not": {alertmanager: root("    - matchers: ['serverity!=\"critical\"']\n")},

		// Inhibitions.
		"each on both sides": {inhibit("  - {source_matchers: ['severity=\"critical\"', 'team=\"db\"'], target_matchers: ['severity=\"critical\"', 'alertname=\"DiskFull\"']}\n"), "", []string{
			`alertmanager.yml:2:5 inhibition/unmatched: this inhibition rule never applies: no source (DiskFull) and target (DiskFull) differ, and Alertmanager lets no alert that is both be muted by another that is both: fix "equal" or the matchers, or remove the rule`}},
		"inhibitions that apply": {alertmanager: inhibit("  - {source_matchers: ['severity=\"critical\"'], target_matchers: ['severity=\"warning\"'], equal: [alertname, instance]}\n  - {source_match: {alertname: NodeDown}, target_match: {team: db}}\n")},
		"no such source": {inhibit("  - {source_match: {alertname: NodeGone}, target_match: {team: db}}\n"), "", []string{
			`alertmanager.yml:2:5 inhibition/unmatched: this inhibition rule never applies: no alert is its source (alertname="NodeGone"): no rule of rules raises an alert that meets alertname="NodeGone": fix the name, or remove the rule`}},
		"no such target": {inhibit("  - {source_match: {alertname: NodeDown}, target_match: {team: web}}\n"), "", []string{
			`alertmanager.yml:2:5 inhibition/unmatched: this inhibition rule never applies: no alert is its target (team="web"): none has team="web", their team is db, infra: fix the value, or remove the rule`}},
		"no alert of both severities": {inhibit("  - {source_matchers: ['severity=\"critical\"', 'team=\"infra\"', 'alertname!=\"Relayed\"'], target_matchers: ['severity=\"info\"', 'alertname!=\"Relayed\"'], equal: [alertname]}\n"), "", []string{
			`alertmanager.yml:2:5 inhibition/unmatched: this inhibition rule never applies: no source (NodeDown) and target (JobsDown) have the same name, as "equal" with alertname demands: fix "equal" or the matchers, or remove the rule`}},
		"equal severities": {inhibit("  - {source_matchers: ['severity=\"critical\"'], target_matchers: ['severity=\"warning\"'], equal: [severity, instance]}\n"), "", []string{
			`alertmanager.yml:2:5 inhibition/never: this inhibition rule never applies: "equal" asks for the same severity in source and target, which severity="critical" and severity="warning" excludes: take severity out of "equal"`}},
		"the same alerts": {inhibit("  - {source_matchers: ['severity=\"critical\"'], target_match: {severity: critical}, equal: [instance]}\n"), "", []string{
			`alertmanager.yml:2:5 inhibition/never: this inhibition rule never applies: its source and its target are the same alerts, and Alertmanager lets no alert that is both be muted by another that is both: make them differ`}},
		"one mutes everything": {inhibit("  - {source_matchers: ['severity=\"critical\"'], target_matchers: ['team=~\"db|infra\"']}\n"), "", []string{
			`alertmanager.yml:2:5 inhibition/everything: while any of its sources fires (DiskFull, NodeDown, Relayed), this inhibition rule mutes all its targets (DiskFull, JobsDown, NodeDown and 1 more), wherever they are: it has no "equal": name labels there that both sides have, such as instance or namespace`}},
		"one mutes what belongs to it": {alertmanager: inhibit("  - {source_matchers: ['severity=\"critical\"', 'team=\"infra\"'], target_matchers: ['severity!=\"critical\"', 'team=\"infra\"']}\n")},

		// Times.
		"times":         {alertmanager: times("mute_time_intervals", "{weekdays: [saturday]}")},
		"always active": {alertmanager: times("active_time_intervals", "{times: [{start_time: '00:00', end_time: '24:00'}]}")},
		"always muted": {times("mute_time_intervals", "{weekdays: ['monday:saturday']}, {weekdays: [sunday]}"), "", []string{
			`alertmanager.yml:4:29 route/muted: this route never notifies: its mute_time_intervals "it" (alertmanager.yml:8:25) holds at all times: fix the time interval, or take it out of the route`}},
		"a mute that is over": {times("mute_time_intervals", "{years: ['2019'], months: [may]}"), "", []string{
			`alertmanager.yml:8:25 route/interval: the time interval "it" does not hold any more, since its years are over: write later ones, or remove it`}},
		"one of several is over": {alertmanager: times("mute_time_intervals", "{years: ['2019'], months: [may]}, {months: [december]}")},
		"no such day": {times("mute_time_intervals", "{months: [december]}, {months: [april], days_of_month: ['31']}"), "", []string{
			`alertmanager.yml:8:68 route/interval: this part of the time interval "it" never holds, since there is no such day: fix its days and months`}},
		"an empty one": {times("mute_time_intervals", ""), "", []string{
			`alertmanager.yml:8:25 route/interval: the time interval "it" never holds, since it is empty: give it times, or remove it`}},
		"an unused one": {root("    - {}\n") + "time_intervals: [{name: it, time_intervals: [{months: [may]}]}]\n", "", []string{
			`alertmanager.yml:8:25 route/unused: no route is muted or active by the time interval "it": name it in a route, or remove it`}},

		// Texts.
		"a text": {alertmanager: slack(`title: '{{ .CommonLabels.alertname }} {{ range .Alerts }}{{ slice .Labels.namespace 0 3 }} {{ .Annotations.summary }}{{ end }}'`)},
		"a text that fails": {slack(`title: '{{ .Labels.alertname }}'`), "", []string{
			`alertmanager.yml:6:16 route/template: no notification of DiskFull is sent by chat, slack_configs[0]: its title does not render: <.Labels.alertname>: can't evaluate field Labels: fix the template`}},
		"a text that fails for one alert": {slack(`fields: [{title: x, value: '{{ if eq .CommonLabels.alertname "JobsDown" }}{{ slice .CommonLabels.zone 0 3 }}{{ .Zone }}{{ end }}'}]`), "global: {}", []string{
			`alertmanager.yml:6:36 route/template: no notification of JobsDown is sent by chat, slack_configs[0]: its fields[0].value does not render: <slice .CommonLabels.zone 0 3>: error calling slice: index out of range: 3: fix the template`}},
		"a function that does not exist": {slack(`text: '{{ .Status | upper }}'`), "", []string{
			`alertmanager.yml:6:15 route/template: no notification of DiskFull is sent by chat, slack_configs[0]: its text does not render: function "upper" not defined: fix the template`}},

		// Comments.
		"a comment above a route": {alertmanager: root("    # firedrill: ignore route/unreached -- the rules of another team\n    - receiver: mail\n      matchers: ['team=\"web\"']\n")},
		"a comment that suppresses nothing": {root("    # firedrill: ignore route/unreached -- the rules of another team\n    - receiver: mail\n      matchers: ['team=\"db\"']\n"), "", []string{
			`alertmanager.yml:4:7 suppression/unused: route/unreached finds nothing that this comment covers: remove it, or put it right before what it is meant for`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			in := Inputs{Rules: "rules", Alertmanager: "alertmanager.yml"}
			files := map[string]string{"rules/rules.yml": routingRules, "alertmanager.yml": tc.alertmanager}
			if tc.prometheus != "" {
				in.Prometheus = "prometheus.yml"
				files["prometheus.yml"] = tc.prometheus
			}
			if err := os.Mkdir("rules", 0o755); err != nil {
				t.Fatal(err)
			}
			for file, content := range files {
				if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			g := NewWithT(t)
			if len(tc.want) == 0 {
				g.Expect(routingFindings(t, in)).To(BeEmpty())
			} else {
				g.Expect(routingFindings(t, in)).To(Equal(tc.want))
			}
		})
	}
}

// The line of a finding shows no secret of the configuration.
func TestRoutingShowsNoSecret(t *testing.T) {
	g := NewWithT(t)
	t.Chdir("testdata/cases/39-am-config-errors")
	findings, _, err := Run(t.Context(), Inputs{Rules: "rules", Alertmanager: "alertmanager.yml"})
	g.Expect(err).NotTo(HaveOccurred())
	for _, f := range findings {
		g.Expect(f.Source).NotTo(ContainSubstring("http:"))
	}
}

func TestRoutingTexts(t *testing.T) {
	const receivers = "receivers:\n- name: r\n  slack_configs:\n  - api_url: http://x.example.com\n    channel: c\n    "
	for name, tc := range map[string]struct{ route, text, want, prometheus string }{
		"a label that is grouped by":      {"group_by: [cluster]", "title: '{{ .GroupLabels.cluster }}'", "", ""},
		"one that is not":                 {"group_by: [cluster]", "title: 'in {{ .GroupLabels.zone }}'", "alertmanager.yml:8:20 route/text: the title of r, slack_configs[0] shows nothing for .GroupLabels.zone, since the route at alertmanager.yml:1:8 does not group by zone: add zone to its group_by, or show .CommonLabels.zone", ""},
		"by index":                        {"group_by: [cluster]", `title: '{{ index $.GroupLabels "zone" }}'`, "alertmanager.yml:8:12 route/text: the title of r, slack_configs[0] shows nothing for .GroupLabels.zone, since the route at alertmanager.yml:1:8 does not group by zone: add zone to its group_by, or show .CommonLabels.zone", ""},
		"grouped by everything":           {"group_by: ['...']", "title: '{{ .GroupLabels.zone }}'", "", ""},
		"under a condition":               {"group_by: [cluster]", "title: '{{ if .GroupLabels.zone }}{{ .GroupLabels.zone }}{{ end }}'", "", ""},
		"all of them":                     {"group_by: [cluster]", "title: '{{ .GroupLabels.SortedPairs.Values }}'", "", ""},
		"on a later line":                 {"group_by: [cluster]", "text: |-\n      one\n      {{ range .Alerts }}{{ $.GroupLabels.zone }}{{ end }}", "alertmanager.yml:10:31 route/text: the text of r, slack_configs[0] shows nothing for .GroupLabels.zone, since the route at alertmanager.yml:1:8 does not group by zone: add zone to its group_by, or show .CommonLabels.zone", ""},
		"a label of an alert":             {"group_by: [cluster]", "title: '{{ .CommonLabels.severity }}{{ .CommonLabels.job }}'", "", ""},
		"one that no alert has":           {"group_by: [cluster]", "title: '{{ .CommonLabels.team }}'", "alertmanager.yml:8:17 route/text: the title of r, slack_configs[0] shows nothing for .CommonLabels.team, since no alert that reaches it has the label team: leave it out", "prometheus.yml"},
		"one that Prometheus may add":     {"group_by: [cluster]", "title: '{{ .CommonLabels.team }}'", "", ""},
		"misspelt":                        {"group_by: [cluster]", "title: '{{ range .Alerts }}{{ .Labels.serverity }}{{ end }}'", "alertmanager.yml:8:36 route/text: the title of r, slack_configs[0] shows nothing for .Labels.serverity, since no alert that reaches it has the label serverity: did you mean severity?", ""},
		"an annotation that no alert has": {"group_by: [cluster]", "title: '{{ .CommonAnnotations.sumary }}'", "alertmanager.yml:8:17 route/text: the title of r, slack_configs[0] shows nothing for .CommonAnnotations.sumary, since no alert that reaches it has the annotation sumary: did you mean summary?", ""},
		"in a file of templates":          {"group_by: [cluster]", `title: '{{ template "t" . }}'`, "alertmanager.yml:8:12 route/text: the title of r, slack_configs[0] shows nothing for .GroupLabels.zone, since the route at alertmanager.yml:1:8 does not group by zone: add zone to its group_by, or show .CommonLabels.zone", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			writeFile(t, "rules/a.yml", head+"  - {alert: A, expr: sum by (job) (x) > 1, labels: {severity: page}, annotations: {summary: x}}\n")
			writeFile(t, "prometheus.yml", "global: {external_labels: {cluster: x}}\n")
			writeFile(t, "t.tmpl", `{{ define "t" }}{{ .GroupLabels.zone }}{{ end }}{{ define "u" }}{{ .GroupLabels.other }}{{ end }}`)
			writeFile(t, "alertmanager.yml", "route: {receiver: r, "+tc.route+"}\ntemplates: [t.tmpl]\n"+receivers+tc.text+"\n")
			got := routingFindings(t, Inputs{Rules: "rules", Alertmanager: "alertmanager.yml", Prometheus: tc.prometheus})
			NewWithT(t).Expect(strings.Join(got, "\n")).To(Equal(tc.want))
		})
	}
}
