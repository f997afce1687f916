// Package leap gives a stopped Prometheus more past: it rewrites a TSDB directory as if Prometheus had lived through
// a further hour, or week, in which its targets went on reporting what they report now.
//
// Every sample moves back by the leap. The time between them and now is then filled: what was scraped goes on, and the
// rules are evaluated over it by the embedded engine. An unmodified Prometheus, started on the result with
// --rules.alert.for-grace-period=0s, takes up the alerts from there and goes on scraping the live targets.
//
// # What goes on, and how
//
// A series goes on if it was in the last scrape of its target. Gauges, info metrics, summaries' quantiles and all that
// has no known type hold their value. So do gauges that count time, such as an age or a number of seconds left: a leap
// moves Prometheus, not the world. What ended yesterday goes on having ended a day ago, and what ends tomorrow goes on
// ending in a day: gauges that tell a moment in Unix time (their names end with _timestamp_seconds) move with the clock,
// so that time() less such a gauge holds. Counters, and the counting series of histograms and summaries, grow at the rate of
// the last ten scrapes; native histograms likewise, bucket by bucket.
//
// A counter has to come out of the leap at the value that it had when it went in, because that is where its live target
// goes on: a fall would look like a restart of the target, and to rate() its whole value like a sudden growth. So the
// growth lies before the present value, and the past of a counter that is too small to have grown for that long lies
// below zero: what it says by itself is nothing, but its rates are undisturbed throughout, and with them the quantiles of
// a histogram. A native histogram cannot be negative: one that is too small is made to start again from zero at the
// moment from which its rate leads up to the present, and in others the buckets that are too small for their own growth
// stay empty until they are not.
//
// What an alert was in only because of keep_firing_for is lost, as in every restart of Prometheus.
//
// # What bounds it
//
// A leap takes time in proportion to the samples that it writes, which are the series that go on times the scrapes in
// the time leapt, to the evaluations of the rules, and to the history that there is already. With 200 series and five
// rules at one second, an hour takes less than a second on two cores. What it takes of memory is for two hours of
// samples, however long the leap is. Longer intervals than Prometheus's own make it cheaper.
package leap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stemedb/firedrill/tools/engine"
)

// Config is what a leap needs to know of the Prometheus that it happens to.
type Config struct {
	RuleFiles      []engine.RuleFile // as deployed, unmodified
	ScrapeInterval time.Duration     // from one sample of a series to the next
	// EvaluationInterval is that of the rule groups that have no interval of their own. To an alert that is pending at
	// the end, Prometheus adds the time from the last evaluation to its start: up to an interval, and the start itself.
	EvaluationInterval time.Duration
	ExternalLabels     labels.Labels // for the alerts' labels that are templates
	ExternalURL        string        // for the alerts' labels that are templates
	// Types tells, by the name of the metric family, what type the targets say it has, as /api/v1/metadata does.
	Types map[string]model.MetricType
}

// Report says what happened in the time that was leapt.
type Report struct {
	// Transitions are the changes in the state of the alerts, in the order of time.
	Transitions []Transition
}

// Transition is one alert going from one state to another, at a time after the leap's shift.
type Transition = engine.Transition

// Leap reads the TSDB directory src of a stopped Prometheus and writes dst, in which Prometheus has lived through d
// more. The filled time ends with now, the moment of the leap, so it is as much longer than d as Prometheus has been
// down. d is in whole seconds, for ALERTS_FOR_STATE knows no smaller ones; if it is a multiple of all intervals as well,
// scrapes and evaluations keep their phase.
//
// src is left as it is. dst must be empty or not exist, be on the same file system, and after an error holds nothing to
// be used. A src that holds no sample, as when Prometheus was stopped before its first scrape, is an error.
func Leap(ctx context.Context, src, dst string, d time.Duration, now time.Time, cfg Config) (_ Report, err error) {
	if err := validate(d, cfg); err != nil {
		return Report{}, err
	}
	out, err := createStore(dst)
	if err != nil {
		return Report{}, fmt.Errorf("leap to %s: %w", dst, err)
	}
	defer func() { err = errors.Join(err, out.close()) }()

	rules, err := engine.New(engine.Config{
		RuleFiles:          cfg.RuleFiles,
		EvaluationInterval: cfg.EvaluationInterval,
		ExternalLabels:     cfg.ExternalLabels,
		ExternalURL:        cfg.ExternalURL,
	}, out.db)
	if err != nil {
		return Report{}, fmt.Errorf("leap by %s: %w", d, err)
	}

	past, err := openHistory(src, dst)
	if err != nil {
		return Report{}, fmt.Errorf("leap from %s: %w", src, err)
	}
	defer func() { err = errors.Join(err, past.close()) }()
	if end := time.UnixMilli(past.newest); now.Before(end) {
		return Report{}, fmt.Errorf("leap from %s: now is %s, before the newest sample, which is of %s",
			src, now.UTC().Format(time.RFC3339Nano), end.UTC().Format(time.RFC3339Nano))
	}

	shift := d.Milliseconds()
	live := past.live(rules.Writes)
	for _, s := range live {
		if err := s.goOn(shift, now.UnixMilli(), cfg); err != nil {
			return Report{}, fmt.Errorf("measure the growth of %s: %w", s.labels, err)
		}
	}
	if err := past.copyTo(ctx, out, shift); err != nil {
		return Report{}, fmt.Errorf("shift the history by %s: %w", d, err)
	}
	seam := time.UnixMilli(past.newest - shift)
	if err := rules.Resume(ctx, seam); err != nil {
		return Report{}, fmt.Errorf("take up the alerts' state: %w", err)
	}
	if err := fill(ctx, out, rules, live, seam, now, cfg.ScrapeInterval); err != nil {
		return Report{}, fmt.Errorf("fill the time up to now: %w", err)
	}
	if err := out.finish(ctx); err != nil {
		return Report{}, fmt.Errorf("write %s: %w", dst, err)
	}
	return Report{Transitions: rules.Transitions()}, nil
}

func validate(d time.Duration, cfg Config) error {
	switch {
	case d <= 0:
		return fmt.Errorf("leap by %s: time only goes forward, a leap must be longer than 0s", d)
	case d%time.Second != 0:
		return fmt.Errorf("leap by %s: a leap must be of whole seconds, because ALERTS_FOR_STATE counts in them", d)
	case cfg.ScrapeInterval < time.Millisecond:
		return fmt.Errorf("scrape interval %s: must be at least 1ms", cfg.ScrapeInterval)
	}
	return nil
}

// fill lives from the end of the shifted history to now, a stretch of time after the other: the series go on, and the
// rules are evaluated over them.
func fill(ctx context.Context, out *store, rules *engine.Engine, live []*series, from, now time.Time, interval time.Duration) error {
	const stretch = 5 * time.Minute
	at := make([]int64, len(live)) // the next sample of each series
	for i, s := range live {
		at[i] = s.seam + interval.Milliseconds()
	}
	for from.Before(now) {
		from = from.Add(stretch)
		if from.After(now) {
			from = now
		}
		app := out.db.AppenderV2(ctx)
		for i, s := range live {
			for ; at[i] <= from.UnixMilli(); at[i] += interval.Milliseconds() {
				if err := s.append(app, s.next(at[i])); err != nil {
					return errors.Join(err, app.Rollback())
				}
			}
		}
		if err := app.Commit(); err != nil {
			return err
		}
		if err := rules.Run(ctx, from); err != nil {
			return err
		}
		if err := out.reach(from.UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}
