// Package enginetest has what tests and benchmarks share: rule files, the TSDB of a Prometheus, and its peers.
package enginetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Deployed is the path under which a server loads the rule file: the times of evaluations are computed from it.
const Deployed = "/etc/prometheus/rules.yml"

// OneGroup is the text of a rule file with one group. Each rule is a YAML mapping on one line.
func OneGroup(name string, rules ...string) string {
	return "groups:\n- name: " + name + "\n\trules:\n\t- " + strings.Join(rules, "\n\t- ") + "\n"
}

// WriteRules writes a rule file, in which tabs indent, and returns its path.
func WriteRules(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "\t", "  ")), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Open opens a TSDB that keeps everything, until the test ends.
func Open(t testing.TB, dir string) *tsdb.DB {
	t.Helper()
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = 0
	opts.StripeSize = 1 << 10
	db, err := tsdb.Open(dir, nil, nil, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Write appends series in promtool's notation, the first sample at from.
func Write(t testing.TB, db *tsdb.DB, from time.Time, interval time.Duration, series ...string) {
	t.Helper()
	app := db.AppenderV2(context.Background())
	for _, text := range series {
		l, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for i, v := range values {
			if v.Omitted {
				continue
			}
			at := from.Add(time.Duration(i) * interval).UnixMilli()
			if _, err := app.Append(0, l, 0, at, v.Value, nil, v.Histogram, storage.AppendV2Options{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

// Each calls do with every sample of the metrics that match the regular expression.
func Each(t testing.TB, db *tsdb.DB, metric string, do func(labels.Labels, chunkenc.Iterator, chunkenc.ValueType)) {
	t.Helper()
	const ever = int64(1) << 60
	q, err := db.Querier(-ever, ever)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	set := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, metric))
	for set.Next() {
		it := set.At().Iterator(nil)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			do(set.At().Labels(), it, kind)
		}
		if err := it.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := set.Err(); err != nil {
		t.Fatal(err)
	}
}

// Build returns the path of a program of the Prometheus of go.mod, built as it is for the image and for make test, so
// that what the go command has compiled for the one serves the other.
func Build(t testing.TB, program string, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), program)
	args := append([]string{"build", "-o", path, "-trimpath", "-buildvcs=false", "-tags=remove_all_sd,netgo"}, flags...)
	cmd := exec.CommandContext(t.Context(), "go", append(args, "github.com/prometheus/prometheus/cmd/"+program)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", program, err, out)
	}
	return path
}
