package testbed

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// Container is a container of the testbed: a service of the system under test, or one that runs beside it.
type Container struct {
	*testcontainers.DockerContainer
	Name    string
	testbed *Testbed

	// What Restore goes back to.
	aliases []string             // of a container that was disconnected
	limits  *container.Resources // of one that was limited; nil for one that was not
}

// Service describes a container that runs beside the system under test, on the testbed's network, under its name.
type Service struct {
	Name    string
	Image   string // a reference
	Command []string
	Env     map[string]string
	Aliases []string          // other names on the network
	Publish []int             // TCP ports that this process reaches, by Container.Endpoint
	Volumes map[string]string // names of volumes, as Testbed.Volume returns them, by the folder that they are mounted on
	Files   []File            // put into it before it starts
	// Data is a tar archive that is unpacked into the folder DataFolder before it starts; nil for none.
	Data       io.Reader
	DataFolder string
	// Within is a container whose network namespace it shares. Nil: it has one, with an address on the testbed's network.
	Within       *Container
	Capabilities []string // beside those that every container has
}

// File is a file in a container, owned by the user and the group of the number UID.
type File struct {
	Path    string
	Content []byte
	Mode    int64
	UID     int
}

// Run starts a service, until it is removed or the testbed is closed. A container that cannot be started is removed.
func (t *Testbed) Run(ctx context.Context, s Service) (*Container, error) {
	request := testcontainers.ContainerRequest{
		Image: s.Image, Name: t.prefix() + "-" + s.Name, Hostname: s.Name, Cmd: s.Command, Env: s.Env, Labels: t.labels(),
		Networks:       []string{t.inside.Name},
		NetworkAliases: map[string][]string{t.inside.Name: append([]string{s.Name}, s.Aliases...)},
	}
	ports := network.PortMap{}
	for _, number := range s.Publish {
		port, _ := network.PortFrom(uint16(number), network.TCP)
		ports[port] = []network.PortBinding{{HostIP: t.engine.address}}
		request.ExposedPorts = append(request.ExposedPorts, port.String())
	}
	if len(s.Publish) > 0 {
		request.Networks = append(request.Networks, t.gate.Name)
	}
	if s.Within != nil {
		request.Hostname, request.Networks, request.NetworkAliases = "", nil, nil
	}
	request.HostConfigModifier = func(host *container.HostConfig) {
		host.PortBindings, host.CapAdd = ports, s.Capabilities
		if s.Within != nil {
			host.NetworkMode = container.NetworkMode("container:" + s.Within.ID)
		}
	}
	for folder, volume := range s.Volumes {
		request.Mounts = append(request.Mounts, testcontainers.VolumeMount(volume, testcontainers.ContainerMountTarget(folder)))
	}
	made, err := t.engine.CreateContainer(ctx, request)
	c := t.container(s.Name, made)
	if err == nil {
		err = c.fill(ctx, s)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", s.Name, err), c.Remove(context.WithoutCancel(ctx)))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beside = append(t.beside, c)
	return c, nil
}

func (t *Testbed) container(name string, made testcontainers.Container) *Container {
	c := &Container{Name: name, testbed: t}
	c.DockerContainer, _ = made.(*testcontainers.DockerContainer)
	return c
}

func (c *Container) fill(ctx context.Context, s Service) error {
	if err := c.CopyIn(ctx, s.Files...); err != nil {
		return err
	}
	if s.Data != nil {
		if err := c.Unpack(ctx, s.DataFolder, s.Data); err != nil {
			return err
		}
	}
	return c.Start(ctx)
}

// Volume makes a volume of the testbed and returns its name.
func (t *Testbed) Volume(ctx context.Context, name string) (string, error) {
	made, err := t.engine.client.VolumeCreate(ctx, client.VolumeCreateOptions{Name: t.prefix() + "-" + name, Labels: t.labels()})
	if err != nil {
		return "", fmt.Errorf("create volume %s: %w", name, err)
	}
	return made.Volume.Name, nil
}

// RemoveVolume removes a volume that Volume made; one that is gone is no error.
func (t *Testbed) RemoveVolume(ctx context.Context, name string) error {
	if _, err := t.engine.client.VolumeRemove(ctx, name, client.VolumeRemoveOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("remove volume %s: %w", name, err)
	}
	return nil
}

// Address is the container's address on the testbed's network; it has one while it runs.
func (c *Container) Address(ctx context.Context) (netip.Addr, error) {
	seen, err := c.Inspect(ctx)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("inspect container %s: %w", c.Name, err)
	}
	if endpoint := seen.NetworkSettings.Networks[c.testbed.inside.Name]; endpoint != nil && endpoint.IPAddress.IsValid() {
		return endpoint.IPAddress, nil
	}
	return netip.Addr{}, fmt.Errorf("container %s has no address on its network: it does not run; read its log", c.Name)
}

