package rule

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"",
		"groups: []",
		"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      up\n        == 0\n    for: 1h\n",
		"groups:\n- name: g\n  interval: 1x\n  rules:\n  - alert: 'It''s'\n    expr: \"up \\\n      == 0\"\n",
		"groups:\n- &g\n  <<: *g\n  name: g\n",
		"a: &a [*a]\n",
		"groups:\n- name: g\n  rules:\n  - &r\n    alert: A\n    expr: &e >-\n      sum(rate(x[5m])) >\n      3\n    annotations: {summary: '{{ $labels.x }}'}\n  - <<: *r\n    alert: B\n    expr: *e\n",
		"---\ngroups:\n---\n",
		"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up ==\n    annotations:\n      summary: '{{ nope }}'\n",
		"\xff\xfe",
		"\ufeffgroups:\n- name: g\n",
		"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nspec:\n  groups:\n  - name: g\n    partial_response_strategy: warn\n    rules:\n    - {record: a, expr: 1}\n    - alert: A\n      expr: |\n        a\n          > 3\n---\nkind: Pod\napiVersion: v1\n",
		`{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "PrometheusRule", "spec": {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "up\n > 3"}]}]}}]}`,
		"apiVersion: v1\nkind: PrometheusRule\nspec: &s\n  groups: &g\n  - name: g\n    rules: &r\n    - <<: [*s, *s]\n      alert: A\n      alert: A\n",
		"groups: {{ .Values.groups }}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		found, problems := parse("f.yml", content)
		if len(found.Alerts)+len(found.Recordings) > 0 && len(problems) > 0 {
			t.Fatalf("rules beside problems: %v", problems)
		}
		if roots, problems := (&source{content: content}).roots(); len(problems) == 0 {
			foreign(roots)
		}
		lines := strings.Count(string(content), "\n") + 1
		for _, p := range problems {
			if p.line < 1 || p.line > lines || p.wrong == "" || p.right == "" {
				t.Errorf("a problem without place or words: %#v", p)
			}
			if !utf8.ValidString(p.Error()) {
				t.Errorf("not printable: %q", p.Error())
			}
		}
		for _, a := range found.Alerts {
			if a.Name == "" || a.Line < 1 || a.ExprLine < 1 || a.Line > lines || a.ExprLine > lines {
				t.Errorf("an alert without name or place: %+v", a)
			}
			for offset := -1; offset < len(a.Expr)+2; offset++ {
				if line, column := a.At("expr", offset); line < 1 || line > lines || column < 1 {
					t.Errorf("byte %d of the expression at %d:%d", offset, line, column)
				}
			}
		}
		for _, r := range found.Recordings {
			if line, column := r.At("expr", 1); r.Name == "" || line < 1 || line > lines || column < 1 {
				t.Errorf("a recording without name or place: %+v", r)
			}
		}
	})
}
