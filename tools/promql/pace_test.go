package promql_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	engine "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	queries "github.com/stemedb/firedrill/tools/engine"
	"github.com/stemedb/firedrill/tools/evaluate"
	"github.com/stemedb/firedrill/tools/promql"
)

// recordedEvery is a series r:x that a rule of another group records so often, from a random moment on.
func recordedEvery(every time.Duration) (engine.Series, promql.Recording) {
	s := engine.Series{Metric: labels.FromStrings(model.MetricNameLabel, "r:x", "a", "1")}
	for at := time.Duration(rand.Int64N(int64(every/time.Second))) * time.Second; at < 4*time.Hour; at += every {
		s.Floats = append(s.Floats, engine.FPoint{T: at.Milliseconds(), F: float64(len(s.Floats) + 1)})
	}
	return s, promql.Recording{Name: "r:x", Turn: promql.Turn{Group: "slow", Every: every}}
}

// What is said never to have a result, or never to fire, does not; some of what is not said to does.
func TestNothingTooSlowHappens(t *testing.T) {
	const hour = int64(time.Hour / time.Millisecond)
	p := &property{T: t, engine: queries.NewQueries(engine.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: promql.Lookback}, time.Minute)}
	at := func(expr parser.Expr, ms int64) bool {
		q, err := p.engine.NewInstantQuery(t.Context(), p.db, nil, expr.String(), time.UnixMilli(ms))
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		found, err := q.Exec(t.Context()).Vector()
		return err == nil && len(found) > 0
	}
	pick := func(from ...string) string { return from[rand.IntN(len(from))] }
	claims, results := 0, 0
	for range 300 {
		s, r := recordedEvery(time.Duration(1+rand.IntN(24)) * 30 * time.Second)
		p.db = evaluate.Storage([]engine.Series{s})
		turn := promql.Turn{Group: "fast", Every: time.Duration(1+rand.IntN(8)) * 30 * time.Second}
		pace := promql.Pace{Known: promql.Know([]promql.Recording{r}, nil), Turn: turn, Step: time.Minute}

		expr := parse(t, pick("rate(r:x[", "delta(r:x[", "irate(r:x[", "rate(r:x[20m:", "deriv(r:x[2m:")+pick("30s", "1m", "2m", "3m", "5m", "7m", "10m")+"])")
		never := false
		for _, reason := range pace.Reasons(expr) {
			never = never || reason.Never
		}
		has := false
		for range 40 {
			has = has || at(expr, hour+rand.Int64N(2*hour)/1000*1000)
		}
		if never && has {
			t.Errorf("recorded every %s: %s has a result", r.Turn.Every, expr)
		}

		expr = parse(t, pick("r:x > 0", "sum(r:x) > 0", "r:x * 2 unless r:y", "1 - r:x <= 0 or r:x > 0"))
		wait := time.Duration(1+rand.IntN(20)) * 30 * time.Second
		_, hopeless := pace.Pending(expr, wait)
		since, longest := int64(-1), int64(0)
		for ms := hour; ms < 3*hour; ms += turn.Every.Milliseconds() {
			if !at(expr, ms) {
				since = -1
				continue
			}
			if since < 0 {
				since = ms
			}
			longest = max(longest, ms-since)
		}
		fires := longest >= wait.Milliseconds()
		if hopeless && fires {
			t.Errorf("recorded every %s, evaluated every %s: %s fires with a for of %s", r.Turn.Every, turn.Every, expr, wait)
		}
		if never || hopeless {
			claims++
		}
		if has || fires {
			results++
		}
	}
	if claims < 30 || results < 30 {
		t.Errorf("%d claims and %d results show nothing", claims, results)
	}
}
