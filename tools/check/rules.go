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

// recorded parses the recording rules, and says when each is evaluated. What does not parse has been refused.
func (c clock) recorded(rules []rule.Recording) (recordings []promql.Recording) {
	for _, r := range rules {
		if expr, err := promql.ParseExpr(r.Expr); err == nil {
			recordings = append(recordings, promql.Recording{Name: r.Name, Expr: expr, Labels: r.Labels,
				Place: fmt.Sprintf("%s:%d", r.File, r.Line), Turn: c.turn(r, r.File, r.Interval)})
		}
	}
	return recordings
}

// dashboardQueries compares what dashboards show with the metrics that are exported, or recorded by any of the rules.
func (c *checker) dashboardQueries(set rule.Set, dashboards []panel, inventory *metric.Inventory) {
	c.series = newSeries(inventory, c.clock.recorded(set.Recordings))
	queries := c.panels(dashboards)
	for _, q := range queries {
		if inventory != nil {
			c.exported(q)
		}
	}
}

// rules compares the rules that one Prometheus loads with each other, with the exported metrics, and with Alertmanager's
// inhibitions.
func (c *checker) rules(set rule.Set, inventory *metric.Inventory, r *routing) {
	recordings := c.clock.recorded(set.Recordings)
	c.series = newSeries(inventory, recordings)
	var queries []query
	for i, recording := range set.Recordings[:len(recordings)] {
		queries = append(queries, ofRecording(recording, recordings[i].Expr))
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
	for _, q := range queries {
		if inventory != nil {
			c.exported(q)
		}
		c.meaning(q)
	}
	c.recordedTwice(set.Recordings, recordings)
}
