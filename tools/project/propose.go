package project

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"go.yaml.in/yaml/v3"

	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

// Proposal is a firedrill.yml as far as a folder tells.
type Proposal struct {
	Content []byte // of the file. What it could not know stands in it as a comment "# TODO key: what it is"
	Drills  int
	Guesses []string // what it took for likely: a line each
	Notes   []string // what it left out, and why: a line each
	// Prometheus is the content of the prometheus.yml that Content names, where the folder has no configuration of Prometheus
	// and the compose file tells what to scrape; else nil.
	Prometheus []byte
}

// Propose writes a firedrill.yml by looking at the files of a folder, and of those below it. It proposes a drill for each
// branch of each alert's runbook.
func Propose(folder string) (Proposal, error) {
	f, err := look(folder)
	if err != nil {
		return Proposal{}, err
	}
	if len(f.compose) > 1 && strings.Contains(f.compose[0], "/") {
		return Proposal{}, fmt.Errorf("several compose files, and none in this folder: run firedrill init in the folder of the project, or beside the compose file that it is about: %s", strings.Join(f.compose, ", "))
	}
	if len(f.compose) == 0 && len(f.rules) == 0 {
		return Proposal{}, fmt.Errorf("no compose file and no rule file in %q: run firedrill init in the folder of the project", folder)
	}
	p := proposer{found: f}
	p.services()
	p.line("# What Firedrill proves, and of what. firedrill schema prints every key, for editors.")
	p.paths("rules", "the rule files", p.ruleGlobs()...)
	p.paths("runbooks", "the folder of the runbooks, Markdown files named after alerts", p.runbookFolder()...)
	p.paths("compose", "the compose file of the system under test", p.first("compose", p.compose)...)
	p.operator()
	scraped := p.scraped()
	if len(p.prometheus) == 0 && len(p.compose) > 0 {
		p.note("prometheus.yml is not written: add expose: [port] to each exporter's service in %s, and run firedrill init --force", p.compose[0])
	}
	p.paths("prometheus", "Prometheus's configuration, with the targets to scrape", p.first("prometheus", p.prometheus)...)
	if len(p.alertmanager) > 0 {
		p.paths("alertmanager", "", p.first("alertmanager", p.alertmanager)...)
	}
	p.drills()
	return Proposal{Content: []byte(strings.Join(p.lines, "\n") + "\n"), Drills: p.count, Guesses: p.guesses, Notes: p.notes, Prometheus: scraped}, nil
}

// found are the files of a folder by what they are. Paths are relative to it, the nearest first.
type found struct {
	folder                            string
	rules                             []string
	set                               rule.Set
	compose, prometheus, alertmanager []string
	markdown                          map[string][]string // the files by their name without .md
}

// maxFiles is how many files of a folder are looked at.
const maxFiles = 20000

func look(folder string) (found, error) {
	f := found{folder: folder, markdown: map[string][]string{}}
	count := 0
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules" || entry.Name() == "vendor"):
			if entry.IsDir() {
				return fs.SkipDir
			}
		case entry.Type().IsRegular():
			if count++; count > maxFiles {
				return fmt.Errorf("more than %d files: run firedrill init in the folder of the project", maxFiles)
			}
			f.add(name)
		}
		return nil
	})
	if err != nil {
		return f, fmt.Errorf("look at the files of %s: %w", folder, err)
	}
	for _, list := range []*[]string{&f.rules, &f.compose, &f.prometheus, &f.alertmanager} {
		slices.SortStableFunc(*list, func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
	}
	slices.SortStableFunc(f.compose, func(a, b string) int {
		return cmp.Or(strings.Count(a, "/")-strings.Count(b, "/"), slices.Index(cli.DefaultFileNames, path.Base(a))-slices.Index(cli.DefaultFileNames, path.Base(b)))
	})
	return f, nil
}

func (f *found) path(name string) string { return filepath.Join(f.folder, filepath.FromSlash(name)) }

// add looks at one file. Its content decides, except for compose files.
func (f *found) add(name string) {
	switch base := path.Base(name); {
	case strings.HasSuffix(base, ".md"):
		alert := strings.TrimSuffix(base, ".md")
		f.markdown[alert] = append(f.markdown[alert], name)
	case slices.Contains(cli.DefaultFileNames, base):
		f.compose = append(f.compose, name)
	case base == "prometheus.yml" || base == "prometheus.yaml": // whatever is in it: it is not to be overwritten
		f.prometheus = append(f.prometheus, name)
	case base != FileName && rule.IsFile(name):
		content, err := os.ReadFile(f.path(name))
		if err != nil || len(content) > rule.MaxFileSize {
			return
		}
		var keys map[string]yaml.Node
		if yaml.Unmarshal(content, &keys) != nil {
			keys = nil
		}
		has := func(key string) bool { _, ok := keys[key]; return ok }
		switch {
		case has("scrape_configs"):
			f.prometheus = append(f.prometheus, name)
		case has("route") && has("receivers"):
			f.alertmanager = append(f.alertmanager, name)
		default:
			set, err := rule.ReadFiles(f.folder, []string{f.path(name)})
			if err == nil && len(set.Files) > 0 || err != nil && has("groups") {
				f.rules = append(f.rules, name)
				f.set.Alerts = append(f.set.Alerts, set.Alerts...)
			}
		}
	}
}

