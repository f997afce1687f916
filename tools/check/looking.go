package check

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

var (
	// lookers are programs that change nothing, whatever their arguments, but for those in lookersBut.
	lookers = strings.Fields(`: [ awk base64 basename blkid cat cd cmp column cut date declare df diff dig dirname dmesg du echo egrep expr false fgrep file
		findmnt fold free getent grep head history host id iostat jobs journalctl jq last less local ls lsblk lscpu lsmod lsof man md5sum more mpstat nl
		nproc nslookup od pgrep pidof pidstat ping ping6 printenv printf ps pwd read readlink realpath sar sed seq set sha256sum sleep sort ss stat strings
		tac tail tcpdump test top tr traceroute tracepath tree true type uname uniq uptime vmstat w wc which who whoami xxd yq zcat zgrep htop iotop netstat`)
	lookersBut = map[string][]string{
		"date": {"-s", "--set"}, "dmesg": {"-c", "-C", "-n", "-D", "-E", "--clear"}, "sed": {"-i", "--in-place"}, "yq": {"-i", "--inplace"}, "sort": {"-o", "--output"},
		"journalctl": {"--vacuum-size", "--vacuum-time", "--vacuum-files", "--rotate", "--flush", "--sync", "--relinquish-var", "--update-catalog", "--setup-keys"},
		"tcpdump":    {"-w"}, "ss": {"-K", "--kill"}, "history": {"-c"},
	}

	// verbs are the subcommands of programs that change nothing.
	verbs = map[string][]string{
		"apachectl": {"configtest"}, "chronyc": {"tracking", "sources", "sourcestats"}, "certbot": {"certificates"},
		"ceph": {"status", "health", "df", "-s"}, "consul": {"members"},
		"crictl": {"ps", "pods", "images", "img", "logs", "inspect", "inspectp", "info", "stats", "version"}, "docker": dockerLooks, "docker-compose": dockerLooks,
		"git": {"status", "log", "diff", "show", "blame"}, "helm": {"list", "ls", "status", "get", "history", "show", "search", "version", "template"},
		"kubectl": kubectlLooks, "nomad": {"status"}, "oc": append([]string{"status", "whoami", "projects"}, kubectlLooks...), "podman": dockerLooks,
		"promtool":    {"check", "query", "test"},
		"rabbitmqctl": {"status", "cluster_status", "list_queues", "list_connections", "list_channels", "list_consumers", "list_exchanges", "environment", "report"},
		"systemctl": {"status", "is-active", "is-enabled", "is-failed", "is-system-running", "show", "cat", "list-units", "list-unit-files", "list-timers", "list-sockets",
			"list-dependencies", "list-jobs", "--failed"},
		"timedatectl": {"status", "show"}, "zpool": {"status", "list"},
	}
	dockerLooks  = []string{"ps", "logs", "inspect", "stats", "top", "images", "info", "version", "port", "diff", "events", "history", "ls"}
	kubectlLooks = []string{"get", "describe", "logs", "top", "explain", "version", "cluster-info", "api-resources", "api-versions", "events", "diff"}

	// verbPairs are those of two words.
	verbPairs = map[string][]string{
		"amtool": {"alert query", "silence query", "config show"}, "ceph": {"osd tree", "osd df", "osd stat", "health detail", "pg stat", "mon stat"},
		"docker":  {"compose ps", "compose logs", "container ls", "container inspect", "volume ls", "volume inspect", "network ls", "network inspect", "system df", "node ls", "service ls", "service ps"},
		"etcdctl": {"endpoint status", "endpoint health", "endpoint hashkv", "member list", "alarm list"},
		"kubectl": kubectlPairs, "oc": append([]string{"adm top", "adm node-logs"}, kubectlPairs...), "openssl": {"version", "s_client"}, "podman": {"volume ls", "container ls"},
	}
	kubectlPairs = []string{"rollout status", "rollout history", "auth can-i", "config view", "config get-contexts", "config current-context"}

	cloudVerb = regexp.MustCompile(`^(ls|(describe|list|get)(-[a-z-]+)?)$`)
	// acting is what a program of awk or sed does beside printing.
	acting = regexp.MustCompile(`system\s*\(|[|>]\s*"|\bw\s+/`)
)

