package runbook

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// attributes lists what braces may contain, for messages.
const attributes = `exit=1, run=false, timeout="2m" or #name, separated by spaces`

var stepName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// readInfo reads what follows the marks of a fence: the language and the exceptions in braces. The step that it
// returns has no source yet.
func readInfo(info string) (step Step, isStep bool, err error) {
	language, rest := info, ""
	if i := strings.IndexAny(info, " \t{"); i >= 0 {
		language, rest = info[:i], info[i:]
	}
	step = Step{Run: true, Timeout: DefaultTimeout}
	switch {
	case language == "bash":
	case strings.EqualFold(language, "bash"):
		return step, true, fmt.Errorf("unknown language (%q): bash, in lower case, for a step", language)
	case strings.Contains(rest, "{"):
		return step, false, fmt.Errorf("braces on a fence that is not a step (%q): the language bash for a step, no braces for prose", info)
	default:
		return step, false, nil
	}

	braces := strings.TrimSpace(rest)
	if braces == "" {
		return step, true, nil
	}
	if rest[0] == '{' {
		return step, true, fmt.Errorf("no space between the language and the braces (%q): %q", info, "bash "+rest)
	}
	inner, opened := strings.CutPrefix(braces, "{")
	inner, ended := strings.CutSuffix(inner, "}")
	if !opened || !ended {
		return step, true, fmt.Errorf("text after the language (%q): nothing, or braces with %s", braces, attributes)
	}
	return step, true, step.readAttributes(inner)
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
