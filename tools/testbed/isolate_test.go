package testbed

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/container"
)

func TestIsolate(t *testing.T) {
	two := 2
	project := &types.Project{
		Services: types.Services{
			"web": {
				Name: "web", ContainerName: "shop", NetworkMode: "bridge", Scale: &two, Ports: []types.ServicePortConfig{{Published: "80"}}, Links: []string{"db:database", "prometheus"},
				Networks: map[string]*types.ServiceNetworkConfig{"front": {Aliases: []string{"www", "alertmanager"}, Ipv4Address: "10.0.0.2"}, "back": nil},
			},
			"db": {Name: "db", Deploy: &types.DeployConfig{Replicas: &two}},
		},
		Networks: types.Networks{"front": {Name: "front", External: true}},
		Volumes:  types.Volumes{"own": {Name: "p_own"}, "named": {Name: "precious"}, "external": {Name: "elsewhere", External: true}},
	}
	lines := isolate(project, "compose.yml", "p", "p-inside", map[string]string{"a": "b"})
	want := []string{
		"compose.yml: one instance of the service db runs, not 2",
		"compose.yml: service web is not reached as alertmanager, which is the testbed's own",
		"compose.yml: one instance of the service web runs, not 2",
		"compose.yml: the volume external is a new one, not elsewhere",
		"compose.yml: the volume named is a new one, not precious",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("lines\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	web := project.Services["web"]
	if on := web.Networks["testbed"]; len(web.Networks) != 1 || on.Ipv4Address != "" || !slices.Equal(on.Aliases, []string{"web", "shop", "www"}) {
		t.Errorf("networks %+v", web.Networks)
	}
	if web.ContainerName != "p-web" || web.NetworkMode != "" || len(web.Ports) > 0 || web.GetScale() != 1 || !slices.Equal(web.Links, []string{"db:database"}) || web.Labels["a"] != "b" {
		t.Errorf("%+v", web)
	}
	if db := project.Services["db"]; db.GetScale() != 1 {
		t.Errorf("%d instances of db", db.GetScale())
	}
	for name, volume := range project.Volumes {
		if volume.Name != "p_"+name || bool(volume.External) || volume.Labels["a"] != "b" {
			t.Errorf("volume %s: %+v", name, volume)
		}
	}
	if made := project.Networks["testbed"]; len(project.Networks) != 1 || made.Name != "p-inside" {
		t.Errorf("networks %+v", project.Networks)
	}
}

func TestNotRunning(t *testing.T) {
	running := &container.State{Running: true}
	for _, test := range []struct {
		state    *container.State
		restarts int
		ran      time.Duration
		want     string
	}{
		{running, 0, 2 * time.Second, ""},
		{running, 0, time.Second, "has not run for 2s yet"},
		{running, 3, 9 * time.Second, "was restarted 3 times, and has not run for 10s since"},
		{running, 3, 10 * time.Second, ""},
		{&container.State{}, 0, 0, ""},
		{&container.State{ExitCode: 3}, 0, time.Hour, "ended with status 3"},
		{&container.State{Restarting: true, Running: true, ExitCode: 3}, 1, time.Hour, "is restarted again and again: it ended with status 3"},
		{&container.State{Running: true, Health: &container.Health{Status: container.Starting}}, 0, time.Hour, "is starting by its health check"},
	} {
		if got := notRunning(test.state, test.restarts, test.ran); got != test.want {
			t.Errorf("%+v, %d, %v: %q, want %q", test.state, test.restarts, test.ran, got, test.want)
		}
	}
}

// A start that is seen for the first time has run for no time, whatever the Engine's clock says.
func TestRunFor(t *testing.T) {
	var b Testbed
	b.starts = map[string]started{"c": {"12:00", time.Now().Add(-time.Minute)}}
	if ran := b.runFor("c", "12:00"); ran < time.Minute {
		t.Errorf("it ran for %v", ran)
	}
	if ran := b.runFor("c", "12:01"); ran > time.Second {
		t.Errorf("restarted, it ran for %v", ran)
	}
}

// What creates containers ends by itself where the context ends.
func TestInterruptible(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := interruptible(ctx, func(ctx context.Context) error {
		cancel()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if err := interruptible(ctx, func(context.Context) error { panic("called") }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestIsNoBash(t *testing.T) {
	for text, want := range map[string]bool{
		`bash -c : on web: exit 126: OCI runtime exec failed: exec failed: unable to start container process: exec: "bash": executable file not found in $PATH: unknown`: true,
		"bash -c : on web: exit 127: bash: curl: command not found": false,
	} {
		if got := isNoBash(errors.New(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if isNoBash(nil) {
		t.Error("no error is one")
	}
}
