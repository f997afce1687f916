package rule

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	yamlv2 "go.yaml.in/yaml/v2"
	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"
)

// refused finds what the Kubernetes API server refuses in a PrometheusRule, and Prometheus would not: values that are no
// text to it, names that no object can have, and fields that it does not know outside of the groups.
func (s *source) refused(object *yaml.Node) (problems []problem) {
	add := func(found ...problem) { problems = append(problems, found...) }
	add(s.unknown(object, "a PrometheusRule", "apiVersion", "kind", "metadata", "spec", "status")...)
	add(s.metadata(value(object, "metadata"))...)
	spec := value(object, "spec")
	add(s.unknown(spec, "the spec of a PrometheusRule", "groups")...)
	for _, group := range items(value(spec, "groups")) {
		name := scalar(value(group, "name"))
		for _, field := range []string{"name", "interval", "query_offset", "partial_response_strategy"} {
			add(s.untextual(value(group, field), fmt.Sprintf("%q of the group %s", field, name))...)
		}
		if node := value(group, "partial_response_strategy"); node != nil && !isStrategy(node) {
			add(s.problem(node.Line, "no strategy that Kubernetes takes", "write warn or abort"))
		}
		add(s.untextuals(value(group, "labels"), "label", "the group "+name)...)
		for _, r := range items(value(group, "rules")) {
			name := cmp.Or(scalar(value(r, "alert")), scalar(value(r, "record")), "a rule")
			for _, field := range []string{"alert", "record", "for", "keep_firing_for"} {
				add(s.untextual(value(r, field), fmt.Sprintf("%q of %s", field, name))...)
			}
			if expr := value(r, "expr"); kubernetesKind(expr) != "a whole number" {
				add(s.untextual(expr, fmt.Sprintf("%q of %s", "expr", name))...)
			}
			add(s.untextuals(value(r, "labels"), "label", name)...)
			add(s.untextuals(value(r, "annotations"), "annotation", name)...)
		}
	}
	return problems
}

// placeholder is what a script or a chart replaces before the manifest is applied.
var placeholder = regexp.MustCompile(`^[A-Z0-9_]+$|[$%@{<]`)

// metadata finds the names and labels that no object of Kubernetes can have.
func (s *source) metadata(metadata *yaml.Node) (problems []problem) {
	check := func(node *yaml.Node, what string, isValid func(string) []string, right string) {
		found := s.untextual(node, what)
		if len(found) == 0 && node != nil && node.Kind == yaml.ScalarNode && len(isValid(node.Value)) > 0 && !placeholder.MatchString(node.Value) {
			p := s.problem(node.Line, what+" is one that Kubernetes refuses", right)
			p.text = node.Value
			found = append(found, p)
		}
		problems = append(problems, found...)
	}
	check(value(metadata, "name"), "metadata.name", validation.IsDNS1123Subdomain, "write lower-case letters, digits, - and ., with a letter or a digit at both ends")
	check(value(metadata, "namespace"), "metadata.namespace", validation.IsDNS1123Label, "write lower-case letters, digits and -, with a letter or a digit at both ends")
	for name, node := range entries(value(metadata, "labels")) {
		check(node, fmt.Sprintf("the label %q of the metadata", name), validation.IsValidLabelValue, "write at most 63 letters, digits, -, _ and ., with a letter or a digit at both ends")
	}
	return append(problems, s.untextuals(value(metadata, "annotations"), "annotation", "the metadata")...)
}

// unknown finds the fields of an object that are none of the known ones.
func (s *source) unknown(object *yaml.Node, what string, known ...string) (problems []problem) {
	for field := range entries(object) {
		if !slices.Contains(known, field) {
			p := s.problem(keyLine(object, field), "unknown field, which Kubernetes refuses", fmt.Sprintf("%s has %s", what, strings.Join(known, ", ")))
			p.text = field
			problems = append(problems, p)
		}
	}
	return problems
}

// keyLine returns the line of a key of a mapping; of one that is merged in, that of the mapping.
func keyLine(mapping *yaml.Node, key string) int {
	mapping = resolve(mapping)
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i].Line
		}
	}
	return mapping.Line
}

// untextuals finds the labels or annotations whose values are not text to Kubernetes.
func (s *source) untextuals(in *yaml.Node, kind, of string) (problems []problem) {
	values := entries(in)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		problems = append(problems, s.untextual(values[name], fmt.Sprintf("the %s %q of %s", kind, name, of))...)
	}
	return problems
}

// untextual finds a scalar that is not text to Kubernetes.
func (s *source) untextual(node *yaml.Node, what string) []problem {
	kind := kubernetesKind(node)
	if kind == "" {
		return nil
	}
	return []problem{s.problem(node.Line, fmt.Sprintf("%s is %s to Kubernetes, which refuses it, since it takes text there", what, kind), fmt.Sprintf("quote it, as in %q", node.Value))}
}

// kubernetesKind says what a scalar is to Kubernetes, which reads YAML 1.1, where it is neither text nor null.
func kubernetesKind(node *yaml.Node) string {
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle | yaml.TaggedStyle
	if node == nil || node.Kind != yaml.ScalarNode || node.Style&quoted != 0 {
		return ""
	}
	var read any
	if err := yamlv2.Unmarshal([]byte(node.Value), &read); err != nil {
		return ""
	}
	switch read.(type) {
	case bool:
		return "true or false"
	case int, int64, uint64:
		return "a whole number"
	case float64:
		return "a number"
	}
	return ""
}
