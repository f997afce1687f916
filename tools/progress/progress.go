// Package progress prints what takes long: as it begins, from time to time, and as it ends.
package progress

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

// heartbeat is how often what is under way is printed.
const heartbeat = 15 * time.Second

// Log prints what is being built. It is safe for concurrent use.
type Log struct {
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

// New returns a log that prints on out, until Stop.
func New(out io.Writer) *Log {
	p := &Log{out: out, ticker: time.NewTicker(heartbeat), ended: make(chan struct{})}
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

// Stop ends the heartbeat.
func (p *Log) Stop() {
	p.ticker.Stop()
	close(p.ended)
}

// Line prints one line.
func (p *Log) Line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format+"\n", args...)
}

// Start prints that something begins and, unless takes is "", how long it takes. The function that it returns prints the
// outcome.
func (p *Log) Start(what, doing, takes string) (end func(outcome string)) {
	if takes != "" {
		doing += " (" + takes + ")"
	}
	p.Line("%s: %s", what, doing)
	t := &task{what: what, began: time.Now()}
	p.mu.Lock()
	p.running = append(p.running, t)
	p.mu.Unlock()
	return func(outcome string) {
		p.mu.Lock()
		p.running = slices.DeleteFunc(p.running, func(other *task) bool { return other == t })
		p.mu.Unlock()
		p.Line("%s: %s after %v", what, outcome, time.Since(t.began).Round(100*time.Millisecond))
	}
}

// Outcome is the outcome, as Start's function takes it, of what ended with err.
func Outcome(ctx context.Context, err error) string {
	switch {
	case err == nil:
		return "ready"
	case ctx.Err() != nil:
		return "stopped"
	}
	return "failed"
}

// beat prints the tasks under way.
func (p *Log) beat(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.running) == 0 {
		return
	}
	var going []string
	for _, t := range p.running {
		going = append(going, fmt.Sprintf("%s for %v", t.what, now.Sub(t.began).Round(time.Second)))
	}
	fmt.Fprintf(p.out, "  still building: %s\n", strings.Join(going, ", "))
}

// Quote prints the lines of a log.
func (p *Log) Quote(lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range lines {
		fmt.Fprintf(p.out, "  | %s\n", line)
	}
}

// Tail keeps the last lines of a log. It is safe for concurrent use.
type Tail struct {
	mu    sync.Mutex
	lines []string
	rest  []byte // a line that has not ended yet
}

// colors are the escape sequences in which the Engine prints a command's standard error.
var colors = regexp.MustCompile("\x1b\\[[0-9;]*m")

// tailLines is how many lines of a failed build's log are shown.
const tailLines = 20

func (t *Tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
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

// Lines are the last lines, 20 at most.
func (t *Tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines)
}
