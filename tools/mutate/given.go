package mutate

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/stemedb/firedrill/tools/witness"
)

// given is what test files give to a search for more tests: inputs that their authors found natural.
type given struct {
	inputs   map[string][]witness.Scenario // by the name of the alert that is asserted on
	settings map[string]settings           // by the absolute path of a rule file
}

// settings are those of a test file that names a rule file.
type settings struct {
	every time.Duration // between evaluations
	files []string      // the rule files that are loaded together
}

// readGiven reads test files, which are known to be valid.
func readGiven(paths []string) *given {
	g := &given{map[string][]witness.Scenario{}, map[string]settings{}}
	for _, path := range paths {
		var file struct {
			RuleFiles []string       `yaml:"rule_files"`
			Every     model.Duration `yaml:"evaluation_interval"`
			Tests     []struct {
				Name     string         `yaml:"name"`
				Interval model.Duration `yaml:"interval"`
				Series   []struct {
					Series string `yaml:"series"`
					Values string `yaml:"values"`
				} `yaml:"input_series"`
				Alerts []struct {
					At   model.Duration `yaml:"eval_time"`
					Name string         `yaml:"alertname"`
				} `yaml:"alert_rule_test"`
			} `yaml:"tests"`
		}
		content, err := os.ReadFile(path)
		if err != nil || yaml.Unmarshal(content, &file) != nil {
			continue
		}
		if file.Every == 0 {
			file.Every = model.Duration(witness.DefaultInterval)
		}
		g.set(path, file.RuleFiles, time.Duration(file.Every))
		for _, test := range file.Tests {
			s := witness.Scenario{Name: test.Name, Interval: time.Duration(test.Interval)}
			if s.Interval == 0 {
				s.Interval = time.Duration(file.Every)
			}
			for _, in := range test.Series {
				s.Series = append(s.Series, witness.Series{Series: in.Series, Values: in.Values})
			}
			until := map[string]time.Duration{}
			for _, a := range test.Alerts {
				until[a.Name] = max(until[a.Name], time.Duration(a.At))
			}
			for name, at := range until {
				s.Checks = []witness.Check{{At: at}}
				g.inputs[name] = append(g.inputs[name], s)
			}
		}
	}
	return g
}

func (g *given) set(path string, patterns []string, every time.Duration) {
	var files []string
	for _, pattern := range patterns {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(path), pattern)
		}
		found, _ := filepath.Glob(pattern) // it is known to be valid
		for _, file := range found {
			if absolute, err := filepath.Abs(file); err == nil && !slices.Contains(files, absolute) {
				files = append(files, absolute)
			}
		}
	}
	for _, file := range files {
		if _, ok := g.settings[file]; !ok {
			g.settings[file] = settings{every, files}
		}
	}
}

// of are the settings with which the tests of a rule file run.
func (g *given) of(file string) settings {
	if s, ok := g.settings[file]; ok {
		return s
	}
	return settings{witness.DefaultInterval, []string{file}}
}
