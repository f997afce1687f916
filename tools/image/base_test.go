package image

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stemedb/firedrill/tools/progress"
)

// bootstrapper is a builder on an Engine that holds the images, with script as the mmdebstrap of the
// machine, or without one.
func bootstrapper(t *testing.T, e *engine, script string) (*builder, *strings.Builder) {
	t.Helper()
	dir := t.TempDir()
	if script != "" {
		if err := os.WriteFile(filepath.Join(dir, "mmdebstrap"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cli := serve(t, e)
	t.Setenv("PATH", dir)
	var out strings.Builder
	log := progress.New(&out)
	t.Cleanup(log.Stop)
	return &builder{plan: &plan{cli: cli, arch: "amd64"}, log: log, room: func() error { return nil }}, &out
}

func TestTheBaseIsLocalBeforeItIsMade(t *testing.T) {
	e := &engine{images: map[string]string{}}
	b, _ := bootstrapper(t, e, "printf 'a Debian root'")

	found, err := b.ensureBase(t.Context())
	if want := (baseImage{b.bootstrappedRef(), "sha256:imported"}); err != nil || found != want {
		t.Fatalf("bootstrapped: %q, error %v, want %q", found, err, want)
	}
	if string(e.imported) != "a Debian root" {
		t.Errorf("the Engine got %q", e.imported)
	}
	if want := []string{"PULL docker.io/library/debian:bookworm-slim", "IMPORT " + b.bootstrappedRef()}; !slices.Equal(e.requests, want) {
		t.Errorf("it asked for %q, want %q", e.requests, want)
	}

	e.requests = nil
	for _, step := range []baseImage{
		{b.bootstrappedRef(), "sha256:imported"},
		{debian, "sha256:debian"},
		{"given/debian:1", "sha256:given"},
	} {
		e.images[step.ref] = step.id
		if step.ref == "given/debian:1" {
			b.given = map[Name]string{Base: step.ref}
		}
		if found, err := b.ensureBase(t.Context()); err != nil || found != step {
			t.Errorf("with %s in the Engine too: %q, error %v, want %q", step.ref, found, err, step)
		}
	}
	if e.requests != nil {
		t.Errorf("with a base in the Engine, it asked for %q", e.requests)
	}
}

func TestThereIsNoBase(t *testing.T) {
	t.Run("without mmdebstrap", func(t *testing.T) {
		b, _ := bootstrapper(t, &engine{images: map[string]string{}}, "")
		_, err := b.ensureBase(t.Context())
		mention(t, err, "no base image", "debian:bookworm-slim cannot be pulled", "no registry here", "apt-get install mmdebstrap", "FIREDRILL_IMAGE_BASE")
	})
	t.Run("when mmdebstrap fails", func(t *testing.T) {
		e := &engine{images: map[string]string{}}
		b, out := bootstrapper(t, e, "printf half; echo 'E: no mirror' >&2; exit 3")
		_, err := b.ensureBase(t.Context())
		mention(t, err, "building the base image", "mmdebstrap: exit status 3")
		if !strings.Contains(out.String(), "  | E: no mirror\n") {
			t.Errorf("the end of its log is not shown:\n%s", out)
		}
		if len(e.images) != 0 {
			t.Errorf("half a root became an image: %q", e.images)
		}
	})
	t.Run("without room", func(t *testing.T) {
		e := &engine{images: map[string]string{}}
		b, _ := bootstrapper(t, e, "printf root")
		full := errors.New("the disk is full")
		b.room = func() error { return full }
		if _, err := b.ensureBase(t.Context()); !errors.Is(err, full) {
			t.Errorf("the error is %v", err)
		}
		if e.requests != nil {
			t.Errorf("it asked for %q", e.requests)
		}
	})
}
