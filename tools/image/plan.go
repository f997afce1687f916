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
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/client"
)

// program is a Go program that an image is made of.
type program struct {
	pkg  string // the package, as the go command takes it in the module's root
	data string // a directory that the program owns, as user 65534; without one it runs as root
	cold string // how long its build tends to take when nothing is cached

	// pages is a folder of web pages that the program's module embeds and that only its release build makes, so
	// that the published module lacks it. The program is then built in a copy of its module that has the
	// folder, and so with the dependencies that its own go.mod names, not those of ours.
	pages string
}

// The programs in the host image.
const (
	stemedbAPI   Name = "stemedb-api"
	stemedbAdmin Name = "stemedb-admin"
)

// onHost are the programs in the host image, each with the environment variable that names one to use in place of the
// reference server's.
var onHost = map[Name]string{stemedbAPI: "STEMEDB_API_BINARY", stemedbAdmin: "STEMEDB_ADMIN_BINARY"}

var programs = map[Name]program{
	Prometheus:   {pkg: "github.com/prometheus/prometheus/cmd/prometheus", data: "prometheus", cold: "2 to 5 minutes when cold"},
	Alertmanager: {pkg: "github.com/prometheus/alertmanager/cmd/alertmanager", data: "alertmanager", cold: "about a minute when cold", pages: "ui/app/dist"},
	Pebble:       {pkg: "github.com/letsencrypt/pebble/v2/cmd/pebble", cold: "about 20 seconds when cold"},
	ChallTestSrv: {pkg: "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv", cold: "about 20 seconds when cold"},
	Outside:      {pkg: "./fixtures/outside", cold: "about 20 seconds when cold"},
	S3:           {pkg: "github.com/versity/versitygw/cmd/versitygw", cold: "about a minute when cold"},
	stemedbAPI:   {pkg: "./fixtures/stemedb-api"},
	stemedbAdmin: {pkg: "./fixtures/stemedb-api/stemedb-admin"},
}

// buildFlags are the same for all programs, so that they share the compiler's cache. Prometheus
// discovers none of the clouds' machines here: its only targets are static.
var buildFlags = []string{"-trimpath", "-buildvcs=false", "-tags=remove_all_sd,netgo", "-ldflags=-s -w"}

// source is what a program is built from.
type source struct {
	module *module // the module that it is part of
	digest string  // of everything that goes into its binary
}

// plan knows what every image is made of, and so what it is called.
type plan struct {
	cli      *client.Client
	root     string          // the module's root
	arch     string          // the Engine's architecture, as Go calls it
	given    map[Name]string // references that the environment names
	binaries map[Name]string // programs on the host that the environment names
	programs map[Name]source
}

// variable is the environment variable that names an image to use in place of n.
func (n Name) variable() string {
	return "FIREDRILL_IMAGE_" + strings.ToUpper(string(n))
}

// newPlan reads what the images are made of.
func newPlan(ctx context.Context, cli *client.Client) (*plan, error) {
	version, err := cli.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking the Docker Engine for its version: %w", err)
	}
	p := &plan{cli: cli, arch: version.Arch, given: map[Name]string{}, binaries: map[Name]string{}}
	for _, name := range append(slices.Clone(names), base) {
		if ref := os.Getenv(name.variable()); ref != "" {
			p.given[name] = ref
		}
	}
	gomod, goVersion, err := goEnv(ctx)
	if err != nil {
		return nil, err
	}
	p.root = filepath.Dir(gomod)

	ask := map[Name]program{}
	for name, prog := range programs {
		if _, ok := p.given[name]; !ok {
			ask[name] = prog
		}
	}
	brought := map[Name]source{}
	for name, variable := range onHost {
		if _, ok := p.given[Host]; ok {
			delete(ask, name)
		} else if path := os.Getenv(variable); path != "" {
			delete(ask, name)
			binary, err := checkBinary(variable, path, p.arch)
			if err != nil {
				return nil, err
			}
			p.binaries[name], brought[name] = path, source{digest: binary}
		}
	}
	if p.programs, err = readSources(ctx, p.root, p.arch, goVersion, ask); err != nil {
		return nil, err
	}
	maps.Copy(p.programs, brought)
	return p, nil
}

