package check

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/stemedb/firedrill/tools/finding"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

func TestFindClaims(t *testing.T) {
	for text, want := range map[string][]string{
		"TLS certificate expires within 7 days":                           {`"within 7 days" 604800 below`},
		"expires in 7 days - RENEW NOW":                                   {`"7 days" 604800 `},
		"less than 48 hours":                                              {`"less than 48 hours" 172800 below`},
		"below the level of 5s, or within the next 30-day span":           {`"5s" 5 `, `"within the next 30-day" 2592000 below`},
		"cert_seconds < 7d (a week)":                                      {`"< 7d" 604800 below`},
		"p99 > 0.5 seconds for more than 5 minutes":                       {`"> 0.5 seconds" 0.5 above`, `"for more than 5 minutes" 300 lasting`},
		"Older than 1h30m":                                                {`"Older than 1h30m" 5400 above`},
		"at least 1 day and 12 hours":                                     {`"at least 1 day and 12 hours" 129600 above`},
		"7 days and 30 days":                                              {`"7 days" 604800 `, `"30 days" 2592000 `},
		"no backup within 26 hours":                                       {`"within 26 hours" 93600 `},
		"it hasn't run within 2 Weeks":                                    {`"within 2 Weeks" 1209600 `},
		"no rush: exceeds 250ms":                                          {`"exceeds 250ms" 0.25 above`},
		"certificate for shop.example.com is left with less than 10 mins": {`"less than 10 mins" 600 below`},
		"5 errors, 1,000 seconds, TLS1.2s, 10 GiB/s, 5 m, v1.5h.2, in X days, 5 times a day": nil,
		"less than 10 GB, over 80% or 5 percent":                                             {`"less than 10 GB" 10000000000 below`, `"over 80%" 0.8 above`, `"5 percent" 0.05 `},
		"more than 5 errors in the last hour":                                                {`"more than 5" 5 above`, `"in the last hour" 3600 window`},
		"down for an hour, within one month, 500 ms":                                         {`"for an hour" 3600 lasting`, `"within one month" 2419200 below`, `"500 ms" 0.5 `},
		"wait for 5 minutes, > 3":                                                            {`"> 3" 3 above`},
		"{{ $value | humanizeDuration }} left, {{ printf \"3 days\" }}":                      nil,
		"99999999999999999999h99999999999999999999m, 1" + strings.Repeat("0", 400) + " days": nil,
		"1" + strings.Repeat("0", 305) + " days":                                             nil,
		"":                                                                                   nil,
	} {
		t.Run(text, func(t *testing.T) {
			var got []string
			for _, c := range findClaims(text) {
				got = append(got, fmt.Sprintf("%q %s %s%s", c.text, strconv.FormatFloat(c.low, 'f', -1, 64), c.side, []string{"", "lasting", "window"}[c.role]))
			}
			NewWithT(t).Expect(got).To(Equal(want))
		})
	}
}

func TestFindThresholds(t *testing.T) {
	for source, want := range map[string][]string{
		"cert_seconds < 7 * 86400":                                    {"604800 below @15"},
		"cert_seconds <= bool 604800":                                 {"604800  @21"},
		"604800 > cert_seconds":                                       {"604800 below @0"},
		"cert_seconds / 86400 < 7":                                    {"604800 below @23"},
		"cert_seconds * 1000 >= 500":                                  {"0.5 above @23"},
		"cert_seconds < 2 ^ 3 * (10 - 3 + 1)":                         {"64 below @15"},
		"-cert_seconds > -5m":                                         {"300 below @16"},
		"cert_seconds == 60":                                          {"60  @16"},
		"(end_timestamp_seconds - time()) < 604800":                   {"604800 below @35"},
		"time() - end_timestamp_seconds > -604800":                    {"604800 below @33"},
		"time() > end_timestamp_seconds - 604800":                     {"604800 below @0"},
		"time() > done_timestamp_seconds + 3600":                      {"3600 above @0"},
		"cert_seconds < 604800 and cert_seconds > 0":                  {"604800 below @15", "0 above @41"},
		"up unless cert_seconds > 604800":                             {"604800 below @25"},
		"absent(cert_seconds > 3600)":                                 {"3600 below @22"},
		"count(cert_seconds < 3600) > 2":                              {"3600 below @21"},
		"histogram_quantile(0.99, rate(x_seconds_bucket[5m])) > 0.25": {"0.25 above @55"},
		"rate(x_seconds_sum[5m]) / rate(x_seconds_count[5m]) > 2":     {"2 above @54"},
		"rate(cpu_seconds_total[5m]) > 0.9":                           nil,
		"x_seconds / y_seconds > 0.9":                                 nil,
		"x_seconds > y_seconds":                                       nil,
		"errors_total > 5":                                            nil,
		"cert_seconds / 0 < 7":                                        nil,
		"cert_seconds":                                                nil,
		"max_over_time(lag_seconds[1h:1m] offset 5m) > 30":            {"30 above @46"},
		"sum by (job) (lag_seconds) > 30":                             {"30 above @29"},
		"changes(lag_seconds[1h]) > 30 or timestamp(up) < 30":         nil,
		"lag_milliseconds > 500":                                      {"0.5 above @19"},
		"cert_expires_in_hours < 48":                                  {"172800 below @24"},
		"(end_timestamp_seconds - time()) / 3600 < 48":                {"172800 below @42"},
		"a - count(lag_seconds > 5) < 2":                              {"5  @24"},
	} {
		t.Run(source, func(t *testing.T) {
			g := NewWithT(t)
			expr, err := promql.ParseExpr(source)
			g.Expect(err).NotTo(HaveOccurred())
			var got []string
			for _, th := range findThresholds(source, expr, nil) {
				if !th.isTime() {
					continue
				}
				got = append(got, fmt.Sprintf("%v %s @%d", th.base, th.side, th.offset))
			}
			g.Expect(got).To(Equal(want))
		})
	}
}

