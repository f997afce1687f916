package check

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/stemedb/firedrill/tools/runbook"
)

// stepFindings runs the checks of one step, and returns those of its findings that are of a check, each with its place.
func stepFindings(t *testing.T, check, fence, step string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "A.md")
	text := "# A\n\n## Resolution\n\n### If It Is Down\n\n```" + fence + "\n" + step + "\n```\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	doc, err := runbook.Parse(path, []byte(text), runbook.Grammar{})
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{lines: map[string][]string{}}
	c.steps(scriptsOf(doc), nil)
	var found []string
	for _, f := range c.findings {
		if f.Check == check {
			source := []rune(f.Source)
			found = append(found, string(source[f.Column-1:f.EndColumn-1]))
		}
	}
	return found
}

func TestStepsThatWait(t *testing.T) {
	for _, step := range []string{
		"vi /etc/x", "sudo vim -R /etc/x", "nano x", "view x", "less /var/log/x", "journalctl -u x | less", "more x", "man x", "top", "top -b", "htop", "sudo -u app top",
		`read -p "Proceed? [y/N] " answer`, "read x < /dev/tty", "sudo -i", "sudo -u postgres -s", "su - postgres", "su postgres", "bash", "sudo bash -l", "python3", "node",
		"visudo", "crontab -e", "crontab -u app -e", "systemctl edit nginx", "EDITOR=", "git commit", "passwd root", "rm -i x", "yum install x", "dnf remove x", "apt-get install x",
		"terraform apply", "docker system prune -a", "fdisk /dev/sdb", "openssl s_client -connect x:443 | openssl x509 -noout -dates", "nc x 80", "cat > /tmp/x",
		"ssh node1", "ssh -p 22 -l app node1", "ssh $instance", "telnet x 25", "sftp x", "kubectl edit deployment x", "kubectl -n a edit deployment x", "oc rsh pod",
		"oc rsh -c etcdctl -n openshift-etcd etcd-0", "oc rsh pod bash", "kubectl exec -it pod -- bash", "kubectl exec -ti pod -c x -- /bin/sh", "oc debug node/x",
		"kubectl run -it x --image=busybox -- sh", "kubectl debug -it pod --image=busybox", "docker exec -it x sh", "docker run --rm -it alpine sh", "docker compose exec x bash",
		"mysql -u root -p", "mysql -u root", "mysql -u root -p -e 'SHOW STATUS'", "mysqldump -p x > /tmp/x", "psql -U postgres", "psql -W -c 'SELECT 1'", "redis-cli -h x -a y", "mongosh x",
		"sqlite3 /var/lib/x.db", "kubectl exec -it pod -- psql -U postgres", "docker exec -it db mysql -u root",
		"tail -f /var/log/x", "tail -F x", "tail -n 5 -f x | grep error", "tail -100f x", "journalctl -u x -f", "journalctl -fu x", "dmesg -w", "ping x", "vmstat 1", "iostat -x 5",
		"tcpdump -i eth0", "sleep infinity", "watch kubectl get pods", "watch -n 1 'cat x | wc -l'", "sudo watch ls", "kubectl logs -f pod", "kubectl -n x logs --follow pod",
		"kubectl get pods -w", "kubectl get pods --watch", "kubectl port-forward svc/x 80", "oc proxy", "docker logs -f x", "docker compose -f c.yml logs -f x", "docker stats",
		"docker compose up", "docker-compose -f c.yml up web", "kubectl exec pod -- tail -f /x", "bash -c 'tail -f x'",
		"while true; do", "until false; do", "select x in", "if true; then vi x; fi", "echo $(vi x)", "x && vi y",
	} {
		t.Run(step, func(t *testing.T) {
			g := NewWithT(t)
			source := step
			switch {
			case strings.HasSuffix(step, "; do"):
				source += " curl -s x; sleep 1; done"
			case strings.HasPrefix(step, "select"):
				source += " a b; do echo $x; done"
			case step == "EDITOR=":
				source = "echo a; kubectl edit x"
			}
			g.Expect(stepFindings(t, "runbook/waits", "bash", source)).To(HaveLen(1))
			g.Expect(stepFindings(t, "runbook/waits", "bash {run=false}", source)).To(BeEmpty())
		})
	}
}

