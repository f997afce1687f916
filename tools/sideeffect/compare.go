package sideeffect

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stemedb/firedrill/tools/journal"
)

// The dangers.
const (
	PrivateKeyReadable     = "private-key-readable"
	WorldWritable          = "world-writable"
	SecretInTmp            = "secret-in-tmp"
	SecretInHistory        = "secret-in-history"
	UnitDisabled           = "unit-disabled"
	UnitStopped            = "unit-stopped"
	TimerGone              = "timer-gone"
	JobGone                = "job-gone"
	ListenerOnAllAddresses = "listener-on-all-addresses"
	SUIDFile               = "suid-file"
)

// Dangers are what each danger means, by its name.
var Dangers = map[string]string{
	PrivateKeyReadable:     "A private key or credentials file can be read by its group or by others.",
	WorldWritable:          "A file, or a folder without the sticky bit, can be written by others.",
	SecretInTmp:            "A secret is left in /tmp or /var/tmp.",
	SecretInHistory:        "A secret is in a shell's history.",
	UnitDisabled:           "A systemd unit was enabled and is not any more.",
	UnitStopped:            "A systemd unit was active and is not any more.",
	TimerGone:              "A systemd timer was enabled or active and is not any more.",
	JobGone:                "A scheduled job of cron was removed.",
	ListenerOnAllAddresses: "A new port is open on all addresses.",
	SUIDFile:               "A new file runs as its owner or group (SUID or SGID) for every user that starts it.",
}

// Change is a difference between two States.
type Change struct {
	Kind          string // file, unit, listener, job, user, group, history, or NotExamined
	Subject       string // a path, a unit's name, as in "tcp 0.0.0.0:80", …
	Before, After string // what is known of it; empty where it was not there
	Danger        string // of Dangers; empty for none
}

// NotExamined is the kind of a Change that says what could not be compared.
const NotExamined = "not examined"

// hazard is a danger that a state has by itself, by the change that shows it.
type hazard struct{ danger, kind, subject string }

// Compare lists what changed from before to after: dangers first, then by kind and subject, what any activity changes (logs,
// caches, systemd's own files) and what is crowded in one folder each as one Change. Times alone are no change. A danger
// that was there before, or when the machine was well, is none: well are States from before the fault.
func Compare(before, after State, well ...State) []Change {
	c := &comparison{before: before, after: after, texts: map[string]Change{}}
	c.compareFiles()
	c.compareUnits()
	c.compareRest()
	earlier := append([]State{before}, well...)
	c.addHazards(earlier)
	for _, s := range []State{before, after} {
		for _, what := range s.missing {
			c.changes = append(c.changes, Change{Kind: NotExamined, Subject: what})
		}
	}
	slices.SortFunc(c.changes, func(a, b Change) int {
		first := func(c Change) int {
			switch {
			case c.Danger != "":
				return 0
			case c.Kind != NotExamined:
				return 1
			}
			return 2
		}
		return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(a.Danger, b.Danger), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Before, b.Before))
	})
	return slices.Compact(c.changes)
}

type comparison struct {
	before, after State
	changes       []Change
	texts         map[string]Change // of each file that changed, by path, grouped or not
	renamed       map[string]string // old paths by new ones
}

func (c *comparison) add(kind, subject, before, after string) {
	c.changes = append(c.changes, Change{Kind: kind, Subject: subject, Before: before, After: after})
}

// noise are folders that any activity writes to; the longest that a path is in counts, and "" ends what is noise.
var noise = map[string]string{
	"/var/log": "logs", "/run/log": "logs", "/var/cache": "caches", "/var/lib/systemd": "systemd's own files", "/run/systemd": "systemd's own files",
	"/run/systemd/system": "", "/run/systemd/system.control": "", "/run/udev": "udev's own files", "/run/user": "files of sessions", "/run/lock": "locks",
	"/etc/letsencrypt/archive": "certbot's archive", "/etc/letsencrypt/csr": "certbot's requests", "/etc/letsencrypt/keys": "certbot's keys", "/var/lib/letsencrypt": "certbot's own files",
}

