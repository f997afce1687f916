package runbook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"
)

// localTerminal starts a command of this machine on a pseudo-terminal.
func localTerminal(_ context.Context, argv []string) (io.ReadWriteCloser, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	display, err := pty.Start(cmd)
	if err != nil {
		return nil, err
	}
	return &local{File: display, cmd: cmd}, nil
}

type local struct {
	*os.File
	cmd *exec.Cmd
}

// Close ends every program of the session, so that a read that waits for them returns.
func (l *local) Close() error {
	_ = syscall.Kill(-l.cmd.Process.Pid, syscall.SIGKILL)
	_ = l.cmd.Wait()
	return l.File.Close()
}

// branch makes a branch of a runbook's resolution from what stands beneath its heading.
func branch(t *testing.T, markdown string) Branch {
	t.Helper()
	r, err := Parse("runbooks/Test.md", []byte(complete(markdown)), Grammar{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.Branch("If Testing")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const header = `# Test

- **Severity:** critical
- **Alert:** Test
- **Trigger:** somebody tests
- **Duration:** 1h

## Resolution

`

func complete(markdown string) string {
	return header + "### If Testing\n\n" + markdown
}

// steps makes a fence of each source.
func steps(sources ...string) string {
	var b strings.Builder
	for _, source := range sources {
		b.WriteString("```bash\n" + source + "\n```\n\n")
	}
	return b.String()
}

func follow(t *testing.T, markdown string, prompts ...Prompt) Transcript {
	t.Helper()
	log, err := Follow(t.Context(), localTerminal, branch(t, markdown), nil, prompts...)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func outputs(log Transcript) []string {
	var all []string
	for _, r := range log {
		all = append(all, r.Output)
	}
	return all
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, ok := got.([]string); ok {
		got, want = strings.Join(g, "|"), strings.Join(want.([]string), "|")
	}
	if got != want {
		t.Errorf("%s is\n%v\nnot\n%v", what, got, want)
	}
}

func TestFollowKeepsTheStateOfTheShell(t *testing.T) {
	t.Parallel()
	log := follow(t, steps(
		"cd /usr\nvalue='a b'\ngreet() { echo \"hello $1\"; }\ntrap 'echo bye' EXIT",
		"pwd\ngreet \"$value\"",
		"set +o errexit +o pipefail\nfalse\ntrue",
		"shopt -o errexit pipefail\nset -o nounset",
		"echo ${missing-unset} $-",
	))
	got := outputs(log)
	equal(t, "the output", got[1], "/usr\nhello a b\n")
	equal(t, "the options of a later step", got[3], "errexit        \ton\npipefail       \ton\n")
	if !strings.Contains(got[4], "u") {
		t.Errorf("nounset is lost: %s", got[4])
	}
	for i, r := range log {
		if r.Index != i+1 || r.Of != 5 || r.Exit != 0 || r.Skipped || r.Started.IsZero() || r.Duration <= 0 || r.Branch != "If Testing" {
			t.Errorf("result %d is %+v", i, r)
		}
	}
}

func TestFollowIsOnATerminal(t *testing.T) {
	t.Parallel()
	log := follow(t, steps("test -t 0\ntest -t 1\ntest -t 2", "echo \"$PAGER $SYSTEMD_PAGER\""))
	equal(t, "the pager", log[1].Output, "cat cat\n")
}

func TestFollowRunsSourcesVerbatim(t *testing.T) {
	t.Parallel()
	log := follow(t, steps(
		`echo 'it'"'"'s' "\$x" \\ "a\tb" # a comment, it's one`,
		"cat <<'EOF'\n$HOME `date`\n  indented\nEOF",
		"echo one \\\n  two",
		"echo äöü → €",
		"if true; then\n  echo yes\nfi",
		"# no newline after this\necho last",
	))
	equal(t, "the output", outputs(log), []string{
		"it's $x \\ a\\tb\n", "$HOME `date`\n  indented\n", "one two\n", "äöü → €\n", "yes\n", "last\n",
	})
}

func TestFollowGivesLabelsAsVariables(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	labels := map[string]string{
		"domain":  "shop.example.com",
		"command": "$(touch " + dir + "/x) `touch " + dir + "/x`; touch " + dir + "/x",
		"quotes":  `it's "quoted" \ and ''`,
		"lines":   "one\n\ttwo\r",
		"unicode": "grün\u00a0\u200b→",
		"broken":  "\xff",
		"glob":    "* ~ !x {a,b} #",
		"empty":   "",
		"if":      "a keyword",
		"__path":  "-n",
		"escape":  "\x1b]firedrill;\a",
	}
	var source strings.Builder
	for name := range labels {
		source.WriteString("printf %s \"$" + name + "\" >" + dir + "/" + name + "\n")
	}
	source.WriteString("! env | grep -a -e ^domain= -e ^quotes=\n")
	if _, err := Follow(t.Context(), localTerminal, branch(t, steps(source.String())), labels); err != nil {
		t.Fatal(err)
	}
	for name, want := range labels {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("$%s is %q, not %q", name, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "x")); err == nil {
		t.Error("the value of a label was run")
	}
}

func TestFollowRefusesLabels(t *testing.T) {
	t.Parallel()
	never := func(context.Context, []string) (io.ReadWriteCloser, error) {
		t.Error("a terminal was started")
		return nil, io.EOF
	}
	for name, want := range map[string]string{
		"PATH":     `follow "If Testing": label ("PATH"): the shell or its programs use a variable of that name`,
		"IFS":      `follow "If Testing": label ("IFS"): the shell or its programs use a variable of that name`,
		"UID":      `follow "If Testing": label ("UID"): the shell or its programs use a variable of that name`,
		"_":        `follow "If Testing": label ("_"): the shell or its programs use a variable of that name`,
		"BASH_ENV": `follow "If Testing": label ("BASH_ENV"): the shell or its programs use a variable of that name`,
		"a.b":      `follow "If Testing": label ("a.b"): not a name that a shell variable can have`,
		"":         `follow "If Testing": label (""): not a name that a shell variable can have`,
		"x; rm":    `follow "If Testing": label ("x; rm"): not a name that a shell variable can have`,
		"nul":      `follow "If Testing": label ("nul"): a NUL byte in its value ("a\x00")`,
	} {
		_, err := Follow(t.Context(), never, branch(t, steps("true")), map[string]string{name: "a\x00"})
		if err == nil || err.Error() != want {
			t.Errorf("label %q: %v", name, err)
		}
	}
}

func TestFollowRefusesReservedVariables(t *testing.T) {
	t.Parallel()
	log := follow(t, steps("readonly -p | sed 's/^declare -[a-zA-Z]* //; s/=.*//'"))
	for name := range strings.Lines(log[0].Output) {
		if !reserved.MatchString(strings.TrimSpace(name)) {
			t.Errorf("%q could be the name of a label", name)
		}
	}
}

func TestFollowFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		markdown string
		want     string // the error
		exits    []int
	}{
		"errexit": {
			markdown: steps("echo fine", "echo before\nfalse\necho after", "echo never"),
			want: `runbooks/Test.md:17 "If Testing" 2/3: exit 1, expected 0
  $ echo before
  > false
  > echo after
  before`,
			exits: []int{0, 1},
		},
		"pipefail": {
			markdown: steps("(exit 3) | cat", "echo never"),
			want: `runbooks/Test.md:13 "If Testing" 1/2: exit 3, expected 0
  $ (exit 3) | cat`,
			exits: []int{3},
		},
		"the last status without errexit": {
			markdown: steps("set +e\nfalse", "echo never"),
			want: `runbooks/Test.md:13 "If Testing" 1/2: exit 1, expected 0
  $ set +e
  > false`,
			exits: []int{1},
		},
		"a success that was to be a failure": {
			markdown: "```bash {exit=1}\ntrue\n```\n" + steps("echo never"),
			want: `runbooks/Test.md:13 "If Testing" 1/2: exit 0, expected 1
  $ true`,
			exits: []int{0},
		},
		"another failure than expected": {
			markdown: "```bash {exit=1}\nset +e\nexit 2\n```\n" + steps("echo never"),
			want: `runbooks/Test.md:13 "If Testing" 1/2: exit 2, expected 1
  $ set +e
  > exit 2`,
			exits: []int{2},
		},
		"exit 0": {
			markdown: steps("exit 0", "echo never"),
			want: `runbooks/Test.md:13 "If Testing" 1/2: the step ended the shell, exit 0, and the rest did not run: put exit and exec into ( )
  $ exit 0`,
			exits: []int{0},
		},
		"exec": {
			markdown: steps("exec true", "echo never"),
			want: `runbooks/Test.md:13 "If Testing" 1/2: the step ended the shell, exit 0, and the rest did not run: put exit and exec into ( )
  $ exec true`,
			exits: []int{0},
		},
		"a trap of the step's own": {
			markdown: steps("trap 'echo cleaned up' EXIT", "exec >/dev/null 2>&1", "(exit 4)", "echo never"),
			want: `runbooks/Test.md:21 "If Testing" 3/4: exit 4, expected 0
  $ (exit 4)`,
			exits: []int{0, 0, 4},
		},
		"a status of two digits of IFS": {
			markdown: steps("IFS=1", "set +e\n(exit 21)", "echo never"),
			want: `runbooks/Test.md:17 "If Testing" 2/3: exit 21, expected 0
  $ set +e
  > (exit 21)`,
			exits: []int{0, 21},
		},
		"a killed shell": {
			markdown: steps("kill -9 $$ 2>&1", "echo never"),
			want:     `runbooks/Test.md:13 "If Testing" 1/2: exit 137, expected 0`,
			exits:    []int{137},
		},
		"the last lines": {
			markdown: steps("seq 100\nfalse"),
			want: `runbooks/Test.md:13 "If Testing" 1/1: exit 1, expected 0
  $ seq 100
  > false
  [...]
  91
  92
  93
  94
  95
  96
  97
  98
  99
  100`,
			exits: []int{1},
		},
		"what bash alone refuses": {
			markdown: steps("return 0"),
			want: `runbooks/Test.md:13 "If Testing" 1/1: exit 2, expected 0
  $ return 0`,
			exits: []int{2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, err := Follow(t.Context(), localTerminal, branch(t, c.markdown), nil)
			if err == nil {
				t.Fatalf("no error, but\n%s", log)
			}
			if !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("the error is\n%v\nnot\n%s", err, c.want)
			}
			if strings.Contains(log.String(), "never\n") {
				t.Errorf("a later step ran:\n%s", log)
			}
			var exits []int
			for _, r := range log {
				exits = append(exits, r.Exit)
			}
			if !slices.Equal(exits, c.exits) {
				t.Errorf("the exits are %v, not %v", exits, c.exits)
			}
		})
	}
}

func TestFollowExpectedFailureAndSkippedStep(t *testing.T) {
	t.Parallel()
	log := follow(t, "```bash {run=false}\necho not run\n```\n"+
		"```bash {exit=3}\nkept=no\necho one\n(exit 3)\necho two\n```\n"+
		"```bash {run=false}\necho not run\n```\n"+
		"```bash {exit=1}\nfalse | cat\n```\n"+
		"```bash\necho ${kept-unset}\nfalse || echo three\n```\n"+
		"```bash {run=false}\necho not run\n```\n")
	equal(t, "the output", outputs(log), []string{"", "one\n", "", "", "unset\nthree\n", ""})
	for i, r := range log {
		if r.Skipped != (i == 0 || i == 2 || i == 5) || r.Index != i+1 || r.Of != 6 {
			t.Errorf("result %d is %+v", i, r)
		}
	}
	if log[1].Exit != 3 || log[3].Exit != 1 {
		t.Errorf("the exits are %d and %d", log[1].Exit, log[3].Exit)
	}
}

func TestFollowWithoutSteps(t *testing.T) {
	t.Parallel()
	_, err := Follow(t.Context(), localTerminal, Branch{Name: "Escalation", Steps: []Step{{Source: "true"}}}, nil)
	if err == nil || err.Error() != `follow "Escalation": no step to run` {
		t.Error(err)
	}
}

func TestFollowRefusesLongScripts(t *testing.T) {
	t.Parallel()
	long := Step{Source: ": " + strings.Repeat("x", maxStepSize-2), Run: true}
	_, err := Follow(t.Context(), localTerminal, Branch{Name: "Long", Steps: []Step{long, long, long, long}}, nil)
	if err == nil || !strings.HasPrefix(err.Error(), `follow "Long": the steps are 13`) {
		t.Error(err)
	}
	long.Timeout = time.Minute
	if _, err := Follow(t.Context(), localTerminal, Branch{Name: "Long", Steps: []Step{long, long, long}}, nil); err != nil {
		t.Error(err)
	}
}

func TestFollowTimeout(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"a program":                   "sleep 600\necho after",
		"a program that carries on":   "bash -c 'trap \"exit 0\" INT; read x'\necho after",
		"a question to nobody":        "read x\necho after",
		"a subshell":                  "(sleep 600)\necho after",
		"a shell that carries on":     "trap : INT; sleep 600 || true",
		"a program that does not end": "trap 'sleep 600' INT; sleep 600",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, err := Follow(t.Context(), localTerminal, branch(t, "```bash {timeout=\"100ms\"}\n"+source+"\n```\n"+steps("sleep 600")), nil)
			want := `runbooks/Test.md:13 "If Testing" 1/2: timed out after 100ms and interrupted: allow more with {timeout="..."} after the fence's language
  $ ` + strings.ReplaceAll(source, "\n", "\n  > ")
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("the error is\n%v\nnot\n%s", err, want)
			}
			if len(log) != 1 || log[0].Exit != NoExit || strings.Contains(log[0].Output, "after") {
				t.Errorf("the transcript is\n%v", log)
			}
		})
	}
}

