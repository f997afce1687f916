package ruletest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"

	static "github.com/stemedb/firedrill/tools/promql"
	ruleread "github.com/stemedb/firedrill/tools/rule"
)

// maxFileSize limits the size of a file in bytes.
const maxFileSize = 16 << 20

var (
	// promqlParser parses the names and labels of series.
	promqlParser = parser.NewParser(parser.Options{})
	quiet        = slog.New(slog.DiscardHandler)
)

// ruleFile is a rule file, parsed.
type ruleFile struct {
	path   string
	groups []*ruleGroup
}

type ruleGroup struct {
	file, name string
	offset     time.Duration // query_offset
	interval   time.Duration // 0 if it sets none
	limit      int
	rules      []*rule
}

// rule is a rule and what is known of it before it runs.
type rule struct {
	group       *ruleGroup
	position    int // in the group
	alert       bool
	name        string
	expr        *expression
	hold        time.Duration
	keepFiring  time.Duration
	labels      labels.Labels
	annotations labels.Labels
	// staticLabels is set if no label has a template, so that they are the same for every alert.
	staticLabels bool
	// queries is set if a template queries: the result depends on what other rules have written so far.
	queries bool
}

// String says which rule it is.
func (r *rule) String() string {
	kind := "record"
	if r.alert {
		kind = "alert"
	}
	return fmt.Sprintf("%s: %s (group %q, %s)", kind, r.name, r.group.name, r.group.file)
}

// alertMetrics are the metrics that alerting rules write.
var alertMetrics = []string{"ALERTS", "ALERTS_FOR_STATE"}

// writes returns the metrics that the rule writes.
func (r *rule) writes() []string {
	if r.alert {
		return alertMetrics
	}
	return []string{r.name}
}

// expression is an expression and what is known of it before it is evaluated.
type expression struct {
	// text is the expression as Prometheus prints and evaluates it, which may differ from the file.
	text   string
	parsed parser.Expr
	selection
	// past is set if the value at a time depends only on the time and earlier samples. One range query then gives the
	// same values as instant queries.
	past bool
	// inert is set if, without the series that it selects, it has neither a value nor an error at any time.
	inert bool
	// always is set if it has a value for any input.
	always bool
}

// selection is the metrics that an expression selects.
type selection struct {
	names []string
	any   bool // it also selects other than by name
}

// selects reports whether the expression may select the metric.
func (s selection) selects(metric string) bool {
	return s.any || slices.Contains(s.names, metric)
}

// reads reports whether the expression may select one of these metrics.
func (s selection) reads(metrics []string) bool { return slices.ContainsFunc(metrics, s.selects) }

// add adds what another expression selects.
func (s *selection) add(other selection) {
	s.names, s.any = append(s.names, other.names...), s.any || other.any
}

var foreignField = regexp.MustCompile(`field (\S+) not found in type rulefmt\.`)

// readRuleFile reads and parses a rule file as promtool does.
func (c *compiler) readRuleFile(path string) (*ruleFile, error) {
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	groups, errs := rulefmt.Parse(content, false, model.UTF8Validation, c.parser, quiet)
	if len(errs) > 0 {
		for i, err := range errs {
			errs[i] = decodeError(path, strings.TrimPrefix(err.Error(), "yaml: "))
		}
		needed := static.NeededFeatures(func(p parser.Parser) error {
			_, errs := rulefmt.Parse(content, false, model.UTF8Validation, p, quiet)
			return errors.Join(errs...)
		})
		if len(needed) > 0 {
			errs = append(errs, fmt.Errorf("%s: give --enable-feature=%s, if the Prometheus that loads this file is started with it", path, strings.Join(needed, ",")))
		}
		for _, m := range foreignField.FindAllStringSubmatch(errors.Join(errs...).Error(), -1) {
			if program := ruleread.ProgramOf(m[1]); program != "" {
				errs = append(errs, fmt.Errorf("%s: %s is for %s: promtool reads no rule file that has it: test a copy without it", path, m[1], program))
			}
		}
		return nil, errors.Join(errs...)
	}
	return c.compileFile(path, groups)
}