// noisy is the folder of noise that a path is in, with what it holds.
func noisy(name string) string {
	if strings.HasPrefix(name, "/run/") && path.Ext(name) == ".pid" {
		return "/run (numbers of processes)"
	}
	for folder := name; folder != "/" && folder != "."; folder = path.Dir(folder) {
		if what, ok := noise[folder]; ok {
			if what == "" {
				return ""
			}
			return folder + " (" + what + ")"
		}
	}
	return ""
}

// crowd is how many changes in one folder are listed one by one.
const crowd = 10

func (c *comparison) compareFiles() {
	c.findRenamed()
	old := map[string]bool{}
	for _, from := range c.renamed {
		old[from] = true
	}
	for name, now := range c.after.files {
		was, existed := c.before.files[name]
		from, moved := c.renamed[name]
		switch {
		case moved:
			was = c.before.files[from]
			now.ctime = was.ctime // renaming sets it
			before, after := describe(was, now)
			c.texts[name] = Change{"file", name, joined(from, before), joined("renamed", after), ""}
		case !existed:
			c.texts[name] = Change{"file", name, "", now.String(), ""}
		default:
			if before, after := describe(was, now); before != after {
				c.texts[name] = Change{"file", name, before, after, ""}
			}
		}
	}
	for name, was := range c.before.files {
		if _, exists := c.after.files[name]; !exists && !old[name] {
			c.texts[name] = Change{"file", name, was.String(), "", ""}
		}
	}
	grouped, folders := map[string][]Change{}, map[string]int{}
	for name := range c.texts {
		folders[path.Dir(name)]++
	}
	for _, name := range slices.Sorted(maps.Keys(c.texts)) {
		group := noisy(name)
		if group == "" {
			group = c.within(name)
		}
		if group == "" && folders[path.Dir(name)] > crowd {
			group = path.Dir(name)
		}
		grouped[cmp.Or(group, name)] = append(grouped[cmp.Or(group, name)], c.texts[name])
	}
	for subject, list := range grouped {
		if len(list) == 1 && list[0].Subject == subject {
			c.changes = append(c.changes, list[0])
			continue
		}
		summary := Change{Kind: "file", Subject: subject}
		var created, removed, renamed, changed int
		for _, one := range list {
			if one.Subject == subject { // the folder itself
				summary.Before, summary.After = one.Before, one.After
				continue
			}
			switch c.sort(one.Subject) {
			case "renamed":
				renamed++
			case "created":
				created++
			case "removed":
				removed++
			default:
				changed++
			}
		}
		var parts []string
		for _, part := range []struct {
			n    int
			what string
		}{{changed, "changed"}, {created, "created"}, {removed, "removed"}, {renamed, "renamed"}} {
			if part.n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
			}
		}
		within := strings.Join(parts, ", ") + " in it"
		if summary.After == "" && summary.Before != "" {
			summary.Before += "; " + within
		} else {
			summary.After = strings.TrimPrefix(summary.After+"; "+within, "; ")
		}
		c.changes = append(c.changes, summary)
	}
}

// within is the topmost folder that was created, removed or renamed with a path in it; "" where there is none.
func (c *comparison) within(name string) string {
	top := ""
	for folder := name; folder != path.Dir(folder); {
		folder = path.Dir(folder)
		sort := c.sort(folder)
		if sort == "" || sort == "changed" || sort != c.sort(name) || sort == "renamed" && c.renamed[name] != c.renamed[folder]+strings.TrimPrefix(name, folder) {
			return top
		}
		top = folder
	}
	return top
}

