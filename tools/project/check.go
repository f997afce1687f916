package project

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/nearest"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
	"github.com/stemedb/firedrill/tools/service"
	"github.com/stemedb/firedrill/tools/sideeffect"
)

// Load reads a firedrill.yml and what it names: the rules, the runbooks, the compose files. The error joins every problem
// found, in the order of the lines, each with file, line and column, the offending text, what is wrong and what is right;
// problems of the files that it names follow.
func Load(file string) (*Project, error) {
	content, err := read(file)
	if err != nil {
		return nil, err
	}
	p, d := parse(file, content)
	c := checker{decoder: d, Project: p, folder: filepath.Dir(file)}
	if len(d.nodes) > 0 {
		c.check()
	}
	if err := errors.Join(append([]error{inOrder(d.problems)}, c.others...)...); err != nil {
		return nil, err
	}
	return p, nil
}

func read(file string) ([]byte, error) {
	if wrong := notFile(file); wrong != "" {
		return nil, problem{file: file, wrong: wrong, right: "name a " + FileName + ", or have firedrill init write one"}
	}
	info, err := os.Stat(file)
	if err == nil && info.Size() > MaxFileSize {
		return nil, problem{file: file, text: fmt.Sprintf("%d bytes", info.Size()), wrong: "the file is too large", right: fmt.Sprintf("keep it within %d bytes", MaxFileSize)}
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, problem{file: file, wrong: "cannot be read: " + reason(err), right: "let this user read it"}
	}
	return content, nil
}

// reason is what the operating system says, without the path.
func reason(err error) string {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// notFile says why a path is no file, without opening it: to open a named pipe is to wait for its writer.
func notFile(name string) string {
	switch info, err := os.Stat(name); {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case err != nil:
		return "cannot be read: " + reason(err)
	case info.IsDir():
		return "is a directory"
	case !info.Mode().IsRegular():
		return "is not a regular file"
	}
	return ""
}

// checker compares a project with what it names.
type checker struct {
	*decoder
	*Project
	folder string

	services, volumes []string          // of the compose files; nil where they are not known
	leftOut           map[string]string // services that a testbed does not run, and why
	books             *runbook.Folder   // nil before it is read
	unread            bool              // the runbooks cannot be read
	others            []error           // problems of other files
}

func (c *checker) check() {
	c.rules()
	c.file(&c.Prometheus, "Prometheus's configuration")
	c.file(&c.Alertmanager, "Alertmanager's configuration")
	if c.nodes[&c.Runbooks] != nil && c.Runbooks != "" {
		name := c.path(c.Runbooks)
		if info, err := os.Stat(name); err != nil || !info.IsDir() {
			c.wrong(&c.Runbooks, "no folder of runbooks", "name a folder with Markdown files that are named after alerts")
			name = ""
		}
		c.Runbooks = name
	}
	c.compose()
	c.service(&c.Operator)
	c.command(c.Ready)
	if c.Load != nil {
		c.service(&c.Load.Service)
		c.command(c.Load.Command)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Volumes)) {
		if !slices.Contains(c.volumes, name) && c.volumes != nil {
			c.wrong(place{"volumes", name}, "the compose file has no such volume", nearest.Choice(name, c.volumes))
		}
	}
	for i := range c.Allow {
		c.allow(&c.Allow[i])
	}
	for i := range c.Drills {
		d := &c.Drills[i]
		if alert, known := c.drill(d); known {
			c.branches(d, func(books *runbook.Folder) (*runbook.Runbook, error) {
				return books.For(alert.Name, alert.Annotations["runbook_url"])
			}, &d.Alert)
		}
		c.repeated(d, c.Drills[:i])
	}
	for i := range c.Scenarios {
		c.scenario(&c.Scenarios[i], c.Scenarios[:i])
	}
}

var scenarioName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

func (c *checker) scenario(s *Scenario, earlier []Scenario) {
	if s.Name != "" && !scenarioName.MatchString(s.Name) {
		c.wrong(&s.Name, "not a scenario's name", "write words in lower case with dashes between them, as in data-lost")
	}
	for _, other := range earlier {
		if s.Name != "" && other.Name == s.Name {
			c.wrong(&s.Name, "a second scenario of this name", fmt.Sprintf("give it another: the first is on line %d", other.Line))
			break
		}
	}
	alert, known := c.drill(&s.Drill)
	c.command(s.Lost)
	if s.Verify == nil && s.Alert != "" {
		c.wrong(&s.Alert, "a scenario without verify", `add what succeeds once the service is well, as in verify: curl -fsS http://web/`)
	}
	switch {
	case s.Runbook != "":
		c.branches(&s.Drill, func(books *runbook.Folder) (*runbook.Runbook, error) { return books.Named(s.Runbook) }, &s.Runbook)
	case known:
		c.branches(&s.Drill, func(books *runbook.Folder) (*runbook.Runbook, error) {
			return books.For(alert.Name, alert.Annotations["runbook_url"])
		}, &s.Alert)
	}
}

