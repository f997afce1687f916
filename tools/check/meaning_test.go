package check

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/tools/finding"
)

// ofMeaning are the checks of what rules mean.
var ofMeaning = regexp.MustCompile(`^(expr|record|rule)/|^alert/(hidden|duplicate)$`)

// meaningOf checks rules, and returns each finding about their meaning as its severity, line, check and message.
func meaningOf(t *testing.T, in Inputs, file string) []string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	writeFile(t, "r/a.yml", string(content))
	in.Rules = "r"
	findings, _, err := Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, f := range findings {
		if ofMeaning.MatchString(f.Check) {
			severity := map[finding.Severity]string{finding.Error: "error", finding.Warning: "warning"}[f.Severity]
			texts = append(texts, severity+" "+strings.Replace(lineText(f), ": Warning: ", ": ", 1))
		}
	}
	return texts
}

// The rules are those of public reports, each with what is wrong with it.
func TestCases(t *testing.T) {
	for name, want := range map[string][]string{
		"02-no-comparison": {
			"error a.yml:5:15 expr/always: the expression of NoTraffic has a result whatever there is",
		},
		"16-match-group-empty": {
			"warning a.yml:6:11 expr/matching: the expression of pod:windows_net_tx_bytes:rate5m: in .*, the left side of \\* on \\(container_id\\) has the label container_id \\(it is matched on\\) and the right side has no label container_id, so they never match: keep container_id on both sides",
			"warning a.yml:10:15 expr/never: the expression of PodTxHigh: pod:windows_net_tx_bytes:rate5m, which r/a.yml:4 records, never has a result: fix that rule",
		},
		"17-missing-on-group-left": {
			"warning a.yml:6:11 expr/matching: .* of PodMemNearLimit: .* the left side of / has no label container and the right side has the label container \\(it is grouped by\\)",
			`error a.yml:19:11 expr/matching: .* of NoIgnoring: .* the left side of / has type="used" and the right side has type="hard", so they never match: match ignoring \(type\)`,
			`error a.yml:25:11 expr/matching: .* of LabelsNeverMatch: .* the left side of / has status=~"5.." and the right side has no label status, so they never match: keep status on both sides`,
			`error a.yml:31:11 expr/matching: .* of UnlessMismatch: .* the left side of unless has no label scope and the right side has scope="global", so unless never leaves anything out`,
		},
		"19-short-range": {
			`warning a.yml:6:20 expr/range: .* of ErrorsShortRange: rate\(\) of errors_total\[30s\] is evaluated every 1m: what happens in the other 30s is never seen`,
			"warning a.yml:7:14 rule/for: ErrorsShortRange is evaluated every 1m, so that with a for of 15s it fires after 1m",
			"warning a.yml:12:14 rule/for: ForBelowInterval is evaluated every 1m, so that with a for of 10s it fires after 1m",
			`warning a.yml:16:24 expr/range: .* of OneSampleIncrease: increase\(\) of errors_total\[1m\] is evaluated every 1m: .* between`,
			`warning a.yml:23:34 expr/range: .* of job:errors:rate5m: rate\(\) of errors_total\[5m\] is evaluated every 10m`,
			"error a.yml:28:15 rule/for: .* of ReadsSlowRecording: job:errors:rate5m, which r/a.yml:22 records every 10m, is stale 5m after each sample, so the alert's for of 15m never passes",
		},
		"22-increase-on-timestamp-gauge": {
			"warning a.yml:5:24 expr/function: .* of BackupFailed takes the increase\\(\\) of last_failed_backup_timestamp, which by its name is a moment",
			"warning a.yml:17:20 expr/function: .* of RateOfSum takes the rate\\(\\) of a sum of request_failures_total",
			"error a.yml:29:40 expr/function: .* of HQNoLe takes a quantile of lat_seconds_bucket without its label le",
			"warning a.yml:33:40 expr/function: .* of HQNoRate takes a quantile of lat_seconds_bucket as it is",
			"error a.yml:41:34 expr/function: .* of HQPercent takes the quantile 99, which is not between 0 and 1, so that it is always \\+Inf: write 0.99",
		},
		"24-absent-variants": {
			`error a.yml:20:15 expr/never: .* of AbsentComparedZero: absent\(up{job="x"}\) is always 1, so == 0 never holds`,
			`error a.yml:30:15 expr/never: .* of CountBelowOne: count\(up{job="x"} == 1\) is at least 1, so < 1 never holds: a count of no series has no result, rather than 0`,
			`error a.yml:40:15 expr/matching: .* of AbsentAnd: .* the left side of and has no label instance and the right side has the label instance \(Prometheus gives it to up\)`,
		},
		"25-label-override": {
			`warning a.yml:12:47 rule/override: .* of HighErrorRate groups by service, and the rule's label service="legacy" takes its place`,
			`warning a.yml:16:25 rule/override: .* of job:errors:rate5m groups by code, and the rule's label code="" takes its place`,
		},
		"29-boundary-idioms": { // all of them can fire
			`warning a.yml:8:38 expr/never: .* of AlertsFiring: no rule here raises an alert that meets alertname="X"`,
		},
		"37-recording-rules": {
			"warning a.yml:5:15 rule/order: .* of BeforeItsRecording: job:err:rate5m is recorded after this rule \\(r/a.yml:8\\)",
			"warning a.yml:14:17 record/duplicate: job:err:rate5m is recorded at line 8 too, with the same labels and another expression",
			`error a.yml:19:15 expr/never: .* of ReadsLostLabel: job:err:rate5m has no label instance, so instance="x" matches nothing`,
			"error a.yml:26:16 alert/hidden: this DupName cannot be distinguished from the one at r/a.yml:22",
		},
		"opendefender/OpenRisk#621": {
			"error a.yml:4:23 expr/matching: .* of A: .* the left side of and has no label instance and the right side has the label instance \\(Prometheus gives it to up\\)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := filepath.Abs(filepath.Join("testdata", "cases", name, "rules.yml"))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(name, "#") {
				file = filepath.Join(t.TempDir(), "rules.yml")
				writeFile(t, file, head+"  - {alert: A, expr: 'sum by (job) (rate(errors_total[5m])) > 1 and up == 1'}\n")
			}
			got := meaningOf(t, Inputs{}, file)
			NewWithT(t).Expect(got).To(HaveLen(len(want)), strings.Join(got, "\n"))
			for i, w := range want {
				NewWithT(t).Expect(got[i]).To(MatchRegexp("^" + w))
			}
		})
	}
}

