package world

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// docker is what a world asks of the Docker Engine; all that it makes carries the world's labels.
type docker struct {
	client  *client.Client
	address netip.Addr // of the machine that it runs on, as the harness reaches it
	prefix  string     // of every name
	labels  map[string]string
}

// addressOf is the address of the machine that a Docker Engine runs on, by where the Engine listens: the loopback where
// that is a socket, and the one that DOCKER_HOST names where it is another machine.
func addressOf(ctx context.Context, engine string) (netip.Addr, error) {
	where, err := url.Parse(engine)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the Docker Engine's address %q: %w", engine, err)
	}
	name := where.Hostname()
	if name == "" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the Docker Engine's address %q: %w", engine, err)
	}
	return found[0].Unmap(), nil
}

// blueprint describes a container before it exists.
type blueprint struct {
	name    string
	image   string
	command []string
	env     []string
	network string // the network that it is created on
	aliases []string
	also    string // a second network, or none
	publish []int  // TCP ports, on a free port of the machine's address each
	host    container.HostConfig
	files   []file // put into it before it starts

	data       io.Reader // a tar archive that is unpacked into dataFolder before it starts, or nil
	dataFolder string
}

// file is a file in a container, owned by uid (and the group of the same number).
type file struct {
	path    string
	content []byte
	mode    int64
	uid     int
}

// box is a container of the world.
type box struct {
	docker *docker
	name   string
	id     string
}

// network makes a network; an internal one routes nowhere, not even to the machine that Docker runs on.
func (e *docker) network(ctx context.Context, name string, internal bool) (string, error) {
	options := map[string]string{"com.docker.network.bridge.enable_ip_masquerade": "false"}
	if internal {
		options["com.docker.network.bridge.inhibit_ipv4"] = "true"
	}
	made, err := e.client.NetworkCreate(ctx, e.prefix+"-"+name, client.NetworkCreateOptions{
		Driver: "bridge", Internal: internal, Labels: e.labels, Options: options,
	})
	if err != nil {
		return "", fmt.Errorf("create network %s: %w", name, err)
	}
	return made.ID, nil
}

// volume makes a volume, which removeVolume removes.
func (e *docker) volume(ctx context.Context, name string) (string, error) {
	made, err := e.client.VolumeCreate(ctx, client.VolumeCreateOptions{Name: e.prefix + "-" + name, Labels: e.labels})
	if err != nil {
		return "", fmt.Errorf("create volume %s: %w", name, err)
	}
	return made.Volume.Name, nil
}

func (e *docker) removeVolume(ctx context.Context, name string) error {
	if _, err := e.client.VolumeRemove(ctx, name, client.VolumeRemoveOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("remove volume %s: %w", name, err)
	}
	return nil
}

// run creates a container, fills it and starts it. A container that could not be started is removed.
func (e *docker) run(ctx context.Context, b blueprint) (*box, error) {
	config := &container.Config{
		Image: b.image, Hostname: b.name, Cmd: b.command, Env: b.env, Labels: e.labels, ExposedPorts: network.PortSet{},
	}
	host := b.host
	host.PortBindings = network.PortMap{}
	for _, number := range b.publish {
		port, _ := network.PortFrom(uint16(number), network.TCP)
		config.ExposedPorts[port] = struct{}{}
		host.PortBindings[port] = []network.PortBinding{{HostIP: e.address}}
	}
	created, err := e.client.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: e.prefix + "-" + b.name, Config: config, HostConfig: &host,
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			b.network: {Aliases: append([]string{b.name}, b.aliases...)},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("create container %s: %w", b.name, err)
	}
	made := &box{docker: e, name: b.name, id: created.ID}
	if err := made.start(ctx, b); err != nil {
		return nil, errors.Join(err, made.remove(context.WithoutCancel(ctx)))
	}
	return made, nil
}

func (b *box) start(ctx context.Context, from blueprint) error {
	if from.also != "" {
		if _, err := b.docker.client.NetworkConnect(ctx, from.also, client.NetworkConnectOptions{Container: b.id}); err != nil {
			return fmt.Errorf("connect container %s: %w", b.name, err)
		}
	}
	if err := b.write(ctx, from.files...); err != nil {
		return err
	}
	if from.data != nil {
		if err := b.unpack(ctx, from.dataFolder, from.data); err != nil {
			return err
		}
	}
	return b.resume(ctx)
}

