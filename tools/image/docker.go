package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/connhelper"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
)

const (
	// minAPI is the first Engine API with private cgroup namespaces, which a container that boots needs.
	minAPI = "1.41"
	// minEngine is the release of the Docker Engine that first spoke minAPI.
	minEngine = "20.10"
)

// answerWithin is how long a Docker Engine may take to answer.
const answerWithin = 10 * time.Second

// roomNeeded is the disk space that building every image takes, in bytes.
const roomNeeded = 3 << 30

// Connect returns a client of the Docker Engine that DOCKER_HOST names, or of the local one. The
// Engine has answered within ten seconds and is recent enough; else the error is one sentence that
// says what to do.
func Connect(ctx context.Context) (*client.Client, error) {
	named := os.Getenv("DOCKER_HOST")
	var cli *client.Client
	helper, err := connhelper.GetConnectionHelper(named)
	if err == nil {
		options := []client.Opt{client.FromEnv}
		if helper != nil { // ssh://, by the ssh of this machine and the docker of the other
			options = append(options, client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) { return dialSSH(ctx, helper) }))
		}
		cli, err = client.New(options...)
	}
	if err != nil {
		return nil, fmt.Errorf("the Docker settings in the environment (DOCKER_HOST=%q) cannot be used (%w): fix or unset them", named, err)
	}
	if err := probe(ctx, cli, answerWithin); err != nil {
		cli.Close()
		return nil, err
	}
	return cli, nil
}

// sshConn is a connection through an ssh process. docker/cli collects what ssh wrote to stderr only when a read reaches the
// end of its output, while a write to an ssh that has exited fails at once: Write returns the error of such a read.
type sshConn struct {
	net.Conn
	mu     sync.Mutex // guards reader and ended
	reader *bufio.Reader
	ended  error // of the first read that failed
}

func dialSSH(ctx context.Context, helper *connhelper.ConnectionHelper) (net.Conn, error) {
	conn, err := helper.Dialer(ctx, "", "")
	if err != nil {
		return nil, err
	}
	return &sshConn{Conn: conn, reader: bufio.NewReader(conn)}, nil
}

func (c *sshConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return 0, c.ended
	}
	n, err := c.reader.Read(b)
	c.ended = err
	return n, err
}

func (c *sshConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err == nil {
		return n, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		_, c.ended = c.reader.Peek(1) // what can be read stays for Read
	}
	if c.ended != nil && c.ended != io.EOF {
		err = c.ended
	}
	return n, err
}

// CloseWrite implements [client.CloseWriter].
func (c *sshConn) CloseWrite() error { return c.Conn.(client.CloseWriter).CloseWrite() }

// probe waits for the Engine's first answer and checks it.
func probe(ctx context.Context, cli *client.Client, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	host := cli.DaemonHost()
	// The client's errors are the same for a missing socket and for one that no program serves.
	if conn, err := cli.Dialer()(ctx); err != nil {
		return unreachable(host, within, err)
	} else {
		conn.Close()
	}
	pong, err := cli.Ping(ctx, client.PingOptions{})
	switch {
	case err != nil && ctx.Err() == nil && !client.IsErrConnectionFailed(err):
		return fmt.Errorf("the Docker Engine at %s answers with an error (%w): read its log (`journalctl -u docker`) and restart it", host, err)
	case err != nil:
		return unreachable(host, within, err)
	case pong.APIVersion == "" || versions.LessThan(pong.APIVersion, minAPI):
		return fmt.Errorf("the Docker Engine at %s speaks API %s, and %s is needed: update it to Docker Engine %s or later", host, pong.APIVersion, minAPI, minEngine)
	case pong.OSType != "linux":
		return fmt.Errorf("the Docker Engine at %s runs %s containers: switch it to Linux containers", host, pong.OSType)
	}
	return nil
}

// unreachable is one sentence that says why no Engine answers at host, and what to do.
func unreachable(host string, within time.Duration, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the Docker Engine at %s has not answered in %v: restart it (`systemctl restart docker`), or name another in DOCKER_HOST", host, within)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no Docker Engine at %s: install one and start it, or name its address in DOCKER_HOST (`docker context ls` shows it)", host)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this user may not use the Docker Engine at %s: join its group (`sudo usermod -aG docker $USER`) and log in again", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no Docker Engine listens at %s: start it (`systemctl start docker`), or name another in DOCKER_HOST", host)
	}
	// What ssh wrote may be many lines.
	return fmt.Errorf("the Docker Engine at %s cannot be reached (%s): start it, or name another in DOCKER_HOST", host, strings.Join(strings.Fields(err.Error()), " "))
}

// checkRoom returns an error when the Engine's disk is known to have too little space for builds.
func checkRoom(ctx context.Context, cli *client.Client, free func(path string) (uint64, error)) error {
	if !strings.HasPrefix(cli.DaemonHost(), "unix://") {
		return nil // its disk is not on this machine
	}
	info, err := cli.Info(ctx, client.InfoOptions{})
	if err != nil {
		return fmt.Errorf("asking the Docker Engine where it stores images: %w", err)
	}
	root := info.Info.DockerRootDir
	bytes, err := free(root)
	if err != nil {
		return nil // in a virtual machine, say
	}
	if bytes < roomNeeded {
		return fmt.Errorf("only %.1f GiB are free in %s, and building the images takes %d: free some (`docker system df` shows what Docker holds)",
			float64(bytes)/(1<<30), root, roomNeeded>>30)
	}
	return nil
}