// Texts and rules that say the same, or that say nothing that could be compared.
func TestAgreementPassesOver(t *testing.T) {
	for text, alert := range map[string]string{
		"more than 5 errors within 10 minutes":                          "increase(errors_total[10m]) > 5",
		"latency above 500ms for more than 5 minutes":                   "lag_seconds > 0.5",
		"latency above 500ms over 10 minutes":                           "avg_over_time(lag_seconds[10m]) > 0.5",
		"less than 7 days left; such certificates live for 90 days":     "cert_seconds < 7 * 86400",
		"pending for 5 minutes":                                         "cert_seconds < 7 * 86400",
		"the certificate is about to expire":                            "cert_seconds < 7 * 86400",
		"less than 30 days, but more than 7 days":                       "cert_seconds < 30 * 86400 and cert_seconds > 7 * 86400",
		"no expiry has been reported for 5 minutes":                     "absent(cert_seconds)",
		"no expiry has been reported for 15 minutes":                    "absent_over_time(cert_seconds[10m])", // and for: 5m
		"wait for 10 minutes":                                           "absent(cert_seconds)",
		"more than 80 % used":                                           "100 * (1 - free_bytes / size_bytes) > 80",
		"less than 20% free":                                            "(size_bytes - free_bytes) / size_bytes > 0.8",
		"more than 90% used, and less than 5 GB free":                   "a_used_percent > 90 and a_free_bytes < 5 * 1024^3",
		"more than 5% of requests fail":                                 "100 * sum(rate(err_total[5m])) / sum(rate(req_total[5m])) > 5",
		"grew by more than 50%":                                         "x / x offset 5m > 3",
		"more than 33% fail":                                            "sum(rate(err_total[5m])) / sum(rate(req_total[5m])) > 1 / 3",
		"memory above 80%":                                              "mem_usage > 80",
		"memory above 80 %":                                             "mem_usage > 0.8",
		"2 datastores or less have more than 15% left":                  "count(x) - count(free_bytes / size_bytes < 0.15) <= 2",
		"more than 500 errors in 10 minutes":                            "rate(errors_total[10m]) > 0.83",
		"CPU above 90%":                                                 "cpu_usage_ratio > 90", // which is called a ratio, but is in percent
		"more than 5 requests in the last hour":                         "increase(requests_total[1h]) > 5",
		"restarted in the last hour":                                    "time() - process_start_time_seconds < 3600",
		"the load has been high for 15 minutes":                         "node_load15 > 4",
		"the queue has lagged for 10 minutes":                           "queue_lag > 600",
		"no backup within 26 hours":                                     "time() - done_timestamp_seconds > 26 * 3600",
		"either less than 1 hour or exactly 2 hours, whatever it means": "lag_seconds < 1h or lag_seconds == 2h",
		"expired (cert_seconds <= 0)":                                   "cert_seconds{domain=~\".+\"} <= 0",
		"a week is left, cert_seconds < 604800.":                        "7 * 86400 > cert_seconds",
		"cert_seconds < 7 * 86400":                                      "cert_seconds < 604800",
		"not even cert_seconds < 7 weeks or errors < 3":                 "cert_seconds < 49 * 86400",
		"disk_free < 10% or disk_free <= 0.":                            "disk_free <= 0",
		"a target is gone (up == 0)":                                    "up{job=\"shop-api\"} == 0",
		"x < 3 4":                                                       "x < 5",
	} {
		t.Run(text, func(t *testing.T) {
			NewWithT(t).Expect(agree(t, text, alert)).To(BeEmpty())
		})
	}
}