// shell is a fake bash: it writes its marks with mark, what its programs write to display, and is given the
// keys that are pressed.
type shell func(mark func(string), display io.Writer, keys <-chan string)

// fakeShell returns a terminal with a fake shell.
func fakeShell(sh shell) Terminal {
	return func(_ context.Context, argv []string) (io.ReadWriteCloser, error) {
		tag := regexp.MustCompile(`firedrill;\w+`).FindString(argv[len(argv)-1])
		displayed, display := io.Pipe()
		p := &fakeTerminal{displayed, make(chan string), make(chan struct{})}
		go sh(func(mark string) { _, _ = io.WriteString(display, "\x1b]"+tag+";"+mark+"\a") }, display, p.keys)
		return p, nil
	}
}

type fakeTerminal struct {
	*io.PipeReader
	keys   chan string
	closed chan struct{}
}

func (p *fakeTerminal) Write(keys []byte) (int, error) {
	select {
	case p.keys <- string(keys):
		return len(keys), nil
	case <-p.closed:
		return 0, io.ErrClosedPipe
	}
}

func (p *fakeTerminal) Close() error {
	close(p.closed)
	return p.PipeReader.Close()
}

func TestFollowTimeoutIsPerStep(t *testing.T) {
	const start = `runbooks/Test.md:13 "If Testing" 1/2: `
	for name, c := range map[string]struct {
		shell  shell
		answer func(context.Context, []string) (string, error)
		want   string
		took   time.Duration
	}{
		"interrupted": {
			shell: func(mark func(string), display io.Writer, keys <-chan string) {
				mark("begin;0")
				_, _ = io.WriteString(display, "working\r\n")
				_, _ = fmt.Fprintf(display, "keys %q\r\n", <-keys)
				mark("over;130")
			},
			want: start + "timed out after 2m0s and interrupted: allow more with {timeout=\"...\"} after the fence's language\n  $ one\n  working\n  keys \"\\x03\"",
			took: 2 * time.Minute,
		},
		"deaf": {
			shell: func(mark func(string), display io.Writer, keys <-chan string) {
				mark("begin;0")
				_, _ = io.WriteString(display, "working\r\n")
			},
			want: start + "timed out after 2m0s and interrupted: allow more with {timeout=\"...\"} after the fence's language\n  $ one\n  working",
			took: 2*time.Minute + interruptGrace,
		},
		"carrying on": {
			shell: func(mark func(string), display io.Writer, keys <-chan string) {
				mark("begin;0")
				<-keys
				mark("end;0")
				mark("begin;1")
				_, _ = io.WriteString(display, "never\r\n")
			},
			want: start + "timed out after 2m0s and interrupted: allow more with {timeout=\"...\"} after the fence's language\n  $ one",
			took: 2 * time.Minute,
		},
		"not answered": {
			shell: func(mark func(string), display io.Writer, keys <-chan string) {
				mark("begin;0")
				_, _ = io.WriteString(display, "Why? ")
				<-keys
				mark("over;130")
			},
			answer: func(ctx context.Context, _ []string) (string, error) {
				<-ctx.Done()
				return "", ctx.Err()
			},
			want: start + "answer its question \"Why? \" within the step's 2m0s: context deadline exceeded\n  $ one\n  Why? ",
			took: 2 * time.Minute,
		},
		"answered to nobody": {
			shell: func(mark func(string), display io.Writer, keys <-chan string) {
				mark("begin;0")
				_, _ = io.WriteString(display, "Why? ")
			},
			answer: func(context.Context, []string) (string, error) { return "because", nil },
			want:   start + "answer its question \"Why? \" within the step's 2m0s: context deadline exceeded\n  $ one\n  Why? ",
			took:   2*time.Minute + interruptGrace,
		},
		"never starting": {
			shell: func(mark func(string), display io.Writer, keys <-chan string) {
				_, _ = io.WriteString(display, "Welcome.\r\n")
			},
			want: "follow \"If Testing\": the shell did nothing for 1m0s\n  Welcome.",
			took: betweenSteps + interruptGrace,
		},
		"never going on": {
			shell: func(mark func(string), display io.Writer, keys <-chan string) {
				mark("begin;0")
				mark("end;0")
			},
			want: "follow \"If Testing\": the shell did nothing for 1m0s",
			took: betweenSteps + interruptGrace,
		},
		"over too early": {
			shell: func(mark func(string), display io.Writer, keys <-chan string) {
				mark("begin;0")
				mark("end;0")
				mark("over;0")
			},
			want: "follow \"If Testing\": the shell ended between two steps, exit 0",
		},
		"slow but fine": {
			shell: func(mark func(string), display io.Writer, keys <-chan string) {
				for _, step := range []string{"0", "1"} {
					time.Sleep(59 * time.Second)
					mark("begin;" + step)
					time.Sleep(59 * time.Second)
					mark("end;" + step)
				}
				time.Sleep(59 * time.Second)
				mark("over;0")
			},
			took: 5 * 59 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				started := time.Now()
				b := branch(t, "```bash {timeout=\"2m\"}\none\n```\n"+steps("two"))
				var prompts []Prompt
				if c.answer != nil {
					prompts = []Prompt{{regexp.MustCompile(`Why\? `), c.answer}}
				}
				_, err := Follow(t.Context(), fakeShell(c.shell), b, nil, prompts...)
				if got := fmt.Sprint(err); err == nil && c.want != "" || err != nil && got != c.want {
					t.Errorf("the error is\n%v\nnot\n%s", err, c.want)
				}
				if took := time.Since(started); took != c.took {
					t.Errorf("it took %v, not %v", took, c.took)
				}
			})
		})
	}
}

func TestFollowCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	enough := errors.New("somebody had enough")
	asked := Prompt{
		Pattern: regexp.MustCompile(`working`),
		Answer: func(context.Context, []string) (string, error) {
			cancel(enough)
			return "", nil
		},
	}
	log, err := Follow(ctx, localTerminal, branch(t, steps("echo first", "echo working\nsleep 60", "echo never")), nil, asked)
	if !errors.Is(err, enough) || !strings.Contains(err.Error(), `runbooks/Test.md:17 "If Testing" 2/3: `) {
		t.Error(err)
	}
	if len(log) != 2 || log[0].Exit != 0 || log[1].Exit != NoExit || !strings.HasPrefix(log[1].Output, "working\n") {
		t.Errorf("the transcript is\n%v", log)
	}
}

func TestFollowPrompts(t *testing.T) {
	t.Parallel()
	log := follow(t, steps(
		"read -rp 'Press Enter to Continue'; echo; echo continued",
		"read -rp 'Your name: ' name; read -rp \"$(tput bold 2>/dev/null)Sure, $name? (y/n) \" sure; echo \"<$name> <$sure>\"",
		"for i in 1 2 3; do read -rp 'Again? ' a; echo \"got $a\"; done",
		"stty -echo; printf 'Is 1 odd? Is 2 odd? '; read -r a; read -r b; stty echo; echo \"$a $b\"",
	),
		Prompt{regexp.MustCompile(`Press Enter to Continue`), func(context.Context, []string) (string, error) { return "", nil }},
		Prompt{regexp.MustCompile(`Your name: `), func(context.Context, []string) (string, error) { return "Ann Äpfel", nil }},
		Prompt{regexp.MustCompile(`Sure, (.*)\? \(y/n\) `), func(_ context.Context, match []string) (string, error) { return "yes " + match[1], nil }},
		Prompt{regexp.MustCompile(`Again\? `), countdown()},
		Prompt{regexp.MustCompile(`Is (\d) odd\? `), func(_ context.Context, match []string) (string, error) { return "about " + match[1], nil }},
		Prompt{regexp.MustCompile(`x*`), func(context.Context, []string) (string, error) { return "", errors.New("an empty match was answered") }},
	)
	equal(t, "the output", outputs(log), []string{
		"Press Enter to Continue\n\ncontinued\n",
		"Your name: Ann Äpfel\nSure, Ann Äpfel? (y/n) yes Ann Äpfel\n<Ann Äpfel> <yes Ann Äpfel>\n",
		"Again? c\ngot c\nAgain? b\ngot b\nAgain? a\ngot a\n",
		"Is 1 odd? Is 2 odd? about 1 about 2\n",
	})
}

