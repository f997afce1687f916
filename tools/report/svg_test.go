package report

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stemedb/firedrill/tools/journal"
)

func after(d time.Duration) time.Time { return began.Add(d) }

func near(a, b float64) bool { return math.Abs(a-b) < .01 }

func TestAxis(t *testing.T) {
	leaps := []journal.Leap{{From: after(20 * time.Second), To: after(time.Hour + 20*time.Second)}, {From: after(2 * time.Hour), To: after(2 * time.Hour)}, {From: after(2 * time.Hour), To: after(50 * time.Hour)}}
	a := newAxis(began, after(50*time.Hour+40*time.Second), leaps, 100, 1100)
	lived := 20*time.Second + time.Hour - 20*time.Second + 40*time.Second
	perSecond := (1000 - 2*leapWidth) / lived.Seconds()
	for moment, want := range map[time.Duration]float64{
		-time.Hour:                      100,
		0:                               100,
		20 * time.Second:                100 + 20*perSecond,
		30*time.Minute + 20*time.Second: 100 + 20*perSecond + leapWidth/2.,
		time.Hour + 20*time.Second:      100 + 20*perSecond + leapWidth,
		time.Hour + 80*time.Second:      100 + 80*perSecond + leapWidth,
		26 * time.Hour:                  1100 - 40*perSecond - leapWidth/2.,
		50*time.Hour + 40*time.Second:   1100,
		60 * time.Hour:                  1100,
	} {
		if got := a.at(after(moment)); !near(got, want) {
			t.Errorf("%v stands at %.2f, want %.2f", moment, got, want)
		}
	}
	last := math.Inf(-1)
	for _, tick := range a.ticks(60) {
		if tick.x < last+60 || tick.x > 1100 {
			t.Errorf("the tick %v stands at %.1f, after %.1f", tick.at, tick.x, last)
		}
		if p := a.pieces[a.within(tick.at)]; p.leap != nil && tick.at.Before(p.to) {
			t.Errorf("the tick %v is within a leap", tick.at)
		}
		last = tick.x
	}
	if math.IsInf(last, 0) {
		t.Error("there is no tick")
	}
}

func TestManyLeapsLeaveRoom(t *testing.T) {
	var leaps []journal.Leap
	for i := range 40 {
		leaps = append(leaps, journal.Leap{From: after(time.Duration(i) * time.Hour), To: after(time.Duration(i)*time.Hour + 59*time.Minute)})
	}
	a := newAxis(began, after(40*time.Hour), leaps, 0, 1000)
	if end := a.pieces[len(a.pieces)-1].x1; !near(end, 1000) {
		t.Errorf("the axis ends at %.1f", end)
	}
	if p := a.pieces[0]; !near(p.x1-p.x0, 12.5) {
		t.Errorf("a leap is %.1f wide", p.x1-p.x0)
	}
	onlyLeapt := newAxis(began, after(time.Hour), []journal.Leap{{From: began, To: after(time.Hour)}}, 0, 1000)
	if got := onlyLeapt.at(after(time.Hour)); !near(got, 1000) {
		t.Errorf("what was only leapt ends at %.1f", got)
	}
}