// ref is the reference of an image, whether it is there or not. Those of the host and the browser need a look at the
// Engine: their names depend on the base that is there.
func (p *plan) ref(ctx context.Context, name Name) (string, error) {
	if ref, ok := p.given[name]; ok {
		return ref, nil
	}
	if name != Host && name != Browser {
		return p.tag(name, p.programs[name].digest), nil
	}
	id, ok, err := p.localBase(ctx)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", fmt.Errorf("the base of the %s image is missing: run `make images`", name)
	}
	if name == Browser {
		return p.browserRef(id)
	}
	packages, err := p.hostBaseRef(id)
	if err != nil {
		return "", err
	}
	return p.hostRef(packages)
}

// hostBaseRef is the reference of the host's packages on the base with that ID.
func (p *plan) hostBaseRef(baseID string) (string, error) {
	content, err := p.hostBaseContext().digest()
	if err != nil {
		return "", err
	}
	return p.tag(hostBase, digest(baseID, content)), nil
}

// browserRef is the reference of the browser on the base with that ID.
func (p *plan) browserRef(baseID string) (string, error) {
	content, err := p.browserContext().digest()
	if err != nil {
		return "", err
	}
	return p.tag(Browser, digest(baseID, content)), nil
}

// hostRef is the reference of the host on the packages with that reference.
func (p *plan) hostRef(packages string) (string, error) {
	content, err := p.hostContext().digest()
	if err != nil {
		return "", err
	}
	return p.tag(Host, digest(packages, content, p.programs[stemedbAPI].digest, p.programs[stemedbAdmin].digest)), nil
}

func (p *plan) hostBaseContext() buildContext {
	return buildContext{dir: filepath.Join(p.root, "fixtures", "host", "base")}
}

func (p *plan) browserContext() buildContext {
	return buildContext{dir: filepath.Join(p.root, "fixtures", "browser")}
}

func (p *plan) hostContext() buildContext {
	return buildContext{dir: filepath.Join(p.root, "fixtures", "host"), without: "base"}
}

// tag is the reference of an image made of what has the digest.
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

// goCommand is the go command in dir, building for the Engine and heeding nothing but go.mod.
func goCommand(ctx context.Context, dir, arch string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=", "GOWORK=off")
	endGently(cmd)
	return cmd
}

// goEnv returns the path of the go.mod in force and the version of the go command.
func goEnv(ctx context.Context) (gomod, version string, err error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOMOD", "GOVERSION")
	out, err := output(cmd)
	if err != nil {
		return "", "", fmt.Errorf("asking go for its environment: %w", err)
	}
	gomod, version, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	if gomod == "" || gomod == os.DevNull {
		return "", "", errors.New("no go.mod here or above: run firedrill in its source tree")
	}
	return gomod, version, nil
}

// listed is what `go list` tells of a package.
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

// readSources reads what the programs are built from, in one run of `go list`.
func readSources(ctx context.Context, root, arch, goVersion string, ask map[Name]program) (map[Name]source, error) {
	if len(ask) == 0 {
		return map[Name]source{}, nil
	}
	args := []string{"list", "-deps", "-json=ImportPath,Dir,Standard,Match,Module,Deps,DefaultGODEBUG,GoFiles,SFiles,HFiles,EmbedPatterns"}
	args = append(args, buildFlags...)
	for _, prog := range ask {
		args = append(args, prog.pkg)
	}
	out, err := output(goCommand(ctx, root, arch, args...))
	if err != nil {
		return nil, fmt.Errorf("listing the packages of the programs: %w", err)
	}
	pkgs := map[string]*listed{}
	roots := map[string]*listed{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		pkg := new(listed)
		if err := dec.Decode(pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("reading the packages of the programs: %w", err)
		}
		pkgs[pkg.ImportPath] = pkg
		for _, pattern := range pkg.Match {
			roots[pattern] = pkg
		}
	}
	sources := map[Name]source{}
	for name, prog := range ask {
		pkg := roots[prog.pkg]
		if pkg == nil {
			return nil, fmt.Errorf("go list says nothing of %s", prog.pkg)
		}
		deps := pkg.Deps
		if prog.pages != "" {
			deps = nil // its module's sum stands for the go.sum in it
		}
		inputs, err := inputsOf(pkg, deps, pkgs)
		if err != nil {
			return nil, fmt.Errorf("reading what %s is built from: %w", name, err)
		}
		inputs = append(inputs, goVersion, arch, prog.pages)
		inputs = append(inputs, buildFlags...)
		inputs = append(inputs, instructions(name)...)
		sources[name] = source{module: pkg.Module, digest: digest(inputs...)}
	}
	return sources, nil
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