// freeBytes is the space that the disk under path has for this user.
func freeBytes(path string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, err
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}

// Removing is how long Remove may take: what is being removed already, or is still being created, takes its time.
const Removing = 15 * time.Second

// Remove removes the containers, with their anonymous volumes, then the volumes and the networks that have Label and all of
// the labels ("key" or "key=value"), running or not. It looks again until nothing is left, for at most that long,
// and returns what it removed, each as "container NAME", with the errors of the rest, which say how to remove it.
//
// The Engine makes a volume that is gone again, without labels, for a container that is created meanwhile: such volumes are removed
// where unlabelled says so of their name.
func Remove(ctx context.Context, cli *client.Client, within time.Duration, unlabelled func(volume string) bool, labels ...string) (removed []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	ours := client.Filters{}.Add("label", append([]string{Label + "=" + LabelValue}, labels...)...)
	var last error // why the rest was not removed
	for {
		found, gone, err := removeOnce(ctx, cli, ours, unlabelled)
		removed = append(removed, gone...)
		if found == 0 && err == nil {
			return removed, nil
		}
		if ctx.Err() == nil || last == nil { // a look that the end cut short saw nothing
			last = err
		}
		select {
		case <-ctx.Done():
			return removed, last
		case <-tick.C:
		}
	}
}

// removeOnce removes what there is, and counts it.
func removeOnce(ctx context.Context, cli *client.Client, ours client.Filters, unlabelled func(volume string) bool) (found int, removed []string, err error) {
	var errs []error
	note := func(kind, name string, err error) {
		found++
		switch {
		case err == nil:
			removed = append(removed, kind+" "+name)
		case !errdefs.IsNotFound(err):
			command := "docker " + kind + " rm " + name
			if kind == "container" {
				command = "docker rm -f -v " + name
			}
			errs = append(errs, fmt.Errorf("removing the %s %s: %w: remove it with `%s`", kind, name, err, command))
		}
	}
	containers, err := cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	if err != nil {
		return 0, nil, fmt.Errorf("listing containers: %w", err)
	}
	for _, c := range containers.Items {
		name := c.ID
		if len(c.Names) > 0 {
			name = strings.TrimPrefix(c.Names[0], "/")
		}
		_, err := cli.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		note("container", name, err)
	}
	volumes, err := cli.VolumeList(ctx, client.VolumeListOptions{Filters: ours})
	if err != nil {
		return found, removed, errors.Join(append(errs, fmt.Errorf("listing volumes: %w", err))...)
	}
	all, err := cli.VolumeList(ctx, client.VolumeListOptions{})
	if err != nil {
		return found, removed, errors.Join(append(errs, fmt.Errorf("listing volumes: %w", err))...)
	}
	made := slices.DeleteFunc(all.Items, func(v volume.Volume) bool { return len(v.Labels) > 0 || !unlabelled(v.Name) })
	for _, v := range append(volumes.Items, made...) {
		_, err := cli.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{})
		note("volume", v.Name, err)
	}
	networks, err := cli.NetworkList(ctx, client.NetworkListOptions{Filters: ours})
	if err != nil {
		return found, removed, errors.Join(append(errs, fmt.Errorf("listing networks: %w", err))...)
	}
	for _, n := range networks.Items {
		_, err := cli.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		note("network", n.Name, err)
	}
	return found, removed, errors.Join(errs...)
}

var testbedVolume = regexp.MustCompile(`^firedrill-([a-z0-9-]+-[0-9a-f]{6})_`)

// TestbedOf is the name of the testbed that a volume with that name is of, where its name alone says so; "" where it does not.
func TestbedOf(volume string) string {
	if m := testbedVolume.FindStringSubmatch(volume); m != nil {
		return m[1]
	}
	return ""
}

// Clean removes everything that firedrill made in the Docker Engine, known by its label, and prints on
// out what it removed.
func Clean(ctx context.Context, out io.Writer) error {
	cli, err := Connect(ctx)
	if err != nil {
		return err
	}
	defer cli.Close()

	removed, err := Remove(ctx, cli, Removing, func(volume string) bool { return TestbedOf(volume) != "" })
	for _, what := range removed {
		fmt.Fprintln(out, "removed", what)
	}
	if err != nil {
		return err
	}
	images, err := cli.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("label", Label+"="+LabelValue)})
	if err != nil {
		return fmt.Errorf("listing images: %w", err)
	}
	// The youngest first: an image cannot go before those built on it.
	slices.SortStableFunc(images.Items, func(a, b image.Summary) int { return int(b.Created - a.Created) })
	for _, img := range images.Items {
		name := img.ID
		if len(img.RepoTags) > 0 {
			name = img.RepoTags[0]
		}
		_, err := cli.ImageRemove(ctx, img.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true})
		if err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("removing the image %s: %w", name, err)
		}
		fmt.Fprintln(out, "removed image", name)
	}
	if len(removed)+len(images.Items) == 0 {
		fmt.Fprintln(out, "nothing to remove")
	}
	return nil
}
