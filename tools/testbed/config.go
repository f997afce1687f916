package testbed

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	_ "github.com/prometheus/prometheus/discovery/file" // with http all that the testbed's Prometheus is built with
	_ "github.com/prometheus/prometheus/discovery/http"
	"go.yaml.in/yaml/v3"

	"github.com/stemedb/firedrill/tools/route"
)

// prometheusConfig returns a Prometheus configuration as it runs in the testbed, and a line for each change. Scrapes happen
// every interval and evaluations twice in it, the rule files and the Alertmanager ("host:port") are those given, and
// nothing is sent elsewhere. The rest stays. The error names the file and, where it is known, the line and the column.
func prometheusConfig(file string, content []byte, rules []string, alertmanager string, interval time.Duration) (adapted []byte, changes []string, err error) {
	s, err := open(file, content, loadPrometheus)
	if err != nil {
		return nil, nil, err
	}
	if files := s.get("scrape_config_files"); files != nil && len(files.Content) > 0 {
		return nil, nil, fmt.Errorf("%s:%d:%d: scrape_config_files (%q): the testbed does not read jobs from other files: write them to scrape_configs",
			file, files.Line, files.Column, files.Content[0].Value)
	}
	scrape := model.Duration(interval).String()
	global := s.section("global")
	global.set("scrape_interval", scrape)
	global.cut("scrape_timeout", interval)
	global.set("evaluation_interval", model.Duration(interval/2).String())
	for _, job := range s.items("scrape_configs") {
		if job.get("scrape_interval") != nil {
			job.set("scrape_interval", scrape)
		}
		job.cut("scrape_timeout", interval)
		for _, key := range job.keys("_sd_configs") {
			for _, discovery := range job.items(key) {
				if discovery.get("refresh_interval") != nil {
					discovery.set("refresh_interval", "1s")
				}
			}
		}
	}
	s.put("rule_files", list(rules...), strings.Join(rules, ", "))
	target := mapping("static_configs", sequence(mapping("targets", list(alertmanager))))
	alerting := s.section("alerting")
	if others := alerting.items("alertmanagers"); len(others) > 0 {
		if relabel := others[0].get("alert_relabel_configs"); relabel != nil {
			target.Content = append(target.Content, text("alert_relabel_configs"), relabel)
		}
	}
	alerting.put("alertmanagers", sequence(target), alertmanager)
	s.drop("remote_write", "remote_read", "tracing")
	return s.close(loadPrometheus)
}

// alertmanagerConfig returns an Alertmanager configuration as it runs in the testbed, and a line for each change. The waits
// are shorter, and the integrations of a receiver become one webhook, to the URL of the testbed's receiver followed by
// /receivers/ and the receiver's name; it sends resolved notifications if one of them did. The routes with their matchers,
// the inhibitions and the time intervals stay. The error names the file and, where it is known, the line and the column.
func alertmanagerConfig(file string, content []byte, receiver string) (adapted []byte, changes []string, err error) {
	s, err := open(file, content, loadAlertmanager)
	if err != nil {
		return nil, nil, err
	}
	tree, err := route.Parse(file, content)
	if err != nil {
		return nil, nil, err
	}
	if s.get("global") != nil { // what is left out is for integrations, some of it in files
		global := s.section("global")
		global.drop(slices.DeleteFunc(global.keys(""), func(key string) bool { return key == "resolve_timeout" })...)
	}
	shortenWaits(s.section("route"), tree.Config.Route, true)
	for i, r := range s.items("receivers") {
		name := tree.Config.Receivers[i].Name
		integrations := r.keys("_configs")
		sendResolved, hasIntegration := tree.SendResolved[name]
		if !hasIntegration {
			r.drop(integrations...)
			continue
		}
		address := receiver + "/receivers/" + url.PathEscape(name)
		for _, key := range integrations[1:] {
			r.remove(key)
		}
		at := r.index(integrations[0])
		r.node.Content[at-1] = text("webhook_configs")
		r.node.Content[at] = sequence(mapping("url", text(address), "send_resolved", &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(sendResolved)}))
		*r.changes = append(*r.changes, fmt.Sprintf("%s: the %s of %s -> webhook_configs: %s, send_resolved: %v", r.path, strings.Join(integrations, ", "), name, address, sendResolved))
	}
	s.drop("templates", "tracing", "event_recorder") // webhooks render no template
	return s.close(loadAlertmanager)
}

