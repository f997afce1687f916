package route

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stemedb/firedrill/tools/nearest"
)

// located is an error of a loader with the place that the loader does not give.
type located struct {
	error
	Place
	hint string // what is right; empty where that is not known
}

func (l located) Unwrap() error { return l.error }

var (
	undefinedReceiver = regexp.MustCompile(`^undefined receiver "(.*)" used in route$`)
	undefinedInterval = regexp.MustCompile(`^undefined time interval "(.*)" used in route$`)
	notUnique         = regexp.MustCompile(`^(notification config name|mute time interval|time interval) "(.*)" is not unique$`)
)

// locate finds the place of an error of Alertmanager's loader. It is the error itself where the place is not found.
func locate(content []byte, err error, load func(string) error) error {
	root := document(content)
	if root == nil {
		return err
	}
	text := err.Error()
	if m := undefinedReceiver.FindStringSubmatch(text); m != nil {
		if node := search(root, func(key string, value *yaml.Node) bool { return key == "receiver" && value.Value == m[1] }); node != nil {
			return located{err, placeOf(node), choice(m[1], namesOf(root, "receivers"), "receivers")}
		}
	}
	if m := undefinedInterval.FindStringSubmatch(text); m != nil {
		node := search(root, func(key string, value *yaml.Node) bool {
			return (key == "mute_time_intervals" || key == "active_time_intervals") && value.Value == m[1]
		})
		if node != nil {
			return located{err, placeOf(node), choice(m[1], append(namesOf(root, "mute_time_intervals"), namesOf(root, "time_intervals")...), "time_intervals")}
		}
	}
	if m := notUnique.FindStringSubmatch(text); m != nil {
		seen := 0
		for _, list := range []string{"receivers", "mute_time_intervals", "time_intervals"} {
			if (m[1] == "notification config name") != (list == "receivers") {
				continue
			}
			for _, item := range items(entry(root, list)) {
				if name := plain(entry(item, "name")); name != nil && name.Value == m[2] {
					if seen++; seen == 2 {
						return located{err, placeOf(name), "give it another name"}
					}
				}
			}
		}
	}
	fails := func() (same bool) {
		defer func() {
			if recover() != nil { // the loader crashes on some
				same = false
			}
		}()
		again, err := yaml.Marshal(root)
		if err != nil {
			return false
		}
		err = load(string(again))
		return err != nil && err.Error() == text
	}
	if fails() { // and not by how the file is written
		if node := culprit(root, fails); node != nil {
			hint := ""
			if strings.Contains(node.Value, "${") {
				hint = "give the configuration as it is deployed, since Alertmanager takes no value from the environment"
			}
			return located{err, placeOf(node), hint}
		}
	}
	return err
}

// choice says which names there are in a list of the configuration.
func choice(asked string, names []string, list string) string {
	if len(names) == 0 {
		return "add it under " + list
	}
	return nearest.Choice(asked, names)
}

func namesOf(root *yaml.Node, list string) []string {
	var found []string
	for _, item := range items(entry(root, list)) {
		if name := plain(entry(item, "name")); name != nil {
			found = append(found, name.Value)
		}
	}
	return found
}

// search returns the first value for which is holds; the elements of a list count as values of its key.
func search(node *yaml.Node, is func(key string, value *yaml.Node) bool) *yaml.Node {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i].Value, node.Content[i+1]
			for _, one := range append([]*yaml.Node{value}, items(value)...) {
				if one.Kind == yaml.ScalarNode && is(key, one) {
					return one
				}
			}
			if found := search(value, is); found != nil {
				return found
			}
		}
	case yaml.SequenceNode:
		for _, item := range node.Content {
			if found := search(item, is); found != nil {
				return found
			}
		}
	}
	return nil
}

// culprit returns the innermost key or element with which a configuration begins to fail as it does; nil where that is the
// node itself.
func culprit(node *yaml.Node, fails func() bool) *yaml.Node {
	step := 1
	if node.Kind == yaml.MappingNode {
		step = 2
	} else if node.Kind != yaml.SequenceNode {
		return nil
	}
	all := node.Content
	defer func() { node.Content = all }()
	node.Content = nil
	if fails() {
		return nil // something is missing
	}
	for end := step; end <= len(all); end += step {
		node.Content = all[:end:end]
		if fails() {
			if inner := culprit(all[end-1], fails); inner != nil {
				return inner
			}
			return all[end-1]
		}
	}
	return nil
}

// manifest says that a file is a manifest of Kubernetes, if it is.
func manifest(root *yaml.Node) error {
	kind := entry(root, "kind")
	if kind == nil || entry(root, "apiVersion") == nil {
		return nil
	}
	hint := "give Alertmanager's own configuration"
	switch kind.Value {
	case "AlertmanagerConfig":
		hint += ", which the operator writes to the secret alertmanager-NAME-generated"
	case "Secret", "ConfigMap":
		hint += ", which is a value in it"
	}
	return located{fmt.Errorf("a manifest of kind %s of Kubernetes", kind.Value), placeOf(kind), hint}
}
