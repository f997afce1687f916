package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A spec is what an image is made of: one Go program, or a folder with a Dockerfile.
type spec struct {
	name  Name
	takes string // how long the build takes when nothing is cached, or ""

	program *program // nil for a folder

	folder   string              // slash-separated, below the module's root
	base     *spec               // the folder that the Dockerfile's BASE is built from, nil for Debian
	programs map[string]*program // what is compiled into the build context, by the path in it
}

// A program is a Go program that is part of an image.
type program struct {
	pkg  string // the package, as the go command takes it in the module's root
	data string // a folder that the program owns, as user 65534; without one it runs as root

	// pages is a folder of web pages that the program's module embeds and that only its release build makes, so
	// that the published module lacks it. The program is then built in a copy of its module that has the
	// folder, and so with the dependencies that its own go.mod names, not those of ours.
	pages string

	variable string // the environment variable that names a binary to use in place of this program, or ""
	binary   string // the path that the variable has, or ""

	module *module // the module that it is part of, nil for a binary
	digest string  // of everything that goes into its binary
}

// specs are the images of the module at root, in the order in which they are built: Firedrill's own, and what the
// project's file lists.
func specs(root string) ([]*spec, error) {
	all := []*spec{
		{name: Prometheus, takes: "2 to 5 minutes when cold", program: &program{pkg: "github.com/prometheus/prometheus/cmd/prometheus", data: "prometheus"}},
		{name: Alertmanager, takes: "about a minute when cold", program: &program{pkg: "github.com/prometheus/alertmanager/cmd/alertmanager", data: "alertmanager", pages: "ui/app/dist"}},
		{name: Receiver, takes: "about 20 seconds when cold", program: &program{pkg: "./tools/receiver"}},
	}
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(projectFile)))
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the project's images: %w", err)
	}
	p := parser{exists: func(name string) bool {
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
		return err == nil
	}}
	theirs, err := p.parse(content)
	// Prometheus takes longest: what the project needs is built beside it.
	return slices.Insert(all, 1, theirs...), err
}

// projectFile lists the images of the environment of Firedrill's own suites, in the order in which they are built. It is
// slash-separated, below the root of Firedrill's source tree; another module's is not read:
//
//	NAME:                      lower-case letters and digits
//	  program:                 an image of one Go program, run as root
//	    package: PACKAGE         as in `go build PACKAGE` in the module's root
//	    data: FOLDER             a folder of the image that the program owns, as user 65534
//	    pages: FOLDER            a folder of web pages that the published module lacks and embeds
//	  takes: TEXT              how long the build takes
//	NAME:
//	  folder: FOLDER           an image of a Dockerfile that begins with ARG BASE, FROM ${BASE}
//	  base: {folder: ...}      what BASE is built from, as NAME-base; without it BASE is Debian
//	  programs:                what is compiled into the build context
//	    PATH:                    in the context
//	      package: PACKAGE
//	      variable: VARIABLE     an environment variable that names a binary to use in its place
//	  takes: TEXT
const projectFile = "fixtures/images.yml"

// A parser parses a project's file of images.
type parser struct {
	exists func(path string) bool // whether there is a file at the path below the module's root
}

