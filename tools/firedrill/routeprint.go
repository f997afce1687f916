package main

import (
	"fmt"
	"html"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stemedb/firedrill/tools/route"
	"github.com/stemedb/firedrill/tools/rule"
)

// routePrinter writes the way of alerts.
type routePrinter struct {
	w        io.Writer
	tree     *route.Tree
	file     string
	renderer *route.Renderer
	alerts   []rule.Alert
	now      time.Time
}

func (p routePrinter) line(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }

// print writes the way of one alert. It reports whether nobody is notified of it, or a text cannot be rendered.
func (p routePrinter) print(alert rule.Alert, firing route.Firing) (found bool) {
	p.line("%s, %s:%d", alert.Name, alert.File, alert.Line)
	for _, list := range []struct {
		what   string
		values map[string]string
	}{{"labels", firing.Labels}, {"annotations", firing.Annotations}} {
		p.line("  %s", list.what)
		for _, name := range slices.Sorted(maps.Keys(list.values)) {
			if list.values[name] != "" {
				p.text("    ", name, list.values[name])
			}
		}
	}
	p.line("\nroutes, as they are tried")
	var notifying []*route.Node
	for _, step := range p.tree.Way(firing.Labels) {
		p.step(step, firing.Labels)
		if step.Notifies {
			notifying = append(notifying, step.Node)
		}
	}
	p.line("\nnotified")
	notified := false
	for _, n := range notifying {
		notified = p.receiver(n) || notified
	}
	if !notified {
		p.line("  nobody: give the alert labels that another route matches, or fix this one")
	}
	p.line("\nwhat can hold it back")
	if held := p.inhibitions(alert, firing) + p.mutes(notifying); held == 0 {
		p.line("  nothing but a silence")
	}
	notifying = slices.DeleteFunc(notifying, func(n *route.Node) bool {
		_, has := p.tree.SendResolved[n.Receiver.Name]
		return !has
	})
	return p.arrival(notifying, firing) || !notified
}

// text writes a value of any number of lines under its name.
func (p routePrinter) text(indent, name, value string) {
	lines := strings.Split(strings.TrimSpace(value), "\n")
	if len(lines) == 1 {
		p.line("%s%s: %s", indent, name, lines[0])
		return
	}
	p.line("%s%s:", indent, name)
	for _, line := range lines {
		p.line("%s  %s", indent, strings.TrimRight(line, " \t\r"))
	}
}

func (p routePrinter) step(step route.Step, labels map[string]string) {
	what := step.Node.String()
	if step.Continue {
		what += ", continue"
	}
	verdict := "matches"
	if m := step.Missed; m != nil {
		if value, ok := labels[m.Name]; ok {
			verdict = fmt.Sprintf("does not match: %s is %q", m.Name, value)
		} else {
			verdict = fmt.Sprintf("does not match: the alert has no label %s (give %s=VALUE if its series have it)", m.Name, m.Name)
		}
	} else if step.Notifies {
		verdict = fmt.Sprintf("matches, and notifies %s", step.Receiver.Name)
	}
	p.line("  %s%s (%s): %s", strings.Repeat("  ", step.Depth), what, step.Place.In(p.file), verdict)
}

// receiver writes how a route notifies. It reports whether its receiver has an integration.
func (p routePrinter) receiver(n *route.Node) bool {
	_, notifies := p.tree.SendResolved[n.Receiver.Name]
	what := ""
	if !notifies {
		what = ", which has no integration"
	} else if p.tree.Silent(n, p.now) {
		what, notifies = ", which is muted at all times", false
	}
	p.line("  %s%s", n.Receiver.Name, what)
	grouped := "all alerts together"
	if n.RouteOpts.GroupByAll {
		grouped = "each alert alone"
	} else if len(n.RouteOpts.GroupBy) > 0 {
		var names []string
		for name := range n.RouteOpts.GroupBy {
			names = append(names, string(name))
		}
		slices.Sort(names)
		grouped = strings.Join(names, ", ")
	}
	p.line("    group_by: %s", grouped)
	p.line("    group_wait: %s, group_interval: %s, repeat_interval: %s", model.Duration(n.RouteOpts.GroupWait), model.Duration(n.RouteOpts.GroupInterval), model.Duration(n.RouteOpts.RepeatInterval))
	if notifies {
		p.line("    send_resolved: %t", p.tree.SendResolved[n.Receiver.Name])
	}
	return notifies
}

