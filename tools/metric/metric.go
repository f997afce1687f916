// Package metric reads which metrics a target exports, with their types and labels, from its exposition.
package metric

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// MaxSize limits an exposition, in bytes.
const MaxSize = 64 << 20

// timeout limits the request to a target, like Prometheus's default scrape timeout.
const timeout = 10 * time.Second

const (
	plainText   = "text/plain; version=0.0.4; charset=utf-8"
	openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
)

// Role is the kind of a series. The suffix determines it for the series of a histogram or summary.
type Role string

// The roles. A Counter only rises until its target restarts; a Bucket is a counter with the label le; a Quantile has the
// label quantile.
const (
	Unknown  Role = "unknown"
	Counter  Role = "counter"
	Gauge    Role = "gauge"
	Bucket   Role = "bucket"
	Quantile Role = "quantile"
)

// Series describes all series of one name.
type Series struct {
	Name string // as in PromQL: x_bucket
	Role Role

	// Metric, Type, Help and Unit are as declared, such as x and histogram. Help and Unit may be empty.
	Metric string
	Type   model.MetricType
	Help   string
	Unit   string

	// Labels are the label names of all its series, sorted; nil if a metric is declared but has no series.
	Labels []string

	// Bounds are those of its buckets but +Inf, by their label le, in order; nil if there is no +Inf, as in an excerpt.
	Bounds []float64
}

// Inventory holds the series of one or more expositions.
type Inventory struct {
	series map[string]*Series
}

// Series returns the description of the series of a name.
func (inv *Inventory) Series(name string) (Series, bool) {
	found, ok := inv.series[name]
	if !ok {
		return Series{}, false
	}
	return *found, true
}

// Names returns the names of all series, sorted.
func (inv *Inventory) Names() []string { return slices.Sorted(maps.Keys(inv.series)) }

// Read reads and merges expositions in Prometheus's text format or OpenMetrics, each from a file or an http or https
// URL. The error joins all problems, with source and line.
func Read(ctx context.Context, sources ...string) (*Inventory, error) {
	inv := &Inventory{series: map[string]*Series{}}
	var errs []error
	for _, source := range sources {
		content, contentType, err := fetch(ctx, source)
		if err == nil {
			err = inv.add(source, content, contentType)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return inv, nil
}

func fetch(ctx context.Context, source string) (content []byte, contentType string, err error) {
	tooLarge := fmt.Errorf("%s: an exposition of more than %d bytes: name what a single target exports", source, MaxSize)
	if u, err := url.Parse(source); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w: write a URL such as http://localhost:9090/metrics", u.Redacted(), err)
		}
		request.Header.Set("Accept", openMetrics+","+plainText+";q=0.5")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, "", fmt.Errorf("request metrics: %w", err) // it has the URL without its password
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return nil, "", fmt.Errorf("%s: the server answered %s: name the URL that Prometheus scrapes", u.Redacted(), response.Status)
		}
		content, err := io.ReadAll(io.LimitReader(response.Body, MaxSize+1))
		if err != nil {
			return nil, "", fmt.Errorf("%s: read metrics: %w", u.Redacted(), err)
		}
		if len(content) > MaxSize {
			return nil, "", tooLarge
		}
		return content, response.Header.Get("Content-Type"), nil
	}
	info, err := os.Stat(source) // checked before opening: opening a named pipe waits for its writer
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("%s: %s: name a file or a URL with metrics", source, reason(err))
	case !info.Mode().IsRegular():
		return nil, "", fmt.Errorf("%s: is not a file: name one that holds what a target exports", source)
	case info.Size() > MaxSize:
		return nil, "", tooLarge
	}
	content, err = os.ReadFile(source)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %s: let this user read it", source, reason(err))
	}
	return content, "", nil
}

func reason(err error) string {
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// add reads one exposition. Without a content type, its text shows the format.
func (inv *Inventory) add(source string, content []byte, contentType string) error {
	if mediaType, _, err := mime.ParseMediaType(contentType); err != nil || mediaType != "application/openmetrics-text" {
		if mediaType != "" && mediaType != "text/plain" {
			return fmt.Errorf("%s: the answer is %s, not metrics: name the URL that Prometheus scrapes", source, mediaType)
		}
		contentType = plainText
		if bytes.HasSuffix(bytes.TrimRight(content, "\n"), []byte("\n# EOF")) {
			contentType = openMetrics
		}
	}
	if contentType == plainText && len(content) > 0 && content[len(content)-1] != '\n' {
		content = append(content, '\n') // as an editor leaves it
	}
	// The lexer takes a NUL for the end of its input.
	if i := bytes.IndexByte(content, 0); i >= 0 {
		return fmt.Errorf("%s:%d: not in the format of metrics: a control character, 0x00: remove it", source, 1+bytes.Count(content[:i], []byte("\n")))
	}
	parser, err := textparse.New(content, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	r := reader{declared: map[string]*Series{}, labels: map[string]map[string]bool{}, bounds: map[string][]float64{}}
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			line, text := lineOf(content, r.entries)
			return fmt.Errorf("%s:%d: not in the format of metrics (%q): %w: write a line as in up{job=\"x\"} 1", source, line, text, err)
		}
		r.read(entry, parser)
	}
	if len(r.labels) == 0 && len(r.declared) == 0 {
		return fmt.Errorf("%s: holds no metric: name what a target exports", source)
	}
	r.into(inv)
	return nil
}

