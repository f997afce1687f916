package check

import (
	"context"
	"fmt"
	"slices"

	"github.com/stemedb/firedrill/tools/metric"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// loadInventory reads what is exported; nil without a source.
func loadInventory(ctx context.Context, sources []string) (*metric.Inventory, error) {
	sources = slices.DeleteFunc(slices.Clone(sources), func(source string) bool { return source == "" })
	if len(sources) == 0 {
		return nil, nil
	}
	return metric.Read(ctx, sources...)
}

// rules compares the rules with each other, with the exported metrics, and with Alertmanager's inhibitions.
func (c *checker) rules(set rule.Set, dashboards []panel, inventory *metric.Inventory, r *routing) {
	var (
		queries    []query
		recordings []promql.Recording
	)
	for _, recording := range set.Recordings {
		if expr, err := promql.ParseExpr(recording.Expr); err == nil { // what does not parse has been refused
			recordings = append(recordings, promql.Recording{Name: recording.Name, Expr: expr, Labels: recording.Labels,
				Place: fmt.Sprintf("%s:%d", recording.File, recording.Line), Turn: c.clock.turn(recording, recording.File, recording.Interval)})
			queries = append(queries, ofRecording(recording, expr))
		}
	}
	c.series = newSeries(inventory, recordings)
	for i, recording := range set.Recordings[:len(queries)] {
		c.paced(queries[i], recordings[i].Turn, 0)
		c.overridden(queries[i], recording.Labels, func(label string) (int, int) { return recording.At("labels."+label, 0) })
	}
	var alerts []parsedAlert
	for _, alert := range set.Alerts {
		expr, err := promql.ParseExpr(alert.Expr)
		if err != nil {
			continue
		}
		alerts = append(alerts, newParsedAlert(alert, expr))
		c.templates(alert, expr)
		q := ofAlert(alert, expr)
		queries = append(queries, q)
		c.fires(q, alert)
		turn := c.clock.turn(alert, alert.File, alert.Interval)
		c.paced(q, turn, alert.For)
		c.lasts(q, alert, turn.Every)
		c.overridden(q, alert.Labels, func(label string) (int, int) { return alert.At("labels."+label, 0) })
		if inventory != nil {
			c.bare(q)
		}
	}
	c.duplicates(alerts)
	if r != nil {
		c.inhibited(alerts, r)
	}
	ofRules := len(queries)
	queries = append(queries, c.panels(dashboards)...)
	for i, q := range queries {
		if inventory != nil {
			c.exported(q)
		}
		if i < ofRules { // what a dashboard shows may have no result
			c.meaning(q)
		}
	}
	c.recordedTwice(set.Recordings, recordings)
}
