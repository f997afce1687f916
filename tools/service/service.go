// Package service builds and pulls the images of the services that a compose file describes.
package service

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/flags"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/docker/compose/v5/pkg/compose"
	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/progress"
)

// serviceImage is the image of services of a compose project.
type serviceImage struct {
	ref      string
	services []string // by name
	build    *types.BuildConfig
	config   string // build as text; "" for an image that is pulled
	policy   string // when to pull
}

// ensured are the service images that this process has built or pulled, or the errors of that.
var ensured = struct {
	turn chan struct{} // held by the call that builds and pulls
	errs map[string]error
}{make(chan struct{}, 1), map[string]error{}}

// EnsureImages builds the images of a compose project's services that have a build section, and pulls those that are
// missing. Each is built or pulled once per process: calls that need the same at the same time wait for it. What is built is
// built even if it exists, since its Dockerfile may have changed; the Engine's cache makes that quick.
//
// The services then name these images, have no build section, and are not pulled again. An image that a compose file does
// not name gets a name that no other folder's has, and the labels of what firedrill made.
//
// out gets what is being built or pulled, and how long it took. The error of a failed build ends with the build's last lines.
func EnsureImages(ctx context.Context, out io.Writer, project *types.Project) error {
	named, images, err := imagesOf(project)
	if err != nil {
		return err
	}
	select {
	case ensured.turn <- struct{}{}:
		defer func() { <-ensured.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	missing := slices.DeleteFunc(slices.Clone(images), func(i *serviceImage) bool {
		_, tried := ensured.errs[i.key()]
		return tried
	})
	if err := ensureAll(ctx, out, named, missing); err != nil {
		return err
	}
	for _, i := range images {
		if err := ensured.errs[i.key()]; err != nil {
			return err
		}
		for _, name := range i.services {
			service := project.Services[name]
			service.Image, service.Build, service.PullPolicy = i.ref, nil, types.PullPolicyNever
			project.Services[name] = service
		}
	}
	return nil
}

// ensureAll builds and pulls images, and notes how each ended that was not interrupted.
func ensureAll(ctx context.Context, out io.Writer, project *types.Project, images []*serviceImage) error {
	if len(images) == 0 {
		return nil
	}
	cli, err := command.NewDockerCli(command.WithCombinedStreams(io.Discard))
	if err == nil {
		err = cli.Initialize(flags.NewClientOptions())
	}
	if err != nil {
		return fmt.Errorf("connecting compose to the Docker Engine: %w", err)
	}
	defer cli.Client().Close()
	log := progress.New(out)
	defer log.Stop()
	var mu sync.Mutex
	g, making := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for _, i := range images {
		g.Go(func() error {
			ensure := i.ensurePulled
			if i.build != nil {
				ensure = i.ensureBuilt
			}
			err := ensure(making, cli, project, log)
			if making.Err() != nil {
				return making.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			ensured.errs[i.key()] = err
			return err
		})
	}
	return g.Wait()
}

// imagesOf are the images of a project's services, and the project with a name and labels for each that is built.
func imagesOf(project *types.Project) (named *types.Project, images []*serviceImage, err error) {
	if named, err = project.WithServicesEnabled(); err != nil { // a copy
		return nil, nil, err
	}
	named.Name = "firedrill" // it is a label of what is built, which is the same in each testbed
	byRef := map[string]*serviceImage{}
	add := func(i serviceImage, service string) *serviceImage {
		if byRef[i.ref] == nil {
			byRef[i.ref] = &i
			images = append(images, &i)
		}
		byRef[i.ref].services = append(byRef[i.ref].services, service)
		return byRef[i.ref]
	}
	names := slices.Sorted(maps.Keys(named.Services))
	for _, name := range names {
		service := named.Services[name]
		if service.Build == nil {
			continue
		}
		config, err := json.Marshal(service.Build)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the build section of the service %s: %w", name, err)
		}
		// What is built on image.Base inherits its labels. An image that the user names is not ours.
		labels := map[string]string{image.Label: "", image.LabelImage: ""}
		if service.Image == "" {
			repository := "firedrill-build/" + repositoryName(project.WorkingDir)
			service.Image = fmt.Sprintf("%s:%.6x", repository, sha256.Sum256([]byte(project.WorkingDir+"\n"+string(config))))
			labels = map[string]string{image.Label: image.LabelValue, image.LabelImage: repository}
		}
		i := add(serviceImage{ref: service.Image, build: service.Build, config: string(config)}, name)
		if i.config != string(config) {
			return nil, nil, fmt.Errorf("the services %s build the image %s differently: give each another image, or the same build section", strings.Join(i.services, " and "), i.ref)
		}
		if service.Build.Labels == nil {
			service.Build.Labels = types.Labels{}
		}
		maps.Copy(service.Build.Labels, labels)
		named.Services[name] = service
	}
	for _, name := range names {
		service := named.Services[name]
		// compose itself looks for an image of another platform than the Engine's.
		if service.Build == nil && service.Image != "" && service.Platform == "" {
			add(serviceImage{ref: service.Image, policy: service.PullPolicy}, name)
		}
	}
	return named, images, nil
}

var noRepositoryName = regexp.MustCompile(`[^a-z0-9]+`)

// repositoryName is a folder's name as a repository of images may have it.
func repositoryName(folder string) string {
	return cmp.Or(strings.Trim(noRepositoryName.ReplaceAllString(strings.ToLower(filepath.Base(folder)), "-"), "-"), "compose")
}

func (i *serviceImage) key() string { return i.ref + "\n" + i.config }

// String names the image in messages.
func (i *serviceImage) String() string { return "the image of " + strings.Join(i.services, ", ") }

// ensureBuilt builds an image, with BuildKit where Docker's buildx is installed, else with the classic builder.
func (i *serviceImage) ensureBuilt(ctx context.Context, cli command.Cli, project *types.Project, log *progress.Log) error {
	var last progress.Tail
	project, err := project.WithServicesEnabled() // a build changes its project
	if err != nil {
		return err
	}
	builder, err := compose.NewComposeService(cli, compose.WithOutputStream(&last), compose.WithErrorStream(&last))
	if err != nil {
		return err
	}
	end := log.Start(i.String(), "building", "")
	err = builder.Build(ctx, project, api.BuildOptions{Services: i.services[:1], Progress: "plain", Out: &last})
	end(progress.Outcome(ctx, err))
	if err != nil {
		return i.buildError(err, &last)
	}
	return nil
}

// buildError is the error of a build, with its last lines.
func (i *serviceImage) buildError(err error, last *progress.Tail) error {
	why := strings.TrimSpace(err.Error())
	if at := strings.LastIndexByte(why, '\n'); at >= 0 { // buildx puts the lines of the Dockerfile before it
		fmt.Fprintln(last, why[:at])
		why = why[at+1:]
	}
	if status := stepStatus.FindStringSubmatch(why); status != nil {
		why = "a step of its Dockerfile ended with exit status " + status[1]
	}
	where := "its build section"
	if filepath.IsAbs(i.build.Context) && i.build.DockerfileInline == "" {
		where = filepath.Join(i.build.Context, i.build.Dockerfile)
		if filepath.IsAbs(i.build.Dockerfile) {
			where = i.build.Dockerfile
		}
	}
	text := fmt.Sprintf("%v cannot be built (%s): fix %s", i, why, where)
	if lines := last.Lines(); len(lines) > 0 {
		text += ". The build's last lines:\n  | " + strings.Join(lines, "\n  | ")
	}
	return errors.New(text)
}

// stepStatus is how both builders end the message of a step that failed, which repeats the whole command.
var stepStatus = regexp.MustCompile(`(?:returned a non-zero code|exit code): (\d+)$`)

// ensurePulled pulls an image that is missing, or that its service says to pull always.
func (i *serviceImage) ensurePulled(ctx context.Context, cli command.Cli, project *types.Project, log *progress.Log) error {
	_, err := cli.Client().ImageInspect(ctx, i.ref)
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("looking for %v (%s): %w", i, i.ref, err)
	}
	if err == nil && i.policy != types.PullPolicyAlways {
		return nil
	}
	fix := "correct its name, load it with `docker load`, or give the service a build section"
	switch i.policy {
	case types.PullPolicyNever:
		return fmt.Errorf("%v (%s) does not exist, and its pull_policy is never: %s", i, i.ref, fix)
	case types.PullPolicyAlways:
		fix = "correct its name, or remove its pull_policy"
	}
	puller, err := compose.NewComposeService(cli)
	if err != nil {
		return err
	}
	service := project.Services[i.services[0]]
	service.PullPolicy = types.PullPolicyAlways
	one := *project
	one.Services = types.Services{service.Name: service}
	end := log.Start(i.String(), "pulling "+i.ref, "")
	err = puller.Pull(ctx, &one, api.PullOptions{Quiet: true})
	end(progress.Outcome(ctx, err))
	if err != nil {
		return fmt.Errorf("%v (%s) cannot be pulled (%s): %s", i, i.ref, strings.Join(strings.Fields(err.Error()), " "), fix)
	}
	return nil
}
