package testbed

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

func TestSweepTemporary(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	file, err := CreateTemp(TemporarySecrets)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := MkdirTemp(TemporaryEvidence)
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(os.TempDir(), "firedrill-secrets-"+strconv.Itoa(ended.Process.Pid)+"-123")
	other := filepath.Join(os.TempDir(), "firedrill-secrets-123")
	for _, name := range []string{left, other} {
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sweepTemporary()
	for name, want := range map[string]bool{file.Name(): true, ours: true, other: true, left: false} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", name, err, want)
		}
	}
}
