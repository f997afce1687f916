// Package image builds the container images that the world is made of, from the versions in
// go.mod and from Debian packages, and reuses every image whose inputs have not changed.
package image

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"
)

// Name is the name of an image. The environment variable FIREDRILL_IMAGE_<NAME>, in capitals,
// names an image to use in its place.
type Name string

// The images that containers of the world run.
const (
	Host         Name = "host"         // Debian with systemd as PID 1 and stemedb-api
	Prometheus   Name = "prometheus"   // data in /prometheus, as user 65534
	Alertmanager Name = "alertmanager" // data in /alertmanager, as user 65534
	Pebble       Name = "pebble"
	ChallTestSrv Name = "challtestsrv" // Pebble's challenge test server
	Outside      Name = "outside"      // all that answers to the host from outside
	S3           Name = "s3"           // Versity's S3 gateway
	Browser      Name = "browser"      // Debian with Chromium
)

// The images that the host is built on.
const (
	base     Name = "base"
	hostBase Name = "host-base"
)

// Everything that firedrill makes in a Docker Engine carries Label, with the value LabelValue.
const (
	Label      = "dev.firedrill"
	LabelValue = "1"
)

// labelImage tells which Name an image was built for.
const labelImage = Label + ".image"

// names is every image of a Set, the slowest to build first.
var names = []Name{Prometheus, Host, Alertmanager, S3, Pebble, ChallTestSrv, Outside, Browser}

// Set is the images of one world.
type Set struct {
	refs map[Name]string
}

// Ref is the reference of the named image, fit for creating a container of it.
func (s Set) Ref(name Name) string { return s.refs[name] }

// Environ are the environment variables by which another process gets these very images from Resolve, without
// asking the go command what they are made of.
func (s Set) Environ() []string {
	var variables []string
	for _, name := range names {
		variables = append(variables, name.variable()+"="+s.refs[name])
	}
	return variables
}