func countdown() func(context.Context, []string) (string, error) {
	left := []string{"a", "b", "c"}
	return func(context.Context, []string) (string, error) {
		last := left[len(left)-1]
		left = left[:len(left)-1]
		return last, nil
	}
}

func TestFollowPromptError(t *testing.T) {
	t.Parallel()
	unknown := errors.New("nobody knows")
	ask := Prompt{regexp.MustCompile(`Why\? `), func(context.Context, []string) (string, error) { return "", unknown }}
	log, err := Follow(t.Context(), localTerminal, branch(t, steps("read -rp 'Why? '", "echo never")), nil, ask)
	want := `runbooks/Test.md:13 "If Testing" 1/2: answer its question "Why? " within the step's 1m0s: nobody knows
  $ read -rp 'Why? '
  Why? `
	if !errors.Is(err, unknown) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("the error is\n%v\nnot\n%s", err, want)
	}
	if len(log) != 1 {
		t.Errorf("the transcript is\n%v", log)
	}
}

func TestFollowRunawayOutput(t *testing.T) {
	t.Parallel()
	log := follow(t, steps("echo first; seq 300000; echo last", "head -c 300000 /dev/zero | tr '\\0' x; echo"))
	got := log[0].Output
	if !strings.HasPrefix(got, "first\n1\n2\n") || !strings.HasSuffix(got, "\n299999\n300000\nlast\n") {
		t.Errorf("the output begins %.20q and ends %q", got, got[len(got)-20:])
	}
	left := regexp.MustCompile(`\n\[(\d+) bytes left out\]\n`).FindStringSubmatch(got)
	if left == nil || len(got) > 2*keep+100 {
		t.Errorf("%d bytes are kept, %v left out", len(got), left)
	}
	equal(t, "the length of one long line", len(log[1].Output), 2*keep+len("\n[168929 bytes left out]\n"))
}

