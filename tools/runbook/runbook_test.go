package runbook

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// example has one of everything.
const example = `# Certificate ` + "`expiring`" + ` *soon*

Some words first.

- **Severity:** critical
- **Alert:** ` + "`CertificateExpiringSoon`" + `
- **Trigger:** ` + "`tls_cert_expiry_seconds < 604800`" + `, which
  is 7&nbsp;days
- **Duration**: 1h30m

## Investigation

` + "```bash" + `
echo one # <-- this one, not <that>
` + "```" + `

### Details

1. Look:
   ` + "```bash {exit=1 #look timeout=\"2m\"}" + `
   if false; then
     echo two
   fi

   ! true
   ` + "```" + `
2. > quoted
   >
   > ` + "~~~~bash {run=false}" + `
   > echo three
   > ` + "~~~" + `
   > ~~~~

` + "```text" + `
<domain>
` + "```" + `

## Resolution

### If Using Let's Encrypt

- Tab:
	` + "```bash" + `
	cat <<-'END'
		four <domain>
	END
	` + "```" + `

#### Afterwards

` + "```bash" + `
echo five
` + "```" + `

### If It Is "Ours"

    indented code is prose

` + "``` bash" + `
echo six
` + "```" + `

## Prevention

` + "```bash" + `
echo seven
` + "```" + `
`

// parseAll parses a text. The error joins all that is wrong with it.
func parseAll(src string) (*Runbook, error) {
	r, err := Parse("X.md", []byte(src), Grammar{})
	if err != nil {
		return nil, err
	}
	problems := slices.Concat(r.Problems, r.Structure)
	inOrder(problems)
	var errs []error
	for _, p := range problems {
		errs = append(errs, p)
	}
	return r, errors.Join(errs...)
}

func parse(t *testing.T, src string) *Runbook {
	t.Helper()
	r, err := parseAll(src)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestParse(t *testing.T) {
	r := parse(t, example)
	equal(t, "the path", r.Path, "X.md")
	equal(t, "the title", r.Title, "Certificate expiring soon")
	equal(t, "the header", r.Header, Header{
		Severity: "critical", SeverityLine: 5,
		Alert: "CertificateExpiringSoon", AlertLine: 6,
		Trigger: "tls_cert_expiry_seconds < 604800, which is 7 days", TriggerLine: 7,
		Duration: 90 * time.Minute, DurationLine: 9,
	})

	want := []Step{
		{Line: 14, Source: "echo one # <-- this one, not <that>", Run: true, Timeout: time.Minute},
		{Line: 21, Source: "if false; then\n  echo two\nfi\n\n! true", Run: true, Exit: 1, Name: "look", Timeout: 2 * time.Minute},
		{Line: 30, Source: "echo three\n~~~", Timeout: time.Minute},
		{Line: 44, Source: "cat <<-'END'\n\tfour <domain>\nEND", Run: true, Timeout: time.Minute},
		{Line: 52, Source: "echo five", Run: true, Timeout: time.Minute},
		{Line: 60, Source: "echo six", Run: true, Timeout: time.Minute},
		{Line: 66, Source: "echo seven", Run: true, Timeout: time.Minute},
	}
	got := r.Steps()
	if len(got) != len(want) {
		t.Fatalf("%d steps: %+v", len(got), got)
	}
	for i := range want {
		want[i].File = "X.md"
		if got[i] != want[i] {
			t.Errorf("step %d is\n%+v\nnot\n%+v", i, got[i], want[i])
		}
	}

	var branches []string
	for _, b := range r.Branches() {
		branches = append(branches, fmt.Sprint(b.Name, " ", b.Line, sources(b)))
	}
	equal(t, "the branches", branches, []string{
		"If Using Let's Encrypt 40 [cat <<-'END'\n\tfour <domain>\nEND echo five]",
		`If It Is "Ours" 55 [echo six]`,
	})
	for section, want := range map[string]string{
		"Investigation": "[echo one # <-- this one, not <that> if false; then\n  echo two\nfi\n\n! true echo three\n~~~]",
		"Details":       "[if false; then\n  echo two\nfi\n\n! true echo three\n~~~]",
		"Afterwards":    "[echo five]",
		"Prevention":    "[echo seven]",
	} {
		b, err := r.Section(section)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, section, fmt.Sprint(sources(b)), want)
	}
	if b, err := r.Section("Resolution"); err != nil || len(b.Steps) != 3 {
		t.Error(b, err)
	}
	if b, err := r.Section(r.Title); err != nil || len(b.Steps) != 7 {
		t.Error(b, err)
	}
}

