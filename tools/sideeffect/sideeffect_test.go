package sideeffect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stemedb/firedrill/tools/journal"
)

// host is what the script writes on a machine with little on it, a record a line, the fields separated by "|".
const host = `file|d 755 root root 4096 1.0 1.0 1|.|L
file|d 755 root root 4096 1.0 1.0 2|./etc|L
file|d 755 root root 4096 1.0 1.0 3|./etc/tls|L
file|f 600 app app 1704 10.5 10.5 4|./etc/tls/key.pem|L
file|f 644 app app 1200 10.5 10.5 5|./etc/tls/cert.pem|L
file|f 644 root root 300 11.5 11.5 6|./etc/app.conf|L
file|f 640 root shadow 700 11.5 11.5 7|./etc/shadow|L
file|d 700 root root 4096 1.0 1.0 8|./etc/closed|L
file|f 644 root root 241 12.5 12.5 9|./etc/closed/open.key|L
file|f 755 root root 900 13.5 13.5 10|./usr/bin/tool|L
file|f 4755 root root 900 14.5 14.5 11|./usr/bin/su|L
file|f 755 root root 123 15.5 15.5 12|./etc/cron.daily/rotate|L
file|d 1777 root root 60 1.0 1.0 13|./tmp|L
file|d 1777 root root 60 1.0 1.0 14|./var/tmp|L
file|f 640 root adm 5000 16.5 16.5 15|./var/log/syslog|L
file|f 640 root adm 5000 17.5 17.5 16|./var/log/auth.log|L
file|f 666 root root 10 18.5 18.5 17|./srv/shared|L
hashes|HASH1  ./etc/tls/key.pem|HASH2  ./etc/tls/cert.pem|HASH3  ./etc/app.conf|HASH4  ./etc/closed/open.key|HASH5  ./srv/shared|
keys|./etc/tls/key.pem|./etc/closed/open.key|
credentials|
text|./etc/passwd|root:x:0:0:root:/root:/bin/bash
text|./etc/group|root:x:0:
text|./etc/crontab|SHELL=/bin/sh~# comment~17 * * * * root run-parts /etc/cron.hourly
text|./etc/cron.d/backup|0 3 * * * root backup --to s3
text|./var/spool/cron/crontabs/root|@daily backup-check
history|./root/.bash_history|0
ports|32768	60999
sockets|tcp|00000000:0050 0100007F:1F90
sockets|tcp6|00000000000000000000000001000000:0050
sockets|udp|
list-unit-files|app.service enabled enabled~backup.timer enabled enabled~backup.service static -~debug.service disabled enabled~ssh.service enabled enabled
list-units|app.service loaded active running App~backup.timer loaded active waiting Backup~backup.service loaded inactive dead Backup~ssh.service loaded active running SSH
end`