// sort is whether a file was renamed, created, removed or changed; "" for none of them.
func (c *comparison) sort(name string) string {
	_, changed := c.texts[name]
	_, renamed := c.renamed[name]
	_, was := c.before.files[name]
	_, is := c.after.files[name]
	switch {
	case !changed:
		return ""
	case renamed:
		return "renamed"
	case !was:
		return "created"
	case !is:
		return "removed"
	}
	return "changed"
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// findRenamed pairs files that are gone with new ones that have their type, size, mtime and content.
func (c *comparison) findRenamed() {
	c.renamed = map[string]string{}
	identity := func(f file) string {
		if f.kind == 'f' && f.size > 0 {
			return fmt.Sprint("f ", f.size, " ", f.mtime)
		}
		return fmt.Sprint(string(f.kind), " ", f.inode, " ", f.mtime)
	}
	gone := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(c.before.files)) {
		if _, exists := c.after.files[name]; !exists {
			id := identity(c.before.files[name])
			gone[id] = append(gone[id], name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.after.files)) {
		now := c.after.files[name]
		if _, existed := c.before.files[name]; existed {
			continue
		}
		id := identity(now)
		i := slices.IndexFunc(gone[id], func(from string) bool {
			was := c.before.files[from]
			return was.hash == "" || now.hash == "" || was.hash == now.hash
		})
		if i >= 0 {
			c.renamed[name] = gone[id][i]
			gone[id] = slices.Delete(gone[id], i, i+1)
		}
	}
}

var kinds = map[byte]string{'f': "file", 'd': "folder", 'l': "link", 's': "socket", 'p': "pipe", 'b': "block device", 'c': "device"}

// String is what is said of a file that is new or gone.
func (f file) String() string {
	text := fmt.Sprintf("%s, %03o %s:%s", kinds[f.kind], f.mode, f.user, f.group)
	switch {
	case f.kind == 'l':
		return "link to " + f.link
	case f.secret != "":
		text = f.secret + " " + text
	}
	if f.kind == 'f' {
		text += fmt.Sprintf(", %d bytes", f.size)
	}
	return text
}

// describe is in what two files differ, of each the part that differs; twice "" where they do not.
func describe(was, now file) (string, string) {
	var before, after []string
	differ := func(a, b string) {
		if a != b {
			before, after = append(before, a), append(after, b)
		}
	}
	if was.kind != now.kind {
		return was.String(), now.String()
	}
	if was.kind == 'l' {
		differ("link to "+was.link, "link to "+now.link)
		return joined(before...), joined(after...)
	}
	differ(fmt.Sprintf("%03o", was.mode), fmt.Sprintf("%03o", now.mode))
	differ(was.user+":"+was.group, now.user+":"+now.group)
	differ(was.secret, now.secret)
	if was.kind != 'f' {
		return joined(before...), joined(after...)
	}
	differ(fmt.Sprintf("%d bytes", was.size), fmt.Sprintf("%d bytes", now.size))
	switch {
	case was.size != now.size || was.hash != "" && was.hash == now.hash:
	case was.hash != now.hash || was.mtime != now.mtime:
		differ("old content", "new content")
	case was.ctime != now.ctime && len(after) == 0:
		differ("old attributes", "new attributes")
	}
	return joined(before...), joined(after...)
}

func (u unit) String() string {
	return joined(u.file, u.active)
}

func (u unit) enabled() bool { return u.file == "enabled" || u.file == "enabled-runtime" }

// compareUnits passes over the steps between active and inactive, which end by themselves.
func (c *comparison) compareUnits() {
	both := func(list string) bool { return c.before.listed[list] && c.after.listed[list] }
	settled := func(u unit) unit {
		switch u.active {
		case "active", "failed":
		case "reloading", "refreshing":
			u.active = "active"
		default:
			u.active = "inactive"
		}
		if !both("list-units") {
			u.active = ""
		}
		if !both("list-unit-files") {
			u.file = ""
		}
		return u
	}
	for name := range union(c.before.units, c.after.units) {
		if passing.MatchString(name) && !c.before.units[name].enabled() && !c.after.units[name].enabled() {
			continue
		}
		was, now := settled(c.before.units[name]), settled(c.after.units[name])
		if was == now {
			continue
		}
		change := Change{Kind: "unit", Subject: name, Before: was.String(), After: now.String()}
		disabled := was.enabled() && !now.enabled() && !slices.Contains([]string{"static", "alias", "indirect", "generated"}, now.file)
		stopped := was.active == "active" && now.active != "active" && (was.enabled() || !passing.MatchString(name))
		if _, timed := c.before.units[strings.TrimSuffix(name, ".service")+".timer"]; timed && was.file == "static" {
			stopped = false // its timer's work is done
		}
		switch {
		case (disabled || stopped) && strings.HasSuffix(name, ".timer"):
			change.Danger = TimerGone
			c.changes = append(c.changes, change)
			continue
		case disabled:
			change.Danger = UnitDisabled
			c.changes = append(c.changes, change)
		}
		if stopped {
			change.Danger = UnitStopped
		} else if disabled {
			continue
		}
		c.changes = append(c.changes, change)
	}
}

// union has the keys of both.
func union[V any](a, b map[string]V) map[string]V {
	all := map[string]V{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}

func (l listener) String() string { return l.protocol + " " + l.address.String() }

func (j job) String() string {
	if strings.HasSuffix(j.file, "/"+j.command) {
		return j.file
	}
	return j.file + ": " + masked(j.command)
}

// compareRest compares listeners, jobs, accounts and histories.
func (c *comparison) compareRest() {
	for l := range c.after.listeners {
		if !c.before.listeners[l] {
			c.add("listener", l.String(), "", "listening")
		}
	}
	for l := range c.before.listeners {
		if !c.after.listeners[l] {
			c.add("listener", l.String(), "listening", "")
		}
	}
	commands := map[string]bool{}
	for j := range c.after.jobs {
		commands[j.command] = true
		if was, now := c.before.jobs[j], c.after.jobs[j]; was != now {
			c.add("job", j.String(), was, now)
		}
	}
	for j, was := range c.before.jobs {
		if _, exists := c.after.jobs[j]; exists {
			continue
		}
		gone := Change{Kind: "job", Subject: j.String(), Before: was}
		if !commands[j.command] {
			gone.Danger = JobGone
		}
		c.changes = append(c.changes, gone)
	}
	for name := range union(c.before.accounts, c.after.accounts) {
		if was, now := c.before.accounts[name], c.after.accounts[name]; was != now {
			kind, name, _ := strings.Cut(name, " ")
			c.add(kind, name, was, now)
		}
	}
	for name, now := range c.after.history {
		if was := c.before.history[name]; now > was {
			c.changes = append(c.changes, Change{"history", name, suspicious(was), suspicious(now), SecretInHistory})
		}
	}
}

func suspicious(lines int) string {
	if lines == 1 {
		return "1 line looks like a secret"
	}
	return fmt.Sprintf("%d lines look like a secret", lines)
}

// inSecret are the secrets of a command line: those values that follow a name that says so, or stand in a URL.
var inSecret = regexp.MustCompile(`(?i)((?:password|passwd|passphrase|secret|token|api_?key|access_?key)[a-z_]*["']?(?:\s*[=:]\s*|\s+)|://[^/@:\s]*:|(?:bearer|basic)\s+|(?:-u|--user)[ =]?[^\s:]+:|sshpass\s+-p\s*)("[^"]*"|'[^']*'|[^\s@"']+)`)

func masked(command string) string { return inSecret.ReplaceAllString(command, "${1}[redacted]") }

// addHazards adds the dangers of the state after that were in none of the earlier ones.
func (c *comparison) addHazards(earlier []State) {
	known := map[hazard]int{}
	for _, s := range earlier {
		for h, grave := range s.hazards() {
			known[h] = max(known[h], grave)
			if f, ok := s.files[h.subject]; ok && f.hash != "" && (h.danger == PrivateKeyReadable || h.danger == SecretInTmp) {
				h.subject = f.hash // the same secret in another place
				known[h] = max(known[h], grave)
			}
		}
	}
	hazards := c.after.hazards()
	for _, h := range slices.SortedFunc(maps.Keys(hazards), func(a, b hazard) int {
		return cmp.Or(cmp.Compare(a.subject, b.subject), cmp.Compare(a.danger, b.danger))
	}) {
		places := []string{h.subject}
		if from, ok := c.renamed[h.subject]; ok {
			places = append(places, from)
		}
		if hash := c.after.files[h.subject].hash; hash != "" {
			places = append(places, hash)
		}
		if slices.ContainsFunc(places, func(place string) bool { return known[hazard{h.danger, h.kind, place}] >= hazards[h] }) {
			continue
		}
		at := slices.IndexFunc(c.changes, func(x Change) bool { return x.Kind == h.kind && x.Subject == h.subject })
		change := Change{Kind: h.kind, Subject: h.subject}
		switch text, changed := c.texts[h.subject]; {
		case at >= 0:
			change = c.changes[at]
		case changed && h.kind == "file":
			change = text
		case h.kind == "file": // a folder that it is in was opened
			change.Before, change.After = "in a folder that is closed to others", c.after.files[h.subject].String()
		}
		change.Danger = h.danger
		if at >= 0 && c.changes[at].Danger == "" {
			c.changes[at] = change
		} else {
			c.changes = append(c.changes, change)
		}
	}
}

// hazards are the dangers that a state has by itself, each with how grave it is: a mode that lets others in is more than one
// that lets the group in, and a folder that lets them get there is more than either.
func (s State) hazards() map[hazard]int {
	found := map[hazard]int{}
	for name, f := range s.files {
		if f.kind != 'f' && f.kind != 'd' {
			continue
		}
		if f.secret != "" {
			h := hazard{PrivateKeyReadable, "file", name}
			if f.mode&0o040 != 0 {
				found[h] = 1 + s.reach(name, f.group)
			}
			if f.mode&0o004 != 0 {
				found[h] = max(found[h], 2+s.reach(name, ""))
			}
			if strings.HasPrefix(name, "/tmp/") || strings.HasPrefix(name, "/var/tmp/") {
				found[hazard{SecretInTmp, "file", name}] = 1
			}
		}
		if f.mode&0o002 != 0 && (f.kind == 'f' || f.mode&0o1000 == 0) {
			found[hazard{WorldWritable, "file", name}] = 1 + s.reach(name, "")
		}
		if f.kind == 'f' && f.mode&0o6000 != 0 && f.mode&0o111 != 0 {
			found[hazard{SUIDFile, "file", name}] = 1
		}
	}
	for l := range s.listeners {
		if l.address.Addr().IsUnspecified() {
			found[hazard{ListenerOnAllAddresses, "listener", l.String()}] = 1
		}
	}
	return found
}

// reach is 2 where members of a group, or others where it is "", get through the folders that a file is in, and else 0.
func (s State) reach(name, group string) int {
	for name != "/" && name != "." {
		name = path.Dir(name)
		folder, ok := s.files[name]
		if ok && folder.mode&0o001 == 0 && (group == "" || folder.group != group || folder.mode&0o010 == 0) {
			return 0
		}
	}
	return 2
}

// Dangerous are the changes that are dangerous and not allowed. An entry of allow is a danger of Dangers, or a danger, a
// colon and a pattern (path.Match) or the whole of the subject.
func Dangerous(changes []Change, allow []string) []Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c Change) bool { return c.Danger == "" || c.allowed(allow) })
}