func sources(b Branch) []string {
	var all []string
	for _, s := range b.Steps {
		all = append(all, s.Source)
	}
	return all
}

func TestParseIgnoresByteOrderMark(t *testing.T) {
	want := parse(t, example)
	got := parse(t, "\uFEFF"+strings.ReplaceAll(example, "\n", "\r\n"))
	if fmt.Sprint(got.Header, got.Steps(), got.Branches()) != fmt.Sprint(want.Header, want.Steps(), want.Branches()) {
		t.Errorf("with CRLF and a byte order mark it is\n%+v\nnot\n%+v", got, want)
	}
}

func TestHeaderInLines(t *testing.T) {
	for _, end := range []string{"\n", "  \n", "\\\n", "\n\n"} {
		r := parse(t, strings.NewReplacer("- **", "**", "critical\n", "critical"+end, "Test\n", "Test"+end, "tests\n", "tests"+end).
			Replace(complete(steps("true"))))
		r.Header.SeverityLine, r.Header.AlertLine, r.Header.TriggerLine, r.Header.DurationLine = 0, 0, 0, 0
		equal(t, "the header", r.Header, Header{Severity: "critical", Alert: "Test", Trigger: "somebody tests", Duration: time.Hour})
	}
}

func TestHeaderDurationOfZero(t *testing.T) {
	r := parse(t, strings.Replace(complete(steps("true")), "1h", "0s", 1))
	if r.Header.Duration != 0 || r.Header.DurationLine != 6 {
		t.Errorf("%+v", r.Header)
	}
}

func TestUnknownBranch(t *testing.T) {
	r := parse(t, example+"\n### Details\n")
	for name, c := range map[string]struct {
		ask  func(string) (Branch, error)
		want string
	}{
		"if using Lets Encrypt": {r.Branch, `X.md:38: no branch ("if using Lets Encrypt") under the heading Resolution: the nearest is "If Using Let's Encrypt", of "If Using Let's Encrypt", "If It Is \"Ours\""`},
		"Investigation":         {r.Branch, `X.md:38: no branch ("Investigation") under the heading Resolution: the nearest is "If It Is \"Ours\"", of "If Using Let's Encrypt", "If It Is \"Ours\""`},
		"Prevntion":             {r.Section, `X.md:1: no heading ("Prevntion"): the nearest is "Prevention", of "Certificate expiring soon", "Investigation", "Details", "Resolution", "If Using Let's Encrypt", "Afterwards", "If It Is \"Ours\"", "Prevention", "Details"`},
		"Details":               {r.Section, `X.md:69: two headings of the same text ("Details"), the first on line 17: give one of them another`},
	} {
		if _, err := c.ask(name); err == nil || err.Error() != c.want {
			t.Errorf("%s: the error is\n%v\nnot\n%s", name, err, c.want)
		}
	}
}

// procedure is a runbook of no alert.
const procedure = "# Test\n\n- **Procedure:** Test\n- **Trigger:** it is lost\n\n## Resolution\n\n### If Lost\n\n```bash {#restore}\ntrue\n```\n"

func TestParseProcedure(t *testing.T) {
	r := parse(t, procedure)
	equal(t, "the header", r.Header, Header{Procedure: "Test", ProcedureLine: 3, Trigger: "it is lost", TriggerLine: 4})
	branch, err := r.Branch("If Lost")
	if err != nil || len(branch.Steps) != 1 || branch.Steps[0].Name != "restore" {
		t.Errorf("branch %+v, error %v", branch, err)
	}
}

