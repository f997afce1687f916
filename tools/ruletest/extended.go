package ruletest

import (
	"maps"
	"regexp"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/stemedb/firedrill/tools/evaluate"
)

// anchored is a regular expression that must match all of a text, as in a PromQL matcher.
type anchored struct{ *regexp.Regexp }

// UnmarshalYAML implements yaml.Unmarshaler.
func (a *anchored) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if err := unmarshal(&text); err != nil {
		return err
	}
	compiled, err := regexp.Compile("^(?s:" + text + ")$")
	a.Regexp = compiled
	return err
}

// matches reports whether an alert of the expected name is the expected one. Labels and annotations must be equal, but
// with a match_labels or match_annotations, even an empty one, those that are not named do not count.
func (e expectedAlert) matches(name string, got evaluate.Alert) bool {
	return agree(e.named(name), e.MatchLabels, got.Labels) && agree(e.Annotations, e.MatchAnnotations, got.Annotations)
}

// named returns the expected labels with the alert's name.
func (e expectedAlert) named(name string) map[string]string {
	named := map[string]string{}
	maps.Copy(named, e.Labels)
	named[labels.AlertName] = name
	return named
}

func agree(exact map[string]string, patterns map[string]anchored, got labels.Labels) bool {
	if patterns == nil {
		return labels.Equal(labels.FromMap(exact), got)
	}
	for name, value := range exact {
		if got.Get(name) != value {
			return false
		}
	}
	for name, pattern := range patterns {
		if !pattern.MatchString(got.Get(name)) {
			return false
		}
	}
	return true
}
