package source

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// tree makes a folder that is the root of a module, with a folder in it.
func tree(t *testing.T, module string) (root string) {
	t.Helper()
	root = t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module "+module+" // of a test\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

// compiledIn is the file of this package as the compiler was given it in a tree.
func compiledIn(root string) string {
	return filepath.Join(root, filepath.FromSlash(inModule), "source.go")
}

func TestOrder(t *testing.T) {
	ours, other, compiled, moved, cache := tree(t, module), tree(t, "example.com/other"), tree(t, module), t.TempDir(), t.TempDir()
	below := filepath.Join(ours, "a") // a module in the source tree
	if err := os.Rename(filepath.Join(tree(t, "example.com/below"), "go.mod"), filepath.Join(below, "go.mod")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		places places
		want   string // "" for ErrNone
	}{
		{"in the source tree", places{dir: ours, file: compiledIn(compiled), version: "v1.0.0"}, ours},
		{"in a folder of the source tree", places{dir: filepath.Join(ours, "c", "d"), file: compiledIn(compiled), version: "v1.0.0"}, ours},
		{"in another module in the source tree", places{dir: filepath.Join(below, "b"), file: compiledIn(compiled), version: "v1.0.0"}, compiled},
		{"in another module", places{dir: filepath.Join(other, "a"), file: compiledIn(compiled), version: "v1.0.0"}, compiled},
		{"in no module", places{dir: moved, file: compiledIn(compiled), version: "v1.0.0"}, compiled},
		{"compiled in a tree that is gone", places{dir: other, file: compiledIn(moved), version: "v1.0.0"}, cache},
		{"compiled in a tree that is another module", places{dir: other, file: compiledIn(other), version: "v1.0.0"}, cache},
		{"compiled with -trimpath", places{dir: other, file: compiledIn(module), version: "v1.0.0"}, cache},
		{"compiled with -trimpath, unpublished", places{dir: other, file: compiledIn(module)}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.places.download = func(_ context.Context, path, version string) (string, error) {
				if path != module || version != "v1.0.0" {
					t.Errorf("it downloads %s@%s", path, version)
				}
				return cache, nil
			}
			got, err := test.places.find(t.Context())
			if got != test.want || errors.Is(err, ErrNone) != (test.want == "") {
				t.Errorf("%q, error %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestRootIsThisTree(t *testing.T) {
	here, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Root(t.Context()); got != here || err != nil {
		t.Errorf("%q, error %v, want %s", got, err, here)
	}
}

func TestADownloadThatFails(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	_, err := places{dir: t.TempDir(), version: "v0.0.1", download: download}.find(t.Context())
	if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), module+"@v0.0.1") || strings.Contains(err.Error(), "\n") {
		t.Errorf("the error is %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err = places{dir: t.TempDir(), version: "v0.0.1", download: download}.find(t.Context())
	if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "is not installed") {
		t.Errorf("without Go, the error is %v", err)
	}
}

func TestVersionIn(t *testing.T) {
	main := func(path, version string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Path: path, Version: version}}
	}
	dependency := main("example.com/other", "v9.0.0")
	dependency.Deps = []*debug.Module{{Path: "example.com/more", Version: "v8.0.0"}, {Path: module, Version: "v1.3.0"}}
	replaced := main("example.com/other", "v9.0.0")
	replaced.Deps = []*debug.Module{{Path: module, Version: "v1.3.0", Replace: &debug.Module{Path: "../firedrill"}}}
	for _, test := range []struct {
		name string
		info *debug.BuildInfo
		want string
	}{
		{"a release", main(module, "v1.2.3"), "v1.2.3"},
		{"a commit", main(module, "v0.0.0-20261129094106-af2d8b1c0de0"), "v0.0.0-20261129094106-af2d8b1c0de0"},
		{"a changed tree", main(module, "v0.0.0-20261129094106-af2d8b1c0de0+dirty"), ""},
		{"no version control", main(module, "(devel)"), ""},
		{"no modules", nil, ""},
		{"another program", main("example.com/other", "v9.0.0"), ""},
		{"a dependency of another program", dependency, "v1.3.0"},
		{"a dependency from a folder", replaced, ""},
	} {
		if got := versionIn(test.info); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
