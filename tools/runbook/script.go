package runbook

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxScriptSize is what fits into one argument of a Linux program, in bytes, with room to spare.
const maxScriptSize = 120 << 10

// supervisor is the outer of two shells. It reports the exit status of the inner one, which runs the steps, even if a step
// ends it by exit, exec, a trap or a signal.
const supervisor = `bash --noprofile --norc -c "$1"
printf '\033]%s;over;%%d\a' "$?" >/dev/tty
`

// reserved matches variables that bash, the dynamic loader or common programs use.
var reserved = regexp.MustCompile(`^(_|BASH.*|COMP_.*|COMPREPLY|HIST.*|LC_.*|LD_.*|PS[0-4]|READLINE_.*|SYSTEMD_.*|` +
	`CDPATH|COLUMNS|COPROC|DIRSTACK|EDITOR|ENV|EPOCH.*|EUID|EXECIGNORE|FUNCNAME|FUNCNEST|GLOBIGNORE|GROUPS|HOME|HOSTNAME|` +
	`IFS|LANG|LANGUAGE|LINENO|LINES|LOGNAME|MAIL.*|MAPFILE|OLDPWD|OPTARG|OPTERR|OPTIND|PAGER|PATH|PIPESTATUS|` +
	`POSIXLY_CORRECT|PPID|PROMPT_COMMAND|PWD|RANDOM|REPLY|SECONDS|SHELL|SHELLOPTS|SHLVL|SRANDOM|TERM|TIMEFORMAT|TMOUT|` +
	`TMPDIR|TZ|UID|USER|VISUAL)$`)

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// command returns the command line of a shell that runs the steps of a branch one after the other. Each mark that it
// leaves on the terminal between them begins with tag.
func command(tag string, b Branch, labels map[string]string) ([]string, error) {
	var script strings.Builder
	// After Ctrl-C no further command may run, even if a program survives it. A pager would wait for input.
	script.WriteString("trap 'exit 130' INT\nexport PAGER=cat SYSTEMD_PAGER=cat\n")
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		switch {
		case !variable.MatchString(name):
			return nil, fmt.Errorf("label (%q): not a name that a shell variable can have", name)
		case reserved.MatchString(name):
			return nil, fmt.Errorf("label (%q): the shell or its programs use a variable of that name", name)
		case strings.ContainsRune(labels[name], 0):
			return nil, fmt.Errorf("label (%q): a NUL byte in its value (%q)", name, labels[name])
		}
		fmt.Fprintf(&script, "declare +x %s=%s\n", name, quote(labels[name]))
	}
	for i, step := range b.Steps {
		if !step.Run {
			continue
		}
		// An earlier step may have changed the options.
		script.WriteString("set -o errexit -o pipefail\n")
		fmt.Fprintf(&script, "printf '\\033]%s;begin;%d\\a' >/dev/tty\n", tag, i)
		if step.Exit == 0 {
			fmt.Fprintf(&script, "eval %s\n", quote(step.Source))
		} else {
			// In an || or an if, errexit would be off inside the step as well.
			fmt.Fprintf(&script, "set +o errexit\n( set -o errexit\neval %s\n)\n", quote(step.Source))
		}
		fmt.Fprintf(&script, "case $? in %d) ;; *) exit \"$?\" ;; esac\n", step.Exit)
		fmt.Fprintf(&script, "printf '\\033]%s;end;%d\\a' >/dev/tty\n", tag, i)
	}
	if script.Len() > maxScriptSize {
		return nil, fmt.Errorf("the steps are %d bytes of shell, and at most %d fit into a command line", script.Len(), maxScriptSize)
	}
	return []string{"bash", "--noprofile", "--norc", "-c", fmt.Sprintf(supervisor, tag), "bash", script.String()}, nil
}

// quote makes any text without NUL one word of the shell. Unlike $'\u00a0', which syntax.Quote may write, single
// quotes mean the same in every locale.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
