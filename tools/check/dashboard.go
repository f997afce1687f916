package check

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/promql"
)

// maxDashboard is the size in bytes above which a dashboard is refused.
const maxDashboard = 16 << 20

// panel is a query of a Grafana dashboard, as it is in its JSON.
type panel struct {
	title string
	expr  string
	sure  bool // whether its data source is certainly a Prometheus
	file  string
	src   *jsonText
	at    int // offset of the string's opening quote in the file
}

// dashboards are the queries of Grafana dashboards, and the uids of the dashboards.
type dashboards struct {
	panels []panel
	uids   []string // in order
}

// loadDashboards reads the queries to Prometheus in the dashboards (*.json) of a folder and of those below it; without
// a folder, there are none.
func loadDashboards(dir string) (dashboards, error) {
	var all dashboards
	if dir == "" {
		return all, nil
	}
	if _, err := os.ReadDir(dir); err != nil {
		return all, fmt.Errorf("reading the folder of dashboards: %w", err)
	}
	var errs []error
	files := 0
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".json" || entry.IsDir() {
			return err
		}
		files++
		found, err := loadDashboard(filepath.Join(dir, name))
		all.panels = append(all.panels, found.panels...)
		if found.uid != "" {
			all.uids = append(all.uids, found.uid)
		}
		errs = append(errs, err)
		return nil
	})
	if files == 0 && err == nil {
		err = fmt.Errorf("%s: holds no dashboard: put at least one *.json there", dir)
	}
	slices.Sort(all.uids)
	return all, errors.Join(append(errs, err)...)
}

