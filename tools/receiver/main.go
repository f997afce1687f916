// Receiver takes Alertmanager's webhooks and forwards TCP connections to other containers.
//
// Its HTTP API is served on the address that --listen gives. Times are RFC 3339 with nanoseconds in UTC.
// An error is one line of text under the status that fits.
//
//	GET    /healthz            200 as soon as every port is open.
//	POST   /receivers/{name}   Takes one of Alertmanager's webhook messages.
//	GET    /notifications      The newest 1000 of them, in the order of arrival:
//	                           [{"receiver", "received", "message": Alertmanager's webhook message}]
//	DELETE /notifications      Forgets them.
//
// Each --forward passes TCP connections on, and resets them at once while its target cannot be reached. With
// nothing but --forward there is no API: the program is a client of its targets, at another address.
//
// Two commands are for a container that shares another one's network namespace. Each tells in one line what it saw there:
//
//	receiver reach HOST:PORT                       Connects, or does not, and ends.
//	receiver delay --by DURATION --to HOST:PORT    Has each packet arrive later, until it is ended. It needs CAP_NET_ADMIN.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	if len(os.Args) > 1 && commands[os.Args[1]] != nil {
		if err := commands[os.Args[1]](ctx, os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "receiver %s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		return
	}
	servers, err := parseFlags(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	}
	if err = open(servers); err == nil {
		err = serve(ctx, servers)
	}
	if err != nil {
		slog.Error("stopped", "err", err)
		os.Exit(1)
	}
}

// commands get the arguments that follow their name, and where to print.
var commands = map[string]func(context.Context, []string, io.Writer) error{"delay": delay, "reach": reach}

// A server answers on one port.
type server struct {
	name, address string
	serve         func(context.Context, net.Listener) error
	listener      net.Listener // once the port is open
}

// parseFlags reads the command line. An error is written to stderr as well.
func parseFlags(args []string, stderr io.Writer) ([]*server, error) {
	var servers []*server
	flags := flag.NewFlagSet("receiver", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", ":8080", "`address` of the HTTP API")
	flags.Func("forward", "`LISTEN=HOST:PORT`, pass connections on; repeatable", func(s string) error {
		address, target, err := parseForward(s)
		servers = append(servers, &server{name: "forward to " + target, address: address, serve: newForward(target).serve})
		return err
	})
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		err := fmt.Errorf("unexpected argument (%q): want flags only", flags.Arg(0))
		fmt.Fprintln(stderr, err)
		return nil, err
	}
	api := len(servers) == 0
	flags.Visit(func(f *flag.Flag) { api = api || f.Name == "listen" })
	if api {
		servers = append(servers, &server{name: "API", address: *listen, serve: serveAPI})
	}
	return servers, nil
}

func parseForward(s string) (address, target string, err error) {
	address, target, _ = strings.Cut(s, "=")
	_, listenPort, listenErr := net.SplitHostPort(address)
	host, port, targetErr := net.SplitHostPort(target)
	if listenErr != nil || targetErr != nil || listenPort == "" || host == "" || port == "" {
		return "", "", errors.New("want LISTEN=HOST:PORT, such as :9090=prometheus:9090")
	}
	return address, target, nil
}

// open opens every port before any is served: a client that reaches the API reaches all.
func open(servers []*server) error {
	for i, s := range servers {
		var err error
		if s.listener, err = net.Listen("tcp", s.address); err != nil {
			for _, opened := range servers[:i] {
				opened.listener.Close()
			}
			return fmt.Errorf("open the port of %s: %w", s.name, err)
		}
	}
	return nil
}

// serve serves until ctx ends, which is no error, or a server fails.
func serve(ctx context.Context, servers []*server) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range servers {
		slog.Info("open", "server", s.name, "address", s.listener.Addr())
		group.Go(func() error {
			if err := s.serve(ctx, s.listener); err != nil {
				return fmt.Errorf("serve %s: %w", s.name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// serveAPI serves the HTTP API until ctx ends. It sets no limit to idle connections: a client that posts on one while it
// is being closed would see an error.
func serveAPI(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           newAPI(),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	if err := srv.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}
