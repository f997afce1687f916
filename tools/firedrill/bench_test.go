package main

import (
	"os"
	"testing"
)

// BenchmarkWatch is what a save costs: from the moment that our rules are saved to the end of the block about it. Of
// that, 100 ms is the wait for an editor to be done.
func BenchmarkWatch(b *testing.B) {
	dir := b.TempDir()
	for _, name := range []string{"rules", "runbooks", "fixtures/alertmanager"} {
		if err := os.CopyFS(dir+"/"+name, os.DirFS("../../"+name)); err != nil {
			b.Fatal(err)
		}
	}
	b.Chdir(dir)
	until, end := watching(b, "fixtures/alertmanager/alertmanager.yml")
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
		until("saved rules/tls.yml\n", "0 findings")
	}
	b.StopTimer()
	end()
}