func TestFollowErrorIsShort(t *testing.T) {
	t.Parallel()
	_, err := Follow(t.Context(), localTerminal, branch(t, steps("head -c 100000 /dev/zero | tr '\\0' x; false")), nil)
	if err == nil || len(err.Error()) > 3000 || !strings.Contains(err.Error(), "\n  [...]\n  xxx") {
		t.Errorf("the error is\n%.500v", err)
	}
	_, err = Follow(t.Context(), localTerminal, branch(t, steps(strings.Repeat(": x\n", 1000)+"false")), nil)
	if want := ": exit 1, expected 0\n  $ : x\n" + strings.Repeat("  > : x\n", 9) + "  [...]"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("the error is\n%.500v", err)
	}
}

func TestFollowLeavesOutPrivateKeys(t *testing.T) {
	t.Parallel()
	const key = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0IHNlY3JldA==\n-----END EC PRIVATE KEY-----"
	b := branch(t, "```bash {exit=1}\ncat <<'EOF'\nbefore\n"+key+"\nafter\nEOF\nfalse\n```\n"+
		"```bash {run=false}\necho '"+key+"'\n```\n"+
		steps("cat <<'EOF'\n"+key+"\nEOF\nfalse"))
	log, err := Follow(t.Context(), localTerminal, b, nil)
	if err == nil {
		t.Fatal("no error")
	}
	equal(t, "the output", log[0].Output, "before\n[private key left out]\nafter\n")
	for _, text := range []string{log.String(), err.Error(), log[0].Step.Source, log[1].Step.Source, log[2].Step.Source} {
		if strings.Contains(text, "c2Vj") || !strings.Contains(text, "[private key left out]") {
			t.Errorf("a private key is in\n%s", text)
		}
	}
}

