package check

import (
	"slices"
	"strings"
)

var (
	editors = []string{"emacs", "joe", "mcedit", "nano", "nvim", "pico", "vi", "view", "vim"}
	pagers  = []string{"less", "man", "more", "most"}
	screens = []string{"atop", "btop", "glances", "htop", "iftop", "iotop", "k9s", "mc", "ncdu", "nethogs", "nload", "nmtui", "screen", "slabtop", "tmux", "top"}

	interpreters = []string{"irb", "ipython", "ipython3", "node", "python", "python2", "python3"}
	allShells    = []string{"ash", "bash", "dash", "fish", "ksh", "sh", "zsh"}
)

// asks says why a program waits for a person, and what to write instead; empty where it does not. Its input may come from
// elsewhere than the terminal, and its output may go elsewhere.
func asks(i invocation, hasInput, isShown bool) string {
	waits := func(what, fix string) string { return what + " waits for a person: " + fix }
	switch {
	case slices.Contains(editors, i.name):
		if i.has("--batch", "-es", "-Es", "-s", "-c", "--version") || slices.ContainsFunc(i.args, func(arg string) bool { return strings.HasPrefix(arg, "+") }) {
			return "" // a script for the editor
		}
		return waits(i.name, "change the file by a command, as with sed -i or tee")
	case slices.Contains(pagers, i.name):
		if !isShown || i.has("-F", "--quit-if-one-screen", "-E", "--QUIT-AT-EOF", "-f", "-k", "-w") {
			return ""
		}
		return waits(i.name, "write cat, head or grep")
	case slices.Contains(screens, i.name):
		return waitsOnScreen(i, isShown, waits)
	case i.name == "read":
		if hasInput || i.has("-t", "-u") {
			return ""
		}
		return waits("read", "set the variable in the step, or use a label of the alert")
	case slices.Contains(allShells, i.name):
		if hasInput || len(i.operands("-o -O --rcfile --init-file")) > 0 || i.has("-c", "-n", "-s") || slices.Contains(i.args, notKnown) {
			return ""
		}
		return i.name + " " + shellFix + ": leave it out, or write the commands behind " + i.name + " -c"
	case slices.Contains(interpreters, i.name):
		if hasInput || len(i.operands("")) > 0 || i.has("-c", "-e", "-m", "-p", "-V", "-v", "-h") || strings.Contains(strings.Join(i.args, " "), notKnown) {
			return ""
		}
		return waits(i.name, "name a script, or write it behind -c or in a here-document")
	case i.name == "su":
		if hasInput || i.has("-c", "--command") {
			return ""
		}
		return "su " + shellFix + ": write sudo -u before each command, or su -c"
	case i.name == "sudo" && i.has("-i", "-s", "--login", "--shell"):
		if hasInput || i.has("-l", "-v", "-k", "-K") {
			return ""
		}
		return "sudo " + i.args[i.option("-i", "-s", "--login", "--shell")] + " " + shellFix + ": write sudo before each command"
	case slices.Contains([]string{"visudo", "vipw", "vigr"}, i.name) && !i.has("-c", "--check"),
		i.name == "crontab" && i.has("-e"), i.name == "sudoedit", i.name == "virsh" && slices.Contains(i.args, "edit"):
		return waits("the editor of "+i.name, "change the file by a command")
	case i.name == "systemctl" && slices.Contains(i.args, "edit") && !i.has("--stdin"):
		return waits("the editor of systemctl edit", "write the drop-in by a command, or systemctl edit --stdin")
	}
	if why := asksRemote(i, hasInput); why != "" {
		return why
	}
	if why := asksDatabase(i, hasInput); why != "" {
		return why
	}
	return asksToConfirm(i, hasInput, waits)
}

func waitsOnScreen(i invocation, isShown bool, waits func(what, fix string) string) string {
	switch {
	case !isShown && i.name != "screen" && i.name != "tmux":
		return ""
	case i.name == "top" || i.name == "iotop":
		if i.has("-n", "--iterations", "--iter") {
			return ""
		}
		return waits(i.name, "write "+i.name+" -b -n 1")
	case i.name == "mc" && len(i.args) > 0: // of MinIO
		return ""
	case i.name == "atop":
		if i.has("-w", "-P") || len(i.operands("-r -b -e")) > 0 {
			return ""
		}
	case i.name == "screen":
		if i.has("-d", "-m", "-X", "-ls", "-list", "-S") {
			return ""
		}
	case i.name == "tmux":
		if words := i.operands("-f -L -S"); len(words) > 0 && !slices.Contains([]string{"attach", "attach-session", "a"}, words[0]) {
			return ""
		}
	case i.name == "glances" && i.has("--stdout", "--export", "-w", "-s"), i.name == "ncdu" && i.has("-o"), i.name == "iftop" && i.has("-t"),
		i.name == "nethogs" && i.has("-t"), i.name == "slabtop" && i.has("-o", "--once"), i.name == "k9s" && len(i.operands("")) > 0:
		return ""
	}
	return waits(i.name, "write a command that prints what to look at, such as top -b -n 1")
}