// compileFile makes a rule file of groups.
func (c *compiler) compileFile(path string, groups *rulefmt.RuleGroups) (*ruleFile, error) {
	f := &ruleFile{path: path}
	at := map[string]int{}
	for _, g := range groups.Groups {
		compiled := &ruleGroup{file: path, name: g.Name, limit: g.Limit, interval: time.Duration(g.Interval)}
		if g.QueryOffset != nil {
			compiled.offset = time.Duration(*g.QueryOffset)
		}
		for i, r := range g.Rules {
			expr, err := c.compile(r.Expr)
			if err != nil {
				return nil, fmt.Errorf("%s: the expression of %s%s in group %q: %w", path, r.Alert, r.Record, g.Name, err)
			}
			one := &rule{
				group: compiled, position: i, alert: r.Alert != "", name: r.Alert + r.Record, expr: expr,
				hold: time.Duration(r.For), keepFiring: time.Duration(r.KeepFiringFor),
				labels: rules.FromMaps(g.Labels, r.Labels), annotations: labels.FromMap(r.Annotations), staticLabels: true,
			}
			one.labels.Range(func(l labels.Label) {
				one.staticLabels = one.staticLabels && !strings.Contains(l.Value, "{{")
				one.queries = one.queries || one.alert && strings.Contains(l.Value, "query")
			})
			one.annotations.Range(func(l labels.Label) {
				one.queries = one.queries || strings.Contains(l.Value, "query")
			})
			compiled.rules = append(compiled.rules, one)
		}
		// Prometheus uses the last group of a name.
		if i, ok := at[g.Name]; ok {
			f.groups[i] = compiled
			continue
		}
		at[g.Name] = len(f.groups)
		f.groups = append(f.groups, compiled)
	}
	return f, nil
}

// compiler compiles expressions, each once.
type compiler struct {
	mutex    sync.Mutex
	compiled map[string]*expression // by the text in the file
	parser   parser.Parser
	engine   *promql.Engine
}

func (c *compiler) compile(text string) (*expression, error) {
	c.mutex.Lock()
	e := c.compiled[text]
	c.mutex.Unlock()
	if e != nil {
		return e, nil
	}
	parsed, err := c.parser.ParseExpr(text)
	if err != nil {
		return nil, err
	}
	e = &expression{text: parsed.String(), parsed: parsed, past: true, always: static.Always(parsed)}
	inert, tryEmpty := inspect(parsed, e)
	// An invalid argument, such as a regular expression, fails at any time, with any data.
	e.inert = inert && (!tryEmpty || c.tryEmpty(e.text))
	c.mutex.Lock()
	c.compiled[text] = e
	c.mutex.Unlock()
	return e, nil
}

// tryEmpty evaluates an expression without data.
func (c *compiler) tryEmpty(text string) bool {
	q, err := c.engine.NewInstantQuery(context.Background(), emptyStorage{}, nil, text, time.Unix(0, 0))
	if err != nil {
		return false
	}
	defer q.Close()
	return q.Exec(context.Background()).Err == nil
}

// emptyStorage is a storage without series.
type emptyStorage struct{}

func (emptyStorage) Querier(int64, int64) (storage.Querier, error) { return storage.NoopQuerier(), nil }

