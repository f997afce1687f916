package rule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// group is the beginning of a rule file, up to line 4, where the rule A goes on.
const group = "groups:\n- name: g\n  rules:\n  - alert: A\n"

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	g := NewWithT(t)
	file := write(t, t.TempDir(), "tls.yml", `groups:
  - name: tls
    interval: 30s
    labels:
      team: infrastructure
      severity: info
    rules:
      - record: tls:days_left
        expr: tls_seconds / 86400
      - alert: Soon
        expr: |
          tls_seconds
            < 7 * 86400
        for: 1h
        keep_firing_for: 5m
        labels:
          severity: critical
        annotations:
          summary: soon
`)
	alerts, err := Load(file)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(alerts).To(HaveLen(1))
	alert := alerts[0]
	g.Expect(alert.Name).To(Equal("Soon"))
	g.Expect(alert.File).To(Equal(file))
	g.Expect(alert.Line).To(Equal(10))
	g.Expect(alert.ExprLine).To(Equal(12))
	g.Expect(alert.Group).To(Equal("tls"))
	g.Expect(alert.Interval).To(Equal(30 * time.Second))
	g.Expect(alert.Expr).To(Equal("tls_seconds\n  < 7 * 86400\n"))
	g.Expect(alert.For).To(Equal(time.Hour))
	g.Expect(alert.KeepFiringFor).To(Equal(5 * time.Minute))
	g.Expect(alert.Labels).To(Equal(map[string]string{"team": "infrastructure", "severity": "critical"}))
	g.Expect(alert.Annotations).To(Equal(map[string]string{"summary": "soon"}))

	for field, want := range map[string][2]int{
		"labels.team":         {5, 13},
		"labels.severity":     {17, 21},
		"annotations.summary": {19, 20},
		"for":                 {14, 14},
		"alert":               {10, 16},
		"annotations.none":    {10, 16},
	} {
		line, column := alert.At(field, 0)
		g.Expect([2]int{line, column}).To(Equal(want), field)
	}
}

func TestAtSeesThroughYAML(t *testing.T) {
	for name, tc := range map[string]struct {
		expr         string // as written, from line 5 on
		line, column int    // of the 3
	}{
		"plain":               {"    expr: up > 3\n", 5, 16},
		"plain, folded":       {"    expr: up\n\n      > 3\n", 7, 9},
		"after other letters": {"    expr: 'up{x=\"ÄÖÜ\"} > 3'\n", 5, 26},
		"literal":             {"    expr: |\n      up\n        > 3\n", 7, 11},
		"literal, chomped":    {"    expr: |- # note: 3\n\n      up > 3\n", 7, 12},
		"folded":              {"    expr: >-\n      up\n      > 3\n", 7, 9},
		"folded, indented":    {"    expr: >2\n        up\n          > 3\n", 7, 13},
		"single quotes":       {"    expr: 'up{x=''a''}\n      > 3'\n", 6, 9},
		"double quotes":       {"    expr: \"up{x=\\\"a\\\"}\\n \\\n      > 3\"\n", 6, 9},
		"anchor":              {"    expr: &x\n      up > 3\n", 6, 12},
		"alias":               {"    for: &d 1h\n    keep_firing_for: *d\n    expr: up > 3\n", 7, 16},
		"CRLF":                {"    expr: |\r\n      up\r\n        > 3\r\n", 7, 11},
		"flow":                {"    labels: {a: b}\n    \"expr\": up > 3\n", 6, 18},
		"an odd escape":       {"    expr: \"up{x='\\x61'}\n      > 3\"\n", 5, 11}, // the beginning, rather than a guess
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			alerts, err := Load(write(t, t.TempDir(), "rules.yml", group+tc.expr))
			g.Expect(err).NotTo(HaveOccurred())
			line, column := alerts[0].At("expr", strings.LastIndex(alerts[0].Expr, "3"))
			g.Expect([2]int{line, column}).To(Equal([2]int{tc.line, tc.column}))
		})
	}
}

