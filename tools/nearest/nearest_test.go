package nearest

import (
	"fmt"
	"strings"
	"testing"
)

func TestChoice(t *testing.T) {
	var many []string
	for i := range 12 {
		many = append(many, fmt.Sprintf("alert%d", i))
	}
	for asked, test := range map[string]struct {
		names []string
		want  string
	}{
		"any":      {nil, "there is none"},
		"one":      {[]string{"Other"}, `the only one is "Other"`},
		"webdwn":   {[]string{"DiskFull", "WebDown"}, `the nearest is "WebDown", of "DiskFull", "WebDown"`},
		"Größe":    {[]string{"Größer", "Groesse"}, `the nearest is "Größer", of "Größer", "Groesse"`},
		"alert111": {many, `the nearest is "alert11", of "alert0", "alert1", "alert2", "alert3", "alert4", "alert5", "alert6", "alert7", "alert8", "alert9" and 2 more`},
	} {
		if got := Choice(asked, test.names); got != test.want {
			t.Errorf("%s: %s, want %s", asked, got, test.want)
		}
	}
}

func TestWithin(t *testing.T) {
	for _, test := range []struct {
		most        int
		asked, want string
	}{
		{1, "domian", "domain"},
		{1, "domin", "domain"},
		{1, "DOMAIN", "domain"},
		{1, "dimian", ""},
		{2, "dimian", "domain"},
		{1, "host", "host1"}, // and host2
		{9, "host1", "host1"},
		{0, "hosts", ""},
	} {
		if got := Within(test.most, test.asked, []string{"host2", "host1", "domain"}); got != test.want {
			t.Errorf("%d, %s: %q, want %q", test.most, test.asked, got, test.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for pair, want := range map[string]int{
		"/": 0, "a/": 1, "/ab": 2, "kitten/sitting": 3, "abc/abc": 0, "abc/acb": 1, "abc/bca": 2, "ab/cd": 2, "é/e": 1, "Ab/aB": 0, "ca/abc": 3,
	} {
		a, b, _ := strings.Cut(pair, "/")
		if distance(a, b) != want || distance(b, a) != want {
			t.Errorf("%s: %d and %d, want %d", pair, distance(a, b), distance(b, a), want)
		}
	}
}