// inspect walks an expression and notes in e what it selects and from when. It returns whether the expression has no
// value while what it selects is missing, and whether it must be tried to know that it has no error then.
func inspect(node parser.Expr, e *expression) (empty, tryEmpty bool) {
	switch n := node.(type) {
	case *parser.VectorSelector:
		e.note(n)
		return true, false
	case *parser.MatrixSelector:
		return inspect(n.VectorSelector, e)
	case *parser.SubqueryExpr:
		e.past = e.past && n.OriginalOffset >= 0 && n.OriginalOffsetExpr == nil && n.RangeExpr == nil && n.StepExpr == nil &&
			n.Timestamp == nil && n.StartOrEnd == 0
		return inspect(n.Expr, e)
	case *parser.ParenExpr:
		return inspect(n.Expr, e)
	case *parser.StepInvariantExpr:
		return inspect(n.Expr, e)
	case *parser.UnaryExpr:
		return inspect(n.Expr, e)
	case *parser.AggregateExpr:
		empty, tryEmpty = inspect(n.Expr, e)
		if n.Param != nil {
			inspect(n.Param, e)
			_, number := static.Bare(n.Param).(*parser.NumberLiteral)
			_, text := static.Bare(n.Param).(*parser.StringLiteral)
			empty, tryEmpty = empty && (number || text), true
		}
		return empty, tryEmpty
	case *parser.BinaryExpr:
		return inspectBinary(n, e)
	case *parser.Call:
		return inspectCall(n, e)
	case *parser.NumberLiteral, *parser.StringLiteral:
		return false, false
	}
	// Other nodes: nothing is known.
	e.past, e.any = false, true
	return false, false
}

// note notes what a selector selects.
func (e *expression) note(s *parser.VectorSelector) {
	e.past = e.past && s.OriginalOffset >= 0 && s.OriginalOffsetExpr == nil && s.Timestamp == nil && s.StartOrEnd == 0 &&
		!s.Smoothed && !s.Anchored
	for _, m := range s.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			e.names = append(e.names, m.Value)
			return
		}
	}
	e.any = true
}

func inspectBinary(n *parser.BinaryExpr, e *expression) (empty, tryEmpty bool) {
	left, probeLeft := inspect(n.LHS, e)
	right, probeRight := inspect(n.RHS, e)
	tryEmpty = probeLeft || probeRight
	switch {
	case n.Op == parser.LOR, n.VectorMatching != nil && (n.VectorMatching.FillValues.LHS != nil || n.VectorMatching.FillValues.RHS != nil):
		return left && right, tryEmpty
	case n.Op == parser.LUNLESS:
		return left, tryEmpty
	default: // a scalar is never empty, and then the other side decides
		return left || right, tryEmpty
	}
}

func inspectCall(n *parser.Call, e *expression) (empty, tryEmpty bool) {
	vectors := 0
	for _, arg := range n.Args {
		argEmpty, argProbe := inspect(arg, e)
		tryEmpty = tryEmpty || argProbe
		if kind := arg.Type(); kind == parser.ValueTypeVector || kind == parser.ValueTypeMatrix {
			vectors++
			empty = argEmpty
		}
	}
	switch n.Func.Name {
	case "absent", "absent_over_time":
		e.past = e.past && !repeatsLabel(n.Args[0])
		return false, tryEmpty
	case "scalar", "vector":
		return false, tryEmpty
	case "label_replace", "label_join":
		tryEmpty = true
	case "info":
		e.any = true
	}
	return empty && vectors == 1, tryEmpty
}

// repeatsLabel reports whether a selector has two matchers for the same label. Which of them absent() takes for the label's
// value depends on their order, and that on whether anything is stored yet; see querier.Select.
func repeatsLabel(expr parser.Expr) bool {
	seen := map[string]bool{}
	repeats := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			for _, m := range s.LabelMatchers {
				repeats = repeats || seen[m.Name]
				seen[m.Name] = true
			}
		}
		return nil
	})
	return repeats
}

// readFile returns a file's content, up to maxFileSize.
func readFile(path string) ([]byte, error) {
	// Checked before opening: opening a named pipe waits for its writer.
	info, err := os.Stat(path)
	if err != nil {
		if pathErr, ok := err.(*fs.PathError); ok {
			err = pathErr.Err
		}
		return nil, fmt.Errorf("%s: cannot be read: %w", path, err)
	}
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("%s: is a directory: name a file", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: is not a regular file", path)
	case info.Size() > maxFileSize:
		return nil, fmt.Errorf("%s: %d bytes are more than the %d that are read: split it", path, info.Size(), maxFileSize)
	}
	return os.ReadFile(path)
}
