package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// heartbeat is how often a build that takes long says that it goes on.
const heartbeat = 15 * time.Second

// progress tells what is being built. It is safe for concurrent use.
type progress struct {
	mu      sync.Mutex
	out     io.Writer
	running []*task // in the order in which they started
	ticker  *time.Ticker
	ended   chan struct{}
}

// task is one build under way.
type task struct {
	what  string
	began time.Time
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, ticker: time.NewTicker(heartbeat), ended: make(chan struct{})}
	go func() {
		for {
			select {
			case now := <-p.ticker.C:
				p.beat(now)
			case <-p.ended:
				return
			}
		}
	}()
	return p
}

// stop ends the heartbeat.
func (p *progress) stop() {
	p.ticker.Stop()
	close(p.ended)
}

// line prints one line.
func (p *progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format+"\n", args...)
}

// start tells that something begins, and how long it tends to take. The function that it returns
// tells what came of it.
func (p *progress) start(what, doing, takes string) (end func(outcome string)) {
	if takes != "" {
		doing += " (" + takes + ")"
	}
	p.line("%s: %s", what, doing)
	t := &task{what: what, began: time.Now()}
	p.mu.Lock()
	p.running = append(p.running, t)
	p.mu.Unlock()
	return func(outcome string) {
		p.mu.Lock()
		p.running = slices.DeleteFunc(p.running, func(other *task) bool { return other == t })
		p.mu.Unlock()
		p.line("%s: %s after %v", what, outcome, time.Since(t.began).Round(100*time.Millisecond))
	}
}

// outcome is what came of something that ended with err.
func outcome(ctx context.Context, err error) string {
	switch {
	case err == nil:
		return "ready"
	case ctx.Err() != nil:
		return "stopped"
	}
	return "failed"
}

// beat tells what is still under way.
func (p *progress) beat(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.running) == 0 {
		return
	}
	var going []string
	for _, t := range p.running {
		going = append(going, fmt.Sprintf("%s for %v", t.what, now.Sub(t.began).Round(time.Second)))
	}
	fmt.Fprintf(p.out, "  still at it: %s\n", strings.Join(going, ", "))
}

// quote prints the lines of a log.
func (p *progress) quote(lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range lines {
		fmt.Fprintf(p.out, "  | %s\n", line)
	}
}

// tail is a log of which the last lines are kept.
type tail struct {
	lines []string
	rest  []byte // a line that has not ended yet
}

// colors are the escape sequences that the Engine paints a command's complaints with.
var colors = regexp.MustCompile("\x1b\\[[0-9;]*m")

// tailLines is how many lines of a failed build's log are shown.
const tailLines = 25

func (t *tail) Write(b []byte) (int, error) {
	t.rest = append(t.rest, b...)
	for {
		line, rest, ended := bytes.Cut(t.rest, []byte("\n"))
		if !ended {
			return len(b), nil
		}
		t.rest = rest
		if line := strings.TrimRight(colors.ReplaceAllString(string(line), ""), "\r \t"); line != "" {
			t.lines = append(t.lines, line)
		}
		if over := len(t.lines) - tailLines; over > 0 {
			t.lines = slices.Delete(t.lines, 0, over)
		}
	}
}
