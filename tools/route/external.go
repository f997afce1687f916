package route

import (
	"fmt"
	"maps"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// External is what a Prometheus configuration does to the labels of alerts.
type External struct {
	labels  map[string]string
	changed func(name string) bool // whether relabelling may give an alert another value; nil: it does not
}

// ParseExternal reads the external labels and the relabelling of alerts in a Prometheus configuration.
func ParseExternal(file string, content []byte) (*External, error) {
	type relabel struct {
		Action string `yaml:"action"`
		Target string `yaml:"target_label"`
		Regex  string `yaml:"regex"`
	}
	var cfg struct {
		Global struct {
			Labels map[string]string `yaml:"external_labels"`
		} `yaml:"global"`
		Alerting struct {
			Relabel       []relabel `yaml:"alert_relabel_configs"`
			Alertmanagers []struct {
				Relabel []relabel `yaml:"alert_relabel_configs"`
			} `yaml:"alertmanagers"`
		} `yaml:"alerting"`
	}
	if err := yaml.Unmarshal(content, &cfg); err != nil {
		return nil, fmt.Errorf("%s: %s: fix it until Prometheus loads it", file, strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: "))
	}
	all := cfg.Alerting.Relabel
	for _, a := range cfg.Alerting.Alertmanagers {
		all = append(all, a.Relabel...)
	}
	var changes []func(name string) bool
	for _, r := range all {
		re, err := regexp.Compile("^(?s:" + r.Regex + ")$")
		switch strings.ToLower(r.Action) {
		case "drop", "keep", "dropequal", "keepequal":
		case "labeldrop":
			changes = append(changes, func(name string) bool { return err != nil || re.MatchString(name) })
		case "labelkeep":
			changes = append(changes, func(name string) bool { return err != nil || !re.MatchString(name) })
		case "labelmap":
			changes = append(changes, func(string) bool { return true })
		default: // replace, hashmod, lowercase, uppercase
			changes = append(changes, func(name string) bool { return name == r.Target || strings.Contains(r.Target, "$") })
		}
	}
	e := &External{labels: cfg.Global.Labels}
	e.changed = func(name string) bool {
		for _, change := range changes {
			if change(name) {
				return true
			}
		}
		return false
	}
	return e, nil
}

// Label returns the value that alerts without a label of their own get, empty for none. It is not known where the
// configuration is not, where it takes the value from the environment, and where relabelling changes it.
func (e *External) Label(name string) (value string, known bool) {
	if e == nil || e.changed(name) {
		return "", false
	}
	value = e.labels[name]
	return value, !strings.Contains(value, "$")
}

// Keeps reports whether alerts keep the value that they have of a label.
func (e *External) Keeps(name string) bool { return e == nil || !e.changed(name) }

// All are the external labels.
func (e *External) All() map[string]string {
	all := map[string]string{}
	if e != nil {
		maps.Copy(all, e.labels)
	}
	return all
}
