// Package prove proves the drills of a firedrill.yml, in several testbeds side by side.
package prove

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stemedb/firedrill/tools/drill"
	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/project"
	"github.com/stemedb/firedrill/tools/testbed"
)

// Config says what is proven, and how.
type Config struct {
	Project  *project.Project
	Images   image.Set // Firedrill's own, and those that the compose files name
	Procs    int       // testbeds side by side
	Keep     bool      // leave the testbeds up, and print how to enter them
	Evidence string    // the folder in which evidence of what failed is kept, in a folder for each proof
	Secrets  io.Writer // gets the secrets of the run, as redact.Note writes them
	Progress io.Writer // gets a line for all that takes long
}

// Result is what came of a run.
type Result struct {
	Proofs   []journal.Proof // one for each drill, in the order in which they ended
	Testbeds []time.Duration // how long each testbed took to start
	// Unmatched are the patterns of the project's secrets that have matched no file in any drill.
	Unmatched []string
}

// Drills proves drills of the project. What could not be tried, since a testbed did not start or the context ended, is
// unknown. The error is about testbeds that could not be removed.
func Drills(ctx context.Context, c Config, drills []project.Drill) (Result, error) {
	var tasks []task
	for _, d := range c.inOrder(drills) {
		tasks = append(tasks, task{Drill: d, name: d.Name(), do: func(ctx context.Context, w *worker) (journal.Proof, error) {
			return drill.Run(ctx, w.testbed, w.drill(d))
		}})
	}
	return c.run(ctx, tasks)
}

// task is a drill to be run, under a name.
type task struct {
	project.Drill
	name string
	do   func(context.Context, *worker) (journal.Proof, error)
}

// inOrder puts those first that take longest, so that none is left over at the end: they wait for rates.
func (c Config) inOrder(drills []project.Drill) []project.Drill {
	window := map[string]time.Duration{}
	for _, a := range c.Project.Set.Alerts {
		window[a.Name] = c.Project.Set.Window(a.Expr)
	}
	ordered := slices.Clone(drills)
	slices.SortStableFunc(ordered, func(a, b project.Drill) int { return int(window[b.Alert] - window[a.Alert]) })
	return ordered
}

// pool is a run under way.
type pool struct {
	Config
	mu     sync.Mutex
	tasks  []task // not begun yet
	result Result
	alone  sync.RWMutex // held to write by an exclusive drill
	// unmatched are the patterns of secrets that have matched no file yet.
	unmatched []string
	failed    error // why no testbed can be had; nil as long as one can
}

func (c Config) run(ctx context.Context, tasks []task) (Result, error) {
	p := &pool{Config: c, tasks: tasks, unmatched: slices.Clone(c.Project.Secrets)}
	var workers sync.WaitGroup
	errs := make([]error, min(max(c.Procs, 1), len(tasks)))
	starting, stop := context.WithCancel(ctx)
	defer stop()
	for i := range errs {
		workers.Go(func() { errs[i] = p.work(ctx, starting, stop) })
	}
	workers.Wait()
	for _, t := range p.tasks {
		why := "the run was interrupted"
		if p.failed != nil {
			why = "the testbed did not start: " + p.failed.Error()
		}
		p.add(c.unknown(t, why))
	}
	p.result.Unmatched = p.unmatched
	return p.result, errors.Join(errs...)
}

// next takes the next task.
func (p *pool) next(ctx context.Context) (task, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tasks) == 0 || ctx.Err() != nil || p.failed != nil {
		return task{}, false
	}
	t := p.tasks[0]
	p.tasks = p.tasks[1:]
	return t, true
}

func (p *pool) add(proof journal.Proof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.Proofs = append(p.result.Proofs, proof)
}

func (c Config) unknown(t task, why string) journal.Proof {
	now := time.Now().UTC()
	return journal.Proof{Suite: c.Project.File, Spec: t.name, Alert: t.Alert, Branch: t.Branch, Verdict: journal.Unknown, Failure: why, Started: now, Ended: now}
}

