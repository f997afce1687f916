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
		name := w.pick("a", "a", "b", "b", "up", "c_total", "d_info", "e_bytes", "h_bucket")
		ls := map[string]string{model.MetricNameLabel: name}
		for _, label := range []string{"job", "instance", "x", "y"} {
			if w.usual || (label == "job" || label == "instance") && name == "up" || w.IntN(2) == 0 {
				ls[label] = w.pick("1", "2")
			}
		}
		if name == "h_bucket" {
			ls["le"] = w.pick("1", "2", "+Inf")
		}
		s := engine.Series{Metric: labels.FromMap(ls)}
		if seen[s.Metric.String()] {
			continue
		}
		seen[s.Metric.String()] = true
		v := w.value()
		missing := 8
		if w.IntN(3) == 0 {
			missing = 1 + w.IntN(3) // most samples, so that the others become old
		}
		for i := range steps {
			if missing > 3 && w.IntN(missing) == 0 || missing <= 3 && w.IntN(2+missing) > 0 {
				continue
			}
			if w.IntN(2) == 0 {
				v = w.value()
			}
			f := v
			switch {
			case name == "up":
				f = float64(w.IntN(2))
			case w.usual && (name == "c_total" || name == "h_bucket"):
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
	return name + w.pick("job", "instance", "x", "y") + w.pick(`="1"`, `="2"`, `=""`, `!=""`, `=~"1|2"`, `=~".+"`, `!="1"`, `=~"1.*"`,
		`!~".*"`, `!~".+"`, `=~"1", `+w.pick("job", "x")+`!~"1.*"`, `=~"1.*", `+w.pick("job", "x")+`!~"(1|2)?"`, `=~"[13]+", x=~"[23]?|1"`) + "}"
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

// moment is a comparison of moments.
func (w *world) moment() string {
	seconds := w.pick("60", "180", "240", "290", "300", "310", "420", "600")
	of := w.pick("a", "b", "a offset 2m", "(a > 1)", "sum by (job) (b)", "b offset -1m")
	stamp := w.pick("timestamp("+of+")", "timestamp("+of+")", "vector(time())", "max by (job) (timestamp("+of+"))",
		"max_over_time(timestamp("+of+")[3m:1m])", "min_over_time(timestamp("+of+")[4m:1m] offset 1m)", "scalar(timestamp("+of+"))")
	if strings.HasPrefix(stamp, "scalar") {
		stamp = "vector(" + stamp + ")"
	}
	return w.pick(
		fmt.Sprintf("(%s %s time() - %s)", stamp, w.comparison(), seconds),
		fmt.Sprintf("(time() - %s %s %s)", stamp, w.comparison(), seconds),
		fmt.Sprintf("(time() %s %s + %s)", w.comparison(), stamp, seconds),
		fmt.Sprintf("(%s %s %s - %s)", stamp, w.comparison(), "timestamp("+w.pick("a", "b", "(b)", "b > 0")+")", seconds),
		fmt.Sprintf("(%s - %s %s time() - %s)", w.number(), stamp, w.comparison(), seconds),
		fmt.Sprintf("((%s or %s) %s time() %s %s)", stamp, w.pick("timestamp(b)", "vector(time())", "a", "b"), w.comparison(), w.pick("+", "-"), seconds))
}

// share is a quotient that may be that of a part and the whole.
func (w *world) share(v func() string) string {
	matching := w.pick("", "", "", "on (job)", "ignoring (x)", "on (job) group_left ()", "ignoring (x, y) group_left ()")
	form := w.pick("a%s", "up%s", "rate(c_total%s[4m])", "e_bytes%s", "abs(a%s)", "abs(a%s)")
	name := fmt.Sprintf(form, "")
	selected := func() string {
		return fmt.Sprintf(form, "{"+w.pick(`x="1"`, `x!=""`, `x!="2"`, `job="1",x="2"`, `x=~"1.*"`)+"}")
	}
	op, by := w.pick("sum", "sum", "count", "max", "avg", "min"), w.pick("by (job)", "by (job, x)", "without (x)", "")
	group := func(of string) string {
		return op + " " + w.pick(by, by, by, by, "by (job)", "by (job, y)", "") + " (" + of + ")"
	}
	other := w.pick("e_bytes", "abs(b)", "b", "up", v(), group("e_bytes"), group("abs(b)"))
	one, whole := name, name
	if w.IntN(3) == 0 { // the part of other series
		some, on := fmt.Sprintf("(%s and %s %s)", name, w.pick("", "on (x)"), w.pick(selected(), "b")), w.pick("on (job)", "on (job) group_left ()", "ignoring (x)", "ignoring (x, y) group_left ()")
		return w.pick(fmt.Sprintf("(%s / %s %s)", name, on, some), fmt.Sprintf("(%s / (abs(b) + %s %s))", name, on, some), fmt.Sprintf("(%s / (%s + %s abs(b)))", name, some, on))
	}
	switch w.IntN(6) {
	case 0:
		one, whole = w.pick(name, selected()), w.pick(name, selected())
	case 1:
		one, whole = group(selected()), group(name)
	case 2:
		one, whole = group(name+" "+w.comparison()+" "+w.number()), group(name)
	case 3:
		one, whole = group(name), group(name)
	case 4:
		one, whole = group(w.pick(name, selected())), group(selected())
	}
	whole = w.pick(whole, whole, fmt.Sprintf("(%s + %s %s)", whole, w.pick("", matching), other), fmt.Sprintf("(%s + %s)", other, whole), fmt.Sprintf("(%s - %s)", whole, other), fmt.Sprintf("(%s and %s)", whole, other))
	whole = w.pick(whole, whole, "clamp_min("+whole+", 1)", "("+whole+" > 0)", "(2 * "+whole+")", "("+whole+" + 1)", "("+whole+" or "+other+")", "clamp_max("+whole+", 2)")
	one = w.pick(one, one, one, w.pick("100", "0.5", "-1")+" * "+one, "("+one+" > 0)", "("+one+" - "+other+")", "("+one+" + "+other+")", "clamp_max("+one+", 1)", "("+one+" * 2)")
	q := fmt.Sprintf("(%s / %s %s)", one, matching, whole)
	q = w.pick(q, q, q+" * 100", "(1 - "+q+")")
	return fmt.Sprintf("(%s %s %s)", q, w.comparison(), w.pick("0", "0.5", "1", "2", "3", "50", "100", "200", "-0.5"))
}

// passing is a condition that lasts for a time only.
func (w *world) passing() string {
	x := w.pick("a", "b", `a{x="1"}`, "c_total", "up")
	offset := fmt.Sprintf(" offset %dm", 1+w.IntN(5))
	left, right := x, x
	if x == "a" && w.IntN(2) == 0 {
		left, right = w.pick(`a{x="1"}`, `a{x=~"1|2"}`, "a"), w.pick(`a{x="1"}`, `a{x!=""}`)
	}
	switch w.IntN(3) {
	case 0:
		right += offset
	case 1:
		left += offset
	case 2:
		left, right = left+offset, right+fmt.Sprintf(" offset %dm", 1+w.IntN(5))
	}
	f := w.pick("", "", "abs", "changes")
	if f == "changes" {
		ranged := func(of string) string {
			at, offset, moved := strings.Cut(of, " ")
			if moved {
				offset = " " + offset
			}
			return at + "[3m]" + offset
		}
		left, right = ranged(left), ranged(right)
	}
	if f != "" {
		left, right = f+"("+left+")", f+"("+right+")"
	}
	if w.IntN(3) == 0 {
		left = "(" + left + " " + w.comparison() + " " + w.number() + ")"
	}
	if w.IntN(5) == 0 {
		right = "(" + right + " " + w.comparison() + " " + w.number() + ")"
	}
	expr := fmt.Sprintf("(%s unless %s %s)", left, w.pick("", "", "on (job)", "ignoring (x)"), right)
	if w.IntN(3) == 0 {
		expr = fmt.Sprintf("(%s == 0 and %s > %s)", x, x+offset, w.pick("0", "1", "-1"))
	}
	return w.pick(expr, expr, expr+" and b", expr+" > 0")
}

func (w *world) vector(depth int) string {
	if depth <= 0 {
		if w.IntN(6) == 0 {
			return "vector(" + w.number() + ")"
		}
		return w.selector()
	}
	v := func() string { return w.vector(depth - 1) }
	switch w.IntN(20) {
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
	case 16:
		return w.moment()
	case 17:
		return w.share(v)
	case 18:
		return fmt.Sprintf("histogram_quantile(%s, %s (%s) (rate(h_bucket[5m])))", w.pick("0.5", "0.9", "2"), w.pick("sum by", "sum without", "max by"), w.pick("le", "job", "le, job", "x", ""))
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
