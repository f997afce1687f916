package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stemedb/firedrill/tools/journal"
)

// The timeline's measures, in the units of its view box.
const (
	pictureWidth = 960
	plotLeft     = 72
	plotRight    = pictureWidth - 24
	plotTop      = 30 // room for the leaps' labels
	plotHeight   = 168
	bandHeight   = 22
	laneGap      = 16
	most         = 6 // series, and alerts, that are drawn; a table has the others
)

// picture is an SVG in the making, from top to bottom.
type picture struct {
	strings.Builder
	id   string // of the proof, so that its own ids are the page's only ones
	p    journal.Proof
	axis axis
	y    float64 // how far down it is drawn
}

// add adds markup. Texts in it must be escaped.
func (d *picture) add(format string, args ...any) {
	fmt.Fprintf(d, format, args...)
	d.WriteByte('\n')
}

// timeline draws a proof; empty where there is nothing to draw.
func timeline(id string, p journal.Proof) template.HTML {
	from, to, ok := extent(p)
	if !ok {
		return ""
	}
	body := &picture{id: id, p: p, axis: newAxis(from, to, p.Leaps, plotLeft, plotRight), y: plotTop}
	if p.Signal != nil && len(p.Signal.Series) > 0 {
		body.signal()
	}
	body.bands()
	body.steps()
	body.notifications()
	body.moments()
	bottom := body.y + 4

	d := &picture{id: id, p: p, axis: body.axis}
	d.add(`<svg class="timeline" viewBox="0 0 %d %.0f" role="img" aria-labelledby="%[3]s-title %[3]s-desc" xmlns="http://www.w3.org/2000/svg">`, pictureWidth, bottom+36, id)
	d.add(`<title id="%s-title">%s</title>`, id, html.EscapeString("Timeline of "+name(p)))
	d.add(`<desc id="%s-desc">%s</desc>`, id, html.EscapeString(describe(p, from, to)))
	d.add(`<defs>`)
	d.add(`<pattern id="%s-leap" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="hatch" d="M0 0V7"/></pattern>`, id)
	d.add(`<pattern id="%s-pending" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="pending-back" width="6" height="6"/><path class="pending-hatch" d="M0 0V6"/></pattern>`, id)
	d.add(`</defs>`)
	d.leaps(bottom)
	d.ticks(bottom)
	d.WriteString(body.String())
	d.add(`</svg>`)
	return template.HTML(d.String())
}

// extent is from when to when there is something to draw.
func extent(p journal.Proof) (from, to time.Time, ok bool) {
	include := func(t time.Time) {
		if !ok || t.Before(from) {
			from = t
		}
		if !ok || t.After(to) {
			to = t
		}
		ok = true
	}
	if p.Signal != nil {
		for _, s := range p.Signal.Series {
			if n := len(s.Samples); n > 0 {
				include(s.Samples[0].Time())
				include(s.Samples[n-1].Time())
			}
		}
	}
	for _, b := range p.Bands {
		include(b.From)
		include(b.To)
	}
	for _, l := range p.Leaps {
		include(l.From)
		include(l.To)
	}
	for _, s := range p.Steps {
		include(s.At)
		include(s.At.Add(s.Took.Duration()))
	}
	for _, n := range p.Notifications {
		include(n.At)
	}
	if p.Drill != nil {
		for _, m := range p.Drill.Timeline {
			include(m.At)
		}
	}
	if ok && !to.After(from) {
		to = from.Add(time.Second)
	}
	return from, to, ok
}

// leaps hatches what was leapt.
func (d *picture) leaps(bottom float64) {
	for _, p := range d.axis.pieces {
		if p.leap == nil {
			continue
		}
		d.add(`<g><title>%s</title>`, html.EscapeString(fmt.Sprintf("leapt %s, from %s to %s, in %s", span(p.leap.Leapt()), moment(p.from), moment(p.to), span(p.leap.Took.Duration()))))
		d.add(`<rect class="leap-back" x="%.1f" y="%d" width="%.1f" height="%.1f"/>`, p.x0, plotTop, p.x1-p.x0, bottom-plotTop)
		d.add(`<rect fill="url(#%s-leap)" x="%.1f" y="%d" width="%.1f" height="%.1f"/>`, d.id, p.x0, plotTop, p.x1-p.x0, bottom-plotTop)
		d.add(`<path class="leap-edge" d="M%.1f %dV%.1fM%.1f %dV%.1f"/>`, p.x0, plotTop-4, bottom, p.x1, plotTop-4, bottom)
		label := "leapt " + span(p.leap.Leapt())
		if wide(label) > p.x1-p.x0+10 {
			label = span(p.leap.Leapt())
		}
		d.add(`<text class="leap-label" x="%.1f" y="%d" text-anchor="middle">%s</text></g>`, (p.x0+p.x1)/2, plotTop-11, html.EscapeString(label))
	}
}

