package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"
)

// Load reads the compose files of a system under test, with the variables in env ("NAME=value") before those of the
// environment. name is the project's, and root the folder that warnings are relative to, and that may be mounted
// without one.
//
// The services that a testbed does not run are among the disabled ones, and nothing depends on them. warnings has a line for
// each of them, and for each part of this machine that a service reaches. The error joins what is wrong, each with the
// compose file, line and column, and what would be right.
func Load(ctx context.Context, root, name string, files, env []string) (project *types.Project, warnings []string, err error) {
	options, err := cli.NewProjectOptions(files, cli.WithName(name), cli.WithEnv(env), cli.WithOsEnv, cli.WithEnvFiles(), cli.WithDotEnv)
	if err == nil {
		project, err = options.LoadProject(ctx)
	}
	source := readSource(files)
	if err != nil {
		return nil, nil, source.explain(err)
	}
	c := loading{source: source}
	if c.root, err = filepath.Abs(root); err != nil {
		return nil, nil, err
	}
	var left []string
	for _, name := range project.ServiceNames() {
		if why := LeftOut(project.Services[name]); why != "" {
			left = append(left, name)
			c.warn("the service %s is left out: %s", name, why)
		}
	}
	project = project.WithServicesDisabled(left...)
	for _, name := range project.ServiceNames() {
		c.reach(project.Services[name])
		c.made(project.Services[name])
	}
	for _, name := range slices.Sorted(maps.Keys(project.Volumes)) {
		device := project.Volumes[name].DriverOpts["device"]
		if kind := project.Volumes[name].DriverOpts["type"]; device != "" && kind != "tmpfs" {
			c.warn("volume %s is %s: what the drills write there stays", name, device)
		}
	}
	c.files("secrets", project.Secrets)
	c.files("configs", project.Configs)
	return project, c.warnings, errors.Join(c.errs...)
}

// The services that each testbed brings itself.
var brought = map[string]string{"prometheus": "Prometheus", "alertmanager": "Alertmanager"}

// LeftOut says why a testbed does not run a service; "" for one that it does run.
func LeftOut(s types.ServiceConfig) string {
	switch {
	case brought[s.Name] != "":
		return fmt.Sprintf("the testbed brings %s itself, under this name", brought[s.Name])
	case s.GetScale() == 0:
		return "its scale is 0"
	}
	return ""
}

// loading collects what is to be said of compose files.
type loading struct {
	source
	root     string // absolute
	warnings []string
	errs     []error
}

func (c *loading) warn(format string, args ...any) {
	var names []string
	for _, d := range c.source {
		name := d.file
		if full, err := filepath.Abs(name); err == nil {
			if below, err := filepath.Rel(c.root, full); err == nil && filepath.IsLocal(below) {
				name = below
			}
		}
		names = append(names, name)
	}
	c.warnings = append(c.warnings, strings.Join(names, ", ")+": "+fmt.Sprintf(format, args...))
}

// wrong notes what is wrong with a key of a service.
func (c *loading) wrong(service string, key []string, format string, args ...any) {
	place := c.place(append([]string{"services", service}, key...)...)
	c.errs = append(c.errs, fmt.Errorf("%s: service %s: %s", place, service, fmt.Sprintf(format, args...)))
}