// What is exported tells more of the rules of a public report.
func TestCaseWithMetrics(t *testing.T) {
	dir, err := filepath.Abs("testdata/cases/22-increase-on-timestamp-gauge")
	if err != nil {
		t.Fatal(err)
	}
	got := meaningOf(t, Inputs{Metrics: []string{filepath.Join(dir, "metrics.prom")}}, filepath.Join(dir, "rules.yml"))
	NewWithT(t).Expect(got).To(ContainElement(MatchRegexp(`^error a.yml:37:15 expr/never: .* of HQTooHigh: .* is between 0 and 10, so > 20 never holds: .* last finite bucket`)))
	for _, alert := range []string{"RateOfSum", "HQNoRate", "HQPercent"} {
		NewWithT(t).Expect(got).To(ContainElement(ContainSubstring(" of " + alert)))
	}
	NewWithT(t).Expect(got).To(HaveLen(4), strings.Join(got, "\n"))
}

// Each expression is wrong in one place, or in none.
func TestMeaning(t *testing.T) {
	for expr, want := range map[string]string{
		// never
		"x > 5 and x < 3":           "error expr/never: .* x > 5 and x < 3 never hold for the same series",
		"x > 5 < 3":                 "error expr/never: .* x > 5 is above 5, so < 3 never holds",
		"x > 3 and x < 5":           "",
		"x > 5 and y < 3":           "",
		"x > 5 and x offset 1h < 3": "",
		"x > 5 and on (job) x < 3":  "",
		"sum by (job) (x) > 5 and on (job) sum by (job) (x) < 3": "error expr/never: .*",
		"x > 5 unless x > 3":                   "error expr/never: .* whenever x > 5 holds, x > 3 does, so unless leaves nothing",
		"x > 3 unless x > 5":                   "",
		"up > 1":                               "error expr/never: .* up is between 0 and 1, so > 1 never holds",
		"up == 0 or up > 1":                    "error expr/never: .* up is between 0 and 1, so > 1 never holds",
		"rate(x_total[5m]) < 0":                "warning expr/never: .* is at least 0, so < 0 never holds",
		"deriv(x[5m]) < 0":                     "",
		"count by (job) (x) == 0":              "error expr/never: .* is at least 1, so == 0 never holds: a count of no series has no result, rather than 0",
		"(count(x) or vector(0)) == 0":         "",
		"x == NaN":                             "error expr/never: .* so == NaN never holds",
		"x != NaN":                             "",
		"x / x > 2":                            "error expr/never: .* x / x is always 1, so > 2 never holds",
		"x / x > 0.5":                          "error expr/never: .* x / x is a thing and itself, and is always 1, so > 0.5 always holds",
		`100 / x * x{a="1"} < 20`:              "error expr/never: .* is always 100, up to rounding, so < 20 never holds",
		`x{a="1"} / ignoring (a) x{a="2"} > 2`: "",
		"a / b or vector(0) > 0.1":             "error expr/never: .* vector\\(0\\) is always 0, so > 0.1 never holds|error expr/always: .* no comparison in a / b, .*parentheses",
		"(a / b or vector(0)) > 0.1":           "",
		"vector(1) or sum(x) > 1":              "error expr/always: .*|error expr/never: .* vector\\(1\\) always has a result, so sum\\(x\\) > 1 never shows",
		`x{a="1",a="2"} > 1`:                   `error expr/never: .* what it selects has a="1", so a="2" matches nothing`,
		`x{a="1",a=~"1|2"} > 1`:                "",
		`x{a=~"4..",a=~"5.."} > 1`:             `error expr/never: .*`,
		"sum(x == 0) > 0":                      "error expr/never: .* is always 0, so > 0 never holds",
		`x{y!~".*"} > 5`:                       `error expr/never: .* y!~"\.\*" matches nothing: no value of y meets it, and neither does a series without y: fix the matcher`,
		"100 * rate(x[5m]) / (rate(x[5m]) + rate(y[5m])) > 200": "warning expr/never: .* is between 0 and 100, so > 200 never holds, as counters are not negative and the divisor contains what is divided: fix the comparison",
		"rate(x[5m]) / (rate(x[5m]) + rate(y[5m])) < 2":         "warning expr/always: .*",
		"time() - timestamp(x) > 3600":                          "warning expr/never: .* is between 0 and 300, so > 3600 never holds, as a series ends 5m after its last sample",
		"timestamp(x > 0) < time() - 3600":                      "error expr/never: .* is time\\(\\), so < time\\(\\) - 3600 never holds",
		"histogram_quantile(0.9, sum(rate(h_bucket[5m]))) > 1":  "error expr/function: .* takes a quantile of h_bucket without its label le: keep le in the aggregation",
		"x_info == 2":                                     "warning expr/never: .*",
		"x > 5 unless topk(1, x) > 3":                     "",
		"x > 5 unless (x and on (job) y) > 3":             "",
		"x > 5 unless (x > 3 and y > 1)":                  "",
		"x > 5 unless (x > 3 and x < 9)":                  "",
		"x > 5 unless (x > 3 and y)":                      "",
		"(x > 5 and x < 8) unless (x > 3 and x < 9)":      "error expr/never: .*",
		`{__name__=~"a|b"} > 5 and {__name__=~"a|b"} < 3`: "",
		"sum(up) or vector(0) or x > 1":                   "error expr/always: .*",
		"vector(1) or on () x > 1":                        "error expr/always: .*|error expr/never: .* never shows",
		"topk(0, vector(1)) or x > 1":                     "",
		// always
		"x > bool 5":                           "error expr/always: .* compares with bool",
		"x > bool 5 and y > 1":                 "error expr/always: .* compares with bool",
		"(x > bool 5) * (y > bool 1)":          "error expr/always: .* no comparison",
		"rate(x_total[5m])":                    "error expr/always: .* no comparison",
		"sum(rate(x_total[5m])) or vector(0)":  "error expr/always: .* has a result whatever there is",
		"(x > bool 5) >= 0":                    "error expr/always: .* is between 0 and 1, so >= 0 always holds",
		"up >= 0":                              "error expr/always: .* so >= 0 always holds",
		"up != 2":                              "error expr/always: .*",
		"rate(x_total[5m]) >= 0":               "warning expr/always: .* is at least 0, so >= 0 always holds",
		"0 <= rate(x_total[5m])":               "warning expr/always: .*",
		"up >= 0 and x > 1":                    "",
		"count(x) > 0":                         "",
		"absent(x) == 1":                       "",
		"x_info == 1":                          "",
		"x != 1 or x != 2":                     "error expr/always: .* one of x != 1 and x != 2 always holds",
		"x > 1 or x < 2":                       "error expr/always: .*",
		"x > 2 or x < 1":                       "",
		"x >= 1 or x < 1":                      "error expr/always: .*",
		"x > 1 or x < 1":                       "",
		"sum(x) or sum(y) > 5":                 "error expr/always: .* no comparison in sum\\(x\\), .*parentheses",
		"absent(up == 2)":                      "error expr/never: .*|error expr/always: .*",
		"vector(1)":                            "",
		"x":                                    "",
		"x unless y":                           "",
		"x offset 5m unless x":                 "",
		"count(x > 5)":                         "",
		"sum by (job) (x == 1)":                "",
		"sum by (job) (rate(x_total[5m]) > 0)": "",
		"x_info * on (job) group_left (v) y":   "",
		"changes(x[5m]) > 0":                   "",
		// alerts
		`ALERTS{alertname="A",alertstate="firing"} == 1`:  "",
		`ALERTS{alertname="a",alertstate="firing"} == 1`:  `warning expr/never: .* no rule here raises an alert that meets alertname="a": did you mean A\\?`,
		`ALERTS{alertname=~"X.*"} == 1`:                   `warning expr/never: .* meets alertname=~"X\.\*": fix the name`,
		`ALERTS{alertname!="X",alertstate="firing"} == 1`: "",
		`ALERTS{alertname="A",alertstate="fireing"} == 1`: `error expr/never: .*alertstate="pending" or "firing", so alertstate="fireing" matches nothing`,
		`ALERTS_FOR_STATE{alertstate="firing"} > 0`:       `error expr/never: .* no label alertstate, so alertstate="firing" matches nothing`,
		// regular expressions
		`x{a=~"b"} > 1`:              `warning expr/regexp: .* a=~"b", which is one text and no pattern: write a="b"`,
		`x{a!~"b.c|d"} > 1`:          "",
		`x{a!~"b\\.c"} > 1`:          `warning expr/regexp: .* write a!="b.c"`,
		`x{a=~"(?i)b"} > 1`:          "",
		`x{a=~"^b$"} > 1`:            `warning expr/regexp: .* anchors .* write a="b"`,
		`x{a=~"^b.+$"} > 1`:          `warning expr/regexp: .* anchors .* write a=~"b.\+"`,
		`x{a=~"^b.+|c"} > 1`:         "",
		`x{a=~"b\\$"} > 1`:           `warning expr/regexp: .* write a="b\$"`,
		`x{a=~".*"} > 1`:             `warning expr/regexp: .* which matches everything: take it out`,
		`x{a=~".+"} > 1`:             "",
		`x{a=~""} > 1`:               "",
		`{__name__=~".*",a="1"} > 1`: "",
		// matching
		`x{a="1"} + x{a="2"} > 1`:                                               `error expr/matching: .* the left side of \+ has a="1" and the right side has a="2", so they never match: match ignoring \(a\)`,
		`sum by (a) (x) / on (a, b) y > 1`:                                      "warning expr/matching: .*",
		"x > 0 and sum by (job) (y) > 1":                                        "warning expr/matching: .* instance \\(scraped series have it\\)",
		"x > 0 and on (job) sum by (job) (y) > 1":                               "",
		"x / on () group_left sum(y) > 1":                                       "",
		"x > 1 or sum by (job) (y) > 1":                                         "",
		"job:a:sum{instance=\"a\"} > 1":                                         "error expr/never: .* job:a:sum has no label instance",
		"job:a:sum / job:b:sum > 1":                                             "",
		"job:a:sum / instance:c:sum > 1":                                        "warning expr/matching: .*",
		`job:a:sum{job=""} > 1`:                                                 "",
		`x{instance=""} > 1`:                                                    "",
		`up{instance=""} == 0`:                                                  "error expr/never: .* instance=\"\" matches nothing",
		"sum by (job, zone) (x) / sum by (job) (y) > 1":                         "warning expr/matching: .* zone \\(it is grouped by\\)",
		`sum by (job, zone) (x{zone=""}) / sum by (job) (y) > 1`:                "",
		"sum by (job, pod) (a) / on (job) sum by (job, pod) (b) > 1":            `warning expr/matching: .* is grouped by pod, by which / on \(job\) does not match`,
		"sum by (job, pod) (a) / on (job) sum by (job) (b) > 1":                 "warning expr/matching: .* is grouped by pod",
		"sum by (job, pod) (a) / on (job) group_left sum by (job) (b) > 1":      "",
		"sum by (job, pod) (a) / on (job) group_left sum by (job, pod) (b) > 1": "warning expr/matching: .* is grouped by pod",
		"sum by (job, pod) (a) / ignoring (pod) sum by (job, pod) (b) > 1":      "warning expr/matching: .* is grouped by pod",
		"sum by (job, pod) (a) / sum by (job, pod) (b) > 1":                     "",
		"sum by (job, pod) (a) and on (job) sum by (job, pod) (b) > 1":          "",
		`sum by (job, pod) (a{pod="1"}) / on (job) sum by (job) (b) > 1`:        "",
		"x * on (pod) group_left (node) max by (pod, node) (pod_info) > 1":      "",
		"x * on (pod) group_left max by (pod, phase) (pod_phase == 1) > 1":      "",
		"x * on (pod) group_left topk by (pod) (1, max by (pod, node) (p)) > 1": "",
		"100 * sum by (job, pod) (a) / on (job) sum by (job) (b) > 1":           "warning expr/matching: .* is grouped by pod",
		// useless
		"sort(x) > 1":                              `warning expr/useless: .* sort\(\) makes no difference`,
		"topk(3, x) > 1":                           "",
		"sum by (job) (sum by (job) (x)) > 1":      "warning expr/useless: .* one series for each job already",
		"sum by (job) (sum by (job, pod) (x)) > 1": "",
		"count by (job) (sum by (job) (x)) > 1":    "",
		"max by (job) (job:a:sum) > 1":             "", // its rule may change
		"sum by (pod) (sum by (job) (x)) > 1":      "warning expr/useless: .* groups by pod, but .* has no label but job",
		"sum by (pod) (job:a:sum) > 1":             "warning expr/useless: .* groups by pod",
		"sum by (pod) (absent(x)) > 0":             "warning expr/useless: .* groups by pod",
		`sum by (job) (label_replace(x, "pod", "$1", "instance", "(.*):.*")) > 1`:                    `warning expr/useless: .* label_replace\(\) makes the label pod, which sum drops`,
		`sum by (pod) (label_replace(x, "pod", "$1", "instance", "(.*):.*")) > 1`:                    "",
		`sum without (pod) (label_join(x, "pod", "/", "a", "b")) > 1`:                                "warning expr/useless: .*",
		`sum by (a) (label_replace(label_replace(x, "b", "1", "", ""), "a", "$1", "b", "(.*)")) > 1`: "",
		"sum by (job) (a) / on (job, pod) sum by (job) (b) > 1":                                      "warning expr/useless: .* matches by pod, but neither side has it",
		"x * on (job) group_left (team) sum by (job) (y) > 1":                                        "warning expr/useless: .* team is to be taken from .* no label but job",
		"x * on (job) group_left (team) y > 1":                                                       "",
		"sum by (job) (x * on (job) group_left (team) y) > 1":                                        "warning expr/useless: .* team is taken from the other side of \\*, and sum drops it",
		"sum by (team) (x * on (job) group_left (team) y) > 1":                                       "",
		"x > 1 and on (pod) (y * on (job) group_left (team) z)":                                      "warning expr/useless: .* team is taken from .*, and and drops it",
		"x > 1 and on (team) (y * on (job) group_left (team) z)":                                     "",
		// NaN
		"avg(rate(a_sum[5m]) / rate(a_count[5m])) > 1":       `warning expr/nan: .* rate\(a_count\[5m\]\) is 0 while nothing happens`,
		"sum(100 * (increase(a[5m]) / increase(b[5m]))) > 1": "warning expr/nan: .*",
		"avg(rate(a_sum[5m]) / (rate(a_count[5m]) > 0)) > 1": "",
		"avg(rate(a_sum[5m])) / avg(rate(a_count[5m])) > 1":  "",
		"max(rate(a_sum[5m]) / rate(a_count[5m])) > 1":       "",
		"avg(memory_free / memory_total) < 0.1":              "", // a total that is never 0
		// functions
		"a_total / b_total > 0.1":                                       "warning expr/function: .* divides a_total by b_total, which count since their targets started",
		"sum by (job) (a_total) / sum by (job) (b_total) * 100 > 5":     "warning expr/function: .* divides a_total by b_total",
		"rate(a_total[5m]) / rate(b_total[5m]) > 0.1":                   "",
		"a_total / b_bytes > 0.1":                                       "",
		"job:a_total:sum / job:b_total:sum > 0.1":                       "",
		"delta(a_total[5m]) > 1":                                        "warning expr/function: .* takes the delta\\(\\) of a_total, which by its name is a counter",
		"deriv(a_total[5m]) > 1":                                        "warning expr/function: .* takes the deriv\\(\\) of a_total",
		"delta(a_bytes[5m]) > 1":                                        "",
		"quantile(95, x) > 1":                                           "error expr/function: .* write 0.95",
		"quantile(0.95, x) > 1":                                         "",
		"quantile_over_time(-1, x[5m]) < 1":                             "error expr/function: .* always -Inf",
		"rate(a_timestamp_seconds[5m]) > 0":                             "warning expr/function: .*",
		"changes(a_timestamp_seconds[5m]) > 0":                          "",
		"rate(job:raw:sum[5m]) > 1":                                     "warning expr/function: .* which r/a.yml:10 records as a sum of raw_total",
		"histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m]))) > 1": "",
	} {
		t.Run(expr, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.yml")
			writeFile(t, file, head+"  - alert: A\n    expr: |-\n      "+expr+`
- name: recordings
  rules:
  - {record: job:a:sum, expr: sum by (job) (a)}
  - {record: job:raw:sum, expr: sum by (job) (raw_total)}
  - {record: job:b:sum, expr: sum by (job) (b)}
  - {record: instance:c:sum, expr: "sum by (job, instance) (c)"}
`)
			var want = want
			got := meaningOf(t, Inputs{}, file)
			var wants []string
			if want != "" {
				wants = strings.Split(want, "|")
			}
			NewWithT(t).Expect(got).To(HaveLen(len(wants)), strings.Join(got, "\n"))
			for _, w := range wants {
				NewWithT(t).Expect(got).To(ContainElement(MatchRegexp(strings.Replace(w, " ", ` a.yml:\d+:\d+ `, 1))))
			}
		})
	}
}

