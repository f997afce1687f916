// Package sideeffect tells what the steps of a runbook changed on the operator's machine, and what of it is dangerous: a
// private key that others may read, a timer that is left disabled.
//
// One bash script lists the machine's files, systemd units, listening sockets, scheduled jobs, users and shell histories
// before the steps and after them. Files of up to 64 KiB outside packages' folders (/usr but for /usr/local,
// /var/lib/dpkg, /var/lib/apt, /var/cache, /var/log, /boot) are compared by their SHA-256, and searched for secrets on the
// machine; no secret leaves it. All other files are compared by size, mtime and ctime.
package sideeffect

import (
	"context"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// script is run with bash as root. ROOT, where it is set, is the folder to look at in place of /.
//
//go:embed snapshot.sh
var script string

// State is what a machine is like at one moment. The zero State is an empty machine.
type State struct {
	files     map[string]file // by path
	units     map[string]unit // by name
	listeners map[listener]bool
	jobs      map[job]string    // schedules
	accounts  map[string]string // "user root" or "group root": what /etc/passwd or /etc/group says of it
	history   map[string]int    // by path: lines that look like a secret
	listed    map[string]bool   // which lists of systemctl there are
	missing   []string          // what could not be examined, and why
}

// file is a file as find(1) prints it.
type file struct {
	kind         byte // f, d, l, s, p, b or c
	mode         uint32
	user, group  string
	size         int64 // in bytes
	mtime, ctime string
	inode        string
	link         string
	hash         string // "" where it was not read
	secret       string // "private key", "credentials" or ""
}

type unit struct{ file, active string } // as in enabled, active

type listener struct {
	protocol string // tcp or udp
	address  netip.AddrPort
}

type job struct{ file, command string }

// Snapshot runs the script by run, which returns what a bash script writes to its standard output as root on the operator's
// machine. An error of run, or output that is not whole, is an error.
func Snapshot(ctx context.Context, run func(ctx context.Context, script string) (string, error)) (State, error) {
	text, err := run(ctx, script)
	if err != nil {
		return State{}, fmt.Errorf("list what is on the operator's machine: %w", err)
	}
	s, err := parse(text)
	if err != nil {
		return State{}, fmt.Errorf("list what is on the operator's machine: %w", err)
	}
	return s, nil
}

const header = "firedrill-snapshot-1"

// parse reads what the script wrote.
func parse(text string) (State, error) {
	s := State{
		files: map[string]file{}, units: map[string]unit{}, listeners: map[listener]bool{}, jobs: map[job]string{},
		accounts: map[string]string{}, history: map[string]int{}, listed: map[string]bool{},
	}
	fields := strings.Split(text, "\x00")
	all := len(fields)
	if fields[0] != header {
		return State{}, fmt.Errorf("field 1 is %.40q, not %q: is it bash that runs the script?", fields[0], header)
	}
	fields = fields[1:]
	texts, lowest := map[string]string{}, 0
	var sockets [][2]string
	for {
		if len(fields) == 0 {
			return State{}, fmt.Errorf("the list ends after %d fields, and an %q is missing", all, "end")
		}
		at, tag := all-len(fields)+1, fields[0]
		if tag == "end" && len(fields) == 2 && fields[1] == "" {
			break
		}
		take := map[string]int{"note": 1, "file": 3, "text": 2, "history": 2, "ports": 1, "sockets": 2, "list-unit-files": 1, "list-units": 1}[tag]
		fields = fields[1:]
		if len(fields) <= take { // the last field is what follows the last NUL
			return State{}, fmt.Errorf("field %d is %.40q: the list ends there, and an %q is missing", at, tag, "end")
		}
		record := fields[:take]
		fields = fields[take:]
		var err error
		switch tag {
		case "note":
			s.missing = append(s.missing, record[0])
		case "file":
			err = s.addFile(record[0], record[1], record[2])
		case "hashes", "keys", "credentials":
			n := slices.Index(fields[:len(fields)-1], "")
			if n < 0 {
				return State{}, fmt.Errorf("field %d: the list of %s does not end", at, tag)
			}
			err = s.mark(tag, fields[:n])
			fields = fields[n+1:]
		case "text":
			texts[absolute(record[0])] = record[1]
		case "history":
			s.history[absolute(record[0])], err = strconv.Atoi(record[1])
		case "ports":
			first, _, _ := strings.Cut(strings.TrimSpace(record[0]), "\t")
			lowest, err = strconv.Atoi(first)
		case "sockets":
			sockets = append(sockets, [2]string{record[0], record[1]})
		case "list-unit-files", "list-units":
			s.listed[tag] = true
			err = s.addUnits(tag, record[0])
		default:
			err = fmt.Errorf("it is none of the tags of a snapshot")
		}
		if err != nil {
			return State{}, fmt.Errorf("field %d, %.40q: %w", at, tag, err)
		}
	}
	for _, list := range sockets {
		if err := s.addListeners(list[0], list[1], lowest); err != nil {
			return State{}, err
		}
	}
	s.addTexts(texts)
	return s, nil
}

// absolute is a path of the script, which begins with a dot.
func absolute(path string) string {
	path = strings.TrimPrefix(path, ".")
	if path == "" {
		return "/"
	}
	return path
}

func (s State) addFile(stat, path, link string) error {
	var f file
	words := strings.Split(stat, " ")
	if len(words) != 8 || len(words[0]) != 1 {
		return fmt.Errorf("%.80q is not type, mode, owner, group, size, mtime, ctime and inode", stat)
	}
	mode, err := strconv.ParseUint(words[1], 8, 32)
	if err != nil {
		return fmt.Errorf("mode %.20q is not octal", words[1])
	}
	if f.size, err = strconv.ParseInt(words[4], 10, 64); err != nil {
		return fmt.Errorf("size %.20q is not a number", words[4])
	}
	f.kind, f.mode, f.user, f.group, f.mtime, f.ctime, f.inode = words[0][0], uint32(mode), words[2], words[3], words[5], words[6], words[7]
	f.link = strings.TrimPrefix(link, "L")
	path = absolute(path)
	if f.kind == 'f' && f.size > 0 && secretName.MatchString(path) {
		f.secret = credentials
	}
	s.files[path] = f
	return nil
}

const (
	privateKey  = "private key"
	credentials = "credentials"
)

// secretName is the path of a file that is kept for its secrets, whatever its content.
var secretName = regexp.MustCompile(`/(\.pgpass|\.netrc|\.git-credentials|\.aws/credentials|id_(rsa|dsa|ecdsa|ed25519)(_sk)?|etc/g?shadow-?)$`)

// mark adds what is known of the content of files. One that has gone since find saw it is passed over.
func (s State) mark(what string, names []string) error {
	for _, name := range names {
		hash := ""
		if what == "hashes" {
			var ok bool
			if hash, name, ok = strings.Cut(name, "  "); !ok || len(hash) != 64 {
				return fmt.Errorf("%.80q is not a SHA-256, two blanks and a path", name)
			}
			if _, err := hex.DecodeString(hash); err != nil {
				return fmt.Errorf("%.80q is not a SHA-256: %w", hash, err)
			}
		}
		f, ok := s.files[absolute(name)]
		switch {
		case !ok:
			continue
		case what == "hashes":
			f.hash = hash
		case what == "keys":
			f.secret = privateKey
		case f.secret == "":
			f.secret = credentials
		}
		s.files[absolute(name)] = f
	}
	return nil
}

// passing are units that come and go by themselves: transient ones, sessions, and systemd's services that end when idle.
var passing = regexp.MustCompile(`\.(scope|slice|device|target|automount|swap)$|^(run-|user@|user-runtime-dir@|session-|systemd-)|@\.`)

func (s State) addUnits(list, text string) error {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 {
			return fmt.Errorf("%.80q has no unit and state", strings.TrimSpace(line))
		}
		u := s.units[words[0]]
		if list == "list-unit-files" {
			u.file = words[1]
		} else if len(words) < 3 {
			return fmt.Errorf("%.80q has no active state", strings.TrimSpace(line))
		} else {
			u.active = words[2]
		}
		if u.file != "transient" {
			s.units[words[0]] = u
		} else {
			delete(s.units, words[0])
		}
	}
	return nil
}

