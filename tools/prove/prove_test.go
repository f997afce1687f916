package prove

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/project"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/testbed"
)

// What the script prints is what the patterns match, whatever characters they have.
func TestSecretsScript(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"a b.key": "first\nsecond\n", "it's $HOME.key": "third", "d/e.key": "fourth", "other": "no secret"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		patterns []string
		want     []string
	}{
		{[]string{dir + "/*.key"}, []string{"first\nsecond", "third"}},
		{[]string{dir + "/a b.key", dir + "/it's $HOME.key"}, []string{"first\nsecond", "third"}},
		{[]string{dir + "/?/[a-e].key", dir + "/none/*", dir + "/none", dir}, []string{"fourth"}},
	} {
		out, err := exec.Command("bash", "-c", secretsScript(test.patterns)).CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v: %s", test.patterns, err, out)
		}
		var got []string
		for secret := range strings.SplitSeq(string(out), testbed.Separator) {
			if secret = strings.TrimSpace(secret); secret != "" {
				got = append(got, secret)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.patterns, got, test.want)
		}
	}
	if secretsScript(nil) != "" {
		t.Error("a script without secrets")
	}
}

func TestReadLost(t *testing.T) {
	struck := time.Unix(1000, 0)
	for said, want := range map[string]struct {
		records int64
		oldest  time.Time
	}{
		"":                   {},
		"\n":                 {},
		"990\n":              {1, time.Unix(990, 0)},
		"995\n 990.5 \n1000": {3, time.Unix(990, 500_000_000)},
		"1000.9":             {1, time.Unix(1000, 900_000_000)},
	} {
		records, oldest, err := readLost(said, struck)
		if err != nil || records != want.records || !oldest.Equal(want.oldest) {
			t.Errorf("%q: %d since %s, %v; want %+v", said, records, oldest, err, want)
		}
	}
	for said, want := range map[string]string{
		"990\nsoon\n": `"soon" is not when a record was acknowledged`,
		"-1":          `"-1" is not when`,
		"1e300":       `"1e300" is not when`,
		"NaN":         `"NaN" is not when`,
		"1002":        "after the disaster",
	} {
		if _, _, err := readLost(said, struck); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", said, err, want)
		}
	}
}

func FuzzReadLost(f *testing.F) {
	f.Add("990\n995.5\n")
	f.Fuzz(func(t *testing.T, said string) {
		struck := time.Unix(1_700_000_000, 0)
		records, oldest, err := readLost(said, struck)
		if err == nil && (records == 0) != oldest.IsZero() {
			t.Errorf("%d records since %s", records, oldest)
		}
	})
}

func TestJudge(t *testing.T) {
	s := project.Scenario{Objectives: project.Objectives{RTO: time.Minute, RPO: time.Second, Records: 2}}
	seconds := func(d time.Duration) *journal.Seconds { s := journal.Seconds(d); return &s }
	count := func(n int64) *int64 { return &n }
	for _, test := range []struct {
		measured journal.Recovery
		want     []string
	}{
		{journal.Recovery{RTO: seconds(time.Minute)}, nil},
		{journal.Recovery{RTO: seconds(time.Minute), RPO: seconds(time.Second), RPORecords: count(2)}, nil},
		{journal.Recovery{RTO: seconds(time.Minute + 1)}, []string{"(rto)"}},
		{journal.Recovery{RTO: seconds(1), RPO: seconds(2 * time.Second), RPORecords: count(3)}, []string{"(rpo)", "(records)"}},
	} {
		err := (&rehearsal{Scenario: s}).judge(test.measured)
		if (err != nil) != (test.want != nil) {
			t.Errorf("%+v: %v", test.measured, err)
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %s", test.measured, err, want)
			}
		}
	}
}

// Those that wait for rates come first, the others in the order of the file.
func TestOrder(t *testing.T) {
	set, err := rule.Parse("rules.yml", []byte(`groups: [{name: g, rules: [
		{alert: A, expr: up == 0}, {alert: B, expr: "rate(x[5m]) > 1"}, {alert: C, expr: up == 1}, {alert: D, expr: "rate(x[1h]) > 1"}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Project: &project.Project{Set: set}}
	var got []string
	for _, d := range c.inOrder([]project.Drill{{Alert: "A"}, {Alert: "B"}, {Alert: "C"}, {Alert: "D"}}) {
		got = append(got, d.Alert)
	}
	if want := []string{"D", "B", "A", "C"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A run that is interrupted before its first testbed has unknown proofs, not none.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := Config{Project: &project.Project{File: "firedrill.yml"}, Procs: 1, Progress: new(strings.Builder)}
	result, _ := Drills(ctx, c, []project.Drill{{Alert: "A", Branch: "If"}})
	if len(result.Proofs) != 1 || result.Proofs[0].Verdict != journal.Unknown || result.Proofs[0].Spec != "A: If" || result.Proofs[0].Suite != "firedrill.yml" {
		t.Errorf("%+v", result.Proofs)
	}
}