// Endpoint is the host:port by which this process reaches a port that the container publishes.
func (c *Container) Endpoint(ctx context.Context, port int) (string, error) {
	mapped, err := c.MappedPort(ctx, fmt.Sprintf("%d/tcp", port))
	if err != nil {
		return "", fmt.Errorf("port %d of container %s: %w", port, c.Name, err)
	}
	return net.JoinHostPort(c.testbed.engine.address.String(), mapped.Port()), nil
}

// Run does something to the container that no runbook says, with bash, as root. What was observed before is out of
// date from then on.
func (c *Container) Run(ctx context.Context, script string) error {
	defer c.testbed.Touch()
	return c.Try(ctx, script)
}

// Try runs a bash script that changes nothing, as root. The error has its exit status and the end of its output.
func (c *Container) Try(ctx context.Context, script string) error {
	return c.exec(ctx, io.Discard, "bash", "-c", script)
}

// Output is what a bash script writes to its standard output in the container.
func (c *Container) Output(ctx context.Context, script string) (string, error) {
	return c.Command(ctx, "bash", "-c", script)
}

// Command runs a program in the container as root, without a terminal, and returns what it wrote to its standard output. An
// exit status other than 0 is an error with the status and the end of what the program wrote.
func (c *Container) Command(ctx context.Context, argv ...string) (string, error) {
	var out bytes.Buffer
	err := c.exec(ctx, &out, argv...)
	return out.String(), err
}

// exec runs a program in the container as root. testcontainers-go has a call for that, which keeps all output in memory.
func (c *Container) exec(ctx context.Context, stdout io.Writer, argv ...string) error {
	fail := func(err error) error {
		if isNoBash(err) {
			return fmt.Errorf("the service %s has no bash, in which commands and faults run: install it in its image: %w", c.Name, err)
		}
		return fmt.Errorf("run %s on %s: %w", argv[0], c.Name, err)
	}
	cli := c.testbed.engine.client
	made, err := cli.ExecCreate(ctx, c.ID, client.ExecCreateOptions{Cmd: argv, User: "0", AttachStdout: true, AttachStderr: true})
	if err != nil {
		return fail(err)
	}
	attached, err := cli.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return fail(err)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)()
	var said lastOutput
	_, err = stdcopy.StdCopy(io.MultiWriter(stdout, &said), &said, attached.Reader)
	for err == nil { // the Engine notes the end after the stream has ended
		var seen client.ExecInspectResult
		if seen, err = cli.ExecInspect(ctx, made.ID, client.ExecInspectOptions{}); err == nil && !seen.Running {
			if seen.ExitCode != 0 {
				return fmt.Errorf("%s on %s: exit %d: %s", commandLine(argv), c.Name, seen.ExitCode, strings.TrimSpace(string(said)))
			}
			return nil
		}
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return fail(err)
}

// lastOutput is the last of what was written to it.
type lastOutput []byte

func (e *lastOutput) Write(p []byte) (int, error) {
	const most = 8 << 10
	*e = append(*e, p...)
	if len(*e) > 2*most {
		*e = append([]byte("[...] "), (*e)[len(*e)-most:]...)
	}
	return len(p), nil
}

// commandLine is a command as a message shows it: of a script of several lines, its name, or the first line.
func commandLine(argv []string) string {
	if len(argv) > 3 && (argv[0] == "bash" || argv[0] == "sh") && argv[1] == "-c" {
		return strings.Join(argv[3:], " ")
	}
	line, more, _ := strings.Cut(strings.Join(argv, " "), "\n")
	if more != "" {
		line += " [...]"
	}
	return line
}

