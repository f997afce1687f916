package report

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/stemedb/firedrill/tools/journal"
)

// lane is the bands of one alert with one set of labels.
type lane struct {
	alert  string
	labels map[string]string
	bands  []journal.Band
}

// title is the alert's name, with the labels that distinguish it from the others of that name.
func (l lane) title() string {
	if len(l.labels) == 0 {
		return l.alert
	}
	return l.alert + labelled(l.labels)
}

// lanes sorts bands by alert, the proof's own first.
func lanes(p journal.Proof) []lane {
	var found []lane
	byKey := map[string]int{}
	for _, b := range p.Bands {
		key := b.Alert + labelled(b.Labels)
		i, ok := byKey[key]
		if !ok {
			i = len(found)
			byKey[key] = i
			found = append(found, lane{alert: b.Alert, labels: b.Labels})
		}
		found[i].bands = append(found[i].bands, b)
	}
	slices.SortStableFunc(found, func(a, b lane) int {
		if (a.alert == p.Alert) != (b.alert == p.Alert) {
			return cmp.Compare(b2i(b.alert == p.Alert), b2i(a.alert == p.Alert))
		}
		return cmp.Compare(a.alert, b.alert)
	})
	for i := 0; i < len(found); {
		end := i
		var sets []map[string]string
		for ; end < len(found) && found[end].alert == found[i].alert; end++ {
			sets = append(sets, found[end].labels)
		}
		for n, labels := range distinguishing(sets) {
			found[i+n].labels = labels
		}
		i = end
	}
	return found
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// bands draws the states of the alerts.
func (d *picture) bands() {
	all := lanes(d.p)
	for _, l := range all[:min(most, len(all))] {
		d.add(`<text class="lane" x="%d" y="%.1f">%s</text>`, plotLeft, d.y+2, html.EscapeString(brief(l.title(), 110)))
		d.y += 8
		for _, b := range l.bands {
			x0, x1 := d.axis.at(b.From), d.axis.at(b.To)
			fill := ""
			if b.State == journal.Pending {
				fill = fmt.Sprintf(` fill="url(#%s-pending)"`, d.id)
			}
			d.add(`<g><title>%s</title>`, html.EscapeString(fmt.Sprintf("%s %s from %s to %s (%s)", l.title(), b.State, clock(b.From), clock(b.To), span(b.To.Sub(b.From)))))
			d.add(`<rect class="band %s"%s x="%.1f" y="%.1f" width="%.1f" height="%d" rx="3"/>`, b.State, fill, x0, d.y, math.Max(x1-x0, 2), bandHeight)
			if text := string(b.State); x1-x0 >= wide(text)+8 {
				d.add(`<text class="band-label %s" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, b.State, (x0+x1)/2, d.y+bandHeight/2+4, text)
			}
			d.add(`</g>`)
		}
		d.y += bandHeight + laneGap
	}
}

// marker is a mark on a lane, at a time.
type marker struct {
	at    time.Time
	label string // in the mark
	aside string // beside it, where there is room
	title string
	class string
	href  string
}

// mark draws a lane of marks under its name. Marks that would cover each other stand side by side, each with a line to
// its moment.
func (d *picture) mark(title string, marks []marker, shape func(x, y float64) string) {
	if len(marks) == 0 {
		return
	}
	d.add(`<text class="lane" x="%d" y="%.1f" text-anchor="end">%s</text>`, plotLeft-10, d.y+22, title)
	xs := spread(d.axis, marks)
	y := d.y + 18
	for i, m := range marks {
		d.add(`<path class="guide" d="M%.1f %dV%.1fL%.1f %.1f"/>`, d.axis.at(m.at), plotTop, d.y-8, xs[i], y-9)
	}
	for i, m := range marks {
		d.add(`<a href="#%s" tabindex="-1" class="mark %s"><title>%s</title>%s`, m.href, m.class, html.EscapeString(m.title), shape(xs[i], y))
		d.add(`<text x="%.1f" y="%.1f" text-anchor="middle">%s</text></a>`, xs[i], y+4, m.label)
		next := float64(plotRight) + 20
		if i+1 < len(xs) {
			next = xs[i+1] - 12
		}
		if m.aside == "" {
			continue
		}
		if xs[i]+14+wide(m.aside) <= next {
			d.add(`<text class="aside" x="%.1f" y="%.1f">%s</text>`, xs[i]+14, y+4, html.EscapeString(m.aside))
		} else if i == len(xs)-1 && (i == 0 || xs[i]-14-wide(m.aside) > xs[i-1]+14+wide(marks[i-1].aside)) {
			d.add(`<text class="aside" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, xs[i]-14, y+4, html.EscapeString(m.aside))
		}
	}
	d.y += 30 + laneGap
}

// spread is the positions of the marks, so that each can be read.
func spread(a axis, marks []marker) []float64 {
	apart := math.Min(23, (a.right-a.left)/float64(len(marks)))
	xs := make([]float64, len(marks))
	for i, m := range marks {
		xs[i] = a.at(m.at)
		if i > 0 {
			xs[i] = math.Max(xs[i], xs[i-1]+apart)
		}
	}
	// Those that were pushed beyond the end push the others back.
	limit := a.right
	for i := len(xs) - 1; i >= 0 && xs[i] > limit; i-- {
		xs[i] = limit
		limit -= apart
	}
	return xs
}

// steps draws the steps of the runbooks, numbered as below, and how long each took.
func (d *picture) steps() {
	var marks []marker
	for i, s := range d.p.Steps {
		class := "step"
		switch {
		case s.Skipped:
			class += " shown"
		case s.Verdict() != journal.True:
			class += " failed"
		}
		marks = append(marks, marker{
			at: s.At, label: strconv.Itoa(i + 1), class: class, href: stepID(d.id, i),
			title: fmt.Sprintf("step %d, %s, %s: %s", i+1, clock(s.At), ended(s), brief(s.Command, 120)),
		})
		if took := s.Took.Duration(); took > 0 {
			x0 := d.axis.at(s.At)
			d.add(`<rect class="took" x="%.1f" y="%.1f" width="%.1f" height="3"/>`, x0, d.y-7, math.Max(d.axis.at(s.At.Add(took))-x0, 1))
		}
	}
	number := 0
	d.mark("steps", marks, func(x, y float64) string {
		failed := d.p.Steps[number].Verdict() == journal.False
		number++
		if failed { // another shape, for readers who do not see the colour
			return fmt.Sprintf(`<path d="M%.1f %.1fl13 13l-13 13l-13 -13z"/>`, x, y-13)
		}
		return fmt.Sprintf(`<circle cx="%.1f" cy="%.1f" r="10"/>`, x, y)
	})
}

// notifications draws the notifications, lettered as below.
func (d *picture) notifications() {
	var marks []marker
	for i, n := range d.p.Notifications {
		marks = append(marks, marker{
			at: n.At, label: letter(i), aside: n.Receiver + ": " + n.Status, class: "notification " + n.Status, href: d.id + "-notifications",
			title: fmt.Sprintf("notification %s, %s: %s was notified that %s is %s", letter(i), clock(n.At), n.Receiver, n.Labels["alertname"], n.Status),
		})
	}
	d.mark("notified", marks, func(x, y float64) string {
		return fmt.Sprintf(`<rect x="%.1f" y="%.1f" width="20" height="20" rx="4"/>`, x-10, y-10)
	})
}

// moments draws what happened in a drill, numbered as in its own table.
func (d *picture) moments() {
	if d.p.Drill == nil {
		return
	}
	var marks []marker
	for i, m := range d.p.Drill.Timeline {
		marks = append(marks, marker{at: m.At, label: roman(i), class: "moment", href: d.id + "-moments", title: fmt.Sprintf("moment %s, %s: %s", roman(i), clock(m.At), m.What)})
	}
	d.mark("drill", marks, func(x, y float64) string {
		return fmt.Sprintf(`<rect x="%.1f" y="%.1f" width="22" height="18"/>`, x-11, y-9)
	})
}

func stepID(id string, i int) string { return fmt.Sprintf("%s-step-%d", id, i+1) }

// letter is a, b, c …, then 27, 28 ….
func letter(i int) string {
	if i < 26 {
		return string(rune('a' + i))
	}
	return strconv.Itoa(i + 1)
}

// roman is a small number as the Romans wrote it, so that it is not taken for a step's.
func roman(i int) string {
	n, text := i+1, ""
	for _, digit := range []struct {
		value int
		text  string
	}{{50, "L"}, {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"}} {
		for n >= digit.value {
			text += digit.text
			n -= digit.value
		}
	}
	return text
}

// ended is how a step ended.
func ended(s journal.Step) string {
	switch {
	case s.Skipped:
		return "only shown, not run"
	case s.Exit == nil:
		return "did not end"
	case *s.Exit == s.Expected && *s.Exit != 0:
		return fmt.Sprintf("exit %d, as expected", *s.Exit)
	case *s.Exit != s.Expected:
		return fmt.Sprintf("exit %d, expected %d", *s.Exit, s.Expected)
	}
	return "exit 0"
}