func TestLoadMergedRule(t *testing.T) {
	g := NewWithT(t)
	alerts, err := Load(write(t, t.TempDir(), "rules.yml", group+
		"    expr: &e up == 0\n    labels: &l {severity: page}\n  - alert: B\n    expr: *e\n    labels:\n      <<: *l\n      team: x\n"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(alerts).To(HaveLen(2))
	g.Expect(alerts[1].Labels).To(HaveKeyWithValue("severity", "page"))
	g.Expect(alerts[1].ExprLine).To(Equal(5), "where the words stand")
	line, _ := alerts[1].At("labels.severity", 0)
	g.Expect(line).To(Equal(6))
}

func TestAtOfAnAlertMadeByHand(t *testing.T) {
	line, column := Alert{Line: 7}.At("expr", 3)
	NewWithT(t).Expect([2]int{line, column}).To(Equal([2]int{7, 1}))
}

func TestLoadRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ content, want string }{
		"an empty file":   {" \n", `rules.yml:1: the file is empty: write groups: with at least one group, or remove the file`},
		"a comment alone": {"# later\n", `rules.yml:1: holds no rule group ("# later"): write groups: with at least one group, or remove the file`},
		"no groups":       {"groups: []\n", `rules.yml:1: holds no rule group ("groups: []"): write groups: with at least one group, or remove the file`},
		"a list":          {"- a\n", `rules.yml:1: holds no rule group ("- a"): write groups: with at least one group, or remove the file`},
		"Latin-1":         {group + "    expr: up # caf\xe9\n", `rules.yml:5: not UTF-8: byte 0xe9 ("expr: up # caf\xe9"): save the file as UTF-8`},
		"a binary":        {group + "    expr: up\x00\n", `rules.yml:5: a control character, 0x00 ("expr: up\x00"): remove it`},
		"old line ends":   {"groups:\r- name: g\n", `rules.yml:1: an unusual line end, U+000D ("groups:\r- name: g"): end the line with a newline`},
		"bad indentation": {"groups:\n- name: g\n rules: []\n", `rules.yml:2: not valid YAML from here on: did not find expected key ("- name: g"): fix the indentation, or quote the value`},
		"a missing quote": {group + "    expr: foo: bar\n", `rules.yml:5: not valid YAML from here on: mapping values are not allowed in this context ("expr: foo: bar"): fix the indentation, or quote the value`},
		"an unclosed list": {"groups: [\n",
			`rules.yml:1: not valid YAML from here on: did not find expected node content ("groups: ["): fix the indentation, or quote the value`},
		"a second document": {group + "    expr: up\n---\ngroups: []\n", `rules.yml:7: a second YAML document, which Prometheus ignores ("groups: []"): move it to a file of its own`},
		"an unknown field":  {group + "    exprr: up\n", `rules.yml:5: unknown field ("exprr"): a rule has alert or record, expr, for, keep_firing_for, labels and annotations`},
		"an unknown group field": {"groups:\n- name: g\n  every: 5m\n",
			`rules.yml:3: unknown field ("every"): a group has name, interval, query_offset, limit, labels and rules`},
		"an unknown top field": {"group: []\n", `rules.yml:1: unknown field ("group"): a rule file has groups and nothing beside it`},
		"a list for text":      {group + "    expr: [up]\n", `rules.yml:5: a list in the wrong place ("expr: [up]"): write text`},
		"a list for labels":    {group + "    expr: up\n    labels: [severity]\n", `rules.yml:6: a list in the wrong place ("labels: [severity]"): write a mapping of names to text`},
		"a number for groups":  {"groups: 3\n", `rules.yml:1: a number in the wrong place ("groups: 3"): write a list of groups`},
		"a key twice":          {group + "    expr: up\n    expr: up\n", `rules.yml:6: mapping key "expr" already defined at line 5 ("expr: up"): write each key once`},
		"a merge of itself":    {"groups:\n- &g\n  <<: *g\n  name: g\n", `rules.yml:2: the rules grow beyond all measure by their aliases ("- &g"): keep them within 8388608 bytes, aliases written out`},
		"a long duration word": {group + "    expr: up\n    for: 1hour\n", `rules.yml:6: "for" is not a duration ("1hour"): write a whole number with a unit, as in 30s, 5m or 1h30m`},
		"half an hour":         {group + "    expr: up\n    for: 0.5h\n", `rules.yml:6: "for" is not a duration ("0.5h"): write a whole number with a unit, as in 30s, 5m or 1h30m`},
		"an interval":          {"groups:\n- name: g\n  interval: soon\n", `rules.yml:3: "interval" is not a duration ("soon"): write a whole number with a unit, as in 30s, 5m or 1h30m`},
		"no expression":        {group + "    for: 1h\n", `rules.yml:4: field 'expr' must be set in rule ("- alert: A"): write expr: with the PromQL expression`},
		"no name":              {"groups:\n- name: g\n  rules:\n  - expr: up\n", `rules.yml:4: one of 'record' or 'alert' must be set ("- expr: up"): write alert: for what calls somebody, record: for what is only computed`},
		"both names":           {group + "    expr: up\n    record: b\n", `rules.yml:4: only one of 'record' and 'alert' must be set ("- alert: A"): write alert: for what calls somebody, record: for what is only computed`},
		"a nameless group":     {"groups:\n- rules: []\n", `rules.yml:2: Groupname must not be empty ("- rules: []"): give the group a name`},
		"a group twice":        {"groups:\n- name: g\n- name: g\n", `rules.yml:3: groupname: "g" is repeated in the same file ("- name: g"): give each group of the file a name of its own`},
		"bad PromQL": {group + "    expr: |\n      rate(x[5m])\n        > forty(2)\n",
			`rules.yml:7: the expression of A is not PromQL: unknown function with name "forty" ("forty"): fix it so that Prometheus can parse it`},
		"half an expression": {group + "    expr: up ==\n", `rules.yml:5: the expression of A is not PromQL: unexpected end of input ("expr: up =="): fix it so that Prometheus can parse it`},
		"an unknown template function": {group + "    expr: up\n    annotations:\n      summary: |\n        one\n        {{ $value | humanise }}\n",
			`rules.yml:9: the template of annotation "summary" of A does not parse: function "humanise" not defined ("{{ $value | humanise }}"): use what Prometheus's templates know, as in {{ $labels.instance }} or {{ $value | humanizeDuration }}`},
		"an unclosed template": {group + "    expr: up\n    labels:\n      team: '{{ $labels.team '\n",
			`rules.yml:7: the template of label "team" of A does not parse: unclosed action ("team: '{{ $labels.team '"): use what Prometheus's templates know, as in {{ $labels.instance }} or {{ $value | humanizeDuration }}`},
		"several things": {group + "    expr: up ==\n  - alert: B\n",
			"rules.yml:5: the expression of A is not PromQL: unexpected end of input (\"expr: up ==\"): fix it so that Prometheus can parse it\n" +
				"rules.yml:6: field 'expr' must be set in rule (\"- alert: B\"): write expr: with the PromQL expression"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			t.Chdir(t.TempDir())
			alerts, err := Load(write(t, ".", "rules.yml", tc.content))
			g.Expect(alerts).To(BeEmpty())
			g.Expect(err).To(MatchError(tc.want))
		})
	}
}

