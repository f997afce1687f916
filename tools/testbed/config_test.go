package testbed

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"

	"github.com/stemedb/firedrill/tools/route"
)

const receiverURL = "http://receiver:8080"

func TestPrometheusConfig(t *testing.T) {
	for name, tc := range map[string]struct {
		content, want string
		changes       []string
	}{
		"as deployed": {`global:
  scrape_interval: 15s # as everywhere
  scrape_timeout: 10s
  external_labels: {cluster: a}
alerting:
  alert_relabel_configs:
    - {action: labeldrop, regex: replica}
  alertmanagers:
    - scheme: https
      basic_auth: {username: u, password: hunter2}
      static_configs: [{targets: ["am-1:9093", "am-2:9093"]}]
      alert_relabel_configs: [{action: labeldrop, regex: team}]
    - static_configs: [{targets: ["am-3:9093"]}]
rule_files: [/etc/rules/*.yml]
remote_write:
  - url: http://elsewhere/
    basic_auth: {username: u, password: hunter2}
scrape_configs:
  - job_name: slow
    scrape_timeout: 20s
    scrape_interval: 5m
    authorization: {credentials: hunter2} # not <secret>
    file_sd_configs:
      - {files: [targets/*.yml], refresh_interval: 5m}
      - {files: [others/*.yml]}
  - job_name: fast
    scrape_timeout: 500ms
`, `global:
  scrape_interval: 1s
  scrape_timeout: 1s
  external_labels: {cluster: a}
  evaluation_interval: 500ms
alerting:
  alert_relabel_configs:
    - {action: labeldrop, regex: replica}
  alertmanagers:
    - static_configs:
        - targets:
            - alertmanager:9093
      alert_relabel_configs: [{action: labeldrop, regex: team}]
rule_files:
  - /rules/a.yml
  - /rules/b/a.yml
scrape_configs:
  - job_name: slow
    scrape_timeout: 1s
    scrape_interval: 1s
    authorization: {credentials: hunter2} # not <secret>
    file_sd_configs:
      - {files: [targets/*.yml], refresh_interval: 1s}
      - {files: [others/*.yml]}
  - job_name: fast
    scrape_timeout: 500ms
`, []string{
			"global.scrape_interval: 15s -> 1s",
			"global.scrape_timeout: 10s -> 1s",
			"global.evaluation_interval: unset -> 500ms",
			"scrape_configs[0].scrape_interval: 5m -> 1s",
			"scrape_configs[0].scrape_timeout: 20s -> 1s",
			"scrape_configs[0].file_sd_configs[0].refresh_interval: 5m -> 1s",
			"rule_files: /etc/rules/*.yml -> /rules/a.yml, /rules/b/a.yml",
			"alerting.alertmanagers: a list of 2 -> alertmanager:9093",
			"remote_write: dropped",
		}},
		"with merges": {`scrape_configs:
  - &first
    job_name: first
    scrape_interval: &slow 5m
    params: {period: [*slow]}
  - <<: *first
    job_name: second
`, `scrape_configs:
  - job_name: first
    scrape_interval: 1s
    params: {period: [5m]}
  - job_name: second
    scrape_interval: 1s
    params: {period: [5m]}
global:
  scrape_interval: 1s
  evaluation_interval: 500ms
rule_files:
  - /rules/a.yml
  - /rules/b/a.yml
alerting:
  alertmanagers:
    - static_configs:
        - targets:
            - alertmanager:9093
`, []string{
			"global.scrape_interval: unset -> 1s",
			"global.evaluation_interval: unset -> 500ms",
			"scrape_configs[0].scrape_interval: 5m -> 1s",
			"scrape_configs[1].scrape_interval: 5m -> 1s",
			"rule_files: unset -> /rules/a.yml, /rules/b/a.yml",
			"alerting.alertmanagers: unset -> alertmanager:9093",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			adapted, changes, err := adaptPrometheus([]byte(tc.content))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(adapted)).To(Equal(tc.want))
			g.Expect(changes).To(Equal(tc.changes))
			again, changes, err := adaptPrometheus(adapted)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(again)).To(Equal(tc.want), "a second time")
			for _, change := range changes { // which does not look into the list
				g.Expect(change).To(Equal("alerting.alertmanagers: a list of 1 -> alertmanager:9093"))
			}
		})
	}
}

func TestPrometheusConfigRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ content, want string }{
		"an unknown key": {"global:\n  scrape_intervall: 15s\n",
			`prometheus.yml:2:3: field scrape_intervall not found in type config.plain ("scrape_intervall"): fix it until Prometheus loads it`},
		"a discovery that the testbed does not have": {"scrape_configs:\n  - job_name: a\n    dns_sd_configs: []\n",
			`prometheus.yml:3:5: field dns_sd_configs not found in type config.ScrapeConfig ("dns_sd_configs"): fix it until Prometheus loads it; the testbed's Prometheus knows static_configs, file_sd_configs and http_sd_configs`},
		"jobs in other files": {"scrape_config_files:\n  - jobs/*.yml\n",
			`prometheus.yml:2:3: scrape_config_files ("jobs/*.yml"): the testbed does not read jobs from other files: write them to scrape_configs`},
		"a secret in the wrong place": {"global:\n  external_labels: hunter2\n",
			`prometheus.yml:2:3: cannot unmarshal !!str value into map[string]string ("external_labels"): fix it until Prometheus loads it`},
		"no YAML":        {"global: [\n", `prometheus.yml:1:1: did not find expected node content ("global"): fix it until Prometheus loads it`},
		"an empty entry": {"scrape_configs: [null]\n", `prometheus.yml: empty or null scrape config section: fix it until Prometheus loads it`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, _, err := adaptPrometheus([]byte(tc.content))
			g.Expect(err).To(MatchError(tc.want))
		})
	}
}

func adaptPrometheus(content []byte) ([]byte, []string, error) {
	return prometheusConfig("prometheus.yml", content, []string{"/rules/a.yml", "/rules/b/a.yml"}, "alertmanager:9093", time.Second)
}

func TestAlertmanagerConfig(t *testing.T) {
	g := NewWithT(t)
	adapted, changes, err := alertmanagerConfig("alertmanager.yml", []byte(`global:
  resolve_timeout: 10m
  smtp_smarthost: mail.example.com:587
  smtp_auth_password_file: /run/secrets/smtp
templates: [/etc/alertmanager/*.tmpl]
route: # the tree
  receiver: mail only
  group_by: [alertname]
  repeat_interval: 1d
  routes:
    - matchers: [ severity =~ "critical|page" ]
      receiver: everything
      group_wait: 1m
      continue: true
      mute_time_intervals: [never]
      routes:
        - match: {team: a}
          group_interval: 10m
          repeat_interval: 2m
receivers:
  - name: nobody
    slack_configs: []
  - name: mail only
    email_configs: [{to: a@example.com, from: b@example.com}]
  - name: everything
    pagerduty_configs:
      - routing_key: hunter2
        send_resolved: false
    webhook_configs:
      - url: http://hunter2@example.com/
    labels: {team: a}
inhibit_rules:
  - source_matchers: [ severity = "critical" ]
    target_matchers: [ severity = "warning" ]
time_intervals:
  - name: never
    time_intervals: [{times: [{start_time: "00:00", end_time: "00:01"}]}]
`), receiverURL)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(adapted)).To(Equal(`global:
  resolve_timeout: 10m
route: # the tree
  receiver: mail only
  group_by: [alertname]
  repeat_interval: 24m
  routes:
    - matchers: [severity =~ "critical|page"]
      receiver: everything
      group_wait: 0s
      continue: true
      mute_time_intervals: [never]
      routes:
        - match: {team: a}
          group_interval: 500ms
          repeat_interval: 5s
  group_wait: 0s
  group_interval: 500ms
receivers:
  - name: nobody
  - name: mail only
    webhook_configs:
      - url: http://receiver:8080/receivers/mail%20only
        send_resolved: false
  - name: everything
    webhook_configs:
      - url: http://receiver:8080/receivers/everything
        send_resolved: true
    labels: {team: a}
inhibit_rules:
  - source_matchers: [severity = "critical"]
    target_matchers: [severity = "warning"]
time_intervals:
  - name: never
    time_intervals: [{times: [{start_time: "00:00", end_time: "00:01"}]}]
`))
	g.Expect(changes).To(Equal([]string{
		"global.smtp_smarthost: dropped",
		"global.smtp_auth_password_file: dropped",
		"route.group_wait: unset -> 0s",
		"route.group_interval: unset -> 500ms",
		"route.repeat_interval: 1d -> 24m",
		"route.routes[0].group_wait: 1m -> 0s",
		"route.routes[0].routes[0].group_interval: 10m -> 500ms",
		"route.routes[0].routes[0].repeat_interval: 2m -> 5s",
		"receivers[0].slack_configs: dropped",
		"receivers[1]: the email_configs of mail only -> webhook_configs: http://receiver:8080/receivers/mail%20only, send_resolved: false",
		"receivers[2]: the pagerduty_configs, webhook_configs of everything -> webhook_configs: http://receiver:8080/receivers/everything, send_resolved: true",
		"templates: dropped",
	}))

	for _, tc := range []struct {
		severity, team string
		want           []string
	}{
		{"page", "a", []string{"everything"}}, {"page", "b", []string{"everything"}}, {"info", "a", []string{"mail only"}},
	} {
		all, _ := receiversOf(adapted, map[string]string{"severity": tc.severity, "team": tc.team})
		g.Expect(all).To(Equal(tc.want))
	}
}

