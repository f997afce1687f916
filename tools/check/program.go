package check

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stemedb/firedrill/tools/nearest"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// programs are those that a host has.
type programs struct {
	file  string
	names map[string]bool
}

// loadPrograms reads an inventory: the names of a host's programs, one a line, empty lines and # comments aside.
// Without a path, there is none.
func loadPrograms(file string) (*programs, error) {
	if file == "" {
		return nil, nil
	}
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() { // opening a pipe waits for its writer
		return nil, fmt.Errorf("%s: not a regular file: name a file with the host's programs, one a line", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the host's programs: %w", err)
	}
	defer f.Close()
	p := &programs{file: file, names: map[string]bool{}}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		name := strings.TrimSpace(lines.Text())
		switch {
		case name == "" || strings.HasPrefix(name, "#"):
		case strings.ContainsAny(name, " \t/\x00"):
			return nil, fmt.Errorf("%s:%d: not the name of a program (%.80q): write one name a line, without its folder", file, n, name)
		default:
			p.names[name] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w: write the host's programs, one a line", file, err)
	}
	if len(p.names) == 0 {
		return nil, fmt.Errorf("%s: names no program: write the host's programs, one a line", file)
	}
	return p, nil
}

// wrapper is a program that runs another, which its arguments name.
type wrapper struct {
	values   string // the options that take the next argument for their value
	operands int    // how many arguments stand before the other program
}

var (
	wrappers = map[string]wrapper{
		"builtin": {},
		"chrt":    {values: "-T -P -D", operands: 1},
		"command": {},
		"doas":    {values: "-C -u"},
		"env":     {values: "-u --unset -C --chdir"},
		"exec":    {values: "-a"},
		"flock":   {values: "-E --conflict-exit-code -w --wait --timeout", operands: 1},
		"ionice":  {values: "-c --class -n --classdata"},
		"nice":    {values: "-n --adjustment"},
		"nohup":   {},
		"runuser": {values: "-u --user -g --group -G --supp-group"},
		"setsid":  {},
		"stdbuf":  {values: "-i --input -o --output -e --error"},
		"sudo":    {values: "-C --close-from -D --chdir -g --group -h --host -p --prompt -R --chroot -T --command-timeout -u --user -U --other-user"},
		"time":    {values: "-f --format -o --output"},
		"timeout": {values: "-k --kill-after -s --signal", operands: 1},
		"watch":   {values: "-n --interval"},
		"xargs":   {values: "-a --arg-file -d --delimiter -E -I -L --max-lines -n --max-args -P --max-procs -s --max-chars --process-slot-var"},
	}
	shells     = []string{"bash", "dash", "sh"}
	finders    = []string{"-exec", "-execdir", "-ok", "-okdir"}
	assignment = regexp.MustCompile(`^[A-Za-z_]\w*=`)
	programDir = regexp.MustCompile(`^/(usr/(local/)?)?s?bin$`)
)

// programs finds what the steps of a runbook run and the host does not have.
func (c *checker) programs(scripts []script, host *programs) {
	own := map[string]bool{} // what the runbook defines, or looks for before it runs it
	for _, s := range scripts {
		if isOpen(s.file) {
			return // what is read from elsewhere may define any command
		}
		defines(s.file, own)
	}
	for _, s := range scripts {
		if !s.Run {
			continue
		}
		eachProgram(s.file, func(word *syntax.Word, name string) {
			base := name
			switch {
			case strings.HasPrefix(name, "/") && programDir.MatchString(path.Dir(name)):
				base = path.Base(name)
			case strings.Contains(name, "/") || strings.HasPrefix(name, "~"):
				return // the inventory has names only
			}
			if own[name] || own[base] || host.names[base] || interp.IsBuiltin(name) {
				return
			}
			hint := nearest.Within(1, base, slices.Collect(maps.Keys(host.names)))
			if hint != "" {
				hint = fmt.Sprintf(" (it has %q)", hint)
			}
			c.reportPlace(c.placeOf(s, word.Pos(), word.End()), "runbook/program", "the host has no program %q%s: fix the name, or install it and add it to %s", name, hint, host.file)
		})
	}
}

// isOpen reports whether a script reads commands from elsewhere.
func isOpen(file *syntax.File) bool {
	open := false
	visit(file, func(node syntax.Node, _ []syntax.Node) {
		if call, ok := node.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			name, _ := plainText(call.Args[0])
			open = open || name == "." || name == "source" || name == "eval"
		}
	})
	return open
}

