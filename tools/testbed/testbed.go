// Package testbed runs a system under test in containers, with an unmodified Prometheus and Alertmanager beside it that
// have the rules and the configuration as deployed, on one private network without a way out.
//
// The system under test is what a compose file describes. One container joins that network to this machine: the receiver,
// which takes Alertmanager's notifications and forwards connections of this process to the network. Beside what
// Firedrill itself needs, a caller starts further services with Run.
//
// The package is plain Go: it acts and observes. Package match judges what was observed.
package testbed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/moby/moby/client"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/compose"
	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

const (
	// Interval is how often the testbed's Prometheus scrapes, where Config.Interval does not say; it evaluates twice as often.
	Interval = time.Second
	// poll is the time between two looks at something that is waited for.
	poll = 100 * time.Millisecond
)

// Timeout bounds each wait for something that happens by itself: a boot, a start, a notification, some scrapes. It is
// generous, since it ends a hang and measures nothing. FIREDRILL_TIMEOUT shortens it for a run that is expected to fail.
var Timeout = timeout()

func timeout() time.Duration {
	if given, err := time.ParseDuration(os.Getenv("FIREDRILL_TIMEOUT")); err == nil {
		return given
	}
	return 90 * time.Second
}

// Config says what a testbed runs.
type Config struct {
	Name     string          // unique among those that run; it begins the name of each container
	Root     string          // the folder that paths in messages are relative to
	Rules    rule.Set        // as deployed
	Runbooks string          // folder of runbooks
	Grammar  runbook.Grammar // of the runbooks

	Images image.Set // the images of every testbed, and those that the compose files name

	Prometheus   string // Prometheus's configuration, as deployed
	Alertmanager string // Alertmanager's configuration, as deployed; empty: one receiver gets every notification

	Interval time.Duration // how often Prometheus scrapes, and how long a scrape may take; 0 for Interval

	Compose  []string          // compose files of the system under test; in them, ${FIREDRILL_IMAGE_…} are the images as Set.Environ names them
	Operator string            // the service in which the steps of runbooks are typed
	Volumes  map[string]string // volumes of the compose file that Prometheus mounts, read only, by folder

	Forward map[int]string // ports that this process reaches by Endpoint, and host:port where they lead to

	// Describe says in a line how the system under test is, for messages; nil for nothing.
	Describe func(context.Context) string
	// Prompts are questions on the operator's terminal that another party answers.
	Prompts []runbook.Prompt
	// Respond does what others do while a runbook is followed, until the context ends; nil for nothing.
	Respond func(context.Context) error
	// Secrets is a bash script that prints the secrets that the operator's machine holds, one per paragraph of Separator.
	Secrets string
	// Evidence are bash scripts for the operator whose output is kept of a failure, by the name of a file.
	Evidence map[string]string

	Keep     bool      // it is to be left up: Sweep leaves it to the next run with the same Root
	Progress io.Writer // gets a line for all that takes long, as it begins; nil for none
	Run      int       // the process whose end is the end of the run, as is that of this process's parent; 0: this process is the run
}

// The ports of the receiver.
const (
	portReceiver     = 8080
	portPrometheus   = 9090
	portAlertmanager = 9093
)

// Testbed is one system under test with its monitoring. Networks and receiver live as long as the testbed; the system,
// Prometheus and Alertmanager are new with each Begin.
type Testbed struct {
	config Config
	engine *dockerEngine
	closed chan struct{}

	configuration configuration

	inside    testcontainers.DockerNetwork // reaches nothing
	gate      testcontainers.DockerNetwork // the network by which this process reaches the receiver
	receiver  *Container
	endpoints map[int]string // of the receiver's ports

	stack        *compose.DockerCompose
	fresh        bool // no Begin has used the stack yet
	prometheus   *Container
	alertmanager *Container
	api          prometheus.API

	mu       sync.Mutex
	services map[string]*Container
	starts   map[string]started // of services, by the container's ID
	beside   []*Container
	cleanups []func(context.Context) error // of what began since Begin
	begun    time.Time
	changed  time.Time      // when the testbed was last changed: what was observed before then tells nothing
	last     runbook.Result // the step that ran last
	steps    runbook.Transcript
	leaps    []leapt
	secrets  []string // not noted yet
}

// Start makes a testbed that has networks and a receiver, and starts the system under test, which boots while the caller
// does something else; Begin brings the rest. After an error nothing of it is left.
func Start(ctx context.Context, config Config) (*Testbed, error) {
	config.Interval = cmp.Or(config.Interval, Interval)
	t := &Testbed{config: config, closed: make(chan struct{})}
	var err error
	if err := t.configure(); err != nil {
		return nil, err
	}
	for _, name := range []image.Name{image.Prometheus, image.Alertmanager, image.Receiver} {
		if config.Images.Ref(name) == "" {
			return nil, fmt.Errorf("testbed %s: no %s image in Config.Images: resolve it, too", config.Name, name)
		}
	}
	if t.engine, err = connect(); err != nil {
		return nil, err
	}
	if _, err := t.load(ctx); err != nil { // what cannot be loaded, built or pulled is told before anything starts
		return nil, err
	}
	if config.Run != 0 {
		go t.closeWithRun(os.Getppid())
	}
	if err := t.start(ctx); err != nil {
		return nil, errors.Join(err, t.Close(context.WithoutCancel(ctx)))
	}
	return t, nil
}