func TestScale(t *testing.T) {
	signal := func(unit string, values ...float64) journal.Signal {
		s := journal.Signal{Unit: unit, Series: []journal.Series{{}}}
		for i, v := range values {
			s.Series[0].Samples = append(s.Series[0].Samples, journal.Sample{At: float64(i), Value: v})
		}
		return s
	}
	for _, test := range []struct {
		signal    journal.Signal
		threshold *journal.Threshold
		ticks     string
	}{
		{signal("seconds", 7*86400, 90*86400), &journal.Threshold{Op: "<", Value: 7 * 86400}, "0s 30d 60d 90d"},
		{signal("seconds", 7*86400+14, 7*86400-36), &journal.Threshold{Op: "<", Value: 7 * 86400}, "7d −30s 7d −15s 7d 7d +15s"},
		{signal("ratio", 0, .31), &journal.Threshold{Op: ">", Value: .05}, "0 % 10 % 20 % 30 %"},
		{signal("bytes", 3<<30, 9<<30), nil, "0 B 5 GiB"},
		{signal("", 1, 0, 1), nil, "0 0.5 1"},
		{signal("", 5, 5), nil, "4 5 6"},
		{signal("", math.NaN(), math.Inf(1)), nil, "0 0.5 1"},
		{signal("", -3, -4, 1e300), &journal.Threshold{Op: ">", Value: -2}, "−4 −3 −2"},
	} {
		s := newScale(test.signal, test.threshold, 0, 100)
		var labels []string
		for _, v := range s.ticks() {
			if y := s.at(v); y < 0 || y > 100 {
				t.Errorf("%v stands at %.1f", v, y)
			}
			labels = append(labels, s.label(v))
		}
		if got := strings.Join(labels, " "); got != test.ticks {
			t.Errorf("the ticks are %q, want %q", got, test.ticks)
		}
	}
	s := newScale(signal("", 1, 2), nil, 0, 100)
	if s.at(2) >= s.at(1) || s.at(math.Inf(1)) != 0 || s.at(math.Inf(-1)) != 100 {
		t.Error("the greatest is not on top")
	}
}

func TestMarksStandSideBySide(t *testing.T) {
	a := newAxis(began, after(100*time.Second), nil, 0, 1000)
	var marks []marker
	for _, at := range []time.Duration{0, 1, 2, 50, 99, 100, 100} {
		marks = append(marks, marker{at: after(at * time.Second)})
	}
	xs := spread(a, marks)
	for i, x := range xs {
		if x < 0 || x > 1000 || i > 0 && x < xs[i-1]+22.9 {
			t.Errorf("mark %d stands at %.1f, among %v", i, x, xs)
		}
	}
	if xs[3] != 500 {
		t.Errorf("a mark that has room stands at %.1f", xs[3])
	}
}

// What the example's timeline must show.
func TestTimeline(t *testing.T) {
	p := example(t, "proof").Proofs[2]
	picture := string(timeline("p", p))
	for _, want := range []string{
		`>leapt 1h</text>`, `>threshold: below 7d</text>`, `class="band pending"`, `class="band firing"`, `class="band resolved"`, `>firing</text>`,
		`>oncall: firing</text>`, `>oncall: resolved</text>`, `href="#p-step-5"`, `class="mark step shown"`, `class="series s1 held"`, `fill="url(#p-leap)"`,
		"<title>step 1, 10:14:07, exit 1, as expected: echo | openssl", ">9 Mar, UTC</text>",
		"CertificateExpiringSoon is inactive at 09:13:41, pending at 09:13:55, firing at 10:13:55, resolved at 10:14:22.",
		"shop_tls_cert_expiry_seconds begins at 7d and ends at 90d", "The rule&#39;s threshold is below 7d.", "1h are leapt at 09:13:59.", "oncall is notified of firing at 10:14:05.",
	} {
		if !strings.Contains(picture, want) {
			t.Errorf("the timeline lacks %s", want)
		}
	}
	if n := strings.Count(picture, `class="mark step`); n != 5 {
		t.Errorf("there are %d steps", n)
	}
	if failed := string(timeline("p", example(t, "proof").Proofs[1])); strings.Count(failed, `class="mark step failed"`) != 1 {
		t.Error("the failed step is not shown as one")
	}
	if timeline("p", journal.Proof{Rule: p.Rule, Signal: &journal.Signal{Expr: "up"}}) != "" {
		t.Error("nothing is drawn")
	}
	if lone := string(timeline("p", journal.Proof{Notifications: p.Notifications[:1]})); !strings.Contains(lone, ">oncall: firing</text>") {
		t.Error("a lone notification is not drawn")
	}
}