// defines adds to own the functions and files that a script makes, and the commands that it looks for.
func defines(file *syntax.File, own map[string]bool) {
	visit(file, func(node syntax.Node, _ []syntax.Node) {
		switch node := node.(type) {
		case *syntax.FuncDecl:
			if node.Name != nil { // the parser accepts a function without a name, bash does not
				own[node.Name.Value] = true
			}
		case *syntax.Redirect:
			if node.Op != syntax.RdrIn && node.Word != nil {
				made(node.Word, own)
			}
		case *syntax.CallExpr:
			if len(node.Args) == 0 {
				return
			}
			switch name, _ := plainText(node.Args[0]); name {
			case "alias":
				for _, arg := range node.Args[1:] {
					word, _, _ := strings.Cut(literalText(arg), "=")
					own[word] = true
				}
			case "command", "hash", "type", "which":
				for _, arg := range node.Args[1:] {
					if name != "command" || slices.ContainsFunc(node.Args[1:], isQuestion) {
						own[literalText(arg)] = true
					}
				}
			case "chmod", "cp", "curl", "install", "ln", "mv", "tee", "wget":
				for _, arg := range node.Args[1:] {
					made(arg, own)
				}
			}
		}
	})
}

// literalText returns a word as the shell leaves it; empty where that is not known.
func literalText(word *syntax.Word) string {
	plain, _ := plainText(word)
	return plain
}

func isQuestion(word *syntax.Word) bool {
	return slices.Contains([]string{"-v", "-V"}, literalText(word))
}

func made(word *syntax.Word, own map[string]bool) {
	if file := literalText(word); strings.Contains(file, "/") {
		own[file] = true
		own[path.Base(file)] = true
	}
}

// eachProgram calls found for each program that a script runs by name, alone or through a wrapper.
func eachProgram(file *syntax.File, found func(word *syntax.Word, name string)) {
	visit(file, func(node syntax.Node, _ []syntax.Node) {
		if call, ok := node.(*syntax.CallExpr); ok {
			command(call.Args, found, 0)
		}
	})
}

// command finds the programs in the words of one command.
func command(words []*syntax.Word, found func(word *syntax.Word, name string), depth int) {
	const deepest = 10 // wrappers in wrappers
	if len(words) == 0 || depth > deepest {
		return
	}
	name, ok := plainText(words[0])
	if !ok || name == "" {
		return
	}
	found(words[0], name)
	args := words[1:]
	base := path.Base(name)
	switch w, isWrapper := wrappers[base]; {
	case isWrapper:
		if base == "command" && slices.ContainsFunc(args, isQuestion) {
			return
		}
		if inner := unwrap(w, args); len(inner) > 0 {
			if base == "watch" {
				nested(inner[0], found, depth)
				return
			}
			command(inner, found, depth+1)
		}
	case slices.Contains(shells, base):
		if i := slices.IndexFunc(args, func(w *syntax.Word) bool { return literalText(w) == "-c" }); i >= 0 && i+1 < len(args) {
			nested(args[i+1], found, depth)
		}
	case base == "find":
		for i, arg := range args {
			if slices.Contains(finders, literalText(arg)) {
				command(args[i+1:], found, depth+1)
			}
		}
	}
}

// unwrap returns the words of the command that a wrapper's arguments name.
func unwrap(w wrapper, args []*syntax.Word) []*syntax.Word {
	values := strings.Fields(w.values)
	for len(args) > 0 {
		arg, ok := plainText(args[0])
		switch {
		case !ok && !assignment.MatchString(leading(args[0])):
			return nil // an option or a program
		case arg == "--":
			return past(args[1:], w.operands)
		case slices.Contains(values, arg):
			args = past(args, 2)
		case strings.HasPrefix(arg, "-") || assignment.MatchString(leading(args[0])):
			args = args[1:]
		default:
			return past(args, w.operands)
		}
	}
	return nil
}

func past(words []*syntax.Word, n int) []*syntax.Word { return words[min(n, len(words)):] }

// leading returns the literal text that a word begins with.
func leading(word *syntax.Word) string {
	if lit, ok := word.Parts[0].(*syntax.Lit); ok {
		return lit.Value
	}
	return ""
}

// nested finds the programs in a script that is one word of another. Their place is that of the word.
func nested(word *syntax.Word, found func(word *syntax.Word, name string), depth int) {
	source, ok := plainText(word)
	if !ok {
		return
	}
	file := parseShell(source)
	if file == nil {
		return
	}
	own := map[string]bool{}
	defines(file, own)
	visit(file, func(node syntax.Node, _ []syntax.Node) {
		if call, ok := node.(*syntax.CallExpr); ok {
			command(call.Args, func(_ *syntax.Word, name string) {
				if !own[name] {
					found(word, name)
				}
			}, depth+1)
		}
	})
}