// inhibitions writes which alerts can mute this one. It returns how many inhibition rules there are for that.
func (p routePrinter) inhibitions(alert rule.Alert, firing route.Firing) int {
	target := route.Exactly(firing.Labels)
	count := 0
	for _, in := range p.tree.Inhibitions {
		if is, _ := target.Matches(in.Target); !is {
			continue
		}
		var sources []string
		for _, other := range p.alerts {
			source := route.Alert(func(name string) (string, bool) {
				if name == model.AlertNameLabel {
					return other.Name, true
				}
				value, given := other.Labels[name]
				return value, given && !strings.Contains(value, "{{")
			})
			if in.May(source, target) && !slices.Contains(sources, other.Name) {
				sources = append(sources, other.Name)
			}
		}
		if len(sources) == 0 {
			continue
		}
		count++
		slices.Sort(sources)
		if more := len(sources) - 5; more > 0 {
			sources = append(sources[:5], fmt.Sprintf("or %d more", more))
		}
		var equal []string
		for _, name := range in.Equal {
			if value := firing.Labels[name.Name]; value != "" {
				equal = append(equal, fmt.Sprintf("%s=%q", name.Name, value))
			} else {
				equal = append(equal, "the same "+name.Name)
			}
		}
		with := "whatever its labels"
		if len(equal) > 0 {
			with = "with " + strings.Join(equal, ", ")
		}
		p.line("  inhibited while %s fires, %s (%s, %s)", strings.Join(sources, ", "), with, route.Join(in.Source), in.Place.In(p.file))
	}
	return count
}

// mutes writes the time intervals of the routes. It returns how many there are.
func (p routePrinter) mutes(notifying []*route.Node) int {
	count := 0
	for _, n := range notifying {
		for _, list := range []struct {
			what  string
			names []string
		}{{"muted while %s holds", n.RouteOpts.MuteTimeIntervals}, {"muted unless %s holds", n.RouteOpts.ActiveTimeIntervals}} {
			for _, name := range list.names {
				count++
				in := p.tree.Interval(name)
				when := "it does not hold now"
				if in.Holds(p.now) {
					when = "it holds now"
				}
				switch route.ExtentOf(in.Elements, p.now) {
				case route.Always:
					when = "it always holds"
				case route.Never:
					when = "it never holds"
				}
				p.line("  %s: "+list.what+" (%s): %s", n.Receiver.Name, name, in.Place.In(p.file), when)
			}
		}
	}
	return count
}

// shownKeys are the fields of integrations that a person reads.
var shownKeys = []string{"Subject", "text", "html", "title", "value", "message", "message_text", "pretext", "content", "description", "template", "summary", "state_message", "entity_display_name"}

// arrival writes what the integrations send. It reports whether something cannot be rendered.
func (p routePrinter) arrival(notifying []*route.Node, firing route.Firing) (failed bool) {
	if len(notifying) > 0 {
		p.line("\non arrival")
	}
	for _, wrong := range p.renderer.Wrong {
		p.line("  Alertmanager does not start with its templates: %s", wrong.Error())
		failed = true
	}
	for _, missing := range p.renderer.Missing {
		p.line("  no file here is %s (%s): what it defines is not shown", missing.Name, missing.Place.In(p.file))
	}
	seen := map[string]bool{}
	for _, n := range notifying {
		if seen[n.Receiver.Name] {
			continue
		}
		seen[n.Receiver.Name] = true
		for _, integration := range p.tree.Integrations(n.Receiver.Name) {
			p.line("  %s, %s", n.Receiver.Name, integration.Name)
			shown := false
			for _, field := range integration.Fields {
				text, err := p.renderer.Render(field, n, firing)
				switch {
				case err != nil && field.Secret:
					p.line("    %s: does not render (%s)", field.Key, field.Place.In(p.file))
					failed = true
				case err != nil:
					p.line("    %s: does not render (%s): %s", field.Key, field.Place.In(p.file), err)
					failed = true
				case isShown(field) && strings.TrimSpace(text) != "":
					shown = true
					key := field.Key
					if field.HTML {
						text, key = withoutTags(text), key+", without its tags"
					}
					p.text("    ", key, text)
				}
			}
			if !shown {
				p.line("    the labels and annotations above, as data")
			}
		}
	}
	return failed
}

func isShown(field route.Field) bool {
	key := field.Key[strings.LastIndex(field.Key, ".")+1:]
	return !field.Secret && slices.Contains(shownKeys, key)
}

var (
	hidden = regexp.MustCompile(`(?is)<(style|head|script)\b.*?</(style|head|script)>`)
	tag    = regexp.MustCompile(`(?s)<[^>]*>`)
	blank  = regexp.MustCompile(`\n\s*\n+`)
)

// withoutTags is the text of a page.
func withoutTags(page string) string {
	text := tag.ReplaceAllString(hidden.ReplaceAllString(page, ""), "")
	var lines []string
	for line := range strings.Lines(blank.ReplaceAllString(text, "\n")) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return html.UnescapeString(strings.Join(lines, "\n"))
}
