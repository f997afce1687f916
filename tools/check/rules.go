package check

import (
	"context"
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
	c.series = &series{inventory: inventory, recordings: map[string][]recorded{}, derived: map[string]outcome{}}
	var queries []query
	for _, recording := range set.Recordings {
		if expr, err := promql.ParseExpr(recording.Expr); err == nil { // what does not parse has been refused
			c.series.recordings[recording.Name] = append(c.series.recordings[recording.Name], recorded{recording, expr})
			queries = append(queries, ofRecording(recording, expr))
		}
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
		if inventory != nil {
			c.bare(q)
		}
	}
	c.duplicates(alerts)
	if r != nil {
		c.inhibited(alerts, r)
	}
	queries = append(queries, c.panels(dashboards)...)
	if inventory != nil {
		for _, q := range queries {
			c.exported(q)
		}
	}
}