func TestStepsThatDoNotWait(t *testing.T) {
	for _, step := range []string{
		"vim -es -c '%s/a/b/' -c wq x", "vi +wq x", "ex -s x <<'E'\nwq\nE", "KUBE_EDITOR='sed -i s/a/b/' kubectl edit cm x", "export EDITOR=./edit.sh\nkubectl edit cm x\ncrontab -e",
		"journalctl | less -F", "less x | head", "x=$(top -b)", "top -b -n 1", "top -bn1", "top -b | head -20", "man x > /tmp/x",
		"read x < /etc/hostname", "read -t 5 x", "read -r x <<< y", "while read -r x; do echo $x; done < /etc/hosts", "cat x | while read y; do echo; done", "read -u 3 x",
		"f() { read x; }", "sudo -u postgres psql -c 'SELECT 1'", "sudo -l", "su - postgres -c 'pg_ctl reload'", "su -c id", "bash x.sh", "bash -c true", "bash -s < x", "curl x | sudo bash",
		"python3 -c 'print(1)'", "python3 -m http.server --help", "python3 <<'E'\nprint(1)\nE", "python3 x.py", "node -e 1", "python3 --version", "apt-get install -y x", "apt-get -qq install x",
		"apt-get update", "yes | apt-get install x", "yum -y install x", "yum list", "rm -rf x", "terraform apply plan", "terraform apply -auto-approve", "docker system prune -af", "fdisk -l",
		"openssl s_client -connect x:443 </dev/null", "echo | openssl s_client -connect x:443", "openssl x509 -in x", "nc -z x 80", "nc -zv x 80", "nc -w 2 x 80", "cat x", "cat <<E\nx\nE", "git commit -am x",
		"ssh node1 uptime", "ssh -o BatchMode=yes node1 'systemctl restart x'", "ssh node1 <<'E'\nuptime\nE", "ssh -fN -L 1:x:2 y", "ssh $opts host uptime", "echo x | ssh node1",
		"oc rsh pod etcdctl defrag", "oc rsh -n x pod df -h", "kubectl exec -it pod -- bash -c 'id'", "kubectl exec pod -- bash", "kubectl exec -it pod -- df", "oc debug node/x -- chroot /host crictl ps",
		"oc debug node/x -o yaml", "docker exec x sh -c id", "docker run --rm alpine true", "docker exec -it x ls", "kubectl exec -i pod -- psql < x.sql",
		"mysql --defaults-extra-file=/root/.my.cnf -e 'SHOW STATUS'", "mysql -uroot -pS < x.sql", "mysql $opts", "psql -c 'SELECT 1'", "psql -tAc 'SELECT 1'", "psql -f x", "redis-cli ping", "redis-cli -h x info",
		"redis-cli --bigkeys", "mongosh --eval 'db.x.find()'", "mongosh x.js", "sqlite3 x.db 'SELECT 1'", "psql -l", "psql --version",
		"tail -n 20 x", "timeout 10 tail -f x", "sudo timeout 10 tail -f x", "tail -f x &", "tail -f x | head -1", "tail -f x | grep -m1 ready", "tail --pid=1 -f x", "( tail -f x ) &",
		"journalctl -u x -n 50", "journalctl -ufoo", "dmesg | tail", "ping -c 3 x", "ping -w 5 x", "vmstat 1 5", "vmstat", "iostat -x", "tcpdump -c 10", "sleep 5", "watch -g ls", "timeout 30 watch ls",
		"kubectl logs pod", "kubectl logs -n foo pod", "kubectl get pods -nworkflow", "kubectl get pods -o wide", "kubectl port-forward svc/x 80 &", "kubectl logs --tail=5 pod",
		"docker logs x", "docker compose -f c.yml logs x", "docker stats --no-stream", "docker compose up -d", "docker-compose -f c.yml up -d web", "docker run -d x",
		"while true; do curl x && break; sleep 1; done", "until curl x; do sleep 1; done", "while true; do sleep 1; done &", "command -v vi", "which vim less", "apt-get install -y vim less",
		"sudo systemctl restart top", "mc admin info x", "kubectl config view", "exec vi",
	} {
		t.Run(step, func(t *testing.T) {
			NewWithT(t).Expect(stepFindings(t, "runbook/waits", "bash", step)).To(BeEmpty())
		})
	}
}

