package image

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// writeFiles writes files, by their path in dir.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProgramDigestChangesWithWhatItIsBuiltFrom(t *testing.T) {
	files := map[string]string{
		"go.mod":            "module example.test/m\n\ngo 1.26\n",
		"prog/main.go":      "package main\n\nimport _ \"example.test/m/used\"\n\nfunc main() {}\n",
		"used/used.go":      "package used\n\nimport _ \"embed\"\n\n//go:embed data\nvar s string\n",
		"used/data":         "1",
		"used/used_test.go": "package used\n",
		"unused/unused.go":  "package unused\n",
	}
	digestOf := func(t *testing.T, changed map[string]string, arch, goVersion string) string {
		t.Helper()
		dir := t.TempDir()
		writeFiles(t, dir, files)
		writeFiles(t, dir, changed)
		prog := &program{pkg: "./prog"}
		if err := readSources(t.Context(), dir, arch, goVersion, []*program{prog}); err != nil {
			t.Fatal(err)
		}
		return prog.digest
	}
	unchanged := digestOf(t, nil, "amd64", "go1.26.1")
	for _, test := range []struct {
		name    string
		files   map[string]string
		changes bool
	}{
		{"nothing but the folder", nil, false},
		{"a file of the program", map[string]string{"prog/main.go": files["prog/main.go"] + "// more\n"}, true},
		{"a new file of a package that it uses", map[string]string{"used/more.go": "package used\n"}, true},
		{"an embedded file", map[string]string{"used/data": "2"}, true},
		{"a test", map[string]string{"used/used_test.go": "package used // more\n"}, false},
		{"a package that it does not use", map[string]string{"unused/unused.go": "package unused // more\n"}, false},
		{"a comment in go.mod", map[string]string{"go.mod": files["go.mod"] + "// more\n"}, false},
		{"the defaults that go.mod sets", map[string]string{"go.mod": files["go.mod"] + "\ngodebug panicnil=1\n"}, true},
		{"a file for another architecture", map[string]string{"used/used_arm64.go": "package used\n"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := digestOf(t, test.files, "amd64", "go1.26.1") != unchanged; got != test.changes {
				t.Errorf("changed: %v, want %v", got, test.changes)
			}
		})
	}
	if digestOf(t, nil, "arm64", "go1.26.1") == unchanged {
		t.Error("the architecture does not count")
	}
	if digestOf(t, nil, "amd64", "go1.26.2") == unchanged {
		t.Error("the version of Go does not count")
	}
}

func TestProgramInputsAreItsOwnModules(t *testing.T) {
	root := &listed{ImportPath: "m/prog", Module: &module{Path: "m", Version: "v1.0.0", Sum: "h1:m"}, Deps: []string{"fmt", "unsafe", "a/x", "a/y", "b"}}
	pkgs := map[string]*listed{
		"m/prog": root,
		"fmt":    {ImportPath: "fmt", Standard: true},
		"a/x":    {ImportPath: "a/x", Module: &module{Path: "a", Version: "v1.2.3", Sum: "h1:a"}},
		"a/y":    {ImportPath: "a/y", Module: &module{Path: "a", Version: "v1.2.3", Sum: "h1:a"}},
		"b":      {ImportPath: "b", Module: &module{Path: "b", Version: "v1.0.0", Replace: &module{Path: "fork", Version: "v2.0.0", Sum: "h1:f"}}},
		"other":  {ImportPath: "other", Module: &module{Path: "other", Version: "v9.0.0", Sum: "h1:o"}},
	}
	got, err := inputsOf(root, root.Deps, pkgs)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"m/prog", "", "a@v1.2.3 h1:a", "fork@v2.0.0 h1:f", "m@v1.0.0 h1:m"}
	if !slices.Equal(got, want) {
		t.Errorf("inputs %q, want %q", got, want)
	}
}

func TestReadSourcesNamesWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"go.mod": "module example.test/m\n\ngo 1.26\n"})
	mention(t, readSources(t.Context(), dir, "amd64", "go1.26.1", []*program{{pkg: "./tools/receiver"}}), "tools/receiver")
}

func TestContextDigestChangesWithItsContent(t *testing.T) {
	files := map[string]string{"Dockerfile": "FROM x", "etc/a": "1", "usr/run.sh": "#!", "base/Dockerfile": "FROM y"}
	for _, test := range []struct {
		name    string
		change  func(dir string) error
		changes bool
	}{
		{"nothing but the folder", func(string) error { return nil }, false},
		{"a file's content", func(dir string) error { return os.WriteFile(dir+"/etc/a", []byte("2"), 0o644) }, true},
		{"a file's name", func(dir string) error { return os.Rename(dir+"/etc/a", dir+"/etc/b") }, true},
		{"a new folder", func(dir string) error { return os.Mkdir(dir+"/var", 0o755) }, true},
		{"a link", func(dir string) error { return os.Symlink("a", dir+"/etc/b") }, true},
		{"whether a file is executable", func(dir string) error { return os.Chmod(dir+"/usr/run.sh", 0o755) }, true},
		{"the umask", func(dir string) error { return os.Chmod(dir+"/etc/a", 0o600) }, false},
		{"a file's time", func(dir string) error { return os.Chtimes(dir+"/etc/a", time.Unix(1, 0), time.Unix(1, 0)) }, false},
		{"the folder that is left out", func(dir string) error { return os.WriteFile(dir+"/base/Dockerfile", nil, 0o644) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var digests []string
			for _, change := range []func(string) error{func(string) error { return nil }, test.change} {
				dir := t.TempDir()
				writeFiles(t, dir, files)
				if err := change(dir); err != nil {
					t.Fatal(err)
				}
				digest, err := buildContext{dir: dir, without: "base"}.digest()
				if err != nil {
					t.Fatal(err)
				}
				digests = append(digests, digest)
			}
			if got := digests[0] != digests[1]; got != test.changes {
				t.Errorf("changed: %v, want %v", got, test.changes)
			}
		})
	}
}

func TestDigestKeepsPartsApart(t *testing.T) {
	if digest("ab", "c") == digest("a", "bc") || digest("a") == digest("a", "") {
		t.Error("the limits of the parts do not count")
	}
}

func TestAFoldersReferenceFollowsItsInputs(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string]string{"host/Dockerfile": "FROM x", "host/base/Dockerfile": "FROM y"})
	api, admin := &program{digest: "api"}, &program{digest: "admin"}
	packages := &spec{name: "host-base", folder: "host/base"}
	host := &spec{name: "host", folder: "host", base: packages, programs: map[string]*program{"bin/api": api, "bin/admin": admin}}
	p := &plan{root: root}
	references := func(baseID string) (refs [2]string) {
		t.Helper()
		for i, s := range []*spec{packages, host} {
			var err error
			if refs[i], err = p.ref(s, func() (baseImage, error) { return baseImage{"debian:1", baseID}, nil }); err != nil {
				t.Fatal(err)
			}
		}
		return refs
	}
	before := references("sha256:1")
	if !strings.HasPrefix(before[0], "firedrill/host-base:") || len(before[0]) != len("firedrill/host-base:")+12 {
		t.Errorf("the packages are called %s", before[0])
	}
	if after := references("sha256:2"); after[0] == before[0] || after[1] == before[1] {
		t.Error("a changed base must rebuild the packages and the host")
	}
	for what, change := range map[string]func(){
		"program":    func() { api.digest = "other" },
		"second":     func() { admin.digest = "other" },
		"Dockerfile": func() { writeFiles(t, root, map[string]string{"host/Dockerfile": "FROM z"}) },
		"path":       func() { host.programs = map[string]*program{"sbin/api": api, "bin/admin": admin} },
	} {
		before := references("sha256:1")
		change()
		if after := references("sha256:1"); after[0] != before[0] || after[1] == before[1] {
			t.Errorf("a changed %s must rebuild the host, and not its packages", what)
		}
	}
}

