// Package source finds the source tree of Firedrill, which the images of a testbed are built from.
package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// inModule is the folder of this package below the module's root.
const inModule = "/tools/source"

// module is the path of Firedrill's module.
var module = strings.TrimSuffix(reflect.TypeFor[places]().PkgPath(), inModule)

// ErrNone is the error where the source is not on this machine and cannot be downloaded.
var ErrNone = errors.New("the source of Firedrill is not on this machine")

// Root is the root of Firedrill's source tree: the tree that the working directory is in, else the one that the program
// was compiled from, else the one in Go's module cache, downloaded if need be, which is read only. The error is ErrNone with the reason.
func Root(ctx context.Context) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the source of Firedrill: %w", err)
	}
	info, _ := debug.ReadBuildInfo() // nil in a program that was built without modules
	return places{dir: dir, file: file, version: versionIn(info), download: download}.find(ctx)
}

// places is what is known about where the source is.
type places struct {
	dir      string // the working directory
	file     string // of this package, as the compiler was given it: no path of this machine with -trimpath
	version  string // of the module, or "" where it is none that can be downloaded
	download func(ctx context.Context, module, version string) (root string, err error)
}

func (p places) find(ctx context.Context) (string, error) {
	for dir := p.dir; ; dir = filepath.Dir(dir) {
		name, err := moduleIn(dir)
		if err == nil && name == module {
			return dir, nil
		}
		if err == nil || dir == filepath.Dir(dir) { // another module, or no folder above
			break
		}
	}
	if folder, found := strings.CutSuffix(filepath.ToSlash(filepath.Dir(p.file)), inModule); found && filepath.IsAbs(folder) {
		if name, err := moduleIn(folder); err == nil && name == module {
			return filepath.FromSlash(folder), nil
		}
	}
	if p.version == "" {
		return "", fmt.Errorf("%w (this program was not built from a published version)", ErrNone)
	}
	root, err := p.download(ctx, module, p.version)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w (%w)", ErrNone, err)
	}
	return root, err
}

// moduleIn is the path of the module whose root is dir, or an error where dir has no go.mod.
func moduleIn(dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return modfile.ModulePath(content), err
}

// versionIn is the version of Firedrill's module in a program, or "" where it is none that the go command could download.
func versionIn(info *debug.BuildInfo) string {
	if info == nil {
		return ""
	}
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path == module && m.Replace == nil && semver.IsValid(m.Version) && semver.Build(m.Version) == "" { // a build is "+dirty"
			return m.Version
		}
	}
	return ""
}

// download returns the root of a module's version in the module cache.
func download(ctx context.Context, module, version string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module+"@"+version)
	cmd.Dir = os.TempDir() // in no module, whose settings would count
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	out, err := cmd.Output() // of a failure as well
	var found struct{ Dir, Error string }
	if wrong := json.Unmarshal(out, &found); wrong == nil && found.Error != "" {
		err = errors.New(found.Error)
	} else if err == nil {
		err = wrong
	}
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("Go, which could download it, is not installed")
	case err != nil:
		return "", fmt.Errorf("downloading it: %s", strings.Join(strings.Fields(err.Error()), " "))
	}
	return found.Dir, nil
}
