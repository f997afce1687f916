package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// waiting finds the commands of a step that wait for a person, who is not there while the step runs, or that never end.
func (c *checker) waiting(s script) {
	c.waitingIn(s, s.file, nil, nil)
}

// waitingIn looks at a step, or at a script that is one word of it and stands within some of its nodes.
func (c *checker) waitingIn(s script, file *syntax.File, word *syntax.Word, outside []syntax.Node) {
	report := func(from, to syntax.Pos, what string) {
		if word != nil {
			from, to = word.Pos(), word.End()
		}
		c.reportPlace(c.placeOf(s, from, to), "runbook/waits", "%s", what)
	}
	editor := slices.ContainsFunc(slices.Collect(maps.Keys(sets(file))), isEditor)
	visit(file, func(node syntax.Node, within []syntax.Node) {
		within = slices.Concat(outside, within)
		switch node := node.(type) {
		case *syntax.WhileClause:
			if isEndless(node) && isInFront(within) {
				report(node.WhilePos, node.DoPos, "a loop that never ends: leave it with break, or limit it as in for i in $(seq 30)")
			}
		case *syntax.ForClause:
			if node.Select && !hasInput(within) {
				report(node.ForPos, node.DoPos, "select waits for a person to choose: set the variable in a step, or use a label of the alert")
			}
		case *syntax.CallExpr:
			isEditing := editor || slices.ContainsFunc(node.Assigns, func(a *syntax.Assign) bool { return a.Name != nil && isEditor(a.Name.Value) })
			i, ok := invoked(node.Args)
			if !ok || isEditing || isBounded(i) {
				return
			}
			if inner, file := i.script(); file != nil && len(outside) == 0 { // one level is enough
				c.waitingIn(s, file, cmp.Or(word, inner), append(within, node))
			}
			if why := i.waits(node, within); why != "" {
				report(node.Args[0].Pos(), node.Args[len(node.Args)-1].End(), why)
			}
		}
	})
}

// isEditor tells whether a variable names the editor that other programs start, which a script may then be.
func isEditor(name string) bool { return strings.HasSuffix(name, "EDITOR") || name == "VISUAL" }

// isBounded tells whether a program is ended by another, gets its input from another, or replaces the shell.
func isBounded(i invocation) bool {
	return i.name == "timeout" || slices.ContainsFunc(i.wrappers, func(w string) bool {
		return w == "timeout" || w == "xargs" || w == "exec" || w == "env" && i.name == "env"
	})
}

// isInFront tells whether what stands within these nodes runs to its end before the next command. In a function, or with
// its output going to another program, that is not known.
func isInFront(within []syntax.Node) bool {
	var inner syntax.Node
	for _, outer := range slices.Backward(within) {
		switch outer := outer.(type) {
		case *syntax.FuncDecl, *syntax.CoprocClause, *syntax.ProcSubst:
			return false
		case *syntax.Stmt:
			if outer.Background {
				return false
			}
		case *syntax.BinaryCmd:
			if (outer.Op == syntax.Pipe || outer.Op == syntax.PipeAll) && outer.X == inner && !isEndlessFilter(outer.Y) {
				return false
			}
		}
		inner = outer
	}
	return true
}

// isEndlessFilter tells whether a program reads its input to the end.
func isEndlessFilter(stmt *syntax.Stmt) bool {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok {
		return false
	}
	i, ok := invoked(call.Args)
	switch {
	case !ok || slices.Contains(i.wrappers, "timeout"):
		return false
	case slices.Contains([]string{"grep", "egrep", "fgrep"}, i.name):
		return !i.has("-m", "--max-count", "-q", "--quiet", "--silent", "-l", "-L")
	}
	return slices.Contains([]string{"cat", "cut", "jq", "nl", "sort", "tee", "tr", "ts", "uniq", "wc"}, i.name)
}

