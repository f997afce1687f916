package witness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/stemedb/firedrill/tools/evaluate"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// The search does not panic, and an alert of which it says that it fires does so at the input that it gives.
func TestFiresAsSaid(t *testing.T) {
	for _, expr := range []string{
		"a > 1 and b < 2 or c",
		"sum by (x) (rate(a_total[5m])) / 3 > 0.1 unless on (x) b == 1",
		"absent(a) or vector(1)",
		"histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m]))) > 1",
		"histogram_quantile(0.9, sum(rate(h_bucket[5m]))) > 1",
		"histogram_fraction(0, 0.2, rate(h[5m])) < 0.9",
		`label_replace(a, "n", "$1", "x", ".*") == bool 2`,
		`label_join(a, "n", "-", "x", "y") and on (n) b`,
		"count(up == 0) >= 3",
		"avg_over_time(up[5m]) < 0.5",
		"time() - a_timestamp_seconds > 3600",
		"(a == 0) and on (instance) (a offset 1h > 0)",
		"a offset 10m unless a",
		"max_over_time(sum_over_time(rate(a_total[5m])[30m:1m])[2h:5m]) > 5",
		"a @ 1700000000 > 5",
		"a * on (x) group_right (y) b > NaN",
		"a > 1e308 or a < -Inf",
		`{"a b", "c.d"="e"} > 5`,
		`{__name__=~".+"} > 5`,
		`ALERTS{alertname="A"} == 1`,
		`count_values("v", a) > 1`,
		"hour() == 3 and on () a",
		"a % 5 > 4 and a ^ 2 > 10",
		"topk(0, a) or bottomk(2, a) > 0",
		"info(a) > 1",
	} {
		t.Run(expr, func(t *testing.T) {
			set, ok := alerting(t, expr)
			if !ok {
				t.Fatal("not a rule that Prometheus loads")
			}
			found, err := Find(t.Context(), set, set.Alerts, DefaultInterval)
			if err != nil {
				t.Fatal(err)
			}
			if found[0].Answer == Fires {
				firesAsSaid(t, set, found[0])
			}
		})
	}
}

// alerting is a set with one alert, and whether it can be loaded.
func alerting(t *testing.T, expr string) (rule.Set, bool) {
	t.Helper()
	content, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{
		"name": "g", "rules": []any{map[string]any{"alert": "A", "expr": expr}},
	}}})
	if err != nil {
		return rule.Set{}, false
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := rule.Read(file)
	return set, err == nil && len(set.Alerts) == 1
}

// firesAsSaid evaluates the rules over the input of an answer, and compares with what the answer says of it.
func firesAsSaid(t *testing.T, set rule.Set, r Result) {
	t.Helper()
	data, err := parsed(r.Input.Series, r.Input.Start, r.Input.Interval)
	if err != nil {
		t.Fatalf("%s: %v", r.Alert.Expr, err)
	}
	c := evaluate.New(evaluate.Options{Features: promql.Features, MaxSamples: searchSamples})
	all, err := c.Set(set)
	if err != nil {
		t.Fatal(err)
	}
	own := all.Find(r.Alert)
	for _, check := range r.Input.Checks {
		run, err := all.Needed([]*evaluate.Rule{own}).Run(t.Context(), evaluate.Input{
			Data: evaluate.NewData(data), Start: r.Input.Start, Interval: DefaultInterval, Length: check.At, Watch: []*evaluate.Rule{own},
		})
		if err != nil {
			t.Fatalf("%s: %v", r.Alert.Expr, err)
		}
		at := r.Input.Start
		if at.IsZero() {
			at = time.Unix(0, 0)
		}
		firing := run.At(own, at.Add(check.At)).Firing
		run.Close()
		if len(firing) != len(check.Firing) {
			var input strings.Builder
			for _, s := range r.Input.Series {
				input.WriteString("\n  " + s.Series + " " + s.Values)
			}
			t.Errorf("%s: at %s, %d alerts fire, not %d, with%s", r.Alert.Expr, check.At, len(firing), len(check.Firing), &input)
		}
	}
}