func TestLoadRefusesFiles(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())

	_, err := Load("none.yml")
	g.Expect(err).To(MatchError("none.yml: cannot be read: no such file or directory: name a rule file"))

	g.Expect(os.Mkdir("folder.yml", 0o755)).To(Succeed())
	_, err = Load("folder.yml")
	g.Expect(err).To(MatchError("folder.yml: is a directory: name a rule file"))

	_, err = Load("/dev/null")
	g.Expect(err).To(MatchError("/dev/null: is not a regular file: name a rule file"))

	write(t, ".", "large.yml", "")
	g.Expect(os.Truncate("large.yml", 50<<20)).To(Succeed()) // a hole: nothing on disk, and nothing read
	_, err = Load("large.yml")
	g.Expect(err).To(MatchError(`large.yml: is too large ("52428800 bytes"): keep a rule file within 4194304 bytes, and split the groups over several`))
}

func TestLoadDir(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	g.Expect(os.Mkdir("[rules]", 0o755)).To(Succeed())

	_, err := LoadDir("nowhere")
	g.Expect(err).To(MatchError("nowhere: cannot be read as a folder of rules: no such file or directory: name a folder with rule files"))
	_, err = LoadDir("[rules]")
	g.Expect(err).To(MatchError("[rules]: holds no rule file: put at least one *.yml or *.yaml there that is not a *_test.yml"))

	one := func(name string) string {
		return strings.Replace(group, "alert: A", "alert: "+name, 1) + "    expr: up\n"
	}
	write(t, "[rules]", "b.yml", one("B"))
	write(t, "[rules]", "a.yaml", one("A"))
	write(t, "[rules]", "b_test.yml", "rule_files: [b.yml]\n")
	write(t, "[rules]", "a_test.yaml", "rule_files: [a.yaml]\n")
	write(t, "[rules]", "README.md", "# Rules\n")
	alerts, err := LoadDir("[rules]")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(alerts).To(HaveLen(2))
	g.Expect(alerts[0].File).To(Equal(filepath.Join("[rules]", "a.yaml")))
	g.Expect(alerts[1].Name).To(Equal("B"))
}
