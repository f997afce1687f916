package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stemedb/firedrill/tools/engine"
	"github.com/stemedb/firedrill/tools/leap"
)

// leapInterval is how often Prometheus scrapes and evaluates in the time that is leapt: less often than the testbed's
// own interval, so that a day is leapt in a second or two. What a pending alert has waited is exact to this interval.
const leapInterval = 5 * time.Second

// Leap gives Prometheus time: when it returns, Prometheus has lived through d more, in which its targets went on
// reporting what they report now, and has scraped and evaluated since. The system under test stays as it is.
func (t *Testbed) Leap(ctx context.Context, d time.Duration) error { return t.leap(ctx, d, "") }

// LeapToEnd gives Prometheus as much of d as passes until the alert is about to become inactive: Prometheus itself has to
// see that, for it tells Alertmanager only of what it has seen end.
func (t *Testbed) LeapToEnd(ctx context.Context, d time.Duration, a *Alert) error {
	return t.leap(ctx, d, a.Name)
}

// leap leaps d, or, where an alert is named that clears on the way, until it is about to.
func (t *Testbed) leap(ctx context.Context, d time.Duration, clears string) error {
	t.Say("leaping %s", d)
	began := time.Now()
	types, err := t.types(ctx)
	if err != nil {
		return err
	}
	work, err := MkdirTemp(temporaryLeap)
	if err != nil {
		return fmt.Errorf("leap: %w", err)
	}
	defer os.RemoveAll(work)
	before := filepath.Join(work, "before")

	if err := t.Await(ctx, "the last scrape of each target to agree with those before it", t.lastScrapesAgree); err != nil {
		return err
	}
	stopped := time.Now()
	if err := t.prometheus.stop(ctx); err != nil {
		return err
	}
	archive, err := t.prometheus.CopyOut(ctx, dataDir)
	if err != nil {
		return err
	}
	if err := errors.Join(untar(archive, before), archive.Close()); err != nil {
		return err
	}
	var rules []engine.RuleFile
	for _, f := range t.config.Rules.Files {
		path := filepath.Join(work, "rules", filepath.FromSlash(f.Name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, f.Content, 0o600)); err != nil {
			return fmt.Errorf("leap: %w", err)
		}
		rules = append(rules, engine.RuleFile{Path: path, Name: rulesDir + f.Name})
	}
	interval := leapInterval
	if clears != "" { // as closely as Prometheus will see it
		interval = t.config.Interval
	}
	config := leap.Config{RuleFiles: rules, ScrapeInterval: interval, EvaluationInterval: interval, Types: types}
	now, after := time.Now(), filepath.Join(work, "after")
	report, err := leap.Leap(ctx, before, after, d, now, config)
	if early, ok := end(report, clears); err == nil && ok {
		// Until it clears, Prometheus has to have started, and to have evaluated the rule twice. How long that takes depends
		// on the machine, and is of the order of what it took to come so far; when it clears is told no closer than to an
		// interval or two.
		aboutTo := 5*interval + 3*time.Since(stopped)
		d = max(time.Second, (d - now.Sub(early) - aboutTo).Truncate(time.Second))
		t.Say("leaping %s, to see %s clear", d, clears)
		now, after = time.Now(), filepath.Join(work, "shorter")
		report, err = leap.Leap(ctx, before, after, d, now, config)
	}
	if err != nil {
		return fmt.Errorf("leap %s: %w", d, err)
	}
	data, err := tarFolder(after)
	if err != nil {
		return err
	}
	if err := t.prometheus.Remove(ctx); err != nil {
		return err
	}
	if err := t.startPrometheus(ctx, data); err != nil {
		return err
	}
	if err := t.scraped(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaps = append(t.leaps, leapt{by: d, now: now, took: time.Since(began), transitions: report.Transitions})
	return nil
}

// lastScrapesAgree says which target's last scrape did not go as most of those just before. A leap holds what the last ones said:
// a single one that came too late would be held as an hour of silence.
func (t *Testbed) lastScrapesAgree(ctx context.Context) error {
	found, _, _, err := t.api.Query(ctx, fmt.Sprintf("up != (avg_over_time(up[%s]) > bool 0.5)", 3*t.config.Interval), time.Time{})
	if err != nil {
		return fmt.Errorf("ask Prometheus for its scrapes: %w", err)
	}
	if odd, ok := found.(model.Vector); ok && len(odd) > 0 {
		return fmt.Errorf("the last scrape of %s was up=%s, unlike most", odd[0].Metric["instance"], odd[0].Value)
	}
	return nil
}

// steadyScrapes is how many scrapes it takes until a leap knows nothing of the rates that were before: package leap
// takes rates from the last ten.
const steadyScrapes = 11

// Steady waits until a leap would go on at the rates that there have been since the last change.
func (t *Testbed) Steady(ctx context.Context) error {
	moment := t.lastChange().Add(steadyScrapes * t.config.Interval)
	return t.Await(ctx, "ten scrapes since the last change, from which a leap takes its rates", func(ctx context.Context) error {
		seen, err := t.status(ctx)
		if err != nil {
			return err
		}
		return t.stale(ctx, seen, moment)
	})
}

// end is when the first of the alerts of that name became inactive.
func end(r leap.Report, name string) (time.Time, bool) {
	for _, t := range r.Transitions {
		if t.Alert == name && t.From == "firing" && t.To == "inactive" {
			return t.At, true
		}
	}
	return time.Time{}, false
}