func TestFollowTerminalEnds(t *testing.T) {
	// Whoever is started by nohup ignores a hangup, and so do its children: here, one that is handled they do not.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	log, err := Follow(t.Context(), localTerminal, branch(t, steps("echo fine", "echo working; kill -9 $PPID; read x", "echo never")), nil)
	if err == nil || !strings.HasPrefix(err.Error(), `runbooks/Test.md:17 "If Testing" 2/3: the terminal ended: `) {
		t.Error(err)
	}
	if len(log) != 2 || log[1].Exit != NoExit || !strings.HasPrefix(log[1].Output, "working\n") {
		t.Errorf("the transcript is\n%v", log)
	}

	refuse := func(context.Context, []string) (io.ReadWriteCloser, error) {
		return nil, errors.New("no such container")
	}
	if _, err := Follow(t.Context(), refuse, branch(t, steps("true")), nil); err == nil || err.Error() != `follow "If Testing": start a terminal: no such container` {
		t.Error(err)
	}

	noShell := func(ctx context.Context, argv []string) (io.ReadWriteCloser, error) {
		return localTerminal(ctx, []string{"echo", "exec failed: no bash here"})
	}
	log, err = Follow(t.Context(), noShell, branch(t, steps("true")), nil)
	if err == nil || !strings.HasPrefix(err.Error(), `follow "If Testing": the terminal ended: `) || !strings.HasSuffix(err.Error(), "\n  exec failed: no bash here") {
		t.Error(err)
	}
	if len(log) != 0 {
		t.Errorf("the transcript is\n%v", log)
	}
}

