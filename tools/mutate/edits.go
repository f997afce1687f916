package mutate

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/promql"
)

var (
	labelInTemplate = regexp.MustCompile(`(?:\$labels|\.Labels)\.([a-zA-Z_]\w*)`)
	grouping        = regexp.MustCompile(`(?i)\b(by|without)\s*\(([^()]*)\)`)
	matching        = regexp.MustCompile(`(?i)\b(on|ignoring)\s*\(([^()]*)\)`)
	name            = regexp.MustCompile(`[a-zA-Z_][\w.]*|"[^"]*"`)
)

var (
	inverted = map[string]string{"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "!=", "!=": "=="}
	loosened = map[string]string{"<": "<=", ">": ">=", "<=": "<", ">=": ">"}
	setOps   = map[string][]string{"and": {"unless", "or"}, "unless": {"and"}, "or": {"and"}}
	negated  = map[string]string{"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
	// The aggregations and functions that are easily confused.
	aggregations = []string{"sum", "avg", "max", "min"}
	functions    = map[string][]string{
		"rate": {"increase"}, "increase": {"rate"}, "avg_over_time": {"max_over_time", "min_over_time"},
		"max_over_time": {"min_over_time"}, "min_over_time": {"max_over_time"},
	}
)

// editor finds the places in an expression's text for plausible mistakes.
type editor struct {
	text  string
	found []edit
}

func edits(text string, expr parser.Expr) []edit {
	e := &editor{text: text}
	thresholds := map[*parser.NumberLiteral]bool{}
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		switch n := node.(type) {
		case *parser.BinaryExpr:
			e.operation(n, thresholds)
		case *parser.NumberLiteral:
			if !thresholds[n] {
				e.scaled("number", n)
			}
		case *parser.VectorSelector:
			e.selector(n)
		case *parser.MatrixSelector:
			e.window(int(n.VectorSelector.PositionRange().Start), int(n.EndPos))
		case *parser.SubqueryExpr:
			e.window(int(n.Expr.PositionRange().End), int(n.EndPos))
		case *parser.AggregateExpr:
			e.aggregation(n)
		case *parser.Call:
			start := int(n.PosRange.Start)
			if e.has(start, n.Func.Name) && !slices.ContainsFunc(path, isQuantile) {
				for _, other := range functions[n.Func.Name] {
					e.replace("function changed", start, start+len(n.Func.Name), other)
				}
			}
		}
		return nil
	})
	return e.found
}

func (e *editor) replace(what string, start, end int, to string) {
	if start >= 0 && start <= end && end <= len(e.text) {
		e.found = append(e.found, edit{what, start, end, to})
	}
}

// isQuantile reports whether a node is a histogram_quantile, which is the same for rates and increases of buckets.
func isQuantile(node parser.Node) bool {
	c, ok := node.(*parser.Call)
	return ok && c.Func.Name == "histogram_quantile"
}

// has reports whether a word is at an offset, in any case.
func (e *editor) has(at int, word string) bool {
	return at >= 0 && at+len(word) <= len(e.text) && strings.EqualFold(e.text[at:at+len(word)], word)
}

// between returns the text between two offsets, and where it begins.
func (e *editor) between(start, end int) (string, int) {
	if start < 0 || start > end || end > len(e.text) {
		return "", 0
	}
	return e.text[start:end], start
}

func (e *editor) operation(n *parser.BinaryExpr, thresholds map[*parser.NumberLiteral]bool) {
	gap, start := e.between(int(n.LHS.PositionRange().End), int(n.RHS.PositionRange().Start))
	op := n.Op.String()
	at := strings.Index(strings.ToLower(gap), op)
	if at < 0 {
		return
	}
	at += start
	if to, ok := inverted[op]; ok {
		e.replace("comparison inverted", at, at+len(op), to)
	}
	if to, ok := loosened[op]; ok {
		e.replace("comparison loosened or tightened", at, at+len(op), to)
	}
	for _, to := range setOps[op] {
		e.replace(op+" became "+to, at, at+len(op), to)
	}
	if n.Op.IsComparisonOperator() {
		for _, side := range []parser.Expr{n.LHS, n.RHS} {
			e.threshold(side, thresholds)
		}
	}
	e.labels(gap, start, matching, map[string]string{"on": "ignoring", "ignoring": "on"}, "matching label")
}