// terminal starts a program in the container on a pseudo-terminal, in the user's home if there is one, as an operator's ssh
// would: testcontainers-go has no call for that.
func (c *Container) terminal(ctx context.Context, argv []string) (io.ReadWriteCloser, error) {
	size := client.ConsoleSize{Height: 50, Width: 200}
	made, err := c.testbed.engine.client.ExecCreate(ctx, c.ID, client.ExecCreateOptions{
		Cmd: append([]string{"bash", "-c", `cd 2>/dev/null; exec "$@"`, "terminal"}, argv...), TTY: true, ConsoleSize: size, AttachStdin: true, AttachStdout: true, AttachStderr: true,
		Env: []string{"TERM=xterm", "LANG=C.UTF-8"},
	})
	if err != nil {
		return nil, fmt.Errorf("open a terminal on %s: %w", c.Name, err)
	}
	attached, err := c.testbed.engine.client.ExecAttach(ctx, made.ID, client.ExecAttachOptions{TTY: true, ConsoleSize: size})
	if err != nil {
		return nil, fmt.Errorf("open a terminal on %s: %w", c.Name, err)
	}
	return struct {
		io.Reader
		io.WriteCloser
	}{attached.Reader, attached.Conn}, nil
}

// CopyIn puts files into the container, running or not, in one copy. Folders that are missing are made.
func (c *Container) CopyIn(ctx context.Context, files ...File) error {
	if len(files) == 0 {
		return nil
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	var errs []error
	for _, f := range files {
		errs = append(errs, w.WriteHeader(&tar.Header{
			Name: strings.TrimPrefix(path.Clean(f.Path), "/"), Size: int64(len(f.Content)), Mode: f.Mode,
			Uid: f.UID, Gid: f.UID, ModTime: time.Now(), Typeflag: tar.TypeReg,
		}))
		_, err := w.Write(f.Content)
		errs = append(errs, err)
	}
	if err := errors.Join(append(errs, w.Close())...); err != nil {
		return fmt.Errorf("pack files for %s: %w", c.Name, err)
	}
	return c.Unpack(ctx, "/", &archive)
}

// Put writes a file in the running container, and keeps the owner and the mode of one that exists. The Engine's copy,
// which CopyIn uses, can write neither to a tmpfs of a running container nor through a link.
func (c *Container) Put(ctx context.Context, path string, content []byte) error {
	return c.Run(ctx, fmt.Sprintf("echo %s | base64 -d > %s", base64.StdEncoding.EncodeToString(content), path))
}

// Unpack writes a tar archive into a folder of the container.
func (c *Container) Unpack(ctx context.Context, folder string, archive io.Reader) error {
	_, err := c.testbed.engine.client.CopyToContainer(ctx, c.ID, client.CopyToContainerOptions{DestinationPath: folder, Content: archive})
	if err != nil {
		return fmt.Errorf("write to %s of container %s: %w", folder, c.Name, err)
	}
	return nil
}

// CopyOut reads a file or a folder of the container, running or not, as a tar archive, whose names begin with the last
// element of the path.
func (c *Container) CopyOut(ctx context.Context, folder string) (io.ReadCloser, error) {
	copied, err := c.testbed.engine.client.CopyFromContainer(ctx, c.ID, client.CopyFromContainerOptions{SourcePath: folder})
	if err != nil {
		return nil, fmt.Errorf("read %s of container %s: %w", folder, c.Name, err)
	}
	return copied.Content, nil
}

// stop sends SIGTERM to the container's program, and SIGKILL 30 seconds later.
func (c *Container) stop(ctx context.Context) error {
	flush := 30 * time.Second
	if err := c.Stop(ctx, &flush); err != nil {
		return fmt.Errorf("stop %s: %w", c.Name, err)
	}
	now, err := c.Inspect(ctx)
	if err != nil {
		return fmt.Errorf("inspect container %s: %w", c.Name, err)
	}
	if now.State.Running {
		return fmt.Errorf("%s runs again after it was stopped: end what starts it first", c.Name)
	}
	return nil
}

// Remove ends the container at once and removes it with its anonymous volumes. A nil container, or one that is gone, is no error.
func (c *Container) Remove(ctx context.Context) error {
	if c == nil || c.DockerContainer == nil {
		return nil
	}
	if err := c.Terminate(ctx, testcontainers.StopTimeout(0)); err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("remove container %s: %w", c.Name, err)
	}
	c.testbed.mu.Lock()
	defer c.testbed.mu.Unlock()
	c.testbed.beside = slices.DeleteFunc(c.testbed.beside, func(other *Container) bool { return other == c })
	return nil
}

// Log is all that the container's program has written.
func (c *Container) Log(ctx context.Context) (string, error) {
	stream, err := c.Logs(ctx)
	if err != nil {
		return "", fmt.Errorf("read the log of container %s: %w", c.Name, err)
	}
	defer stream.Close()
	text, err := io.ReadAll(stream)
	if err != nil {
		return string(text), fmt.Errorf("read the log of container %s: %w", c.Name, err)
	}
	return string(text), nil
}