// hasInput tells whether what stands within these nodes reads from somewhere else than the terminal, or may.
func hasInput(within []syntax.Node) bool {
	var inner syntax.Node
	for _, outer := range slices.Backward(within) {
		switch outer := outer.(type) {
		case *syntax.FuncDecl, *syntax.CoprocClause:
			return true // it depends on who calls it
		case *syntax.Stmt:
			if outer.Background || slices.ContainsFunc(outer.Redirs, isInput) {
				return true
			}
		case *syntax.BinaryCmd:
			if (outer.Op == syntax.Pipe || outer.Op == syntax.PipeAll) && outer.Y == inner {
				return true
			}
		}
		inner = outer
	}
	return false
}

func isInput(r *syntax.Redirect) bool {
	switch r.Op {
	case syntax.RdrIn, syntax.RdrInOut, syntax.DplIn, syntax.Hdoc, syntax.DashHdoc, syntax.WordHdoc:
		return (r.N == nil || r.N.Value == "0") && literalText(r.Word) != "/dev/tty"
	}
	return false
}

// showsOnTerminal tells whether the output of what stands within these nodes goes to the terminal.
func showsOnTerminal(within []syntax.Node) bool {
	var inner syntax.Node
	for _, outer := range slices.Backward(within) {
		switch outer := outer.(type) {
		case *syntax.CmdSubst, *syntax.ProcSubst, *syntax.FuncDecl, *syntax.CoprocClause:
			return false
		case *syntax.Stmt:
			if outer.Background || slices.ContainsFunc(outer.Redirs, isOutput) {
				return false
			}
		case *syntax.BinaryCmd:
			if (outer.Op == syntax.Pipe || outer.Op == syntax.PipeAll) && outer.X == inner {
				return false
			}
		}
		inner = outer
	}
	return true
}

// isEndless tells whether a loop has a condition that always holds, and nothing in it that leaves it.
func isEndless(loop *syntax.WhileClause) bool {
	if len(loop.Cond) != 1 {
		return false
	}
	call, ok := loop.Cond[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) != 1 || loop.Cond[0].Negated {
		return false
	}
	always := []string{"true", ":"}
	if loop.Until {
		always = []string{"false"}
	}
	if !slices.Contains(always, literalText(call.Args[0])) {
		return false
	}
	leaves := false
	for _, stmt := range loop.Do {
		visit(stmt, func(node syntax.Node, _ []syntax.Node) {
			if call, ok := node.(*syntax.CallExpr); ok && len(call.Args) > 0 {
				leaves = leaves || slices.Contains([]string{"break", "exit", "return", "exec", "kill"}, literalText(call.Args[0]))
			}
		})
	}
	return !leaves
}

// waits says why a command waits for a person or never ends, and what to write; empty where it does neither, or where that
// is not known.
func (i invocation) waits(call *syntax.CallExpr, within []syntax.Node) string {
	if i.has("--help", "--version") || len(i.args) == 1 && slices.Contains([]string{"help", "version", "-V"}, i.args[0]) {
		return ""
	}
	if slices.Contains(i.wrappers, "watch") || i.name == "watch" {
		ends := slices.ContainsFunc(call.Args, func(w *syntax.Word) bool {
			return slices.Contains([]string{"-g", "--chgexit", "--equexit"}, literalText(w))
		})
		if ends || !isInFront(within) || !showsOnTerminal(within) {
			return ""
		}
		return "watch never ends: write the command that it repeats, or a loop with an end"
	}
	if why := asks(i, hasInput(within), showsOnTerminal(within)); why != "" {
		return why
	}
	if what := endless(i); what != "" && isInFront(within) {
		return what
	}
	if inner, ok := i.inside(); ok && !isBounded(inner) {
		isTyped := !hasInput(within) && (i.has("-i", "--stdin", "--interactive", "-t", "--tty") || i.name == "oc" || i.name == "docker-compose" || slices.Contains(i.args, "compose"))
		if why := asks(inner, !isTyped, isTyped && showsOnTerminal(within)); why != "" {
			return why
		}
		if what := endless(inner); what != "" && isInFront(within) {
			return what
		}
	}
	return ""
}