func (c Change) allowed(allow []string) bool {
	return slices.ContainsFunc(allow, func(entry string) bool {
		danger, pattern, limited := strings.Cut(entry, ":")
		pattern = strings.TrimSpace(pattern)
		match, _ := path.Match(pattern, c.Subject)
		return danger == c.Danger && (!limited || match || pattern == c.Subject)
	})
}

// CheckAllow returns what is wrong with an entry of allow.
func CheckAllow(entry string) error {
	danger, pattern, limited := strings.Cut(entry, ":")
	if _, ok := Dangers[danger]; !ok {
		return fmt.Errorf("%q is not a danger: write one of %s", danger, strings.Join(slices.Sorted(maps.Keys(Dangers)), ", "))
	}
	if pattern = strings.TrimSpace(pattern); limited && pattern == "" {
		return fmt.Errorf("%q has no pattern after its colon: write one, or no colon to allow all", entry)
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("%q is not a pattern: close its brackets, or put a backslash before them", pattern)
	}
	return nil
}

// Record is the changes as the journal has them.
func Record(changes []Change, allow []string) []journal.SideEffect {
	var effects []journal.SideEffect
	for _, c := range changes {
		effects = append(effects, journal.SideEffect{Kind: c.Kind, Subject: c.Subject, Before: c.Before, After: c.After, Danger: c.Danger, Allowed: c.Danger != "" && c.allowed(allow)})
	}
	return effects
}

// String is one line: the danger, what it is about, and what changed.
func (c Change) String() string {
	text := c.Kind + " " + c.Subject
	if c.Danger != "" {
		text = c.Danger + ": " + text
	}
	if c.Kind == NotExamined {
		return text
	}
	return text + ": " + cmp.Or(c.Before, "(none)") + " -> " + cmp.Or(c.After, "(none)")
}
