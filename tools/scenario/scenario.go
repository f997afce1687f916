// Package scenario reads the disaster scenarios of firedrill drill, with their recovery objectives.
package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Scenario is one disaster and the objectives of the recovery from it.
type Scenario struct {
	Name        string // in lower case, with dashes
	Description string // in one sentence
	Alert       string // the alert that pages
	Runbook     string // its runbook, without .md
	Branch      string // a heading in the runbook
	Objectives  Objectives
	Limits      []string // what the drill does not show
}

// Objectives limit the duration of the recovery and the loss of data.
type Objectives struct {
	RTO     time.Duration // from the disaster until the service is well
	RPO     time.Duration // from the oldest acknowledged write that is lost until the disaster
	Records int64         // acknowledged writes that are lost
}

var name = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// Load reads a file of scenarios. An error names the file, the line and the text.
func Load(path string) ([]Scenario, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read scenarios: %w", err)
	}
	return parse(path, content)
}

// entry is a scenario in the file.
type entry struct {
	Name        yaml.Node `yaml:"name"`
	Description string    `yaml:"description"`
	Alert       string    `yaml:"alert"`
	Runbook     string    `yaml:"runbook"`
	Branch      string    `yaml:"branch"`
	Objectives  struct {
		RTO     *time.Duration `yaml:"rto"`
		RPO     *time.Duration `yaml:"rpo"`
		Records *int64         `yaml:"records"`
	} `yaml:"objectives"`
	Limits []string `yaml:"limits"`
}

func parse(path string, content []byte) ([]Scenario, error) {
	var file struct {
		Scenarios []entry `yaml:"scenarios"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", path, strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n ", ""), "yaml: "))
	}
	if len(file.Scenarios) == 0 {
		return nil, fmt.Errorf("%s: no scenario: write a list under scenarios:", path)
	}
	var all []Scenario
	seen := map[string]int{}
	for _, e := range file.Scenarios {
		fail := func(format string, args ...any) error {
			return fmt.Errorf("%s:%d: scenario %q %s", path, e.Name.Line, e.Name.Value, fmt.Sprintf(format, args...))
		}
		o := e.Objectives
		switch {
		case e.Name.Value == "":
			return nil, fmt.Errorf("%s: a scenario has no name: write name: with words in lower case, as in host-lost", path)
		case !name.MatchString(e.Name.Value):
			return nil, fail("has an invalid name: write words in lower case with dashes between them, as in host-lost")
		case seen[e.Name.Value] > 0:
			return nil, fail("has the same name as that on line %d: give it another", seen[e.Name.Value])
		case e.Description == "" || e.Alert == "" || e.Runbook == "" || e.Branch == "":
			return nil, fail("is incomplete: write its description, alert, runbook and branch")
		case o.RTO == nil || o.RPO == nil || o.Records == nil:
			return nil, fail("has no objectives: write rto, rpo and records under objectives:")
		case *o.RTO <= 0 || *o.RPO < 0 || *o.Records < 0:
			return nil, fail("has invalid objectives: write an rto above 0, and an rpo and records of 0 or more")
		}
		seen[e.Name.Value] = e.Name.Line
		all = append(all, Scenario{
			Name: e.Name.Value, Description: e.Description, Alert: e.Alert, Runbook: e.Runbook, Branch: e.Branch,
			Objectives: Objectives{RTO: *o.RTO, RPO: *o.RPO, Records: *o.Records}, Limits: e.Limits,
		})
	}
	return all, nil
}

// Find returns the scenario of that name. The error lists the existing ones.
func Find(all []Scenario, name string) (Scenario, error) {
	var names []string
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("no scenario %q: choose one of %s", name, strings.Join(names, ", "))
}

// Surprise returns the scenario that the seed selects.
func Surprise(all []Scenario, seed uint64) Scenario {
	return all[rand.New(rand.NewPCG(seed, 0)).IntN(len(all))]
}
