// Package leap gives a stopped Prometheus more past: it rewrites a TSDB directory as if Prometheus had run for a further
// hour, or week, in which its targets kept exporting what they export now.
//
// Every sample moves back by the leap. The gap between them and now is then filled: scraped series continue, and the rules
// are evaluated over them by the embedded engine. An unmodified Prometheus, started on the result with
// --rules.alert.for-grace-period=0s, restores the alerts from there and continues to scrape the live targets.
//
// # How series continue
//
// A series continues if it was in the last scrape of its target. Gauges, info metrics, quantiles of summaries and
// everything of unknown type keep their value. So do gauges that count time, such as an age or a number of seconds left: a
// leap moves Prometheus, not the system under test. Gauges that are a Unix time (their names end in _timestamp_seconds)
// move with the clock, so that time() minus such a gauge is constant: what ended a day ago still ended a day ago, and what
// ends tomorrow still ends in a day. Counters, and the counting series of histograms and summaries, grow at the rate of
// the last ten scrapes; native histograms likewise, bucket by bucket.
//
// A counter must end the leap with the value that it had before, because its live target continues there: a drop would
// look like a restart of the target, and its whole value would then count as an increase to rate(). So the growth lies
// before the present value, and the past of a counter that is too small to have grown for that long is below zero: its
// values mean nothing, but its rates are right throughout, and with them the quantiles of a histogram. A native histogram
// cannot be negative: one that is too small starts again from zero at the time from which its rate leads up to the
// present, and in others the buckets that are too small for their growth are empty until then.
//
// The state that an alert had only because of keep_firing_for is lost, as in every restart of Prometheus.
//
// # Cost
//
// A leap takes time in proportion to the samples that it writes (the continuing series times the scrapes in the gap), to
// the rule evaluations, and to the existing history. With 200 series and five rules at one second, an hour takes less than
// a second on two cores. It needs memory for two hours of samples, however long the leap is. Longer intervals than
// Prometheus's make it cheaper.
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

// Config is what a leap must know of the Prometheus.
type Config struct {
	RuleFiles      []engine.RuleFile // as deployed, unmodified
	ScrapeInterval time.Duration     // between the samples of a series
	// EvaluationInterval is that of rule groups that set none. To an alert that is pending at the end, Prometheus adds
	// the time from the last evaluation until its start: up to an interval, and the start itself.
	EvaluationInterval time.Duration
	ExternalLabels     labels.Labels // for templates in the alerts' labels
	ExternalURL        string        // for templates in the alerts' labels
	// Types holds the types of metric families by name, as in /api/v1/metadata.
	Types map[string]model.MetricType
}

// Report describes the leap.
type Report struct {
	// Transitions are the changes of the alerts' states, in order of time.
	Transitions []Transition
}

// Transition is a change of an alert's state, at a time after the shift.
type Transition = engine.Transition

// Leap reads the TSDB directory src of a stopped Prometheus and writes dst, in which Prometheus has run for d longer. The
// gap ends at now, the time of the leap, so it is longer than d by the time since Prometheus was stopped. d is in whole
// seconds, the unit of ALERTS_FOR_STATE; if it is also a multiple of all intervals, scrapes and evaluations keep their
// offsets.
//
// src is unchanged. dst must be empty or not exist, be on the same file system, and is unusable after an error. A src
// without samples, as when Prometheus was stopped before its first scrape, is an error.
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
		if err := s.extrapolate(shift, now.UnixMilli(), cfg); err != nil {
			return Report{}, fmt.Errorf("measure the growth of %s: %w", s.labels, err)
		}
	}
	if err := past.copyTo(ctx, out, shift); err != nil {
		return Report{}, fmt.Errorf("shift the history by %s: %w", d, err)
	}
	gapStart := time.UnixMilli(past.newest - shift)
	if err := rules.Resume(ctx, gapStart); err != nil {
		return Report{}, fmt.Errorf("restore the alerts' state: %w", err)
	}
	if err := fill(ctx, out, rules, live, gapStart, now, cfg.ScrapeInterval); err != nil {
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
		return fmt.Errorf("leap by %s: a leap must be longer than 0s", d)
	case d%time.Second != 0:
		return fmt.Errorf("leap by %s: a leap must be of whole seconds, because ALERTS_FOR_STATE counts in them", d)
	case cfg.ScrapeInterval < time.Millisecond:
		return fmt.Errorf("scrape interval %s: must be at least 1ms", cfg.ScrapeInterval)
	}
	return nil
}

// fill fills the time from the end of the shifted history to now, chunk by chunk: it writes the series and evaluates the
// rules over them.
func fill(ctx context.Context, out *store, rules *engine.Engine, live []*series, from, now time.Time, interval time.Duration) error {
	const chunk = 5 * time.Minute
	at := make([]int64, len(live)) // the next sample of each series
	for i, s := range live {
		at[i] = s.gapStart + interval.Milliseconds()
	}
	for from.Before(now) {
		from = from.Add(chunk)
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
