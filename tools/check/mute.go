package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stemedb/firedrill/tools/route"
)

// intervals reports the routes that are muted at all times, and the time intervals that do not hold any more.
func (c *checker) intervals(r *routing, now time.Time) {
	extents := map[string]route.Extent{}
	byName := map[string]route.Interval{}
	for _, in := range r.Intervals {
		extents[in.Name.Name] = route.ExtentOf(in.Elements, now)
		byName[in.Name.Name] = in
	}
	blamed := map[string]bool{}
	r.Top.Walk(func(n *route.Node) bool {
		for list, silent := range map[string]route.Extent{"mute_time_intervals": route.Always, "active_time_intervals": route.Never} {
			names := n.RouteOpts.MuteTimeIntervals
			if silent == route.Never {
				names = n.RouteOpts.ActiveTimeIntervals
			}
			var union route.Interval
			for _, name := range names {
				union.Elements = append(union.Elements, byName[name].Elements...)
			}
			if len(names) == 0 || route.ExtentOf(union.Elements, now) != silent {
				continue
			}
			when := "hold at all times"
			if silent == route.Never {
				when = "never hold"
			}
			if len(names) == 1 {
				when = strings.Replace(when, "hold", "holds", 1)
			}
			at := n.Place
			for _, given := range slices.Concat(n.Mute, n.Active) {
				if given.Name == names[0] {
					at = given.Place
				}
			}
			var defined []string
			for _, name := range names {
				blamed[name] = true
				defined = append(defined, fmt.Sprintf("%q (%s)", name, byName[name].Place.In(r.file)))
			}
			c.reportRoute(r, at, "route/muted", "this route never notifies: its %s %s %s: fix the time interval, or take it out of the route", list, strings.Join(defined, ", "), when)
		}
		return true
	})
	for _, in := range r.Intervals {
		if blamed[in.Name.Name] {
			continue
		}
		if len(in.Elements) == 0 {
			c.reportRoute(r, in.Place, "route/interval", "the time interval %q never holds, since it is empty: give it times, or remove it", in.Name.Name)
		}
		over := len(in.Elements) > 0
		for i, element := range in.Elements {
			isOver := route.Over(element, now)
			over = over && isOver
			if !isOver && route.ExtentOf(in.Elements[i:i+1], now) == route.Never {
				c.reportRoute(r, in.Places[i], "route/interval", "this part of the time interval %q never holds, since there is no such day: fix its days and months", in.Name.Name)
			}
		}
		if over {
			c.reportRoute(r, in.Place, "route/interval", "the time interval %q does not hold any more, since its years are over: write later ones, or remove it", in.Name.Name)
		}
	}
}
