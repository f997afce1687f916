package project

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestChanged(t *testing.T) {
	content, err := os.ReadFile("../../fixtures/examples/web/" + FileName)
	if err != nil {
		t.Fatal(err)
	}
	before := string(content)
	_, lost, _ := strings.Cut(before, "  - alert: LinksLost\n")
	lost, _, _ = strings.Cut(lost, "  - alert:")
	lost = "  - alert: LinksLost\n" + lost
	for name, test := range map[string]struct {
		old, new string // what is replaced once
		alerts   string
		rest     bool
	}{
		"nothing":                      {"", "", "", false},
		"a comment above, and a style": {"rules: rules/*.yml", "# All.\n\nrules: ['rules/*.yml']", "", false},
		"a fault":                      {"{run: redis-cli -h redis flushall}\n    verify: *follow_link\n\n", "{run: redis-cli -h redis flushdb}\n    verify: *follow_link\n\n", "LinksLost", false},
		"a drill less":                 {lost, "", "LinksLost", false},
		"a drill at another place":     {lost, "", "", false}, // and added below
		"a branch":                     {"If The Disk Is Full", "If The Volume Is Full", "RedisDiskFull", false},
		"a responder":                  {"test -s /var/spool/ca/web.csr", "test -e /var/spool/ca/web.csr", "SiteDown", false},
		"a scenario":                   {"rto: 10m", "rto: 5m", "LinksLost", false},
		"an anchor":                    {"https://docs.example.com/", "https://other.example.com/", "LinksLost RedisMemoryHigh RedisUnreachable SiteDown", false},
		"what all drills use":          {"ready: curl", "ready: wget", "", true},
		"that and a drill":             {"operator: web\n", "operator: redis\n", "", true},
		"an unknown key":               {"operator: web\n", "operater: web\n", "", true},
	} {
		if strings.Count(before, test.old) != 1 && test.old != "" {
			t.Fatalf("%s: %q stands %d times in the example", name, test.old, strings.Count(before, test.old))
		}
		after := strings.Replace(before, test.old, test.new, 1)
		if name == "a drill at another place" {
			after = strings.Replace(after, "scenarios:\n", lost+"\nscenarios:\n", 1)
		}
		for _, versions := range [][2]string{{before, after}, {after, before}} {
			alerts, rest := Changed([]byte(versions[0]), []byte(versions[1]))
			slices.Sort(alerts)
			if got := strings.Join(slices.Compact(alerts), " "); got != test.alerts || rest != test.rest {
				t.Errorf("%s: alerts %q, rest %v", name, got, rest)
			}
		}
	}
}
