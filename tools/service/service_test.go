package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/stemedb/firedrill/tools/progress"
)

// composeProject is a compose file in a new folder of that name, which has Dockerfiles in image and other.
func composeProject(t *testing.T, folder, file string) *types.Project {
	t.Helper()
	dir := filepath.Join(t.TempDir(), folder)
	for name, content := range map[string]string{"compose.yml": file, "image/Dockerfile": "FROM x\n", "other/Dockerfile": "FROM x\n"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	options, err := cli.NewProjectOptions([]string{filepath.Join(dir, "compose.yml")}, cli.WithName("test"))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestImagesOf(t *testing.T) {
	const file = `
services:
  web: {build: {context: image, args: {A: a}}}
  db: {build: {context: image, args: {A: a}}}
  other: {build: {context: image, args: {A: b}}}
  named: {build: other, image: "shop:1"}
  same: {build: other, image: "shop:1"}
  user: {image: "shop:1"}
  pulled: {image: "redis:7"}
`
	project := composeProject(t, "My Shop!", file)
	named, images, err := imagesOf(project)
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]string{}
	for _, i := range images {
		services[strings.Join(i.services, " ")] = i.ref
	}
	shared, other := services["db web"], services["other"]
	want := map[string]string{"db web": shared, "other": other, "named same user": "shop:1", "pulled": "redis:7"}
	if !reflect.DeepEqual(services, want) || shared == other || !strings.HasPrefix(shared, "firedrill-build/my-shop:") {
		t.Errorf("the images are %q", services)
	}
	for service, want := range map[string]types.Labels{
		"web":   {"dev.firedrill": "1", "dev.firedrill.image": "firedrill-build/my-shop"},
		"named": {"dev.firedrill": "", "dev.firedrill.image": ""}, // not those that it inherits from the base
	} {
		if got := named.Services[service].Build.Labels; !reflect.DeepEqual(got, want) {
			t.Errorf("%s has the labels %q, want %q", service, got, want)
		}
	}
	if project.Services["web"].Image != "" || project.Services["web"].Build.Labels != nil {
		t.Error("the project was changed")
	}

	_, images, err = imagesOf(composeProject(t, "My Shop!", file))
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(images, func(i *serviceImage) bool { return i.ref == shared }) {
		t.Errorf("another folder's image is %s, too", shared)
	}

	_, _, err = imagesOf(composeProject(t, "shop", "services: {a: {build: image, image: shop}, b: {build: other, image: shop}}"))
	mention(t, err, "a and b build the image shop differently")
}

func TestRepositoryName(t *testing.T) {
	for folder, want := range map[string]string{"/a/web": "web", "/a/My Shop!_2": "my-shop-2", "/": "compose", "/ü": "compose"} {
		if got := repositoryName(folder); got != want {
			t.Errorf("%s: %q, want %q", folder, got, want)
		}
	}
}

// engine is a Docker Engine that holds images, answers builds and pulls nothing.
type engine struct {
	images []string // their references
	built  string   // the answer to a build

	mu       sync.Mutex
	requests []string // builds and pulls
}

// serve has this process use the Engine, with its classic builder, as if it had built and pulled nothing yet.
func serve(t *testing.T, e *engine) *engine {
	t.Helper()
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	t.Setenv("DOCKER_BUILDKIT", "0")
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	ensured.errs = map[string]error{}
	return e
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	path := r.URL.Path
	if strings.HasPrefix(path, "/v1.") {
		path = path[strings.Index(path[1:], "/")+1:]
	}
	switch {
	case path == "/_ping":
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Ostype", "linux")
	case path == "/build":
		io.Copy(io.Discard, r.Body)
		e.requests = append(e.requests, "BUILD "+r.URL.Query().Get("t")+" "+r.URL.Query().Get("labels"))
		fmt.Fprint(w, e.built)
	case path == "/images/create":
		e.requests = append(e.requests, "PULL "+r.URL.Query().Get("fromImage")+":"+r.URL.Query().Get("tag"))
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"message":"no registry here"}`)
	case slices.Contains(e.images, strings.TrimSuffix(strings.TrimPrefix(path, "/images/"), "/json")):
		fmt.Fprint(w, `{"Id":"sha256:1"}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"no such image"}`)
	}
}

// mention fails the test unless err is one sentence that holds all of the parts.
func mention(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("there is no error")
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than one line", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestServicesAreBuiltOncePerProcess(t *testing.T) {
	e := serve(t, &engine{images: []string{"redis:7"}, built: `{"stream":"Successfully built\n"}`})
	project := composeProject(t, "shop", `
services:
  web: {build: image, pull_policy: build}
  worker: {build: image}
  db: {image: "redis:7"}
`)
	var outs [3]strings.Builder
	projects := [3]*types.Project{}
	var wg sync.WaitGroup
	for n := range projects {
		var err error
		if projects[n], err = project.WithServicesEnabled(); err != nil { // a copy
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := EnsureImages(t.Context(), &outs[n], projects[n]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(e.requests) != 1 || !strings.HasPrefix(e.requests[0], "BUILD firedrill-build/shop:") || !strings.Contains(e.requests[0], `"dev.firedrill":"1"`) {
		t.Errorf("the Engine was asked for %q, want one build", e.requests)
	}
	said := ""
	for n, p := range projects {
		said += outs[n].String()
		for name, service := range p.Services {
			isBuilt := strings.HasPrefix(service.Image, "firedrill-build/shop:")
			if service.Build != nil || service.PullPolicy != "never" || isBuilt != (name != "db") {
				t.Errorf("%s: image %q, pull policy %q, build %v", name, service.Image, service.PullPolicy, service.Build)
			}
		}
	}
	if strings.Count(said, "the image of web, worker: building\n") != 1 || strings.Count(said, "the image of web, worker: ready after ") != 1 {
		t.Errorf("it prints\n%s", said)
	}
}

func TestAServiceThatCannotBeBuilt(t *testing.T) {
	var stream strings.Builder
	for i := range 30 {
		fmt.Fprintf(&stream, `{"stream":"line %d\n"}`, i)
	}
	for _, test := range []struct{ message, want string }{
		{`{"code":100,"message":"The command '/bin/sh -c apt-get' returned a non-zero code: 100"}`, "a step of its Dockerfile ended with exit status 100"},
		{`{"message":"dockerfile parse error line 1: unknown instruction: FORM"}`, "dockerfile parse error line 1: unknown instruction: FORM"},
	} {
		e := serve(t, &engine{built: stream.String() + `{"errorDetail":` + test.message + `,"error":"..."}`})
		project := composeProject(t, "shop", "services: {web: {build: image}}")
		dockerfile := filepath.Join(project.WorkingDir, "image", "Dockerfile")
		var lines []string
		for i := 10; i < 30; i++ {
			lines = append(lines, fmt.Sprintf("  | line %d", i))
		}
		want := "the image of web cannot be built (" + test.want + "): fix " + dockerfile + ". The build's last lines:\n" + strings.Join(lines, "\n")
		for range 2 { // the second caller gets the same
			if err := EnsureImages(t.Context(), new(strings.Builder), project); err == nil || err.Error() != want {
				t.Errorf("the error is\n%v\nwant\n%s", err, want)
			}
		}
		if len(e.requests) != 1 {
			t.Errorf("it was built %d times", len(e.requests))
		}
	}
}

func TestBuildErrorOfBuildx(t *testing.T) {
	i := &serviceImage{services: []string{"web"}, build: &types.BuildConfig{Context: "https://example.com/shop.git"}}
	var log progress.Tail
	fmt.Fprintln(&log, "#5 ERROR")
	err := i.buildError(errors.New("Dockerfile:2\n   2 | >>> RUN false\ntarget web: failed to solve: process \"/bin/sh -c false\" did not complete successfully: exit code: 1\n"), &log)
	want := "the image of web cannot be built (a step of its Dockerfile ended with exit status 1): fix its build section. The build's last lines:\n  | #5 ERROR\n  | Dockerfile:2\n  |    2 | >>> RUN false"
	if err.Error() != want {
		t.Errorf("the error is\n%v\nwant\n%s", err, want)
	}
}

func TestAServiceThatCannotBePulled(t *testing.T) {
	for _, test := range []struct {
		policy string
		exists bool
		wants  []string
		pulls  int
	}{
		{"", false, []string{"cannot be pulled", "no registry here", "docker load", "build section"}, 1},
		{"pull_policy: missing", false, []string{"cannot be pulled", "no registry here", "docker load", "build section"}, 1},
		{"pull_policy: always", false, []string{"cannot be pulled", "no registry here", "remove its pull_policy"}, 1},
		{"pull_policy: always", true, []string{"cannot be pulled", "no registry here", "remove its pull_policy"}, 1},
		{"pull_policy: never", false, []string{"does not exist, and its pull_policy is never", "docker load"}, 0},
	} {
		t.Run(test.policy, func(t *testing.T) {
			e := serve(t, &engine{})
			if test.exists {
				e.images = []string{"shop:1"}
			}
			project := composeProject(t, "shop", "services:\n  db:\n    image: shop:1\n    "+test.policy+"\n")
			err := EnsureImages(t.Context(), new(strings.Builder), project)
			mention(t, err, append(test.wants, "the image of db (shop:1)")...)
			if len(e.requests) != test.pulls {
				t.Errorf("the Engine was asked for %q", e.requests)
			}
		})
	}
}

func TestAnInterruptedBuildIsRepeated(t *testing.T) {
	e := serve(t, &engine{})
	project := composeProject(t, "shop", "services: {web: {build: image}}")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := EnsureImages(ctx, new(strings.Builder), project); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	ensured.turn <- struct{}{} // another call builds
	if err := EnsureImages(ctx, new(strings.Builder), project); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for another, the error is %v", err)
	}
	<-ensured.turn
	if err := EnsureImages(t.Context(), new(strings.Builder), project); err != nil || len(e.requests) != 1 {
		t.Errorf("error %v after %q", err, e.requests)
	}
}
