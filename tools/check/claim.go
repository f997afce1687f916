package check

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stemedb/firedrill/tools/promql"
)

// claim is an amount that a text names: a time, a size, a percentage or a mere number.
type claim struct {
	text      string // with the words that give its side
	of        promql.Quantity
	low, high float64 // in seconds, bytes or parts of a whole; a month has 28 to 31 days, a GB 10^9 to 2^30 bytes
	side      direction
	role      role
	unit      string // in which the text counts
}

// role is what a time in a text is about.
type role int

const (
	ofCondition role = iota // the threshold, or not known
	ofLasting               // how long the condition lasts: for 5 minutes
	ofWindow                // how far the rule looks back: in the last 5 minutes
)

// is reports whether an amount is what the text says.
func (c claim) is(amount float64) bool {
	slack := 1e-9 * math.Abs(amount)
	if c.of == promql.Ratio {
		slack = 0.01 * math.Abs(amount) // 33 % is a third
	}
	return amount >= c.low-slack && amount <= c.high+slack
}

// in writes an amount in the claim's unit, so that the two can be compared.
func (c claim) in(amount float64) string {
	u := units[c.unit]
	n := strconv.FormatFloat(amount/u.low, 'g', 6, 64)
	switch {
	case c.unit == "":
		return n
	case u.of == promql.Time && n != "1":
		return n + " " + c.unit + "s"
	}
	return n + " " + c.unit
}

// unit is one in which texts count.
type unit struct {
	of        promql.Quantity
	low, high float64
}

var units = map[string]unit{
	"millisecond": {promql.Time, 0.001, 0.001}, "second": {promql.Time, 1, 1}, "minute": {promql.Time, 60, 60}, "hour": {promql.Time, 3600, 3600},
	"day": {promql.Time, 86400, 86400}, "week": {promql.Time, 604800, 604800}, "month": {promql.Time, 28 * 86400, 31 * 86400}, "year": {promql.Time, 365 * 86400, 366 * 86400},
	"bytes": {promql.Bytes, 1, 1}, "KB": {promql.Bytes, 1e3, 1 << 10}, "MB": {promql.Bytes, 1e6, 1 << 20}, "GB": {promql.Bytes, 1e9, 1 << 30}, "TB": {promql.Bytes, 1e12, 1 << 40},
	"KiB": {promql.Bytes, 1 << 10, 1 << 10}, "MiB": {promql.Bytes, 1 << 20, 1 << 20}, "GiB": {promql.Bytes, 1 << 30, 1 << 30}, "TiB": {promql.Bytes, 1 << 40, 1 << 40},
	"%": {promql.Ratio, 0.01, 0.01},
	"":  {"", 1, 1},
}