func TestForThatNeverPasses(t *testing.T) {
	for rest, want := range map[string]string{
		"expr: x == 0 and x offset 1h > 0, for: 1h":               "warning a.yml:4:22 expr/never: the expression of A: x == 0 and x offset 1h > 0 hold together for less than 1h, so the alert's for of 1h never passes: make it shorter, or the offset longer",
		"expr: x == 0 and on (instance) x offset 1h > 0, for: 2h": "warning a.yml:4:22 expr/never: .*",
		"expr: x == 0 and on (cluster) x offset 1h > 0, for: 2h":  "",
		"expr: x unless x offset 1h, for: 1h":                     "warning a.yml:4:22 expr/never: the expression of A: x unless x offset 1h holds for less than 1h after a series appears, so the alert's for of 1h never passes: .*",
		"expr: x unless x offset 1h, for: 30m":                    "",
		"expr: x == 0 and x offset 1h > 0, for: 30m":              "",
		"expr: x == 0 and x offset 1h >= 0, for: 1h":              "",
		"expr: x == 0 and y offset 1h > 0, for: 1h":               "",
		"expr: x == 0 and x offset 90s > 0, for: 1h":              "",
	} {
		t.Run(rest, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.yml")
			writeFile(t, file, head+"  - {alert: A, "+rest+"}\n")
			got := strings.Join(meaningOf(t, Inputs{}, file), "\n")
			NewWithT(t).Expect(got).To(MatchRegexp("^" + want + "$"))
		})
	}
}

