package stemedb_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stemedb/firedrill/e2e/stemedb"
	"github.com/stemedb/firedrill/tools/testbed"
)

// BenchmarkTestbedUp is how long it takes until all in a testbed is well, with its images built.
func BenchmarkTestbedUp(b *testing.B) {
	for b.Loop() {
		env := start(b)
		b.StopTimer()
		if err := env.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkLeap is a leap of an hour on the live Prometheus, from its last scrape before to its first evaluation after.
func BenchmarkLeap(b *testing.B) {
	env := start(b)
	defer env.Close(b.Context())
	for b.Loop() {
		if err := env.Leap(b.Context(), time.Hour); err != nil {
			b.Fatal(err)
		}
	}
}

var started int

func start(b *testing.B) *stemedb.Environment {
	if _, err := testbed.Sweep(b.Context(), "../.."); err != nil { // a run that was ended leaves testbeds
		b.Fatal(err)
	}
	started++
	env := new(stemedb.Environment)
	if err := env.Start(b.Context(), fmt.Sprintf("bench-%d", started), nil, 0, filepath.Join(b.TempDir(), "evidence")); err != nil {
		b.Fatal(err)
	}
	return env
}
