package rule

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	promengine "github.com/prometheus/prometheus/promql"
	promtemplate "github.com/prometheus/prometheus/template"

	"github.com/stemedb/firedrill/tools/promql"
)

// TemplateVariables is what Prometheus defines before each template of a label or an annotation.
const TemplateVariables = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"

// TemplateError is why a template cannot be rendered.
type TemplateError struct {
	Offset int // in the template, in bytes; 0 where it is not known
	Reason string
}

func (e *TemplateError) Error() string { return e.Reason }

var (
	executed = regexp.MustCompile(`(?s):(\d+):(\d+): executing ".*?" at (<.*)$`)
	server   = &url.URL{Scheme: "https", Host: "prometheus.example.com"}
)

// Render expands a template of a label or an annotation as Prometheus does, for a sample of value 1 of a series with these
// labels. A query in the template returns the same sample.
func (a Alert) Render(text string, series, external map[string]string) (string, *TemplateError) {
	data := promtemplate.AlertTemplateData(series, external, server.String(), promengine.Sample{F: 1})
	query := func(_ context.Context, query string, ts time.Time) (promengine.Vector, error) {
		if _, err := promql.ParseExpr(query); err != nil {
			return nil, fmt.Errorf("the query %q: %w", query, err)
		}
		return promengine.Vector{{Metric: labels.FromMap(series), T: ts.UnixMilli(), F: 1}}, nil
	}
	const name = "template"
	// At time 0, so that the same input gives the same text.
	expander := promtemplate.NewTemplateExpander(context.Background(), TemplateVariables+text, name, data, model.Time(0), query, server, nil)
	rendered, err := expander.Expand()
	if err == nil {
		return rendered, nil
	}
	cause := err
	if inner := errors.Unwrap(err); inner != nil {
		cause = inner
	}
	failed := &TemplateError{Reason: cause.Error()}
	if m := executed.FindStringSubmatch(cause.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		column, _ := strconv.Atoi(m[2])
		start := 0
		for range line - 1 {
			start += strings.Index((TemplateVariables + text)[start:], "\n") + 1
		}
		failed.Offset = start + column - len(TemplateVariables)
		failed.Reason, _, _ = strings.Cut(m[3], " in type ") // what follows is Go's
	}
	return "", failed
}
