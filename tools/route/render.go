package route

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/config"
	amcommoncfg "github.com/prometheus/alertmanager/config/common"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/alertmanager/types"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// Receiver is a receiver as it is in the configuration.
type Receiver struct {
	Name
	node *yaml.Node
}

// Field is a text of an integration, mostly a template.
type Field struct {
	Key  string // as in title, or fields[0].value
	Text string
	// Given is whether the configuration has it; else it is Alertmanager's default.
	Given bool
	// Secret is whether neither the text nor what it renders to may be shown.
	Secret bool
	HTML   bool
	Place  // of the value in the configuration, or of what it belongs to
}

// Integration is one way in which a receiver is notified.
type Integration struct {
	Name   string // as in slack_configs[0]
	Fields []Field
}

// Integrations returns the integrations of a receiver, in the order of Alertmanager's documentation.
func (t *Tree) Integrations(receiver string) []Integration {
	i := slices.IndexFunc(t.Config.Receivers, func(r config.Receiver) bool { return r.Name == receiver })
	if i < 0 {
		return nil
	}
	var found []Integration
	node := t.Receivers[i].node
	for structField, list := range reflect.ValueOf(t.Config.Receivers[i]).Fields() {
		if list.Kind() != reflect.Slice {
			continue
		}
		key := yamlKey(structField)
		for j := range list.Len() {
			if list.Index(j).IsNil() {
				continue
			}
			at := item(entry(node, key), j)
			c := collector{html: htmlKeys(list.Index(j).Interface())}
			if email, ok := list.Index(j).Interface().(*config.EmailConfig); ok && email.Headers["Subject"] == "" {
				c.add("headers.Subject", config.DefaultEmailSubject, nil, placeOf(at, node), false)
			}
			c.walk(list.Index(j), "", at, placeOf(at, node))
			found = append(found, Integration{fmt.Sprintf("%s[%d]", key, j), c.fields})
		}
	}
	return found
}

// htmlKeys returns the keys whose templates Alertmanager renders as HTML.
func htmlKeys(integration any) []string {
	switch c := integration.(type) {
	case *config.EmailConfig:
		return []string{"html"}
	case *config.PushoverConfig:
		if c.HTML {
			return []string{"message"}
		}
	}
	if mode := reflect.Indirect(reflect.ValueOf(integration)).FieldByName("ParseMode"); mode.IsValid() && mode.String() == "HTML" { // Telegram's
		return []string{"message"}
	}
	return nil
}

func yamlKey(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return key
}

type collector struct {
	html   []string
	fields []Field
}

func (c *collector) add(key, text string, node *yaml.Node, at Place, secret bool) {
	if text == "" {
		return
	}
	c.fields = append(c.fields, Field{Key: key, Text: text, Given: node != nil, Secret: secret,
		HTML: slices.Contains(c.html, key), Place: placeOr(node, at)})
}

func placeOr(node *yaml.Node, at Place) Place {
	if node != nil && node.Line > 0 {
		return placeOf(node)
	}
	return at
}

// isSecret reports whether a value of the configuration must not be shown.
func isSecret(value reflect.Value) bool {
	switch value.Interface().(type) {
	case commoncfg.Secret, config.SecretTemplateURL, amcommoncfg.SecretTemplateURL, amcommoncfg.SecretURL:
		return true
	}
	return false
}