// Ensure builds the images that are missing and tells on out what it builds, how long that tends to
// take, and that it goes on. Images that a build has replaced are removed.
// The error is one sentence that says what to do, and the log of a failed build ends on out.
func Ensure(ctx context.Context, out io.Writer) (Set, error) {
	cli, err := Connect(ctx)
	if err != nil {
		return Set{}, err
	}
	defer cli.Close()

	log := newProgress(out)
	defer log.stop()

	end := log.start("images", "reading what they are made of", "")
	p, err := newPlan(ctx, cli)
	end(outcome(ctx, err))
	if err != nil {
		return Set{}, err
	}

	b := &builder{plan: p, log: log, room: sync.OnceValue(func() error { return checkRoom(ctx, cli, freeBytes) })}
	b.base = sync.OnceValues(func() (string, error) { return b.ensureBase(ctx) })
	set := Set{refs: map[Name]string{}}
	var mu sync.Mutex
	g, building := errgroup.WithContext(ctx)
	g.SetLimit(2) // a compiler uses all the cores that it finds
	for _, name := range names {
		g.Go(func() error {
			ref, err := b.ensure(building, name)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			set.refs[name] = ref
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return Set{}, err
	}
	if err := b.removeReplaced(ctx); err != nil {
		return Set{}, err
	}
	log.line("images: all %d ready, %d built", len(names), len(b.built))
	return set, nil
}

// Resolve returns the images that Ensure would return, without building any: in about a second.
// When one is missing, the error says to run `make images`.
func Resolve(ctx context.Context) (Set, error) {
	cli, err := Connect(ctx)
	if err != nil {
		return Set{}, err
	}
	defer cli.Close()
	p, err := newPlan(ctx, cli)
	if err != nil {
		return Set{}, err
	}
	set := Set{refs: map[Name]string{}}
	for _, name := range names {
		ref, err := p.ref(ctx, name)
		if err != nil {
			return Set{}, err
		}
		if _, ok, err := inspect(ctx, cli, ref); err != nil {
			return Set{}, err
		} else if !ok {
			return Set{}, fmt.Errorf("the %s image (%s) is missing: run `make images`", name, ref)
		}
		set.refs[name] = ref
	}
	return set, nil
}

// builder builds what a plan lacks.
type builder struct {
	*plan
	log  *progress
	room func() error // whether the disk has room for builds, looked at before the first
	base func() (id string, err error)

	mu    sync.Mutex
	built map[Name]string // the references of the images built
}

// ensure returns the reference of an image that is there: named by the environment, built before, or
// built now.
func (b *builder) ensure(ctx context.Context, name Name) (string, error) {
	if ref, ok := b.given[name]; ok {
		return ref, b.ensureGiven(ctx, name, ref)
	}
	switch name {
	case Host:
		return b.ensureHost(ctx)
	case Browser:
		return b.ensureBrowser(ctx)
	}
	src := b.programs[name]
	ref := b.tag(name, src.digest)
	return ref, b.unlessPresent(ctx, name, ref, src.module.Version, programs[name].cold, func(log io.Writer) error {
		return b.buildProgram(ctx, name, ref, log)
	})
}

// ensureHost builds the host on its packages, those on a base, and the base last of all, so that what
// changes often rebuilds least.
func (b *builder) ensureHost(ctx context.Context) (string, error) {
	baseID, err := b.base()
	if err != nil {
		return "", err
	}
	packages, err := b.hostBaseRef(baseID)
	if err != nil {
		return "", err
	}
	ref, err := b.hostRef(packages)
	if err != nil {
		return "", err
	}
	// The packages are needed only to build the host, yet an image without its parent would
	// make the next change of the server slow.
	if err := b.unlessPresent(ctx, hostBase, packages, "", "Debian packages, 1 to 3 minutes", func(log io.Writer) error {
		return b.buildContext(ctx, hostBase, packages, baseID, b.hostBaseContext(), log)
	}); err != nil {
		return "", err
	}
	return ref, b.unlessPresent(ctx, Host, ref, "", "about 30 seconds when cold", func(log io.Writer) error {
		return b.buildHost(ctx, ref, packages, log)
	})
}

// ensureBrowser builds Chromium on a base.
func (b *builder) ensureBrowser(ctx context.Context) (string, error) {
	baseID, err := b.base()
	if err != nil {
		return "", err
	}
	ref, err := b.browserRef(baseID)
	if err != nil {
		return "", err
	}
	return ref, b.unlessPresent(ctx, Browser, ref, "", "Debian packages, about a minute", func(log io.Writer) error {
		return b.buildContext(ctx, Browser, ref, baseID, b.browserContext(), log)
	})
}

// unlessPresent runs build for an image that is not there, with its progress on the log.
func (b *builder) unlessPresent(ctx context.Context, name Name, ref, version, takes string, build func(log io.Writer) error) error {
	if _, ok, err := inspect(ctx, b.cli, ref); ok || err != nil {
		return err
	}
	if err := b.room(); err != nil {
		return err
	}
	what := string(name)
	if version != "" {
		what += " " + version
	}
	var log tail
	end := b.log.start(what, "building", takes)
	err := build(&log)
	end(outcome(ctx, err))
	if err != nil {
		if ctx.Err() == nil {
			b.log.quote(log.lines)
		}
		return fmt.Errorf("building the %s image: %w", name, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.built == nil {
		b.built = map[Name]string{}
	}
	b.built[name] = ref
	return nil
}

// ensureGiven makes sure of an image that the environment names.
func (b *builder) ensureGiven(ctx context.Context, name Name, ref string) error {
	if _, ok, err := inspect(ctx, b.cli, ref); ok || err != nil {
		return err
	}
	end := b.log.start(string(name), "pulling "+ref, "")
	err := pull(ctx, b.cli, ref)
	end(outcome(ctx, err))
	if err != nil {
		return fmt.Errorf("the image %q that %s names is not here and cannot be pulled (%w): load it, or unset the variable", ref, name.variable(), err)
	}
	return nil
}

// removeReplaced removes the images that the ones just built stand in for. One that a container
// still uses stays, until a later build.
func (b *builder) removeReplaced(ctx context.Context) error {
	// Children go before their parents.
	for _, name := range append(slices.Clone(names), hostBase, base) {
		ref, ok := b.built[name]
		if !ok {
			continue
		}
		list, err := b.cli.ImageList(ctx, client.ImageListOptions{
			Filters: client.Filters{}.Add("label", Label+"="+LabelValue, labelImage+"="+string(name)),
		})
		if err != nil {
			return fmt.Errorf("listing the old %s images: %w", name, err)
		}
		for _, old := range list.Items {
			if slices.Contains(old.RepoTags, ref) {
				continue
			}
			_, err := b.cli.ImageRemove(ctx, old.ID, client.ImageRemoveOptions{PruneChildren: true})
			if err != nil && !errdefs.IsConflict(err) && !errdefs.IsNotFound(err) {
				return fmt.Errorf("removing an old %s image: %w", name, err)
			}
		}
	}
	return nil
}

// inspect returns the ID of an image, and whether it is there.
func inspect(ctx context.Context, cli *client.Client, ref string) (id string, ok bool, err error) {
	found, err := cli.ImageInspect(ctx, ref)
	switch {
	case errdefs.IsNotFound(err):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("looking for the image %s: %w", ref, err)
	}
	return found.ID, true, nil
}
