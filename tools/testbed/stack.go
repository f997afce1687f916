package testbed

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go/modules/compose"

	"github.com/stemedb/firedrill/tools/service"
)

// load reads the compose files of the system under test, makes the images of its services ready, and adapts it.
func (t *Testbed) load(ctx context.Context) (*types.Project, error) {
	project, lines, err := service.Load(ctx, t.config.Root, t.prefix(), t.config.Compose, t.config.Images.Environ())
	if err != nil {
		return nil, err
	}
	if _, ok := project.Services[t.config.Operator]; !ok {
		return nil, fmt.Errorf("%s: no service %q, in which the runbooks' steps are typed: it has %q", t.composeFiles(), t.config.Operator, project.ServiceNames())
	}
	for _, line := range append(lines, isolate(project, t.composeFiles(), t.prefix(), t.networkName("inside"), t.labels())...) {
		t.sayOnce(line)
	}
	if err := service.EnsureImages(ctx, cmp.Or(t.config.Progress, io.Discard), project); err != nil {
		return nil, fmt.Errorf("%s: %w", t.composeFiles(), err)
	}
	return project, nil
}

// composeFiles are the names of the compose files in messages.
func (t *Testbed) composeFiles() string {
	var names []string
	for _, file := range t.config.Compose {
		names = append(names, t.relative(file))
	}
	return strings.Join(names, ", ")
}

// Up starts what does not run of the system under test. It does not wait until the system is ready.
func (t *Testbed) Up(ctx context.Context) error {
	defer t.Touch()
	project, err := t.load(ctx)
	if err != nil {
		return err
	}
	file, err := project.MarshalYAML()
	if err != nil {
		return fmt.Errorf("%s: %w", t.composeFiles(), err)
	}
	if err := t.closeStack(); err != nil {
		return err
	}
	file = bytes.ReplaceAll(file, []byte("$"), []byte("$$")) // its variables are replaced already
	t.stack, err = compose.NewDockerComposeWith(compose.WithStackReaders(bytes.NewReader(file)), compose.StackIdentifier(t.prefix()))
	if err != nil {
		return fmt.Errorf("%s: %w", t.composeFiles(), err)
	}
	if err := interruptible(ctx, func(ctx context.Context) error { return t.stack.Up(ctx) }); err != nil {
		return fmt.Errorf("start the services of %s: %w", t.composeFiles(), err)
	}
	services := map[string]*Container{}
	for _, name := range t.stack.Services() {
		made, err := t.stack.ServiceContainer(ctx, name)
		if err != nil {
			return fmt.Errorf("find service %s of %s: %w", name, t.composeFiles(), err)
		}
		services[name] = t.container(name, made)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.services = services
	return nil
}

// creating is how long the Engine may take to create what a run that is interrupted has asked it for.
const creating = 10 * time.Second

// interruptible calls create, which makes containers. The Engine goes on with what it was asked for after the one who asked
// has gone: where the context ends, create has the time to end, so that Close finds all that was made.
func interruptible(ctx context.Context, create func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	inner, interrupt := context.WithCancel(context.WithoutCancel(ctx))
	defer interrupt()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(creating, interrupt) })()
	return errors.Join(create(inner), ctx.Err())
}

// Service is a service of the system under test, which runs from Begin on. The error names those that exist.
func (t *Testbed) Service(name string) (*Container, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.services[name]; ok {
		return c, nil
	}
	return nil, fmt.Errorf("no service %q runs: these do: %q", name, slices.Sorted(maps.Keys(t.services)))
}

// Operator is the service in which the runbooks' steps are typed; nil before Up.
func (t *Testbed) Operator() *Container {
	c, _ := t.Service(t.config.Operator)
	return c
}

// down removes the services of the system under test with their volumes. What does not exist is no error.
func (t *Testbed) down(ctx context.Context) error {
	if t.stack == nil {
		return nil
	}
	t.mu.Lock()
	services := t.services
	t.services = nil
	t.mu.Unlock()
	var errs []error
	for _, c := range services { // at once: compose gives each ten seconds to end by itself
		if _, err := t.engine.client.ContainerKill(ctx, c.ID, client.ContainerKillOptions{Signal: "KILL"}); err != nil && !cerrdefs.IsNotFound(err) && !cerrdefs.IsConflict(err) {
			errs = append(errs, fmt.Errorf("end service %s: %w", c.Name, err))
		}
	}
	if err := t.stack.Down(ctx, compose.RemoveVolumes(true)); err != nil {
		errs = append(errs, fmt.Errorf("remove the services of %s: %w", t.composeFiles(), err))
	}
	return errors.Join(append(errs, t.closeStack())...)
}

// closeStack gives up the connections of compose to the Engine.
func (t *Testbed) closeStack() error {
	if t.stack == nil {
		return nil
	}
	err := t.stack.Close()
	t.stack = nil
	return err
}
