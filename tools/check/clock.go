package check

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/stemedb/firedrill/tools/finding"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// clock is how often Prometheus evaluates and scrapes; 0 where that is not known.
type clock struct {
	evaluated time.Duration            // groups that set no interval
	scraped   time.Duration            // the targets that are scraped the most often
	jobs      map[string]time.Duration // the targets of each job
}

// loadClock reads a Prometheus configuration; without a path, it is not known how often it evaluates. A scrape interval
// that is not 0 takes the place of those in the configuration.
func loadClock(file string, scraped time.Duration) (clock, error) {
	c := clock{scraped: scraped}
	if file == "" {
		return c, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return c, fmt.Errorf("%s: fix it until Prometheus loads it", strings.TrimPrefix(err.Error(), "open "))
	}
	const usual = model.Duration(time.Minute) // as Prometheus has it
	var cfg struct {
		Global struct {
			Evaluation *model.Duration `yaml:"evaluation_interval"`
			Scrape     *model.Duration `yaml:"scrape_interval"`
		} `yaml:"global"`
		Scrapes []struct {
			Job    string          `yaml:"job_name"`
			Scrape *model.Duration `yaml:"scrape_interval"`
		} `yaml:"scrape_configs"`
		Files []string `yaml:"scrape_config_files"`
	}
	if err := yaml.Unmarshal(content, &cfg); err != nil {
		return c, fmt.Errorf("%s: %s: fix it until Prometheus loads it", file, strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: "))
	}
	or := func(own *model.Duration, other model.Duration) model.Duration {
		if own == nil || *own == 0 {
			return other
		}
		return *own
	}
	c.evaluated = time.Duration(or(cfg.Global.Evaluation, usual))
	if scraped > 0 {
		return c, nil
	}
	c.jobs = map[string]time.Duration{}
	for _, s := range cfg.Scrapes {
		every := time.Duration(or(s.Scrape, or(cfg.Global.Scrape, usual)))
		c.jobs[s.Job] = every
		if len(cfg.Files) == 0 && (c.scraped == 0 || every < c.scraped) {
			c.scraped = every
		}
	}
	return c, nil
}

// located is a rule that knows its place.
type located interface {
	At(field string, offset int) (line, column int)
}

// turn is when a rule is evaluated.
func (c clock) turn(r located, file string, every time.Duration) promql.Turn {
	const widest = 1 << 16
	group, _ := r.At("group", 0)
	line, column := r.At("expr", 0)
	if every == 0 {
		every = c.evaluated
	}
	return promql.Turn{Group: fmt.Sprintf("%s:%d", file, group), Order: line*widest + column, Every: every}
}

// scrapedEvery is how often what a selector asks for is scraped, at the most often.
func (c clock) scrapedEvery(s *parser.VectorSelector) time.Duration {
	for _, m := range s.LabelMatchers {
		if every := c.jobs[m.Value]; m.Name == model.JobLabel && m.Type == labels.MatchEqual && every > 0 {
			return every
		}
	}
	return c.scraped
}

// paced demands that ranges and recordings fit how often a rule is evaluated, and its input gets samples. An alert is
// pending for wait.
func (c *checker) paced(q query, turn promql.Turn, wait time.Duration) {
	pace := promql.Pace{Known: c.series.knowledge, Turn: turn, Step: c.clock.evaluated, Scraped: c.clock.scrapedEvery}
	fresh := func(r promql.Reason) string {
		return fmt.Sprintf("record it more often than every %s, or read last_over_time(…[%s])", model.Duration(promql.Lookback), model.Duration(2*r.Every))
	}
	pending, never := pace.Pending(q.expr, wait)
	if never {
		c.reportSpan(q, pending.First, promql.Sure, "rule/for", "%s: %s: %s", q.owner, pending.Text, fresh(pending))
		c.findings[len(c.findings)-1].Severity = finding.Error
	}
	for _, r := range pace.Reasons(q.expr) {
		longer := "make the range at least " + model.Duration(2*r.Every).String()
		switch {
		case r.Kind == promql.Few && r.Scraped:
			c.reportSpan(q, r.First, promql.Usual, "expr/range", "%s: %s: make the range at least %s", q.owner, r.Text, model.Duration(4*r.Every))
		case r.Kind == promql.Few:
			c.reportSpan(q, r.First, promql.Usual, "expr/range", "%s: %s: %s", q.owner, r.Text, longer)
		case r.Kind == promql.Blind:
			c.reportSpan(q, r.First, promql.Usual, "expr/range", "%s: %s: %s, or evaluate it more often", q.owner, r.Text, longer)
		case r.Kind == promql.Early:
			c.reportSpan(q, r.First, promql.Usual, "rule/order", "%s: %s: move the rule that records it up", q.owner, r.Text)
		case never && r.At == pending.At:
			continue
		default:
			c.reportSpan(q, r.First, promql.Usual, "expr/stale", "%s: %s: %s", q.owner, r.Text, fresh(r))
		}
		if r.Never {
			c.findings[len(c.findings)-1].Severity = finding.Error
		}
	}
}

// lasts demands that an alert's for is over at an evaluation, and does not begin again at each.
func (c *checker) lasts(q query, alert rule.Alert, every time.Duration) {
	if alert.For == 0 {
		return
	}
	if every > 0 && alert.For%every != 0 {
		passes := model.Duration(promql.Passes(alert.For, every))
		c.reportAt(alert, "for", 0, "rule/for", "%s is evaluated every %s, so that with a for of %s it fires after %s: write for: %s, or give the group an interval that divides it",
			alert.Name, model.Duration(every), model.Duration(alert.For), passes, passes)
	}
	for _, branch := range branches(q.expr) {
		if e := chosen(branch); e != nil {
			c.reportSpan(q, e.PositionRange(), promql.Usual, "rule/for", "%s: %s() can choose other series at each evaluation, and the for of %s begins again for each: compare all series with a threshold, or aggregate what is chosen",
				q.owner, e.Op, model.Duration(alert.For))
		}
	}
}

// chosen returns the aggregation that chooses some of all the series whose labels an expression's results have, or nil. One
// that chooses by groups, as topk by (pod) (1, x) does, mostly leaves one of several that tell the same.
func chosen(expr parser.Expr) *parser.AggregateExpr {
	switch e := promql.Bare(expr).(type) {
	case *parser.AggregateExpr:
		switch e.Op {
		case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
			if len(e.Grouping) == 0 && !e.Without {
				return e
			}
		}
	case *parser.BinaryExpr:
		many := e.LHS
		if e.LHS.Type() == parser.ValueTypeScalar || e.VectorMatching != nil && e.VectorMatching.Card == parser.CardOneToMany {
			many = e.RHS
		}
		return chosen(many)
	}
	return nil
}
