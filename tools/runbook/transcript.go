package runbook

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// NoExit is the exit status of a step that did not end.
const NoExit = -1

// Transcript holds the results of a session's steps, in order.
type Transcript []Result

// Result is the result of one step, without private keys.
type Result struct {
	Step      Step
	Branch    string // the heading that was followed
	Index, Of int    // the step's place among those of the branch, counted from 1

	// Output is what the terminal displayed, input included, as plain text. Of a very long one, the middle is left out.
	Output   string
	Exit     int // or NoExit
	Started  time.Time
	Duration time.Duration
	Skipped  bool // the step is only shown, so it was not run
}

// String is the whole transcript as plain text.
func (t Transcript) String() string {
	var parts []string
	for _, r := range t {
		parts = append(parts, r.String())
	}
	return strings.Join(parts, "\n")
}

// String is the step's position and exit status, its commands and its output.
func (r Result) String() string {
	ended := fmt.Sprintf("exit %d", r.Exit)
	switch {
	case r.Skipped:
		return fmt.Sprintf("%s, not run\n%s", r.where(), r.commands())
	case r.Exit == NoExit:
		ended = "did not end"
	case r.Exit == r.Step.Exit && r.Exit != 0:
		ended += " as expected"
	}
	output := r.Output
	if output != "" && !strings.HasSuffix(output, "\n") {
		output += "\n"
	}
	return fmt.Sprintf("%s, %s, %v\n%s%s", r.where(), ended, brief(r.Duration), r.commands(), output)
}

func (r Result) where() string {
	return fmt.Sprintf("%s:%d %q %d/%d", r.Step.File, r.Step.Line, r.Branch, r.Index, r.Of)
}

// commands returns the step as it looks when typed.
func (r Result) commands() string {
	return "$ " + strings.ReplaceAll(r.Step.Source, "\n", "\n> ") + "\n"
}

func brief(d time.Duration) time.Duration {
	if d >= time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}

// keep is how many bytes a recording keeps of the beginning, and of the end.
const keep = 64 << 10

// recording keeps the beginning and the end of a step's output, without private keys.
type recording struct {
	redactor
	head, tail []byte
	written    int
}

func newRecording() *recording {
	r := new(recording)
	r.redactor.pass = r.keep
	return r
}

func (r *recording) keep(p []byte) {
	r.written += len(p)
	n := min(len(p), keep-len(r.head))
	r.head = append(r.head, p[:n]...)
	r.tail = append(r.tail, p[n:]...)
	if len(r.tail) > 2*keep { // not at each write, which would copy much more than is written
		r.tail = append(r.tail[:0], r.tail[len(r.tail)-keep:]...)
	}
}

// String returns the output. No write may follow.
func (r *recording) String() string {
	r.finish()
	tail := r.tail[max(0, len(r.tail)-keep):]
	output := string(r.head)
	if left := r.written - len(r.head) - len(tail); left > 0 {
		output += fmt.Sprintf("\n[%d bytes left out]\n", left)
	}
	return strings.ToValidUTF8(output+string(tail), "\uFFFD")
}

var (
	keyBegins = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]{0,20}PRIVATE KEY( BLOCK)?-----`)
	keyEnds   = regexp.MustCompile(`-----END [A-Z0-9 ]{0,20}PRIVATE KEY( BLOCK)?-----`)
)

const (
	// maxKeyMark is more than the length of what keyBegins and keyEnds match.
	maxKeyMark = 64

	keyNotice = "[private key left out]"
)

// redactor passes on a text without the private keys that are in it in PEM. It holds back
// bytes that may begin a key's first or last line. A key that does not end hides everything after it.
type redactor struct {
	pass  func([]byte)
	held  []byte
	inKey bool
}

func (r *redactor) Write(p []byte) {
	r.held = append(r.held, p...)
	for {
		mark := keyBegins
		if r.inKey {
			mark = keyEnds
		}
		found := mark.FindIndex(r.held)
		if found == nil {
			r.release(max(0, len(r.held)-maxKeyMark))
			return
		}
		r.release(found[0])
		r.held = r.held[found[1]-found[0]:]
		r.inKey = !r.inKey
		if r.inKey {
			r.pass([]byte(keyNotice))
		}
	}
}

// release passes on the first n bytes that are held, or drops them.
func (r *redactor) release(n int) {
	if !r.inKey {
		r.pass(r.held[:n])
	}
	r.held = r.held[n:]
}

// finish releases what is held back. No write may follow.
func (r *redactor) finish() { r.release(len(r.held)) }

// Redact returns a text without the private keys that are in it in PEM. A key that does not end hides everything after it.
func Redact(text string) string {
	var kept strings.Builder
	r := redactor{pass: func(p []byte) { kept.Write(p) }}
	r.Write([]byte(text))
	r.finish()
	return kept.String()
}