func TestStepsThatEndTheSession(t *testing.T) {
	for step, want := range map[string][]string{
		"systemctl restart x\nexit 0":          {"exit 0"},
		"exit":                                 {"exit"},
		"exit 1":                               {"exit 1"},
		"logout":                               {"logout"},
		"systemctl is-active x && exit 0":      {"exit 0"},
		"if x; then exit 0; fi":                {"exit 0"},
		"{ exit 3; }":                          {"exit 3"},
		"exec bash":                            {"exec bash"},
		"exec sudo -i":                         {"exec sudo -i"},
		"test -f x || exit 1":                  nil, // a guard
		"test -f x || { echo no; exit 1; }":    nil,
		"if ! x; then echo no >&2; exit 2; fi": nil,
		"( cd /x && make; exit 0 )":            nil,
		"x | { read y; exit 0; }":              nil,
		"f() { exit 0; }":                      nil,
		"bash -c 'exit 0'":                     nil,
		"ssh x exit 0":                         nil,
		"awk '{ exit 0 }' x":                   nil,
		"exec 3>/tmp/x; exec 2>&1":             nil,
		"echo $(exit 0)":                       nil,
		"find . -exec rm {} +; kubectl exec x -- y; docker exec x y": nil,
	} {
		t.Run(step, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(stepFindings(t, "runbook/exit", "bash", step)).To(Equal(want))
			g.Expect(stepFindings(t, "runbook/exit", "bash {exit=1}", step)).To(BeEmpty(), "in the subshell of a step with a status")
		})
	}
}

func TestOnlyLooks(t *testing.T) {
	for _, source := range []string{
		"kubectl -n x get pods -o wide | grep x", "kubectl exec -it x -- df -h", "oc rsh x cat /etc/hosts", "systemctl status x; systemctl --failed", "curl -fsS -o /dev/null http://x | head",
		"curl -sX GET x", "df -h && du -sh /x 2>/dev/null", "x=$(date +%s); echo $x", "sudo journalctl -u x", "for p in a b; do ping -c1 $p; done", "awk '$1 > 5' x", "sed -n 1p x", "etcdctl endpoint status -w table",
		"docker compose ps", "bash -c 'ls /x'", "xargs -n1 dig < x", "aws s3 ls; aws ec2 describe-instances", "openssl s_client -connect x:443 </dev/null | openssl x509 -noout -dates", "test -f x || echo no",
		"systemctl list-timers", "git log", "timeout 5 curl x", "[ -f x ]", "ip addr show", "wget -qO- x", "find /x -name y", "ceph -s", "ceph osd tree",
	} {
		t.Run(source, func(t *testing.T) { NewWithT(t).Expect(onlyLooks(parseShell(source))).To(BeTrue()) })
	}
	for _, source := range []string{
		"kubectl delete pod x", "kubectl exec x -- rm y", "oc rsh x etcdctl defrag", "systemctl restart x", "curl -X POST x", "curl -d a x", "curl -O x", "curl --request=PUT x", "curl -XDELETE x", "echo x > /etc/y",
		"sed -i s/a/b/ x", "awk '{ system(\"rm \" $1) }' x", "find . -delete", "./fix.sh", "fix", "$cmd", "sudo rm x", "ls; rm x", "x=$(rm y)", "f() { ls; }; f", "date -s x", "docker restart x", "ip link set x up",
		"git pull", "bash -c 'rm x'", "journalctl --vacuum-size=1G", "helm rollback x", "tee x < y", "hostname x", "kubectl rollout restart x", "etcdctl defrag", "aws ec2 reboot-instances", "xargs rm", "ceph osd out 1",
	} {
		t.Run(source, func(t *testing.T) { NewWithT(t).Expect(onlyLooks(parseShell(source))).To(BeFalse()) })
	}
}

