package testbed

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/cli/cli/connhelper"
	"github.com/moby/moby/client"
	"github.com/sirupsen/logrus"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"

	"github.com/stemedb/firedrill/tools/image"
)

// dockerEngine is the Docker Engine that DOCKER_HOST names, as testcontainers-go reaches it.
type dockerEngine struct {
	*testcontainers.DockerProvider
	client  client.APIClient // the provider's, for what testcontainers-go has no call for
	address netip.Addr       // of the Engine's machine, where ports are published
}

// connect returns the Engine, once per process: testcontainers-go reads its environment once. The error is one sentence
// that says what to do.
var connect = sync.OnceValues(func() (*dockerEngine, error) {
	ctx := context.Background()
	cli, err := image.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer cli.Close()
	address, err := addressOf(ctx, cli.DaemonHost())
	if err != nil {
		return nil, err
	}
	if err := relaySSH(); err != nil {
		return nil, err
	}
	settings := map[string]string{"TESTCONTAINERS_HOST_OVERRIDE": address.String()}
	// Ryuk, which removes the containers of a run that was killed, where its image is there and nothing is to be kept. Sweep
	// does the same at the next run.
	if _, err := cli.ImageInspect(ctx, testcontainers.ReaperDefaultImage); cerrdefs.IsNotFound(err) || os.Getenv("FIREDRILL_KEEP") != "" {
		settings["TESTCONTAINERS_RYUK_DISABLED"] = "true"
	}
	for name, value := range settings {
		if _, given := os.LookupEnv(name); !given {
			os.Setenv(name, value)
		}
	}
	log.SetDefault(&lines)
	logrus.SetOutput(&lines) // compose's
	provider, err := testcontainers.NewDockerProvider(testcontainers.WithLogger(&lines))
	if err != nil {
		return nil, fmt.Errorf("connect testcontainers-go to the Docker Engine: %w", err)
	}
	return &dockerEngine{provider, provider.Client(), address}, nil
})

// lines is what testcontainers-go and compose log: it is evidence, and stays off the terminal.
var lines logged

type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

// Printf implements log.Logger.
func (l *logged) Printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(&l.text, strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
}

// Write implements io.Writer.
func (l *logged) Write(p []byte) (int, error) {
	l.Printf("%s", p)
	return len(p), nil
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// addressOf is the address of the machine that a Docker Engine runs on: the loopback where the Engine listens on a
// socket, else the machine that DOCKER_HOST names.
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

// relaySSH has DOCKER_HOST=ssh://… reached through a socket of this process: testcontainers-go and compose know sockets
// and tcp only.
func relaySSH() error {
	helper, err := connhelper.GetConnectionHelper(os.Getenv("DOCKER_HOST"))
	if err != nil || helper == nil {
		return err
	}
	folder, err := MkdirTemp(temporaryRelay)
	if err != nil {
		return fmt.Errorf("relay the Docker Engine of %s: %w", os.Getenv("DOCKER_HOST"), err)
	}
	socket := filepath.Join(folder, "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("relay the Docker Engine of %s: %w", os.Getenv("DOCKER_HOST"), err)
	}
	go func() {
		for {
			local, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer local.Close()
				remote, err := helper.Dialer(context.Background(), "", "")
				if err != nil {
					lines.Printf("relay to the Docker Engine: %v", err)
					return
				}
				defer remote.Close()
				go func() {
					io.Copy(remote, local)
					if half, ok := remote.(interface{ CloseWrite() error }); ok {
						half.CloseWrite()
					}
				}()
				io.Copy(local, remote)
			}()
		}
	}()
	return os.Setenv("DOCKER_HOST", "unix://"+socket)
}
