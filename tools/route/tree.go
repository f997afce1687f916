package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/timeinterval"
	"go.yaml.in/yaml/v3"
)

// Place is where something begins in the configuration, both counted from 1, the column in characters.
type Place struct{ Line, Column int }

func placeOf(nodes ...*yaml.Node) Place {
	for _, node := range nodes {
		if node != nil && node.Line > 0 {
			return Place{node.Line, node.Column}
		}
	}
	return Place{1, 1}
}

// Name is a name in the configuration and its place.
type Name struct {
	Name string
	Place
}

// Matcher is a matcher and the place of the text that it is read from.
type Matcher struct {
	*labels.Matcher
	Place
	// Key is the key of the configuration that it stands under: "matchers", "match", "match_re", "source_match".
	Key string
}

// Node is a route as it is in the configuration.
type Node struct {
	*dispatch.Route
	Place
	Parent   *Node // nil for the root
	Below    []*Node
	Matchers []Matcher // in the order of the file
	// Receiver is the receiver of the route; its place is that of the route where it inherits the receiver.
	Receiver Name
	// Mute and Active are the names of the time intervals.
	Mute, Active []Name
}

// Walk calls visit with the route and those below it, in the order of the file. It leaves out what is below a route for
// which visit returns false.
func (n *Node) Walk(visit func(*Node) bool) {
	if visit(n) {
		for _, below := range n.Below {
			below.Walk(visit)
		}
	}
}

// Path returns the routes from the one below the root down to this one; none for the root.
func (n *Node) Path() []*Node {
	if n.Parent == nil {
		return nil
	}
	return append(n.Parent.Path(), n)
}

// Before returns the routes that Alertmanager tries before this one and that end its search where they match: those of the
// same parent, and of the same parents as the routes above it.
func (n *Node) Before() []*Node {
	var before []*Node
	for _, on := range n.Path() {
		for _, sibling := range on.Parent.Below {
			if sibling == on {
				break
			}
			if !sibling.Continue {
				before = append(before, sibling)
			}
		}
	}
	return before
}

// String is the matchers of the route, as in a configuration.
func (n *Node) String() string {
	switch {
	case n.Parent == nil:
		return "root"
	case len(n.Matchers) == 0:
		return "every alert"
	}
	return Join(n.Matchers)
}

// Join is matchers as in a sentence: severity="critical" and team="db".
func Join(matchers []Matcher) string {
	var texts []string
	for _, m := range matchers {
		texts = append(texts, m.String())
	}
	return strings.Join(texts, " and ")
}

// Inhibition is an inhibition rule as it is in the configuration.
type Inhibition struct {
	*inhibit.InhibitRule
	Place
	Source, Target []Matcher // in the order of the file
	Equal          []Name
}

// Interval is a named time interval, which holds while one of its elements does.
type Interval struct {
	Name
	Elements []timeinterval.TimeInterval
	Places   []Place // of the elements
}

// entry returns the value of a key in a mapping, through aliases and merges; nil where there is none.
func entry(node *yaml.Node, key string) *yaml.Node {
	node = plain(node)
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	var merged *yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		switch {
		case node.Content[i].Value == key:
			return node.Content[i+1]
		case node.Content[i].Tag == "!!merge":
			for _, from := range append([]*yaml.Node{node.Content[i+1]}, items(node.Content[i+1])...) {
				if found := entry(from, key); found != nil && merged == nil {
					merged = found
				}
			}
		}
	}
	return merged
}

