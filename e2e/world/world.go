// Package world is a small production in containers, on one private network that leads nowhere: a Debian host with
// systemd and stemedb-api, Prometheus and Alertmanager with the rules as deployed, and the parties outside of it
// (Let's Encrypt, a CA that works by mail, DNS, the pager), with the verbs that the specs speak.
//
// It is plain Go below the specs: it observes and acts, and leaves it to matchers to judge.
package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

const (
	// Domain is the name that the host serves, and that its certificates are for.
	Domain = "stemedb.example.com"
	// Interval is how often the world's Prometheus scrapes, as fixtures/prometheus says; it evaluates twice as often.
	Interval = time.Second
	// pause is the time between two looks at something that is waited for.
	pause = 100 * time.Millisecond
)

// Patience bounds each wait for something that the world does by itself: a boot, a start, a notification, some scrapes.
// It is generous: it ends a hang, it measures nothing. FIREDRILL_PATIENCE shortens it for a run that is there to fail.
var Patience = patience()

func patience() time.Duration {
	if said, err := time.ParseDuration(os.Getenv("FIREDRILL_PATIENCE")); err == nil {
		return said
	}
	return 90 * time.Second
}

// Config says what a world is about.
type Config struct {
	Root     string // the repository: fixtures, and paths in messages are relative to it
	Rules    string // folder of rule files, as deployed
	Runbooks string // folder of runbooks
	Name     string // of this world, unique among those that run: it begins the name of each container
	// Progress gets a line for all that takes its time, as it begins.
	Progress io.Writer
	// Run is the process whose end is the end of the run, beside this one's parent; 0 for none.
	Run int
}

// World is one production. Its outside lives as long as the world; host and monitoring are new with each Begin.
type World struct {
	config Config
	docker *docker
	images image.Set
	alerts []rule.Alert

	inside    string // the private network
	gate      string // the network that the harness comes in by
	targets   string // the volume that host and Prometheus share: what is to be scraped
	parties   *parties
	booting   *Host             // the first host, until Begin takes it over
	lineage   map[string][]byte // tar archives of the first host's baselineFolders, put on all that follow
	host      *Host
	neighbour *box    // a client's, where a spec asked for one
	bucket    *Bucket // for backups, likewise
	browser   *box    // likewise
	kit       string  // what a new host needs, in a safe: a tar archive in base64
	watchers  *watchers

	mu      sync.Mutex
	begun   time.Time
	changed time.Time      // when the world was last changed: what was observed before then tells nothing
	last    runbook.Result // the step that was followed last
	steps   runbook.Transcript
	leaps   []leapt
	loads   []*Load
	secrets []string // that nobody has noted yet
}

// Start makes a world with everything in it but host, Prometheus and Alertmanager, which Begin brings.
// After an error nothing of it is left.
func Start(ctx context.Context, config Config) (*World, error) {
	cli, err := image.Connect(ctx)
	if err != nil {
		return nil, err
	}
	address, err := addressOf(ctx, cli.DaemonHost())
	if err != nil {
		return nil, err
	}
	w := &World{config: config}
	w.docker = &docker{client: cli, address: address, prefix: "firedrill-" + config.Name, labels: labels(config)}
	if w.alerts, err = rule.LoadDir(config.Rules); err != nil {
		return nil, err
	}
	if w.images, err = image.Resolve(ctx); err != nil {
		return nil, err
	}
	go w.endWithRun(os.Getppid())
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(err, w.Close(context.WithoutCancel(ctx)))
	}
	return w, nil
}

// endWithRun ends this process and its world once the process that started it, or the run, is no more: a run that is
// killed cannot tell the processes that it runs specs in, and they would go on beside the next run.
func (w *World) endWithRun(parent int) {
	for range time.Tick(time.Second) {
		if os.Getppid() != parent || w.config.Run != 0 && !alive(w.config.Run) {
			ctx, cancel := context.WithTimeout(context.Background(), Patience)
			defer cancel()
			fmt.Fprintln(os.Stderr, "the run was killed: removing its world:", w.Close(ctx))
			os.Exit(1)
		}
	}
}