// state reads a machine of this form, after edits: pairs of what is there and what takes its place.
func state(t testing.TB, edits ...string) State {
	t.Helper()
	s, err := parse(written(t, edits...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func written(t testing.TB, edits ...string) string {
	t.Helper()
	text := host
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("the machine has no %q", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	for i := range 10 {
		text = strings.ReplaceAll(text, fmt.Sprint("HASH", i), strings.Repeat(fmt.Sprint(i), 64))
	}
	return header + "\x00" + strings.NewReplacer("|", "\x00", "\n", "\x00", "~", "\n").Replace(text) + "\x00"
}

func lines(changes []Change) string {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintln(&b, c)
	}
	return b.String()
}

const (
	anchor = "hashes|"
	keys   = "keys|"
	creds  = "credentials|"
)

func fileRecord(stat, path string) []string {
	return []string{anchor, "file|" + stat + "|" + path + "|L\n" + anchor}
}

func edits(lists ...[]string) []string { return slices.Concat(lists...) }

func TestDangers(t *testing.T) {
	newKey := edits(fileRecord("f 600 root root 241 99.5 99.5 90", "./etc/new.key"), []string{anchor, anchor + "HASH9  ./etc/new.key|", keys, keys + "./etc/new.key|"})
	for name, test := range map[string]struct {
		edits []string
		want  []string // "danger subject", all of them
	}{
		"nothing":                                      {nil, nil},
		"a key that all may read":                      {[]string{"f 600 app app 1704 10.5 10.5", "f 644 app app 1704 10.5 99.5"}, []string{"private-key-readable /etc/tls/key.pem"}},
		"a key that its group may read":                {[]string{"f 600 app app", "f 640 app app"}, []string{"private-key-readable /etc/tls/key.pem"}},
		"a key that others but not its group may read": {[]string{"f 600 app app", "f 604 app app"}, []string{"private-key-readable /etc/tls/key.pem"}},
		"a session ends":                               {[]string{"ssh.service loaded", "session-1.scope loaded active running S~ssh.service loaded"}, nil},
		"a key created, its owner alone reads":         {newKey, nil},
		"a key created, all may read":                  {edits(newKey, []string{"f 600 root root 241", "f 644 root root 241"}), []string{"private-key-readable /etc/new.key"}},
		"a key in place of a certificate":              {[]string{keys, keys + "./etc/tls/cert.pem|", "HASH2", "HASH8", "1200 10.5", "1201 99.5"}, []string{"private-key-readable /etc/tls/cert.pem"}},
		"a key renewed":                                {[]string{"HASH1", "HASH8", "1704 10.5", "1700 99.5"}, nil},
		"a key renamed":                                {[]string{"./etc/tls/key.pem", "./etc/tls/old.pem", "./etc/tls/key.pem", "./etc/tls/old.pem", "./etc/tls/key.pem", "./etc/tls/old.pem"}, nil},
		"its folder opened":                            {[]string{"d 700 root root", "d 755 root root"}, []string{"private-key-readable /etc/closed/open.key"}},
		"a key moved from a closed folder":             {[]string{"./etc/closed/open.key", "./etc/open.key", "./etc/closed/open.key", "./etc/open.key", "./etc/closed/open.key", "./etc/open.key"}, []string{"private-key-readable /etc/open.key"}},
		"a password file":                              {fileRecord("f 644 root root 40 99.5 99.5 90", "./root/.pgpass"), []string{"private-key-readable /root/.pgpass"}},
		"credentials by content":                       {[]string{creds, creds + "./etc/app.conf|", "HASH3", "HASH8"}, []string{"private-key-readable /etc/app.conf"}},
		"shadow as it was":                             {[]string{"shadow 700 11.5", "shadow 705 99.5"}, nil},
		"a script that all may write":                  {[]string{"f 755 root root 900", "f 777 root root 900"}, []string{"world-writable /usr/bin/tool"}},
		"a folder that all may write":                  {[]string{"d 755 root root 4096 1.0 1.0 3", "d 777 root root 4096 1.0 1.0 3"}, []string{"world-writable /etc/tls"}},
		"a sticky folder that all may write":           {[]string{"d 755 root root 4096 1.0 1.0 3", "d 1777 root root 4096 1.0 1.0 3"}, nil},
		"a socket that all may write":                  {fileRecord("s 666 root root 0 99.5 99.5 90", "./run/app.sock"), nil},
		"a link":                                       {fileRecord("l 777 root root 9 99.5 99.5 90", "./etc/link"), nil},
		"a shared file renamed":                        {[]string{"./srv/shared", "./srv/common", "./srv/shared", "./srv/common"}, nil},
		"a shared file changed":                        {[]string{"HASH5", "HASH8", "10 18.5", "11 99.5"}, nil},
		"a secret in /tmp":                             {edits(fileRecord("f 600 root root 40 99.5 99.5 90", "./tmp/x"), []string{creds, creds + "./tmp/x|"}), []string{"secret-in-tmp /tmp/x"}},
		"a secret in /var/tmp that all may read":       {edits(fileRecord("f 644 root root 40 99.5 99.5 90", "./var/tmp/x"), []string{keys, keys + "./var/tmp/x|"}), []string{"private-key-readable /var/tmp/x", "secret-in-tmp /var/tmp/x"}},
		"a copy of the key in /tmp":                    {edits(fileRecord("f 600 root root 1704 99.5 99.5 90", "./tmp/x"), []string{keys, keys + "./tmp/x|", anchor, anchor + "HASH1  ./tmp/x|"}), []string{"secret-in-tmp /tmp/x"}},
		"a file in /tmp":                               {fileRecord("f 644 root root 40 99.5 99.5 90", "./tmp/x"), nil},
		"a secret typed":                               {[]string{"history|./root/.bash_history|0", "history|./root/.bash_history|1"}, []string{"secret-in-history /root/.bash_history"}},
		"a unit disabled":                              {[]string{"app.service enabled", "app.service disabled"}, []string{"unit-disabled app.service"}},
		"a unit masked":                                {[]string{"app.service enabled", "app.service masked"}, []string{"unit-disabled app.service"}},
		"a unit stopped":                               {[]string{"app.service loaded active running App~", ""}, []string{"unit-stopped app.service"}},
		"a unit failed":                                {[]string{"app.service loaded active running", "app.service loaded failed failed"}, []string{"unit-stopped app.service"}},
		"a unit disabled and stopped":                  {[]string{"app.service enabled", "app.service disabled", "app.service loaded active running", "app.service loaded inactive dead"}, []string{"unit-disabled app.service", "unit-stopped app.service"}},
		"a unit reloading":                             {[]string{"app.service loaded active running", "app.service loaded reloading reload"}, nil},
		"a unit restarted":                             {[]string{"App~", "App, again~"}, nil},
		"a unit enabled":                               {[]string{"debug.service disabled", "debug.service enabled"}, nil},
		"a timer disabled":                             {[]string{"backup.timer enabled", "backup.timer disabled"}, []string{"timer-gone backup.timer"}},
		"a timer stopped":                              {[]string{"backup.timer loaded active waiting Backup~", ""}, []string{"timer-gone backup.timer"}},
		"a job of cron.d removed":                      {[]string{"text|./etc/cron.d/backup|0 3 * * * root backup --to s3\n", ""}, []string{"job-gone /etc/cron.d/backup: root backup --to s3"}},
		"a job commented out":                          {[]string{"@daily backup-check", "# 1 2 3 4 5 backup-check"}, []string{"job-gone /var/spool/cron/crontabs/root: backup-check"}},
		"a job in a file that cron passes over":        {[]string{"./etc/cron.d/backup", "./etc/cron.d/backup.off"}, []string{"job-gone /etc/cron.d/backup: root backup --to s3"}},
		"a job that may not be executed":               {[]string{"f 755 root root 123", "f 644 root root 123"}, []string{"job-gone /etc/cron.daily/rotate"}},
		"a job moved":                                  {[]string{"./etc/cron.d/backup", "./etc/cron.d/nightly"}, nil},
		"a job at another time":                        {[]string{"0 3 * * *", "0 4 * * *"}, nil},
		"a port on all addresses":                      {[]string{"sockets|tcp|", "sockets|tcp|00000000:2382 "}, []string{"listener-on-all-addresses tcp 0.0.0.0:9090"}},
		"a port on all addresses, IPv6 and UDP":        {[]string{"sockets|udp|", "sockets|udp|00000000:0035 \nsockets|udp6|00000000000000000000000000000000:0035 "}, []string{"listener-on-all-addresses udp 0.0.0.0:53", "listener-on-all-addresses udp [::]:53"}},
		"a port on one address":                        {[]string{"sockets|tcp|", "sockets|tcp|0100007F:2382 "}, nil},
		"a client's UDP port":                          {[]string{"sockets|udp|", "sockets|udp|00000000:C000 "}, nil},
		"a SUID file":                                  {[]string{"f 755 root root 900", "f 4755 root root 900"}, []string{"suid-file /usr/bin/tool"}},
		"a SUID file changed":                          {[]string{"900 14.5", "901 99.5"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			changes := Compare(state(t), state(t, test.edits...))
			var got []string
			for _, c := range Dangerous(changes, nil) {
				got = append(got, c.Danger+" "+c.Subject)
				if Dangers[c.Danger] == "" {
					t.Errorf("%s is not in Dangers", c.Danger)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q, of\n%s", got, test.want, lines(changes))
			}
			if !slices.IsSortedFunc(changes, func(a, b Change) int { return strings.Compare(first(a), first(b)) }) {
				t.Errorf("dangers do not come first:\n%s", lines(changes))
			}
		})
	}
}

func first(c Change) string {
	if c.Danger != "" {
		return "a"
	}
	return "b"
}

// What was so before the fault is not the runbook's doing.
func TestWhatWasThereBeforeTheFault(t *testing.T) {
	well := state(t, "sockets|tcp|", "sockets|tcp|00000000:2382 ")
	before, after := state(t), state(t, "sockets|tcp|", "sockets|tcp|00000000:2382 ")
	if got := lines(Compare(before, after, well)); got != "listener tcp 0.0.0.0:9090: (none) -> listening\n" {
		t.Errorf("got %s", got)
	}
}

// A folder that is closed today is no reason for a key's mode.
func TestAKeyInAClosedFolder(t *testing.T) {
	before := fileRecord("f 600 root root 1704 99.5 99.5 90", "./etc/closed/other.key")
	before = edits(before, []string{keys, keys + "./etc/closed/other.key|"})
	after := edits(before, []string{"f 600 root root 1704", "f 644 root root 1704"})
	if got := lines(Compare(state(t, before...), state(t, after...))); got != "private-key-readable: file /etc/closed/other.key: 600 -> 644\n" {
		t.Errorf("got %s", got)
	}
}

func TestDangersThatGrow(t *testing.T) {
	key := []string{"f 600 app app 1704", "f 640 app app 1704"}
	for name, test := range map[string]struct {
		edits []string
		want  string
	}{
		"others as well": {[]string{"f 600 app app 1704", "f 644 app app 1704"}, "private-key-readable: file /etc/tls/key.pem: 640 -> 644\n"},
		"a copy": {edits(key, fileRecord("f 640 app app 1704 99.5 99.5 90", "./etc/copy"), []string{keys, keys + "./etc/copy|", anchor, anchor + "HASH1  ./etc/copy|"}),
			"file /etc/copy: (none) -> private key file, 640 app:app, 1704 bytes\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lines(Compare(state(t, key...), state(t, test.edits...))); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
		})
	}
	static := []string{"backup.service loaded inactive", "backup.service loaded active"}
	if got := lines(Compare(state(t, static...), state(t))); got != "unit backup.service: static, active -> static, inactive\n" {
		t.Errorf("a timer's service that ends: got %s", got)
	}
}

func TestChangesAreListedShortly(t *testing.T) {
	var crowded, created []string
	for i := range 12 {
		crowded = edits(crowded, fileRecord(fmt.Sprintf("f 644 app app %d 50.%d 5.0 %d", 100+i, i, 100+i), fmt.Sprintf("./srv/data/%d", i)))
	}
	for i := range 3 {
		created = edits(created, fileRecord(fmt.Sprintf("f 644 app app %d 60.%d 5.0 %d", 200+i, i, 200+i), fmt.Sprintf("./srv/new/%d", i)))
	}
	created = edits(created, fileRecord("d 755 app app 4096 60.0 60.0 99", "./srv/new"))
	const units = "ssh.service loaded active running SSH"
	for name, test := range map[string]struct {
		edits []string
		want  string
	}{
		"a session":           {[]string{units, units + "~session-1.scope loaded active running S"}, ""},
		"a transient unit":    {[]string{"ssh.service enabled", "once.service transient -~ssh.service enabled"}, ""},
		"IPv4 by IPv6":        {[]string{"sockets|tcp6|", "sockets|tcp6|0000000000000000FFFF00000100007F:1F90 "}, ""},
		"a job commented out": {[]string{"@daily backup-check", "# 1 2 3 4 5 backup-check"}, "job-gone: job /var/spool/cron/crontabs/root: backup-check: @daily -> (none)\n"},
		"times alone":         {[]string{"300 11.5 11.5", "300 99.5 99.5"}, ""},
		"logs":                {[]string{"5000 16.5 16.5", "5999 99.5 99.5", "5000 17.5 17.5", "5999 99.5 99.5"}, "file /var/log (logs): (none) -> 2 changed in it\n"},
		"content":             {[]string{"HASH3", "HASH8", "300 11.5", "300 99.5"}, "file /etc/app.conf: old content -> new content\n"},
		"no content":          {[]string{"900 13.5 13.5", "900 13.5 99.5"}, "file /usr/bin/tool: old attributes -> new attributes\n"},
		"owner, mode":         {[]string{"f 644 app app 1200", "f 600 root root 1200"}, "file /etc/tls/cert.pem: 644, app:app -> 600, root:root\n"},
		"removed":             {[]string{"file|f 755 root root 900 13.5 13.5 10|./usr/bin/tool|L\n", ""}, "file /usr/bin/tool: file, 755 root:root, 900 bytes -> (none)\n"},
		"renamed":             {[]string{"./usr/bin/tool", "./usr/bin/tool2", "13.5 13.5", "13.5 99.5"}, "file /usr/bin/tool2: /usr/bin/tool -> renamed\n"},
		"crowded":             {crowded, "file /srv/data: (none) -> 12 created in it\n"},
		"created":             {created, "file /srv/new: (none) -> folder, 755 app:app; 3 created in it\n"},
		"link":                {[]string{"13.5 10|./usr/bin/tool|L", "13.5 10|./usr/bin/tool|L\nfile|l 777 root root 3 1.0 1.0 88|./usr/bin/t|Ltool"}, "file /usr/bin/t: (none) -> link to tool\n"},
		"accounts":            {[]string{"/bin/bash", "/bin/bash~op:secrethash:1:1::/home/op:/bin/sh", "group|root:x:0:", "group|root:x:0:op"}, "group root: 0: -> 0:op\nuser op: (none) -> 1:1::/home/op:/bin/sh\n"},
		"not seen":            {[]string{"end", "note|units: systemctl fails\nend"}, "not examined units: systemctl fails\n"},
		"units not listed": {[]string{`list-units|app.service loaded active running App~backup.timer loaded active waiting Backup~backup.service loaded inactive dead Backup~ssh.service loaded active running SSH
`, "note|units: list-units fails\n"}, "not examined units: list-units fails\n"},
		"a secret in a job": {[]string{"root backup --to s3", "root backup --token hunter2hunter2 https://me:hunter2hunter2@s3"},
			"job-gone: job /etc/cron.d/backup: root backup --to s3: 0 3 * * * -> (none)\njob /etc/cron.d/backup: root backup --token [redacted] https://me:[redacted]@s3: (none) -> 0 3 * * *\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lines(Compare(state(t), state(t, test.edits...))); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
		})
	}
}

func TestAllowed(t *testing.T) {
	key := Change{Kind: "file", Subject: "/etc/tls/key.pem", Danger: PrivateKeyReadable}
	for entry, want := range map[string]bool{
		"private-key-readable":                    true,
		"private-key-readable:/etc/tls/*.pem":     true,
		"private-key-readable: /etc/tls/key.pem":  true,
		"private-key-readable:/etc/*":             false,
		"private-key-readable:/etc/tls/other.pem": false,
		"world-writable":                          false,
		"world-writable:/etc/tls/key.pem":         false,
	} {
		if got := len(Dangerous([]Change{key, {Kind: "file", Subject: "/a"}}, []string{entry})) == 0; got != want {
			t.Errorf("%s: allowed is %v", entry, got)
		}
		if err := CheckAllow(entry); err != nil {
			t.Error(err)
		}
	}
	for entry, want := range map[string]string{
		"key-readable":         `"key-readable" is not a danger: write one of job-gone, `,
		"world-writable:":      "has no pattern after its colon",
		"world-writable:/a[b/": "is not a pattern",
	} {
		if err := CheckAllow(entry); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", entry, err, want)
		}
	}
	job := Change{Kind: "job", Subject: "/etc/cron.d/[x: root a * b", Danger: JobGone}
	if left := Dangerous([]Change{job}, []string{"job-gone:" + job.Subject}); len(left) > 0 {
		t.Error("the whole of the subject does not allow it")
	}
	got := Record([]Change{key, {Kind: "file", Subject: "/a", Before: "1", After: "2"}}, []string{PrivateKeyReadable})
	want := []journal.SideEffect{{Kind: "file", Subject: key.Subject, Danger: PrivateKeyReadable, Allowed: true}, {Kind: "file", Subject: "/a", Before: "1", After: "2"}}
	if !slices.Equal(got, want) {
		t.Errorf("recorded %+v", got)
	}
}

func TestWhatIsNoSnapshot(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"nothing":     {"", `field 1 is "", not "firedrill-snapshot-1"`},
		"header":      {header, "the list ends after 1 fields"},
		"cut short":   {strings.TrimSuffix(written(t), "end\x00"), "the list ends there"},
		"within":      {written(t)[:200], "the list ends there"},
		"after end":   {written(t) + "more", "none of the tags"},
		"a tag":       {written(t, "history", "herstory"), `"herstory": it is none of the tags of a snapshot`},
		"a stat":      {written(t, "f 600 app app 1704 10.5 10.5 4", "f 600"), `field 14, "file": "f 600" is not type, mode`},
		"a mode":      {written(t, "f 600", "f 69x"), `mode "69x" is not octal`},
		"a size":      {written(t, "1704", "many"), `size "many" is not a number`},
		"a hash":      {written(t, "HASH1", "f00"), "is not a SHA-256"},
		"an address":  {written(t, "0100007F:1F90", "0100:1F90"), `listening socket tcp "0100:1F90" is not an address`},
		"a unit":      {written(t, "list-unit-files|app.service enabled enabled", "list-unit-files|app.service"), `"app.service" has no unit and state`},
		"a count":     {written(t, "bash_history|0", "bash_history|x"), `"history"`},
		"an open end": {header + "\x00keys\x00./a\x00end\x00", "the list of keys does not end"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	refused := errors.New("refused")
	if _, err := Snapshot(t.Context(), func(context.Context, string) (string, error) { return "", refused }); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(written(f))
	f.Add(header)
	f.Add(header + "\x00hashes\x00\x00end\x00")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse(text)
		if err == nil {
			Compare(s, State{})
			Compare(State{}, s)
		}
	})
}