// shortenWaits shortens the waits of a route and of those below it. What is not set is inherited.
func shortenWaits(s section, r *amconfig.Route, isRoot bool) {
	if isRoot || r.GroupWait != nil {
		s.set("group_wait", "0s")
	}
	if isRoot || r.GroupInterval != nil {
		s.set("group_interval", "500ms")
	}
	if isRoot || r.RepeatInterval != nil {
		interval := dispatch.DefaultRouteOpts.RepeatInterval
		if r.RepeatInterval != nil {
			interval = time.Duration(*r.RepeatInterval)
		}
		s.set("repeat_interval", model.Duration(max(interval/60, 5*time.Second)).String())
	}
	for i, below := range s.items("routes") {
		shortenWaits(below, r.Routes[i], false)
	}
}

// receiversOf returns the receivers that Alertmanager notifies of an alert with these labels, sorted. Those without an
// integration are left out.
func receiversOf(content []byte, labels map[string]string) (all, toldResolved []string) {
	tree, err := route.Parse("", content)
	if err != nil {
		return nil, nil // the error was reported when it was adapted
	}
	all, _ = tree.Match(labels)
	for _, receiver := range all {
		if tree.SendResolved[receiver] {
			toldResolved = append(toldResolved, receiver)
		}
	}
	return all, toldResolved
}

func loadPrometheus(file string, content []byte) (fmt.Stringer, error) {
	var cfg *promconfig.Config
	err := route.Load("Prometheus", file, content, func(text string) (err error) {
		cfg, err = promconfig.Load(text, slog.New(slog.DiscardHandler))
		return err
	})
	if err != nil && strings.Contains(err.Error(), "_sd_configs not found") {
		err = fmt.Errorf("%w; the testbed's Prometheus knows static_configs, file_sd_configs and http_sd_configs", err)
	}
	return cfg, err
}

func loadAlertmanager(file string, content []byte) (fmt.Stringer, error) {
	tree, err := route.Parse(file, content)
	if err != nil {
		return nil, err
	}
	return tree.Config, nil
}

// section is a mapping in a configuration that is being adapted.
type section struct {
	file    string
	path    string // as in "route.routes[0]"; empty for the root
	node    *yaml.Node
	changes *[]string
}

// open reads a configuration that its program loads, and writes out the aliases and merges in it, so that to change one
// place is to change no other.
func open(file string, content []byte, load func(string, []byte) (fmt.Stringer, error)) (section, error) {
	loaded, err := load(file, content)
	if err != nil {
		return section{}, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil {
		return section{}, fmt.Errorf("%s: %w: fix it until other YAML readers accept it as well", file, err)
	}
	left := 1 << 20
	s := section{file: file, node: &yaml.Node{Kind: yaml.MappingNode}, changes: new([]string)}
	if len(doc.Content) > 0 {
		if root := expandAliases(doc.Content[0], &left); root.Kind == yaml.MappingNode {
			s.node = root
		}
	}
	if left < 0 {
		return section{}, fmt.Errorf("%s: it grows beyond %d values by its aliases: use fewer", file, 1<<20)
	}
	plain, err := s.encode()
	if err != nil {
		return section{}, err
	}
	if again, err := load(file, plain); err != nil || again.String() != loaded.String() {
		return section{}, fmt.Errorf("%s: it does not mean the same without YAML's aliases, merges (<<) and tags: write out what they stand for", file)
	}
	return s, nil
}

// close returns the configuration as it is now, which its program loads, and what was changed.
func (s section) close(load func(string, []byte) (fmt.Stringer, error)) (adapted []byte, changes []string, err error) {
	if adapted, err = s.encode(); err != nil {
		return nil, nil, err
	}
	if _, err := load(s.file+", as adapted", adapted); err != nil {
		return nil, nil, err
	}
	return adapted, *s.changes, nil
}

func (s section) encode() ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(s.node); err != nil {
		return nil, fmt.Errorf("%s: %w", s.file, err)
	}
	return b.Bytes(), nil
}

// expandAliases copies a tree with what its aliases and merges stand for. The last value of a key counts, as it does for
// Prometheus and Alertmanager. It stops where nothing is left of the number of nodes.
func expandAliases(node *yaml.Node, left *int) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	copied := *node
	copied.Anchor, copied.Content = "", nil
	if *left--; *left < 0 {
		return &copied
	}
	if node.Kind != yaml.MappingNode {
		for _, child := range node.Content {
			copied.Content = append(copied.Content, expandAliases(child, left))
		}
		return &copied
	}
	s := section{node: &copied}
	assign := func(key, value *yaml.Node) {
		if at := s.index(key.Value); key.Kind == yaml.ScalarNode && at >= 0 {
			copied.Content[at] = value
		} else {
			copied.Content = append(copied.Content, key, value)
		}
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := expandAliases(node.Content[i], left), expandAliases(node.Content[i+1], left)
		if key.Tag != "!!merge" {
			assign(key, value)
			continue
		}
		merged := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			merged = value.Content
		}
		for _, from := range slices.Backward(merged) {
			for j := 0; from.Kind == yaml.MappingNode && j+1 < len(from.Content); j += 2 {
				assign(from.Content[j], from.Content[j+1])
			}
		}
	}
	return &copied
}