func (w *World) start(ctx context.Context) error {
	var err error
	if w.inside, err = w.docker.network(ctx, "inside", true); err != nil {
		return err
	}
	if w.gate, err = w.docker.network(ctx, "gate", false); err != nil {
		return err
	}
	if w.targets, err = w.docker.volume(ctx, "targets"); err != nil {
		return err
	}
	// The first host boots while the parties get ready: it needs them only afterwards.
	start, starting := errgroup.WithContext(ctx)
	start.Go(func() (err error) {
		w.parties, err = w.newParties(starting)
		return err
	})
	start.Go(func() (err error) {
		w.booting, err = w.powerOn(starting)
		return err
	})
	return start.Wait()
}

// Begin brings a host, a Prometheus and an Alertmanager that have seen nothing yet, in place of those that the world
// had. When it returns, all is well: the host has a certificate of Let's Encrypt with 90 days left, its lineage is
// known to certbot, Prometheus has scraped and evaluated, and Alertmanager is ready.
func (w *World) Begin(ctx context.Context) error {
	if err := w.end(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	w.begun, w.last, w.steps, w.leaps = time.Now(), runbook.Result{}, nil, nil
	w.mu.Unlock()
	if err := w.parties.forget(ctx); err != nil {
		return err
	}
	if w.targets == "" {
		var err error
		if w.targets, err = w.docker.volume(ctx, "targets"); err != nil {
			return err
		}
	}
	w.watchers = &watchers{world: w}
	begin, beginning := errgroup.WithContext(ctx)
	begin.Go(func() (err error) {
		w.host, err = w.newHost(beginning)
		return err
	})
	begin.Go(func() error { return w.watchers.startAlertmanager(beginning) })
	begin.Go(func() error { return w.watchers.startPrometheus(beginning, nil) })
	if err := begin.Wait(); err != nil {
		return err
	}
	w.touch()
	return w.watchers.work(ctx)
}

func (w *World) end(ctx context.Context) error {
	if w.watchers == nil {
		return nil
	}
	w.stopLoads()
	var end errgroup.Group
	end.Go(func() error { return w.host.close(ctx) })
	end.Go(func() error { return w.neighbour.remove(ctx) })
	end.Go(func() error { return w.bucket.close(ctx) })
	end.Go(func() error { return w.browser.remove(ctx) })
	end.Go(func() error { return w.watchers.prometheus.remove(ctx) })
	end.Go(func() error { return w.watchers.alertmanager.remove(ctx) })
	ended := errors.Join(end.Wait(), w.docker.removeVolume(ctx, w.targets))
	w.host, w.neighbour, w.bucket, w.browser, w.watchers, w.targets = nil, nil, nil, nil, nil, ""
	return ended
}

// Close removes all that is the world's.
func (w *World) Close(ctx context.Context) error {
	w.stopLoads()
	return remove(ctx, w.docker.client, w.config.Name)
}

// Host is the host of the world.
func (w *World) Host() *Host { return w.host }

// Leapt is how much time the world has been given since Begin.
func (w *World) Leapt() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all time.Duration
	for _, l := range w.leaps {
		all += l.by
	}
	return all
}

// Followed is how long the steps that were followed since Begin took, all together.
func (w *World) Followed() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var took time.Duration
	for _, step := range w.steps {
		took += step.Duration
	}
	return took
}

func (w *World) began() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.begun
}

// Say writes a line of progress.
func (w *World) Say(format string, args ...any) {
	if w.config.Progress != nil {
		fmt.Fprintf(w.config.Progress, "[%s] %s\n", w.config.Name, fmt.Sprintf(format, args...))
	}
}

// touch notes that something was changed: what has been observed before does not count any more.
func (w *World) touch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changed = time.Now()
}

// sinceWhen is the moment before which nothing that was observed counts.
func (w *World) sinceWhen() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// fixture reads a file below fixtures/.
func (w *World) fixture(name string) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(w.config.Root, "fixtures", name))
	if err != nil {
		return nil, fmt.Errorf("read fixture: %w", err)
	}
	return content, nil
}

// await looks until there is nothing missing any more, says from time to time what is, and names what was missing last
// where the time ran out.
func (w *World) await(ctx context.Context, what string, look func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	var last error
	say := time.Now().Add(5 * time.Second)
	for {
		seen := look(ctx)
		if seen == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // a look that the end of the wait cut short saw nothing
			last = seen
		}
		if time.Now().After(say) {
			w.Say("waiting for %s: %v", what, last)
			say = time.Now().Add(10 * time.Second)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited for %s in vain: %w; %w", what, last, context.Cause(ctx))
		case <-tick.C:
		}
	}
}
