package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/evaluate"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/ruletest"
)

// Generated is a file of unit tests, or a rule file that one of them names.
type Generated struct {
	Name    string // with slashes, relative to the folder for which it was generated
	Content []byte
	Tests   int // how many it holds
}

// Heading is how a generated file begins.
const Heading = "# Written by firedrill witness --generate"

// unit is a test file to be: alerts of the same evaluation interval, and the rule files that are loaded for them.
type unit struct {
	name     string // of the test file
	interval time.Duration
	results  []Result
	sources  []string // paths of the rule files, the alerts' own first
}

// GenerateOne returns one test file for all alerts, to be saved in a folder: an error where one does not suffice, because
// a rule file is not as promtool reads it, or the alerts have several evaluation intervals.
func GenerateOne(ctx context.Context, set rule.Set, all []Result, folder string) (Generated, error) {
	g, err := newGenerator(set, folder)
	if err != nil {
		return Generated{}, err
	}
	u := &unit{interval: all[0].Interval, results: all}
	for _, r := range all {
		if r.Interval != u.interval {
			return Generated{}, fmt.Errorf("%s is evaluated every %s and %s every %s, but a test file has one evaluation interval: give --output, for a file of each",
				all[0].Alert.Name, model.Duration(u.interval), r.Alert.Name, model.Duration(r.Interval))
		}
		for _, file := range g.needs.files(r.Alert.File, []rule.Alert{r.Alert}) {
			if !slices.Contains(u.sources, file) {
				u.sources = append(u.sources, file)
			}
		}
	}
	for _, file := range u.sources {
		if g.rendered[file] {
			return Generated{}, fmt.Errorf("%s: promtool cannot read it, as it is not a plain rule file: give --output, for a copy that promtool can read", file)
		}
	}
	return g.file(ctx, u)
}