// proposer writes the lines of a firedrill.yml.
type proposer struct {
	found
	model   map[string]any // the services of the compose file
	names   []string       // of the services
	typed   string         // the operator; empty where it is not known
	books   string         // the folder of the runbooks
	count   int            // of drills
	lines   []string
	guesses []string
	notes   []string
}

func (p *proposer) line(format string, args ...any) {
	p.lines = append(p.lines, fmt.Sprintf(format, args...))
}

func (p *proposer) todo(key, what string) { p.line("# TODO %s: %s", key, what) }

func (p *proposer) guess(format string, args ...any) {
	p.guesses = append(p.guesses, fmt.Sprintf(format, args...))
}

func (p *proposer) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// paths writes a key with a path or several.
func (p *proposer) paths(key, what string, paths ...string) {
	var written []string
	for _, name := range paths {
		written = append(written, inFlow(name))
	}
	switch len(paths) {
	case 0:
		p.todo(key, what)
	case 1:
		p.line("%s: %s", key, written[0])
	default:
		p.line("%s: [%s]", key, strings.Join(written, ", "))
	}
}

// scalar writes a text as YAML has it.
func scalar(text string) string {
	content, err := yaml.Marshal(text)
	if plain := strings.TrimSuffix(string(content), "\n"); err == nil && !strings.Contains(plain, "\n") {
		return plain
	}
	return strconv.Quote(text)
}

// inFlow writes a text as YAML has it between braces or brackets.
func inFlow(text string) string {
	if strings.ContainsAny(text, "{}[],") {
		return strconv.Quote(text)
	}
	return scalar(text)
}

// first takes the nearest of several files.
func (p *proposer) first(key string, files []string) []string {
	if len(files) > 1 {
		p.guess("%s: %s, and not %s", key, files[0], strings.Join(files[1:], ", "))
	}
	return files[:min(1, len(files))]
}

// ruleGlobs are the rule files: those at the top one by one, and those of each folder together.
func (p *proposer) ruleGlobs() (globs []string) {
	for _, name := range p.rules {
		if dir := path.Dir(name); dir != "." {
			name = dir + "/*" + path.Ext(name)
		}
		if !slices.Contains(globs, name) {
			globs = append(globs, name)
		}
	}
	return globs
}

// runbookFolder is the nearest folder that holds, in it or below it, every file that is named after an alert.
func (p *proposer) runbookFolder() []string {
	var common []string
	for _, name := range p.alerts() {
		for _, file := range p.markdown[name] {
			folders := strings.Split(path.Dir(file), "/")
			if common == nil {
				common = folders
			}
			n := 0
			for n < min(len(common), len(folders)) && common[n] == folders[n] {
				n++
			}
			common = common[:n]
		}
	}
	if common == nil {
		return nil
	}
	p.books = cmp.Or(path.Join(common...), ".")
	return []string{p.books}
}

// alerts are the names of the alerts, in the order of the rule files.
func (p *proposer) alerts() (names []string) {
	for _, alert := range p.set.Alerts {
		if !slices.Contains(names, alert.Name) {
			names = append(names, alert.Name)
		}
	}
	return names
}

// services reads the compose file.
func (p *proposer) services() {
	if len(p.compose) == 0 {
		return
	}
	model, err := composeModel(p.path(p.compose[0]))
	if err != nil {
		return // Load says so
	}
	p.model, _ = model["services"].(map[string]any)
	p.names = slices.Sorted(maps.Keys(p.model))
}

// operators are names that say what a service is for.
var operators = []string{"operator", "host", "bastion", "jump", "jumphost", "shell", "admin", "ops"}

func (p *proposer) operator() {
	likely := slices.DeleteFunc(slices.Clone(p.names), func(name string) bool { return !slices.Contains(operators, name) })
	switch {
	case len(p.names) == 1:
		p.typed = p.names[0]
	case len(likely) == 1:
		p.typed = likely[0]
		p.guess("operator: %s, for its name", p.typed)
	default:
		what := "the service in which the steps of runbooks are typed"
		if len(p.names) > 0 {
			what += ": one of " + strings.Join(p.names, ", ")
		}
		p.todo("operator", what)
		return
	}
	p.line("operator: %s", scalar(p.typed))
}