// addListeners adds sockets as /proc/net has their addresses. A UDP port from lowest on is that of a client.
func (s State) addListeners(protocol, addresses string, lowest int) error {
	for _, text := range strings.Fields(addresses) {
		host, port, _ := strings.Cut(text, ":")
		raw, err := hex.DecodeString(host)
		number, wrong := strconv.ParseUint(port, 16, 16)
		if err = errors.Join(err, wrong); err != nil || len(raw) != 4 && len(raw) != 16 {
			return fmt.Errorf("listening socket %s %.60q is not an address as /proc/net has it", protocol, text)
		}
		for word := range slices.Chunk(raw, 4) { // of the processor's order: little-endian
			slices.Reverse(word)
		}
		address, _ := netip.AddrFromSlice(raw)
		l := listener{strings.TrimSuffix(protocol, "6"), netip.AddrPortFrom(address.Unmap(), uint16(number))}
		if l.protocol == "udp" && lowest > 0 && int(number) >= lowest {
			continue
		}
		s.listeners[l] = true
	}
	return nil
}

var (
	variable = regexp.MustCompile(`^\s*[A-Za-z_][A-Za-z0-9_]*\s*=`)
	cronName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`) // cron passes over files with other names (run-parts(8))
)

func (s State) addTexts(texts map[string]string) {
	for path, text := range texts {
		folder, base := path[:strings.LastIndex(path, "/")], path[strings.LastIndex(path, "/")+1:]
		if folder == "/etc/cron.d" && !cronName.MatchString(base) {
			continue
		}
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			switch path {
			case "/etc/passwd", "/etc/group":
				name, rest, ok := strings.Cut(line, ":")
				_, rest, also := strings.Cut(rest, ":") // less the password
				if ok && also {
					s.accounts[map[string]string{"/etc/passwd": "user ", "/etc/group": "group "}[path]+name] = rest
				}
			default:
				if line == "" || line[0] == '#' || variable.MatchString(line) {
					continue
				}
				schedule := 5
				if line[0] == '@' {
					schedule = 1
				} else if path == "/etc/anacrontab" {
					schedule = 3
				}
				if words := strings.Fields(line); len(words) > schedule {
					s.jobs[job{path, strings.Join(words[schedule:], " ")}] = strings.Join(words[:schedule], " ")
				}
			}
		}
	}
	for path, f := range s.files {
		if match := runParts.FindStringSubmatch(path); match != nil && f.kind != 'd' && (f.kind == 'l' || f.mode&0o111 != 0) {
			s.jobs[job{path, match[2]}] = "@" + match[1]
		}
	}
}

var runParts = regexp.MustCompile(`^/etc/cron\.(hourly|daily|weekly|monthly|yearly)/([A-Za-z0-9_-]+)$`)
