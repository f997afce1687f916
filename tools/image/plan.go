package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"github.com/stemedb/firedrill/tools/source"
)

// buildFlags are the same for all programs, so that they share the compiler's cache. Prometheus
// discovers none of the clouds' machines here: its only targets are static.
var buildFlags = []string{"-trimpath", "-buildvcs=false", "-tags=remove_all_sd,netgo", "-ldflags=-s -w"}

// plan knows what every image is made of, and so its reference.
type plan struct {
	cli    *client.Client
	root   string          // of Firedrill's source tree; empty where every image is given
	arch   string          // the Engine's architecture, as Go calls it
	images []*spec         // in the order in which they are built
	given  map[Name]string // references that the environment names
}

// variable is the environment variable that names an image to use in place of n.
func (n Name) variable() string {
	return "FIREDRILL_IMAGE_" + strings.ToUpper(string(n))
}

// newPlan reads what the named images are made of; with no name, all.
func newPlan(ctx context.Context, cli *client.Client, names []Name) (*plan, error) {
	version, err := cli.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking the Docker Engine for its version: %w", err)
	}
	p := &plan{cli: cli, arch: version.Arch, given: map[Name]string{}}
	var unknown []Name // what only the source tells
	for _, name := range append([]Name{Base}, names...) {
		if ref := os.Getenv(name.variable()); ref != "" {
			p.given[name] = ref
		} else if name != Base && !slices.Contains(unknown, name) {
			unknown = append(unknown, name)
		}
	}
	if len(names) > 0 && len(unknown) == 0 {
		for _, name := range names {
			if !slices.ContainsFunc(p.images, func(s *spec) bool { return s.name == name }) {
				p.images = append(p.images, &spec{name: name})
			}
		}
		return p, nil
	}
	if p.root, err = source.Root(ctx); errors.Is(err, source.ErrNone) {
		return nil, fmt.Errorf("%w: %s, or run firedrill in its source tree", err, nameThem(unknown))
	} else if err != nil {
		return nil, err
	}
	all, err := specs(p.root)
	if err != nil {
		return nil, err
	}
	if p.images, err = selected(all, names, p.given); err != nil {
		return nil, err
	}
	goVersion, err := p.goVersion(ctx)
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("the images are built with Go, which is not installed: install it (https://go.dev/dl), or %s", nameThem(unknown))
	} else if err != nil {
		return nil, fmt.Errorf("asking go for its version: %w", err)
	}
	var ask []*program
	for _, s := range p.images {
		if ref := os.Getenv(s.name.variable()); ref != "" {
			p.given[s.name] = ref
			continue
		}
		for prog := range s.allPrograms() {
			if prog.binary = os.Getenv(prog.variable); prog.binary == "" {
				ask = append(ask, prog)
			} else if prog.digest, err = checkBinary(prog.variable, prog.binary, p.arch); err != nil {
				return nil, err
			}
		}
	}
	return p, readSources(ctx, p.root, p.arch, goVersion, ask)
}

// selected are those of all images that are named, in the order in which they are built; with no name, all.
func selected(all []*spec, names []Name, given map[Name]string) ([]*spec, error) {
	if len(names) == 0 {
		return all, nil
	}
	all = slices.Insert(slices.Clone(all), 1, &spec{name: Base})
	var known []string
	for _, s := range all {
		known = append(known, string(s.name))
	}
	for _, name := range names {
		if slices.Contains(known, string(name)) {
			continue
		}
		if given[name] == "" {
			return nil, fmt.Errorf("there is no image %q: set %s to the image that is meant, or name one of %s", name, name.variable(), strings.Join(known, ", "))
		}
		known = append(known, string(name))
		all = append(all, &spec{name: name})
	}
	return slices.DeleteFunc(all, func(s *spec) bool { return !slices.Contains(names, s.name) }), nil
}

// nameThem says which variables to set in place of building the images; with no name, those of every testbed.
func nameThem(names []Name) string {
	if len(names) == 0 {
		names = []Name{Prometheus, Alertmanager, Receiver}
	}
	var variables []string
	for _, name := range names {
		variables = append(variables, name.variable())
	}
	return "name images to use in " + strings.Join(variables, ", ")
}

// goVersion is the version of the go command that builds the programs.
func (p *plan) goVersion(ctx context.Context) (string, error) {
	out, err := output(goCommand(ctx, p.root, p.arch, "env", "GOVERSION"))
	return strings.TrimSpace(string(out)), err
}

// allPrograms are the programs that are compiled for an image and those that it is built on.
func (s *spec) allPrograms() iter.Seq[*program] {
	return func(yield func(*program) bool) {
		for ; s != nil; s = s.base {
			if s.program != nil && !yield(s.program) {
				return
			}
			for _, prog := range s.programs {
				if !yield(prog) {
					return
				}
			}
		}
	}
}

// ref is the reference of an image, whether it exists or not. That of a folder depends on the Debian base in the Engine,
// which base returns.
func (p *plan) ref(s *spec, base func() (baseImage, error)) (string, error) {
	if ref, ok := p.given[s.name]; ok {
		return ref, nil
	}
	if s.name == Base {
		found, err := base()
		return found.ref, err
	}
	if s.program != nil {
		return p.tag(s.name, digest(append(instructions(s.name, s.program), s.program.digest)...)), nil
	}
	from, err := p.from(s, base)
	if err != nil {
		return "", err
	}
	content, err := p.context(s).digest()
	if err != nil {
		return "", err
	}
	parts := []string{from, content}
	for _, to := range slices.Sorted(maps.Keys(s.programs)) {
		parts = append(parts, to, s.programs[to].digest)
	}
	return p.tag(s.name, digest(parts...)), nil
}