// path is a path of the file as this process reaches it.
func (c *checker) path(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(c.folder, name)
}

func (c *checker) file(name *string, what string) {
	if *name == "" {
		return
	}
	full := c.path(*name)
	if why := notFile(full); why != "" {
		c.wrong(name, what+" "+why, "name a file, relative to the folder of "+filepath.Base(c.File))
	}
	*name = full
}

// rules reads the rule files.
func (c *checker) rules() {
	var sources []rule.Source
	complete := len(c.Rules) > 0
	for i, pattern := range c.Rules {
		if pattern == "" {
			complete = false
			continue
		}
		c.Rules[i] = c.path(pattern)
		found, err := filepath.Glob(c.Rules[i])
		if err != nil {
			c.wrong(&c.Rules[i], "not a pattern of file names", "write a path with *, ? and [a-z] for what varies, as in rules/*.yml")
			complete = false
			continue
		}
		var source rule.Source
		if len(found) > 0 {
			if source, err = rule.Find(c.Rules[i]); err != nil {
				c.others = append(c.others, err)
				complete = false
				continue
			}
		}
		switch {
		case len(source.Files) > 0:
			sources = append(sources, source)
		case len(found) == 0:
			c.wrong(&c.Rules[i], "no such rule file", "name rule files or a folder of them, relative to the folder of "+filepath.Base(c.File))
			complete = false
		default:
			c.wrong(&c.Rules[i], "holds no rule file", "name at least one *.yml, *.yaml or *.rules that is not a *_test.yml")
			complete = false
		}
	}
	if len(sources) == 0 {
		return
	}
	set, err := rule.ReadSources(c.folder, sources...)
	if err != nil {
		c.others = append(c.others, err)
		return
	}
	if complete { // else an alert may be in what is missing
		c.Set = set
	}
}

// compose reads the names of services and volumes. The images that a testbed sets by variables have any name here.
func (c *checker) compose() {
	complete := len(c.Compose) > 0
	for i := range c.Compose {
		before := len(c.problems)
		c.file(&c.Compose[i], "the compose file")
		complete = complete && c.Compose[i] != "" && len(c.problems) == before
	}
	if !complete {
		return
	}
	var env []string
	model, err := composeModel(c.Compose...)
	if err == nil {
		c.Images = image.Asked(model)
		env = image.Placeholders(c.Images)
		c.Sources = paths(model, nil)
		slices.Sort(c.Sources)
		c.Sources = slices.Compact(c.Sources)
	}
	system, _, err := service.Load(context.Background(), c.folder, "firedrill", c.Compose, env)
	if err != nil {
		c.others = append(c.others, err)
	}
	if system == nil {
		return
	}
	c.services, c.leftOut = append([]string{}, system.ServiceNames()...), map[string]string{}
	for name, left := range system.DisabledServices { // one that has a profile is started by request only
		if why := service.LeftOut(left); why != "" {
			c.leftOut[name] = why
		}
	}
	c.volumes = append([]string{}, system.VolumeNames()...)
}

// paths adds the absolute paths of this machine that a value of a compose file holds: compose has made those relative to the
// file absolute.
func paths(value any, found []string) []string {
	switch value := value.(type) {
	case string:
		if _, err := os.Stat(value); err == nil && filepath.IsAbs(value) {
			return append(found, value)
		}
	case []any:
		for _, element := range value {
			found = paths(element, found)
		}
	case map[string]any:
		for _, element := range value {
			found = paths(element, found)
		}
	}
	return found
}

