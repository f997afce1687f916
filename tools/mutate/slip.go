package mutate

import (
	"cmp"
	"slices"
	"strings"
)

// slip is a kind of mistake.
type slip struct {
	what string // how Mutant.What begins
	why  string // people make it
}

// slips are the kinds of mistakes, the likeliest first: what is easily overlooked in a review comes before what anyone
// would see at the first look at the rule.
var slips = []slip{
	{"comparison loosened", "whether the limit itself counts is decided by one character"},
	{"threshold x10", "a digit of a limit is easily added"},
	{"threshold /10", "a digit of a limit is easily lost"},
	{"for ", "a for is copied from another rule, or changed by feel"},
	{"severity changed", "a severity is copied from another rule"},
	{"matcher dropped", "a matcher is forgotten where an expression is copied or simplified"},
	{"grouping label dropped", "a label is forgotten where a dashboard's query becomes a rule"},
	{"aggregation changed", "sum and avg, or max and min, look right on a single series"},
	{"threshold one unit", "a limit is off by one"},
	{"threshold 10 %", "a limit is tuned without a look at the tests"},
	{"annotation label misspelt", "a template shows nothing for a label that is not there"},
	{"window", "a range is changed to smooth or to speed up an alert"},
	{"function changed", "rate and increase, or max and min over time, are confused"},
	{"matching label dropped", "a label of on() is forgotten"},
	{"keep_firing_for", "keep_firing_for is changed by feel"},
	{"comparison inverted", "a condition is written the wrong way round"},
	{"and became", "two conditions are combined the wrong way"},
	{"or became", "two conditions are combined the wrong way"},
	{"unless became", "two conditions are combined the wrong way"},
	{"by became", "by and without are confused"},
	{"without became", "by and without are confused"},
	{"on became", "on and ignoring are confused"},
	{"ignoring became", "on and ignoring are confused"},
	{"number", "a digit of a factor is added or lost"},
	{"matcher negated", "a matcher is negated"},
	{"metric misspelt", "a metric is misspelt"},
}

// rank is how likely a person makes the mistake, 0 for the likeliest.
func (m Mutant) rank() int {
	if i := slices.IndexFunc(slips, func(s slip) bool { return strings.HasPrefix(m.What, s.what) }); i >= 0 {
		return i
	}
	return len(slips)
}

// Likely says why a person makes the mistake.
func (m Mutant) Likely() string {
	if i := m.rank(); i < len(slips) {
		return slips[i].why
	}
	return ""
}

// ranked are the outcomes that are not killed: survivors first, the likeliest mistake before the others.
func ranked(outcomes []Outcome) []Outcome {
	all := slices.DeleteFunc(slices.Clone(outcomes), func(o Outcome) bool { return o.Verdict == Killed })
	slices.SortStableFunc(all, func(a, b Outcome) int {
		if a.Verdict == Equivalent && b.Verdict == Equivalent {
			return 0
		}
		return cmp.Or(cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.rank(), b.rank()))
	})
	return all
}
