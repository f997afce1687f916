// Package route knows where Alertmanager sends an alert, by Alertmanager's own configuration and routing tree.
package route

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// Tree is an Alertmanager configuration and its routes.
type Tree struct {
	Config *config.Config
	Root   *dispatch.Route

	// What is in the configuration, in the order of the file and with its places.
	Top         *Node
	Inhibitions []Inhibition
	Intervals   []Interval
	Receivers   []Receiver
	file        string
	document    *yaml.Node
	content     string

	// SendResolved has an entry for each receiver with an integration: whether one of them sends resolved notifications.
	SendResolved map[string]bool
}

// likeAlertmanager sets the syntax of matchers to what Alertmanager accepts unless it is told otherwise.
var likeAlertmanager = sync.OnceFunc(func() {
	compat.InitFromFlags(slog.New(slog.DiscardHandler), featurecontrol.NoopFlags{})
})

// Parse reads an Alertmanager configuration. The file is for the errors, which are those of Load.
func Parse(file string, content []byte) (*Tree, error) {
	likeAlertmanager()
	t := &Tree{SendResolved: map[string]bool{}, file: file, document: document(content), content: string(content)}
	load := func(text string) (err error) {
		if t.Config, err = config.Load(text); err == nil {
			t.Root = dispatch.NewRoute(t.Config.Route, nil)
		}
		return err
	}
	err := Load("Alertmanager", file, content, func(text string) error {
		if err := manifest(t.document); err != nil {
			return err
		}
		err := load(text)
		if err != nil && !configLine.MatchString(err.Error()) {
			err = locate(content, err, load)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	t.place(t.document)
	for _, receiver := range t.Config.Receivers {
		// Each kind of integration is a list, and each release of Alertmanager brings another.
		for _, field := range reflect.ValueOf(receiver).Fields() {
			if field.Kind() != reflect.Slice {
				continue
			}
			for i := range field.Len() {
				integration := field.Index(i)
				sends, ok := integration.Interface().(interface{ SendResolved() bool })
				t.SendResolved[receiver.Name] = ok && !integration.IsNil() && sends.SendResolved() || t.SendResolved[receiver.Name]
			}
		}
	}
	return t, nil
}

// Match returns the receivers that an alert with these labels reaches, sorted, each once: those with an integration, and
// those without.
func (t *Tree) Match(labels map[string]string) (notified, silent []string) {
	set := model.LabelSet{}
	for name, value := range labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	for _, route := range t.Root.Match(set) {
		name := route.RouteOpts.Receiver
		if _, ok := t.SendResolved[name]; ok {
			notified = append(notified, name)
		} else {
			silent = append(silent, name)
		}
	}
	slices.Sort(notified)
	slices.Sort(silent)
	return slices.Compact(notified), slices.Compact(silent)
}

var (
	configLine  = regexp.MustCompile(`line (\d+): (.*)`)
	quotedValue = regexp.MustCompile("`[^`]*`|parse \"(?:[^\"\\\\]|\\\\.)*\": .*")
	configKey   = regexp.MustCompile(`^[ \t-]*(\w+):`)
)

// Load reads a configuration with the loader of the program that it is for. The error names the file, where the loader
// gives it the line, with the column at which the text of the line begins, and what is wrong. It holds no value of the
// file, since that may be a secret.
func Load(program, file string, content []byte, load func(text string) error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%s: %s crashes on it (%v): remove the entries of lists that are empty", file, program, cause)
		}
	}()
	err = load(string(content))
	if err == nil {
		return nil
	}
	wrong, place, fix := quotedValue.ReplaceAllString(err.Error(), "value"), file, fmt.Sprintf("fix it until %s loads it", program)
	var at located
	if errors.As(err, &at) {
		place = at.In(file)
		if at.hint != "" {
			fix = at.hint
		}
	} else if m := configLine.FindStringSubmatch(wrong); m != nil {
		n, _ := strconv.Atoi(m[1])
		lines := strings.Split(string(content), "\n")
		line := lines[min(max(n, 1), len(lines))-1]
		column := 1 + len(line) - len(strings.TrimLeft(line, " \t-"))
		place, wrong = fmt.Sprintf("%s:%d:%d", file, n, column), m[2]
		if key := configKey.FindStringSubmatch(line); key != nil {
			wrong += fmt.Sprintf(" (%q)", key[1])
		}
	}
	return fmt.Errorf("%s: %s: %s", place, wrong, fix)
}