// composeModel is the content of compose files, merged, with variables as they are. The error is one line.
func composeModel(files ...string) (map[string]any, error) {
	options, err := cli.NewProjectOptions(files, cli.WithName("firedrill"), cli.WithInterpolation(false))
	if err == nil {
		var model map[string]any
		if model, err = options.LoadModel(context.Background()); err == nil {
			return model, nil
		}
	}
	return nil, errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

func (c *checker) service(name *string) {
	if why := c.leftOut[*name]; why != "" {
		c.wrong(name, "the testbed leaves this service out: "+why, nearest.Choice(*name, c.services))
	} else if *name != "" && c.services != nil && !slices.Contains(c.services, *name) {
		c.wrong(name, "the compose file has no such service", nearest.Choice(*name, c.services))
	}
}

// on checks the service on which something is done, which is the operator where the file names none.
func (c *checker) on(name *string) {
	c.service(name)
	*name = cmp.Or(*name, c.Operator)
}

func (c *checker) command(command *Command) {
	if command != nil {
		c.on(&command.On)
	}
}

// drill checks all of a drill but its branches, and finds its alert.
func (c *checker) drill(d *Drill) (alert rule.Alert, known bool) {
	for _, faults := range [][]Fault{d.Prepare, d.Fault} {
		for i := range faults {
			c.fault(&faults[i], d.Responders)
		}
	}
	c.command(d.Verify)
	for i := range d.Responders {
		c.on(&d.Responders[i].On)
		c.service(&d.Responders[i].Restore)
	}
	alert, known = c.alert(&d.Alert)
	for i := range d.Allow {
		c.allow(&d.Allow[i])
	}
	d.Allow = slices.Concat(c.Allow, d.Allow)
	for i, name := range d.Also {
		c.alert(&d.Also[i])
		switch {
		case name == "":
		case name == d.Alert:
			c.wrong(&d.Also[i], "the alert of the drill itself", "name other alerts only")
		case slices.Contains(d.Also[:i], name):
			c.wrong(&d.Also[i], "named twice", "name each alert once")
		}
	}
	if d.Branch != "" && d.WrongBranch == d.Branch {
		c.wrong(&d.WrongBranch, "the drill's own branch", "name another branch, which this fault makes fail")
	}
	return alert, known
}

// repeated wants no earlier drill of the same branch.
func (c *checker) repeated(d *Drill, earlier []Drill) {
	for _, other := range earlier {
		if d.Alert != "" && d.Branch != "" && other.Alert == d.Alert && other.Branch == d.Branch {
			c.wrong(&d.Branch, fmt.Sprintf("a second drill of %s and this branch", d.Alert), fmt.Sprintf("keep one, and write its faults as a list: the first is on line %d", other.Line))
			break
		}
	}
}

func (c *checker) fault(f *Fault, restored []Responder) {
	if f.Action == Run || f.Action == Fill {
		c.on(&f.Service)
	} else {
		c.service(&f.Service)
	}
	ends := f.Action == Kill || f.Action == Stop || f.Action == Pause
	if ends && f.Service != "" && f.Service == c.Operator && !slices.ContainsFunc(restored, func(r Responder) bool { return r.Restore == f.Service }) {
		c.wrong(&f.Service, "the steps are typed in this service, which the fault ends", "break what runs in it, as in run: pkill nginx, or have a responder restore it")
	}
	const least = 6 << 20
	if f.Action == Memory && f.Bytes < least {
		c.wrong(&f.Bytes, "Docker refuses to limit memory to less than 6MiB", "write a larger size")
	}
}

func (c *checker) allow(entry *string) {
	if *entry == "" {
		return
	}
	if err := sideeffect.CheckAllow(*entry); err != nil {
		c.wrong(entry, "not a side effect to allow", err.Error())
	}
}

// alert finds an alert in the rules.
func (c *checker) alert(name *string) (rule.Alert, bool) {
	if *name == "" || len(c.Set.Files) == 0 {
		return rule.Alert{}, false
	}
	var names []string
	for _, alert := range c.Set.Alerts {
		if alert.Name == *name {
			return alert, true
		}
		if !slices.Contains(names, alert.Name) {
			names = append(names, alert.Name)
		}
	}
	c.wrong(name, "no rule has this alert", nearest.Choice(*name, names))
	return rule.Alert{}, false
}

// branches checks what a drill names in its runbook, for which find looks; named is what names that.
func (c *checker) branches(d *Drill, find func(*runbook.Folder) (*runbook.Runbook, error), named *string) {
	if c.Runbooks == "" || c.unread {
		return
	}
	if c.books == nil {
		folder, err := runbook.ReadFolder(c.Runbooks, c.Grammar())
		if err != nil {
			c.others, c.unread = append(c.others, err), true
			return
		}
		c.books = &folder
	}
	book, err := find(c.books)
	if err != nil {
		c.wrong(named, "the runbook is not found", err.Error())
		return
	}
	var names []string
	for _, branch := range book.Branches() {
		names = append(names, branch.Name)
	}
	for _, branch := range []*string{&d.Branch, &d.WrongBranch} {
		if *branch == "" {
			continue
		}
		if !slices.Contains(names, *branch) {
			c.wrong(branch, book.Path+" has no such branch", nearest.Choice(*branch, names))
		} else if _, err := book.Branch(*branch); err != nil {
			c.others = append(c.others, err)
		}
	}
}
