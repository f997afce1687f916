package check

import (
	"fmt"
	"math"
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
		"TLS certificate expires within 7 days":                                              {`"within 7 days" 604800 below`},
		"expires in 7 days - RENEW NOW":                                                      {`"7 days" 604800 `},
		"less than 48 hours":                                                                 {`"less than 48 hours" 172800 below`},
		"below the level of 5s, or within the next 30-day span":                              {`"5s" 5 `, `"within the next 30-day" 2592000 below`},
		"cert_seconds < 7d (a week)":                                                         {`"< 7d" 604800 below`},
		"p99 > 0.5 seconds for more than 5 minutes":                                          {`"> 0.5 seconds" 0.5 above`, `"more than 5 minutes" 300 `},
		"Older than 1h30m":                                                                   {`"Older than 1h30m" 5400 above`},
		"at least 1 day and 12 hours":                                                        {`"at least 1 day and 12 hours" 129600 above`},
		"7 days and 30 days":                                                                 {`"7 days" 604800 `, `"30 days" 2592000 `},
		"no backup within 26 hours":                                                          {`"within 26 hours" 93600 `},
		"it hasn't run within 2 Weeks":                                                       {`"within 2 Weeks" 1209600 `},
		"no rush: exceeds 250ms":                                                             {`"exceeds 250ms" 0.25 above`},
		"certificate for shop.example.com is left with less than 10 mins":                    {`"less than 10 mins" 600 below`},
		"5 errors, 1,000 seconds, TLS1.2s, 10 GiB, 5 m, v1.5h.2, in X days":                  nil,
		"{{ $value | humanizeDuration }} left, {{ printf \"3 days\" }}":                      nil,
		"99999999999999999999h99999999999999999999m, 1" + strings.Repeat("0", 400) + " days": nil,
		"1" + strings.Repeat("0", 305) + " days":                                             nil,
		"":                                                                                   nil,
	} {
		t.Run(text, func(t *testing.T) {
			var got []string
			for _, c := range findClaims(text) {
				got = append(got, strings.TrimSpace(fmt.Sprintf("%q %s %s %s", c.text, strconv.FormatFloat(c.low, 'f', -1, 64), c.side, []string{"", "lasting", "window"}[c.role])))
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
		"changes(lag_seconds[1h]) > 30 or timestamp(up) < 30":         {"30 below @49"},
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
		"no expiry has been reported for 10 minutes":                    "absent(cert_seconds)",
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