// What an integration does with resolved alerts unless it is told is Alertmanager's to say.
func TestSendResolved(t *testing.T) {
	for integration, want := range map[string]bool{
		"webhook_configs: [{url: 'http://example.com/'}]":                                                          true,
		"webhook_configs: [{url: 'http://example.com/', send_resolved: false}]":                                    false,
		"pagerduty_configs: [{routing_key: k}]":                                                                    true,
		"opsgenie_configs: [{api_key: k}]":                                                                         true,
		"pushover_configs: [{user_key: k, token: k}]":                                                              true,
		"sns_configs: [{topic_arn: a}]":                                                                            true,
		"slack_configs: [{api_url: 'http://example.com/', channel: c}]":                                            false,
		"slack_configs: [{api_url: 'http://example.com/', send_resolved: true}]":                                   true,
		"slack_configs: [{api_url: 'http://example.com/', send_resolved: true}, {api_url: 'http://example.com/'}]": true,
		"wechat_configs: [{api_secret: k, corp_id: c}]":                                                            false,
	} {
		t.Run(integration, func(t *testing.T) {
			g := NewWithT(t)
			adapted, _, err := alertmanagerConfig("a.yml", []byte("route: {receiver: a}\nreceivers:\n- name: a\n  "+integration+"\n"), receiverURL)
			g.Expect(err).NotTo(HaveOccurred())
			tree, err := route.Parse("a.yml", adapted)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(tree.SendResolved).To(Equal(map[string]bool{"a": want}))
		})
	}
}

func TestAlertmanagerConfigRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ content, want string }{
		"an unknown key": {"route:\n  receiver: a\n  mute: always\nreceivers: [{name: a}]\n",
			`alertmanager.yml:3:3: field mute not found in type config.plain ("mute"): fix it until Alertmanager loads it`},
		"an unknown receiver": {"route: {receiver: a}\n", `alertmanager.yml:1:19: undefined receiver "a" used in route: add it under receivers`},
		"an empty entry": {"route: {receiver: a, routes: [null]}\nreceivers: [{name: a}]\n",
			`alertmanager.yml: Alertmanager crashes on it (runtime error: invalid memory address or nil pointer dereference): remove the entries of lists that are empty`},
		"a secret": {"route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{url: 'http://hunter2:x/'}]}]\n",
			`alertmanager.yml:2:47: invalid URL: value: fix it until Alertmanager loads it`},
		"nothing": {"", `alertmanager.yml: no route provided in config: fix it until Alertmanager loads it`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, _, err := alertmanagerConfig("alertmanager.yml", []byte(tc.content), receiverURL)
			g.Expect(err).To(MatchError(tc.want))
		})
	}
}

// The fixtures are as one would deploy them, and run as the testbed needs them.
func TestFixtures(t *testing.T) {
	g := NewWithT(t)
	content, err := os.ReadFile("../../fixtures/alertmanager/alertmanager.yml")
	g.Expect(err).NotTo(HaveOccurred())
	adapted, _, err := alertmanagerConfig("alertmanager.yml", content, receiverURL)
	g.Expect(err).NotTo(HaveOccurred())
	tree, err := route.Parse("alertmanager.yml", adapted)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(tree.SendResolved).To(Equal(map[string]bool{"deadman": false, "page": true, "ticket": true}))
	for labels, want := range map[[2]string]string{
		{"Watchdog", ""}: "deadman 0s 500ms 5s", {"A", "critical"}: "page 0s 500ms 4m0s", {"A", "warning"}: "ticket 0s 500ms 4m0s", {"A", ""}: "nobody 0s 500ms 4m0s",
	} {
		set := map[string]string{"alertname": labels[0], "severity": labels[1]}
		name, _, _ := strings.Cut(want, " ")
		if name == "nobody" {
			g.Expect(receiversOf(adapted, set)).To(BeEmpty(), name)
		} else {
			all, told := receiversOf(adapted, set)
			g.Expect(all).To(Equal([]string{name}))
			g.Expect(len(told)).To(Equal(map[bool]int{true: 0, false: 1}[name == "deadman"]), "deadman has send_resolved: false")
		}
		for _, r := range tree.Root.Match(model.LabelSet{"alertname": model.LabelValue(labels[0]), "severity": model.LabelValue(labels[1])}) {
			g.Expect(fmt.Sprint(r.RouteOpts.Receiver, " ", r.RouteOpts.GroupWait, " ", r.RouteOpts.GroupInterval, " ", r.RouteOpts.RepeatInterval)).To(Equal(want))
		}
	}

	content, err = os.ReadFile("../../fixtures/prometheus/prometheus.yml")
	g.Expect(err).NotTo(HaveOccurred())
	adapted, changes, err := adaptPrometheus(content)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(adapted)).NotTo(ContainSubstring("30s"))
	g.Expect(changes).To(ContainElement("global.scrape_interval: 15s -> 1s"))
}