// threshold changes a constant that something is compared with.
func (e *editor) threshold(side parser.Expr, thresholds map[*parser.NumberLiteral]bool) {
	value, ok := promql.Constant(side)
	if !ok {
		return
	}
	var literals []*parser.NumberLiteral
	parser.Inspect(side, func(node parser.Node, _ []parser.Node) error {
		if l, ok := node.(*parser.NumberLiteral); ok {
			literals, thresholds[l] = append(literals, l), true
		}
		return nil
	})
	if len(literals) == 0 {
		return
	}
	e.scaled("threshold", literals[0])
	at := side.PositionRange()
	start, end := int(at.Start), int(at.End)
	text, _ := e.between(start, end)
	if _, isLiteral := side.(*parser.NumberLiteral); !isLiteral {
		e.replace("threshold one unit higher", end, end, " + 1")
		e.replace("threshold one unit lower", end, end, " - 1")
		if value != 0 {
			if _, isParen := side.(*parser.ParenExpr); !isParen && !isProduct(side) {
				return // 10 % of a sum are not 10 % of its last term
			}
			e.replace("threshold 10 % higher", end, end, " * 1.1")
			e.replace("threshold 10 % lower", end, end, " * 0.9")
		}
		return
	}
	unit := 1.0
	places := 0
	if _, fraction, ok := strings.Cut(text, "."); ok {
		places = len(fraction)
		unit, _ = strconv.ParseFloat("1e-"+strconv.Itoa(places), 64)
	}
	write := func(v float64, places int) string { return strconv.FormatFloat(v, 'f', places, 64) }
	e.replace("threshold one unit higher", start, end, write(value+unit, places))
	e.replace("threshold one unit lower", start, end, write(value-unit, places))
	if value != 0 {
		e.replace("threshold 10 % higher", start, end, short(value*1.1))
		e.replace("threshold 10 % lower", start, end, short(value*0.9))
	}
}

func isProduct(expr parser.Expr) bool {
	b, ok := expr.(*parser.BinaryExpr)
	return ok && (b.Op == parser.MUL || b.Op == parser.DIV)
}

// scaled shifts the decimal point of a number.
func (e *editor) scaled(what string, n *parser.NumberLiteral) {
	if n.Val == 0 || n.Duration {
		return
	}
	start, end := int(n.PosRange.Start), int(n.PosRange.End)
	e.replace(what+" x10", start, end, short(n.Val*10))
	e.replace(what+" /10", start, end, short(n.Val/10))
}

// short writes a number without the rounding errors of binary fractions.
func short(v float64) string {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 12, 64), 64)
	return strconv.FormatFloat(v, 'f', -1, 64)
}

func (e *editor) window(from, end int) {
	text, start := e.between(from, end)
	open := strings.LastIndex(text, "[")
	if open < 0 {
		return
	}
	inner := text[open+1:]
	stop := strings.IndexAny(inner, ":]")
	if stop < 0 {
		return
	}
	d, err := model.ParseDuration(strings.TrimSpace(inner[:stop]))
	if err != nil {
		return
	}
	at := start + open + 1
	e.replace("window halved", at, at+stop, (d / 2).String())
	e.replace("window doubled", at, at+stop, (d * 2).String())
}

