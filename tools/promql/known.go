package promql

import (
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Recording is a rule that records a metric.
type Recording struct {
	Name   string
	Expr   parser.Expr
	Labels map[string]string // those that it adds; one that is empty removes
	Place  string            // for messages, as in rules.yml:4
	Turn   Turn
}

// Turn is when a rule is evaluated.
type Turn struct {
	Group string        // by any name that no other group has
	Order int           // of the rule among those of its group
	Every time.Duration // 0 where it is not known
}

// Known is what is known beside an expression. It is not safe for concurrent use.
type Known struct {
	recordings map[string][]Recording
	exported   func(name string) (l Labels, known bool)
	buckets    func(name string) []float64
	derived    map[derivation]Facts
	facts      map[part]Facts
	reasons    map[part][]Reason
	keys       map[parser.Expr]string // canonical forms
	text       *Known                 // what is known without recordings; nil until it is asked for
}

type derivation struct {
	name string
	by   Knowledge
}

type part struct {
	expr parser.Expr
	by   Knowledge
}

// Know takes what rules record and, unless it is nil, what is exported under a name: its labels, and whether it is.
func Know(recordings []Recording, exported func(name string) (Labels, bool)) *Known {
	k := &Known{recordings: map[string][]Recording{}, exported: exported, derived: map[derivation]Facts{},
		facts: map[part]Facts{}, reasons: map[part][]Reason{}, keys: map[parser.Expr]string{}}
	for _, r := range recordings {
		k.recordings[r.Name] = append(k.recordings[r.Name], r)
	}
	return k
}

// ofText is what is known by the text of an expression alone.
func (k *Known) ofText() *Known {
	if k.text == nil {
		k.text = Know(nil, nil)
	}
	return k.text
}

// Recorded returns the rules that record a metric.
func (k *Known) Recorded(name string) []Recording { return k.recordings[name] }

// WithBuckets adds the finite bounds of the buckets that are exported under a name, in order; none where they are not known.
func (k *Known) WithBuckets(of func(name string) []float64) *Known {
	k.buckets = of
	return k
}

// isRecorded reports whether rules record a metric and, as far as its name tells, no target exports it: without an
// inventory, a name that any exporter could have given may be an exporter's too.
func (k *Known) isRecorded(name string) bool {
	return len(k.recordings[name]) > 0 && (k.exported != nil || strings.Contains(name, ":"))
}

// IsScrapeMetric reports whether Prometheus makes a metric itself at each scrape.
func IsScrapeMetric(name string) bool { return name == "up" || strings.HasPrefix(name, "scrape_") }

// NameOf returns the name of the metric that a selector asks for; empty where it asks for several.
func NameOf(e *parser.VectorSelector) string {
	for _, m := range e.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

// Metric returns what is known of all series of a name.
func (k *Known) Metric(name string, by Knowledge) Facts {
	recordings := k.recordings[name]
	exportedLabels, known := AnyLabels, false
	if k.exported != nil {
		exportedLabels, known = k.exported(name)
	}
	if !k.isRecorded(name) {
		return named(name, exportedLabels, by, len(recordings) > 0)
	}
	key := derivation{name, by}
	if found, ok := k.derived[key]; ok {
		return found
	}
	unknown := Facts{Labels: AnyLabels, Values: anything}
	k.derived[key] = unknown // while it is derived, so that a cycle ends
	var all Facts
	for i, r := range recordings {
		one := Analyze(r.Expr, k, by).Of(r.Expr)
		one.Present = false // a recording can be younger than its reader
		for label, text := range r.Labels {
			one.Labels = one.Labels.with(label, value{among: []string{text}})
		}
		if i == 0 {
			all = one
		} else {
			all = all.either(one)
		}
	}
	if known {
		all = all.either(named(name, exportedLabels, by, false))
	}
	all.Labels = all.Labels.with(model.MetricNameLabel, value{among: []string{name}})
	all.core, all.whole, all.held, all.clock = nil, false, nil, nil
	k.derived[key] = all
	return all
}

// named is what a metric's name says. A name that is recorded too has nothing that only scraped series have.
func named(name string, l Labels, by Knowledge, recorded bool) Facts {
	f := Facts{Labels: l, Values: anything}
	there := func(why string, names ...string) {
		for _, label := range names {
			v := f.Labels.value(label)
			v.has, v.assumed = why, !IsScrapeMetric(name) && !strings.HasPrefix(name, "ALERTS")
			f.Labels = f.Labels.with(label, v)
		}
	}
	switch {
	case IsScrapeMetric(name) && !recorded:
		there("Prometheus gives it to "+name, "job", "instance")
		if name == "up" {
			f.Values = between(0, 1)
		}
	case name == "ALERTS" || name == "ALERTS_FOR_STATE":
		there("Prometheus gives it to "+name, "alertname")
		if name == "ALERTS_FOR_STATE" {
			f.Labels = f.Labels.without("alertstate")
		}
		if name == "ALERTS" {
			f.Labels = f.Labels.with("alertstate", value{among: []string{"pending", "firing"}})
			f.Values = point(1)
		}
	case by == Usual && name != "" && !recorded && !strings.Contains(name, ":"):
		there("scraped series have it", "job", "instance")
		var why string
		if f.Values, why = usualValues(name); why != "" {
			f.rests = []string{why}
		}
	}
	if name != "" {
		f.Labels = f.Labels.with(model.MetricNameLabel, value{among: []string{name}})
	}
	return f
}

// usualValues is what https://prometheus.io/docs/practices/naming/ says of a metric's values by its suffix, and why.
func usualValues(name string) (in Interval, why string) {
	switch suffix := name[strings.LastIndexByte(name, '_')+1:]; suffix {
	case "total", "count", "bucket":
		return atLeast(0).orNaN(), ofCounters
	case "bytes":
		return atLeast(0).orNaN(), "a size is not negative"
	case "info":
		return between(0, 1), "an _info metric is 1" // some exporters tell by 0 that they know nothing
	}
	return anything, ""
}

// ofCounters is what their rates rest on.
const ofCounters = "counters are not negative"
