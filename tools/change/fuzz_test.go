package change

import (
	"strings"
	"testing"
)

func FuzzParseRaw(f *testing.F) {
	f.Add([]byte(":100644 100644 bcd1234 0123456 M\x00file0\x00:000000 100644 0000000 1234567 A\x00-\n:x\x00"))
	f.Add([]byte(":\x00\x00"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, diff []byte) {
		files, err := parseRaw(diff)
		if err != nil {
			return
		}
		for _, file := range files {
			if file.path == "" || strings.ContainsAny(file.path, "\x00") || strings.ContainsAny(file.old, " \x00") {
				t.Errorf("%q: %+v", diff, file)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(projectFiles[tlsRules]))
	f.Add([]byte(projectFiles[tlsTests]))
	f.Add([]byte("tests: [{? [a, 1] : .nan, promql_expr_test: [{expr: 'ALERTS{alertname=~\"A.*\"}'}]}]\n"))
	f.Add([]byte("groups:\n- name: g\n  rules:\n  - record: a\n    expr: b\n  - record: b\n    expr: a\n  - alert: A\n    expr: a or ALERTS\n"))
	f.Add([]byte("a: &a [*a]\ntests: *a\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		found, _ := parseRules(content)
		groups, _ := parseTests(content)
		if left := groups.without(groups); len(left) > 0 {
			t.Errorf("a test differs from itself: %+v", left)
		}
		for _, alert := range found.alerts() {
			behind := found.behind(alert)
			if why := compare(alert, behind, found.behind(alert)); why != "" {
				t.Errorf("%s differs from itself: %s", alert, why)
			}
			for _, group := range groups {
				group.names(alert, behind)
			}
		}
	})
}