// lineOf returns the line of the entry after the first n, each of which is a line.
func lineOf(content []byte, n int) (number int, text string) {
	const most = 80
	for line := range strings.Lines(string(content)) {
		number++
		text = strings.TrimSpace(line)
		if text == "" {
			continue
		}
		if n--; n < 0 {
			break
		}
	}
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return max(number, 1), text
}

// reader collects the entries of one exposition.
type reader struct {
	entries  int
	declared map[string]*Series         // metrics by the names in # TYPE, # HELP and # UNIT
	labels   map[string]map[string]bool // names by series
	bounds   map[string][]float64       // by series
}

func (r *reader) metric(name []byte) *Series {
	m, ok := r.declared[string(name)]
	if !ok {
		m = &Series{Metric: string(name), Type: model.MetricTypeUnknown}
		r.declared[m.Metric] = m
	}
	return m
}

func (r *reader) read(entry textparse.Entry, parser textparse.Parser) {
	r.entries++
	switch entry {
	case textparse.EntryType:
		name, kind := parser.Type()
		r.metric(name).Type = kind
	case textparse.EntryHelp:
		name, help := parser.Help()
		r.metric(name).Help = string(help)
	case textparse.EntryUnit:
		name, unit := parser.Unit()
		r.metric(name).Unit = string(unit)
	case textparse.EntrySeries, textparse.EntryHistogram:
		var set labels.Labels
		parser.Labels(&set)
		name := set.Get(model.MetricNameLabel)
		names := r.labels[name]
		if names == nil {
			names = map[string]bool{}
			r.labels[name] = names
		}
		set.Range(func(l labels.Label) {
			if l.Name != model.MetricNameLabel {
				names[l.Name] = true
			}
		})
		if bound, err := strconv.ParseFloat(set.Get(model.BucketLabel), 64); err == nil && !math.IsNaN(bound) {
			r.bounds[name] = append(r.bounds[name], bound)
		}
	}
}

// suffixes are those of the series of a metric, with the roles that they give.
var suffixes = map[model.MetricType]map[string]Role{
	model.MetricTypeCounter:        {"": Counter, "_total": Counter, "_created": Gauge},
	model.MetricTypeGauge:          {"": Gauge},
	model.MetricTypeHistogram:      {"_bucket": Bucket, "_sum": Counter, "_count": Counter, "_created": Gauge, "": Unknown},
	model.MetricTypeGaugeHistogram: {"_bucket": Gauge, "_gsum": Gauge, "_gcount": Gauge, "_sum": Gauge, "_count": Gauge},
	model.MetricTypeSummary:        {"": Quantile, "_sum": Counter, "_count": Counter, "_created": Gauge},
	model.MetricTypeInfo:           {"": Gauge, "_info": Gauge},
	model.MetricTypeStateset:       {"": Gauge},
}

func (r *reader) into(inv *Inventory) {
	used := map[string]bool{}
	for name, set := range r.labels {
		s := &Series{Name: name, Metric: name, Type: model.MetricTypeUnknown, Role: Unknown}
		for _, suffix := range []string{"", "_bucket", "_sum", "_count", "_gsum", "_gcount", "_total", "_created", "_info"} {
			base, ok := strings.CutSuffix(name, suffix)
			m := r.declared[base]
			if !ok || m == nil {
				continue
			}
			if role, ok := suffixes[m.Type][suffix]; ok || suffix == "" {
				s.Metric, s.Type, s.Help, s.Unit = m.Metric, m.Type, m.Help, m.Unit
				if ok {
					s.Role = role
				}
				used[m.Metric] = true
				break
			}
		}
		s.Labels = append([]string{}, slices.Sorted(maps.Keys(set))...)
		bounds := slices.Compact(slices.Sorted(slices.Values(r.bounds[name])))
		if last := len(bounds) - 1; last > 0 && math.IsInf(bounds[last], 1) {
			s.Bounds = bounds[:last]
		}
		inv.merge(s)
	}
	for name, m := range r.declared {
		if used[name] {
			continue
		}
		for suffix, role := range suffixes[m.Type] {
			s := *m
			s.Name, s.Role = name+suffix, role
			inv.merge(&s)
		}
		if suffixes[m.Type] == nil {
			s := *m
			s.Name, s.Role = name, Unknown
			inv.merge(&s)
		}
	}
}

// merge adds a series. If two expositions disagree on its type, it is unknown.
func (inv *Inventory) merge(s *Series) {
	known, ok := inv.series[s.Name]
	if !ok {
		inv.series[s.Name] = s
		return
	}
	merged := *known
	if known.Role != s.Role {
		merged.Role, merged.Type = Unknown, model.MetricTypeUnknown
	}
	if known.Labels == nil || s.Labels == nil {
		merged.Labels = nil
	} else {
		merged.Labels = slices.Compact(slices.Sorted(slices.Values(slices.Concat(known.Labels, s.Labels))))
	}
	merged.Bounds = slices.Compact(slices.Sorted(slices.Values(slices.Concat(known.Bounds, s.Bounds))))
	inv.series[s.Name] = &merged
}
