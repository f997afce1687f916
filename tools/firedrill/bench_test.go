package main

import (
	"os"
	"testing"
)

// BenchmarkWatch measures the time from a save of our rules to the end of the block about it. 100 ms of it is the wait
// for the editor to finish.
func BenchmarkWatch(b *testing.B) {
	dir := b.TempDir()
	for _, name := range []string{"rules", "runbooks", "fixtures/alertmanager"} {
		if err := os.CopyFS(dir+"/"+name, os.DirFS("../../"+name)); err != nil {
			b.Fatal(err)
		}
	}
	b.Chdir(dir)
	until, end := watching(b, "--alertmanager=fixtures/alertmanager/alertmanager.yml")
	until()
	content, err := os.ReadFile("rules/tls.yml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := os.WriteFile("rules/.new", content, 0o644); err != nil {
			b.Fatal(err)
		}
		if err := os.Rename("rules/.new", "rules/tls.yml"); err != nil {
			b.Fatal(err)
		}
		until("saved rules/tls.yml\n", "0 errors, 0 warnings")
	}
	b.StopTimer()
	end()
}