const sshValues = "-B -b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -P -Q -R -S -W -w"

// asksRemote is asks for what opens a shell on another machine or in a container.
func asksRemote(i invocation, hasInput bool) string {
	if hasInput {
		return ""
	}
	opens := func(what, fix string) string { return what + " " + shellFix + ": " + fix }
	isShell := func(words []string) bool { // it ends with a shell, without a script for it
		if len(words) == 0 {
			return false
		}
		last := words[len(words)-1]
		return slices.Contains(allShells, last[strings.LastIndexByte(last, '/')+1:])
	}
	isInteractive := i.has("-i", "--stdin", "--interactive")
	switch i.name {
	case "ssh", "slogin":
		if len(i.operands(sshValues)) == 1 && !i.has("-N", "-f", "-T", "-O", "-Q", "-W", "-G", "-V") {
			return opens("ssh", "write the command to run there behind the host")
		}
	case "telnet", "ftp":
		return i.name + " waits for a person: write nc -z to see whether a port answers, or curl"
	case "sftp":
		if !i.has("-b") {
			return "sftp waits for a person: write scp, or sftp -b"
		}
	case "kubectl", "oc":
		words := i.operands(kubectlValues)
		switch {
		case len(words) == 0:
		case words[0] == "edit":
			return i.name + " edit waits for a person: write " + i.name + " patch, set or apply"
		case i.name == "oc" && words[0] == "rsh" && (len(words) == 2 || len(words) == 3 && isShell(words)):
			return opens(i.name+" rsh", "write the command to run there behind the pod")
		case words[0] == "exec" && isInteractive && isShell(words):
			return opens(i.name+" exec", "write the command to run there behind --")
		case (words[0] == "run" && isShell(words) || words[0] == "debug" && (isShell(words) || !slices.Contains(i.args, "--"))) && isInteractive:
			return opens(i.name+" "+words[0], "write the command to run there behind --")
		case i.name == "oc" && words[0] == "debug" && len(words) == 2 && !i.has("-o", "--output"):
			return opens("oc debug", "write the command to run there behind --")
		case words[0] == "attach" && isInteractive:
			return i.name + " attach waits for a person: write " + i.name + " logs, or exec with a command"
		}
	case "docker", "podman", "nerdctl", "crictl", "docker-compose":
		words := i.operands(dockerValues)
		if len(words) > 1 && words[0] == "compose" {
			words = words[1:]
		}
		isCompose := i.name == "docker-compose" || slices.Contains(i.args, "compose")
		if len(words) > 2 && (words[0] == "exec" || words[0] == "run") && (isInteractive || isCompose && !i.has("-T")) && isShell(words) {
			return opens(i.name+" "+words[0], "write the command to run there behind the container")
		}
	case "virsh":
		if slices.Contains(i.args, "console") {
			return opens("virsh console", "run the command over ssh")
		}
	case "minikube", "vagrant":
		if words := i.operands(""); len(words) == 1 && words[0] == "ssh" && !i.has("-c", "--command") {
			return opens(i.name+" ssh", "write the command to run there behind it")
		}
	}
	return ""
}

// asksDatabase is asks for the clients of databases.
func asksDatabase(i invocation, hasInput bool) string {
	prompt := func(fix string) string { return i.name + " waits for a person to type queries: " + fix }
	isOpen := strings.Contains(strings.Join(i.args, "\n"), notKnown) // an option may be in a variable
	switch i.name {
	case "mysql", "mariadb", "mysqldump", "mysqladmin", "mysqlcheck", "mariadb-dump", "mariadb-admin":
		if slices.Contains(i.args, "-p") || slices.Contains(i.args, "--password") {
			return i.name + " -p waits for a person to type the password: name a file with --defaults-extra-file"
		}
		if (i.name == "mysql" || i.name == "mariadb") && !hasInput && !isOpen && !i.has("--execute", "-e", "-V", "-?") {
			return prompt("write the query behind -e")
		}
	case "psql":
		if slices.Contains(i.args, "-W") || slices.Contains(i.args, "--password") {
			return "psql -W waits for a person to type the password: leave -W out, and use a .pgpass file"
		}
		if !hasInput && !isOpen && !i.has("-c", "--command", "-f", "--file", "-l", "--list", "-V", "-?") {
			return prompt("write the query behind -c")
		}
	case "sqlite3":
		if !hasInput && len(i.operands("-cmd -init -separator")) == 1 && !isOpen {
			return prompt("write the query behind the file")
		}
	case "mongo", "mongosh":
		isScript := slices.ContainsFunc(i.args, func(arg string) bool { return strings.HasSuffix(arg, ".js") })
		if !hasInput && !isOpen && !isScript && !i.has("--eval", "-f", "--file") {
			return prompt("write the query behind --eval")
		}
	case "cqlsh", "clickhouse-client":
		if !hasInput && !isOpen && !i.has("-e", "--execute", "-f", "--file", "-q", "--query", "--queries-file") {
			return prompt("write the query as an option")
		}
	case "redis-cli", "valkey-cli":
		known := strings.Fields("-h -p -s -a -n -u --user --pass --tls --cacert --cert --key --no-auth-warning -c -3 -2 --sni --insecure")
		isConnection := !slices.ContainsFunc(i.args, func(arg string) bool { return strings.HasPrefix(arg, "-") && !slices.Contains(known, arg) })
		if !hasInput && !isOpen && isConnection && len(i.operands("-h -p -s -a -n -u --user --pass --cacert --cert --key --sni")) == 0 {
			return prompt("write the command behind the options")
		}
	}
	return ""
}

