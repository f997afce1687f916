package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const whole = `scenarios:
  - name: host-lost
    description: The host is lost.
    alert: ShopDown
    runbook: DisasterRecovery
    branch: If The Host Is Lost
    objectives: {rto: 30m, rpo: 2m, records: 1200}
    limits: [It is small.]
`

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "scenarios.yml")
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Find(all, "host-lost")
	if err != nil {
		t.Fatal(err)
	}
	if s.Branch != "If The Host Is Lost" || s.Objectives != (Objectives{30 * time.Minute, 2 * time.Minute, 1200}) || len(s.Limits) != 1 {
		t.Errorf("read %+v", s)
	}
	if _, err := Find(all, "flood"); err == nil || !strings.Contains(err.Error(), "choose one of host-lost") {
		t.Errorf("a scenario that is not there: %v", err)
	}
}

func TestErrorsHavePositions(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"empty":             {"", "file.yml: no scenario"},
		"unknown key":       {strings.Replace(whole, "branch:", "brunch:", 1), "line 6: field brunch not found"},
		"no name":           {strings.Replace(whole, "name: host-lost", "name:", 1), "a scenario has no name"},
		"capital letters":   {strings.Replace(whole, "host-lost", "Host Lost", 1), `file.yml:2: scenario "Host Lost" has an invalid name`},
		"twice":             {whole + whole[len("scenarios:\n"):], `file.yml:9: scenario "host-lost" has the same name as that on line 2`},
		"no branch":         {strings.Replace(whole, "If The Host Is Lost", "", 1), "is incomplete"},
		"no objectives":     {strings.Replace(whole, "rto: 30m, ", "", 1), "has no objectives"},
		"no time":           {strings.Replace(whole, "30m", "soon", 1), "line 7: cannot unmarshal !!str `soon` into time.Duration"},
		"less than no time": {strings.Replace(whole, "30m", "-30m", 1), "has invalid objectives"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse("file.yml", []byte(c.content))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "file.yml:") || strings.Contains(err.Error(), "\n") {
				t.Errorf("said %v, want one line with %q", err, c.want)
			}
		})
	}
}

func TestSurpriseIsRepeatable(t *testing.T) {
	all := []Scenario{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	chosen := map[string]bool{}
	for seed := range uint64(100) {
		s := Surprise(all, seed)
		if s.Name != Surprise(all, seed).Name {
			t.Errorf("seed %d chooses one and then another", seed)
		}
		chosen[s.Name] = true
	}
	if len(chosen) != len(all) {
		t.Errorf("a hundred seeds choose %v only", chosen)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("scenarios: [&a {name: *a}]"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if all, err := parse("file.yml", content); err == nil && len(all) == 0 {
			t.Error("neither a scenario nor an error")
		}
	})
}
