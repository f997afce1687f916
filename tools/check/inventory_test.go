package check

import (
	"fmt"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

const exposition = `# TYPE requests_total counter
requests_total{code="200",method="get"} 1
# TYPE temperature_celsius gauge
temperature_celsius{room="1"} 3
# TYPE took_seconds histogram
took_seconds_bucket{le="1",path="/"} 1
took_seconds_bucket{le="+Inf",path="/"} 1
took_seconds_sum{path="/"} 1
took_seconds_count{path="/"} 1
# TYPE rpc_seconds summary
rpc_seconds{quantile="0.9"} 1
rpc_seconds_sum 1
rpc_seconds_count 1
untyped_thing 1
`

func TestExported(t *testing.T) {
	for expr, want := range map[string][]string{ // the text at the place of each finding, and its message
		"rate(requests_total[5m]) > 1":                                                 nil,
		`rate(requests_total{code=~"5..",job="x",instance="y"}[5m]) > 1`:               nil,
		"up == 0 or scrape_duration_seconds > 1":                                       nil,
		`ALERTS{alertname="A"} > 0 and ALERTS_FOR_STATE > 0`:                           nil,
		`{__name__=~"x.*"} > 1`:                                                        nil,
		"job:requests:rate5m > 1":                                                      nil,
		`job:requests:rate5m{job="x"} > 1`:                                             nil,
		"rate(request_total[5m]) > rate(request_total[1h])":                            {"request_total[5m]: metric/unknown: the expression of A asks for request_total, which no target exports and no rule records: did you mean requests_total?"},
		"rate(request_total[5m]) > 1":                                                  {"request_total[: metric/unknown: the expression of A asks for request_total, which no target exports and no rule records: did you mean requests_total?"},
		`{__name__="request_total"} > 1`:                                               {`{__name__: metric/unknown: the expression of A asks for request_total, which no target exports and no rule records: did you mean requests_total?`},
		"absent(nowhere_to_be_found)":                                                  {"nowhere: metric/unknown: the expression of A asks for nowhere_to_be_found, which no target exports and no rule records: export it, or fix the name"},
		"took_seconds > 1":                                                             {"took_seconds: metric/unknown: the expression of A asks for took_seconds, which no target exports and no rule records: export it, or fix the name"},
		`rate(requests_total{cod="200"}[5m]) > 1`:                                      {`cod=: metric/label: cod="200" matches nothing in the expression of A, since requests_total has no labels but code, instance, job, method: fix the label, or take the matcher out`},
		`rate(requests_total{code="1",cod!="200"}[5m]) > 1`:                            {`cod!=: metric/label: cod!="200" makes no difference in the expression of A, since requests_total has no labels but code, instance, job, method: fix the label, or take the matcher out`},
		`rate(requests_total{cod=""}[5m]) > 1`:                                         nil,
		`job:requests:rate5m{code="1"} > 1`:                                            {`code=: metric/label: code="1" matches nothing in the expression of A, since job:requests:rate5m has no label but job: fix the label, or take the matcher out`},
		"sum by (job, path) (rate(requests_total[5m])) > 1":                            {"path): metric/label: the expression of A groups by path, but what it groups has no labels but code, instance, job, method: fix the label, or group by another"},
		"sum(rate(requests_total[5m])) by (path) > 1":                                  {"path): metric/label: the expression of A groups by path, but what it groups has no labels but code, instance, job, method: fix the label, or group by another"},
		"sum without (path) (rate(requests_total[5m])) > 1":                            nil,
		"temperature_celsius > on (path, room) temperature_celsius":                    {"path, room: metric/label: the expression of A matches on path, but the either side has no labels but instance, job, room: fix the label, or match on another"},
		"temperature_celsius > on (room) up":                                           {"room) up: metric/label: the expression of A matches on room, but the right side has no labels but instance, job: fix the label, or match on another"},
		"rate(temperature_celsius[5m]) > 1":                                            {"temperature_celsius[: metric/type: the expression of A takes the rate() of temperature_celsius, which is a gauge: each fall would pass for a reset of a counter; use delta() or deriv(), or a counter"},
		"rate(sum(temperature_celsius)[5m:]) > 1":                                      nil,
		"deriv(requests_total[5m]) > 1":                                                {"requests_total[: metric/type: the expression of A takes the deriv() of requests_total, which is a counter and falls to 0 when its target restarts: use rate() or increase()"},
		"predict_linear(temperature_celsius[5m], 60) > 1":                              nil,
		"requests_total > 5":                                                           {"requests_total >: metric/type: the expression of A compares requests_total with 5, but it is a counter, which only rises until its target restarts: compare its rate() or increase()"},
		"100 <= sum by (job) (requests_total) / 3":                                     {"requests_total): metric/type: the expression of A compares requests_total with 100, but it is a counter, which only rises until its target restarts: compare its rate() or increase()"},
		"requests_total == 0":                                                          nil,
		"requests_total > requests_total offset 5m":                                    nil,
		"rate(requests_total[5m]) > 1 and requests_total > 100":                        nil,
		"requests_total / took_seconds_count > 5":                                      nil,
		"untyped_thing > 5 or rate(untyped_thing[5m]) > 1":                             nil,
		"histogram_quantile(0.9, sum by (le) (rate(took_seconds_bucket[5m]))) > 0.5":   nil,
		"histogram_quantile(0.9, rate(took_seconds_sum[5m])) > 1":                      {"took_seconds_sum[: metric/type: the expression of A takes a quantile of took_seconds_sum, which is not a bucket of the histogram took_seconds: ask for took_seconds_bucket"},
		"histogram_quantile(0.9, rate(requests_total[5m])) > 1":                        {"requests_total[: metric/type: the expression of A takes a quantile of requests_total, which is a counter and not a histogram: ask for the buckets of one"},
		"histogram_quantile(0.9, sum by (path) (rate(took_seconds_bucket[5m]))) > 0.5": {"sum by: metric/type: the expression of A takes a quantile of buckets without their label le: keep le in the aggregation"},
		"histogram_quantile(0.9, rate(untyped_thing[5m])) > 1":                         nil,
		"avg(rpc_seconds) > 1":                                                         {"rpc_seconds): metric/type: the expression of A takes the avg of rpc_seconds, whose series are quantiles, which cannot be averaged or summed: take the max, or export a histogram"},
		`max(rpc_seconds{quantile="0.9"}) > 1`:                                         nil,
		"|-\n      rate(\n        temperature_celsius\n          [5m]) > 1":            {"temperature_celsius: metric/type: the expression of A takes the rate() of temperature_celsius, which is a gauge: each fall would pass for a reset of a counter; use delta() or deriv(), or a counter"},
	} {
		t.Run(expr, func(t *testing.T) {
			g := NewWithT(t)
			t.Chdir(t.TempDir())
			writeFile(t, "m.prom", exposition)
			if !strings.HasPrefix(expr, "|-") {
				expr = "'" + expr + "'"
			}
			content := head + "  - alert: A\n    expr: " + expr + "\n- name: recordings\n  rules:\n  - {record: 'job:requests:rate5m', expr: 'sum by (job) (rate(requests_total[5m]))'}\n"
			lines := strings.Split(content, "\n")
			got := found(t, Inputs{Metrics: []string{"m.prom"}}, content)
			g.Expect(got).To(HaveLen(len(want)), "%q", got)
			for i, w := range want {
				text, message, _ := strings.Cut(w, ": metric/")
				var line, column int
				_, err := fmt.Sscanf(got[i], "a.yml:%d:%d", &line, &column)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(lines[line-1][column-1:]).To(HavePrefix(text))
				g.Expect(got[i]).To(HaveSuffix(" metric/" + message))
			}
			if expr != `'job:requests:rate5m{code="1"} > 1'` && !strings.Contains(expr, "sum by (path) (rate(took") { // which the rules alone tell
				g.Expect(found(t, Inputs{}, content)).To(BeEmpty(), "without an inventory")
			}
		})
	}
}

// With an inventory, a template can be told that even a plain selector has no such label.
func TestTemplateOfAKnownMetric(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	writeFile(t, "m.prom", exposition)
	content := head + "  - {alert: A, expr: temperature_celsius > 30, annotations: {summary: '{{ $labels.room }} {{ $labels.floor }}'}}\n"
	g.Expect(found(t, Inputs{}, content)).To(BeEmpty())
	g.Expect(found(t, Inputs{Metrics: []string{"m.prom"}}, content)).To(Equal([]string{
		`a.yml:4:94 template/label: the annotation "summary" of A shows nothing for $labels.floor, since the series of its expression have no labels but instance, job, room; keep that label in the expression, or leave it out of the template`}))
}

const dashboardJSON = `{"title": "D", "uid": "d", "templating": {"list": [{"type": "datasource", "name": "logs", "query": "loki"}]},
 "panels": [
  {"title": "P", "datasource": {"type": "prometheus", "uid": "${ds}"}, "targets": [
    {"expr": "sum(\n  rate(request_total{job=~\"$job\"}[$__rate_interval]))"},
    {"expr": "requests_total{", "refId": "B"},
    {"expr": "rate($metric[5m]) + topk($n, rate(temperature_celsius[${w}m] offset $o)) # it's"},
    {"expr": "sum by ($group) (up{cluster=~\"$cluster\"}) > on ([[x]]) up", "datasource": null},
    {"expr": "{app=\"x\"} |= \"y\"", "datasource": "$logs"}, {"expr": "{app=\"x\"} |= \"y\"", "datasource": "by name"},
    {"expr": ""}, {"rawSql": "select 1"}
  ]},
  {"type": "row", "panels": [{"title": "Q", "targets": [{"expr": "took\u005fseconds_sum{path=\"é\u00e9\\\\d\", nope=\"1\"}"}]}]}
 ]}`

func TestDashboards(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	writeFile(t, "m.prom", exposition)
	writeFile(t, "dashboards/below/d.json", dashboardJSON)
	const rules = head + "  - {alert: A, expr: up == 0}\n"
	g.Expect(found(t, Inputs{Dashboards: "dashboards"}, rules)).To(Equal([]string{
		`dashboards/below/d.json:5:30 dashboard/promql: the panel "P" asks for what is not PromQL: unexpected end of input inside braces: fix the query`,
	}), "without an inventory")
	got := found(t, Inputs{Dashboards: "dashboards", Metrics: []string{"m.prom"}}, rules)
	g.Expect(got).To(Equal([]string{
		`dashboards/below/d.json:4:28 metric/unknown: the panel "P" asks for request_total, which no target exports and no rule records: did you mean requests_total?`,
		`dashboards/below/d.json:5:30 dashboard/promql: the panel "P" asks for what is not PromQL: unexpected end of input inside braces: fix the query`,
		`dashboards/below/d.json:6:49 metric/type: the panel "P" takes the rate() of temperature_celsius, which is a gauge: each fall would pass for a reset of a counter; use delta() or deriv(), or a counter`,
		`dashboards/below/d.json:11:112 metric/label: nope="1" matches nothing in the panel "Q", since took_seconds_sum has no labels but instance, job, path: fix the label, or take the matcher out`,
	}))
}

func TestDashboardsRefuse(t *testing.T) {
	for name, tc := range map[string]struct{ content, want string }{
		"an empty file":    {"", "d/a.json:1: not valid JSON: it ends too early: export the dashboard again"},
		"half a dashboard": {"{\n\"panels\": [\n", "d/a.json:2: not valid JSON: it ends too early: export the dashboard again"},
		"YAML":             {"a: b\n", "d/a.json:1: not valid JSON: invalid character 'a' looking for beginning of value: export the dashboard again"},
		"two":              {"{}\n{}", "d/a.json:2: not valid JSON: more after its end: export the dashboard again"},
		"a deep one":       {strings.Repeat("[", 100_000), "d/a.json:1: not valid JSON: nested too deep: export the dashboard again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			writeFile(t, "d/a.json", tc.content)
			_, err := loadDashboards("d")
			NewWithT(t).Expect(err).To(MatchError(tc.want))
		})
	}
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	_, err := loadDashboards("nowhere")
	g.Expect(err).To(MatchError("reading the folder of dashboards: open nowhere: no such file or directory"))
	writeFile(t, "d/large.json", "")
	g.Expect(os.Truncate("d/large.json", 50<<20)).To(Succeed())
	_, err = loadDashboards("d")
	g.Expect(err).To(MatchError("d/large.json: no dashboard (52428800 bytes): keep one in a file of at most 16777216 bytes"))
	_, err = loadDashboards(t.TempDir())
	g.Expect(err).To(MatchError(ContainSubstring("holds no dashboard: put at least one *.json there")))
}

