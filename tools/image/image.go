// Package image builds the container images of a testbed, from the versions in go.mod and from Debian
// packages, and reuses every image whose inputs have not changed.
package image

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/template"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/progress"
)

// Name is the name of an image. The environment variable FIREDRILL_IMAGE_<NAME>, in capitals,
// names an image to use in its place.
type Name string

// The images of every testbed, and what else may be named. fixtures/images.yml of Firedrill's source tree lists more.
const (
	Prometheus   Name = "prometheus"   // data in /prometheus, as user 65534
	Alertmanager Name = "alertmanager" // data in /alertmanager, as user 65534
	Receiver     Name = "receiver"     // takes webhooks and forwards connections; see tools/receiver
	Base         Name = "base"         // Debian, for Dockerfiles to begin with
)

// Everything that firedrill makes in a Docker Engine carries Label, with the value LabelValue.
const (
	Label      = "dev.firedrill"
	LabelValue = "1"
)

// LabelImage is the label whose value is the Name of an image, or the repository of one that a compose file describes.
const LabelImage = Label + ".image"

// Asked are the images that compose files ask for by ${FIREDRILL_IMAGE_…}, sorted. model is what compose files hold, before
// variables are replaced.
func Asked(model map[string]any) []Name {
	var names []Name
	for variable := range template.ExtractVariables(model, nil) {
		if rest, ours := strings.CutPrefix(variable, Name("").variable()); ours && rest != "" {
			names = append(names, Name(strings.ToLower(rest)))
		}
	}
	slices.Sort(names)
	return names
}

// Placeholders are variables as Set.Environ has them, with references of no image, to read a compose file before its images
// are known.
func Placeholders(names []Name) []string {
	var variables []string
	for _, name := range names {
		variables = append(variables, name.variable()+"=firedrill/"+string(name)+":placeholder")
	}
	return variables
}

// Set is the images of one testbed.
type Set struct {
	names []Name
	refs  map[Name]string
}

// Ref is the reference of the named image, to create a container of, or "" if there is no such image.
func (s Set) Ref(name Name) string { return s.refs[name] }

// Environ are the environment variables by which Resolve returns the same images in another process, without asking the go
// command what they are made of, and by which compose files name them.
func (s Set) Environ() []string {
	var variables []string
	for _, name := range s.names {
		variables = append(variables, name.variable()+"="+s.refs[name])
	}
	return variables
}