var (
	unitName = map[string]string{"sec": "second", "min": "minute", "hr": "hour", "ms": "millisecond", "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week",
		"percent": "%", "kb": "KB", "mb": "MB", "gb": "GB", "tb": "TB", "kib": "KiB", "mib": "MiB", "gib": "GiB", "tib": "TiB", "byte": "bytes",
		"kilobyte": "KB", "megabyte": "MB", "gigabyte": "GB", "terabyte": "TB"}
	numberName = map[string]float64{"": 1, "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
		"twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30}

	// An amount: "1h30m", "7 days", "7-day", "48h", "one month", "80%", "10 GiB", "the last hour", "5".
	amountText = regexp.MustCompile(`(?P<compound>(?:\d+(?:ms|[wdhms])){2,})\b|` +
		`(?P<number>\d+(?:\.\d+)?|\b(?i:an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty)\b)(?:` +
		`[ \t-]?(?P<word>(?i:millisecond|second|sec|minute|min|hour|hr|day|week|month|year|(?:kilo|mega|giga|tera)?byte))(?i:s?)\b|` +
		`(?P<letter>ms|[wdhms])\b|[ \t](?P<spaced>ms|s)\b|[ \t]?(?P<size>[KMGTkmgt]i?[Bb])\b|[ \t]?(?P<percent>%|(?i:percent)\b))?|` +
		`\b(?i:last|past|previous)[ \t](?P<alone>(?i:minute|hour|day|week|month|year))\b`)
	// What precedes or follows something else than an amount: 1,000 is not understood, and 10 GB/s is no size.
	middleText = regexp.MustCompile(`[\w.,:/$-]$`)
	moreText   = regexp.MustCompile(`^(?:\w|[.,:]\d|/|-\w|[ \t]?(?:per|million|billion|thousand|times|[kKM])\b)`)

	// The words right before an amount that give it a side.
	sideText = regexp.MustCompile(`(?i)(?:(\b(?:less th[ae]n|fewer than|lower than|smaller than|shorter than|sooner than|below|under|within|at most|drop(?:s|ped)? below)(?: or equal to)?(?: the next)?|<=?|≤)|` +
		`(\b(?:more th[ae]n|greater than|higher than|larger than|bigger than|longer than|older than|above|beyond|exceed(?:s|ed|ing)?|at least)(?: or equal to)?|>=?|≥))\s*$`)
	overText = regexp.MustCompile(`(?i)\bover\s*$`) // a side of sizes and percentages, and a window of times
	// What makes that side doubtful: a backup that has not run within 26 hours is older than that.
	// A condition that lasts for more than 5 minutes is not about a threshold either.
	doubtText   = regexp.MustCompile(`(?i)\b(?:no|not|none|never|without)\b|n't\b|\b(?:for|lasts|lasting)\s*$`)
	lastingText = regexp.MustCompile(`(?i)(?:^|(\w*)\s+)((?:for|lasts|lasting)\s+(?:(?:the )?(?:last|past|previous)\s+|more th[ae]n\s+|longer than\s+|greater than\s+|over\s+|at least\s+|[>≥]=?\s*)?)$`)
	windowText  = regexp.MustCompile(`(?i)\b(?:in|over|within|during)\s+(?:the )?(?:last|past|previous)\s+$`)
	together    = regexp.MustCompile(`^\s+(?:and\s+)?$`)
	template    = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
)

// otherFor are the words before "for" that make the time after it another's than the condition's.
var otherFor = []string{"wait", "waiting", "live", "lives", "valid", "silence", "silenced", "keep", "kept", "retained", "pause", "retry", "suppress", "check", "look"}

// findClaims returns the amounts that a text names, templates left out.
func findClaims(text string) []claim {
	text = template.ReplaceAllString(text, "…")
	var claims []claim
	rest := 0 // where the words since the last claim begin
	for _, m := range amountText.FindAllStringSubmatchIndex(text, -1) {
		start, end := m[0], m[1]
		part := func(name string) string {
			i := amountText.SubexpIndex(name)
			if m[2*i] < 0 {
				return ""
			}
			return text[m[2*i]:m[2*i+1]]
		}
		if middleText.MatchString(text[:start]) || moreText.MatchString(text[end:]) {
			continue
		}
		cl := claim{unit: "second", of: promql.Time}
		number := strings.ToLower(part("number"))
		named, isNamed := numberName[number]
		if compound := part("compound"); compound != "" {
			d, err := model.ParseDuration(compound)
			if err != nil {
				continue // too large for a duration
			}
			cl.low = time.Duration(d).Seconds()
			cl.high, isNamed = cl.low, false
		} else {
			n := named
			if !isNamed {
				n, _ = strconv.ParseFloat(number, 64) // too large a number is infinite
			}
			name := strings.ToLower(part("word") + part("letter") + part("spaced") + part("size") + part("percent") + part("alone"))
			if name == "" && isNamed {
				continue
			}
			if part("alone") != "" {
				start += strings.LastIndexAny(text[start:end], " \t") + 1
			}
			cl.unit = cmp.Or(unitName[name], name)
			u := units[cl.unit]
			cl.of, cl.low, cl.high = u.of, n*u.low, n*u.high
			if math.IsInf(cl.high, 0) {
				continue
			}
		}
		before := text[rest:start]
		if last := len(claims) - 1; last >= 0 && cl.of == promql.Time && claims[last].of == promql.Time && together.MatchString(before) && cl.high < units[claims[last].unit].low { // "1 day and 12 hours"
			begin := rest - len(claims[last].text)
			claims[last].low += cl.low
			claims[last].high += cl.high
			claims[last].text = text[begin:end]
			rest = end
			continue
		}
		if i := strings.LastIndexAny(before, ".;:,()\n"); i >= 0 {
			before = before[i+1:]
		}
		lasting, window := lastingText.FindStringSubmatch(before), windowText.FindString(before)
		lead := 0 // how long the words are that say what it is about
		switch {
		case cl.of != promql.Time:
		case lasting != nil && slices.Contains(otherFor, strings.ToLower(lasting[1])):
			continue
		case lasting != nil:
			cl.role, lead = ofLasting, len(lasting[2])
		case window != "":
			cl.role, lead = ofWindow, len(window)
		}
		s := sideText.FindStringSubmatchIndex(before)
		if s == nil && cl.of != promql.Time {
			if o := overText.FindStringIndex(before); o != nil {
				s = []int{o[0], o[1], -1, -1}
			}
		}
		if s != nil {
			lead = max(lead, len(before)-s[0])
			if !doubtText.MatchString(before[:s[0]]) {
				cl.side = above
				if s[2] >= 0 {
					cl.side = below
				}
			}
		}
		if isNamed && len(number) < 3 && s == nil && cl.role == ofCondition {
			continue // "5 errors a day"
		}
		if cl.unit == "" && cl.side == unknown {
			continue
		}
		cl.text = text[start-lead : end]
		rest = end
		claims = append(claims, cl)
	}
	return claims
}