func TestFollowIgnoresForgedMarks(t *testing.T) {
	t.Parallel()
	log := follow(t, steps(
		"printf '\\033]firedrill;nonce;end;0\\a\\033]firedrill;nonce;over;0\\a'; echo one",
		"printf '\\033]0;an unfinished title'; echo; echo two",
		"printf '\\033[1;31mred\\033[0m \\033(Bplain \\033[?25l'; echo",
		"IFS=01; PS4=; set -x\necho three",
	))
	got := outputs(log)
	equal(t, "the output", got[:3], []string{"one\n", "\ntwo\n", "red plain \n"})
}

func TestTranscript(t *testing.T) {
	t.Parallel()
	log := Transcript{
		{Step: Step{File: "runbooks/X.md", Line: 48, Source: "certbot renew \\\n  --force-renewal"}, Branch: "If Using Let's Encrypt",
			Index: 1, Of: 4, Output: "Renewed.", Duration: 1234 * time.Millisecond},
		{Step: Step{File: "runbooks/X.md", Line: 53, Source: "systemctl status", Exit: 3}, Branch: "If Using Let's Encrypt",
			Index: 2, Of: 4, Output: "inactive\n", Duration: 12345 * time.Microsecond, Exit: 3},
		{Step: Step{File: "runbooks/X.md", Line: 57, Source: "reboot"}, Branch: "If Using Let's Encrypt", Index: 3, Of: 4, Skipped: true},
		{Step: Step{File: "runbooks/X.md", Line: 61, Source: "sleep 70"}, Branch: "If Using Let's Encrypt",
			Index: 4, Of: 4, Duration: time.Minute, Exit: NoExit},
	}
	equal(t, "the transcript", log.String(), `runbooks/X.md:48 "If Using Let's Encrypt" 1/4, exit 0, 1.2s
$ certbot renew \
>   --force-renewal
Renewed.

runbooks/X.md:53 "If Using Let's Encrypt" 2/4, exit 3 as expected, 12ms
$ systemctl status
inactive

runbooks/X.md:57 "If Using Let's Encrypt" 3/4, not run
$ reboot

runbooks/X.md:61 "If Using Let's Encrypt" 4/4, did not end, 1m0s
$ sleep 70
`)
}
