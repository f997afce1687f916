package check

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// invocation is a program with its arguments, without the wrappers around it.
type invocation struct {
	name     string   // without its folder
	args     []string // as the shell leaves them, and notKnown for one that has variables
	words    []*syntax.Word
	wrappers []string // those around it, the outermost first
}

// notKnown stands for an argument of which only the shell knows the text.
const notKnown = "\x00"

// invoked returns the program that the words of a command run in the end. It is not ok where only the shell knows.
func invoked(words []*syntax.Word) (i invocation, ok bool) {
	for len(words) > 0 {
		name, isPlain := plainText(words[0])
		if !isPlain || name == "" {
			return i, false
		}
		i.name, i.words, i.args = path.Base(name), words, nil
		for _, word := range words[1:] {
			arg, isPlain := plainText(word)
			if !isPlain {
				arg = notKnown
				if leading(word) != "" && strings.HasPrefix(leading(word), "-") {
					arg = leading(word) + notKnown
				}
			}
			i.args = append(i.args, arg)
		}
		w, isWrapper := wrappers[i.name]
		if !isWrapper || i.name == "command" && slices.ContainsFunc(words[1:], isQuestion) {
			return i, true
		}
		inner := unwrap(w, words[1:])
		if len(inner) == 0 {
			return i, true
		}
		i.wrappers = append(i.wrappers, i.name)
		words = inner
	}
	return i, false
}

// valueLetters are the options of one letter after which the rest of an argument is a value, as in -nmonitoring.
var valueLetters = map[string]string{
	"crictl": "n", "docker": "Hcepuvwnl", "docker-compose": "pnu", "journalctl": "DMScgnoptuUi", "kubectl": "nclospL", "nerdctl": "Hcepuvwnl",
	"oc": "nclospL", "podman": "cepuvwnl", "sudo": "CDghpRTuU", "tail": "cns",
}

// has tells whether one of the options is given: "-f", also among others as in -xf, or "--follow", also with a value.
func (i invocation) has(options ...string) bool { return i.option(options...) >= 0 }

// option returns the index of the first argument that gives one of the options, or -1.
func (i invocation) option(options ...string) int {
	return slices.IndexFunc(i.args, func(arg string) bool {
		return slices.ContainsFunc(options, func(option string) bool {
			long := strings.HasPrefix(option, "--")
			if long || len(option) != 2 || !strings.HasPrefix(arg, "-") || strings.HasPrefix(arg, "--") {
				return arg == option || long && strings.HasPrefix(arg, option+"=")
			}
			before, _, found := strings.Cut(arg[1:], option[1:])
			return found && !strings.ContainsAny(before, valueLetters[i.name])
		})
	})
}

// operands returns the arguments that are no options nor their values. Values lists the options that take the next
// argument for their value. What stands behind "--" is all operands.
func (i invocation) operands(values string) (operands []string) {
	for _, n := range i.operandsAt(values) {
		operands = append(operands, i.args[n])
	}
	return operands
}

// operandsAt is operands, and returns their indices.
func (i invocation) operandsAt(values string) (at []int) {
	taking := strings.Fields(values)
	isOver := false
	for n := 0; n < len(i.args); n++ {
		switch arg := i.args[n]; {
		case isOver:
			at = append(at, n)
		case arg == "--":
			isOver = true
		case slices.Contains(taking, arg):
			n++
		case strings.HasPrefix(arg, "-") && arg != "-":
		default:
			at = append(at, n)
		}
	}
	return at
}

// inside returns the invocation that kubectl exec or docker exec and the like run in a container.
func (i invocation) inside() (inner invocation, ok bool) {
	at := 0
	switch i.name {
	case "kubectl", "oc":
		words := i.operandsAt(kubectlValues)
		over := slices.Index(i.args, "--")
		switch {
		case len(words) > 1 && i.args[words[0]] == "exec" && over > words[0]:
			at = over + 1
		case len(words) > 2 && i.name == "oc" && i.args[words[0]] == "rsh":
			at = words[2]
		default:
			return inner, false
		}
	case "docker", "podman", "nerdctl", "crictl", "docker-compose":
		words := i.operandsAt(dockerValues)
		if len(words) > 0 && i.args[words[0]] == "compose" {
			words = words[1:]
		}
		if len(words) < 3 || i.args[words[0]] != "exec" {
			return inner, false
		}
		at = words[2]
	default:
		return inner, false
	}
	return invoked(i.words[at+1:])
}

const (
	// kubectlValues are the options before or behind a command of kubectl that take the next argument for their value.
	kubectlValues = "-n --namespace --context --cluster --kubeconfig -s --server --user --as --token -c --container -o --output -l --selector " +
		"-f --filename --field-selector --tail --since -p --timeout --image --shell --request-timeout --as-group --cache-dir --certificate-authority --for --sort-by"
	dockerValues = "-H --host --context -e --env -u --user -w --workdir -v --volume --name --network -p --publish -f --file --project-name --profile " +
		"--env-file --project-directory -n --tail --since --until --format --filter"
)

// script returns the text that a shell is given behind -c.
func (i invocation) script() (word *syntax.Word, file *syntax.File) {
	at := i.option("-c")
	if !slices.Contains(allShells, i.name) || at < 0 || at+1 >= len(i.args) || i.args[at+1] == notKnown {
		return nil, nil
	}
	return i.words[at+2], parseShell(i.args[at+1])
}
