package nearest

import (
	"fmt"
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