func TestLinksToDashboards(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	writeFile(t, "dashboards/a.json", `{"uid": "a-1", "panels": [{"uid": "panel"}]}`)
	writeFile(t, "dashboards/b.json", `{"dashboard": {"uid": "b"}, "meta": {}}`)
	writeFile(t, "dashboards/none.json", `{"panels": []}`)
	const there = ": those in dashboards are /d/a-1, /d/b"
	for address, want := range map[string]string{
		"https://grafana.example.com/d/a-1":                           "",
		"http://example.com/grafana/d/b/a-title/?viewPanel=2&orgId=1": "",
		"https://grafana.example.com/d/{{ if true }}b{{ end }}":       "",
		"https://grafana.example.com/d/c":                             `leads to no dashboard ("/d/c")` + there,
		"https://grafana.example.com/d/panel":                         `leads to no dashboard ("/d/panel")` + there,
		"https://grafana.example.com/d/":                              `leads to no dashboard ("/d/")` + there,
		"https://grafana.example.com/explore":                         `leads to no dashboard ("/explore")` + there,
		"/d/b":                                                        `is not a link that can be opened ("/d/b"): write https://… to a dashboard; those in dashboards are /d/a-1, /d/b`,
	} {
		rules := head + "  - {alert: A, expr: up == 0, annotations: {dashboard_url: '" + address + "'}}\n"
		got := found(t, Inputs{Dashboards: "dashboards"}, rules)
		if want == "" {
			g.Expect(got).To(BeEmpty(), address)
		} else {
			g.Expect(got).To(HaveLen(1), address)
			g.Expect(got[0]).To(MatchRegexp(`a\.yml:4:\d+ `), address)
			g.Expect(got[0]).To(HaveSuffix(" alert/dashboard: the dashboard_url of A "+want), address)
		}
		g.Expect(found(t, Inputs{}, rules)).To(BeEmpty(), "without dashboards")
	}
}

func FuzzDashboard(f *testing.F) {
	f.Add([]byte(dashboardJSON), "rate(x[$__rate_interval]) + $a # '$b")
	f.Add([]byte(`[{"targets": [{"expr": "\ud800\u00e9\\"}]}]`), "[[x]] `${y}` offset $z \"\\$q\"")
	f.Fuzz(func(t *testing.T, content []byte, expr string) {
		filled, variables := fill(expr)
		if len(filled) != len(expr) || len(fillNumbers(expr)) != len(expr) {
			t.Errorf("%q became %q", expr, filled)
		}
		for _, v := range variables {
			if v[0] < 0 || v[0] >= v[1] || v[1] > len(expr) {
				t.Errorf("no place in %q: %v", expr, v)
			}
		}
		text := &jsonText{content: content}
		root, err := text.parse()
		if err != nil {
			return
		}
		d := &dashboard{src: text}
		d.walk(root, "", "")
		c := &checker{lines: map[string][]string{}}
		c.panels(d.panels)
		for _, p := range d.panels {
			for offset := range len(p.expr) + 1 {
				if at := text.within(p.at, offset); at <= p.at || at > len(content) {
					t.Errorf("byte %d of %q at %d", offset, p.expr, at)
				}
			}
		}
	})
}
