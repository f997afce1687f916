package runbook

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// typedPrograms are those by whose names people recognize a command, and which are no words of a sentence or of a table.
var typedPrograms = strings.Fields(`
	apt apt-get aws az ceph certbot chmod chown consul cp crictl ctr curl dd df dig dnf docker docker-compose du echo etcdctl fsck gcloud git
	grep helm iptables journalctl jq k3s kill kubeadm kubectl ln lsblk lsof mkdir mkfs mongosh mount mv mysql mysqladmin nc netstat nft nginx
	nomad nsenter nslookup oc openssl pg_ctl pip pkill podman ps psql python python3 rabbitmqctl redis-cli rm rsync scp sed ssh sudo sysctl
	systemctl tar tee telnet terraform umount vault virsh wget yum zfs zpool`)

// isTyped tells whether a fence whose language does not say so has commands, and leaves those: after prompts, or in lines
// that all begin with known programs.
func (s *Step) isTyped() bool {
	if slices.ContainsFunc(strings.Split(s.Source, "\n"), func(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " \t"), "$ ") }) {
		return s.typed(false)
	}
	file := s.Syntax()
	if file == nil {
		return false
	}
	calls, known := 0, 0
	syntax.Walk(file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if ok && len(call.Args) > 0 {
			calls++
			if IsProgram(call.Args[0].Lit()) {
				known++
			}
		}
		_, isWord := n.(*syntax.Word)
		return !isWord
	})
	return calls > 0 && calls == known
}

// IsProgram tells whether a word, alone at the beginning of a line, is surely a command.
func IsProgram(word string) bool { return slices.Contains(typedPrograms, path.Base(word)) }

// Kind says which kind of fence a step is in, as it follows "a fence of".
func (s Step) Kind() string { return cmp.Or(s.Language, "no language") }
