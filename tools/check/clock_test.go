package check

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// Each group, or the first of several, is wrong in one place, or in none.
func TestClock(t *testing.T) {
	const (
		everyMinute = "global: {scrape_interval: 15s}\nscrape_configs: [{job_name: a}, {job_name: slow, scrape_interval: 1m}]\n"
		unknown     = ""
	)
	for name, tc := range map[string]struct {
		prometheus string
		groups     string
		want       string
	}{
		// for
		"a for below the interval":      {unknown, "- {name: g, interval: 1m, rules: [{alert: A, expr: x > 0, for: 10s}]}", "warning a.yml:2:64 rule/for: A is evaluated every 1m, so that with a for of 10s it fires after 1m"},
		"no multiple":                   {unknown, "- {name: g, interval: 1m, rules: [{alert: A, expr: x > 0, for: 90s}]}", "warning a.yml:2:64 rule/for: .* fires after 2m"},
		"a multiple":                    {unknown, "- {name: g, interval: 1m, rules: [{alert: A, expr: x > 0, for: 2m}]}", ""},
		"an interval that is not known": {unknown, "- {name: g, rules: [{alert: A, expr: x > 0, for: 10s}]}", ""},
		"the interval of all groups":    {everyMinute, "- {name: g, rules: [{alert: A, expr: x > 0, for: 10s}]}", "warning a.yml:2:50 rule/for: .* every 1m"},
		"the interval in configuration": {"global: {evaluation_interval: 10s}", "- {name: g, rules: [{alert: A, expr: x > 0, for: 10s}]}", ""},
		"for with topk":                 {unknown, "- {name: g, rules: [{alert: A, expr: 'topk(3, x) > 0', for: 1m}]}", `warning a.yml:2:39 rule/for: .* topk\(\) can choose other series`},
		"topk by groups":                {unknown, "- {name: g, rules: [{alert: A, expr: 'topk by (pod) (1, x) > 0', for: 1m}]}", ""},
		"a sum of topk":                 {unknown, "- {name: g, rules: [{alert: A, expr: 'sum(topk(3, x)) > 0', for: 1m}]}", ""},
		// ranges
		"under two scrapes":              {everyMinute, "- {name: g, rules: [{alert: A, expr: 'rate(x{job=\"slow\"}[90s]) > 0'}]}", "warning a.yml:2:44 expr/range: .* scraped every 1m: a range of 1m30s holds one sample alone at times.*at least 4m"},
		"one scrape":                     {everyMinute, "- {name: g, rules: [{alert: A, expr: 'rate(x{job=\"slow\"}[1m]) > 0'}]}", "warning a.yml:2:44 expr/range: .* never holds two samples"},
		"under four scrapes":             {everyMinute, "- {name: g, rules: [{alert: A, expr: 'rate(x{job=\"slow\"}[3m]) > 0'}]}", "warning a.yml:2:44 expr/range: .* fewer than four samples"},
		"four scrapes":                   {everyMinute, "- {name: g, rules: [{alert: A, expr: 'rate(x{job=\"slow\"}[4m]) > 0'}]}", ""},
		"the shortest scrape":            {everyMinute, "- {name: g, interval: 15s, rules: [{alert: A, expr: 'rate(x[1m]) > 0'}]}", ""},
		"other scrapes in other files":   {everyMinute + "scrape_config_files: [x]", "- {name: g, interval: 15s, rules: [{alert: A, expr: 'rate(x[15s]) > 0'}]}", ""},
		"once for a rule":                {everyMinute, "- {name: g, interval: 15s, rules: [{alert: A, expr: 'rate(x[30s]) / rate(y[30s]) > 0'}]}", "warning a.yml:2:59 expr/range: .* of x.* fewer than four samples"},
		"no sample at times":             {everyMinute, "- {name: g, rules: [{alert: A, expr: 'avg_over_time(x{job=\"slow\"}[30s]) > 0'}]}", "warning a.yml:2:53 expr/range: .* holds no sample at times"},
		"an average of some of the time": {unknown, "- {name: g, interval: 10m, rules: [{alert: A, expr: 'avg_over_time(x[5m]) > 0'}]}", ""},
		"a maximum of some of the time":  {unknown, "- {name: g, interval: 10m, rules: [{alert: A, expr: 'max_over_time(x[5m]) > 0'}]}", "warning a.yml:2:68 expr/range: .* in the other 5m is never seen"},
		"an increase of all of the time": {unknown, "- {name: g, interval: 5m, rules: [{alert: A, expr: 'increase(x[10m]) > 0'}]}", ""},
		"a rate of all of the time":      {unknown, "- {name: g, interval: 5m, rules: [{alert: A, expr: 'rate(x[5m]) > 0'}]}", ""},
		"an increase that joins":         {everyMinute, "- {name: g, rules: [{alert: A, expr: 'increase(x[75s]) > 0'}]}", ""},
		"an increase that hardly joins":  {everyMinute, "- {name: g, rules: [{alert: A, expr: 'increase(x[70s]) > 0'}]}", "warning a.yml:2:48 expr/range: .* between the last sample"},
		// subqueries
		"a step above the range":     {unknown, "- {name: g, rules: [{alert: A, expr: 'max_over_time(x[5m:10m]) > 0'}]}", "warning a.yml:2:53 expr/range: .* evaluated every 10m: a range of 5m holds no sample at times"},
		"a rate of one step":         {unknown, "- {name: g, rules: [{alert: A, expr: 'deriv(x[5m:5m]) > 0'}]}", "error a.yml:2:45 expr/range: .* never holds two samples"},
		"a rate of hardly two steps": {unknown, "- {name: g, rules: [{alert: A, expr: 'deriv(x[9m:5m]) > 0'}]}", "warning a.yml:2:45 expr/range: .* one sample alone at times"},
		"a rate of two steps":        {unknown, "- {name: g, rules: [{alert: A, expr: 'deriv(x[10m:5m]) > 0'}]}", ""},
		"blind between steps":        {unknown, "- {name: g, rules: [{alert: A, expr: 'max_over_time(rate(x[1m])[1h:5m]) > 0'}]}", "warning a.yml:2:58 expr/range: .* in the other 4m is never seen"},
		"a step that is not known":   {unknown, "- {name: g, rules: [{alert: A, expr: 'deriv(x[1m:]) > 0'}]}", ""},
		"a step that is":             {everyMinute, "- {name: g, rules: [{alert: A, expr: 'deriv(x[1m:]) > 0'}]}", "error a.yml:2:45 expr/range: .*"},
		// recordings
		"stale in between": {unknown, "- {name: w, interval: 10m, rules: [{record: r:x, expr: sum(x)}]}\n- {name: g, rules: [{alert: A, expr: 'r:x > 0'}]}", `warning a.yml:3:39 expr/stale: .* r:x, which r/a.yml:2 records every 10m, is stale 5m after .* last_over_time\(…\[20m\]\)`},
		"recorded often":   {unknown, "- {name: w, interval: 5m, rules: [{record: r:x, expr: sum(x)}]}\n- {name: g, rules: [{alert: A, expr: 'r:x > 0'}]}", ""},
		"the last of them": {unknown, "- {name: w, interval: 10m, rules: [{record: r:x, expr: sum(x)}]}\n- {name: g, interval: 1m, rules: [{alert: A, expr: 'last_over_time(r:x[20m]) > 0', for: 15m}]}", ""},
		"a for that can":   {unknown, "- {name: w, interval: 10m, rules: [{record: r:x, expr: sum(x)}]}\n- {name: g, interval: 1m, rules: [{alert: A, expr: 'r:x > 0', for: 4m}]}", "warning a.yml:3:53 expr/stale: .*"},
		"a for that never": {unknown, "- {name: w, interval: 10m, rules: [{record: r:x, expr: sum(x)}]}\n- {name: g, interval: 1m, rules: [{alert: A, expr: 'sum(r:x) > 0', for: 5m}]}", "error a.yml:3:57 rule/for: .* never passes"},
		"one of two":       {unknown, "- {name: w, interval: 10m, rules: [{record: r:x, expr: sum(x)}]}\n- {name: g, interval: 1m, rules: [{alert: A, expr: 'r:x > 0 or y > 0', for: 5m}]}", "warning a.yml:3:53 expr/stale: .*"},
		"a rate of one":    {unknown, "- {name: w, interval: 10m, rules: [{record: r:x, expr: max(x)}]}\n- {name: g, rules: [{alert: A, expr: 'deriv(r:x[10m]) > 0'}]}", "error a.yml:3:45 expr/range: .* recorded every 10m: a range of 10m never holds two samples: make the range at least 20m"},
		"in one group":     {unknown, "- {name: g, interval: 10m, rules: [{record: r:x, expr: max(x)}, {alert: A, expr: 'r:x > 0', for: 20m}]}", ""},
		// order
		"read too early":         {unknown, "- {name: g, rules: [{alert: A, expr: 'r:x > 0'}, {record: r:x, expr: max(x)}]}", `warning a.yml:2:39 rule/order: .* r:x is recorded after this rule \(r/a.yml:2\)`},
		"read far too early":     {unknown, "- {name: g, interval: 5m, rules: [{alert: A, expr: 'r:x > 0'}, {record: r:x, expr: max(x)}]}", `error a.yml:2:53 rule/order: .* stale by now`},
		"read after":             {unknown, "- {name: g, rules: [{record: r:x, expr: max(x)}, {alert: A, expr: 'r:x > 0'}]}", ""},
		"read from itself":       {unknown, "- {name: g, rules: [{record: r:x, expr: max(x) or r:x}, {alert: A, expr: 'y > 0'}]}", ""},
		"read in another group":  {unknown, "- {name: g, rules: [{alert: A, expr: 'r:x > 0'}]}\n- {name: w, rules: [{record: r:x, expr: max(x)}]}", ""},
		"read as it was earlier": {unknown, "- {name: g, rules: [{alert: A, expr: 'r:x offset 1m > 0'}, {record: r:x, expr: max(x)}]}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.yml")
			writeFile(t, file, "groups:\n"+tc.groups+"\n")
			in := Inputs{}
			if tc.prometheus != unknown {
				in.Prometheus = filepath.Join(filepath.Dir(file), "prometheus.yml")
				writeFile(t, in.Prometheus, tc.prometheus)
			}
			got := meaningOf(t, in, file)
			NewWithT(t).Expect(strings.Join(got, "\n")).To(MatchRegexp("^" + tc.want + ".*$"))
			if tc.want == "" {
				NewWithT(t).Expect(got).To(BeEmpty())
			}
		})
	}
}

func TestScrapeInterval(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.yml")
	writeFile(t, file, head+"  - {alert: A, expr: 'rate(x[1m]) > 0'}\n")
	g := NewWithT(t)
	g.Expect(meaningOf(t, Inputs{ScrapeInterval: 30 * time.Second}, file)).To(ConsistOf(MatchRegexp("^warning a.yml:4:28 expr/range: .* fewer than four samples")))
	g.Expect(meaningOf(t, Inputs{ScrapeInterval: 15 * time.Second}, file)).To(BeEmpty())
}

func TestPrometheusThatIsNoConfiguration(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "r/a.yml", head+"  - {alert: A, expr: x > 0}\n")
	for _, content := range []string{"global: []", "global: {evaluation_interval: soon}", "\t"} {
		writeFile(t, "p.yml", content)
		_, _, err := Run(t.Context(), Inputs{Rules: "r", Prometheus: "p.yml"})
		NewWithT(t).Expect(err).To(MatchError(MatchRegexp(`^p.yml: .*: fix it until Prometheus loads it$`)))
	}
	_, _, err := Run(t.Context(), Inputs{Rules: "r", Prometheus: "q.yml"})
	NewWithT(t).Expect(err).To(MatchError(HavePrefix("q.yml: ")))
}