// asksToConfirm is asks for what wants an answer first.
func asksToConfirm(i invocation, hasInput bool, waits func(what, fix string) string) string {
	if hasInput {
		return ""
	}
	words := i.operands("-c -o -t --releasever --enablerepo --disablerepo -x --exclude -C --var-file -var -target")
	first := ""
	if len(words) > 0 {
		first = words[0]
	}
	switch i.name {
	case "passwd", "smbpasswd", "htpasswd":
		if i.has("-l", "-u", "-d", "-e", "-S", "-s", "-b", "-v", "--stdin", "--lock", "--unlock", "--delete", "--expire", "--status") {
			return ""
		}
		return waits(i.name, "write chpasswd with its input from a file, or have a person do it and say so in prose")
	case "apt", "apt-get", "aptitude":
		if slices.Contains([]string{"install", "remove", "purge", "autoremove", "upgrade", "dist-upgrade", "full-upgrade"}, first) &&
			!i.has("-y", "--yes", "--assume-yes", "-qq", "-s", "-d", "--simulate", "--dry-run", "--assume-no") {
			return waits(i.name+" "+first, "write -y, since it asks before it does more than what is named")
		}
	case "yum", "dnf":
		if slices.Contains([]string{"install", "remove", "erase", "update", "upgrade", "downgrade", "autoremove", "reinstall"}, first) && !i.has("-y", "--assumeyes", "--assumeno") {
			return waits(i.name+" "+first, "write "+i.name+" -y")
		}
	case "rm", "mv", "cp":
		if slices.Contains(i.args, "-i") || slices.Contains(i.args, "--interactive") || i.name == "rm" && slices.Contains(i.args, "-I") {
			return waits(i.name+" -i", "leave out -i")
		}
	case "terraform", "tofu":
		if (first == "apply" && len(words) == 1 || first == "destroy") && !i.has("-auto-approve", "--auto-approve", "-input=false") {
			return waits(i.name+" "+first, "apply a plan from a file")
		}
	case "docker", "podman":
		if (first == "system" || first == "volume" || first == "image" || first == "container" || first == "network" || first == "builder") &&
			slices.Contains(words, "prune") && !i.has("-f", "--force") {
			return waits(i.name+" "+first+" prune", "write -f")
		}
	case "fdisk", "gdisk", "cfdisk", "cgdisk":
		if !i.has("-l", "--list", "-s", "-x") {
			return waits(i.name, "write sfdisk or sgdisk, which take what to do as input or options")
		}
	case "openssl":
		if first == "s_client" {
			return "openssl s_client waits for input until the other side ends: write </dev/null behind it"
		}
	case "nc", "ncat", "netcat":
		if len(i.operands("-w -i -p -s -x -X -q")) == 2 && !i.has("-z", "-w", "-l", "-d", "--send-only", "--recv-only") {
			return i.name + " waits for input until the other side ends: write -z to see whether the port answers, or </dev/null behind it"
		}
	case "cat":
		if len(i.args) == 0 {
			return waits("cat without a file", "name a file, or give the text in a here-document")
		}
	case "git":
		isEditing := first == "commit" && !i.has("-m", "--message", "-F", "--file", "-C", "--no-edit", "--fixup", "--reuse-message") ||
			first == "rebase" && i.has("-i", "--interactive") || (first == "add" || first == "checkout") && i.has("-p", "-i", "--patch", "--interactive")
		if isEditing {
			return waits("git "+first, "give the message behind -m, or say what to do by options")
		}
	}
	return ""
}