func TestParseBadInput(t *testing.T) {
	fence := func(info, code string) string { return complete("```" + info + "\n" + code + "\n```\n") }
	step := func(code string) string { return fence("bash", code) }
	resolution := func(markdown string) string { return strings.Replace(header, "## Resolution\n", markdown, 1) }
	for name, c := range map[string]struct {
		src  string
		want string
	}{
		"nothing at all": {"", `X.md:1: the runbook does not begin with a title (""): a line such as "# Certificate expiring soon"
X.md:1: the runbook does not say what to do (""): a heading such as "## Mitigation", with the steps or a heading for each case below it`},
		"NUL":        {"# T\nab\x00c\n", `X.md:2: a NUL byte at offset 6 ("ab\x00c"): a runbook is text in UTF-8`},
		"Latin-1":    {"# T\n\nf\xfcr\n", `X.md:3: not UTF-8 at byte offset 6 ("f\xfcr"): save the file in UTF-8`},
		"too large":  {strings.Repeat("x", MaxFileSize+1), `X.md:1: the file is too large (more than 1048576 bytes): a runbook has at most 1 MiB`},
		"no title":   {strings.Replace(step("true"), "# Test\n", "## Test\n", 1), `X.md:1: the runbook does not begin with a title ("## Test"): a line such as "# Certificate expiring soon"`},
		"text first": {"text" + strings.Replace(step("true"), "# Test\n", "\n\n## Test\n", 1), `X.md:3: the runbook does not begin with a title ("## Test"): a line such as "# Certificate expiring soon"`},

		"empty alert":       {strings.Replace(step("true"), "Alert:** Test", "Alert:**", 1), `X.md:4: Alert is empty ("- **Alert:**"): a line such as "- **Alert:** CertificateExpiringSoon"`},
		"severity twice":    {strings.Replace(step("true"), "- **Alert", "- **Severity:** warning\n- **Alert", 1), `X.md:4: Severity is given twice ("warning"), the first time on line 3: give it once`},
		"no such duration":  {strings.Replace(step("true"), "1h", "1 hour", 1), `X.md:6: not a duration ("1 hour"): Prometheus's notation, such as 1h, 5m or 0s`},
		"negative duration": {strings.Replace(step("true"), "1h", "-1h", 1), `X.md:6: not a duration ("-1h"): Prometheus's notation, such as 1h, 5m or 0s`},

		"an alert's procedure": {strings.Replace(step("true"), "- **Alert:** Test\n", "- **Alert:** Test\n- **Procedure:** Test\n", 1), `X.md:3: a procedure has no severity ("- **Severity:** critical"): remove the line; the alert's runbook gives it
X.md:4: a procedure has no alert ("- **Alert:** Test"): remove the line; the alert's runbook gives it
X.md:7: a procedure has no duration ("- **Duration:** 1h"): remove the line; the alert's runbook gives it`},
		"procedure twice":   {strings.Replace(procedure, "- **Trigger", "- **Procedure:** Y\n- **Trigger", 1), `X.md:4: Procedure is given twice ("Y"), the first time on line 3: give it once`},
		"nameless and idle": {strings.Replace(procedure, "Test\n- **Trigger:** it is lost\n", "\n", 1), `X.md:3: Procedure is empty ("- **Procedure:** "): a line such as "- **Procedure:** DisasterRecovery"`},

		"no resolution":       {resolution(""), `X.md:1: the runbook does not say what to do ("Test"): a heading such as "## Mitigation", with the steps or a heading for each case below it`},
		"no branch":           {header + "#### If Testing\n\n## Prevention\n\n### Branch\n", `X.md:10: a branch with nothing to run ("If Testing"): at least one bash fence without {run=false} below it`},
		"branch without name": {header + "###\n", `X.md:10: a branch without a name ("###"): the case that it is for, such as "### If the certificate is ours"`},
		"branch of prose":     {fence("text", "true"), `X.md:10: a branch with nothing to run ("If Testing"): at least one bash fence without {run=false} below it`},
		"branch not run":      {fence("bash {run=false}", "true"), `X.md:10: a branch with nothing to run ("If Testing"): at least one bash fence without {run=false} below it`},
		"branch twice":        {step("true") + "### If  Testing\n", `X.md:15: a branch of the same name ("If Testing") is on line 10: another name`},
		"step of no branch":   {header + steps("true") + "### If Testing\n" + steps("true"), `X.md:11: a step outside any branch ("true"), which is never run: move it below the heading of a branch`},

		"unclosed at the end":     {complete("```bash\ntrue\n"), `X.md:12: the fence is not closed ("` + "```bash" + `"): a line of ` + "```" + ` after the last line of its code`},
		"closed by too few":       {complete("~~~~ bash\ntrue\n~~~\n"), `X.md:12: the fence is not closed ("~~~~ bash"): a line of ~~~~ after the last line of its code`},
		"closed by the quotation": {step("true") + "\n> ```text\n> a\n\nb\n", `X.md:16: the fence is not closed ("` + "```text" + `"): a line of ` + "```" + ` after the last line of its code`},
		"closed by the list":      {step("true") + "\n1. one\n   ```bash\n   true\n2. two\n", `X.md:17: the fence is not closed ("` + "```bash" + `"): a line of ` + "```" + ` after the last line of its code`},
		"swallows the next":       {step("true") + "```text\na\n\n```bash\nfalse\n```\n", `X.md:15: the fence is not closed ("` + "```text" + `"): a line of ` + "```" + ` before line 18, which opens another ("` + "```bash" + `")`},

		"Bash":               {fence("Bash", "true"), `X.md:12: unknown language ("Bash"): bash, in lower case, for a step`},
		"no space":           {fence("bash{exit=1}", "true"), `X.md:12: no space between the language and the braces ("bash{exit=1}"): "bash {exit=1}"`},
		"braces on prose":    {step("true") + "```text {exit=1}\n```\n", `X.md:15: braces on a fence that is not a step ("text {exit=1}"): the language bash for a step, no braces for prose`},
		"braces alone":       {step("true") + "```{exit=1}\n```\n", `X.md:15: braces on a fence that is not a step ("{exit=1}"): the language bash for a step, no braces for prose`},
		"more than language": {fence("bash session", "true"), `X.md:12: text after the language ("session"): nothing, or braces with exit=1, run=false, timeout="2m" or #name, separated by spaces`},
		"braces not closed":  {fence("bash {exit=1", "true"), `X.md:12: text after the language ("{exit=1"): nothing, or braces with exit=1, run=false, timeout="2m" or #name, separated by spaces`},
		"two pairs":          {fence("bash {exit=1} {#a}", "true"), `X.md:12: not an exit status ("exit=1}"): a number from 0 to 255`},
		"unknown key":        {fence("bash {exti=1}", "true"), `X.md:12: unknown attribute ("exti=1"): exit=1, run=false, timeout="2m" or #name, separated by spaces`},
		"a word":             {fence("bash {norun}", "true"), `X.md:12: unknown attribute ("norun"): exit=1, run=false, timeout="2m" or #name, separated by spaces`},
		"key twice":          {fence("bash {exit=1 exit=2}", "true"), `X.md:12: exit is given twice ("exit=2"): give it once`},
		"two names":          {fence("bash {#a #b}", "true"), `X.md:12: #name is given twice ("#b"): give it once`},
		"exit 256":           {fence("bash {exit=256}", "true"), `X.md:12: not an exit status ("exit=256"): a number from 0 to 255`},
		"exit alone":         {fence("bash {exit}", "true"), `X.md:12: not an exit status ("exit"): a number from 0 to 255`},
		"comma":              {fence("bash {exit=1, run=false}", "true"), `X.md:12: not an exit status ("exit=1,"): a number from 0 to 255`},
		"run=true":           {fence("bash {run=true}", "true"), `X.md:12: not a way to run a step ("run=true"): run=false, or nothing for a step that runs`},
		"timeout 2":          {fence("bash {timeout=2}", "true"), `X.md:12: not a time limit ("timeout=2"): a duration in Prometheus's notation, such as timeout="2m"`},
		"timeout 0":          {fence(`bash {timeout="0s"}`, "true"), `X.md:12: not a time limit ("timeout=\"0s\""): a duration in Prometheus's notation, such as timeout="2m"`},
		"open quotation":     {fence(`bash {timeout="2m}`, "true"), `X.md:12: a quotation that does not end ("timeout=\"2m"): a second " after the value`},
		"closed too late":    {fence(`bash {timeout="2m"exit=1}`, "true"), `X.md:12: no space between two attributes ("timeout=\"2m\"exit=1"): exit=1, run=false, timeout="2m" or #name, separated by spaces`},
		"name of a number":   {fence("bash {#1}", "true"), `X.md:12: not a name ("#1"): a letter, then letters, digits, - and _`},
		"name taken":         {fence("bash {#a}", "true") + "```bash {#a}\ntrue\n```\n", `X.md:15: the name is taken ("#a") by the step on line 13: another name`},

		"no command":      {step("# nothing yet"), `X.md:13: a step without a command ("# nothing yet"): a command, or another language for prose`},
		"empty":           {complete("```bash\n```\n"), `X.md:12: a step without a command ("` + "```bash" + `"): a command, or another language for prose`},
		"open quote":      {step("true\n  echo \"two\ntrue"), `X.md:14:8: shell syntax error ("echo \"two"): reached EOF without closing quote ` + "`\"`"},
		"no fi":           {complete("1. One\n\n   ```bash\n   true; if true; then\n     true\n   ```\n"), `X.md:15:10: shell syntax error ("true; if true; then"): ` + "`if` statement must end with `fi`"},
		"in a quotation":  {complete("> 1. ```bash\n>    echo $(\n>    ```\n"), `X.md:13:11: shell syntax error (">    echo $("): reached EOF without matching ` + "`$(` with `)`"},
		"half a tab":      {complete("1. ```bash\n\techo ok\n\techo $(\n\t```\n"), `X.md:14:7: shell syntax error ("echo $("): reached EOF without matching ` + "`$(` with `)`"},
		"another shell's": {step("echo ${(f)x}"), `X.md:13:6: shell syntax error ("echo ${(f)x}"): not in bash: parameter expansion flags`},
		"shown only":      {step("true") + "```bash {run=false}\nfi\n```\n", `X.md:16:1: shell syntax error ("fi"): ` + "`fi` can only be used to end an `if`"},
		"too long":        {step(strings.Repeat("x", maxStepSize+1)), `X.md:13: the step is too long ("` + strings.Repeat("x", 100) + `...", 32769 bytes): at most 32768 bytes; put a program of that size into a file`},

		"placeholder in the middle":  {step("certbot renew --cert-name <domain> --force-renewal"), `X.md:13:27: placeholder ("<domain>"): a step is run as written; the alert's labels are shell variables, so "$domain" for the label domain`},
		"placeholder at the end":     {step("certbot renew --cert-name <your-domain>"), `X.md:13:27: placeholder ("<your-domain>"): a step is run as written; the alert's labels are shell variables, so "$domain" for the label domain`},
		"placeholder, then the rest": {step("true | cat <the host name>\nfi"), `X.md:13:12: placeholder ("<the host name>"): a step is run as written; the alert's labels are shell variables, so "$host_name" for the label host_name` + "\n" + `X.md:14:1: shell syntax error ("fi"): ` + "`fi` can only be used to end an `if`"},
		"several": {step("echo <a> b\necho <b>; echo c") + fence("bash {run=false}", "curl https://<C>/")[len(complete("")):], `X.md:13:6: placeholder ("<a>"): a step is run as written; the alert's labels are shell variables, so "$a" for the label a
X.md:14:6: placeholder ("<b>"): a step is run as written; the alert's labels are shell variables, so "$b" for the label b
X.md:17:14: placeholder ("<C>"): a step is run as written; the alert's labels are shell variables, so "$c" for the label c`},

		"everything at once": {"# T\n\n- **Severity:** s\n- **Alert:** a\n- **Duration:** x\n\n```bash {a=1}\nfi\n```\n\n## Resolution\n", `X.md:5: not a duration ("x"): Prometheus's notation, such as 1h, 5m or 0s
X.md:7: unknown attribute ("a=1"): exit=1, run=false, timeout="2m" or #name, separated by spaces
X.md:8:1: shell syntax error ("fi"): ` + "`fi` can only be used to end an `if`" + `
X.md:11: a branch with nothing to run ("Resolution"): at least one bash fence without {run=false} below it`},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := parseAll(c.src)
			switch {
			case err == nil:
				t.Errorf("no error, but %+v", r)
			case err.Error() != c.want:
				t.Errorf("the error is\n%v\nnot\n%s", err, c.want)
			}
		})
	}
}

