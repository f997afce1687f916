package promql_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	engine "github.com/prometheus/prometheus/promql"
)

const steps = 20 // of a minute

// world makes random series and random expressions over them.
type world struct {
	*rand.Rand
	usual bool // as exporters make them
}

func (w *world) pick(from ...string) string { return from[w.IntN(len(from))] }

func (w *world) series() (all []engine.Series) {
	seen := map[string]bool{}
	for range 2 + w.IntN(14) {
		name := w.pick("a", "a", "b", "b", "up", "c_total", "d_info", "e_bytes")
		ls := map[string]string{model.MetricNameLabel: name}
		for _, label := range []string{"job", "instance", "x", "y"} {
			if w.usual || (label == "job" || label == "instance") && name == "up" || w.IntN(2) == 0 {
				ls[label] = w.pick("1", "2")
			}
		}
		s := engine.Series{Metric: labels.FromMap(ls)}
		if seen[s.Metric.String()] {
			continue
		}
		seen[s.Metric.String()] = true
		v := w.value()
		for i := range steps {
			if w.IntN(8) == 0 {
				continue
			}
			if w.IntN(2) == 0 {
				v = w.value()
			}
			f := v
			switch {
			case name == "up":
				f = float64(w.IntN(2))
			case w.usual && name == "c_total":
				f = float64(i) * 2
				if w.IntN(6) == 0 {
					f = 0
				}
			case w.usual && name == "d_info":
				f = 1
			case w.usual && name == "e_bytes":
				f = math.Abs(v)
			}
			s.Floats = append(s.Floats, engine.FPoint{T: int64(i) * 60_000, F: f})
		}
		all = append(all, s)
	}
	return all
}

func (w *world) value() float64 {
	if w.IntN(30) == 0 && !w.usual {
		return []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[w.IntN(3)]
	}
	return float64(w.IntN(9)-3) / []float64{1, 1, 2}[w.IntN(3)]
}

func (w *world) number() string { return w.pick("0", "0", "1", "1", "2", "-1", "0.5", "3", "100") }

func (w *world) comparison() string { return w.pick("==", "!=", ">", "<", ">=", "<=") }

func (w *world) selector() string {
	name := w.pick("a", "a", "b", "up", "c_total", "d_info", "e_bytes", "job:a:sum", "job:b:one", `{__name__=~"a|b"`)
	if w.IntN(2) == 0 {
		if strings.HasPrefix(name, "{") {
			return name + "}"
		}
		return name
	}
	if !strings.HasPrefix(name, "{") {
		name += "{"
	} else {
		name += ","
	}
	return name + w.pick("job", "instance", "x", "y") + w.pick(`="1"`, `="2"`, `=""`, `!=""`, `=~"1|2"`, `=~".+"`, `!="1"`, `=~"1.*"`) + "}"
}

func (w *world) ranged() string {
	if w.usual {
		return w.pick("c_total", `c_total{x="1"}`) + "[3m]"
	}
	return w.selector() + "[3m]"
}

func (w *world) names() string {
	return w.pick("", "job", "x", "job, x", "instance, job", "y", "job, instance, x, y")
}

func (w *world) scalar(depth int) string {
	switch w.IntN(6) {
	case 0:
		return "scalar(" + w.vector(depth-1) + ")"
	case 1:
		return w.pick("time()", "1 / 2", "-(1)", "2 > bool 1", "hour(vector(0)) * 0 + 1")
	}
	return w.number()
}