// Ensure builds the named images that are missing, or all but Base where none is named, and prints on out what it builds,
// how long that takes, and what is still being built. Images that a build has replaced are removed. It needs neither Go nor
// Firedrill's source where every image is named, and is Base or given by its environment variable.
// The error is one sentence that says what to do, and the log of a failed build ends on out.
func Ensure(ctx context.Context, out io.Writer, names ...Name) (Set, error) {
	cli, err := Connect(ctx)
	if err != nil {
		return Set{}, err
	}
	defer cli.Close()

	log := progress.New(out)
	defer log.Stop()

	end := log.Start("images", "reading their inputs", "")
	p, err := newPlan(ctx, cli, names)
	end(progress.Outcome(ctx, err))
	if err != nil {
		return Set{}, err
	}

	b := &builder{plan: p, log: log, room: sync.OnceValue(func() error { return checkRoom(ctx, cli, freeBytes) })}
	b.base = sync.OnceValues(func() (baseImage, error) { return b.ensureBase(ctx) })
	set := p.set()
	var mu sync.Mutex
	g, building := errgroup.WithContext(ctx)
	g.SetLimit(2) // a compiler uses all the cores that it finds
	for _, s := range p.images {
		g.Go(func() error {
			ref, err := b.ensure(building, s)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			set.refs[s.name] = ref
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return Set{}, err
	}
	if err := b.removeReplaced(ctx); err != nil {
		return Set{}, err
	}
	log.Line("images: all %d ready, %d built", len(p.images), len(b.built))
	return set, nil
}

// Resolve returns the images that Ensure would return for the same names, without building any: in about a second.
// When one is missing, the error says to run `make images`.
func Resolve(ctx context.Context, names ...Name) (Set, error) {
	cli, err := Connect(ctx)
	if err != nil {
		return Set{}, err
	}
	defer cli.Close()
	p, err := newPlan(ctx, cli, names)
	if err != nil {
		return Set{}, err
	}
	set := p.set()
	for _, s := range p.images {
		ref, err := p.ref(s, func() (baseImage, error) {
			found, ok, err := p.localBase(ctx)
			if err == nil && !ok {
				what := "base image"
				if s.name != Base {
					what = fmt.Sprintf("base of the %s image", s.name)
				}
				err = fmt.Errorf("the %s is missing: run `make images`", what)
			}
			return found, err
		})
		if err != nil {
			return Set{}, err
		}
		if _, ok, err := inspect(ctx, cli, ref); err != nil {
			return Set{}, err
		} else if !ok {
			return Set{}, fmt.Errorf("the %s image (%s) is missing: run `make images`", s.name, ref)
		}
		set.refs[s.name] = ref
	}
	return set, nil
}

// set is a set without references.
func (p *plan) set() Set {
	set := Set{refs: map[Name]string{}}
	for _, s := range p.images {
		set.names = append(set.names, s.name)
	}
	return set
}

// builder builds the images of a plan that are missing.
type builder struct {
	*plan
	log  *progress.Log
	room func() error // checks, before the first build, that the disk has space
	base func() (baseImage, error)

	mu    sync.Mutex
	built []builtImage // an image comes after those that it is built on
}

type builtImage struct {
	name Name
	ref  string
}

// ensure returns the reference of an image that exists: named by the environment, built before, or
// built now.
func (b *builder) ensure(ctx context.Context, s *spec) (string, error) {
	if ref, ok := b.given[s.name]; ok {
		return ref, b.ensureGiven(ctx, s.name, ref)
	}
	ref, err := b.ref(s, b.base)
	if err != nil {
		return "", err
	}
	if s.name == Base {
		return ref, nil
	}
	if s.program != nil {
		return ref, b.unlessPresent(ctx, s.name, ref, s.program.module.Version, s.takes, func(log io.Writer) error {
			return b.buildProgram(ctx, s, ref, log)
		})
	}
	// Only a build needs what an image is built on, but without it the next build would be slow.
	if s.base != nil {
		if _, err := b.ensure(ctx, s.base); err != nil {
			return "", err
		}
	}
	from, err := b.from(s, b.base)
	if err != nil {
		return "", err
	}
	return ref, b.unlessPresent(ctx, s.name, ref, "", s.takes, func(log io.Writer) error {
		return b.buildFolder(ctx, s, ref, from, log)
	})
}

// unlessPresent runs build for an image that does not exist, with its progress on the log.
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
	var log progress.Tail
	end := b.log.Start(what, "building", takes)
	err := build(&log)
	end(progress.Outcome(ctx, err))
	if err != nil {
		if ctx.Err() == nil {
			b.log.Quote(log.Lines())
		}
		return fmt.Errorf("building the %s image: %w", name, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.built = append(b.built, builtImage{name, ref})
	return nil
}

// ensureGiven pulls an image that the environment names, unless the Engine has it.
func (b *builder) ensureGiven(ctx context.Context, name Name, ref string) error {
	if _, ok, err := inspect(ctx, b.cli, ref); ok || err != nil {
		return err
	}
	end := b.log.Start(string(name), "pulling "+ref, "")
	err := pull(ctx, b.cli, ref)
	end(progress.Outcome(ctx, err))
	if err != nil {
		return fmt.Errorf("the image %q that %s names does not exist and cannot be pulled (%w): load it, or unset the variable", ref, name.variable(), err)
	}
	return nil
}

// removeReplaced removes the images that the ones just built replace. One that a container
// still uses stays, until a later build.
func (b *builder) removeReplaced(ctx context.Context) error {
	for _, image := range slices.Backward(b.built) { // an image before those that it is built on
		list, err := b.cli.ImageList(ctx, client.ImageListOptions{
			Filters: client.Filters{}.Add("label", Label+"="+LabelValue, LabelImage+"="+string(image.name)),
		})
		if err != nil {
			return fmt.Errorf("listing the old %s images: %w", image.name, err)
		}
		for _, old := range list.Items {
			if slices.Contains(old.RepoTags, image.ref) {
				continue
			}
			_, err := b.cli.ImageRemove(ctx, old.ID, client.ImageRemoveOptions{PruneChildren: true})
			if err != nil && !errdefs.IsConflict(err) && !errdefs.IsNotFound(err) {
				return fmt.Errorf("removing an old %s image: %w", image.name, err)
			}
		}
	}
	return nil
}

// inspect returns the ID of an image, and whether it exists.
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