func TestPlaceholders(t *testing.T) {
	for code, want := range map[string]string{
		"cmd <domain>":                     "<domain>",
		"cmd <domain> x":                   "<domain>",
		"cmd <your-domain> <b>":            "<your-domain>",
		"cmd <your domain> x":              "<your domain>",
		"cmd https://<domain>/x":           "<domain>",
		"cmd https://<domain>x":            "<domain>",
		"cmd <dir>/file":                   "<dir>",
		"cmd user@<host>:22":               "<host>",
		"cmd <host>:22":                    "<host>",
		"x=$(cmd <domain>)":                "<domain>",
		"x=<domain>":                       "<domain>",
		"x=<domain> cmd":                   "<domain>",
		"cmd <domain> | cat":               "<domain>",
		"cmd <domain>|cat":                 "<domain>",
		"cmd <domain>&":                    "<domain>",
		"cmd <domain>;":                    "<domain>",
		"cmd <domain>&&true":               "<domain>",
		"cmd -d <domain> \\\n  -d x":       "<domain>",
		"cmd \\\n  <domain>":               "<domain>",
		"for d in <domain>; do\n:\ndone":   "<domain>",
		"if [ <domain> = x ]; then\n:\nfi": "<domain>",
		"a=(<domain>)":                     "<domain>",
		"f() {\n  cmd <NAME> x\n}":         "<NAME>",
		"cat <<E\n$(cmd <domain> x)\nE":    "<domain>",

		"cmd </dev/null":                    "",
		"cmd < file":                        "",
		"cmd <file":                         "",
		"cmd <file >other":                  "",
		"cmd < file > other":                "",
		"cmd <in>out":                       "",
		"cmd <in>>out":                      "",
		"cmd <in>\"$out\"":                  "",
		"cmd <in>$out":                      "",
		"cmd <in 2>/dev/null":               "",
		"cmd <in x 2>/dev/null":             "",
		"cmd <in 2>&1":                      "",
		"cmd <in &>out":                     "",
		"diff <(a) <(b) >c":                 "",
		"cat <<EOF\n<domain>\nEOF":          "",
		"cat <<'EOF'\n<domain> x\nEOF":      "",
		"cat <<<domain >x":                  "",
		"echo '<domain>' \"<b> c\" \\<d\\>": "",
		"echo x # <-- note <domain> here":   "",
		"# <domain>\ntrue":                  "",
		"[[ a < b && c > d ]]":              "",
		"((a<b)); echo $((a<b>c))":          "",
		"grep -o '<a>' <file":               "",
		"exec 3<>file 4<in":                 "",
	} {
		r, err := parseAll(complete(steps(code)))
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", code, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), fmt.Sprintf("placeholder (%q)", want))):
			t.Errorf("%q: %v, %v", code, r, err)
		}
	}
}