func TestAProgramsReferenceFollowsItsInputs(t *testing.T) {
	seen := map[string]bool{}
	for _, prog := range []*program{{digest: "a"}, {digest: "b"}, {digest: "a", data: "data"}} {
		ref, err := new(plan).ref(&spec{name: "x", program: prog}, nil)
		if err != nil || seen[ref] {
			t.Errorf("%+v: %s, error %v; want another reference", prog, ref, err)
		}
		seen[ref] = true
	}
}

// give names an image in the environment for each of this module's images and the base, but the excepted. It returns the names.
func give(t *testing.T, e *engine, except ...Name) []Name {
	t.Helper()
	images, err := specs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var names []Name
	for _, s := range images {
		names = append(names, s.name)
		for prog := range s.allPrograms() {
			if prog.variable != "" {
				t.Setenv(prog.variable, fakeBinary(t, nil))
			}
		}
	}
	for _, name := range append(slices.Clone(names), Base) {
		ref := ""
		if !slices.Contains(except, name) {
			ref = "given/" + string(name) + ":1"
			e.images[ref] = "sha256:" + string(name)
		}
		t.Setenv(name.variable(), ref)
	}
	return names
}

func TestGivenImagesAreUsedAsTheyAre(t *testing.T) {
	e := &engine{images: map[string]string{}}
	names := give(t, e)
	serve(t, e)
	var out strings.Builder
	ensured, err := Ensure(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if want := "given/" + string(name) + ":1"; ensured.Ref(name) != want || resolved.Ref(name) != want {
			t.Errorf("%s: ensured %q and resolved %q, want %q", name, ensured.Ref(name), resolved.Ref(name), want)
		}
	}
	for _, variable := range ensured.Environ() {
		if name, ref, _ := strings.Cut(variable, "="); os.Getenv(name) != ref {
			t.Errorf("another process would get %q, want %q", variable, os.Getenv(name))
		}
	}
	if e.requests != nil {
		t.Errorf("it changed something: %q", e.requests)
	}
	if !strings.HasSuffix(out.String(), fmt.Sprintf("images: all %d ready, 0 built\n", len(names))) {
		t.Errorf("it ends with\n%s", out.String())
	}
}

// What is given needs no source and no Go, and neither does the base.
func TestNamedImages(t *testing.T) {
	e := &engine{images: map[string]string{debian: "sha256:debian"}}
	give(t, e, Base)
	t.Setenv("FIREDRILL_IMAGE_SHOP", "given/shop:1")
	e.images["given/shop:1"] = "sha256:shop"
	serve(t, e)
	t.Chdir(t.TempDir())
	t.Setenv("PATH", t.TempDir())
	names := []Name{Receiver, Base, "shop", Receiver}
	ensured, err := Ensure(t.Context(), new(strings.Builder), names...)
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := Resolve(t.Context(), names...)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"FIREDRILL_IMAGE_RECEIVER=given/receiver:1", "FIREDRILL_IMAGE_BASE=" + debian, "FIREDRILL_IMAGE_SHOP=given/shop:1"}
	if !slices.Equal(ensured.Environ(), want) || !slices.Equal(resolved.Environ(), want) {
		t.Errorf("ensured %q and resolved %q, want %q", ensured.Environ(), resolved.Environ(), want)
	}
	if ref := ensured.Ref(Base); ref != debian {
		t.Errorf("the base is %q, want %q", ref, debian)
	}
	if e.requests != nil {
		t.Errorf("it changed something: %q", e.requests)
	}

	t.Setenv("FIREDRILL_IMAGE_RECEIVER", "")
	_, err = Ensure(t.Context(), new(strings.Builder), names...)
	mention(t, err, "built with Go, which is not installed", "https://go.dev/dl", "FIREDRILL_IMAGE_RECEIVER")
}