// work starts a testbed and proves what is left, until nothing is. A testbed that does not start stops the run: the next
// would fail for the same cause.
func (p *pool) work(ctx, starting context.Context, stop func()) (err error) {
	began := time.Now()
	w := &worker{Config: p.Config}
	err = w.start(starting)
	switch {
	case err != nil && w.testbed != nil: // it is there, and the system in it is not ready
		if starting.Err() == nil {
			err = errors.Join(err, p.evidence(ctx, w, "testbed"))
		}
	case err == nil:
		p.mu.Lock()
		p.result.Testbeds = append(p.result.Testbeds, time.Since(began))
		p.mu.Unlock()
	}
	if w.testbed != nil {
		defer func() { err = errors.Join(err, p.close(ctx, w)) }()
	}
	if err != nil {
		p.mu.Lock()
		if p.failed == nil && starting.Err() == nil {
			p.failed = err
			fmt.Fprintf(p.Progress, "the testbed did not start: %v\n", err)
		}
		p.mu.Unlock()
		stop()
		return nil // it is said of each proof
	}
	for fresh := true; ; fresh = false {
		t, ok := p.next(ctx)
		if !ok {
			return nil
		}
		p.prove(ctx, w, t, fresh)
	}
}

// match strikes out the patterns of secrets that match a file now.
func (p *pool) match(ctx context.Context, w *worker) {
	p.mu.Lock()
	patterns := slices.Clone(p.unmatched)
	p.mu.Unlock()
	for _, pattern := range patterns {
		matched := project.Command{On: p.Project.Operator, Run: "shopt -s nullglob; for file in " + glob(pattern) + `; do [ ! -f "$file" ] || exit 0; done; exit 1`}
		if w.command(ctx, matched) == nil {
			p.mu.Lock()
			p.unmatched = slices.DeleteFunc(p.unmatched, func(other string) bool { return other == pattern })
			p.mu.Unlock()
		}
	}
}

// close removes a worker's testbed, or says how to enter it.
func (p *pool) close(ctx context.Context, w *worker) error {
	if p.Keep {
		w.testbed.Say("it is left up until the next run of this project, or until firedrill clean. %s", w.testbed.Enter())
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), testbed.Timeout)
	defer cancel()
	return w.testbed.Close(ctx)
}

// prove runs a drill on a testbed, which is fresh or has to begin again, and adds its proof.
func (p *pool) prove(ctx context.Context, w *worker, t task, fresh bool) {
	if t.Exclusive {
		p.alone.Lock()
		defer p.alone.Unlock()
	} else {
		p.alone.RLock()
		defer p.alone.RUnlock()
	}
	w.testbed.Say("begins: %s", t.name)
	began := time.Now()
	proof := p.unknown(t, "")
	err := ctx.Err()
	if err == nil && !fresh {
		err = w.begin(ctx)
	}
	if err != nil {
		proof.Failure = "begin with a new system: " + err.Error()
	} else {
		proof, err = w.run(ctx, t)
		p.match(ctx, w)
	}
	proof.Suite, proof.Spec = p.Project.File, t.name
	if err != nil {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), testbed.Timeout)
		defer cancel()
		if kept := p.evidence(after, w, t.name); kept != nil {
			w.testbed.Say("the evidence is incomplete: %v", kept)
		}
		proof.Evidence = "evidence/" + plainName(t.name)
	}
	took := time.Since(began).Round(time.Second)
	switch proof.Verdict {
	case journal.True:
		w.testbed.Say("passed after %s: %s", took, t.name)
	case journal.False:
		w.testbed.Say("failed after %s: %s: %s", took, t.name, proof.Failure)
	default:
		w.testbed.Say("not proven: %s: %s", t.name, proof.Failure)
	}
	p.add(proof)
}

func (p *pool) evidence(ctx context.Context, w *worker, of string) error {
	return w.testbed.Evidence(ctx, filepath.Join(p.Evidence, plainName(of)))
}

// plainName is a name that a folder and a container can have.
func plainName(name string) string {
	return strings.Trim(regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(name, "-"), "-")
}

// worker is a testbed that proves one drill after the other.
type worker struct {
	Config
	testbed    *testbed.Testbed
	responders []*responder // of the drill under way
}