func TestParseDeepNesting(t *testing.T) {
	for name, nested := range map[string]string{
		"subshells":     strings.Repeat("(", maxStepSize),
		"substitutions": strings.Repeat("$(", maxStepSize/2),
		"arithmetic":    "((" + strings.Repeat("-", maxStepSize-2),
		"tests":         "[[" + strings.Repeat(" !", maxStepSize/2-1),
		"parameters":    strings.Repeat("${a-", maxStepSize/4),
		"placeholders":  strings.Repeat("a <b>\n", maxStepSize/6),
	} {
		if _, err := parseAll(complete(steps(nested))); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, nested := range map[string]string{
		"quotations": strings.Repeat(">", 1<<12),
		"emphasis":   strings.Repeat("*a ", MaxFileSize/16),
		"brackets":   strings.Repeat("[", MaxFileSize/16),
		"headings":   strings.Repeat("# a\n", 1000),
	} {
		if _, err := parseAll(nested); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAnchors(t *testing.T) {
	src := "# Certificate `openssl` & *more*\n\n## If Using Let's Encrypt\n\n### 1. Check: the timer_unit (cron)!\n\nSetext\n======\n\n" +
		"## Ärger — überall\n\n```bash\n# not a heading\n```\n\n## [A link](https://example.com/#x)\n\n## Same\n\n## Same\n\n## Same\n\n## a \\_ b &lt;c&gt;\n"
	r, err := Parse("X.md", []byte(src), Grammar{})
	if err != nil {
		t.Fatal(err)
	}
	fragments, lines := r.Anchors()
	for _, line := range lines {
		if heading := strings.Split(src, "\n")[line-1]; !strings.HasPrefix(heading, "#") && heading != "Setext" {
			t.Errorf("no heading: %s", heading)
		}
	}
	equal(t, "the anchors", fragments, []string{
		"certificate-openssl--more", "if-using-lets-encrypt", "1-check-the-timer_unit-cron", "setext",
		"ärger--überall", "a-link", "same", "same-1", "same-2", "a-_-b-c",
	})
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "X.md")
	if _, err := load(path, Grammar{}); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "read the runbook: ") {
		t.Error(err)
	}
	if _, err := load(dir, Grammar{}); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := load(path, Grammar{}); err != nil || r.Path != path || len(r.Steps()) != 7 {
		t.Error(r, err)
	}
	if err := os.Truncate(path, 50<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := load(path, Grammar{}); err == nil || err.Error() != path+":1: the file is too large (more than 1048576 bytes): a runbook has at most 1 MiB" {
		t.Error(err)
	}
}

var position = regexp.MustCompile(`^X\.md:(\d+):((\d+):)? `)

func FuzzParse(f *testing.F) {
	f.Add(example)
	f.Add(strings.ReplaceAll(example, "\n", "\r\n"))
	f.Add(complete("> 1. ```bash {exit=1 #x}\n>    echo <domain> `\n>    ```\n"))
	f.Add(procedure)
	f.Add("# T\n===\n-\t```bash\n\t\techo $(\n")
	f.Add("\uFEFF## Resolution\n### \n~~~bash {timeout=\"1d\" a\n\tx\n~~~")
	f.Add("---\ntitle: T\n---\n## Mitigation\n```console\n$ a \\\\\n> b\nout\n$ c <d>\n```\n## A\n## A\n```shell\n# x\n```\n+++\n")
	f.Add("-\t```bash {run=false}\n\t\techo\n\n  > x\n\n\t\t\ta <b c> d\n\t```\n")
	f.Fuzz(func(t *testing.T, src string) {
		checkParse(t, src)
		checkParse(t, complete(steps("true")+src)) // most of which is accepted
	})
}

// checkParse parses a text, and demands that problems and steps are where the runbook says.
func checkParse(t *testing.T, src string) {
	lines := strings.Split(strings.ReplaceAll(src, "\r\n", "\n"), "\n")
	for _, g := range []Grammar{{}, {Steps: []string{"shell", "console"}}} {
		r, err := Parse("X.md", []byte(src), g)
		if err != nil {
			at := position.FindStringSubmatch(err.Error())
			if at == nil {
				t.Fatalf("no position: %v", err)
			}
			line, _ := strconv.Atoi(at[1])
			r = &Runbook{Problems: []Problem{{Line: line, Text: err.Error()}}}
		}
		for _, p := range slices.Concat(r.Problems, r.Structure) {
			if p.Line < 1 || p.Line > len(lines) || p.Column > len(lines[p.Line-1])+1 {
				t.Errorf("there is no such position: %+v", p)
			}
		}
		if err == nil && len(r.Structure) == 0 && len(r.Branches()) == 0 {
			t.Error("no branch")
		}
		for _, s := range slices.Concat(r.Steps(), r.Shown()) {
			for i, code := range strings.Split(s.Source, "\n") {
				if s.Line-1+i >= len(lines) || !strings.HasSuffix(lines[s.Line-1+i], strings.TrimLeft(code, " \t")) {
					t.Errorf("line %d does not have %q, of a step in line %d", s.Line+i, code, s.Line)
				}
			}
		}
		fragments, _ := r.Anchors()
		for i, fragment := range fragments {
			if part, ok := r.section(fragment); !ok || part.headings[0].text == "" && r.headings[i].text != "" {
				t.Errorf("no section #%s", fragment)
			}
		}
	}
}