func TestAgreementFinds(t *testing.T) {
	for text, tc := range map[string]struct{ expr, want string }{
		"within 5 minutes": {"cert_seconds < 7 * 86400", // "for" is 5 minutes, but that is not what this says
			`A fires at cert_seconds < 7 * 86400, that is 10080 minutes, but its trigger says "within 5 minutes" (A.md:5): write the same in both`},
		"less than 30 days, but more than 7 days": {"cert_seconds < 300 * 86400 and cert_seconds > 7 * 86400",
			`A fires at cert_seconds < 300 * 86400, that is 300 days, but its trigger says "less than 30 days" (A.md:5): write the same in both`},
		"more than 1 day": {"time() - done_timestamp_seconds > 2 * 86400",
			`A fires at time() - done_timestamp_seconds > 2 * 86400, that is 2 days, but its trigger says "more than 1 day" (A.md:5): write the same in both`},
		"within 7 days": {"cert_seconds <= 0 or cert_seconds < 70 * 86400", // of two candidates, the likelier
			`A fires at cert_seconds < 70 * 86400, that is 70 days, but its trigger says "within 7 days" (A.md:5): write the same in both`},
		"expired (cert_seconds <= 0)": {"cert_seconds >= 0",
			`A fires at cert_seconds >= 0, but its trigger says "cert_seconds <= 0" (A.md:5): write the same in both`},
		"expired: cert_seconds <= 0.": {"cert_seconds < 0",
			`A fires at cert_seconds < 0, but its trigger says "cert_seconds <= 0" (A.md:5): write the same in both`},
		"a target is gone, up{job=\"x\"} == 0": {"up == 1",
			`A fires at up == 1, but its trigger says "up{job=\"x\"} == 0" (A.md:5): write the same in both`},
		"less than 7 days (cert_seconds < 604800)": {"cert_seconds < 70 * 86400", // said once
			`A fires at cert_seconds < 70 * 86400, that is 70 days, but its trigger says "less than 7 days" (A.md:5): write the same in both`},
		"for more than 15 minutes": {"up == 0",
			`A fires once its condition has lasted 5m, but its trigger says "for more than 15 minutes" (A.md:5): write the same in both`},
		"in the last hour": {"increase(x_total[10m]) > 0",
			`A fires once its condition has lasted 5m and looks back 10m, but its trigger says "in the last hour" (A.md:5): write the same in both`},
		"more than 5 % fail": {"sum(rate(err_total[5m])) / sum(rate(req_total[5m])) > 5",
			`A fires at sum(rate(err_total[5m])) / sum(rate(req_total[5m])) > 5, that is 500 %, but its trigger says "more than 5 %" (A.md:5): write the same in both`},
		"above 90 %": {"disk_used_percent > 80",
			`A fires at disk_used_percent > 80, that is 80 %, but its trigger says "above 90 %" (A.md:5): write the same in both`},
		"less than 10 GB free": {"free_bytes < 10 * 1024^2",
			`A fires at free_bytes < 10 * 1024^2, that is 0.0104858 GB, but its trigger says "less than 10 GB" (A.md:5): write the same in both`},
		"less than 10% free": {"free_bytes / size_bytes > 0.1",
			`A fires at free_bytes / size_bytes > 0.1, that is above 10 %, but its trigger says "less than 10%" (A.md:5), that is below: reverse the comparison, or fix the text`},
		"more than 3 failures": {"increase(failures_total[5m]) < 3",
			`A fires at increase(failures_total[5m]) < 3, that is below 3, but its trigger says "more than 3" (A.md:5), that is above: reverse the comparison, or fix the text`},
		"more than 10 failures": {"increase(failures_total[5m]) > 3",
			`A fires at increase(failures_total[5m]) > 3, that is 3, but its trigger says "more than 10" (A.md:5): write the same in both`},
		"above 500 ms": {"x_milliseconds > 0.5",
			`A fires at x_milliseconds > 0.5, that is 0.5 milliseconds, but its trigger says "above 500 ms" (A.md:5): write the same in both`},
		"in 7 days": {"cert_seconds < 86400",
			`A fires at cert_seconds < 86400, that is 1 day, but its trigger says "7 days" (A.md:5): write the same in both`},
	} {
		t.Run(text, func(t *testing.T) {
			findings := agree(t, text, tc.expr)
			NewWithT(t).Expect(findings).To(HaveLen(1))
			NewWithT(t).Expect(findings[0].Message).To(Equal(tc.want))
		})
	}
}

