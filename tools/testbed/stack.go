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

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go/modules/compose"

	"github.com/stemedb/firedrill/tools/service"
)

// load reads the compose file of the system under test, and makes the images of its services ready.
func (t *Testbed) load(ctx context.Context) (*types.Project, error) {
	options, err := cli.NewProjectOptions(t.config.Compose, cli.WithName(t.prefix()), cli.WithEnv(t.config.Images.Environ()),
		cli.WithOsEnv, cli.WithEnvFiles(), cli.WithDotEnv)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.composeFiles(), err)
	}
	project, err := options.LoadProject(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.composeFiles(), err)
	}
	if _, ok := project.Services[t.config.Operator]; !ok {
		return nil, fmt.Errorf("%s: no service %q, in which the runbooks' steps are typed: it has %q", t.composeFiles(), t.config.Operator, slices.Sorted(maps.Keys(project.Services)))
	}
	if err := service.EnsureImages(ctx, cmp.Or(t.config.Progress, io.Discard), project); err != nil {
		return nil, fmt.Errorf("%s: %w", t.composeFiles(), err)
	}
	return project, nil
}

// isolate changes in memory what isolation demands: the services are on the testbed's network alone, publish nothing on
// this machine, and carry the testbed's name and labels.
func (t *Testbed) isolate(project *types.Project) {
	for name, service := range project.Services {
		aliases := []string{name}
		for _, network := range service.Networks {
			if network != nil {
				aliases = append(aliases, network.Aliases...)
			}
		}
		service.Networks = map[string]*types.ServiceNetworkConfig{"testbed": {Aliases: aliases}}
		service.Ports, service.ContainerName = nil, t.prefix()+"-"+name
		if service.Labels == nil {
			service.Labels = types.Labels{}
		}
		maps.Copy(service.Labels, t.labels())
		project.Services[name] = service
	}
	project.Networks = types.Networks{"testbed": {Name: t.inside.Name, External: true}}
	for name, volume := range project.Volumes {
		volume.Labels = t.labels()
		project.Volumes[name] = volume
	}
}

func (t *Testbed) composeFiles() string { return strings.Join(t.config.Compose, ", ") }

// Up starts what does not run of the system under test. It does not wait until the system is ready.
func (t *Testbed) Up(ctx context.Context) error {
	defer t.Touch()
	project, err := t.load(ctx)
	if err != nil {
		return err
	}
	t.isolate(project)
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
	if err := t.stack.Up(ctx); err != nil {
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