// closeWithRun ends this process and its testbed once the process that started it, or the run, has ended: a run that is
// killed cannot tell the processes that it runs specs in, and they would go on beside the next run.
func (t *Testbed) closeWithRun(parent int) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-t.closed:
			return
		case <-tick.C:
		}
		if os.Getppid() != parent || !alive(t.config.Run) {
			ctx, cancel := context.WithTimeout(context.Background(), Timeout)
			defer cancel()
			fmt.Fprintln(os.Stderr, "the run was killed: removing its testbed:", t.Close(ctx))
			os.Exit(1)
		}
	}
}

func (t *Testbed) prefix() string { return prefix(t.config.Name) }

// prefix begins the name of all that a testbed makes.
func prefix(name string) string { return "firedrill-" + name }

func (t *Testbed) start(ctx context.Context) error {
	var err error
	if t.inside, err = t.network(ctx, "inside", true); err != nil {
		return err
	}
	if t.gate, err = t.network(ctx, "gate", false); err != nil {
		return err
	}
	start, starting := errgroup.WithContext(ctx)
	start.Go(func() error { return t.startReceiver(starting) })
	start.Go(func() error {
		t.fresh = true
		return t.Up(starting)
	})
	return start.Wait()
}

func (t *Testbed) startReceiver(ctx context.Context) (err error) {
	forward := map[int]string{portPrometheus: namePrometheus + ":9090", portAlertmanager: nameAlertmanager + ":9093"}
	for port, target := range t.config.Forward {
		if forward[port] != "" || port == portReceiver {
			return fmt.Errorf("forward port %d to %s: the testbed uses %d, %d and %d itself: take another", port, target, portReceiver, portPrometheus, portAlertmanager)
		}
		forward[port] = target
	}
	receiver := Service{Name: nameReceiver, Image: t.config.Images.Ref(image.Receiver), Publish: []int{portReceiver}}
	for port, target := range forward {
		receiver.Command = append(receiver.Command, "--forward", fmt.Sprintf(":%d=%s", port, target))
		receiver.Publish = append(receiver.Publish, port)
	}
	receiver.Command = append(receiver.Command, "--listen", ":"+strconv.Itoa(portReceiver))
	err = interruptible(ctx, func(ctx context.Context) (err error) {
		t.receiver, err = t.Run(ctx, receiver)
		return err
	})
	if err != nil {
		return err
	}
	t.endpoints = map[int]string{}
	for _, port := range receiver.Publish {
		if t.endpoints[port], err = t.receiver.Endpoint(ctx, port); err != nil {
			return err
		}
	}
	return t.Await(ctx, "the receiver to answer", func(ctx context.Context) error {
		_, err := t.get(ctx, portReceiver, "/healthz")
		return err
	})
}

// network makes a network; an internal one routes nowhere, not even to the machine that Docker runs on. testcontainers-go
// passes no options on to the driver.
func (t *Testbed) network(ctx context.Context, name string, internal bool) (testcontainers.DockerNetwork, error) {
	options := map[string]string{"com.docker.network.bridge.enable_ip_masquerade": "false"}
	if internal {
		options["com.docker.network.bridge.inhibit_ipv4"] = "true"
	}
	labels := t.labels()
	testcontainers.AddGenericLabels(labels) // for Ryuk
	made, err := t.engine.client.NetworkCreate(context.WithoutCancel(ctx), t.networkName(name), client.NetworkCreateOptions{
		Driver: "bridge", Internal: internal, Labels: labels, Options: options,
	})
	if err != nil {
		return testcontainers.DockerNetwork{}, fmt.Errorf("create network %s: %w", name, err)
	}
	return testcontainers.DockerNetwork{ID: made.ID, Name: t.networkName(name)}, nil
}

func (t *Testbed) networkName(name string) string { return t.prefix() + "-" + name }

// Begin brings a system under test, a Prometheus and an Alertmanager that have seen nothing yet, in place of those that
// there were, and calls ready, which returns once the system is. When Begin returns, Prometheus has scraped every target,
// every rule was evaluated on that, and Alertmanager is ready. After an error, Begin can be called again.
func (t *Testbed) Begin(ctx context.Context, ready func(context.Context) error) error {
	if err := t.end(ctx, t.fresh); err != nil {
		return err
	}
	t.mu.Lock()
	t.begun, t.last, t.steps, t.leaps = time.Now(), runbook.Result{}, nil, nil
	t.mu.Unlock()
	if err := t.forget(ctx); err != nil {
		return err
	}
	begin, beginning := errgroup.WithContext(ctx)
	begin.Go(func() error { return t.startAlertmanager(beginning) })
	begin.Go(func() error {
		if !t.fresh {
			if err := t.Up(beginning); err != nil {
				return err
			}
		}
		t.fresh = false
		if err := t.hasBash(beginning); err != nil {
			return err
		}
		begin.Go(func() error { return t.startPrometheus(beginning, nil) }) // it mounts volumes of the stack
		return ready(beginning)
	})
	if err := begin.Wait(); err != nil {
		return err
	}
	t.Touch()
	return t.scraped(ctx)
}