func TestOverride(t *testing.T) {
	for rest, want := range map[string]int{
		"expr: sum by (a) (x) > 1, labels: {a: '1'}":               1,
		"expr: sum by (a) (x) > 1, labels: {a: '{{ $labels.a }}'}": 0,
		"expr: 'sum by (a) (x{a=\"2\"}) > 1', labels: {a: '1'}":    0,
		"expr: sum by (b) (x) > 1, labels: {a: '1'}":               0,
		"expr: sum without (b) (x) > 1, labels: {a: '1'}":          0,
		"expr: 100 * sum by (a) (x) > 1, labels: {a: '1'}":         1,
		"expr: x > 1, labels: {a: '1'}":                            0,
	} {
		t.Run(rest, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.yml")
			writeFile(t, file, head+"  - {alert: A, "+rest+"}\n")
			NewWithT(t).Expect(meaningOf(t, Inputs{}, file)).To(HaveLen(want))
		})
	}
}

func TestRecordedTwice(t *testing.T) {
	for name, tc := range map[string]struct{ one, other, want string }{
		"parts of one metric":       {"expr: 'sum by (x) (a{y=\"1\"})'", "expr: 'sum by (x) (a{y=\"2\"})'", ""},
		"the same":                  {"expr: sum(a)", "expr: (sum(a))", "with the same labels and the same expression"},
		"another expression":        {"expr: sum(a)", "expr: sum(b)", "with the same labels and another expression"},
		"other labels":              {"expr: sum(a), labels: {x: '1'}", "expr: sum(b), labels: {x: '2'}", ""},
		"values that differ":        {"expr: 'sum by (x) (a{x=\"1\"})'", "expr: 'sum by (x) (b{x=\"2\"})'", ""},
		"patterns that differ":      {"expr: 'sum by (x) (a{x=~\"4..\"})'", "expr: 'sum by (x) (b{x=~\"5..\"})'", ""},
		"patterns that may overlap": {"expr: 'sum by (x) (a{x=~\"4.*\"})'", "expr: 'sum by (x) (b{x=~\"4..\"})'", "another expression"},
		"one that has the label":    {"expr: sum(a)", "expr: sum by (x) (b)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.yml")
			writeFile(t, file, head+"  - {alert: A, expr: up == 0}\n  - {record: m, "+tc.one+"}\n  - {record: m, "+tc.other+"}\n")
			got := strings.Join(meaningOf(t, Inputs{}, file), "\n")
			if tc.want == "" {
				NewWithT(t).Expect(got).To(BeEmpty())
				return
			}
			NewWithT(t).Expect(got).To(MatchRegexp("^(error|warning) a.yml:6:14 record/duplicate: m is recorded at line 5 .*" + tc.want))
		})
	}
}
