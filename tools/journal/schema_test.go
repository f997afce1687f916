package journal

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-openapi/spec"
	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/validate"
)

func schema(t *testing.T) *spec.Schema {
	t.Helper()
	text, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	s := new(spec.Schema)
	if err := json.Unmarshal(text, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func valid(t *testing.T, document []byte) error {
	t.Helper()
	s := schema(t)
	if err := spec.ExpandSchema(s, s, nil); err != nil {
		t.Fatal(err)
	}
	var data any
	if err := json.Unmarshal(document, &data); err != nil {
		t.Fatal(err)
	}
	return validate.AgainstSchema(s, data, strfmt.Default)
}

func TestExamplesAreAsTheSchemaHasThem(t *testing.T) {
	for _, name := range []string{"proof", "drill"} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(t, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for old, new := range map[string]string{
			`"verdict": "true"`:                   `"verdict": true`,
			`"took_seconds": 4.6`:                 `"took_seconds": "4.6"`,
			`"state": "firing"`:                   `"state": "burning"`,
			`"alert": "CertificateExpiringSoon",`: "",
			`"kind": `:                            `"sort": 1, "kind": `,
		} {
			if wrong := strings.Replace(string(text), old, new, 1); wrong == string(text) {
				t.Errorf("%s holds no %s", name, old)
			} else if valid(t, []byte(wrong)) == nil {
				t.Errorf("%s: %s for %s is valid", name, new, old)
			}
		}
	}
}

// Each field is in the schema, and is required there unless it can be left out; nothing else is.
func TestTypesAreAsTheSchemaHasThem(t *testing.T) {
	s := schema(t)
	compare := func(name string, kind reflect.Type, s spec.Schema) {
		var fields, required []string
		for i := range kind.NumField() {
			field, options, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			fields = append(fields, field)
			if options == "" {
				required = append(required, field)
			}
		}
		var properties []string
		for property := range s.Properties {
			properties = append(properties, property)
		}
		for _, list := range [][]string{fields, required, properties, s.Required} {
			slices.Sort(list)
		}
		if !slices.Equal(fields, properties) {
			t.Errorf("%s has the fields\n%q, in the schema\n%q", name, fields, properties)
		}
		if !slices.Equal(required, s.Required) {
			t.Errorf("%s cannot do without\n%q, in the schema\n%q", name, required, s.Required)
		}
	}
	seen := map[string]bool{}
	var visit func(kind reflect.Type)
	visit = func(kind reflect.Type) {
		switch kind.Kind() {
		case reflect.Pointer, reflect.Slice:
			visit(kind.Elem())
		case reflect.Struct:
			name := strings.ToLower(kind.Name())
			if kind == reflect.TypeFor[time.Time]() || kind == reflect.TypeFor[Sample]() || seen[name] {
				return
			}
			seen[name] = true
			if name == "journal" {
				compare(name, kind, *s)
			} else {
				compare(name, kind, s.Definitions[name])
			}
			for i := range kind.NumField() {
				visit(kind.Field(i).Type)
			}
		}
	}
	visit(reflect.TypeFor[Journal]())
	if len(seen) != len(s.Definitions)+1 {
		t.Errorf("the types are %v, the schema has %d definitions", seen, len(s.Definitions))
	}
}
