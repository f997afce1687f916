// Package nearest finds the known name that a misspelt one most likely means.
package nearest

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Of is the name that differs least from the one asked for, letter case aside; "" where there is none.
func Of(asked string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return slices.MinFunc(names, func(a, b string) int { return distance(asked, a) - distance(asked, b) })
}

// Within is the name that differs least, in at most that many characters, letter case aside; of several, the first. It is
// "" where there is none.
func Within(most int, asked string, names []string) string {
	length := utf8.RuneCountInString(asked)
	return Of(asked, slices.DeleteFunc(slices.Sorted(slices.Values(names)), func(name string) bool {
		other := utf8.RuneCountInString(name)
		return max(length, other)-min(length, other) > most || distance(asked, name) > most
	}))
}

// Choice is a clause for a message: the name that differs least, and all that there are, or the first ten of more.
func Choice(asked string, names []string) string {
	if len(names) == 0 {
		return "there is none"
	}
	const most = 10
	var quoted []string
	for _, name := range names[:min(most, len(names))] {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	of := strings.Join(quoted, ", ")
	if rest := len(names) - len(quoted); rest > 0 {
		of += fmt.Sprintf(" and %d more", rest)
	}
	if len(names) == 1 {
		return "the only one is " + of
	}
	return fmt.Sprintf("the nearest is %q, of %s", Of(asked, names), of)
}

// distance is the least number of characters to insert, delete, replace or exchange with the next, letter case aside, that
// makes a into b: https://en.wikipedia.org/wiki/Damerau–Levenshtein_distance#Optimal_string_alignment_distance. Of long
// texts it looks at the beginning.
func distance(a, b string) int {
	const longest = 200
	from, to := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	from, to = from[:min(longest, len(from))], to[:min(longest, len(to))]
	before, last, row := make([]int, len(to)+1), make([]int, len(to)+1), make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range from {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range to {
			cost := 1
			if to[j] == r {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && r == to[j-1] && from[i-1] == to[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(to)]
}