func loadDashboard(file string) (dashboard, error) {
	info, err := os.Stat(file)
	if err != nil {
		return dashboard{}, fmt.Errorf("reading the dashboard: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxDashboard {
		return dashboard{}, fmt.Errorf("%s: no dashboard (%d bytes): keep one in a file of at most %d bytes", file, info.Size(), maxDashboard)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return dashboard{}, fmt.Errorf("reading the dashboard: %w", err)
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	text := &jsonText{content: content}
	root, err := text.parse()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	if err != nil {
		line, _ := text.place(text.offset())
		return dashboard{}, fmt.Errorf("%s:%d: not valid JSON: %w: export the dashboard again", file, line, err)
	}
	d := dashboard{file: file, src: text, sources: map[string]string{}}
	d.uid = cmp.Or(root.fields["uid"].text, root.fields["dashboard"].fields["uid"].text) // the latter in what the API returns
	for _, v := range root.fields["templating"].fields["list"].items {
		if v.fields["type"].text == "datasource" {
			d.sources[v.fields["name"].text] = v.fields["query"].text
		}
	}
	d.walk(root, "", prometheus)
	return d, nil
}

// value is a JSON value with its position.
type value struct {
	at     int // offset of its first byte
	text   string
	isText bool
	fields map[string]value
	items  []value
}

// jsonText is a JSON document whose values can be located.
type jsonText struct {
	content []byte
	decoder *json.Decoder
}

func (t *jsonText) parse() (value, error) {
	t.decoder = json.NewDecoder(bytes.NewReader(t.content))
	root, err := t.value(0)
	if err == nil {
		if _, err := t.decoder.Token(); !errors.Is(err, io.EOF) {
			return value{}, errors.New("more after its end")
		}
	}
	return root, err
}

func (t *jsonText) offset() int { return int(t.decoder.InputOffset()) }

// start returns where the next token begins.
func (t *jsonText) start() int {
	at := t.offset()
	for at < len(t.content) && strings.IndexByte(" \t\r\n,:", t.content[at]) >= 0 {
		at++
	}
	return at
}

func (t *jsonText) value(depth int) (value, error) {
	const deepest = 1000
	if depth > deepest {
		return value{}, errors.New("nested too deep")
	}
	v := value{at: t.start()}
	token, err := t.decoder.Token()
	if err != nil {
		return v, err
	}
	switch token := token.(type) {
	case string:
		v.text, v.isText = token, true
	case json.Delim:
		if token == '{' {
			v.fields = map[string]value{}
		}
		for t.decoder.More() {
			name := ""
			if token == '{' {
				key, err := t.decoder.Token()
				if err != nil {
					return v, err
				}
				name, _ = key.(string)
			}
			child, err := t.value(depth + 1)
			if err != nil {
				return v, err
			}
			if token == '{' {
				v.fields[name] = child
			} else {
				v.items = append(v.items, child)
			}
		}
		if _, err := t.decoder.Token(); err != nil {
			return v, err
		}
	}
	return v, nil
}

// place returns the line and the column, in characters, of a byte.
func (t *jsonText) place(offset int) (line, column int) {
	before := t.content[:min(max(offset, 0), len(t.content))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[start:])
}

// within returns the offset in the document of the byte at offset in the string that starts at.
func (t *jsonText) within(at, offset int) int {
	i := at + 1
	for j := 0; j < offset && i < len(t.content); {
		if t.content[i] != '\\' {
			i++
			j++
			continue
		}
		if i+6 <= len(t.content) && t.content[i+1] == 'u' {
			n, _ := strconv.ParseUint(string(t.content[i+2:i+6]), 16, 32)
			j += len(string(rune(n)))
			i += 6
			continue
		}
		i += 2
		j++
	}
	return i
}

const prometheus = "prometheus"

type dashboard struct {
	uid     string
	file    string
	src     *jsonText
	sources map[string]string // type of data source by the variable that stands for one
	panels  []panel
}

// walk collects the targets of all panels, wherever versions of Grafana put them.
func (d *dashboard) walk(v value, title, source string) {
	if t, ok := v.fields["title"]; ok && t.isText {
		title = t.text
	}
	source = d.source(v, source)
	for _, target := range v.fields["targets"].items {
		own := d.source(target, source)
		expr := target.fields["expr"]
		if expr.isText && strings.TrimSpace(expr.text) != "" && (own == "" || own == prometheus) {
			d.panels = append(d.panels, panel{title: title, expr: expr.text, sure: own == prometheus, file: d.file, src: d.src, at: expr.at})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.fields)) {
		d.walk(v.fields[name], title, source)
	}
	for _, item := range v.items {
		d.walk(item, title, source)
	}
}

// source returns the type of the data source that an object names: inherited where it names none, and empty where the
// type is not known.
func (d *dashboard) source(v value, inherited string) string {
	named, ok := v.fields["datasource"]
	name := named.text
	switch {
	case !ok || !named.isText && named.fields == nil: // null, which is the default
		return inherited
	case named.fields["type"].text != "":
		return named.fields["type"].text
	case named.fields != nil:
		name = named.fields["uid"].text
	}
	if kind, ok := d.sources[strings.Trim(name, "${}[]")]; ok {
		return kind
	}
	return ""
}

// panels parses the queries of dashboards, and reports those that are not PromQL.
func (c *checker) panels(panels []panel) []query {
	var queries []query
	for _, p := range panels {
		filled, variables := fill(p.expr)
		expr, err := promql.ParseExpr(filled)
		if err != nil && len(variables) > 0 {
			filled = fillNumbers(p.expr)
			expr, err = promql.ParseExpr(filled)
		}
		q := query{source: filled, expr: expr, owner: fmt.Sprintf("the panel %q", p.title), file: p.file,
			at: func(offset int) (int, int) { return p.src.place(p.src.within(p.at, offset)) },
			hidden: func(offset int) bool {
				for _, v := range variables {
					if v[0] <= offset && offset < v[1] {
						return true
					}
				}
				return false
			}}
		if err == nil {
			queries = append(queries, q)
			continue
		}
		// With variables in it, only Grafana knows what Prometheus will receive.
		if errs, ok := errors.AsType[parser.ParseErrors](err); ok && len(variables) == 0 && p.sure {
			start := min(max(int(errs[0].PositionRange.Start), 0), len(p.expr))
			c.reportIn(q, start, "dashboard/promql", "%s asks for what is not PromQL: %v: fix the query", q.owner, errs[0].Err)
		}
	}
	return queries
}

// variable is a variable of Grafana, in each of the three notations.
var variable = regexp.MustCompile(`\$\{[^}]*\}|\[\[[^\]\[]*\]\]|\$\w+`)

// unknownText replaces a variable within a string: its value may be empty, or ".*".
const unknownText = "\x7f"

// parameter is what stands before a number in PromQL.
var parameter = regexp.MustCompile(`(?:topk|bottomk|quantile|limitk|limit_ratio)\s*(?:(?:by|without)\s*\([^)]*\)\s*)?\(\s*$`)

// fill replaces each of Grafana's variables by something of the same length, so that offsets stay the same: a duration in
// brackets or behind offset, a number in topk(), a name elsewhere. It returns the places of the names.
func fill(expr string) (filled string, variables [][2]int) {
	return substitute(expr, func(text string) string { return "v" + strings.Repeat("_", len(text)-1) })
}

// fillNumbers writes a number where fill writes a name, as in x > $limit.
func fillNumbers(expr string) string {
	filled, _ := substitute(expr, digits)
	return filled
}

func digits(text string) string { return strings.Repeat("0", len(text)-1) + "1" }

func substitute(expr string, elsewhere func(text string) string) (filled string, variables [][2]int) {
	out := []byte(expr)
	found := variable.FindAllStringIndex(expr, -1)
	var quote byte
	brackets := 0
	const nearby = 200 // bytes before a variable in which its kind is looked for
	for i := 0; i < len(expr); i++ {
		if len(found) > 0 && i == found[0][0] {
			from, to := found[0][0], found[0][1]
			found = found[1:]
			text := expr[from:to]
			isDuration := brackets > 0 || strings.HasSuffix(strings.TrimRight(expr[:from], " \n\t-"), "offset")
			switch {
			case quote != 0:
				copy(out[from:to], strings.Repeat(unknownText, len(text)))
			case isDuration && to < len(expr) && strings.IndexByte("smhdwy", expr[to]) >= 0:
				copy(out[from:to], digits(text))
			case parameter.MatchString(expr[max(0, from-nearby):from]):
				copy(out[from:to], digits(text))
			case isDuration:
				copy(out[from:to], digits(text[1:])+"m")
			default:
				copy(out[from:to], elsewhere(text))
				variables = append(variables, [2]int{from, to})
			}
			i = to - 1
			continue
		}
		switch b := expr[i]; {
		case quote != 0 && b == '\\' && quote != '`':
			i++
		case quote != 0 && b == quote:
			quote = 0
		case quote != 0:
		case b == '#': // a comment, to the end of its line
			if end := strings.IndexByte(expr[i:], '\n'); end >= 0 {
				i += end
			} else {
				i = len(expr)
			}
		case b == '"' || b == '\'' || b == '`':
			quote = b
		case b == '[':
			brackets++
		case b == ']' && brackets > 0:
			brackets--
		}
		// A variable that began inside of what was just passed over is part of it.
		for len(found) > 0 && found[0][0] <= i {
			found = found[1:]
		}
	}
	return string(out), variables
}
