package check

import (
	"fmt"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

// checkSteps makes a runbook of branches, each with one step, and runs the checks of steps on it.
func checkSteps(t *testing.T, expr string, steps ...string) []string {
	t.Helper()
	var text strings.Builder
	text.WriteString("# A\n\n- **Severity:** critical\n- **Alert:** A\n- **Trigger:** x\n- **Duration:** 0s\n\n## Resolution\n")
	for i, step := range steps {
		fmt.Fprintf(&text, "\n### If %d\n\n```bash\n%s\n```\n", i, step)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("A.md", []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := runbook.Parse("A.md", []byte(text.String()), runbook.Grammar{})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := promql.ParseExpr(expr)
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{series: &series{}, lines: map[string][]string{}}
	host := &programs{file: "programs.txt", names: map[string]bool{}}
	for _, name := range []string{"systemctl", "rsync", "openssl", "sudo", "xargs", "env", "timeout", "find", "watch", "bash", "ssh", "flock", "nice", "check-cert.sh", "sed", "sort", "cat", "install"} {
		host.names[name] = true
	}
	alert := rule.Alert{Name: "A", File: "a.yml", Expr: expr, Labels: map[string]string{"severity": "critical"},
		Annotations: map[string]string{"summary": "{{ $labels.domain }}"}}
	c.steps(scriptsOf(r), host)
	c.variables(alert, parsed, r, scriptsOf(r))
	var found []string
	for _, f := range c.findings {
		if f.Check == "runbook/waits" || f.Check == "runbook/exit" {
			continue // which have other tests
		}
		source := []rune(f.Source)
		found = append(found, fmt.Sprintf("%s %q", f.Check, string(source[f.Column-1:f.EndColumn-1])))
	}
	return found
}

func TestPrograms(t *testing.T) {
	for step, want := range map[string][]string{
		"systemctl reload x && rsync -a | sort": nil,
		"systmctl reload x":                     {`runbook/program "systmctl"`},
		"echo é; nope1 | nope2 && ! nope3; (nope4); { nope5; }; if nope6; then nope7; fi": {
			`runbook/program "nope1"`, `runbook/program "nope2"`, `runbook/program "nope3"`, `runbook/program "nope4"`,
			`runbook/program "nope5"`, `runbook/program "nope6"`, `runbook/program "nope7"`},
		"test \"$(nope1)\" = `nope2` <(nope3)": {`runbook/program "nope1"`, `runbook/program "nope2"`, `runbook/program "nope3"`},
		"cat <<EOF\n$(nope)\nEOF":              {`runbook/program "nope"`},
		"cat <<'EOF'\n$(nope)\nEOF":            nil,

		"sudo -u shop -- nope x":                              {`runbook/program "nope"`},
		"sudo -E LANG=C env -u X -i A=$HOME nope":             {`runbook/program "nope"`},
		"find / -name x -print0 | xargs -0 -n 1 -I{} nope {}": {`runbook/program "nope"`},
		"find / -exec nope {} \\;":                            {`runbook/program "nope"`},
		"timeout -k 5 --signal=KILL 10 nice -n 19 nope":       {`runbook/program "nope"`},
		"flock -w 5 /run/lock nope":                           {`runbook/program "nope"`},
		"flock 9":                                             nil,
		"watch -n 1 'cat x | nope'":                           {"runbook/program \"'cat x | nope'\""},
		"bash -euc 'true'; bash -c 'f() { true; }; f; nope'":  {"runbook/program \"'f() { true; }; f; nope'\""},
		"time nope":      {`runbook/program "nope"`},
		"\"nope\"":       {`runbook/program "\"nope\""`},
		"\\nope":         {`runbook/program "\\nope"`},
		"exec -a x nope": {`runbook/program "nope"`},

		"/usr/local/bin/check-cert.sh x; /bin/nope":                        {`runbook/program "/bin/nope"`},
		"/opt/x/bin/y; ./z; ~/bin/w":                                       nil, // no inventory knows
		"mkdir() { true; }; mkdir":                                         nil,
		"alias ll='ls -l'; ll":                                             nil,
		"command -v nope && nope":                                          nil,
		"if type nope >/dev/null; then nope; fi":                           nil,
		"cat >/usr/local/bin/nope <<'EOF'\nEOF\n/usr/local/bin/nope; nope": nil,
		"install -m 755 /tmp/nope /usr/local/sbin/nope && nope":            nil,
		". /etc/profile; nope":                                             nil, // whatever it defines
		"ssh other nope":                                                   nil, // another host's
		"\"$EDITOR\" x; $(cat x) y; sudo $HOME/x":                          nil,
		"[ -f x ] && [[ -f y ]] && test -f z; ((1)); x=1; : \"$((x + 1))\"; declare -i y=2; export PATH; set -e; trap true EXIT": nil,
		"for f in a; do cd \"$f\"; done; case x in x) true;; esac":                                                               nil,
	} {
		t.Run(step, func(t *testing.T) {
			NewWithT(t).Expect(checkSteps(t, "up", step)).To(Equal(want))
		})
	}
}

func TestProgramsOfAStepThatIsOnlyShown(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	edit(t, backup, "```bash\nsystemctl start shop-backup.service\n```", "```bash {run=false}\nnope\n```\n\n1. x\n\n   ```bash\n   true; nope\n   ```")
	g.Expect(run(t)).To(HaveLen(1))
	g.Expect(run(t)[0]).To(HavePrefix(`runbooks/BackupTooOld.md:21:10 runbook/program: the host has no program "nope": `))
}

func TestVariables(t *testing.T) {
	for name, tc := range map[string]struct {
		expr  string
		steps []string
		want  []string
	}{
		"labels that are there":       {"up", []string{`echo "$domain" "$instance" "${severity}" "$alertname"`}, nil},
		"an unknown label":            {"up", []string{`echo "$shard"`}, nil}, // a target may well export it
		"a slip":                      {"up", []string{`echo "$domian"`}, []string{`runbook/misspelling "$domian"`}},
		"another slip":                {"up", []string{`echo "${domains2:0:1}" "$DOMAIN"`}, []string{`runbook/misspelling "$DOMAIN"`}},
		"what is meant to differ":     {"up", []string{`host1=a; echo "$host2 $domains $host1"`}, nil},
		"a label aggregated away":     {"sum by (domain) (up)", []string{`echo "$instance $domain"`}, []string{`runbook/variable "$instance"`}},
		"a label of Prometheus":       {"sum by (domain) (up)", []string{`echo "$cluster"`}, nil},
		"set before":                  {"sum(up)", []string{"pid=1\necho $pid"}, nil},
		"set in another branch":       {"up", []string{"pid=1", "echo $pid"}, []string{`runbook/variable "$pid"`}},
		"set for one command":         {"sum(up)", []string{"pid=1 true $pid"}, []string{`runbook/variable "$pid"`}},
		"a default":                   {"sum(up)", []string{`: "${a:-1}" "${b-}" "${c:?why}" "${d:=1}" "$d" "${e:+x}" "${!f*}"`}, nil},
		"the shell's own":             {"sum(up)", []string{`echo "$HOME $? $1 $@ $$ $RANDOM ${PIPESTATUS[0]} $https_proxy $SUDO_USER"`}, nil},
		"set in other ways":           {"sum(up)", []string{"for a in 1; do read -r b c; mapfile -t d; printf -v e x; local f=1; ((g = 1)); ((h++)); exec {i}>/dev/null; done\necho $a $b $c ${d[0]} $e $f $g $h $i"}, nil},
		"quoted":                      {"sum(up)", []string{`echo '$a' \$b; cat <<'EOF'` + "\n$c\nEOF"}, nil},
		"a here-document that is not": {"sum(up)", []string{"cat <<EOF\n$RENEWED\nEOF"}, []string{`runbook/variable "$RENEWED"`}},
		"read from elsewhere":         {"sum(up)", []string{". /etc/x", "echo $a"}, nil},
		"nested":                      {"sum(up)", []string{`echo "$(echo "${a%x}")" $((b + 1))`}, []string{`runbook/variable "${a%x}"`}},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(checkSteps(t, tc.expr, tc.steps...)).To(Equal(tc.want))
		})
	}
}

func TestVariablesOfAnInvestigation(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	edit(t, backup, "## Resolution", "## Symptom\n\n```bash\npid=1\n```\n\n```bash\necho $pid\n```\n\n## Resolution")
	edit(t, backup, "systemctl start shop-backup.service", "systemctl kill \"$pid\"")
	g.Expect(run(t)).To(Equal([]string{
		`runbooks/BackupTooOld.md:25:17 runbook/variable: nothing has set $pid here: runbooks/BackupTooOld.md sets it on line 13, in a section that is followed in another shell; set it in this one too`}))
}

func TestRedirections(t *testing.T) {
	for step, want := range map[string][]string{
		"true >/dev/null 2>&1; true 2>/dev/null >x; true >&2; true &>x; true <x": nil,
		"true 2>&1 >/dev/null":                  {`runbook/redirection "2>&1 >/dev/null"`},
		"if true; then true 2>&1 >>x; fi":       {`runbook/redirection "2>&1 >>x"`},
		"true 2>&1 >/dev/null | cat":            nil,
		"x=$(true 2>&1 >/dev/null)":             nil,
		"{ true 2>&1 >/dev/null; } | cat":       nil,
		"{ true 2>&1 >/dev/null; } >x":          nil,
		"f() { true 2>&1 >/dev/null; }; x=$(f)": nil,
		"echo x | { true 2>&1 >x; }":            {`runbook/redirection "2>&1 >x"`},
		"true 3>&1 1>&2 2>&3":                   nil,
		"true 2>1":                              {`runbook/redirection "2>1"`},
		"true >1; true > 0; true <5":            {`runbook/redirection ">1"`, `runbook/redirection "> 0"`, `runbook/redirection "<5"`},
		"true > '1'; true >1.txt":               nil,
		"x=1; true $x >= 5":                     {`runbook/redirection ">="`},
		"x=1; [ $x > 5 ]; [ $x \\> 5 ]; [[ $x > a ]]; ((x > 5)); test $x < min": {`runbook/redirection "> 5"`, `runbook/redirection "< min"`},
		"[ -f x ] >/dev/null; [ -f x ] 2>err":                                   nil,
		"echo Settings -> Network":                                              {`runbook/redirection "> Network"`},
		"echo a => b":                                                           {`runbook/redirection "> b"`},
		"cat - >x; cat ->x":                                                     nil,
		"sort x >x":                                                             {`runbook/redirection ">x"`},
		"sed s/a/b/ /etc/x > '/etc/x'":                                          {`runbook/redirection "> '/etc/x'"`},
		"sort x >>x; sort x >y; echo x >x; sed -i s/a/b/ x":                     nil,
	} {
		t.Run(step, func(t *testing.T) {
			NewWithT(t).Expect(checkSteps(t, "up", step)).To(Equal(want))
		})
	}
}

func FuzzSteps(f *testing.F) {
	for _, step := range []string{"sudo -u x -- y | xargs -I{} z", "a 2>&1 >b", "bash -c 'watch \"x\"'", "echo ${a:-$b} $((c++))", "find . -exec", "x() { y; }; . z"} {
		f.Add(step)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if len(source) > 1<<12 {
			return
		}
		file := parseShell(source)
		if file == nil {
			return
		}
		s := script{Step: runbook.Step{File: "A.md", Line: 1, Source: source, Run: true}, file: file}
		c := &checker{series: &series{}, lines: map[string][]string{"A.md": strings.Split(source, "\n")}}
		expr, _ := promql.ParseExpr("sum(up)")
		c.redirections(s)
		c.variables(rule.Alert{Name: "A"}, expr, &runbook.Runbook{Path: "A.md"}, []script{s})
		c.programs([]script{s}, &programs{names: map[string]bool{"x": true}})
		for _, found := range c.findings {
			if found.Column < 0 || found.EndColumn > 0 && found.EndColumn <= found.Column {
				t.Errorf("not a place: %+v", found)
			}
		}
	})
}
