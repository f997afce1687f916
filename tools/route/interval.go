package route

import (
	"slices"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// Extent says how much of the time to come a time interval holds.
type Extent int

// The extents.
const (
	Sometimes Extent = iota
	Always           // for the next 28 years, after which the calendar repeats
	Never            // at no time to come
)

// ExtentOf says how much of the time from now on one of the elements holds.
func ExtentOf(elements []timeinterval.TimeInterval, now time.Time) Extent {
	switch {
	case !slices.ContainsFunc(elements, func(e timeinterval.TimeInterval) bool { return holdsFrom(e, now) }):
		return Never
	case always(elements, now):
		return Always
	}
	return Sometimes
}

// Over reports whether an element holds at no time to come since its years are over.
func Over(element timeinterval.TimeInterval, now time.Time) bool {
	anyYear := element
	anyYear.Years = nil
	return !holdsFrom(element, now) && holdsFrom(anyYear, now)
}

const calendar = 28 // years after which days of the week and of the month fall together again

func zone(element timeinterval.TimeInterval) *time.Location {
	if element.Location != nil {
		return element.Location.Location
	}
	return time.UTC
}

// holdsFrom reports whether an element holds at a time from now on.
func holdsFrom(element timeinterval.TimeInterval, now time.Time) bool {
	now = now.In(zone(element))
	years := map[int]bool{}
	for year := now.Year(); year <= now.Year()+calendar; year++ {
		years[year] = true
	}
	for _, r := range element.Years {
		for year := max(r.Begin, now.Year()); year <= min(r.End, max(r.Begin, now.Year())+calendar); year++ {
			years[year] = true
		}
	}
	starts := []int{0}
	if element.Times != nil {
		starts = nil
		for _, r := range element.Times {
			starts = append(starts, r.StartMinute, r.EndMinute-1) // today the first may be over
		}
	}
	for year := range years {
		for day := time.Date(year, 1, 1, 0, 0, 0, 0, now.Location()); day.Year() == year; day = day.AddDate(0, 0, 1) {
			for _, minute := range starts {
				at := time.Date(day.Year(), day.Month(), day.Day(), minute/60, minute%60, 0, 0, now.Location())
				if element.Times == nil && at.Before(now) {
					at = now
				}
				if !at.Before(now.Truncate(time.Minute)) && element.ContainsTime(at) {
					return true
				}
			}
		}
	}
	return false
}

// always reports whether at each moment from now on one of the elements holds.
func always(elements []timeinterval.TimeInterval, now time.Time) bool {
	zones := map[string]*time.Location{}
	minutes := []int{0}
	for _, e := range elements {
		zones[zone(e).String()] = zone(e)
		for _, r := range e.Times {
			minutes = append(minutes, r.StartMinute, r.EndMinute%(24*60))
		}
	}
	slices.Sort(minutes)
	minutes = slices.Compact(minutes)
	for _, zone := range zones {
		start := now.In(zone)
		for day := range calendar * 366 {
			for _, minute := range minutes {
				at := time.Date(start.Year(), start.Month(), start.Day()+day, minute/60, minute%60, 0, 0, zone)
				if !slices.ContainsFunc(elements, func(e timeinterval.TimeInterval) bool { return e.ContainsTime(at) }) {
					return false
				}
			}
		}
	}
	return true
}