// plain returns what an alias stands for.
func plain(node *yaml.Node) *yaml.Node {
	for node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// items returns the elements of a list.
func items(node *yaml.Node) []*yaml.Node {
	if node = plain(node); node == nil || node.Kind != yaml.SequenceNode {
		return nil
	}
	return node.Content
}

func item(node *yaml.Node, i int) *yaml.Node {
	if all := items(node); i < len(all) {
		return all[i]
	}
	return nil
}

func names(node *yaml.Node) []Name {
	var found []Name
	for _, entry := range items(node) {
		found = append(found, Name{plain(entry).Value, placeOf(entry)})
	}
	return found
}

// document returns the root of a configuration that its program loads; nil where another YAML reader does not.
func document(content []byte) *yaml.Node {
	var doc yaml.Node
	if yaml.Unmarshal(content, &doc) != nil || len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// place fills the tree with what the places of things in the file say.
func (t *Tree) place(root *yaml.Node) {
	t.Top = newNode(t.Root, t.Config.Route, nil, entry(root, "route"))
	rules := entry(root, "inhibit_rules")
	for i, rule := range t.Config.InhibitRules {
		node := item(rules, i)
		in := Inhibition{
			InhibitRule: inhibit.NewInhibitRule(rule), Place: placeOf(node),
			Source: matchers(node, "source_"), Target: matchers(node, "target_"), Equal: names(entry(node, "equal")),
		}
		if len(in.Equal) != len(rule.Equal) {
			in.Equal = nil
			for _, name := range rule.Equal {
				in.Equal = append(in.Equal, Name{name, in.Place})
			}
		}
		in.Source, in.Target = complete(in.Source, in.SourceMatchers, in.Place), complete(in.Target, in.TargetMatchers, in.Place)
		t.Inhibitions = append(t.Inhibitions, in)
	}
	add := func(key string, i int, name string, elements []timeinterval.TimeInterval) {
		node := item(entry(root, key), i)
		in := Interval{Name: Name{name, placeOf(entry(node, "name"), node)}, Elements: elements}
		for j := range elements {
			in.Places = append(in.Places, placeOf(item(entry(node, "time_intervals"), j), node))
		}
		t.Intervals = append(t.Intervals, in)
	}
	for i, in := range t.Config.MuteTimeIntervals {
		add("mute_time_intervals", i, in.Name, in.TimeIntervals)
	}
	for i, in := range t.Config.TimeIntervals {
		add("time_intervals", i, in.Name, in.TimeIntervals)
	}
	for i, r := range t.Config.Receivers {
		node := item(entry(root, "receivers"), i)
		t.Receivers = append(t.Receivers, Receiver{Name: Name{r.Name, placeOf(entry(node, "name"), node)}, node: node})
	}
}

func newNode(r *dispatch.Route, cfg *config.Route, parent *Node, node *yaml.Node) *Node {
	n := &Node{Route: r, Parent: parent, Place: placeOf(node), Matchers: matchers(node, "")}
	n.Matchers = complete(n.Matchers, r.Matchers, n.Place)
	n.Receiver = Name{r.RouteOpts.Receiver, placeOf(entry(node, "receiver"), node)}
	n.Mute, n.Active = names(entry(node, "mute_time_intervals")), names(entry(node, "active_time_intervals"))
	for i, below := range r.Routes {
		n.Below = append(n.Below, newNode(below, cfg.Routes[i], n, item(entry(node, "routes"), i)))
	}
	return n
}

// matchers reads the matchers under the keys that begin with a prefix: match, match_re and matchers.
func matchers(node *yaml.Node, prefix string) []Matcher {
	var found []Matcher
	for suffix, kind := range map[string]labels.MatchType{"match": labels.MatchEqual, "match_re": labels.MatchRegexp} {
		old := plain(entry(node, prefix+suffix))
		for i := 0; old != nil && old.Kind == yaml.MappingNode && i+1 < len(old.Content); i += 2 {
			if m, err := labels.NewMatcher(kind, old.Content[i].Value, plain(old.Content[i+1]).Value); err == nil {
				found = append(found, Matcher{m, placeOf(old.Content[i]), prefix + suffix})
			}
		}
	}
	for _, text := range items(entry(node, prefix+"matchers")) {
		parsed, _ := compat.Matchers(plain(text).Value, "route") // the loader has read it
		for _, m := range parsed {
			found = append(found, Matcher{m, placeOf(text), prefix + "matchers"})
		}
	}
	return found
}

// complete returns the matchers that were found in the file, or those that are loaded where the file has others, as where
// YAML is read in another way.
func complete(found []Matcher, loaded labels.Matchers, at Place) []Matcher {
	same := len(found) == len(loaded)
	for _, m := range loaded {
		same = same && has(found, m)
	}
	if same {
		slices.SortFunc(found, func(a, b Matcher) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
		return found
	}
	found = nil
	for _, m := range loaded {
		found = append(found, Matcher{m, at, "matchers"})
	}
	return found
}

func has(matchers []Matcher, m *labels.Matcher) bool {
	for _, other := range matchers {
		if other.Type == m.Type && other.Name == m.Name && other.Value == m.Value {
			return true
		}
	}
	return false
}

// In is the place in a file, as in a message.
func (p Place) In(file string) string { return fmt.Sprintf("%s:%d:%d", file, p.Line, p.Column) }
