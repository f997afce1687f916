package runbook

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"mvdan.cc/sh/v3/syntax"
)

// attributes lists what braces may contain, for messages.
const attributes = `exit=1, run=false, timeout="2m" or #name, separated by spaces`

var stepName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// language is what a fence's language makes of its code.
type language struct {
	name      string
	isStep    bool
	isSession bool // it may have prompts
	isPlain   bool // it may have commands, or any other text
}

// plainLanguages are those of fences in which people show what to type, and output, tables and messages too.
var plainLanguages = []string{"", "text", "txt", "plain", "plaintext", "terminal", "shell-session", "shellsession", "sh-session", "zsh", "ksh"}

// readInfo reads what follows the marks of a fence: the language and the exceptions in braces. The languages in also are
// steps beside bash and sh. The step that it returns has no source yet.
func readInfo(info string, also []string) (step Step, l language, err error) {
	name, rest := info, ""
	if i := strings.IndexAny(info, " \t{"); i >= 0 {
		name, rest = info[:i], info[i:]
	}
	l = language{name: name, isStep: name == "bash" || name == "sh", isSession: name == "shell" || name == "console", isPlain: slices.Contains(plainLanguages, strings.ToLower(name))}
	l.isStep = l.isStep || l.isSession && slices.Contains(also, name)
	step = Step{Run: true, Timeout: DefaultTimeout}
	switch {
	case l.isStep:
	case strings.EqualFold(name, "bash"):
		l.isStep = true
		return step, l, fmt.Errorf("unknown language (%q): bash, in lower case, for a step", name)
	case strings.Contains(rest, "{"):
		return step, l, fmt.Errorf("braces on a fence that is not a step (%q): the language bash for a step, no braces for prose", info)
	default:
		return step, l, nil
	}

	braces := strings.TrimSpace(rest)
	if braces == "" {
		return step, l, nil
	}
	if rest[0] == '{' {
		return step, l, fmt.Errorf("no space between the language and the braces (%q): %q", info, name+" "+rest)
	}
	inner, opened := strings.CutPrefix(braces, "{")
	inner, ended := strings.CutSuffix(inner, "}")
	if !opened || !ended {
		return step, l, fmt.Errorf("text after the language (%q): nothing, or braces with %s", braces, attributes)
	}
	return step, l, step.readAttributes(inner)
}

func (s *Step) readAttributes(text string) error {
	seen := map[string]bool{}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		attribute, key, value, rest, err := cutAttribute(text)
		if err != nil {
			return err
		}
		text = rest
		if seen[key] {
			return fmt.Errorf("%s is given twice (%q): give it once", key, attribute)
		}
		seen[key] = true

		switch key {
		case "#name":
			if !stepName.MatchString(value) {
				return fmt.Errorf("not a name (%q): a letter, then letters, digits, - and _", attribute)
			}
			s.Name = value
		case "exit":
			status, err := strconv.ParseUint(value, 10, 8)
			if err != nil {
				return fmt.Errorf("not an exit status (%q): a number from 0 to 255", attribute)
			}
			s.Exit = int(status)
		case "run":
			if value != "false" {
				return fmt.Errorf("not a way to run a step (%q): run=false, or nothing for a step that runs", attribute)
			}
			s.Run = false
		case "timeout":
			limit, err := model.ParseDuration(value)
			if err != nil || limit <= 0 {
				return fmt.Errorf("not a time limit (%q): a duration in Prometheus's notation, such as timeout=\"2m\"", attribute)
			}
			s.Timeout = time.Duration(limit)
		default:
			return fmt.Errorf("unknown attribute (%q): %s", attribute, attributes)
		}
	}
	return nil
}

// cutAttribute cuts the first attribute off a text that begins with one.
func cutAttribute(text string) (attribute, key, value, rest string, err error) {
	end := strings.IndexAny(text, " \t")
	if equals := strings.Index(text, `="`); equals >= 0 && (end < 0 || equals < end) {
		quote := strings.IndexByte(text[equals+2:], '"')
		if quote < 0 {
			return "", "", "", "", fmt.Errorf("a quotation that does not end (%q): a second \" after the value", text)
		}
		end = equals + 2 + quote + 1
		if end < len(text) && !strings.ContainsRune(" \t", rune(text[end])) {
			return "", "", "", "", fmt.Errorf("no space between two attributes (%q): %s", text, attributes)
		}
		return text[:end], text[:equals], text[equals+2 : end-1], text[end:], nil
	}
	if end < 0 {
		end = len(text)
	}
	attribute, rest = text[:end], text[end:]
	if name, ok := strings.CutPrefix(attribute, "#"); ok {
		return attribute, "#name", name, rest, nil
	}
	key, value, _ = strings.Cut(attribute, "=")
	return attribute, key, value, rest, nil
}

// typed makes the source of a terminal session that of a step: what follows the prompt stays, with the lines on
// which the command goes on, and output becomes empty lines. It reports whether there is anything to type. In a fence of shell, all
// is commands where there is no prompt, or where "# " begins some lines, which are comments then.
func (s *Step) typed(isShell bool) bool {
	lines := strings.Split(s.Source, "\n")
	prompt := ""
	for _, p := range []string{"# ", "$ "} { // beside "$ ", "# " begins a comment
		if slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " \t"), p) }) {
			prompt = p
		}
	}
	if prompt == "" {
		return isShell && strings.TrimSpace(s.Source) != ""
	}
	isCode := func(line string) bool {
		return strings.TrimSpace(line) != "" && !strings.HasPrefix(strings.TrimSpace(line), "# ")
	}
	if prompt == "# " && isShell && slices.ContainsFunc(lines, isCode) {
		return true // a script with comments
	}
	first, last, begun, continues := -1, 0, 0, false
	for i, line := range lines {
		command, isCommand := strings.CutPrefix(strings.TrimLeft(line, " \t"), prompt)
		switch {
		case continues:
			lines[i] = strings.TrimPrefix(line, "> ")
		case isCommand:
			lines[i], begun = command, i
		default:
			lines[i] = ""
			continue
		}
		if first < 0 {
			first = i
		}
		last, continues = i, isUnfinished(lines[begun:i+1])
	}
	s.Line += first
	s.Source = strings.Join(lines[first:last+1], "\n")
	return true
}

// isUnfinished tells whether a command goes on in the next line: after a backslash, or in a quotation or here-document.
func isUnfinished(lines []string) bool {
	const most = 200 // lines, since each is parsed with those before
	if strings.HasSuffix(lines[len(lines)-1], `\`) {
		return true
	}
	command := Step{Source: strings.Join(lines, "\n")}
	if len(lines) > most || len(command.Source) > maxStepSize {
		return false
	}
	_, _, err := command.parse()
	return syntax.IsIncomplete(err) || err != nil && strings.Contains(err.Error(), "unclosed here-document")
}

// prompted returns the first command of a script, its comments aside, if that has a prompt.
func prompted(source string) (command string, found bool) {
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			return line, strings.HasPrefix(line, "$ ")
		}
	}
	return "", false
}