func TestSelected(t *testing.T) {
	all := []*spec{{name: Prometheus}, {name: "host"}, {name: Receiver}}
	given := map[Name]string{"shop": "shop:1"}
	for _, test := range []struct{ names, want []Name }{
		{nil, []Name{Prometheus, "host", Receiver}},
		{[]Name{Receiver, Base, Prometheus, Receiver}, []Name{Prometheus, Base, Receiver}},
		{[]Name{"shop", "host", "shop"}, []Name{"host", "shop"}},
	} {
		images, err := selected(all, test.names, given)
		if err != nil {
			t.Fatal(err)
		}
		var got []Name
		for _, s := range images {
			got = append(got, s.name)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("of %q: %q, want %q", test.names, got, test.want)
		}
	}
	_, err := selected(all, []Name{Receiver, "hots"}, given)
	mention(t, err, `no image "hots"`, "set FIREDRILL_IMAGE_HOTS", "prometheus, base, host, receiver")
}

func TestAGivenImageThatIsMissing(t *testing.T) {
	e := &engine{images: map[string]string{}}
	give(t, e)
	delete(e.images, "given/receiver:1")
	serve(t, e)

	_, err := Resolve(t.Context())
	mention(t, err, "the receiver image (given/receiver:1) is missing", "run `make images`")
	_, err = Ensure(t.Context(), new(strings.Builder))
	mention(t, err, `"given/receiver:1"`, "FIREDRILL_IMAGE_RECEIVER", "no registry here", "unset")
	if want := []string{"PULL docker.io/given/receiver:1"}; !slices.Equal(e.requests, want) {
		t.Errorf("it asked for %q, want %q", e.requests, want)
	}
}

func TestResolveWithoutABase(t *testing.T) {
	e := &engine{images: map[string]string{}}
	give(t, e, "host", Base)
	serve(t, e)
	_, err := Resolve(t.Context())
	mention(t, err, "the base of the host image is missing", "run `make images`")
	_, err = Resolve(t.Context(), Base)
	mention(t, err, "the base image is missing", "run `make images`")
}

func TestReplacedImagesAreRemoved(t *testing.T) {
	e := &engine{images: map[string]string{}, labelled: map[string]string{
		"/images/json": `[{"Id":"now","RepoTags":["firedrill/receiver:b"]},{"Id":"before","RepoTags":["firedrill/receiver:a"]}]`,
	}}
	b := &builder{plan: &plan{cli: serve(t, e)}, built: []builtImage{{"base", "firedrill/base:b"}, {Receiver, "firedrill/receiver:b"}}}
	if err := b.removeReplaced(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"DELETE /images/before", "DELETE /images/now", "DELETE /images/before"}; !slices.Equal(e.requests, want) {
		t.Errorf("it asked for %q, want %q", e.requests, want)
	}
	for i, name := range []string{"receiver", "base"} { // an image before the one that it is built on
		if i >= len(e.filters) || !strings.Contains(e.filters[i], `"dev.firedrill.image=`+name+`":true`) || !strings.Contains(e.filters[i], `"dev.firedrill=1":true`) {
			t.Errorf("it listed %q", e.filters)
		}
	}
}

func TestAsked(t *testing.T) {
	model := map[string]any{
		"services": map[string]any{
			"web":  map[string]any{"image": "${FIREDRILL_IMAGE_HOST}", "environment": []any{"A=$FIREDRILL_IMAGE_MY_APP", "B=${TAG}", "C=$${FIREDRILL_IMAGE_NONE}"}},
			"site": map[string]any{"build": map[string]any{"args": map[string]any{"BASE": "${FIREDRILL_IMAGE_BASE:-debian:bookworm}", "OTHER": "${FIREDRILL_IMAGE_}"}}},
			"db":   map[string]any{"image": "x:${TAG:-${FIREDRILL_IMAGE_HOST}}", "mem_limit": 3},
		},
	}
	if got, want := Asked(model), []Name{Base, "host", "my_app"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Asked(nil); len(got) > 0 {
		t.Errorf("nothing asks for %q", got)
	}
}