// Check says what of a project's configurations cannot be used, without starting anything.
func Check(p *project.Project) error {
	return testbed.Config{Root: filepath.Dir(p.File), Rules: p.Set, Prometheus: p.Prometheus, Alertmanager: p.Alertmanager, Interval: testbed.Interval}.Check()
}

// start starts a testbed, and begins it. After an error the testbed is nil, or has begun and is not ready.
func (w *worker) start(ctx context.Context) (err error) {
	p := w.Project
	folder := filepath.Dir(p.File)
	name, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	name = strings.ToLower(plainName(filepath.Base(name)))
	if name == "" {
		name = "project"
	}
	w.testbed, err = testbed.Start(ctx, testbed.Config{
		Name: fmt.Sprintf("%s-%06x", name[:min(len(name), 20)], rand.N(1<<24)), Root: folder, Images: w.Images, Keep: w.Keep, Progress: w.Progress, Interval: p.ScrapeInterval,
		Rules: p.Set, Runbooks: p.Runbooks, Grammar: p.Grammar(), Prometheus: p.Prometheus, Alertmanager: p.Alertmanager,
		Compose: p.Compose, Operator: p.Operator, Volumes: p.Volumes,
		Respond: w.respond, Secrets: secretsScript(p.Secrets),
	})
	if err != nil {
		return err
	}
	return w.begin(ctx)
}

// begin brings a system that has seen nothing yet.
func (w *worker) begin(ctx context.Context) error {
	if err := w.testbed.Begin(ctx, w.ready); err != nil {
		return err
	}
	if w.Project.Ready == nil { // what has ended since
		if err := w.testbed.Running(ctx); err != nil {
			return err
		}
	}
	return w.noteSecrets(ctx)
}

func (w *worker) noteSecrets(ctx context.Context) error {
	if err := w.testbed.NoteSecrets(ctx, w.Secrets); err != nil {
		return fmt.Errorf("%s: secrets %q: %w", w.Project.File, w.Project.Secrets, err)
	}
	return nil
}

// ready returns once the system works: when the project's command says so, or when every service runs.
func (w *worker) ready(ctx context.Context) error {
	ready := w.Project.Ready
	if ready == nil {
		return w.testbed.Await(ctx, "every service to run", w.testbed.Running)
	}
	return w.testbed.Await(ctx, `"ready" to succeed`, func(ctx context.Context) error {
		err := w.command(ctx, *ready)
		if err != nil {
			err = errors.Join(err, w.testbed.Running(ctx))
		}
		return err
	})
}

// run runs a drill with the project's load, and notes the secrets of the operator's machine afterwards.
func (w *worker) run(ctx context.Context, t task) (journal.Proof, error) {
	w.responders = nil
	for _, r := range t.Responders {
		w.responders = append(w.responders, &responder{Responder: r})
	}
	loaded, stop := w.load(ctx)
	proof, err := t.do(loaded, w)
	stop()
	if ended := context.Cause(loaded); err != nil && errors.Is(ended, errLoadEnded) && ctx.Err() == nil {
		proof.Verdict, proof.Failure = journal.False, ended.Error()
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), testbed.Timeout)
	defer cancel()
	if noted := w.noteSecrets(after); noted != nil && err == nil {
		err = noted
		proof.Verdict, proof.Failure = journal.Unknown, noted.Error()
	}
	return proof, err
}

// secretsScript prints the content of the files that the patterns match, as testbed.Config.Secrets has it.
func secretsScript(patterns []string) string {
	if len(patterns) == 0 {
		return ""
	}
	var globs []string
	for _, pattern := range patterns {
		globs = append(globs, glob(pattern))
	}
	return "shopt -s nullglob; for file in " + strings.Join(globs, " ") + `; do
	if [ -f "$file" ]; then printf '%s\n' "$(<"$file")" '` + testbed.Separator + `' || exit; fi
done`
}

// glob is a pattern as bash takes it, whatever characters it has.
func glob(pattern string) string {
	return regexp.MustCompile(`[^A-Za-z0-9_./*?\[\]-]`).ReplaceAllString(pattern, `\$0`)
}
