package journal

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
)

func TestReadRefuses(t *testing.T) {
	text, err := os.ReadFile("testdata/proof.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ old, new, says string }{
		{`"firedrill/journal/v1"`, `"firedrill/journal/v9"`, `the journal's schema is "firedrill/journal/v9": this firedrill reads "firedrill/journal/v1"`},
		{`"schema": "firedrill/journal/v1",`, ``, `the journal's schema is ""`},
		{`"kind": "proof",`, `"kind": "proof"`, "line 4 of the journal"},
		{`"kind": "proof"`, `"kind": "prof"`, `kind is "prof": write "proof" or "drill"`},
		{`"kind":`, `"sort":`, `unknown field "sort"`},
		{`"verdict": "true"`, `"verdict": "maybe"`, `proofs[0].verdict is "maybe"`},
		{`"leapt_seconds": 3600`, `"leapt_seconds": "1h"`, `"1h" is not a duration: write a number of seconds`},
		{`"leapt_seconds": 3600`, `"leapt_seconds": 1e99`, `less than 290 years`},
		{`"op": "<"`, `"op": "<>"`, `proofs[1].rule.threshold.op is "<>"`},
		{`"state": "pending"`, `"state": "waiting"`, `proofs[1].bands[1].state is "waiting"`},
		{`"status": "firing"`, `"status": "lost"`, `proofs[1].notifications[0].status is "lost"`},
		{`"kind": "listener"`, `"kind": "port"`, `proofs[2].side_effects[1].kind is "port": write one of file, unit`},
		{`"sha256": "0a`, `"sha256": "0A`, `inputs[0].sha256 is "0A`},
		{`"ended": "2026-03-09T10:14:34Z"`, `"ended": "2025-03-09T10:14:34Z"`, "run ends at 2025-03-09T10:14:34Z, before it begins at"},
	} {
		wrong := strings.Replace(string(text), test.old, test.new, 1)
		if wrong == string(text) {
			t.Errorf("the example holds no %s", test.old)
		}
		if _, err := Read(strings.NewReader(wrong)); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", test.new, err, test.says)
		}
	}
	for _, text := range []string{"", "null", "[]", "{", `{"schema":"firedrill/journal/v1"}`} {
		if _, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	for text, says := range map[string]string{
		`[1]`: "write [seconds since 1970, value]", `["x",1]`: "not a number of seconds", `[1,null]`: "its value is not a number", `[1,"one"]`: "its value is not a number", `[1e300,1]`: "not a number of seconds",
	} {
		if err := new(Sample).UnmarshalJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestReadOlderJournals(t *testing.T) {
	text, err := os.ReadFile("testdata/proof.json")
	if err != nil {
		t.Fatal(err)
	}
	j, err := Read(strings.NewReader(strings.Replace(string(text), "testbeds_up_seconds", "worlds_up_seconds", 1)))
	if err != nil || len(j.Run.Testbeds) != 2 {
		t.Errorf("%v, %v", j.Run.Testbeds, err)
	}
}

func TestSamplesAreInOrder(t *testing.T) {
	p := renewed()
	samples := p.Signal.Series[0].Samples
	samples[1], samples[2] = samples[2], samples[1]
	if err := p.check(); err == nil || err.Error() != ".signal.series[0].samples are not in the order of time" {
		t.Error(err)
	}
	p = renewed()
	p.Leaps = append(p.Leaps, p.Leaps[0])
	if err := p.check(); err == nil || !strings.HasPrefix(err.Error(), ".leaps[1] begins before") {
		t.Error(err)
	}
}

func TestWithin(t *testing.T) {
	one, two := secs(1), secs(2)
	for _, test := range []struct {
		measured, objective *Seconds
		want                Verdict
	}{{&one, &two, True}, {&two, &two, True}, {&two, &one, False}, {nil, &one, Unknown}, {&one, nil, Unknown}} {
		if got := Within(test.measured, test.objective); got != test.want {
			t.Errorf("%v within %v is %s", test.measured, test.objective, got)
		}
	}
}

// seed is a journal with a little of each.
const seed = `{"schema":"firedrill/journal/v1","kind":"drill","proofs":[{"alert":"A","verdict":"false","failure":"f","ended":"2026-03-09T10:14:31Z",` +
	`"rule":{"expr":"a","threshold":{"op":"<","value":2}},"signal":{"unit":"seconds","series":[{"labels":{"a":"b"},"samples":[[1773051200,1],[1773051210,"NaN"],[1773051220.5,-2]]}]},` +
	`"bands":[{"alert":"A","state":"firing","from":"2026-03-09T10:13:31Z","to":"2026-03-09T10:14:31Z"}],"leaps":[{"from":"2026-03-09T09:14:31Z","to":"2026-03-09T10:14:31Z"}],` +
	`"steps":[{"at":"2026-03-09T10:14:31Z","took_seconds":1,"exit":1}],"notifications":[{"at":"2026-03-09T10:14:31Z","status":"firing"}],` +
	`"drill":{"objectives":{"rto_seconds":1},"measured":{"rto_seconds":2},"timeline":[{"at":"2026-03-09T10:14:31Z"}]}}]}`

func FuzzRead(f *testing.F) {
	f.Add([]byte(seed)) // a small one: a large one is not changed often
	f.Fuzz(func(t *testing.T, text []byte) {
		j, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := j.Write(&b); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Read(&b)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if err := again.Write(io.Discard); err != nil {
			t.Fatal(err)
		}
	})
}
