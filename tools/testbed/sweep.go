package testbed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/moby/moby/client"

	"github.com/stemedb/firedrill/tools/image"
)

// Labels beside image.Label that say whose a container, a network or a volume is.
const (
	labelTestbed = "dev.firedrill.testbed" // the testbed's name
	labelOwner   = "dev.firedrill.owner"   // host name of the run's machine
	labelPID     = "dev.firedrill.pid"     // process that made the testbed
	labelKept    = "dev.firedrill.kept"    // the root of the project of a testbed that is to be left up
)

func (t *Testbed) labels() map[string]string {
	machine, _ := os.Hostname()
	labels := map[string]string{
		image.Label: image.LabelValue, labelTestbed: t.config.Name, labelOwner: machine, labelPID: strconv.Itoa(os.Getpid()),
	}
	if t.config.Keep {
		labels[labelKept] = absolute(t.config.Root)
	}
	return labels
}

// absolute is a path from the root, or as it is where the working directory is gone.
func absolute(name string) string {
	if full, err := filepath.Abs(name); err == nil {
		return full
	}
	return name
}

// Sweep removes the testbeds whose run has ended without removing them: those of runs that were killed, and those of the
// project at root that were kept to be looked at. It leaves alone what another machine's run has made on the same Docker
// Engine, and what a run that goes on has made.
func Sweep(ctx context.Context, root string) (names []string, err error) {
	cli, err := image.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer cli.Close()
	// Suites that run side by side sweep one after the other: two that remove the same container disturb each other.
	turn, err := os.OpenFile(filepath.Join(os.TempDir(), "firedrill-sweep.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("wait for another sweep to end: %w", err)
	}
	defer turn.Close() // which gives the lock up
	if err := syscall.Flock(int(turn.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("wait for another sweep to end: %w", err)
	}
	sweepTemporary()
	machine, _ := os.Hostname()
	ours := make(client.Filters).Add("label", image.Label+"="+image.LabelValue)
	known, abandoned := map[string]bool{}, map[string]bool{}
	note := func(labels map[string]string) {
		name := labels[labelTestbed]
		known[name] = true
		if labels[labelOwner] != machine || name == "" {
			return
		}
		if kept := labels[labelKept]; kept != "" && kept != absolute(root) {
			return // until that project's next run, or firedrill clean
		}
		if pid, err := strconv.Atoi(labels[labelPID]); err != nil || !alive(pid) {
			abandoned[name] = true
		}
	}
	// Volumes first: a testbed that is being made has a network before it has a volume.
	volumes, err := cli.VolumeList(ctx, client.VolumeListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	containers, err := cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	for _, c := range containers.Items {
		note(c.Labels)
	}
	networks, err := cli.NetworkList(ctx, client.NetworkListOptions{Filters: ours})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	for _, n := range networks.Items {
		note(n.Labels)
	}
	for _, v := range volumes.Items {
		if v.Labels[image.Label] == image.LabelValue {
			note(v.Labels)
		}
	}
	for _, v := range volumes.Items { // those that the Engine made again
		if name := image.TestbedOf(v.Name); name != "" && len(v.Labels) == 0 && !known[name] {
			abandoned[name] = true
		}
	}
	for name := range abandoned {
		if err := removeTestbed(ctx, cli, name); err != nil {
			return names, err
		}
		names = append(names, name)
	}
	return names, nil
}

// removeTestbed removes all that is a testbed's.
func removeTestbed(ctx context.Context, cli *client.Client, name string) error {
	_, err := image.Remove(ctx, cli, image.Removing, func(volume string) bool {
		return strings.HasPrefix(volume, prefix(name)+"_") // as compose names it
	}, labelTestbed+"="+name)
	return err
}

// alive says whether a process runs here; one that we may not signal does.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || err == syscall.EPERM
}