// reach looks for what a service reaches outside of its testbed.
func (c *loading) reach(s types.ServiceConfig) {
	if s.NetworkMode != "" && s.NetworkMode != "bridge" && s.NetworkMode != "default" {
		c.wrong(s.Name, []string{"network_mode"}, "network_mode: %s: every service of a testbed is on its one network: remove the key", s.NetworkMode)
	}
	for _, namespace := range []struct{ key, mode string }{{"pid", s.Pid}, {"ipc", s.Ipc}, {"uts", s.Uts}} {
		if namespace.mode == "host" || strings.HasPrefix(namespace.mode, "container:") {
			c.wrong(s.Name, []string{namespace.key}, "%s: %s: it would reach what is not the testbed's: remove the key", namespace.key, namespace.mode)
		}
	}
	for _, from := range s.VolumesFrom {
		if strings.HasPrefix(from, "container:") {
			c.wrong(s.Name, []string{"volumes_from"}, "volumes_from: %s: that container is not the testbed's: name a service", from)
		}
	}
	if len(s.ExternalLinks) > 0 {
		c.wrong(s.Name, []string{"external_links"}, "external_links: %s: a testbed reaches nothing outside of it: describe it as a service", strings.Join(s.ExternalLinks, ", "))
	}
	if s.UseAPISocket {
		c.wrong(s.Name, []string{"use_api_socket"}, "use_api_socket: it would reach every container of the Docker Engine: remove the key")
	}
	for _, v := range s.Volumes {
		switch inside, err := filepath.Rel(c.root, v.Source); {
		case v.Type != types.VolumeTypeBind:
		case isSocket(v.Source):
			c.wrong(s.Name, []string{"volumes"}, "it mounts the socket %s, and would reach every container of the Docker Engine: remove the mount", v.Source)
		case !v.ReadOnly && (err != nil || !filepath.IsLocal(inside)):
			c.warn("service %s may write to %s, which is this machine's: what the drills write there stays (read_only ends that)", s.Name, v.Source)
		}
	}
	if s.Privileged {
		c.warn("service %s is privileged: the drills can change this machine", s.Name)
	}
	for _, d := range s.Devices {
		c.warn("service %s reaches %s of this machine", s.Name, d.Source)
	}
}

// isSocket says whether a path is that of the socket of a container engine.
func isSocket(name string) bool {
	engine, _ := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	return name == engine || slices.Contains([]string{"docker.sock", "podman.sock", "containerd.sock"}, filepath.Base(name))
}

// made looks for what a service's image is built of.
func (c *loading) made(s types.ServiceConfig) {
	if s.Build == nil || !filepath.IsAbs(s.Build.Context) { // an address
		return
	}
	if info, err := os.Stat(s.Build.Context); err != nil || !info.IsDir() {
		c.wrong(s.Name, []string{"build", "context"}, "it is built of the folder %s, which does not exist: name one that has a Dockerfile", relative(s.Build.Context))
		return
	}
	if s.Build.DockerfileInline != "" {
		return
	}
	file := cmp.Or(s.Build.Dockerfile, "Dockerfile")
	if !filepath.IsAbs(file) {
		file = filepath.Join(s.Build.Context, file)
	}
	if info, err := os.Stat(file); err != nil || info.IsDir() {
		c.wrong(s.Name, []string{"build", "dockerfile"}, "it is built by %s, which does not exist: write it, or name another in dockerfile", relative(file))
	}
}

// files looks for the files of secrets or configs.
func (c *loading) files(kind string, objects any) {
	named := map[string]types.FileObjectConfig{}
	switch objects := objects.(type) {
	case types.Secrets:
		for name, object := range objects {
			named[name] = types.FileObjectConfig(object)
		}
	case types.Configs:
		for name, object := range objects {
			named[name] = types.FileObjectConfig(object)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		place := c.place(kind, name)
		if named[name].External {
			c.errs = append(c.errs, fmt.Errorf("%s: %s.%s is external, and a testbed uses nothing that it did not make: give it a file or content", place, kind, name))
		} else if file := named[name].File; file != "" {
			if _, err := os.Stat(file); err != nil {
				c.errs = append(c.errs, fmt.Errorf("%s: the file %s of %s.%s does not exist: write it", place, relative(file), kind, name))
			}
		}
	}
}

// relative is a path from the working directory where it is below that.
func relative(name string) string {
	if here, err := os.Getwd(); err == nil {
		if below, err := filepath.Rel(here, name); err == nil && filepath.IsLocal(below) {
			return below
		}
	}
	return name
}

func init() {
	logrus.SetOutput(io.Discard) // what compose warns of goes to the terminal otherwise
}
