// Package rule reads Prometheus rule files exactly as Prometheus does, and knows where in them everything stands.
package rule

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// MaxFileSize is the size in bytes above which a rule file is refused unread.
const MaxFileSize = 1 << 20

// Alert is one alerting rule as deployed. Its name is the index by which its runbook and its spec are found.
type Alert struct {
	Name string
	File string
	// Line and ExprLine say where the alert's name and the first character of its expression stand in File.
	Line, ExprLine int

	Group string
	// Interval is the group's own evaluation interval; 0 leaves it to Prometheus's configuration.
	Interval time.Duration

	Expr               string
	For, KeepFiringFor time.Duration
	// Labels are those that the rule adds, the labels of its group among them.
	Labels      map[string]string
	Annotations map[string]string

	src    *source
	fields map[string]*yaml.Node
}

// At returns the line and the column, both counted from 1, of the byte at offset in the value of a field: "alert",
// "expr", "for", "labels.severity", "annotations.summary". It sees through YAML's block and quoted scalars. For a field
// that the rule does not have, it returns the place of the alert's name.
func (a Alert) At(field string, offset int) (line, column int) {
	node, ok := a.fields[field]
	if !ok {
		if field == "alert" || a.src == nil {
			return a.Line, 1
		}
		return a.At("alert", 0)
	}
	return a.src.locate(node, offset)
}

// LoadDir reads the rule files (*.yml, *.yaml) that stand in dir, except their promtool tests (*_test.yml). The
// alerts come in the order of the files' names, and within a file in its own order.
func LoadDir(dir string) ([]Alert, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, problem{file: dir, wrong: "cannot be read as a folder of rules: " + reason(err), right: "name a folder with rule files"}
	}
	var files []string // in the order of their names, as os.ReadDir gives them
	for _, entry := range entries {
		ext := filepath.Ext(entry.Name())
		if (ext == ".yml" || ext == ".yaml") && !strings.HasSuffix(strings.TrimSuffix(entry.Name(), ext), "_test") {
			files = append(files, filepath.Join(dir, entry.Name()))
		}
	}
	if len(files) == 0 {
		return nil, problem{file: dir, wrong: "holds no rule file", right: "put at least one *.yml or *.yaml there that is not a *_test.yml"}
	}
	return Load(files...)
}

// Load reads rule files, strictly: what Prometheus would refuse or silently ignore is an error, and so is a second
// alert of the same name. The error joins every problem found, each naming its file and line.
func Load(files ...string) ([]Alert, error) {
	var (
		alerts []Alert
		errs   []error
		first  = map[string]Alert{}
	)
	for _, file := range files {
		content, err := read(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found, problems := parse(file, content)
		for _, alert := range found {
			if other, ok := first[alert.Name]; ok {
				problems = append(problems, problem{file: file, line: alert.Line, text: alert.Name,
					wrong: fmt.Sprintf("an alert of this name stands at %s:%d already", other.File, other.Line),
					right: "give each alert a name of its own, since its runbook and its spec are found by it"})
				continue
			}
			first[alert.Name] = alert
			alerts = append(alerts, alert)
		}
		slices.SortFunc(problems, func(a, b problem) int {
			return cmp.Or(a.line-b.line, cmp.Compare(a.wrong, b.wrong), cmp.Compare(a.text, b.text))
		})
		for _, p := range slices.Compact(problems) {
			errs = append(errs, p)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return alerts, nil
}

// parse turns the content of a rule file into its alerts, or says all that is wrong with it.
func parse(file string, content []byte) ([]Alert, []problem) {
	src := &source{file: file, content: content}
	if p, ok := src.notText(); ok {
		return nil, []problem{p}
	}
	root, problems := src.document()
	if len(problems) > 0 {
		return nil, problems
	}
	// Looked at first, because Prometheus's message for one says neither where nor in which field.
	if problems := src.durations(root); len(problems) > 0 {
		return nil, problems
	}
	groups, errs := rulefmt.Parse(content, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if groups == nil {
		for _, err := range errs {
			problems = append(problems, src.undecodable(err)...)
		}
		return nil, problems
	}
	if len(groups.Groups) == 0 {
		return nil, []problem{src.problem(1, "holds no rule group", noGroups)}
	}
	groupNodes := items(value(root, "groups"))
	for _, err := range errs {
		problems = append(problems, src.invalid(err, groupNodes))
	}
	if len(problems) > 0 {
		return nil, problems
	}

	var alerts []Alert
	for i, group := range groups.Groups {
		ruleNodes := items(value(at(groupNodes, i), "rules"))
		for j, r := range group.Rules {
			if r.Alert == "" {
				continue
			}
			labels := maps.Clone(group.Labels)
			if labels == nil {
				labels = map[string]string{}
			}
			maps.Copy(labels, r.Labels)
			alert := Alert{
				Name: r.Alert, File: file,
				Group: group.Name, Interval: time.Duration(group.Interval),
				Expr: r.Expr, For: time.Duration(r.For), KeepFiringFor: time.Duration(r.KeepFiringFor),
				Labels: labels, Annotations: r.Annotations,
				src: src, fields: fields(at(groupNodes, i), at(ruleNodes, j)),
				Line: at(ruleNodes, j).Line,
			}
			alert.Line, _ = alert.At("alert", 0)
			alert.ExprLine, _ = alert.At("expr", 0)
			alerts = append(alerts, alert)
		}
	}
	return alerts, nil
}

// fields lists the scalars of a rule by the names that At knows. A group's labels are those of each of its rules.
func fields(group, rule *yaml.Node) map[string]*yaml.Node {
	nodes := map[string]*yaml.Node{}
	for _, name := range []string{"alert", "expr", "for", "keep_firing_for"} {
		if node := value(rule, name); node != nil {
			nodes[name] = node
		}
	}
	for _, from := range []*yaml.Node{group, rule} {
		for _, name := range []string{"labels", "annotations"} {
			for key, node := range entries(value(from, name)) {
				nodes[name+"."+key] = node
			}
		}
	}
	return nodes
}
