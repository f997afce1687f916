package runbook

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// betweenSteps is how long the shell may take to start, to begin the next step, or to end.
	betweenSteps = time.Minute

	// interruptGrace is how long a program may take to end after Ctrl-C.
	interruptGrace = 5 * time.Second

	// maxUnanswered is how many bytes of output a prompt's pattern can look back.
	maxUnanswered = 64 << 10

	// maxLines and maxBytes limit how much of a step's commands and output an error repeats.
	maxLines = 10
	maxBytes = 2 << 10
)

// Terminal starts a command on a new pseudo-terminal, as the controlling terminal of a new session. What is written is
// typed, what is read is displayed. The context is for the start alone; Close ends the connection, and Read with it.
type Terminal func(ctx context.Context, argv []string) (io.ReadWriteCloser, error)

// Prompt is what somebody at the keyboard does when the running step asks: once Pattern is in the step's output,
// Answer is typed, and Enter. Output arrives in pieces, so Pattern must not match before the question is complete.
// Each occurrence is answered once.
type Prompt struct {
	Pattern *regexp.Regexp
	// Answer is given the match and its subexpressions. Its time is the step's.
	Answer func(ctx context.Context, match []string) (string, error)
}

// Follow runs the steps of a branch verbatim and in order in one bash with errexit and pipefail on a terminal. The
// labels are its variables, not exported. What a step sets, the next one has, except from a step that is to fail
// (Exit is not 0), which has a subshell to itself.
//
// The error says which step was not as it should be and what it displayed last; the transcript comes with it, up to and
// including that step. A step that takes too long, or is running when ctx ends, is sent Ctrl-C.
func Follow(ctx context.Context, start Terminal, b Branch, labels map[string]string, prompts ...Prompt) (Transcript, error) {
	left := 0
	for _, step := range b.Steps {
		if step.Run {
			left++
		}
	}
	if left == 0 {
		return nil, fmt.Errorf("follow %q: no step to run", b.Name)
	}
	tag := "firedrill;" + rand.Text()
	argv, err := command(tag, b, labels)
	if err != nil {
		return nil, fmt.Errorf("follow %q: %w", b.Name, err)
	}
	terminal, err := start(ctx, argv)
	if err != nil {
		return nil, fmt.Errorf("follow %q: start a terminal: %w", b.Name, err)
	}
	defer terminal.Close()

	s := &session{branch: b, terminal: terminal, tag: tag, left: left, recording: newRecording()}
	s.screen = screen{text: s.display, command: s.mark}
	for _, p := range prompts {
		s.prompts = append(s.prompts, &prompt{Prompt: p})
	}
	displayed, stop := s.read()
	defer stop()
	err = s.run(ctx, displayed)
	return s.log, err
}

// session is the run of a branch in a shell.
type session struct {
	branch   Branch
	terminal io.ReadWriteCloser
	tag      string
	screen   screen
	prompts  []*prompt

	log  Transcript
	next int // index of the step after the last one in log
	left int // steps that are to end yet

	running   *Step // nil between two steps
	started   time.Time
	recording *recording
	unasked   []byte // output of the running step, as far as a prompt may still match it

	limit  *time.Timer
	expiry time.Time // of limit

	interrupted bool
	over        bool // the inner shell has ended, with status
	status      int
}

// prompt is a Prompt and how many bytes of session.unasked it has dealt with.
type prompt struct {
	Prompt
	from int
}

// piece is what one Read from the terminal returned.
type piece struct {
	data []byte
	err  error
}

