package promql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// Each expression never has a result, for the reason given with what it rests on and its place in the text, or has one
// sometimes.
func TestNever(t *testing.T) {
	const counters = ", as counters are not negative and the divisor contains what is divided"
	for expr, want := range map[string]string{
		// matchers
		`a{b!~".*"}`:            `sure 0-10: b!~".*" matches nothing: no value of b meets it, and neither does a series without b`,
		`a{b!~"(.*)"}`:          `sure 0-12: b!~"(.*)" matches nothing: no value of b meets it, and neither does a series without b`,
		`a{b!~"x|.*"}`:          `sure 0-12: b!~"x|.*" matches nothing: no value of b meets it, and neither does a series without b`,
		`a{b=~"x", b!~"x.*"}`:   `sure 0-19: what it selects has b="x", so b!~"x.*" matches nothing`,
		`a{b=~"x.+", b!~"x.*"}`: `sure 0-21: what it selects has b=~"x.+", so b!~"x.*" matches nothing`,
		`a{b=~".*x", b=~".*y"}`: `sure 0-21: what it selects has b=~".*x", so b=~".*y" matches nothing`,
		`a{b=~"x.*", b!~"x.+"}`: "",
		`a{b!~".+"}`:            "",
		`a{b!~"(?i)A", b="a"}`:  `sure 0-20: what it selects has b!~"(?i)A", so b="a" matches nothing`,
		`a{b!="", b!~".+"}`:     `sure 0-17: what it selects has b!="", so b!~".+" matches nothing`,
		`up{job!~".+"}`:         `sure 0-13: what it selects has the label job (Prometheus gives it to up), so job!~".+" matches nothing`,
		`a{job!~".+"}`:          "",
		// parts of wholes
		"rate(a[5m]) / (rate(a[5m]) + rate(b[5m])) > 1":             "usual 0-45: rate(a[5m]) / (rate(a[5m]) + rate(b[5m])) is between 0 and 1, so > 1 never holds" + counters,
		"rate(a[5m]) / (rate(b[5m]) + rate(a[5m])) < 0":             "usual 0-45: rate(a[5m]) / (rate(b[5m]) + rate(a[5m])) is between 0 and 1, so < 0 never holds" + counters,
		"rate(a[5m]) / clamp_min(rate(a[5m]) + rate(b[5m]), 1) > 1": "usual 0-57: rate(a[5m]) / clamp_min(rate(a[5m]) + rate(b[5m]), 1) is between 0 and 1, so > 1 never holds" + counters,
		"rate(a[5m]) / clamp_max(rate(a[5m]) + rate(b[5m]), 1) > 1": "",
		"rate(a[5m]) / (rate(a[5m]) - rate(b[5m])) > 1":             "",
		"a / (a + b) > 1":                                        "",
		"a_bytes / (a_bytes + b) > 1":                            "",
		`sum(up{x="1"}) / sum(up) > 2`:                           "sure 0-28: sum(up{x=\"1\"}) / sum(up) is between 0 and 1, so > 2 never holds, as the divisor contains what is divided",
		`sum(up) / sum(up{x="1"}) > 2`:                           "",
		`sum(a{x="1"}) / sum(a) > 2`:                             "",
		`count(a > 1) / count(a) * 100 > 200`:                    "sure 0-35: count(a > 1) / count(a) * 100 is between 0 and 100, so > 200 never holds, as the divisor contains what is divided",
		`1 - sum by (x) (up{y="1"}) / sum by (x) (up) < 0`:       "usual 0-48: 1 - sum by (x) (up{y=\"1\"}) / sum by (x) (up) is between 0 and 1, so < 0 never holds, as the divisor contains what is divided",
		`avg(up{y="1"}) / avg(up) > 2`:                           "",
		`sum by (x) (up{y="1"}) / on (x) sum by (x, z) (up) > 2`: "",
		`sum by (x) (up{y="1"}) / sum by (x) (up offset 5m) > 2`: "",
		// moments
		"timestamp(a > b) < time() - 36000":                "sure 0-33: timestamp(a > b) is time(), so < time() - 36000 never holds, as timestamp() of anything but a selector is time()",
		"timestamp(a) < time() - 3600":                     "usual 0-28: timestamp(a) is at most 5m before time(), so < time() - 3600 never holds, as a series ends 5m after its last sample (the default of --query.lookback-delta)",
		"timestamp(a offset 1h) < time() - 3600":           "",
		"timestamp(a offset 1h) < time() - 2 * 3600":       "usual 0-42: timestamp(a offset 1h) is between 1h and 1h5m before time(), so < time() - 2 * 3600 never holds, as a series ends 5m after its last sample (the default of --query.lookback-delta)",
		"timestamp(a) < time() - 299":                      "",
		"timestamp(a) > time()":                            "sure 0-21: timestamp(a) is not after time(), so > time() never holds",
		"timestamp(a) > time() - 10":                       "",
		"time() - timestamp(a) > 600":                      "usual 0-27: time() - timestamp(a) is between 0 and 300, so > 600 never holds, as a series ends 5m after its last sample (the default of --query.lookback-delta)",
		"time() - timestamp(a) < 0":                        "sure 0-25: time() - timestamp(a) is at least 0, so < 0 never holds",
		"time() - a > 600":                                 "",
		"time() - max_over_time(timestamp(a)[1h:]) > 4000": "usual 0-48: time() - max_over_time(timestamp(a)[1h:]) is between 0 and 3900, so > 4000 never holds, as a series ends 5m after its last sample (the default of --query.lookback-delta)",
		"time() - max_over_time(timestamp(a)[1h:]) > 3000": "",
		"timestamp(a @ 100) < time() - 3600":               "",
		"timestamp(a) < timestamp(b) - 600":                "usual 0-33: timestamp(a) is at most 5m before time(), and timestamp(b) - 600 is between 10m and 15m before time(), so < never holds, as a series ends 5m after its last sample (the default of --query.lookback-delta)",
		// buckets
		"histogram_quantile(0.9, sum by (x) (rate(a_bucket[5m]))) > 1":     "sure 24-55: a quantile of a_bucket is taken without its label le, so it has no result",
		"histogram_quantile(0.9, sum by (x) (rate(a[5m]))) > 1":            "",
		"histogram_quantile(0.9, sum by (x, le) (rate(a_bucket[5m]))) > 1": "",
		// what exporters do
		"a_bytes < 0": "usual 0-11: a_bytes is at least 0, so < 0 never holds, as a size is not negative",
	} {
		t.Run(expr, func(t *testing.T) {
			e, err := ParseExpr(expr)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, by := range []Knowledge{Usual, Sure} {
				a := Analyze(e, nil, by)
				if !a.Of(e).Empty {
					continue
				}
				r := a.Reasons()[0]
				got = fmt.Sprintf("%s %d-%d: %s", []string{"sure", "usual"}[by], min(r.First.Start, r.Second.Start), max(r.First.End, r.Second.End), r.Text)
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestMetBySome(t *testing.T) {
	for _, tc := range []struct {
		matchers string
		mayMiss  bool
		want     bool
	}{
		{`=~ab?`, false, true},
		{`=~a*`, true, true},
		{`=~a*`, false, true},
		{`=~a{0}`, false, false},
		{`=~a{0}`, true, true},
		{`!~.+`, true, true},
		{`!~.+`, false, false},
		{`=~(a|b)+ !~[ab]*`, true, false},
		{`=~(a|b)+ !~[ab]{3}`, true, true},
		{`=~(?i)k !~k|K`, true, true}, // the sign of Kelvin
		{`=~(?i)k !~(?i)K`, true, false},
		{`=~.*foo.* !~.*oo.*`, true, false},
		{`=~.*foo.* !~foo`, true, true},
		{`=~[0-9]{3} !~[1-9][0-9]* !~0[0-9]+`, true, false},
		{`=~. !~[^\n]`, true, true}, // a dot is a line break too
		{`=~^a$ !~a`, true, false},
		{`=~a^b`, true, false},
		{`=~\bx !~x`, true, true}, // not decided
		{`=a !=a`, true, false},
		{`=~[a-z.*]+ =a.*`, true, true},
	} {
		var all []*labels.Matcher
		for _, text := range strings.Fields(tc.matchers) {
			kind, rest := labels.MatchEqual, strings.TrimPrefix(text, "=")
			for prefix, k := range map[string]labels.MatchType{"=~": labels.MatchRegexp, "!~": labels.MatchNotRegexp, "!=": labels.MatchNotEqual} {
				if after, ok := strings.CutPrefix(text, prefix); ok {
					kind, rest = k, after
				}
			}
			all = append(all, labels.MustNewMatcher(kind, "b", rest))
		}
		if got := metBySome(all, tc.mayMiss); got != tc.want {
			t.Errorf("%s, missing %v: %v", tc.matchers, tc.mayMiss, got)
		}
	}
}

func TestLasts(t *testing.T) {
	for expr, want := range map[string]string{
		"a unless a offset 1h":                         "1h 0-1 9-20: a unless a offset 1h holds for less than 1h after a series appears",
		"a offset 1h unless a":                         "1h 0-11 19-20: a offset 1h unless a holds for less than 1h after a series vanishes",
		"a offset 1h unless on (job) a offset 90m":     "30m 0-11 28-40: a offset 1h unless on (job) a offset 1h30m holds for less than 30m after a series appears",
		`a{x="1"} unless a offset 1h`:                  "1h 0-8 16-27: a{x=\"1\"} unless a offset 1h holds for less than 1h after a series appears",
		`a unless a{x="1"} offset 1h`:                  "",
		"a > 5 unless a offset 1h":                     "1h 0-5 13-24: a > 5 unless a offset 1h holds for less than 1h after a series appears",
		"a > 5 unless a offset 1h > 5":                 "1h 0-5 13-28: a > 5 unless a offset 1h > 5 holds for less than 1h after a series appears",
		"a > 5 unless a offset 1h > 6":                 "",
		"(a unless a offset 1h) and b > 0":             "1h 1-2 10-21: a unless a offset 1h holds for less than 1h after a series appears",
		"b and (a unless a offset 1h)":                 "",
		"sum(a unless a offset 1h) > 0":                "",
		"a unless b offset 1h":                         "",
		"a unless a":                                   "",
		"rate(a[5m]) > 0 unless rate(a[5m] offset 1h)": "1h 0-15 23-44: rate(a[5m]) > 0 unless rate(a[5m] offset 1h) holds for less than 1h after a series appears",
		"a > time() unless a offset 1h > time()":       "", // the clock goes on
		"a unless a offset 1h > time()":                "",
		"a unless a @ 100":                             "",
		"a unless max_over_time(a[1h:] offset 1h)":     "",
		"a == 0 and on (instance) a offset 1h > 0":     "1h 0-6 25-40: a == 0 and a offset 1h > 0 hold together for less than 1h, as an instance has one such series",
		"a == 0 and a offset 1h > 0":                   "1h 0-6 11-26: a == 0 and a offset 1h > 0 hold together for less than 1h",
	} {
		e, err := ParseExpr(expr)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if most, r, ok := Lasts(e, Usual); ok {
			at := func(p posrange.PositionRange) string { return fmt.Sprintf("%d-%d", p.Start, p.End) }
			got = fmt.Sprintf("%s %s %s: %s", model.Duration(most), at(r.First), at(r.Second), r.Text)
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", expr, got, want)
		}
	}
}