// scraped is a Prometheus configuration for a folder without one: it scrapes the services whose ports the compose file
// tells and that are exporters by their port, or that a rule names as a job.
func (p *proposer) scraped() []byte {
	if len(p.prometheus) > 0 {
		return nil
	}
	var jobs []string
	for _, name := range p.names {
		ports := exposed(p.model[name])
		exporting := slices.DeleteFunc(slices.Clone(ports), func(port string) bool {
			n, err := strconv.Atoi(port)
			return err != nil || n < 9100 || n > 9999 // Prometheus's list of default ports
		})
		named := slices.ContainsFunc(p.set.Alerts, func(a rule.Alert) bool { return strings.Contains(a.Expr, fmt.Sprintf("job=%q", name)) })
		if len(exporting) != 1 && !(named && len(ports) == 1) {
			continue
		}
		target := name + ":" + append(exporting, ports...)[0]
		jobs = append(jobs, fmt.Sprintf("  - job_name: %s\n    static_configs: [{targets: [%s]}]\n", scalar(name), inFlow(target)))
		p.guess("job %s of prometheus.yml: %s, a port in the compose file", name, target)
	}
	if len(jobs) == 0 {
		return nil
	}
	p.prometheus = []string{"prometheus.yml"}
	var files []string
	for _, glob := range p.ruleGlobs() {
		files = append(files, inFlow(glob))
	}
	return []byte("rule_files: [" + strings.Join(files, ", ") + "]\nscrape_configs:\n" + strings.Join(jobs, ""))
}

// exposed are the ports that a service of a compose file exposes or publishes.
func exposed(service any) (ports []string) {
	fields, _ := service.(map[string]any)
	for _, key := range []string{"expose", "ports"} {
		list, _ := fields[key].([]any)
		for _, port := range list {
			if long, ok := port.(map[string]any); ok {
				port = long["target"]
			}
			number, _, _ := strings.Cut(fmt.Sprint(port), "/")
			if !slices.Contains(ports, number) {
				ports = append(ports, number)
			}
		}
	}
	return ports
}

// drills writes a drill for each branch of each runbook.
func (p *proposer) drills() {
	at := len(p.lines)
	p.line("")
	p.line("drills:")
	for _, name := range p.alerts() {
		files := p.markdown[name]
		if len(files) == 0 {
			p.note("%s has no runbook: write %s to prove it", name, path.Join(cmp.Or(p.books, "runbooks"), name+".md"))
			continue
		}
		content, err := os.ReadFile(p.path(files[0]))
		var book *runbook.Runbook
		if err == nil {
			book, err = runbook.Parse(p.path(files[0]), content, runbook.Grammar{})
		}
		if err != nil {
			p.note("%s is not proven: %v", name, err)
			continue
		}
		branches := book.Branches()
		if len(branches) == 0 {
			p.note("%s is not proven: %s does not say what to do: write a heading ## Resolution, and branches below it", name, files[0])
		}
		for _, branch := range branches {
			p.count++
			p.line("  - alert: %s", scalar(name))
			p.line("    branch: %s", scalar(branch.Name))
			fault, because := p.fault(name, branch, len(branches) == 1)
			if fault == "" {
				p.line("    # TODO fault: what breaks here? One of run, kill, stop, pause, disconnect, delay, cpus, memory, fill")
				continue
			}
			p.line("    fault: %s", fault)
			p.guess("fault: %s for %s, %q, which %s", fault, name, branch.Name, because)
		}
	}
	if p.count == 0 {
		p.lines = p.lines[:at]
		p.todo("drills", "one for each branch of each runbook")
	}
}

// starts finds a command that starts a service of an operating system.
var starts = regexp.MustCompile(`\b(?:systemctl (?:re)?start ([\w@.-]+)|service ([\w@.-]+) (?:re)?start)\b`)

// fault is what a branch cures, as far as its steps and its name tell, and how it is known; "" where they do not.
func (p *proposer) fault(alert string, branch runbook.Branch, only bool) (fault, because string) {
	started := map[string]bool{}
	for _, step := range branch.Steps {
		for _, found := range starts.FindAllStringSubmatch(step.Source, -1) {
			stop := "systemctl stop " + found[1]
			if found[1] == "" {
				stop = "service " + found[2] + " stop"
			}
			started[stop] = true
		}
	}
	if len(started) == 1 {
		for stop := range started {
			return fmt.Sprintf("{run: %s}", inFlow(stop)), "starts it"
		}
	}
	if service := p.broken(alert, branch, only); service != "" {
		return fmt.Sprintf("{kill: %s}", inFlow(service)), "names it"
	}
	return "", ""
}

// broken is the one service that a branch names or, where it is the runbook's only branch, the alert's expression; "" where
// there is none, or several.
func (p *proposer) broken(alert string, branch runbook.Branch, only bool) string {
	texts := []string{branch.Name}
	for _, step := range branch.Steps {
		texts[0] += "\n" + step.Source
	}
	if only {
		for _, a := range p.set.Alerts {
			if a.Name == alert {
				texts = append(texts, a.Expr)
			}
		}
	}
	for _, text := range texts {
		named := slices.DeleteFunc(slices.Clone(p.names), func(service string) bool {
			word := regexp.MustCompile(`(?i)(^|[^\w-])` + regexp.QuoteMeta(service) + `($|[^\w-])`)
			return service == p.typed || !word.MatchString(text)
		})
		if len(named) == 1 {
			return named[0]
		}
	}
	return ""
}
