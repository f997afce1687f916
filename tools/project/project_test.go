package project

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/stemedb/firedrill/tools/image"
)

// rewrite has TestWrong write the messages of testdata/wrong.txtar as they are now: read each before you commit it.
var rewrite = flag.Bool("rewrite", false, "write the expected messages")

// schema is the schema as a validator of draft 2020-12 has it.
func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// valid says what the schema has against the content of a file.
func valid(s *jsonschema.Schema, content []byte) error {
	var document any
	if err := yaml.Unmarshal(content, &document); err != nil {
		return err
	}
	return s.Validate(document)
}

// in copies the example to a new folder, goes there and writes another firedrill.yml, if there is one.
func in(t testing.TB, content []byte) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/web")); err != nil {
		t.Fatal(err)
	}
	if content != nil {
		if err := os.WriteFile(filepath.Join(dir, FileName), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if t, ok := t.(*testing.T); ok {
		t.Chdir(dir)
	}
}

func TestLoad(t *testing.T) {
	s := schema(t)
	in(t, nil)
	p, err := Load(FileName)
	if err != nil {
		t.Fatal(err)
	}
	if content, _ := os.ReadFile(FileName); valid(s, content) != nil {
		t.Error(valid(s, content))
	}
	if len(p.Set.Alerts) != 2 || p.Set.Files[0].Name != "rules/web.yml" {
		t.Errorf("rules %+v", p.Set)
	}
	for i := range p.Drills[1].Fault {
		p.Drills[1].Fault[i].Line = 0
	}
	for _, test := range []struct{ got, want any }{
		{p.Compose, []string{"compose.yml"}},
		{p.Images, []image.Name{image.Base}},
		{p.Runbooks, "runbooks"},
		{p.ScrapeInterval, 3 * time.Second},
		{*p.Ready, Command{"curl -fsS http://web/healthz", "host"}},
		{*p.Load.Command, Command{"while sleep 0.1; do curl -s http://web/; done", "host"}},
		{p.Sections, Sections{[]string{"Repair"}, []string{"First Look"}}},
		{p.Volumes, map[string]string{"textfiles": "/var/lib/metrics"}},
		{p.Drills[0], Drill{
			Line: 18, Alert: "WebDown", Branch: "If The Process Died",
			Fault: []Fault{{Line: 20, Action: Kill, Service: "web", Signal: "TERM"}},
			Also:  []string{"ProbeFailed"}, Verify: &Command{"curl -fsS http://localhost/", "web"},
			StaysFiring: true, WrongBranch: "If The Disk Is Full", Exclusive: true, Allow: []string{"listener-on-all-addresses", "unit-stopped: backup.service"},
		}},
		{p.Drills[1].Prepare[:2], []Fault{{Line: 30, Action: CPUs, Service: "web", To: 0.5}, {Line: 31, Action: Memory, Service: "web", Bytes: 64 << 20}}},
		{p.Drills[1].Fault, []Fault{
			{Action: Fill, Service: "web", Folder: "/var/www", Bytes: 1 << 20},
			{Action: Run, Service: "host", Script: "pkill nginx"},
			{Action: Pause, Service: "web"},
			{Action: Disconnect, Service: "web"},
			{Action: Delay, Service: "web", By: 200 * time.Millisecond},
		}},
		{p.Drills[1].Responders, []Responder{{41, "test -s /var/mail/ca", "/usr/local/bin/sign", "", "cache"}, {44, "test -s /var/mail/platform", "", "web", "host"}}},
		{p.Scenarios, []Scenario{{
			Drill: Drill{Line: 48, Alert: "WebDown", Branch: "If The Disk Is Full", Fault: []Fault{{Line: 53, Action: Run, Service: "host", Script: "rm /var/www/*"}}, Verify: &Command{"curl -fsS http://web/", "host"}, Allow: []string{"listener-on-all-addresses"}},
			Name:  "pages-lost", Description: "The pages are deleted.", Runbook: "WebDown", Lost: &Command{"cat /var/log/lost", "web"},
			Objectives: Objectives{RTO: 30 * time.Minute, RPO: 90 * time.Second, Records: 10}, Limits: []string{"The pages are few."},
		}}},
	} {
		if !reflect.DeepEqual(test.got, test.want) {
			t.Errorf("%+v, want %+v", test.got, test.want)
		}
	}
}

// A file is as its folder has it, from wherever it is read.
func TestLoadFromElsewhere(t *testing.T) {
	p, err := Load("testdata/web/firedrill.yml")
	if err != nil {
		t.Fatal(err)
	}
	if p.Prometheus != "testdata/web/prometheus.yml" || p.Rules[0] != "testdata/web/rules/*.yml" || p.Set.Files[0].Name != "rules/web.yml" {
		t.Errorf("%+v", p)
	}
}

// Of the compose files' sources, those that are there.
func TestSources(t *testing.T) {
	in(t, nil)
	content := "services:\n  host: {build: {context: ..}, env_file: [web.env, {path: none.env, required: false}], volumes: [./rules:/rules, data:/data]}\n" +
		"  web: {build: ., volumes: [/dev/null:/tmp/null]}\n  cache: {image: redis}\nvolumes: {textfiles: {}, data: {}}\n"
	for name, content := range map[string]string{"compose.yml": content, "web.env": ""} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Load(FileName)
	if err != nil {
		t.Fatal(err)
	}
	here, _ := os.Getwd()
	for _, want := range []string{here, filepath.Dir(here), filepath.Join(here, "web.env"), filepath.Join(here, "rules"), "/dev/null"} {
		if !slices.Contains(p.Sources, want) {
			t.Errorf("%s is not in %q", want, p.Sources)
		}
	}
}

// Where a fault and a kill leave something out, and aliases.
func TestDefaults(t *testing.T) {
	in(t, []byte(`rules: [rules, rules/web.yml]
runbooks: runbooks
compose: [compose.yml]
operator: host
prometheus: prometheus.yml
load: cache
drills:
- {alert: WebDown, branch: If The Process Died, fault: &both [{kill: web}, {fill: /data}]}
- {alert: WebDown, branch: If The Disk Is Full, fault: *both, also: ProbeFailed, verify: "true"}
`))
	p, err := Load(FileName)
	if err != nil {
		t.Fatal(err)
	}
	want := []Fault{{Line: 8, Action: Kill, Service: "web", Signal: "KILL"}, {Line: 8, Action: Fill, Service: "host", Folder: "/data"}}
	for _, d := range p.Drills {
		if !reflect.DeepEqual(d.Fault, want) {
			t.Errorf("%+v, want %+v", d.Fault, want)
		}
	}
	if p.Load.Service != "cache" || len(p.Set.Alerts) != 2 || *p.Drills[1].Verify != (Command{"true", "host"}) {
		t.Errorf("%+v", p)
	}
}

// TestWrong loads the files of testdata/wrong.txtar, each in the folder of the example, and compares the messages. The
// schema refuses those in shape, and takes those in meaning, of which it cannot know that they are wrong; those in text are
// nothing that a schema sees.
func TestWrong(t *testing.T) {
	const table = "testdata/wrong.txtar"
	s := schema(t)
	archive, err := txtar.ParseFile(table)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(archive.Files); i += 2 {
		file, want := archive.Files[i], &archive.Files[i+1]
		name := strings.TrimSuffix(file.Name, ".yml")
		if want.Name != name+".err" {
			t.Fatalf("%s is followed by %s", file.Name, want.Name)
		}
		t.Run(name, func(t *testing.T) {
			in(t, file.Data)
			_, err := Load(FileName)
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error() + "\n"; *rewrite {
				want.Data = []byte(got)
			} else if got != string(want.Data) {
				t.Errorf("got\n%swant\n%s", got, want.Data)
			}
			refused := valid(s, file.Data)
			switch kind, _, _ := strings.Cut(name, "/"); {
			case kind == "shape" && refused == nil:
				t.Error("the schema takes it")
			case kind == "meaning" && refused != nil:
				t.Errorf("the schema refuses it: %v", refused)
			}
		})
	}
	if *rewrite {
		if err := os.WriteFile(table, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnreadable(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.Mkdir("folder", 0o700), os.WriteFile("large", make([]byte, MaxFileSize+1), 0o600),
		os.WriteFile("many", bytes.Repeat([]byte("a: 1\n"), 1000), 0o600), os.WriteFile("wide", bytes.Repeat([]byte("x"), MaxFileSize), 0o600)); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"none":   "none: does not exist: name a firedrill.yml, or have firedrill init write one",
		"folder": "folder: is a directory: name a firedrill.yml, or have firedrill init write one",
		"large":  `large: the file is too large ("1048577 bytes"): keep it within 1048576 bytes`,
		"many":   "many: 956 more problems: fix these first",
		"wide":   "wide:1:1: the file is a text (\"" + strings.Repeat("x", 80) + "…\"): write a mapping of " + strings.Join(names(keysOf(reflect.TypeFor[Project]())), ", "),
	} {
		if _, err := Load(file); err == nil || !strings.HasPrefix(err.Error()+"\n", want+"\n") && !strings.HasSuffix("\n"+err.Error(), "\n"+want) {
			t.Errorf("%s: %v, want %s", file, err, want)
		}
	}
}

// Each key of the types is in the schema, and is required there where it is required here; nothing else is.
func TestSchemaHasTheKeys(t *testing.T) {
	s := schema(t)
	compare := func(what string, keys []key, s *jsonschema.Schema) {
		t.Helper()
		for s.Ref != nil {
			s = s.Ref
		}
		var known, required, properties []string
		for _, k := range keys {
			known = append(known, k.name)
			if k.required {
				required = append(required, k.name)
			}
			if p := s.Properties[k.name]; p != nil && p.Description == "" && p.Ref == nil && what == "the file" {
				t.Errorf("%s of %s has no description", k.name, what)
			}
		}
		for name := range s.Properties {
			properties = append(properties, name)
		}
		for _, list := range [][]string{known, required, properties, s.Required} {
			slices.Sort(list)
		}
		if !slices.Equal(known, properties) || !slices.Equal(required, s.Required) || s.AdditionalProperties != false {
			t.Errorf("%s has %q, required %q; in the schema %q, required %q", what, known, required, properties, s.Required)
		}
	}
	drill := s.Properties["drills"].AnyOf[0]
	compare("the file", keysOf(reflect.TypeFor[Project]()), s)
	compare("a drill", keysOf(reflect.TypeFor[Drill]()), drill)
	scenario := s.Properties["scenarios"].AnyOf[0]
	compare("a scenario", keysOf(reflect.TypeFor[Scenario]()), scenario)
	compare("objectives", keysOf(reflect.TypeFor[Objectives]()), scenario.Ref.Properties["objectives"])
	compare("sections", keysOf(reflect.TypeFor[Sections]()), s.Properties["sections"])
	compare("a command", keysOf(reflect.TypeFor[Command]()), s.Properties["load"].AnyOf[1])
	compare("a responder", keysOf(reflect.TypeFor[Responder]()), drill.Ref.Properties["responders"].AnyOf[0])
	faults := drill.Ref.Properties["fault"].AnyOf[0].Ref.OneOf
	for i, a := range actions {
		k := a.key
		k.required = true
		compare("the fault "+a.name, append([]key{k}, a.options...), faults[i])
	}
	if len(faults) != len(actions) {
		t.Errorf("%d faults, in the schema %d", len(actions), len(faults))
	}
}

// FuzzParse wants an error in the right form, and no panic, for whatever a file holds.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("testdata/web/firedrill.yml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	archive, err := txtar.ParseFile("testdata/wrong.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(file.Data)
	}
	s := schema(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		p, d := parse(FileName, content)
		lines := 1 + bytes.Count(content, []byte("\n"))
		for _, found := range d.problems {
			if found.line < 1 || found.line > lines || found.column < 1 || found.wrong == "" || found.right == "" {
				t.Errorf("%+v: the file has %d lines", found, lines)
			}
		}
		if len(d.problems) == 0 && (p.Operator == "" || len(p.Drills) == 0 || len(p.Drills[0].Fault) == 0) {
			t.Errorf("no problem, and an empty %+v", p)
		}
		if err := valid(s, content); len(d.problems) == 0 && err != nil {
			t.Errorf("the schema refuses what is read without a problem: %v", err)
		}
	})
}