// walk collects the texts of a value of the configuration.
func (c *collector) walk(value reflect.Value, key string, node *yaml.Node, at Place) {
	for value.Kind() == reflect.Pointer || value.Kind() == reflect.Interface {
		if value.IsNil() {
			return
		}
		value = value.Elem()
	}
	below := func(name string) string { return strings.TrimPrefix(key+"."+name, ".") }
	at = placeOr(node, at)
	switch value.Kind() {
	case reflect.String:
		c.add(key, value.String(), node, at, isSecret(value))
	case reflect.Slice:
		for i := range value.Len() {
			c.walk(value.Index(i), fmt.Sprintf("%s[%d]", key, i), item(node, i), at)
		}
	case reflect.Map:
		for _, k := range slices.SortedFunc(slices.Values(value.MapKeys()), func(a, b reflect.Value) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }) {
			c.walk(value.MapIndex(k), below(fmt.Sprint(k)), entry(node, fmt.Sprint(k)), at)
		}
	case reflect.Struct:
		if isSecret(value) {
			return // an address, which is no template
		}
		for field, v := range value.Fields() {
			name := yamlKey(field)
			switch {
			case !field.IsExported(), name == "http_config", name == "tls_config", name == "-", strings.HasSuffix(name, "_file"):
			case field.Anonymous:
				c.walk(v, key, node, at)
			case name != "":
				c.walk(v, below(name), entry(node, name), at)
			}
		}
	}
}

// Secrets are the values of the configuration that must not be shown.
func (t *Tree) Secrets() []string {
	var found []string
	var walk func(value reflect.Value)
	walk = func(value reflect.Value) {
		switch value.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !value.IsNil() {
				walk(value.Elem())
			}
		case reflect.Slice:
			for i := range value.Len() {
				walk(value.Index(i))
			}
		case reflect.Map:
			for _, v := range value.Seq2() {
				walk(v)
			}
		case reflect.String:
			if isSecret(value) {
				found = append(found, value.String())
			}
		case reflect.Struct:
			switch v := value.Interface().(type) {
			case amcommoncfg.SecretURL:
				if v.URL != nil {
					found = append(found, v.URL.String())
				}
			case url.URL:
				if password, ok := v.User.Password(); ok {
					found = append(found, password)
				}
			default:
				for field, v := range value.Fields() {
					if field.IsExported() {
						walk(v)
					}
				}
			}
		}
	}
	walk(reflect.ValueOf(*t.Config))
	slices.Sort(found)
	return slices.Compact(found)
}

// FileError is what is wrong with a file of templates.
type FileError struct {
	File   string
	Line   int // 0 where it is not known
	Reason string
}

func (e FileError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, max(1, e.Line), e.Reason) }

// Renderer renders the texts of integrations as Alertmanager does.
type Renderer struct {
	template *template.Template
	// Missing are the patterns under "templates" that match no file here: what a text takes from them is not known.
	Missing []Name
	// Wrong are the files of templates that Alertmanager refuses.
	Wrong []FileError
	files []string // their content
}

// Renderer reads the files of templates. A file that is not where the configuration says, as is usual for the paths of
// another machine, is looked for by the end of its path below the folder of the configuration.
func (t *Tree) Renderer() (*Renderer, error) {
	tmpl, err := template.FromGlobs(nil)
	if err != nil {
		return nil, fmt.Errorf("read Alertmanager's default templates: %w", err)
	}
	tmpl.ExternalURL = &url.URL{Scheme: "https", Host: "alertmanager.example.com"}
	r := &Renderer{template: tmpl}
	places := names(entry(t.document, "templates"))
	for i, pattern := range t.Config.Templates {
		files := find(filepath.Dir(t.file), pattern)
		if len(files) == 0 {
			missing := Name{pattern, Place{1, 1}}
			if i < len(places) {
				missing = places[i]
			}
			r.Missing = append(r.Missing, missing)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read the templates of %s: %w", t.file, err)
			}
			r.files = append(r.files, string(content))
			if wrong, ok := refused(file, content); ok {
				r.Wrong = append(r.Wrong, wrong)
			} else if err := tmpl.FromGlob(escape(file)); err != nil {
				return nil, fmt.Errorf("read the templates of %s: %w", t.file, err)
			}
		}
	}
	return r, nil
}

var parseError = regexp.MustCompile(`^template: [^:]*:(\d+):(?:\d+:)? ?(.*)$`)

// refused says why Alertmanager refuses a file of templates, if it does.
func refused(file string, content []byte) (FileError, bool) {
	alone, err := template.New() // an error leaves a template that cannot be used
	if err == nil {
		err = alone.Parse(bytes.NewReader(content))
	}
	if err == nil {
		return FileError{}, false
	}
	wrong := FileError{File: file, Reason: err.Error()}
	if m := parseError.FindStringSubmatch(wrong.Reason); m != nil {
		wrong.Line, _ = strconv.Atoi(m[1])
		wrong.Reason = m[2]
	}
	return wrong, true
}