func TestASilentSeriesIsBroken(t *testing.T) {
	series := journal.Series{}
	for i := range 60 {
		if i < 20 || i > 40 {
			series.Samples = append(series.Samples, journal.Sample{At: float64(began.Unix() + int64(i)), Value: 1})
		}
	}
	p := journal.Proof{Signal: &journal.Signal{Series: []journal.Series{series}}}
	if n := strings.Count(line(t, p), "M"); n != 2 {
		t.Errorf("the line has %d pieces, want 2", n)
	}
	series.Samples[5].Value = math.NaN()
	if n := strings.Count(line(t, p), "M"); n != 3 {
		t.Errorf("the line has %d pieces, want 3", n)
	}
}

// line is the path of the only series.
func line(t *testing.T, p journal.Proof) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(timeline("p", p)), `class="series s1" d="`)
	if !ok {
		t.Fatal("no series is drawn")
	}
	path, _, _ := strings.Cut(rest, `"`)
	return path
}

func TestLanes(t *testing.T) {
	band := func(alert string, labels map[string]string) journal.Band {
		return journal.Band{Alert: alert, Labels: labels}
	}
	one, two := map[string]string{"job": "j", "instance": "1"}, map[string]string{"job": "j", "instance": "2"}
	var titles []string
	for _, l := range lanes(journal.Proof{Alert: "Own", Bands: []journal.Band{band("Other", one), band("Own", one), band("Own", two), band("Own", one), band("Another", nil)}}) {
		titles = append(titles, l.title())
	}
	if got := strings.Join(titles, " "); got != `Own{instance="1"} Own{instance="2"} Another Other` {
		t.Error(got)
	}
}

func TestEvents(t *testing.T) {
	var told []string
	for _, e := range events(example(t, "proof").Proofs[2]) {
		told = append(told, clock(e.At)+" "+e.What+" | "+e.Value)
	}
	all := strings.Join(told, "\n")
	for _, want := range []string{
		"09:13:59 1h are leapt, to 10:13:59, in 4.6s | 7d",
		"10:13:55 within the leap, CertificateExpiringSoon goes from pending to firing | 7d",
		"10:14:05 notification a: oncall is notified that CertificateExpiringSoon is firing | 7d",
		"10:14:18 step 4, only shown, not run: systemctl restart shop-api | 7d",
		"10:14:22 CertificateExpiringSoon is resolved, for 9s | 90d",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
}

func TestFormats(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 250 * time.Millisecond: "250ms", 8200 * time.Millisecond: "8.2s", 9990 * time.Millisecond: "10s", 59600 * time.Millisecond: "1m", 271 * time.Second: "4m 31s", time.Hour: "1h", 3661 * time.Second: "1h 1m",
		7*24*time.Hour - time.Second: "7d", 75 * time.Hour: "3d 3h", -90 * time.Second: "−1m 30s", 23*time.Hour + 59*time.Minute + 50*time.Second: "1d",
	} {
		if got := span(d); got != want {
			t.Errorf("%v is %q, want %q", time.Duration(d), got, want)
		}
	}
	for _, test := range []struct {
		v          float64
		unit, want string
	}{{.05, "ratio", "5 %"}, {1536, "bytes", "1.5 KiB"}, {0, "", "0"}, {12345, "", "12345"}, {.012345, "", "0.01235"}, {1e9, "", "1e+09"}, {-2.5, "", "−2.5"}, {.0002, "seconds", "200µs"}, {math.Inf(-1), "", "-∞"}, {math.NaN(), "", "no number"}, {1e300, "seconds", "1e+300"}} {
		if got := value(test.v, test.unit); got != test.want {
			t.Errorf("%v %s is %q, want %q", test.v, test.unit, got, test.want)
		}
	}
	for i, want := range map[int]string{0: "I", 3: "IV", 8: "IX", 13: "XIV", 48: "XLIX"} {
		if got := roman(i); got != want {
			t.Errorf("%d is %s", i+1, got)
		}
	}
	if letter(0) != "a" || letter(25) != "z" || letter(26) != "27" {
		t.Error("the letters are wrong")
	}
}
