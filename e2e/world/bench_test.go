package world_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stemedb/firedrill/e2e/world"
)

// BenchmarkWorldUp is how long it takes until all in a world is well, its images being there.
func BenchmarkWorldUp(b *testing.B) {
	for b.Loop() {
		w := begin(b)
		b.StopTimer()
		if err := w.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkLeap is a leap of an hour on the live Prometheus, from its last scrape before to its first evaluation after.
func BenchmarkLeap(b *testing.B) {
	w := begin(b)
	defer w.Close(b.Context())
	for b.Loop() {
		if err := w.Leap(b.Context(), time.Hour); err != nil {
			b.Fatal(err)
		}
	}
}

func begin(b *testing.B) *world.World {
	root, err := filepath.Abs("../..")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := world.Sweep(b.Context()); err != nil { // a run that was ended leaves a world of this name
		b.Fatal(err)
	}
	w, err := world.Start(b.Context(), world.Config{
		Root: root, Rules: filepath.Join(root, "rules"), Runbooks: filepath.Join(root, "runbooks"), Name: "bench",
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Begin(b.Context()); err != nil {
		b.Fatal(err)
	}
	return w
}