func (e *editor) aggregation(n *parser.AggregateExpr) {
	start, op := int(n.PosRange.Start), n.Op.String()
	others := aggregations
	switch op {
	case "count":
		others = []string{"sum"}
	case "topk", "bottomk", "quantile", "count_values", "limitk", "limit_ratio", "group":
		others = nil
	}
	for _, to := range others {
		if to != op && e.has(start, op) {
			e.replace("aggregation changed", start, start+len(op), to)
		}
	}
	before, at := e.between(start, int(n.Expr.PositionRange().Start))
	e.labels(before, at, grouping, map[string]string{"by": "without", "without": "by"}, "grouping label")
	after, at := e.between(int(n.Expr.PositionRange().End), int(n.PosRange.End))
	e.labels(after, at, grouping, map[string]string{"by": "without", "without": "by"}, "grouping label")
}

// labels drops each label from a list such as by (job, instance), and replaces by with without and the reverse.
func (e *editor) labels(text string, start int, list *regexp.Regexp, opposite map[string]string, what string) {
	m := list.FindStringSubmatchIndex(text)
	if m == nil {
		return
	}
	word := text[m[2]:m[3]]
	to := opposite[strings.ToLower(word)]
	e.replace(strings.ToLower(word)+" became "+to, start+m[2], start+m[3], to)
	e.dropEach(what+" dropped", text[m[4]:m[5]], start+m[4], name.FindAllStringIndex(text[m[4]:m[5]], -1))
}

// dropEach drops each item of a list, with its comma.
func (e *editor) dropEach(what, list string, start int, items [][]int) {
	for i, at := range items {
		from, to := at[0], at[1]
		switch {
		case i > 0:
			from = items[i-1][1]
		case len(items) > 1:
			to = items[1][0]
		default:
			from, to = 0, len(list)
		}
		e.replace(what, start+from, start+to, "")
	}
}

func (e *editor) selector(n *parser.VectorSelector) {
	start := int(n.PosRange.Start)
	if n.Name != "" && e.has(start, n.Name) {
		e.replace("metric misspelt", start, start+len(n.Name), misspell(n.Name))
		start += len(n.Name)
	}
	text, start := e.between(start, int(n.PosRange.End))
	open := strings.Index(text, "{")
	if open < 0 || strings.TrimSpace(text[:open]) != "" {
		return
	}
	at := start + open
	matchers, ops, end := matchersIn(text[open:])
	if end < 0 {
		return
	}
	for _, op := range ops {
		e.replace("matcher negated", at+int(op.Pos), at+int(op.Pos)+len(op.Val), negated[op.Val])
	}
	if len(matchers) == 1 && n.Name != "" {
		e.replace("matcher dropped", at, at+end+1, "")
		return
	}
	for i := range matchers { // dropEach counts from behind the brace
		matchers[i][0], matchers[i][1] = matchers[i][0]-1, matchers[i][1]-1
	}
	e.dropEach("matcher dropped", text[open+1:open+end], at+1, matchers)
}

// matchersIn finds the matchers in a text that begins with a brace, their operators, and the closing brace (-1 if there
// is none).
func matchersIn(text string) (matchers [][]int, ops []parser.Item, end int) {
	lexer, from, last := parser.Lex(text), -1, 0
	for {
		var item parser.Item
		lexer.NextItem(&item)
		switch item.Typ {
		case parser.EOF, parser.ERROR:
			return nil, nil, -1
		case parser.LEFT_BRACE, parser.COMMENT:
			continue
		case parser.COMMA, parser.RIGHT_BRACE:
			if from >= 0 {
				matchers = append(matchers, []int{from, last})
			}
			if from = -1; item.Typ == parser.RIGHT_BRACE {
				return matchers, ops, int(item.Pos)
			}
			continue
		case parser.EQL, parser.NEQ, parser.EQL_REGEX, parser.NEQ_REGEX:
			ops = append(ops, item)
		}
		if from < 0 {
			from = int(item.Pos)
		}
		last = int(item.Pos) + len(item.Val)
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func replaced(m map[string]string, key, value string) map[string]string {
	m = maps.Clone(m)
	m[key] = value
	return m
}