// Generate returns a test file for each rule file and evaluation interval, and a copy of each rule file that promtool
// cannot read, for a folder to save them in.
func Generate(ctx context.Context, set rule.Set, all []Result, folder string) ([]Generated, error) {
	g, err := newGenerator(set, folder)
	if err != nil {
		return nil, err
	}
	units := g.units(all)
	files := make([]Generated, len(units))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, u := range units {
		group.Go(func() (err error) {
			files[i], err = g.file(ctx, u)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var copied []string
	for _, u := range units {
		for _, path := range u.sources {
			if g.rendered[path] && !slices.Contains(copied, path) {
				copied = append(copied, path)
				for _, f := range g.files[path] {
					head := fmt.Sprintf("%s: what Prometheus gets of %s, in the form that promtool reads.\n", Heading, filepath.Base(path))
					files = append(files, Generated{Name: g.copyOf(f), Content: append([]byte(head), f.Content...)})
				}
			}
		}
	}
	return files, nil
}

// generator generates tests for the alerts of a set.
type generator struct {
	set      rule.Set
	folder   string // absolute
	needs    needs
	files    map[string][]rule.File // by the path as read
	rendered map[string]bool        // the paths of files that are not what promtool reads
}

func newGenerator(set rule.Set, folder string) (*generator, error) {
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	g := &generator{set, absolute, newNeeds(set), map[string][]rule.File{}, map[string]bool{}}
	for _, f := range set.Files {
		g.files[f.Path] = append(g.files[f.Path], f)
		content, err := os.ReadFile(f.Path)
		if err != nil {
			return nil, fmt.Errorf("read the rule file again: %w", err)
		}
		g.rendered[f.Path] = g.rendered[f.Path] || !bytes.Equal(content, f.Content)
	}
	return g, nil
}

// units sorts the alerts by their files and intervals, in order.
func (g *generator) units(all []Result) []*unit {
	var units []*unit
	intervals := map[string]int{}
	for _, r := range all {
		own := r.Alert.File
		i := slices.IndexFunc(units, func(u *unit) bool { return u.sources[0] == own && u.interval == r.Interval })
		if i < 0 {
			i = len(units)
			units = append(units, &unit{interval: r.Interval, sources: []string{own}})
			intervals[own]++
		}
		units[i].results = append(units[i].results, r)
	}
	taken := map[string]bool{}
	for _, u := range units {
		own := u.sources[0]
		var alerts []rule.Alert
		for _, r := range u.results {
			alerts = append(alerts, r.Alert)
		}
		u.sources = g.needs.files(own, alerts)
		stem := g.stem(own)
		if intervals[own] > 1 {
			stem += "_" + model.Duration(u.interval).String()
		}
		for n := 1; u.name == "" || taken[u.name]; n++ {
			u.name = stem + "_witness_test.yml"
			if n > 1 {
				u.name = fmt.Sprintf("%s_%d_witness_test.yml", stem, n)
			}
		}
		taken[u.name] = true
	}
	return units
}

// stem is the name of a rule file, relative to the folder of the rules, without its suffix.
func (g *generator) stem(file string) string {
	name := strings.TrimSuffix(g.files[file][0].Name, ".yml")
	if ext := path.Ext(name); ext == ".yaml" || ext == ".rules" || ext == ".yml" {
		name = strings.TrimSuffix(name, ext)
	}
	return name
}

// copyOf is the name of a copy of a rule file. No suffix of rule files, so that it is not taken for one.
func (g *generator) copyOf(f rule.File) string {
	return strings.TrimSuffix(f.Name, ".yml") + ".rendered"
}

// pattern returns the entry of rule_files for a rule file, in a test file of the generator's folder.
func (g *generator) patterns(file, test string) ([]string, error) {
	from := filepath.Join(g.folder, filepath.FromSlash(path.Dir(test)))
	var all []string
	for _, f := range g.files[file] {
		to := f.Path
		if g.rendered[file] {
			to = filepath.Join(g.folder, filepath.FromSlash(g.copyOf(f)))
		}
		absolute, err := filepath.Abs(to)
		if err != nil {
			return nil, err
		}
		relative, err := filepath.Rel(from, absolute)
		if err != nil {
			relative = absolute
		}
		all = append(all, literal.Replace(filepath.ToSlash(relative)))
	}
	return all, nil
}

// literal escapes what is special in a pattern of file names.
var literal = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// file writes one test file.
func (g *generator) file(ctx context.Context, u *unit) (Generated, error) {
	var (
		patterns []string
		loaded   []ruletest.RuleFile
		own      []string
	)
	for _, path := range u.sources {
		names, err := g.patterns(path, u.name)
		if err != nil {
			return Generated{}, err
		}
		patterns = append(patterns, names...)
		for _, f := range g.files[path] {
			loaded = append(loaded, ruletest.RuleFile{Path: f.Path, Content: f.Content})
		}
	}
	for _, r := range u.results {
		if name := filepath.Base(r.Alert.File); !slices.Contains(own, name) {
			own = append(own, name)
		}
	}
	features := g.set.Features()
	rules, err := ruletest.NewRules(loaded, u.interval, ruletest.Options{Features: features})
	if err != nil {
		return Generated{}, err
	}
	w := &writer{generator: g, unit: u, rules: rules, anchors: &anchors{uses: map[string]int{}, names: map[string]string{}, taken: map[string]bool{}}, names: map[string]bool{}}
	for _, r := range u.results {
		if err := w.alert(ctx, r); err != nil {
			return Generated{}, err
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s from %s:\n# for each alert an input at which it fires, and the nearest at which it does not.\n", Heading, strings.Join(own, ", "))
	if len(features) > 0 {
		fmt.Fprintf(&b, "# Run it with --enable-feature=%s.\n", strings.Join(features, ","))
	}
	encode(&b, map[string][]string{"rule_files": patterns})
	if order := rules.Order(); order != nil {
		b.WriteString("\n")
		encode(&b, map[string][]string{"group_eval_order": order})
	}
	fmt.Fprintf(&b, "\nevaluation_interval: %s\n\ntests:\n", model.Duration(u.interval).String())
	b.Write(w.text())
	return Generated{Name: u.name, Content: b.Bytes(), Tests: w.tests}, nil
}

// writer writes the tests of a unit.
type writer struct {
	*generator
	*unit
	rules   *ruletest.Rules
	anchors *anchors
	names   map[string]bool // of the tests so far
	entries []written
	tests   int
}

// written is a comment, or a test.
type written struct {
	note     string
	alert    string
	scenario Scenario
}

func (w *writer) note(r Result, format string, args ...any) {
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	w.entries = append(w.entries, written{note: fmt.Sprintf("%s (%s:%d) %s", r.Alert.Name, filepath.Base(r.Alert.File), r.Alert.Line, text)})
}

// alert adds the tests of an alert: of an input at which it fires and of the nearest at which it does not, for each of its
// conditions. What is expected is what was observed with all rules of the files.
func (w *writer) alert(ctx context.Context, r Result) error {
	if r.Answer != Fires && r.Answer != Always {
		why := make([]string, len(r.Why))
		for i, reason := range r.Why {
			why[i] = reason.Text
		}
		text := strings.Join(why, "; ")
		if text == "" {
			text = "no input was found"
		}
		w.note(r, "has no test: %s: %s.", r.Answer, text)
		return nil
	}
	input, err := w.checked(ctx, r)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		w.note(r, "has no test: %v.", err)
		return nil
	}
	fires, err := w.observe(ctx, r, input, w.rules.Observe)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		w.note(r, "has no test: %v.", err)
		return nil
	}
	own := map[string]bool{} // the labels of what fires
	for i, c := range fires.Checks {
		for _, f := range c.Firing {
			if len(input.Checks[i].Firing) > 0 && isOf(r.Alert, f) {
				own[f.Labels.String()] = true
			}
		}
	}
	fired := func(c Check) bool {
		return slices.ContainsFunc(c.Firing, func(f Firing) bool { return own[f.Labels.String()] })
	}
	var checks []Check
	for i, c := range fires.Checks {
		if len(input.Checks[i].Firing) > 0 || !fired(c) { // other rules may make it fire before or after
			checks = append(checks, c)
		}
	}
	fires.Checks = checks
	w.add(r, fires)
	for _, b := range r.Boundaries {
		i := slices.IndexFunc(b.Scenarios, func(s Scenario) bool { return !s.fires() && len(s.Checks) > 0 })
		if i < 0 {
			continue
		}
		quiet, err := w.observe(ctx, r, b.Scenarios[i], w.rules.Observe)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && slices.ContainsFunc(quiet.Checks, fired) {
			err = errors.New("together with the other rules of the files, it fires there")
		}
		if err != nil {
			w.note(r, "has no test at %s: %v.", b.Quiet, err)
			continue
		}
		w.add(r, quiet)
	}
	for _, u := range r.Unknown {
		w.note(r, "has no test of %s: %s.", u.Condition, u.Reason)
	}
	return nil
}

// fires reports whether an alert fires in a scenario.
func (s Scenario) fires() bool {
	return slices.ContainsFunc(s.Checks, func(c Check) bool { return len(c.Firing) > 0 })
}

// checked returns the input at which an alert fires, with checks: those that it has, or the last evaluation before it
// fires, the first at which it does, and the first at which it no longer does.
func (w *writer) checked(ctx context.Context, r Result) (Scenario, error) {
	s := r.Input
	if s.fires() {
		return s, nil
	}
	if s.Name == "" {
		s.Name = r.Alert.Name + " fires"
	}
	if s.Interval == 0 {
		s.Interval = w.interval
	}
	last := r.Alert.For + w.interval // without input
	for _, in := range s.Series {
		_, values, err := promqlParser.ParseSeriesDesc(in.Series + " " + in.Values)
		if err != nil {
			return s, fmt.Errorf("series %s %s: %w", in.Series, in.Values, err)
		}
		last = max(last, time.Duration(len(values)-1)*s.Interval)
	}
	if last/w.interval > maxEvaluations {
		return s, fmt.Errorf("its input lasts %d evaluations, more than %d", last/w.interval, maxEvaluations)
	}
	s.Checks = nil
	for at := time.Duration(0); at <= last; at += w.interval {
		s.Checks = append(s.Checks, Check{At: at})
	}
	all, err := w.observe(ctx, r, s, w.rules.ObserveLabels)
	if err != nil {
		return s, err
	}
	fires := func(c Check) bool {
		return slices.ContainsFunc(c.Firing, func(f Firing) bool { return isOf(r.Alert, f) })
	}
	first := slices.IndexFunc(all.Checks, fires)
	if first < 0 {
		return s, errors.New("alone it fires at this input, but not together with the other rules of the files")
	}
	s.Checks = []Check{all.Checks[first]}
	if first > 0 {
		s.Checks = slices.Insert(s.Checks, 0, Check{At: all.Checks[first-1].At, Why: "not yet"})
	}
	if i := slices.IndexFunc(all.Checks[first:], func(c Check) bool { return !fires(c) }); i > 0 {
		s.Checks = append(s.Checks, Check{At: all.Checks[first+i].At, Why: "resolved"})
	}
	return s, nil
}

// maxTested limits how often rules are evaluated in a generated test.
const maxTested = 40_000

// observer is Observe or ObserveLabels of ruletest.Rules.
type observer func(ctx context.Context, in ruletest.Input, alert string, at []time.Duration) ([][]evaluate.Alert, error)

// observe returns a scenario with what fires in it by all rules of the unit. Series that one of them records are left out
// where both would write the same. The error says why it is no test.
func (w *writer) observe(ctx context.Context, r Result, s Scenario, by observer) (Scenario, error) {
	observed, err := w.observeWith(ctx, r, s, by)
	if err == nil {
		return observed, nil
	}
	raw := s
	raw.Series = slices.DeleteFunc(slices.Clone(s.Series), func(in Series) bool { return w.isRecorded(in) })
	if len(raw.Series) == len(s.Series) || len(raw.Series) == 0 {
		return observed, err
	}
	raw.Name = r.Alert.Name + " is quiet"
	if s.fires() {
		raw.Name = r.Alert.Name + " fires"
	}
	if other, otherErr := w.observeWith(ctx, r, raw, by); otherErr == nil {
		return other, nil
	}
	return observed, err
}

// live is how many rules of the unit a scenario gives something to read.
func (w *writer) live(s Scenario) int {
	metrics := map[string]bool{}
	for _, in := range s.Series {
		if l, err := promqlParser.ParseMetric(in.Series); err == nil {
			metrics[l.Get(model.MetricNameLabel)] = true
		}
	}
	return max(1, w.rules.Live(metrics))
}

// isRecorded reports whether a rule of the unit records series of that name.
func (w *writer) isRecorded(in Series) bool {
	l, err := promqlParser.ParseMetric(in.Series)
	return err == nil && slices.ContainsFunc(w.needs.recordings[l.Get(model.MetricNameLabel)], func(r rule.Recording) bool {
		return slices.Contains(w.sources, r.File)
	})
}

func (w *writer) observeWith(ctx context.Context, r Result, s Scenario, by observer) (Scenario, error) {
	if n := len(s.Checks); n > 0 {
		last, live := s.Checks[n-1].At, w.live(s)
		if evaluations := int(last/w.interval) + 1; evaluations*live > maxTested {
			return s, fmt.Errorf("its input lasts %s, too long for a test in which %d rules are evaluated every %s", model.Duration(last), live, model.Duration(w.interval))
		}
	}
	in := ruletest.Input{Interval: s.Interval, Start: s.Start}
	for _, one := range s.Series {
		in.Series = append(in.Series, ruletest.Series(one))
	}
	var at []time.Duration
	for _, c := range s.Checks {
		at = append(at, c.At)
	}
	seen, err := by(ctx, in, r.Alert.Name, at)
	if err != nil {
		return s, err
	}
	s.Checks = slices.Clone(s.Checks)
	for i, c := range s.Checks {
		expected := len(c.Firing) > 0
		c.Firing = nil
		for _, f := range seen[i] {
			c.Firing = append(c.Firing, Firing{labels.NewBuilder(f.Labels).Del(labels.AlertName).Labels(), f.Annotations})
		}
		if expected && !slices.ContainsFunc(c.Firing, func(f Firing) bool { return isOf(r.Alert, f) }) {
			return s, fmt.Errorf("alone it fires at %s of this input, but not together with the other rules of the files", model.Duration(c.At))
		}
		if expected != (len(c.Firing) > 0) { // a namesake fires
			c.Why = ""
		}
		s.Checks[i] = c
	}
	return s, nil
}

// isOf reports whether an alert can be one of a rule: it has the labels that the rule adds.
func isOf(alert rule.Alert, f Firing) bool {
	for name, value := range alert.Labels {
		if !strings.Contains(value, "{{") && f.Labels.Get(name) != value {
			return false
		}
	}
	return true
}

// add adds a test under a name that no other has.
func (w *writer) add(r Result, s Scenario) {
	s.Name = strings.Replace(s.Name, r.Alert.Name, w.title(r.Alert), 1)
	name := s.Name
	for n := 2; w.names[s.Name]; n++ {
		s.Name = fmt.Sprintf("%s (%d)", name, n)
	}
	w.names[s.Name] = true
	w.tests++
	w.anchors.count(r.Alert.Name, s)
	w.entries = append(w.entries, written{alert: r.Alert.Name, scenario: s})
}

// title is an alert's name and, where other rules have the same, what distinguishes it: its labels, or its line.
func (w *writer) title(alert rule.Alert) string {
	var others []rule.Alert
	for _, a := range w.needs.alerts[alert.Name] {
		if slices.Contains(w.sources, a.File) && (a.File != alert.File || a.Line != alert.Line) {
			others = append(others, a)
		}
	}
	if len(others) == 0 {
		return alert.Name
	}
	if severity := alert.Labels["severity"]; severity != "" && !slices.ContainsFunc(others, func(o rule.Alert) bool { return o.Labels["severity"] == severity }) {
		return fmt.Sprintf("%s, %s,", alert.Name, severity)
	}
	return fmt.Sprintf("%s of %s:%d", alert.Name, filepath.Base(alert.File), alert.Line)
}

// text is the list of tests, with comments for what has none.
func (w *writer) text() []byte {
	var b bytes.Buffer
	for i, e := range w.entries {
		if i > 0 && (e.note == "" || w.entries[i-1].note == "") {
			b.WriteString("\n")
		}
		if e.note != "" {
			fmt.Fprintf(&b, "  # %s\n", e.note)
			continue
		}
		var one bytes.Buffer
		encode(&one, []entry{w.anchors.test(e.alert, e.scenario)})
		for line := range strings.Lines(one.String()) {
			b.WriteString("  " + line)
		}
	}
	if w.tests == 0 {
		b.WriteString("  []\n")
	}
	return b.Bytes()
}

func encode(b *bytes.Buffer, value any) {
	e := yaml.NewEncoder(b)
	e.SetIndent(2)
	if err := e.Encode(value); err != nil {
		panic(err) // text, durations, lists and maps can always be encoded
	}
	e.Close()
}

func nodeOf(value any) *yaml.Node {
	n := &yaml.Node{}
	if err := n.Encode(value); err != nil {
		panic(err) // as in encode
	}
	return n
}

// entry is one entry of tests.
type entry struct {
	Name     string         `yaml:"name"`
	Interval model.Duration `yaml:"interval"`
	Start    string         `yaml:"start_timestamp,omitempty"`
	Series   []Series       `yaml:"input_series,omitempty"`
	Checks   []*yaml.Node   `yaml:"alert_rule_test"`
}

type expectedAlert struct {
	Labels      map[string]string `yaml:"exp_labels,omitempty"`
	Annotations map[string]string `yaml:"exp_annotations,omitempty"`
}

// anchors writes alerts that several checks expect in full only once.
type anchors struct {
	uses  map[string]int
	names map[string]string
	taken map[string]bool
}

func (a *anchors) count(alert string, s Scenario) {
	for _, c := range s.Checks {
		a.uses[fmt.Sprint(alert, c.Firing)]++
	}
}

func (a *anchors) expected(alert string, firing []Firing) *yaml.Node {
	content := fmt.Sprint(alert, firing)
	if name := a.names[content]; name != "" {
		return &yaml.Node{Kind: yaml.AliasNode, Value: name}
	}
	var alerts []expectedAlert
	for _, f := range firing {
		alerts = append(alerts, expectedAlert{f.Labels.Map(), f.Annotations.Map()})
	}
	list := nodeOf(alerts)
	if a.uses[content] > 1 {
		name := alert
		for i := 2; a.taken[name]; i++ {
			name = fmt.Sprintf("%s%d", alert, i)
		}
		if strings.Trim(strings.ToLower(alert), "abcdefghijklmnopqrstuvwxyz0123456789_-") == "" {
			a.names[content], list.Anchor = name, name
			a.taken[name] = true
		}
	}
	return list
}

func (a *anchors) test(alert string, s Scenario) entry {
	test := entry{Name: s.Name, Interval: model.Duration(s.Interval), Series: s.Series}
	if s.Start.Unix() > 0 {
		test.Start = s.Start.UTC().Format(time.RFC3339)
	}
	for _, c := range s.Checks {
		check := nodeOf(struct {
			At    model.Duration `yaml:"eval_time"`
			Alert string         `yaml:"alertname"`
		}{model.Duration(c.At), alert})
		isShort := true
		if len(c.Firing) > 0 {
			expected := a.expected(alert, c.Firing)
			check.Content = append(check.Content, nodeOf("exp_alerts"), expected)
			isShort = expected.Kind == yaml.AliasNode
		}
		if isShort {
			check.Style, check.LineComment = yaml.FlowStyle, c.Why
		}
		test.Checks = append(test.Checks, check)
	}
	return test
}