// from is the image that a folder's Dockerfile begins with.
func (p *plan) from(s *spec, base func() (baseImage, error)) (string, error) {
	if s.base != nil {
		return p.ref(s.base, base)
	}
	found, err := base()
	return found.id, err
}

// context is a folder's build context, without its programs.
func (p *plan) context(s *spec) buildContext {
	c := buildContext{dir: filepath.Join(p.root, filepath.FromSlash(s.folder))}
	if s.base != nil {
		c.without, _ = strings.CutPrefix(s.base.folder, s.folder+"/")
	}
	return c
}

// tag is the reference of an image whose parts have the digest.
func (p *plan) tag(name Name, digest string) string {
	return fmt.Sprintf("firedrill/%s:%.12s", name, digest)
}

// digest is one digest of many strings, in hexadecimal. Where one ends and the next begins matters.
func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s\n", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// fileDigest is the digest of a file's content.
func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// goCommand is the go command in dir, which builds for the Engine and takes its settings from go.mod alone.
func goCommand(ctx context.Context, dir, arch string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=", "GOWORK=off")
	interruptible(cmd)
	return cmd
}

// listed is a package as `go list` prints it.
type listed struct {
	ImportPath     string
	Dir            string
	Standard       bool
	Match          []string // the patterns that asked for it
	Module         *module
	Deps           []string
	DefaultGODEBUG string

	GoFiles, SFiles, HFiles, EmbedPatterns []string
}

type module struct {
	Path, Version, Sum, Dir string
	Replace                 *module
}

// readSources sets the module and the digest of each program, in one run of `go list`.
func readSources(ctx context.Context, root, arch, goVersion string, ask []*program) error {
	if len(ask) == 0 {
		return nil
	}
	args := []string{"list", "-deps", "-json=ImportPath,Dir,Standard,Match,Module,Deps,DefaultGODEBUG,GoFiles,SFiles,HFiles,EmbedPatterns"}
	args = append(args, buildFlags...)
	for _, prog := range ask {
		args = append(args, prog.pkg)
	}
	out, err := output(goCommand(ctx, root, arch, args...))
	if err != nil {
		return fmt.Errorf("listing the packages of the programs: %w", err)
	}
	pkgs := map[string]*listed{}
	roots := map[string]*listed{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		pkg := new(listed)
		if err := dec.Decode(pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("reading the packages of the programs: %w", err)
		}
		pkgs[pkg.ImportPath] = pkg
		for _, pattern := range pkg.Match {
			roots[pattern] = pkg
		}
	}
	for _, prog := range ask {
		pkg := roots[prog.pkg]
		if pkg == nil {
			return fmt.Errorf("go list reports nothing about %s", prog.pkg)
		}
		deps := pkg.Deps
		if prog.pages != "" {
			deps = nil // its module's sum stands for the go.sum in it
		}
		inputs, err := inputsOf(pkg, deps, pkgs)
		if err != nil {
			return fmt.Errorf("reading what %s is built from: %w", prog.pkg, err)
		}
		inputs = append(inputs, goVersion, arch, prog.pages)
		inputs = append(inputs, buildFlags...)
		prog.module, prog.digest = pkg.Module, digest(inputs...)
	}
	return nil
}

// inputsOf lists what goes into the program pkg with those dependencies: modules by version and sum, packages that have
// no such sum (the project's own) file by file. The standard library comes with the version of Go.
func inputsOf(pkg *listed, deps []string, pkgs map[string]*listed) ([]string, error) {
	inputs := []string{pkg.ImportPath, pkg.DefaultGODEBUG}
	seen := map[string]bool{}
	for _, path := range append(slices.Clone(deps), pkg.ImportPath) {
		dep := pkgs[path]
		if dep == nil || dep.Standard {
			continue // "unsafe" and "C" are no packages
		}
		m := dep.Module
		if m != nil && m.Replace != nil {
			m = m.Replace
		}
		if m != nil && m.Sum != "" {
			if input := m.Path + "@" + m.Version + " " + m.Sum; !seen[input] {
				seen[input] = true
				inputs = append(inputs, input)
			}
			continue
		}
		files, err := filesOf(dep)
		if err != nil {
			return nil, err
		}
		for _, name := range files {
			sum, err := fileDigest(filepath.Join(dep.Dir, name))
			if err != nil {
				return nil, err
			}
			inputs = append(inputs, dep.ImportPath+"/"+filepath.ToSlash(name)+" "+sum)
		}
	}
	slices.Sort(inputs[2:])
	return inputs, nil
}

// filesOf lists the files that a package is compiled from, by their path in its folder.
func filesOf(pkg *listed) ([]string, error) {
	files := slices.Concat(pkg.GoFiles, pkg.SFiles, pkg.HFiles)
	for _, pattern := range pkg.EmbedPatterns {
		matches, err := filepath.Glob(filepath.Join(pkg.Dir, strings.TrimPrefix(pattern, "all:")))
		if err != nil {
			return nil, err
		}
		for _, match := range matches {
			err := filepath.WalkDir(match, func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return err
				}
				name, err := filepath.Rel(pkg.Dir, path)
				files = append(files, name)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}