func FuzzPrometheusConfig(f *testing.F) {
	for _, seed := range []string{
		"", "null\n", "[]", "global:\n", "rule_files: null\nalerting: {alertmanagers: [null]}\n",
		"# c\n\n---\nglobal: {scrape_interval: 15s, external_labels: {a: ${B}}}\n---\nx\n",
		"scrape_configs:\n- &a {job_name: a, scrape_timeout: 1s, file_sd_configs: [{files: [a.yml], refresh_interval: 5m}, null]}\n- <<: [*a, *a]\n  job_name: yes\n",
		"scrape_configs: [null]\n", "a: &a [*a]\n", "global: &g\n  <<: *g\n", "remote_write: [{url: 'http://a/'}]\ntracing: {endpoint: a:1}\n",
		"scrape_configs: [{job_name: a, params: {? a : [014, 1_000, 0x1f, .inf, 2001-01-01]}}]\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		adapted, _, err := adaptPrometheus(content)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "prometheus.yml") {
				t.Errorf("no file in %v", err)
			}
			return
		}
		cfg, err := promconfig.Load(string(adapted), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		const interval = model.Duration(time.Second)
		if cfg.GlobalConfig.ScrapeInterval != interval || cfg.GlobalConfig.EvaluationInterval != interval/2 || len(cfg.RuleFiles) != 2 ||
			len(cfg.AlertingConfig.AlertmanagerConfigs) != 1 || len(cfg.RemoteReadConfigs)+len(cfg.RemoteWriteConfigs) != 0 {
			t.Errorf("not adapted:\n%s", adapted)
		}
		for _, job := range cfg.ScrapeConfigs {
			if job.ScrapeInterval != interval {
				t.Errorf("job %q is not adapted:\n%s", job.JobName, adapted)
			}
		}
	})
}

func FuzzAlertmanagerConfig(f *testing.F) {
	for _, seed := range []string{
		"", "route: {receiver: a, routes: [null]}\nreceivers: [{name: a}]\n", "route: {receiver: ''}\nreceivers: [null]\n",
		"global:\nroute: &r\n  receiver: &a a\n  routes:\n  - matchers: ['a=b']\n    repeat_interval: 0s\nreceivers:\n- &b {name: *a, slack_configs: [null]}\n",
		"global: {resolve_timeout: 1m, http_config: {proxy_url: 'http://a/'}}\nroute: {receiver: a/b, group_by: [...], repeat_interval: 1y}\nreceivers:\n- name: a/b\n  email_configs: &e [{to: a, from: a, smarthost: 'a:1'}]\n- {name: c, email_configs: *e, webhook_configs: [{url: 'http://{{ x }}'}]}\n",
		"route: {receiver: a, match: {a: b}}\nreceivers: [{name: a}, {name: a}]\ntemplates: [a]\ntracing: {}\nevent_recorder: {}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		adapted, _, err := alertmanagerConfig("alertmanager.yml", content, receiverURL)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "alertmanager.yml") {
				t.Errorf("no file in %v", err)
			}
			return
		}
		cfg, err := amconfig.Load(string(adapted))
		if err != nil {
			t.Fatal(err)
		}
		if time.Duration(*cfg.Route.GroupWait) != 0 || time.Duration(*cfg.Route.GroupInterval) != 500*time.Millisecond {
			t.Errorf("not adapted:\n%s", adapted)
		}
		before, err := route.Parse("", content)
		if err != nil {
			t.Fatal(err)
		}
		after, err := route.Parse("", adapted)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(before.SendResolved) != fmt.Sprint(after.SendResolved) {
			t.Errorf("receivers %v became %v:\n%s", before.SendResolved, after.SendResolved, adapted)
		}
		receiversOf(adapted, map[string]string{"alertname": "A"})
	})
}
