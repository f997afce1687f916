package testbed

import (
	"slices"
	"testing"
	"time"

	"github.com/stemedb/firedrill/tools/journal"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestWhatWasBeforeALeapMovesBack(t *testing.T) {
	leaps := axis{{by: time.Hour, now: noon}, {by: time.Minute, now: noon.Add(30 * time.Second)}}
	for name, c := range map[string]struct {
		moment time.Time
		want   time.Duration // from noon
	}{
		"before both": {noon.Add(-time.Second), -time.Hour - time.Minute - time.Second},
		"in between":  {noon.Add(10 * time.Second), -50 * time.Second},
		"after both":  {noon.Add(40 * time.Second), 40 * time.Second},
	} {
		if got := leaps.of(c.moment).Sub(noon); got != c.want {
			t.Errorf("what was %s lies at %s, want %s", name, got, c.want)
		}
	}
}

func TestIntervalsHaveNoGap(t *testing.T) {
	all := intervalsBetween(noon, noon.Add(3*time.Hour), []journal.Leap{
		{From: noon.Add(time.Minute), To: noon.Add(time.Hour)}, {From: noon.Add(time.Hour), To: noon.Add(2 * time.Hour)},
	})
	at := noon
	var steps []time.Duration
	for _, s := range all {
		if !s.from.Equal(at) || !s.to.After(s.from) && len(steps) < len(all)-1 {
			t.Fatalf("the intervals are %v", all)
		}
		at = s.to
		steps = append(steps, s.step)
	}
	if want := []time.Duration{time.Second, 29 * time.Second, 30 * time.Second, time.Second, time.Second}; !at.Equal(noon.Add(3*time.Hour)) || !slices.Equal(steps, want) {
		t.Errorf("the intervals are %v, want one to the end with steps of %v", all, want)
	}
}

func TestBandsFollowAnInstanceThroughItsStates(t *testing.T) {
	at := func(second int) float64 { return float64(noon.Unix() + int64(second)) }
	series := func(state string, instance string, seconds ...int) journal.Series {
		s := journal.Series{Labels: map[string]string{"__name__": "ALERTS", "alertname": "Low", "alertstate": state, "instance": instance}}
		for _, second := range seconds {
			s.Samples = append(s.Samples, journal.Sample{At: at(second), Value: at(second)})
		}
		return s
	}
	all := statesOf("Low", []journal.Series{
		series("pending", "a", 2, 3), series("firing", "a", 4, 5), series("pending", "b", 9), series("pending", "a", 8),
	}, []interval{{noon, noon.Add(10 * time.Second), time.Second}})
	var got []string
	for _, b := range all {
		got = append(got, b.Labels["instance"]+" "+string(b.State)+" "+b.To.Sub(b.From).String())
	}
	want := []string{"a inactive 2s", "a pending 2s", "a firing 2s", "a resolved 2s", "a pending 1s", "a inactive 1s", "b inactive 9s", "b pending 1s"}
	if !slices.Equal(got, want) {
		t.Errorf("the bands are %q, want %q", got, want)
	}
}

func TestAStateThatWasLeftBehindIsOver(t *testing.T) {
	at := func(second int) float64 { return float64(noon.Unix() + int64(second)) }
	pending := journal.Series{Labels: map[string]string{"alertstate": "pending"}}
	for second := 1; second <= 8; second++ { // seen for minutes, though written last at 3 s
		pending.Samples = append(pending.Samples, journal.Sample{At: at(second), Value: at(min(second, 3))})
	}
	firing := journal.Series{Labels: map[string]string{"alertstate": "firing"}, Samples: []journal.Sample{{At: at(5), Value: at(5)}, {At: at(6), Value: at(6)}}}
	var got []string
	for _, b := range statesOf("Low", []journal.Series{firing, pending}, []interval{{noon, noon.Add(8 * time.Second), time.Second}}) {
		got = append(got, string(b.State)+" "+b.To.Sub(b.From).String())
	}
	if want := []string{"inactive 1s", "pending 4s", "firing 2s", "resolved 1s"}; !slices.Equal(got, want) {
		t.Errorf("the bands are %q, want %q", got, want)
	}
}