func TestCures(t *testing.T) {
	fence := func(language, source string) string { return "```" + language + "\n" + source + "\n```\n\n" }
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"a branch that only looks":      {fence("bash", "df -h\nkubectl get pods"), []string{"5: runbook/cure"}},
		"one that only prints":          {fence("bash", "x=1; echo $x"), nil},
		"one that waits for others":     {fence("bash", "until curl -fsS x; do sleep 5; done"), nil},
		"one that leads on":             {"See [the other](B.md).\n\n" + fence("bash", "df -h"), nil},
		"one that repairs":              {fence("bash", "df -h") + fence("bash", "rm x"), nil},
		"one whose cure is only shown":  {fence("bash", "df -h") + fence("bash {run=false}", "rm x"), []string{"5: runbook/cure"}},
		"a cure in a console":           {fence("bash", "df -h") + fence("console", "$ etcdctl defrag\nFinished"), []string{"12: runbook/unrun"}},
		"a cure in shell":               {fence("bash", "df -h") + fence("shell", "systemctl restart x"), []string{"12: runbook/unrun"}},
		"a cure without a language":     {fence("bash", "df -h") + fence("", "sudo systemctl restart x"), []string{"12: runbook/unrun"}},
		"a cure in text":                {fence("bash", "df -h") + fence("text", "$ ./fix.sh"), []string{"12: runbook/unrun"}},
		"the second of its commands":    {fence("bash", "df -h") + fence("console", "$ df -h\nx 5\n$ rm x"), []string{"14: runbook/unrun"}},
		"a look in a console":           {fence("bash", "rm x") + fence("console", "$ kubectl get pods"), nil},
		"an example of a step's output": {fence("bash", "fix  --now x") + fence("console", "$ fix --now x\nfixed"), nil},
		"output alone":                  {fence("bash", "fix x") + fence("", "NAME  READY\nx     1/1") + fence("shell", "NAME READY\nx 1/1") + fence("console", "fixed"), nil},
		"output that begins with #":     {fence("bash", "fix x") + fence("console", "# HELP up whether it is\nup 1"), nil},
		"YAML":                          {fence("bash", "fix x") + fence("shell", "apiVersion: v1\nkind: Pod") + fence("yaml", "a: b") + fence("", "a: b"), nil},
		"another language":              {fence("bash", "fix x") + fence("sql", "DELETE FROM x"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			t.Chdir(t.TempDir())
			for file, text := range map[string]string{"A.md": "# A\n\n## Resolution\n\n### If It Is Down\n\n" + tc.text, "B.md": "# B\n"} {
				g.Expect(os.WriteFile(file, []byte(text), 0o644)).To(Succeed())
			}
			folder, err := runbook.ReadFolder(".", runbook.Grammar{})
			g.Expect(err).NotTo(HaveOccurred())
			c := &checker{lines: map[string][]string{}, runbooks: books{Folder: folder, links: map[*runbook.Runbook][]string{}}}
			doc, err := folder.Named("A")
			g.Expect(err).NotTo(HaveOccurred())
			c.cures(doc, scriptsOf(doc))
			var found []string
			for _, f := range c.findings {
				found = append(found, fmt.Sprintf("%d: %s", f.Line, f.Check))
			}
			g.Expect(found).To(Equal(tc.want))
		})
	}
}

// The runbooks of people who asked why nothing was found in them.
func TestCasesOfRunbooks(t *testing.T) {
	for name, want := range map[string][]string{
		"31-rb-console-sh": {"21:6 runbook/unrun"},
		"32-rb-interactive": {"15:1 runbook/waits", "16:1 runbook/waits", "19:1 runbook/waits", "20:1 runbook/waits", "21:1 runbook/waits", "22:1 runbook/waits", "23:1 runbook/waits",
			"24:1 runbook/waits", "25:1 runbook/waits", "26:1 runbook/waits", "27:1 runbook/waits", "28:1 runbook/waits", "29:1 runbook/waits", "30:1 runbook/waits", "31:1 runbook/exit"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			dir := filepath.Join("testdata/cases", name)
			findings, _, err := Run(t.Context(), Inputs{Rules: filepath.Join(dir, "rules"), Runbooks: filepath.Join(dir, "runbooks")})
			g.Expect(err).NotTo(HaveOccurred())
			var found []string
			for _, f := range findings {
				if slices.Contains([]string{"runbook/waits", "runbook/exit", "runbook/unrun", "runbook/cure"}, f.Check) {
					found = append(found, fmt.Sprintf("%d:%d %s", f.Line, f.Column, f.Check))
				}
			}
			g.Expect(found).To(Equal(want))
		})
	}
}