// The script runs on a folder that is made to look like a machine.
func TestScript(t *testing.T) {
	root := t.TempDir()
	write := func(mode os.FileMode, name, text string) {
		t.Helper()
		name = filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600), os.Chmod(name, mode)); err != nil {
			t.Fatal(err)
		}
	}
	const key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIGJhZGtleQ\n-----END EC PRIVATE KEY-----\n"
	write(0o600, "etc/tls/key.pem", key)
	write(0o644, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
	write(0o644, "etc/cron.d/backup", "0 3 * * * root backup\n")
	write(0o755, "usr/local/bin/tool", "#!/bin/sh\n# see /etc/tls/key.pem, which begins with -----BEGIN EC PRIVATE KEY-----\n")
	write(0o600, "root/.bash_history", "ls\n")
	write(0o644, "proc/net/tcp", "  sl  local_address rem_address   st\n   0: 00000000:0016 00000000:0000 0A 0:0\n   1: 0100007F:0016 0100007F:9C40 01 0:0\n")
	write(0o644, "proc/net/udp", "  sl  local_address rem_address   st\n   0: 0100007F:0035 00000000:0000 07 0:0\n")
	var raw string
	snapshot := func() State {
		t.Helper()
		s, err := Snapshot(t.Context(), func(ctx context.Context, script string) (string, error) {
			var errs bytes.Buffer
			c := exec.CommandContext(ctx, "bash", "-c", script)
			c.Env, c.Stderr = append(os.Environ(), "ROOT="+root), &errs
			out, err := c.Output()
			raw = string(out)
			if errs.Len() > 0 {
				t.Errorf("the script complains: %s", &errs)
			}
			return raw, err
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := snapshot()
	if again := lines(Compare(before, snapshot())); again != "" {
		t.Errorf("nothing was changed, but\n%s", again)
	}
	write(0o644, "etc/tls/key.pem", key)
	write(0o644, "etc/strange \n'name\t*", "password = correct-horse\n")
	write(0o600, "tmp/aws", `{"aws_secret_access_key": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", "region": "x"}`)
	write(0o600, "tmp/identity", "# public\nAGE-SECRET-KEY-1QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZRY9X8GF2TVDW0S3JN\n")
	write(0o600, "root/.netrc", "machine example.com login me password correct-horse\n")
	write(0o644, "etc/readme", "A key begins with -----BEGIN PRIVATE KEY-----\npassword: see the vault\npasswd: files systemd\n")
	write(0o777, "usr/local/bin/tool", "#!/bin/sh\n")
	write(0o600, "root/.bash_history", "ls\ncurl -u me:correct-horse https://example.com\nexport TOKEN=$OTHER PASSWORD=$(cat /run/x)\n")
	write(0o644, "proc/net/tcp", "  sl  local_address rem_address   st\n   0: 00000000:0016 00000000:0000 0A 0:0\n   1: 00000000:1F90 00000000:0000 0A 0:0\n")
	write(0o644, "proc/net/udp", "  sl  local_address rem_address   st\n   0: 0100007F:0035 00000000:0000 07 0:0\n")
	if err := os.Remove(filepath.Join(root, "etc/cron.d/backup")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(root, "etc/passwd"), time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	changes := Compare(before, snapshot())
	var got []string
	for _, c := range Dangerous(changes, nil) {
		got = append(got, c.Danger+" "+c.Subject)
	}
	want := []string{
		"job-gone /etc/cron.d/backup: root backup", "listener-on-all-addresses tcp 0.0.0.0:8080",
		"private-key-readable /etc/strange \n'name\t*", "private-key-readable /etc/tls/key.pem",
		"secret-in-history /root/.bash_history", "secret-in-tmp /tmp/aws", "secret-in-tmp /tmp/identity", "world-writable /usr/local/bin/tool",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q\nof\n%s", got, want, lines(changes))
	}
	if text := lines(changes); !strings.Contains(text, "credentials file, 600") || !strings.Contains(text, "1 line looks like a secret") || strings.Contains(text, "/etc/passwd") {
		t.Errorf("got\n%s", text)
	}
	for _, secret := range []string{"correct-horse", "wJalr", "QPZRY", "MHcCA"} {
		if strings.Contains(raw, secret) {
			t.Errorf("the script prints %s", secret)
		}
	}
}
