package rule

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// The manifests of people who asked why the API server refused what had been checked.
func TestCasesOfManifests(t *testing.T) {
	for name, want := range map[string]string{
		"11-op-annotation-bool": `rules.yml:13: the annotation "summary" of SomeAlert is true or false to Kubernetes, which refuses it, since it takes text there ("summary: No"): quote it, as in "No"`,
		"12-op-label-int":       `rules.yml:11: the label "severity_id" of ExampleAlert is a whole number to Kubernetes, which refuses it, since it takes text there ("severity_id: 5"): quote it, as in "5"`,
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			dir := filepath.Join("testdata/cases", name)
			content, err := os.ReadFile(filepath.Join(dir, "rules.yml"))
			g.Expect(err).NotTo(HaveOccurred())
			_, err = Parse("rules.yml", content)
			g.Expect(err).To(MatchError(want))
			_, err = ReadFiles(dir, []string{filepath.Join(dir, "plain.yml")})
			g.Expect(err).NotTo(HaveOccurred(), "which is the same to Prometheus")
		})
	}
}

func TestManifestAsKubernetesReadsIt(t *testing.T) {
	const head = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n"
	const body = "spec:\n  groups:\n  - name: g\n    rules:\n    - alert: A\n      expr: up\n"
	for name, tc := range map[string]struct {
		content string
		want    string // of the error; empty where Kubernetes takes it
	}{
		"yes":                 {head + body + "      labels: {page: yes}\n", `the label "page" of A is true or false`},
		"on":                  {head + body + "      annotations: {x: on}\n", `the annotation "x" of A is true or false`},
		"a float":             {head + body + "      labels: {slo: 99.9}\n", `is a number to Kubernetes`},
		"an octal number":     {head + body + "      labels: {mode: 010}\n", `is a whole number`},
		"for: 0":              {head + body + "      for: 0\n", `"for" of A is a whole number`},
		"an alert's name":     {head + "spec:\n  groups:\n  - name: g\n    rules:\n    - alert: 5\n      expr: up\n", `"alert" of 5 is a whole number`},
		"a group's label":     {head + body + "    labels: {tier: 1}\n", `the label "tier" of the group g`},
		"a float for PromQL":  {head + "spec:\n  groups:\n  - name: g\n    rules:\n    - record: a\n      expr: 1.5\n", `"expr" of a is a number`},
		"a field of the spec": {head + body + "  ruleNamespace: x\n", `m.yaml:9: unknown field, which Kubernetes refuses ("ruleNamespace"): the spec of a PrometheusRule has groups`},
		"a field of the root": {head + body + "groups: []\n", `unknown field, which Kubernetes refuses ("groups"): a PrometheusRule has apiVersion, kind, metadata, spec, status`},
		"a name":              {head + "metadata: {name: My_Rules}\n" + body, `m.yaml:3: metadata.name is one that Kubernetes refuses ("My_Rules"): write lower-case letters`},
		"a namespace":         {head + "metadata: {name: a, namespace: a.b}\n" + body, `metadata.namespace is one that Kubernetes refuses ("a.b")`},
		"a label's number":    {head + "metadata: {name: a, labels: {release: 1}}\n" + body, `the label "release" of the metadata is a whole number`},
		"a label's value":     {head + "metadata: {name: a, labels: {team: the core}}\n" + body, `the label "team" of the metadata is one that Kubernetes refuses`},

		"quoted":              {head + body + "      labels: {page: 'yes', slo: \"99.9\", x: !!str 5}\n      annotations:\n        a: |\n          5\n", ""},
		"words":               {head + body + "      labels: {page: yes please, slo: 99.9 %, version: 1.2.3, day: 2024-01-31, time: 12:30}\n", ""},
		"nothing":             {head + body + "      labels: {page: }\n", ""},
		"a number for PromQL": {head + "spec:\n  groups:\n  - name: g\n    rules:\n    - record: a\n      expr: 1\n", ""},
		"placeholders":        {head + "metadata: {name: '${NAME}-rules', namespace: NAMESPACE}\n" + body, ""},
		"a whole object": {head + "metadata:\n  name: a.b-c\n  namespace: monitoring\n  creationTimestamp: null\n  generation: 3\n  labels: {role: alert-rules, app.kubernetes.io/name: x}\n" +
			"  annotations: {a: 'b c'}\n" + body + "status: {}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := Parse("m.yaml", []byte(tc.content))
			if tc.want == "" {
				g.Expect(err).NotTo(HaveOccurred())
			} else {
				g.Expect(err).To(MatchError(ContainSubstring(tc.want)))
			}
		})
	}
}