// shellFix is what to write in place of a shell on another machine or in a container.
const shellFix = "opens a shell, into which the next lines are not typed"

// endless says which programs go on until somebody ends them.
func endless(i invocation) string {
	never := func(what, fix string) string { return fmt.Sprintf("%s never ends: %s", what, fix) }
	bound := "bound it as in timeout 30 " + i.name
	switch i.name {
	case "tail":
		if i.has("-f", "-F", "--follow") && !i.has("--pid") {
			return never("tail -f", "leave out -f, or "+bound+" -f")
		}
	case "journalctl":
		if i.has("-f", "--follow") {
			return never("journalctl -f", "leave out -f, and write --since or -n")
		}
	case "dmesg":
		if i.has("-w", "--follow", "-W", "--follow-new") {
			return never("dmesg --follow", "leave out --follow")
		}
	case "ping", "ping6":
		if !i.has("-c", "-w") {
			return never(i.name, "write -c 3")
		}
	case "vmstat", "iostat", "mpstat", "pidstat", "sar", "dstat":
		numbers := 0
		for _, arg := range i.operands("-P -p -n -s -e -f -i -o -G -C -U -j") {
			if number.MatchString(arg) {
				numbers++
			}
		}
		if numbers == 1 && (i.name != "dstat") {
			return never(i.name+" with an interval", "write how many reports behind the interval")
		}
	case "tcpdump":
		if !i.has("-c", "-r", "-D", "-G") {
			return never("tcpdump", "write -c with a number of packets, or "+bound)
		}
	case "sleep":
		if len(i.args) == 1 && (i.args[0] == "infinity" || i.args[0] == "inf") {
			return never("sleep infinity", "write how long to wait")
		}
	case "kubectl", "oc":
		return endlessKubectl(i)
	case "docker", "podman", "nerdctl", "crictl", "docker-compose":
		return endlessDocker(i)
	}
	return ""
}

func endlessKubectl(i invocation) string {
	words := i.operands(kubectlValues)
	switch {
	case len(words) == 0:
	case words[0] == "logs" && i.has("-f", "--follow") && !i.has("--follow=false"):
		return i.name + " logs -f never ends: leave out -f, and write --since or --tail"
	case words[0] == "get" && i.has("-w", "--watch", "--watch-only") && !i.has("--watch=false"):
		return i.name + " get --watch never ends: leave out --watch, or wait with " + i.name + " wait --for"
	case words[0] == "port-forward" || words[0] == "proxy":
		return fmt.Sprintf("%s %s never ends: run it in the background with &, and end it in a later step", i.name, words[0])
	}
	return ""
}

func endlessDocker(i invocation) string {
	words := i.operands(dockerValues)
	name := i.name
	isCompose := name == "docker-compose"
	if len(words) > 1 && words[0] == "compose" {
		name, words, isCompose = name+" compose", words[1:], true
	}
	switch {
	case len(words) == 0:
	case words[0] == "logs" && i.follows(isCompose):
		return name + " logs -f never ends: leave out -f, and write --since or --tail"
	case words[0] == "stats" && !isCompose && !i.has("--no-stream") && i.name != "crictl":
		return name + " stats never ends: write --no-stream"
	case words[0] == "events" && !i.has("--until"):
		return name + " events never ends: write --since and --until"
	case words[0] == "up" && isCompose && !i.has("-d", "--detach", "--wait", "--abort-on-container-exit", "--abort-on-container-failure", "--exit-code-from", "--no-start"):
		return name + " up stays in front: write -d"
	}
	return ""
}

// follows tells whether logs is told to follow: before "logs", compose's -f names its file.
func (i invocation) follows(isCompose bool) bool {
	behind := i
	if at := slices.Index(i.args, "logs"); isCompose && at >= 0 {
		behind.args = i.args[at:]
	}
	return behind.has("-f", "--follow")
}