// ticks draws the axis of time, with the date where it begins and where it is another.
func (d *picture) ticks(bottom float64) {
	d.add(`<path class="axis" d="M%d %.1fH%d"/>`, plotLeft, bottom, plotRight)
	day := ""
	for _, t := range d.axis.ticks(78) {
		d.add(`<path class="axis" d="M%.1f %.1fv5"/>`, t.x, bottom)
		d.add(`<text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, t.x, bottom+18, clock(t.at))
		if date := t.at.UTC().Format("2 Jan"); date != day {
			label := date
			if day == "" {
				label += ", UTC"
			}
			d.add(`<text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, t.x, bottom+32, label)
			day = date
		}
	}
}

// signal draws the metric and the threshold of the rule.
func (d *picture) signal() {
	var threshold *journal.Threshold
	if d.p.Rule != nil {
		threshold = d.p.Rule.Threshold
	}
	top, bottom := d.y, d.y+plotHeight
	sc := newScale(*d.p.Signal, threshold, top, bottom)
	d.add(`<rect class="plot" x="%d" y="%.1f" width="%d" height="%.1f"/>`, plotLeft, top, plotRight-plotLeft, bottom-top)
	for _, v := range sc.ticks() {
		d.add(`<path class="grid" d="M%d %.1fH%d"/>`, plotLeft, sc.at(v), plotRight)
		d.add(`<text class="tick" x="%d" y="%.1f" text-anchor="end">%s</text>`, plotLeft-8, sc.at(v)+4, html.EscapeString(sc.label(v)))
	}
	if threshold != nil {
		y := sc.at(threshold.Value)
		if from, to := y, bottom; threshold.Op != "==" && threshold.Op != "!=" {
			if strings.HasPrefix(threshold.Op, ">") {
				from, to = top, y
			}
			d.add(`<rect class="danger" x="%d" y="%.1f" width="%d" height="%.1f"/>`, plotLeft, from, plotRight-plotLeft, to-from)
		}
		d.add(`<path class="threshold" d="M%d %.1fH%d"/>`, plotLeft, y, plotRight)
		defer func() {
			label := fmt.Sprintf("threshold: %s %s", words[threshold.Op], value(threshold.Value, sc.unit))
			if y-top < 18 {
				y += 20
			}
			d.add(`<text class="threshold-label" x="%d" y="%.1f">%s</text>`, plotLeft+8, y-6, html.EscapeString(label))
		}()
	}
	for i, series := range d.p.Signal.Series[:min(most, len(d.p.Signal.Series))] {
		d.line(series, sc, i)
	}
	d.y = bottom + laneGap
}

// line draws a series, with gaps where it has no value, and dotted in leaps, where its target was not scraped.
func (d *picture) line(series journal.Series, sc scale, number int) {
	paths := map[bool]*strings.Builder{false: {}, true: {}}
	silence := d.silence(series)
	var last journal.Sample
	drawn, lastX, lastY := -1, 0.0, 0.0
	for _, sample := range series.Samples {
		if math.IsNaN(sample.Value) {
			drawn = -1
			continue
		}
		here := d.axis.within(sample.Time())
		x, y := d.axis.at(sample.Time()), sc.at(sample.Value)
		leapt := here < len(d.axis.pieces) && d.axis.pieces[here].leap != nil
		path := paths[leapt]
		switch {
		case drawn < 0 || drawn == here && sample.At-last.At > silence[here]:
			fmt.Fprintf(path, "M%.1f %.1f", x, y)
		case drawn != here:
			fmt.Fprintf(path, "M%.1f %.1fL%.1f %.1f", lastX, lastY, x, y)
		case math.Abs(x-lastX) < .7 && math.Abs(y-lastY) < .7: // too close to be seen
			last = sample
			continue
		default:
			fmt.Fprintf(path, "L%.1f %.1f", x, y)
		}
		drawn, last, lastX, lastY = here, sample, x, y
	}
	for _, leapt := range []bool{true, false} {
		if paths[leapt].Len() > 0 {
			class := ""
			if leapt {
				class = " held"
			}
			d.add(`<path class="series s%d%s" d="%s"/>`, number+1, class, paths[leapt])
		}
	}
}

// silence is, for each piece of the axis, how many seconds without a sample are a gap: five times what is usual there.
func (d *picture) silence(series journal.Series) map[int]float64 {
	between := map[int][]float64{}
	for i := 1; i < len(series.Samples); i++ {
		if here := d.axis.within(series.Samples[i].Time()); here == d.axis.within(series.Samples[i-1].Time()) {
			between[here] = append(between[here], series.Samples[i].At-series.Samples[i-1].At)
		}
	}
	silence := map[int]float64{}
	for here, gaps := range between {
		slices.Sort(gaps)
		silence[here] = math.Max(5*gaps[len(gaps)/2], 5)
	}
	return silence
}

// wide is an upper estimate of the width of a label: the reader's fonts are not known.
func wide(text string) float64 { return 6.6 * float64(len([]rune(text))) }