// Cleanup has do called at the end of what began with Begin, the last one first.
func (t *Testbed) Cleanup(do func(context.Context) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, do)
}

func (t *Testbed) cleanUp(ctx context.Context) error {
	t.mu.Lock()
	cleanups := t.cleanups
	t.cleanups = nil
	t.mu.Unlock()
	var errs []error
	for _, do := range slices.Backward(cleanups) {
		errs = append(errs, do(ctx))
	}
	return errors.Join(errs...)
}

// end removes what Begin brought; the stack stays where it is fresh.
func (t *Testbed) end(ctx context.Context, fresh bool) error {
	errs := []error{t.cleanUp(ctx)}
	var removing errgroup.Group
	removing.Go(func() error { return t.alertmanager.Remove(ctx) })
	removing.Go(func() error { // a volume cannot go before those who mount it
		err := t.prometheus.Remove(ctx)
		if !fresh {
			err = errors.Join(err, t.down(ctx))
		}
		return err
	})
	errs = append(errs, removing.Wait())
	t.prometheus, t.alertmanager, t.api = nil, nil, nil
	return errors.Join(errs...)
}

// Close removes all that is the testbed's.
func (t *Testbed) Close(ctx context.Context) error {
	select {
	case <-t.closed:
		return nil
	default:
		close(t.closed)
	}
	errs := []error{t.cleanUp(ctx), t.closeStack()}
	cli, err := image.Connect(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer cli.Close()
	return errors.Join(append(errs, removeTestbed(ctx, cli, t.config.Name))...)
}

// ReceiverAddress is where the receiver is on the testbed's network. It forwards the ports of Prometheus (9090) and
// Alertmanager (9093) there too: unlike theirs, its address stays through a leap.
func (t *Testbed) ReceiverAddress(ctx context.Context) (string, error) {
	address, err := t.receiver.Address(ctx)
	return address.String(), err
}

// Dial connects this process to a port of Config.Forward, for whatever name the caller has for it.
func (t *Testbed) Dial(port int) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, t.endpoints[port])
	}
}

// Endpoint is host:port by which this process reaches a port of Config.Forward.
func (t *Testbed) Endpoint(port int) string { return t.endpoints[port] }

// Image is the reference of an image of the project.
func (t *Testbed) Image(name image.Name) string { return t.config.Images.Ref(name) }

// Leapt is how much time Prometheus has been given since Begin.
func (t *Testbed) Leapt() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all time.Duration
	for _, l := range t.leaps {
		all += l.by
	}
	return all
}

// Followed is how long the steps that were followed since Begin took, all together.
func (t *Testbed) Followed() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var took time.Duration
	for _, step := range t.steps {
		took += step.Duration
	}
	return took
}

// Begun is when Begin was called last.
func (t *Testbed) Begun() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.begun
}

// Say writes a line of progress.
func (t *Testbed) Say(format string, args ...any) {
	if t.config.Progress != nil {
		fmt.Fprintf(t.config.Progress, "[%s] %s\n", t.config.Name, fmt.Sprintf(format, args...))
	}
}

// Touch notes that something was changed: what has been observed before does not count any more.
func (t *Testbed) Touch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changed = time.Now()
}

// lastChange is the moment before which nothing that was observed counts.
func (t *Testbed) lastChange() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

var numbers = regexp.MustCompile(`[0-9]+`)

// Await calls missing until it returns nil, for at most Timeout, and says from time to time what is missing, if that has
// changed. The error says what was waited for, for how long, and what was missing last.
func (t *Testbed) Await(ctx context.Context, what string, missing func(context.Context) error) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var last error
	said := ""
	say := began.Add(5 * time.Second)
	for {
		err := missing(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // a look that the end of the wait cut short saw nothing
			last = err
		}
		if time.Now().After(say) {
			if now := numbers.ReplaceAllString(fmt.Sprint(last), ""); now != said { // what has changed but for a duration
				t.Say("waiting for %s: %v", what, last)
				said = now
			}
			say = time.Now().Add(10 * time.Second)
		}
		select {
		case <-ctx.Done():
			waited := time.Since(began).Round(100 * time.Millisecond)
			if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
				return fmt.Errorf("stopped waiting for %s after %s (%w): %w", what, waited, cause, last)
			}
			return fmt.Errorf("timed out waiting for %s after %s: %w", what, waited, last)
		case <-tick.C:
		}
	}
}
