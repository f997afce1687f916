package leap

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/stemedb/firedrill/tools/engine"
)

// history is what a stopped Prometheus has stored, read-only.
type history struct {
	db             *tsdb.DBReadOnly
	querier        storage.Querier
	series         []*series
	oldest, newest int64 // times of its first and last samples, in milliseconds
}

// openHistory opens the TSDB in dir. It links files into scratch while the history is open.
func openHistory(dir, scratch string) (_ *history, err error) {
	if _, err := os.Stat(filepath.Join(dir, "wal")); err != nil {
		return nil, fmt.Errorf("it is not the data directory of a Prometheus: %w", err)
	}
	db, err := tsdb.OpenDBReadOnly(dir, scratch, nil)
	if err != nil {
		return nil, err
	}
	h := &history{db: db, oldest: math.MaxInt64, newest: math.MinInt64}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if h.querier, err = db.Querier(math.MinInt64, math.MaxInt64); err != nil {
		return nil, err
	}
	all := h.querier.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".*"))
	var it chunkenc.Iterator
	for all.Next() {
		s := newSeries(all.At())
		it = s.history.Iterator(it)
		if err := s.scan(it); err != nil {
			return nil, fmt.Errorf("read %s: %w", s.labels, err)
		}
		h.series = append(h.series, s)
		h.oldest, h.newest = min(h.oldest, s.first), max(h.newest, s.newest.t)
	}
	if err := all.Err(); err != nil {
		return nil, err
	}
	if len(h.series) == 0 {
		return nil, errors.New("it holds no samples, so no series can continue: let Prometheus scrape at least once before it is stopped")
	}
	return h, nil
}

func (h *history) close() error {
	var err error
	if h.querier != nil {
		err = h.querier.Close()
	}
	return errors.Join(err, h.db.Close())
}

// live returns the series that targets still export and no rule writes: those in the last scrape of their target, whose
// time is that of the series up. Where a series' labels do not show its target, its newest sample must be one that a
// query still returns.
func (h *history) live(ruleWrites func(metric string) bool) []*series {
	type target struct{ job, instance string }
	of := func(s *series) target { return target{s.labels.Get("job"), s.labels.Get("instance")} }
	scraped := map[target]int64{}
	for _, s := range h.series {
		if s.name == "up" {
			scraped[of(s)] = max(scraped[of(s)], s.newest.t)
		}
	}
	var live []*series
	for _, s := range h.series {
		visible := s.newest.t > h.newest-engine.LookbackDelta.Milliseconds()
		if visible && s.newest.t >= scraped[of(s)] && !s.newest.stale() && !ruleWrites(s.name) {
			live = append(live, s)
		}
	}
	return live
}

// copyTo writes the history to out, moved back by shift milliseconds, in the order of time that a head needs.
func (h *history) copyTo(ctx context.Context, out *store, shift int64) error {
	const window = int64(10 * time.Minute / time.Millisecond)
	iterators := make([]chunkenc.Iterator, len(h.series))
	kinds := make([]chunkenc.ValueType, len(h.series))
	for i, s := range h.series {
		iterators[i] = s.history.Iterator(nil)
		kinds[i] = iterators[i].Next()
	}
	for until := h.oldest + window; until-window <= h.newest; until += window {
		if err := ctx.Err(); err != nil {
			return err
		}
		app := out.db.AppenderV2(ctx)
		for i, s := range h.series {
			it := iterators[i]
			for kinds[i] != chunkenc.ValNone && it.AtT() < until {
				if err := s.append(app, s.past(read(it, kinds[i]), shift)); err != nil {
					return errors.Join(err, app.Rollback())
				}
				kinds[i] = it.Next()
			}
			if err := it.Err(); err != nil {
				return errors.Join(fmt.Errorf("read %s: %w", s.labels, err), app.Rollback())
			}
		}
		if err := app.Commit(); err != nil {
			return err
		}
		if err := out.reach(min(until, h.newest) - shift); err != nil {
			return err
		}
	}
	return nil
}