// escape makes a pattern that matches one file.
func escape(file string) string { return regexp.MustCompile(`[*?\[\\]`).ReplaceAllString(file, `\$0`) }

// find returns the files that a pattern of a configuration in dir matches.
func find(dir, pattern string) []string {
	if !filepath.IsAbs(pattern) {
		files, _ := filepath.Glob(filepath.Join(dir, pattern)) // a wrong pattern matches nothing
		if len(files) > 0 {
			return files
		}
	} else if files, _ := filepath.Glob(pattern); len(files) > 0 {
		return files
	}
	parts := strings.Split(strings.Trim(filepath.ToSlash(pattern), "/"), "/")
	for i := range parts {
		if files, _ := filepath.Glob(filepath.Join(dir, filepath.Join(parts[i:]...))); len(files) > 0 {
			return files
		}
	}
	return nil
}

// Firing is a firing alert as Alertmanager has it.
type Firing struct{ Labels, Annotations map[string]string }

var shownLabel = regexp.MustCompile(`\.?(?:CommonLabels|GroupLabels|Labels)(?:\.|\s+")([a-zA-Z_]\w*)`)

// Shown returns the labels that a text, or a file of templates, names.
func (r *Renderer) Shown(text string) []string {
	var found []string
	for _, in := range append([]string{text}, r.files...) {
		for _, m := range shownLabel.FindAllStringSubmatch(in, -1) {
			found = append(found, m[1])
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

var (
	notDefined = regexp.MustCompile(`template "[^"]*" not defined|no such template "[^"]*"`)
	prefix     = regexp.MustCompile(`^(?:html/)?template: ?:?(?:\d+:)*(?:\d+:)? ?(?:executing "[^"]*" at )?`)
	goType     = regexp.MustCompile(` in type [\w.*/]+`)
)

// Render renders a text for a notification of one firing alert. The error says what Alertmanager says, without the types of
// Go. It is nil where the text may take something from a file that is missing here.
func (r *Renderer) Render(f Field, n *Node, alert Firing) (string, error) {
	labels, annotations, group := model.LabelSet{}, model.LabelSet{}, model.LabelSet{}
	for name, value := range alert.Labels {
		if value == "" {
			continue
		}
		labels[model.LabelName(name)] = model.LabelValue(value)
		if _, grouped := n.RouteOpts.GroupBy[model.LabelName(name)]; grouped || n.RouteOpts.GroupByAll {
			group[model.LabelName(name)] = model.LabelValue(value)
		}
	}
	for name, value := range alert.Annotations {
		annotations[model.LabelName(name)] = model.LabelValue(value)
	}
	now := time.Now()
	firing := &types.Alert{Alert: model.Alert{Labels: labels, Annotations: annotations, StartsAt: now, EndsAt: now.Add(time.Hour), GeneratorURL: "https://prometheus.example.com/graph"}}
	data := r.template.Data(n.RouteOpts.Receiver, group, maps.Clone(n.RouteOpts.Labels), "first notification", firing)
	render := r.template.ExecuteTextString
	if f.HTML {
		render = r.template.ExecuteHTMLString
	}
	text, err := render(f.Text, data)
	switch {
	case err == nil:
		return text, nil
	case len(r.Missing)+len(r.Wrong) > 0 && notDefined.MatchString(err.Error()):
		return "", nil
	}
	return "", fmt.Errorf("%s", goType.ReplaceAllString(prefix.ReplaceAllString(err.Error(), ""), ""))
}

// Redefines reports whether a file of templates defines one of Alertmanager's own again.
func (r *Renderer) Redefines() bool {
	return slices.ContainsFunc(r.files, func(content string) bool { return redefinition.MatchString(content) })
}

var redefinition = regexp.MustCompile(`\bdefine\s+"(__|[a-z0-9]+\.default\.)`)
