package image

import (
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// anywhere finds a Dockerfile in every folder but "empty".
var anywhere = parser{exists: func(path string) bool { return path != "empty/Dockerfile" }}

func TestParse(t *testing.T) {
	got, err := anywhere.parse([]byte(`
host:
  folder: host
  base: {folder: host/base, takes: a minute}
  programs:
    bin/api: {package: ./api, variable: API_BINARY}
db: # a comment
  program:
    package: example.test/db/v2/cmd/db
    data: var/db
    pages: ui/dist
  takes: "2: minutes"
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []*spec{
		{
			name: "host", folder: "host", base: &spec{name: "host-base", folder: "host/base", takes: "a minute"},
			programs: map[string]*program{"bin/api": {pkg: "./api", variable: "API_BINARY"}},
		},
		{name: "db", takes: "2: minutes", program: &program{pkg: "example.test/db/v2/cmd/db", data: "var/db", pages: "ui/dist"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, nothing := range []string{"", "# nothing yet\n"} {
		if got, err := anywhere.parse([]byte(nothing)); err != nil || got != nil {
			t.Errorf("%q: %v, error %v", nothing, got, err)
		}
	}
}

func TestParseBadInput(t *testing.T) {
	for _, test := range []struct{ content, says string }{
		{"db:\n  program: {package: ./db}\n  port: 80\n", `:3:3: "port" is an unknown key: write one of base, folder, program, programs, takes`},
		{"db:\n  program: {package: ./db, variable: X}\n", `:2:28: "variable" is an unknown key: write one of data, package, pages`},
		{"db: {program: {package: ./db}, folder: db}\n", ":1:5: the mapping is no image: write either program or folder"},
		{"db: {takes: long}\n", ":1:5: the mapping is no image"},
		{"db: {program: {data: x}}\n", ":1:15: the mapping is no program: write its package"},
		{"db: {program: {package: ./db}, programs: {}}\n", ":1:5: the mapping is an image of a program: base and programs are for a folder"},
		{"db: {folder: db, base: {program: {package: ./db}}}\n", ":1:24: the mapping is an image of a program: write a folder as base"},
		{"db: {folder: empty}\n", `:1:14: "empty" has no Dockerfile`},
		{"db: {folder: ../db}\n", `:1:14: "../db" cannot be used: write a path below the module's root`},
		{"db: {folder: /db}\n", `:1:14: "/db" cannot be used`},
		{"db: {folder: [db]}\n", ":1:14: the list cannot be used"},
		{"db: {folder: db, programs: {../x: {package: ./x}}}\n", `:1:29: "../x" cannot be used: write a path in the build context`},
		{"db: {folder: db, programs: {x: {package: ./x, variable: x-y}}}\n", `:1:57: "x-y" cannot be used: write an environment variable in capitals`},
		{"db: {program: {package: -x}}\n", `:1:25: "-x" cannot be used: write a package, such as ./cmd/server`},
		{"db: {program: {package: ./...}}\n", `:1:25: "./..." cannot be used`},
		{"db: {program: {package: ./x, data: \"a\\nUSER root\"}}\n", `:1:36: "a\nUSER root" cannot be used: write a relative path`},
		{"db: {program: {package: ./x}, takes: \"a\\nb\"}\n", `:1:38: "a\nb" cannot be used: write a text of one line`},
		{"db:\n", `:1:4: "" is no mapping: write KEY: VALUE`},
		{"- db\n", ":1:1: the list is no mapping"},
		{"db: &x {folder: db, base: *x}\n", `:1:27: the alias "*x" is no mapping`},
		{"? [db]\n: {}\n", ":1:3: the list is no key"},
		{"My-DB: {folder: db}\n", `:1:1: "My-DB" cannot be used: write lower-case letters and digits`},
		{"receiver: {folder: db}\n", `:1:1: "receiver" is the name of one of Firedrill's own images`},
		{"base: {folder: db}\n", `:1:1: "base" is the name of one of Firedrill's own images`},
		{"db: {folder: db}\ndb: {folder: db}\n", `:2:1: "db" is already in line 1: remove one`},
		{"db: {folder: db\n", ":1: did not find expected"},
		{"db: {folder: db}\n---\n", ": there is more than one YAML document: write one"},
	} {
		_, err := anywhere.parse([]byte(test.content))
		mention(t, err, "fixtures/images.yml"+test.says)
	}
}

func TestAProjectMayHaveNoImages(t *testing.T) {
	images, err := specs(t.TempDir())
	var names []Name
	for _, s := range images {
		names = append(names, s.name)
	}
	if want := []Name{Prometheus, Alertmanager, Receiver}; err != nil || !slices.Equal(names, want) {
		t.Errorf("images %q, error %v, want %q", names, err, want)
	}
}

func TestAProjectsFolderIsLookedFor(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string]string{"fixtures/images.yml": "db: {folder: fixtures/db}\n"})
	_, err := specs(root)
	mention(t, err, `fixtures/images.yml:1:14: "fixtures/db" has no Dockerfile`)
	writeFiles(t, root, map[string]string{"fixtures/db/Dockerfile": "FROM x"})
	if images, err := specs(root); err != nil || images[1].name != "db" {
		t.Errorf("images %v, error %v", images, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("host: {folder: host, base: {folder: host/base}, programs: {bin/api: {package: ./api, variable: API}}}\n")
	f.Add("db:\n  program: {package: ./db, data: db, pages: ui}\n  takes: long\n")
	f.Add("db: &x {folder: db, base: *x, <<: *x}\n")
	f.Add("? [db]\n: !!binary x\n---\n")
	place := regexp.MustCompile(`^fixtures/images\.yml(:\d+)*: .*\S`)
	f.Fuzz(func(t *testing.T, content string) {
		images, err := anywhere.parse([]byte(content))
		if err != nil && (images != nil || !place.MatchString(err.Error())) {
			t.Errorf("%d images, error %q; want none, and an error that says where", len(images), err)
		}
		for _, image := range images {
			for s := image; s != nil; s = s.base {
				if (s.program == nil) == (s.folder == "") || s.folder != "" && !filepath.IsLocal(s.folder) || strings.ContainsAny(string(s.name)+s.takes, "\n") {
					t.Errorf("%+v is no image", s)
				}
				for to := range s.programs {
					if !filepath.IsLocal(to) {
						t.Errorf("%s has a program outside of its folder: %q", s.name, to)
					}
				}
			}
			for prog := range image.allPrograms() {
				if prog.pkg == "" || strings.HasPrefix(prog.pkg, "-") || strings.ContainsAny(prog.pkg+prog.data+prog.pages, " \n\\") {
					t.Errorf("%+v is no program", prog)
				}
			}
		}
	})
}