func (w *world) vector(depth int) string {
	if depth <= 0 {
		if w.IntN(6) == 0 {
			return "vector(" + w.number() + ")"
		}
		return w.selector()
	}
	v := func() string { return w.vector(depth - 1) }
	switch w.IntN(17) {
	case 0, 1, 2:
		number := w.number()
		if w.IntN(5) == 0 {
			number = "scalar(" + v() + ")"
		}
		if w.IntN(4) == 0 {
			return fmt.Sprintf("(%s %s %s %s)", number, w.comparison(), w.pick("", "", "bool"), v())
		}
		return fmt.Sprintf("(%s %s %s %s)", v(), w.comparison(), w.pick("", "", "bool"), number)
	case 3, 4:
		return fmt.Sprintf("(%s %s %s %s %s)", v(), w.pick("==", "!=", ">", "<", ">=", "<=", "+", "-", "*", "/", "%", "^"),
			w.pick("", "", "on ("+w.names()+")", "ignoring ("+w.names()+")", "on (job) group_left ("+w.pick("", "x", "y")+")", "ignoring (x) group_right ("+w.pick("", "x")+")"), "", v())
	case 5, 6, 7:
		return fmt.Sprintf("(%s %s %s %s)", v(), w.pick("and", "and", "or", "unless"), w.pick("", "", "on ("+w.names()+")", "ignoring ("+w.names()+")"), v())
	case 8, 9:
		return fmt.Sprintf("%s %s (%s) (%s)", w.pick("sum", "count", "min", "max", "avg", "group", "stddev"), w.pick("by", "by", "without"), w.names(), v())
	case 10:
		return w.pick("topk(1, ", "bottomk(2, ", "quantile(0.5, ", "quantile(2, ", `count_values("v", `, "limitk(1, ", "sum(", "count(") + v() + ")"
	case 11:
		return w.pick("rate", "increase", "irate", "changes", "resets") + "(" + w.ranged() + ")"
	case 12:
		return w.pick("avg_over_time(", "min_over_time(", "sum_over_time(", "last_over_time(", "count_over_time(", "quantile_over_time(0.5, ",
			"stddev_over_time(", "delta(", "absent_over_time(", "present_over_time(", "predict_linear(") + v() + "[3m:1m]" + w.pick("", " offset 2m") + w.pick(")")
	case 13:
		return w.pick("abs(", "ceil(", "floor(", "round(", "sqrt(", "exp(", "sgn(", "sort(", "absent(", "absent(", "hour(", "-(", "timestamp(") + v() + ")"
	case 14:
		return w.pick("clamp_min("+v()+", 0)", "clamp_max("+v()+", 1)", "clamp("+v()+", 0, 1)")
	case 15:
		return fmt.Sprintf("label_replace(%s, %q, %q, %q, %q)", v(), w.pick("x", "y", "job"), w.pick("1", "2", "$1", ""), w.pick("x", "z", "job"), w.pick("(.*)", "", "1", "(.+)"))
	}
	// Parts that are the same, or nearly so.
	same := w.vector(depth - 2)
	relabeled := func(expr string) string {
		return fmt.Sprintf("label_replace(%s, %q, %q, %q, %q)", expr, w.pick("x", "y", "v"), w.pick("1", "$1"), w.pick("x", "y", "v"), "(.*)")
	}
	names := w.names()
	narrow := w.selector()
	return w.pick(
		fmt.Sprintf("(%s %s %s %s %s %s %s)", same, w.comparison(), w.number(), w.pick("and", "unless", "or"), same, w.comparison(), w.number()),
		fmt.Sprintf("(%s %s %s)", same, w.pick("/", "-", "<", ">=", "==", "*"), same),
		fmt.Sprintf("(2 / a * %s)", narrow),
		fmt.Sprintf("%s %s (%s) (%s)", w.pick("sum", "max", "count", "avg"), w.pick("by", "without"), w.names(), relabeled(relabeled(same))),
		fmt.Sprintf("%s by (%s) (%s by (%s) (%s) %s)", w.pick("sum", "max", "avg"), w.pick(names, w.names()), w.pick("sum", "count"), names, same, w.pick("", "* 2", "> 1")),
		fmt.Sprintf("(%s > %s unless (%s > %s))", same, w.number(), w.pick("topk(1, "+same+")", "("+same+" and "+narrow+")", "("+same+" < 3)", "("+same+" unless b)"), w.number()),
		fmt.Sprintf("(%s %s %s and %s %s %s)", `{__name__=~"a|b"}`, w.comparison(), w.number(), `{__name__=~"a|b"}`, w.comparison(), w.number()),
		fmt.Sprintf("(%s or %s vector(%s))", same, w.pick("", "on ()"), w.number()))
}