// The rules are those of public reports. Each alert says what its rule does not.
func TestTextCases(t *testing.T) {
	ofText := regexp.MustCompile(`^(trigger|template)/`)
	for name, want := range map[string][]string{
		"20-cert-expiry/rules": {
			`error 6:57 trigger/threshold: CertExpiresIn30Days fires at .* < 30, that is 0.000347222 days, but its summary says "within 30 days"`,
			`error 11:39 trigger/direction: CertExpiresReversed fires at cert_expires_in_hours > 720, that is above 720 hours, but its summary says "less than 720 hours"`,
			`error 16:66 trigger/direction: CertExpiresReversedSeconds fires at .* > 720, that is above 720 hours`,
			`error 25:15 trigger/direction: CertOddSub fires at .*: write probe_ssl_earliest_cert_expiry - time\(\)`,
		},
		"42-text-vs-rule/rules": {
			`error 5:69 trigger/threshold: RatioSays5Percent fires at .* that is 500 %, but its summary says "More than 5 %"`,
			`error 11:14 trigger/window: Says15Minutes fires once its condition has lasted 5m, but its summary says "for more than 15 minutes"`,
			`error 15:35 trigger/threshold: SaysAbove90 fires at disk_used_percent > 80, that is 80 %, but its summary says "above 90 %"`,
			`error 20:28 trigger/threshold: SaysBelowGB fires at .* that is 0.0104858 GB, but its summary says "Less than 10 GB"`,
			`error 25:15 trigger/direction: SwappedSub fires at .*: write cert_expiry_timestamp_seconds - time\(\)`,
			`error 30:95 trigger/threshold: MsVsSeconds fires at .* that is 500000 milliseconds, but its summary says "above 500 ms"`,
			`warning 38:40 template/unit: the annotation "summary" of PercentOfRatio shows its value by "{{ \$value }}%", but cpu_usage_ratio is called a ratio, of which 90 is 9000%: compare with 0.9`,
			`error 43:36 template/unit: the annotation "summary" of HumanizePctOfPct .* is a percentage already, and is shown 100 times too high`,
		},
		"42-text-vs-rule/v": {
			`error 5:95 trigger/threshold: Ms1 .* that is 500000 milliseconds, but its summary says "above 500ms"`,
			`error 9:95 trigger/threshold: Ms2 .* "above 500 ms"`,
			`error 13:95 trigger/threshold: Ms3 .* "above 500 milliseconds"`,
			`error 17:46 trigger/threshold: Ms4 .* "above 500 milliseconds"`,
			`error 21:43 trigger/threshold: Ms5 fires at req_duration_milliseconds > 0.5, that is 0.5 milliseconds, but its summary says "more than 500 milliseconds"`,
			`error 25:15 trigger/direction: Swap1 .* write cert_expiry_timestamp_seconds - time\(\)`,
			`error 29:56 trigger/threshold: OneMonth .* "within one month"`,
			`error 33:56 trigger/threshold: DescOnly .* that is 7 days, but its description says "within 30 days"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			findings, _, err := Run(t.Context(), Inputs{Rules: filepath.Join("testdata", "cases", name)})
			g.Expect(err).NotTo(HaveOccurred())
			var got []string
			for _, f := range findings {
				if ofText.MatchString(f.Check) {
					severity := map[finding.Severity]string{finding.Error: "error", finding.Warning: "warning"}[f.Severity]
					got = append(got, fmt.Sprintf("%s %d:%d %s: %s", severity, f.Line, f.Column, f.Check, f.Message))
				}
			}
			g.Expect(got).To(HaveLen(len(want)), strings.Join(got, "\n"))
			for i, w := range want {
				g.Expect(got[i]).To(MatchRegexp("^" + w))
			}
		})
	}
}

// What a text says can be true whenever the rule fires, and still be another threshold.
func TestTrueAllTheSame(t *testing.T) {
	for text, tc := range map[string]struct {
		expr string
		want []finding.Severity
	}{
		"above 90%":               {"used_percent > 95", []finding.Severity{finding.Warning}},
		"above 95%":               {"used_percent > 90", []finding.Severity{finding.Error}},
		"above 9%":                {"used_percent > 95", []finding.Severity{finding.Error}}, // rather a slip
		"for more than 2 minutes": {"up == 0", []finding.Severity{finding.Warning}},         // for: 5m
		"for 2 minutes":           {"up == 0", []finding.Severity{finding.Error}},
		"in less than two weeks":  {"cert_seconds < 13 * 86400", nil}, // a margin
	} {
		t.Run(text, func(t *testing.T) {
			var got []finding.Severity
			for _, f := range agree(t, text, tc.expr) {
				got = append(got, f.Severity)
			}
			NewWithT(t).Expect(got).To(Equal(tc.want))
		})
	}
}

// A description tells of other things as well.
func TestLooseText(t *testing.T) {
	for text, want := range map[string]int{
		"It is older than 45 minutes":                               1,
		"It should not be older than 45 minutes":                    0,
		"A node is lost when it is gone for more than 1 hour":       0,
		"It is old. Where it is older than 50 years, there is none": 0,
		"It is lost when\nit is older than 1 hour":                  0,
		"It is old when it can be. It is older than 1.5 hours":      1,
		"It is renewed 45 minutes before":                           0,
		"It has been so for 15 minutes":                             1,
		"99% of the goals are met within 3 seconds":                 0,
		"Replication factors (RF < 3) matter":                       0,
		"{{ printf \"up{instance='%s'} == 0\" $labels.instance }}":  0,
	} {
		t.Run(text, func(t *testing.T) {
			const source = "lag_seconds > 300"
			expr, err := promql.ParseExpr(source)
			g := NewWithT(t)
			g.Expect(err).NotTo(HaveOccurred())
			c := &checker{lines: map[string][]string{}}
			c.agreement(rule.Alert{Name: "A", Expr: source, For: 300e9}, expr, text, "description", "a.yml", 5, true)
			g.Expect(c.findings).To(HaveLen(want))
		})
	}
}

func TestSwapped(t *testing.T) {
	for rest, want := range map[string]int{
		"expr: time() - cert_not_after < 86400":                                                           1,
		"expr: cert_not_after - time() < 86400":                                                           0,
		"expr: time() - cert_not_after > 86400":                                                           0,
		"expr: time() - process_start_time_seconds < 300":                                                 0,
		"expr: time() - x_seconds < 86400, annotations: {summary: 'it expires soon'}":                     1,
		"expr: time() - x_seconds < 86400, annotations: {summary: 'it expired within the last 24 hours'}": 0,
	} {
		t.Run(rest, func(t *testing.T) {
			got := alertsOf(t, Inputs{}, head+"  - {alert: A, "+rest+"}\n")
			NewWithT(t).Expect(got).To(HaveLen(want), strings.Join(got, "\n"))
			for _, f := range got {
				NewWithT(t).Expect(f).To(HavePrefix("a.yml:4:22 trigger/direction: "))
			}
		})
	}
}

// agree compares a trigger with an alert of that expression, pending for 5 minutes.
func agree(t *testing.T, text, source string) []finding.Finding {
	t.Helper()
	expr, err := promql.ParseExpr(source)
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{lines: map[string][]string{}}
	c.agreement(rule.Alert{Name: "A", File: "a.yml", Expr: source, For: 300e9}, expr, text, "trigger", "A.md", 5, false)
	return c.findings
}

func FuzzFindClaims(f *testing.F) {
	f.Add("TLS certificate expires within 7 days and 3 hours, {{ $value }}")
	f.Add("no more than 1h30m… < 0.7d")
	f.Fuzz(func(t *testing.T, text string) {
		shown := template.ReplaceAllString(text, "…")
		for _, c := range findClaims(text) {
			if !strings.Contains(shown, c.text) {
				t.Errorf("%q is not in %q", c.text, shown)
			}
			if math.IsInf(c.high, 0) || math.IsNaN(c.high) || c.low < 0 || c.high < c.low || units[c.unit].low == 0 {
				t.Errorf("not a time: %+v", c)
			}
		}
	})
}

func FuzzAgreement(f *testing.F) {
	f.Add("time() - x_seconds > 7 * -86400 ^ 2 unless absent(y_seconds < bool 5m)", "no 5 minutes (x_seconds > 3)")
	f.Add("(x_seconds + 2) / 0 <= 604800", "inf < 3, x{a=\"b\"} != 0")
	f.Fuzz(func(t *testing.T, source, text string) {
		expr, err := promql.ParseExpr(source)
		if err != nil {
			return
		}
		for _, th := range findThresholds(source, expr, nil) {
			if math.IsInf(th.value, 0) || math.IsNaN(th.value) || th.value < 0 || th.offset < 0 || th.offset > len(source) {
				t.Errorf("not a threshold of %q: %+v", source, th)
			}
		}
		agree(t, text, source)
	})
}