// address is the container's address on the network, known once it runs.
func (b *box) address(ctx context.Context, networkID string) (netip.Addr, error) {
	seen, err := b.docker.client.ContainerInspect(ctx, b.id, client.ContainerInspectOptions{})
	if err != nil {
		return netip.Addr{}, fmt.Errorf("inspect container %s: %w", b.name, err)
	}
	for _, endpoint := range seen.Container.NetworkSettings.Networks {
		if endpoint.NetworkID == networkID && endpoint.IPAddress.IsValid() {
			return endpoint.IPAddress, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("container %s has no address on its network: it is not running; see its log", b.name)
}

// published are the addresses that the container's published ports have, by port.
func (b *box) published(ctx context.Context) (map[int]string, error) {
	seen, err := b.docker.client.ContainerInspect(ctx, b.id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("inspect container %s: %w", b.name, err)
	}
	addresses := map[int]string{}
	for port, bindings := range seen.Container.NetworkSettings.Ports {
		for _, binding := range bindings {
			addresses[int(port.Num())] = net.JoinHostPort(b.docker.address.String(), binding.HostPort)
		}
	}
	return addresses, nil
}

// exec runs a program in the container, without a terminal, and returns what it wrote to its standard output.
// A status other than 0 is an error that holds the status and what the program wrote to its standard error.
func (b *box) exec(ctx context.Context, argv ...string) (string, error) {
	made, err := b.docker.client.ExecCreate(ctx, b.id, client.ExecCreateOptions{Cmd: argv, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return "", fmt.Errorf("run %s on %s: %w", argv[0], b.name, err)
	}
	attached, err := b.docker.client.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return "", fmt.Errorf("run %s on %s: %w", argv[0], b.name, err)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)()
	var out, errs bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &errs, attached.Reader); err != nil {
		return out.String(), fmt.Errorf("run %s on %s: %w", argv[0], b.name, errors.Join(ctx.Err(), err))
	}
	done, err := b.docker.client.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	if err != nil {
		return out.String(), fmt.Errorf("run %s on %s: %w", argv[0], b.name, err)
	}
	if done.ExitCode != 0 {
		return out.String(), fmt.Errorf("%s on %s: exit %d: %s", strings.Join(argv, " "), b.name, done.ExitCode,
			strings.TrimSpace(errs.String()+out.String()))
	}
	return out.String(), nil
}

// terminal starts a program in the container on a pseudo-terminal, as an operator's ssh would.
func (b *box) terminal(ctx context.Context, argv []string) (io.ReadWriteCloser, error) {
	size := client.ConsoleSize{Height: 50, Width: 200}
	made, err := b.docker.client.ExecCreate(ctx, b.id, client.ExecCreateOptions{
		Cmd: argv, TTY: true, ConsoleSize: size, AttachStdin: true, AttachStdout: true, AttachStderr: true,
		Env: []string{"TERM=xterm", "LANG=C.UTF-8", "HOME=/root"}, WorkingDir: "/root",
	})
	if err != nil {
		return nil, fmt.Errorf("open a terminal on %s: %w", b.name, err)
	}
	attached, err := b.docker.client.ExecAttach(ctx, made.ID, client.ExecAttachOptions{TTY: true, ConsoleSize: size})
	if err != nil {
		return nil, fmt.Errorf("open a terminal on %s: %w", b.name, err)
	}
	return struct {
		io.Reader
		io.WriteCloser
	}{attached.Reader, attached.Conn}, nil
}

// write puts files into the container, running or not. Folders that are missing are made.
func (b *box) write(ctx context.Context, files ...file) error {
	if len(files) == 0 {
		return nil
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	now := time.Now()
	for _, f := range files {
		header := &tar.Header{
			Name: strings.TrimPrefix(path.Clean(f.path), "/"), Size: int64(len(f.content)), Mode: f.mode,
			Uid: f.uid, Gid: f.uid, ModTime: now, Typeflag: tar.TypeReg,
		}
		if err := w.WriteHeader(header); err != nil {
			return fmt.Errorf("pack %s for %s: %w", f.path, b.name, err)
		}
		if _, err := w.Write(f.content); err != nil {
			return fmt.Errorf("pack %s for %s: %w", f.path, b.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("pack files for %s: %w", b.name, err)
	}
	return b.unpack(ctx, "/", &archive)
}

// unpack writes a tar archive into the folder of the container.
func (b *box) unpack(ctx context.Context, folder string, archive io.Reader) error {
	_, err := b.docker.client.CopyToContainer(ctx, b.id, client.CopyToContainerOptions{DestinationPath: folder, Content: archive})
	if err != nil {
		return fmt.Errorf("write to %s of container %s: %w", folder, b.name, err)
	}
	return nil
}

// pack reads a folder of the container as a tar archive, whose names begin with the folder's own.
func (b *box) pack(ctx context.Context, folder string) (io.ReadCloser, error) {
	copied, err := b.docker.client.CopyFromContainer(ctx, b.id, client.CopyFromContainerOptions{SourcePath: folder})
	if err != nil {
		return nil, fmt.Errorf("read %s of container %s: %w", folder, b.name, err)
	}
	return copied.Content, nil
}

// stop ends the container's program as an operator would: SIGTERM, and time to flush.
func (b *box) stop(ctx context.Context) error {
	patience := 30
	if _, err := b.docker.client.ContainerStop(ctx, b.id, client.ContainerStopOptions{Timeout: &patience}); err != nil {
		return fmt.Errorf("stop container %s: %w", b.name, err)
	}
	return nil
}

// resume starts the container's program again.
func (b *box) resume(ctx context.Context) error {
	if _, err := b.docker.client.ContainerStart(ctx, b.id, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("start container %s: %w", b.name, err)
	}
	return nil
}

// remove ends the container at once and leaves nothing of it. A nil box, or one that is gone already, is no error.
func (b *box) remove(ctx context.Context) error {
	if b == nil {
		return nil
	}
	_, err := b.docker.client.ContainerRemove(ctx, b.id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("remove container %s: %w", b.name, err)
	}
	return nil
}

// log is all that the container's program has written.
func (b *box) log(ctx context.Context) (string, error) {
	stream, err := b.docker.client.ContainerLogs(ctx, b.id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return "", fmt.Errorf("read the log of container %s: %w", b.name, err)
	}
	defer stream.Close()
	var both bytes.Buffer
	if _, err := stdcopy.StdCopy(&both, &both, stream); err != nil {
		return both.String(), fmt.Errorf("read the log of container %s: %w", b.name, err)
	}
	return both.String(), nil
}