// read reads from the terminal until its end or a call of stop.
func (s *session) read() (displayed <-chan piece, stop func()) {
	pieces, stopped := make(chan piece), make(chan struct{})
	go func() {
		buffer := make([]byte, 32<<10)
		for {
			n, err := s.terminal.Read(buffer)
			select {
			case pieces <- piece{bytes.Clone(buffer[:n]), err}:
			case <-stopped:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return pieces, func() { close(stopped) }
}

// run handles the session from the first byte displayed to the end of the shell.
func (s *session) run(ctx context.Context, displayed <-chan piece) error {
	s.limit = time.NewTimer(betweenSteps)
	defer s.limit.Stop()
	s.allow(betweenSteps)
	for {
		select {
		case p := <-displayed:
			s.screen.Write(p.data)
			switch {
			case s.over:
				return s.verdict()
			case p.err != nil:
				return s.failed(fmt.Sprintf("the terminal ended: %v", p.err), nil)
			}
			if err := s.answer(ctx); err != nil && ctx.Err() == nil {
				s.interrupt(displayed)
				return s.failed("", err)
			}
		case <-s.limit.C:
			s.interrupt(displayed)
			if s.running == nil {
				return s.failed(fmt.Sprintf("the shell did nothing for %v", betweenSteps), nil)
			}
			return s.failed(fmt.Sprintf("timed out after %v and interrupted: allow more with {timeout=\"...\"} after the fence's language",
				s.running.Timeout), nil)
		case <-ctx.Done():
			what := "interrupted between two steps"
			if s.running != nil {
				what = fmt.Sprintf("interrupted after %v", brief(time.Since(s.started)))
			}
			s.interrupt(displayed)
			return s.failed(what, context.Cause(ctx))
		}
	}
}

// allow resets the time limit.
func (s *session) allow(d time.Duration) {
	s.limit.Reset(d)
	s.expiry = time.Now().Add(d)
}

// display handles the output of the shell and its programs.
func (s *session) display(text []byte) {
	s.recording.Write(text)
	if s.running == nil || len(s.prompts) == 0 {
		return
	}
	s.unasked = append(s.unasked, text...)
	if excess := len(s.unasked) - maxUnanswered; excess > 0 {
		s.unasked = append(s.unasked[:0], s.unasked[excess:]...)
		for _, p := range s.prompts {
			p.from = max(0, p.from-excess)
		}
	}
}

// mark handles the marks that the script writes. Other programs' terminal commands are ignored.
func (s *session) mark(command string) {
	mark, ours := strings.CutPrefix(command, s.tag+";")
	what, number, _ := strings.Cut(mark, ";")
	n, err := strconv.Atoi(number)
	switch {
	case !ours || err != nil || s.over:
		return
	case s.interrupted: // the shell has ended, or continues after Ctrl-C, which also ends the session
		s.over = true
		return
	}
	switch what {
	case "over":
		s.over, s.status = true, n
	case "begin":
		if s.running == nil && s.next <= n && n < len(s.branch.Steps) {
			s.begin(n)
		}
	case "end":
		if s.running != nil && n == s.next {
			s.end(s.running.Exit)
			s.left--
			s.allow(betweenSteps)
		}
	}
}

func (s *session) begin(index int) {
	s.skipTo(index)
	s.running = &s.branch.Steps[index]
	s.started = time.Now()
	s.unasked = s.unasked[:0]
	for _, p := range s.prompts {
		p.from = 0
	}
	s.allow(s.running.Timeout)
}

// skipTo adds the steps before index that are not run to the log.
func (s *session) skipTo(index int) {
	for ; s.next < index; s.next++ {
		result := s.result(s.branch.Steps[s.next])
		result.Skipped = true
		s.log = append(s.log, result)
	}
}

func (s *session) result(step Step) Result {
	step.Source = Redact(step.Source)
	return Result{Step: step, Branch: s.branch.Name, Index: s.next + 1, Of: len(s.branch.Steps)}
}

// end adds the running step to the log.
func (s *session) end(exit int) {
	result := s.result(*s.running)
	result.Output = s.recording.String()
	result.Exit = exit
	result.Started = s.started
	result.Duration = time.Since(s.started)
	s.log = append(s.log, result)
	s.next++
	s.running = nil
	s.recording = newRecording()
}

// answer types the answers to prompts in the output.
func (s *session) answer(ctx context.Context) error {
	if s.running == nil {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, s.expiry)
	defer cancel()
	for _, p := range s.prompts {
		for {
			found := p.Pattern.FindSubmatchIndex(s.unasked[p.from:])
			if found == nil || found[0] == found[1] { // an empty match
				break
			}
			var match []string
			for _, m := range p.Pattern.FindSubmatch(s.unasked[p.from:]) {
				match = append(match, string(m))
			}
			p.from += found[1]
			text, err := p.Answer(ctx, match)
			if err == nil {
				err = s.press(ctx, text+"\r")
			}
			if err != nil {
				return fmt.Errorf("answer its question %q within the step's %v: %w", match[0], s.running.Timeout, err)
			}
		}
	}
	return nil
}

// press types keys, for as long as ctx lasts.
func (s *session) press(ctx context.Context, keys string) error {
	pressed := make(chan error, 1)
	go func() {
		_, err := io.WriteString(s.terminal, keys)
		pressed <- err
	}()
	select {
	case err := <-pressed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// interrupt types Ctrl-C and waits for the shell to end, up to interruptGrace. It needs no context: the caller's may have ended.
func (s *session) interrupt(displayed <-chan piece) {
	s.interrupted = true
	ctx, cancel := context.WithTimeout(context.Background(), interruptGrace)
	defer cancel()
	if s.press(ctx, "\x03") != nil {
		return
	}
	for !s.over {
		select {
		case p := <-displayed:
			s.screen.Write(p.data)
			if p.err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// verdict returns the result of a session whose shell has ended by itself.
func (s *session) verdict() error {
	switch {
	case s.running == nil && s.left == 0:
		s.skipTo(len(s.branch.Steps))
		return nil
	case s.running == nil:
		return s.failed(fmt.Sprintf("the shell ended between two steps, exit %d", s.status), nil)
	case s.status == s.running.Exit:
		what := fmt.Sprintf("the step ended the shell, exit %d, and the rest did not run: put exit and exec into ( )", s.status)
		return s.failed(what, nil)
	}
	return s.failed(fmt.Sprintf("exit %d, expected %d", s.status, s.running.Exit), nil)
}

// failed adds the running step to the log and returns an error that says where and how the session failed. It wraps the
// cause, if there is one.
func (s *session) failed(what string, cause error) error {
	where := fmt.Sprintf("follow %q", s.branch.Name)
	output := s.recording.String()
	ran := ""
	if s.running != nil {
		exit := NoExit
		if s.over && !s.interrupted {
			exit = s.status
		}
		s.end(exit)
		last := s.log[len(s.log)-1]
		where, ran = last.where(), last.commands()
	}
	switch {
	case cause != nil && what != "":
		cause = fmt.Errorf("%s: %w", what, cause)
	case cause == nil:
		cause = errors.New(what)
	}
	return fmt.Errorf("%s: %w%s%s", where, cause, indented(beginning(ran)), indented(ending(output)))
}

// beginning returns the first lines of a text.
func beginning(text string) string {
	first := strings.ToValidUTF8(text[:min(len(text), maxBytes)], "\uFFFD")
	lines := strings.SplitAfterN(first, "\n", maxLines+1)
	if len(lines) > maxLines {
		lines = lines[:maxLines]
	}
	if shown := strings.Join(lines, ""); len(shown) < len(text) {
		return strings.TrimSuffix(shown, "\n") + "\n[...]"
	}
	return text
}

// ending returns the last lines of an output.
func ending(output string) string {
	output = strings.TrimRight(output, "\n")
	from := max(0, len(output)-maxBytes)
	lines := strings.Split(strings.ToValidUTF8(output[from:], "\uFFFD"), "\n")
	if len(lines) > maxLines {
		lines, from = lines[len(lines)-maxLines:], 1
	}
	if from > 0 {
		lines = append([]string{"[...]"}, lines...)
	}
	return strings.Join(lines, "\n")
}

// indented puts a text on indented lines, after a line break.
func indented(text string) string {
	if text == "" {
		return ""
	}
	return "\n  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ")
}