// index returns where in the content of the mapping the value of a key is, or -1.
func (s section) index(key string) int {
	if s.node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(s.node.Content); i += 2 {
			if s.node.Content[i].Value == key {
				return i + 1
			}
		}
	}
	return -1
}

// get returns the value of a key, or nil for none and for null.
func (s section) get(key string) *yaml.Node {
	if at := s.index(key); at >= 0 && s.node.Content[at].ShortTag() != "!!null" {
		return s.node.Content[at]
	}
	return nil
}

// keys returns the keys that end so.
func (s section) keys(suffix string) (keys []string) {
	for i := 0; s.node.Kind == yaml.MappingNode && i < len(s.node.Content); i += 2 {
		if key := s.node.Content[i].Value; strings.HasSuffix(key, suffix) {
			keys = append(keys, key)
		}
	}
	return keys
}

// section returns the mapping under a key, which is made where there is none.
func (s section) section(key string) section {
	node := s.get(key)
	if node == nil {
		node = mapping()
		s.assign(key, node)
	}
	return section{file: s.file, path: s.pathOf(key), node: node, changes: s.changes}
}

// items returns the entries of the list under a key, whatever they are.
func (s section) items(key string) (items []section) {
	if node := s.get(key); node != nil && node.Kind == yaml.SequenceNode {
		for i, item := range node.Content {
			items = append(items, section{file: s.file, path: fmt.Sprintf("%s[%d]", s.pathOf(key), i), node: item, changes: s.changes})
		}
	}
	return items
}

func (s section) pathOf(key string) string { return strings.TrimPrefix(s.path+"."+key, ".") }

func (s section) assign(key string, value *yaml.Node) {
	if at := s.index(key); at >= 0 {
		s.node.Content[at] = value
	} else {
		s.node.Content = append(s.node.Content, text(key), value)
	}
}

// put changes the value of a key, and says so: the new one in the words given, the old one if it is text or a list of it.
func (s section) put(key string, value *yaml.Node, words string) {
	was := "unset"
	if node := s.get(key); node != nil {
		was = node.Value
		if node.Kind != yaml.ScalarNode {
			entries := make([]string, len(node.Content))
			for i, entry := range node.Content {
				entries[i] = entry.Value
			}
			if was = strings.Join(entries, ", "); slices.Contains(entries, "") {
				was = fmt.Sprintf("a list of %d", len(entries))
			}
		}
	}
	s.assign(key, value)
	if was != words {
		*s.changes = append(*s.changes, fmt.Sprintf("%s: %s -> %s", s.pathOf(key), was, words))
	}
}

func (s section) set(key, value string) { s.put(key, text(value), value) }

// cut shortens a duration that is set to one that is longer.
func (s section) cut(key string, to time.Duration) {
	if node := s.get(key); node != nil {
		if d, err := model.ParseDuration(node.Value); err == nil && time.Duration(d) > to {
			s.set(key, model.Duration(to).String())
		}
	}
}

// drop removes keys, and says so.
func (s section) drop(keys ...string) {
	for _, key := range keys {
		if s.index(key) >= 0 {
			s.remove(key)
			*s.changes = append(*s.changes, s.pathOf(key)+": dropped")
		}
	}
}

func (s section) remove(key string) {
	at := s.index(key)
	s.node.Content = slices.Delete(s.node.Content, at-1, at+1)
}

func text(value string) *yaml.Node {
	node := &yaml.Node{}
	node.SetString(value)
	return node
}

func sequence(entries ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Content: entries}
}

func list(entries ...string) *yaml.Node {
	node := sequence()
	for _, entry := range entries {
		node.Content = append(node.Content, text(entry))
	}
	return node
}

// mapping returns a mapping of keys, which are strings, and values, which are nodes, in turn.
func mapping(pairs ...any) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(pairs); i += 2 {
		node.Content = append(node.Content, text(pairs[i].(string)), pairs[i+1].(*yaml.Node))
	}
	return node
}