// parse returns the images that content lists. An error names the place, the text there, and what is right.
func (p parser) parse(content []byte) ([]*spec, error) {
	var document, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		text := strings.TrimPrefix(err.Error(), "yaml: ")
		if rest, ok := strings.CutPrefix(text, "line "); ok { // the line, and no column
			return nil, fmt.Errorf("%s:%s", projectFile, rest)
		}
		return nil, fmt.Errorf("%s: %s", projectFile, text)
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: there is more than one YAML document: write one", projectFile)
	}
	var all []*spec
	err := members(document.Content[0], func(key, value *yaml.Node) error {
		var name string
		if err := take(&name, imageName, "lower-case letters and digits")(key); err != nil {
			return err
		}
		if slices.Contains(reserved, Name(name)) {
			return wrong(key, "is the name of one of Firedrill's own images: write another")
		}
		s, err := p.spec(Name(name), value)
		all = append(all, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// reserved are the names of images that a project's file cannot list.
var reserved = []Name{Base, Prometheus, Alertmanager, Receiver}

var (
	imageName    = regexp.MustCompile(`^[a-z][a-z0-9]*$`)
	packagePath  = regexp.MustCompile(`^[A-Za-z0-9.][A-Za-z0-9._~-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)
	relativePath = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`)
	variableName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	oneLine      = regexp.MustCompile(`^[^\n]+$`)
)

func (p parser) spec(name Name, node *yaml.Node) (*spec, error) {
	s := &spec{name: name}
	err := fields(node, map[string]func(*yaml.Node) error{
		"program": func(value *yaml.Node) error {
			s.program = &program{}
			return programFields(s.program, value, map[string]func(*yaml.Node) error{
				"data":  take(&s.program.data, relativePath, "a relative path"),
				"pages": take(&s.program.pages, relativePath, "a relative path"),
			})
		},
		"folder": func(value *yaml.Node) error {
			if err := take(&s.folder, relativePath, "a path below the module's root")(value); err != nil {
				return err
			}
			if !p.exists(path.Join(s.folder, "Dockerfile")) {
				return wrong(value, "has no Dockerfile: write a folder below the module's root that has one")
			}
			return nil
		},
		"base": func(value *yaml.Node) (err error) {
			s.base, err = p.spec(name+"-base", value)
			if err == nil && s.base.program != nil {
				return wrong(value, "is an image of a program: write a folder as base")
			}
			return err
		},
		"programs": func(value *yaml.Node) error {
			s.programs = map[string]*program{}
			return members(value, func(key, value *yaml.Node) error {
				var to string
				if err := take(&to, relativePath, "a path in the build context")(key); err != nil {
					return err
				}
				prog := &program{}
				s.programs[to] = prog
				return programFields(prog, value, map[string]func(*yaml.Node) error{
					"variable": take(&prog.variable, variableName, "an environment variable in capitals"),
				})
			})
		},
		"takes": take(&s.takes, oneLine, "a text of one line"),
	})
	switch {
	case err != nil:
		return nil, err
	case (s.program == nil) == (s.folder == ""):
		return nil, wrong(node, "is no image: write either program or folder")
	case s.program != nil && (s.base != nil || s.programs != nil):
		return nil, wrong(node, "is an image of a program: base and programs are for a folder")
	}
	return s, nil
}

// programFields reads a program's package and what else it may have.
func programFields(prog *program, node *yaml.Node, more map[string]func(*yaml.Node) error) error {
	more["package"] = take(&prog.pkg, packagePath, "a package, such as ./cmd/server")
	if err := fields(node, more); err != nil {
		return err
	}
	if prog.pkg == "" {
		return wrong(node, "is no program: write its package")
	}
	return nil
}

// fields reads each field of a mapping with the function for its key.
func fields(node *yaml.Node, read map[string]func(*yaml.Node) error) error {
	return members(node, func(key, value *yaml.Node) error {
		if read[key.Value] == nil {
			return wrong(key, "is an unknown key: write one of "+strings.Join(slices.Sorted(maps.Keys(read)), ", "))
		}
		return read[key.Value](value)
	})
}

// members calls each with every key and value of a mapping.
func members(node *yaml.Node, each func(key, value *yaml.Node) error) error {
	if node.Kind != yaml.MappingNode {
		return wrong(node, "is no mapping: write KEY: VALUE")
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Kind != yaml.ScalarNode {
			return wrong(key, "is no key: write one word")
		}
		if line := lines[key.Value]; line != 0 {
			return wrong(key, fmt.Sprintf("is already in line %d: remove one", line))
		}
		lines[key.Value] = key.Line
		if err := each(key, node.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// take returns a function that reads a text that matches the pattern.
func take(into *string, pattern *regexp.Regexp, want string) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		if node.Kind != yaml.ScalarNode || !pattern.MatchString(node.Value) {
			return wrong(node, "cannot be used: write "+want)
		}
		*into = node.Value
		return nil
	}
}

// wrong is the error of a node of the project's file.
func wrong(node *yaml.Node, what string) error {
	text := fmt.Sprintf("%q", node.Value)
	switch node.Kind {
	case yaml.MappingNode:
		text = "the mapping"
	case yaml.SequenceNode:
		text = "the list"
	case yaml.AliasNode:
		text = fmt.Sprintf("the alias %q", "*"+node.Value)
	}
	return fmt.Errorf("%s:%d:%d: %s %s", projectFile, node.Line, node.Column, text, what)
}
