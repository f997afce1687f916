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
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/stemedb/firedrill/tools/engine"
)

// headSpan is how much of the newest time is kept out of blocks, in milliseconds: what every evaluation looks at, and
// what rules with a query_offset still write to.
var headSpan = engine.LookbackDelta.Milliseconds()

// store is the TSDB directory that a leap writes. All but the newest time is in blocks, which Prometheus opens quickly
// at any size; the newest is in a write-ahead log, so that Prometheus can append to it.
type store struct {
	dir  string
	db   *tsdb.DB // without a log
	full int64    // when the current block is complete, in milliseconds
}

func createStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s is in the way: the directory must be empty", filepath.Join(dir, entries[0].Name()))
	}
	db, err := openDB(dir, -1)
	if err != nil {
		return nil, err
	}
	return &store{dir: dir, db: db, full: math.MinInt64}, nil
}

// openDB opens a TSDB without background work. A negative segment size means no log, 0 the default size.
func openDB(dir string, segmentSize int) (*tsdb.DB, error) {
	opts := tsdb.DefaultOptions()
	opts.WALSegmentSize = segmentSize
	opts.RetentionDuration = 0
	opts.NoLockfile = true
	opts.IsolationDisabled = true // no concurrent reads
	opts.StripeSize = 1 << 10     // of thousands of series, not millions
	db, err := tsdb.Open(dir, nil, nil, opts, nil)
	if err != nil {
		return nil, err
	}
	db.DisableCompactions() // they would follow the real clock
	return db, nil
}

// reach is called when no more samples come from before t, except within headSpan.
func (s *store) reach(t int64) error {
	const block = tsdb.DefaultBlockDuration
	if s.full == math.MinInt64 {
		s.full = (s.db.Head().MinTime()/block + 1) * block
	}
	for ; s.full+headSpan <= t; s.full += block {
		if err := s.cut(s.full); err != nil {
			return err
		}
	}
	return nil
}

// cut moves what is before t from the head to a block.
func (s *store) cut(t int64) error {
	head := s.db.Head()
	if head.MinTime() >= t {
		return nil
	}
	if err := s.db.CompactHead(tsdb.NewRangeHead(head, head.MinTime(), t-1)); err != nil {
		return fmt.Errorf("write the block before %s: %w", time.UnixMilli(t).UTC().Format(time.RFC3339), err)
	}
	return nil
}

// finish leaves the directory as a stopped Prometheus would.
func (s *store) finish(ctx context.Context) error {
	newest := s.db.Head().MaxTime()
	if err := s.cut(newest - headSpan); err != nil {
		return err
	}
	log := filepath.Join(s.dir, "log.tmp")
	if err := s.copyHead(ctx, log); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	if err := s.close(); err != nil {
		return err
	}
	for _, part := range []string{"chunks_head", "wal"} {
		if err := os.RemoveAll(filepath.Join(s.dir, part)); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(log, part), filepath.Join(s.dir, part)); err != nil {
			return err
		}
	}
	return os.RemoveAll(log)
}

// copyHead writes what is left in the head to a new TSDB in dir, which holds it in its log.
func (s *store) copyHead(ctx context.Context, dir string) (err error) {
	db, err := openDB(dir, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	head := s.db.Head()
	from, err := tsdb.NewBlockQuerier(head, head.MinTime(), head.MaxTime())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()

	app := db.AppenderV2(ctx)
	all := from.Select(ctx, false, nil, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".*"))
	var it chunkenc.Iterator
	for all.Next() {
		s := newSeries(all.At())
		it = s.history.Iterator(it)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			if err := s.append(app, read(it, kind)); err != nil {
				return errors.Join(err, app.Rollback())
			}
		}
		if err := it.Err(); err != nil {
			return errors.Join(err, app.Rollback())
		}
	}
	if err := all.Err(); err != nil {
		return errors.Join(err, app.Rollback())
	}
	return app.Commit()
}

// close releases the files. What finish has not written is lost.
func (s *store) close() error { return s.db.Close() }
