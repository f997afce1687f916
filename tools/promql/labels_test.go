package promql

import "testing"

// results are expressions over a and b, which have any labels, with what their results have.
var results = map[string]string{
	"a":                                      "any label",
	"a > 1":                                  "any label",
	`a{x=""}`:                                "lost the label x",
	"rate(a[5m]) * 2":                        "any label",
	"sum(a)":                                 "no labels",
	"sum by (x, y) (a)":                      "no labels but x, y",
	"sum without (x) (a)":                    "lost the label x",
	"sum by (x) (sum by (y) (a))":            "no labels",
	"sum by (x) (sum without (x) (a))":       "no labels",
	"topk(1, sum by (x) (a))":                "no label but x",
	"topk by (x) (1, a)":                     "any label",
	`count_values by (x) ("v", a)`:           "no labels but v, x",
	"quantile(0.5, a)":                       "no labels",
	"a + on (x) b":                           "no label but x",
	"a > on (x) b":                           "no label but x",
	"a > ignoring (x) b":                     "lost the label x",
	"sum by (x, y) (a) / sum by (x) (b)":     "no label but x",
	"a * on (x) group_left (y) sum(b) by(x)": "lost the label y",
	"sum by (x, z) (a) * on (x) group_left (y) max by (x, y) (b)":    "no labels but x, y, z",
	"max by (x, y) (b) * on (x) group_right (y) sum by (x, z) (a)":   "no labels but x, y, z",
	"sum by (x, z) (a) * on (x, z) group_left (y) max by (x, y) (b)": "no labels but x, y",
	"sum by (x, z) (a) * ignoring (z) group_left max by (x) (b)":     "no labels but x, z",
	"a and sum(b)":                                       "no labels",
	"sum by (x) (a) unless on (x) b":                     "no label but x",
	"sum by (x) (a) or sum by (y) (b)":                   "no labels but x, y",
	"(sum by (x) (a) or vector(0)) > -1":                 "no label but x",
	"sum by (x) (a) or a":                                "any label",
	`absent(a{x="1", y=~"2"})`:                           "no label but x",
	`absent(nothing{x="1", y=~"2", z="1", z!="2"})`:      "no label but x",
	`absent(nothing{x="1"} > 1)`:                         "no labels",
	`absent((nothing{x="1"}))`:                           "no label but x",
	`absent_over_time(nothing{x="1"}[5m])`:               "no label but x",
	"vector(1)":                                          "no labels",
	"time() > 1":                                         "",
	"hour() > -1":                                        "no labels",
	"hour(a)":                                            "any label",
	"scalar(a) + vector(1)":                              "no labels",
	"1 + sum by (x) (a)":                                 "no label but x",
	`label_replace(sum(a), "n", "$1", "x", ".*")`:        "no label but n",
	`label_replace(vector(1), "n", "v", "", "")`:         "no label but n",
	`label_join(sum by (x) (a), "n", "-", "x", "y")`:     "no labels but n, x",
	"histogram_quantile(0.9, rate(h_bucket[5m]))":        "lost the label le",
	"histogram_quantile(0.9, sum by (le, x) (h_bucket))": "no label but x",
	"max_over_time(sum by (x) (a)[5m:1m])":               "no label but x",
	"-sum by (x) (a)":                                    "no label but x",
	"(((sum by (x) (a))))":                               "no label but x",
	"sum by (x) (a) == bool 2":                           "no label but x",
	"a * on () group_left (x) max(b)":                    "lost the label x",
	"group without (x, y) (a) > on (z) group_left a":     "lost the labels x, y",
	"sort_desc(sum by (x) (a))":                          "no label but x",
	"clamp_max(sum by (x) (a), 3)":                       "no label but x",
	"round(sum by (x) (a), 0.1) offset 1s":               "",
	"job:a:sum":                                          "no labels but job, team",
	"cycle:a":                                            "any label",
	"recorded_plainly":                                   "any label",
}

func TestLabels(t *testing.T) {
	var recordings []Recording
	for _, r := range []struct {
		name, expr string
		labels     map[string]string
	}{
		{"job:a:sum", "sum by (job, x) (a)", map[string]string{"team": "t", "x": ""}},
		{"cycle:a", "sum by (x) (a) or cycle:b", nil},
		{"cycle:b", "max_over_time(cycle:a[5m])", nil},
		{"recorded_plainly", "sum(a)", nil}, // an exporter may have a metric of that name
	} {
		recordings = append(recordings, Recording{Name: r.name, Expr: parsed(t, r.expr), Labels: r.labels})
	}
	for source, want := range results {
		if want == "" {
			continue
		}
		expr := parsed(t, source)
		if got := Analyze(expr, Know(recordings, nil), Sure).Of(expr).Labels.String(); got != want {
			t.Errorf("%s has %s, want %s", source, got, want)
		}
	}
}