// onlyLooks tells whether all commands of a step are known to change nothing.
func onlyLooks(file *syntax.File) bool {
	only := true
	visit(file, func(node syntax.Node, _ []syntax.Node) {
		switch node := node.(type) {
		case *syntax.FuncDecl:
			only = false // what it does is known where it is called
		case *syntax.Redirect:
			isWriting := node.Op != syntax.RdrIn && node.Op != syntax.DplIn && node.Op != syntax.DplOut && node.Hdoc == nil && node.Op != syntax.WordHdoc
			if target := literalText(node.Word); isWriting && target != "/dev/null" && target != "/dev/stderr" && target != "/dev/tty" {
				only = false
			}
		case *syntax.CallExpr:
			if len(node.Args) > 0 {
				i, ok := invoked(node.Args)
				only = only && ok && i.looks()
			}
		}
	})
	return only
}

// looks tells whether a command is known to change nothing.
func (i invocation) looks() bool {
	if word, file := i.script(); word != nil {
		return file != nil && onlyLooks(file)
	}
	if inner, ok := i.inside(); ok {
		return inner.looks()
	}
	if slices.Contains(lookers, i.name) {
		if i.name == "awk" || i.name == "sed" {
			for _, arg := range i.args {
				if acting.MatchString(arg) || strings.Contains(arg, notKnown) && i.name == "sed" {
					return false
				}
			}
		}
		return !i.has(lookersBut[i.name]...)
	}
	words := i.operands(kubectlValues)
	switch i.name {
	case "curl":
		return i.fetches()
	case "wget":
		return i.has("--spider") || i.has("-O") && slices.ContainsFunc(i.args, func(arg string) bool { return arg == "-" || strings.HasSuffix(arg, "O-") })
	case "command":
		return i.has("-v", "-V")
	case "hostname", "mount", "env", "export", "swapon", "ulimit":
		return len(words) == 0
	case "ip":
		return !slices.ContainsFunc(words, func(w string) bool {
			return slices.Contains([]string{"add", "del", "delete", "set", "flush", "change", "replace", "append", "exec"}, w)
		})
	case "find":
		return !i.has("-delete", "-exec", "-execdir", "-ok", "-okdir", "-fprint", "-fls", "-fprintf")
	case "aws", "gcloud":
		return len(words) > 1 && slices.ContainsFunc(words[1:], cloudVerb.MatchString)
	case "openssl":
		return len(words) > 0 && (words[0] == "s_client" || words[0] == "version" || words[0] == "verify" ||
			words[0] == "x509" && !i.has("-out", "-req", "-signkey", "-CAcreateserial"))
	case "service":
		return len(words) == 2 && words[1] == "status"
	case "systemctl":
		if len(i.args) == 0 || len(words) == 0 {
			return true
		}
	}
	if len(words) == 0 {
		return i.name == "ceph" && i.has("-s")
	}
	if slices.Contains(verbs[i.name], words[0]) {
		return true
	}
	return len(words) > 1 && slices.Contains(verbPairs[i.name], words[0]+" "+words[1])
}

// fetches tells whether curl asks by GET or HEAD, and writes no file.
func (i invocation) fetches() bool {
	if i.has("--data", "--data-raw", "--data-binary", "--data-urlencode", "--data-ascii", "--form", "--json", "--upload-file", "--output", "--remote-name", "--quote") {
		return false
	}
	const taking = "AbCcDdEeFHhKmoPQrTtUuwXxYyz" // short options with a value
	for n, arg := range i.args {
		method := ""
		switch {
		case arg == "--request" && n+1 < len(i.args):
			method = i.args[n+1]
		case strings.HasPrefix(arg, "--request="):
			method = strings.TrimPrefix(arg, "--request=")
		case strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--"):
			at := strings.IndexAny(arg[1:], taking)
			if strings.ContainsAny(arg[1:], "O") && at < 0 {
				return false
			}
			if at < 0 {
				continue
			}
			value := arg[1+at+1:]
			if value == "" && n+1 < len(i.args) {
				value = i.args[n+1]
			}
			switch arg[1+at] {
			case 'd', 'F', 'T', 'Q':
				return false
			case 'o':
				if value != "/dev/null" && value != "-" {
					return false
				}
			case 'X':
				method = value
			}
		}
		if method != "" && method != "GET" && method != "HEAD" {
			return false
		}
	}
	return true
}
