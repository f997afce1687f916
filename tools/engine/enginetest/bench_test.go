package enginetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stemedb/firedrill/tools/rule"
)

// fakePint writes a pint that finds problems, and returns its path and that of the file to which it writes its arguments.
func fakePint(t *testing.T) (program, args string) {
	t.Helper()
	dir := t.TempDir()
	program, args = filepath.Join(dir, "pint"), filepath.Join(dir, "args")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >"+args+"\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return program, args
}

func TestPint(t *testing.T) {
	program, args := fakePint(t)
	if took := pint(t, program, rule.Set{Files: []rule.File{{Path: "a.yml"}, {Path: "b.yml"}, {Path: "b.yml"}}}); took <= 0 {
		t.Error(took)
	}
	got, err := os.ReadFile(args)
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if want := "--offline lint " + here + "/a.yml " + here + "/b.yml"; strings.TrimSpace(string(got)) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
