package testbed

import (
	"strings"
	"testing"
)

func TestPortsAreWhereTheEngineIs(t *testing.T) {
	for engine, want := range map[string]string{
		"unix:///var/run/docker.sock": "127.0.0.1",
		"tcp://192.0.2.7:2376":        "192.0.2.7",
		"tcp://[2001:db8::7]:2376":    "2001:db8::7",
	} {
		if got, err := addressOf(t.Context(), engine); err != nil || got.String() != want {
			t.Errorf("the ports of an engine at %s are at %s (%v), want %s", engine, got, err, want)
		}
	}
}

func TestLastOutput(t *testing.T) {
	var said lastOutput
	for range 1000 {
		if n, err := said.Write([]byte(strings.Repeat("x", 999) + "\n")); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	said.Write(append([]byte(strings.Repeat("y", 1<<20)), "the end"...))
	if len(said) > 32<<10 || !strings.HasPrefix(string(said), "[...] ") || !strings.HasSuffix(string(said), "y"+"the end") {
		t.Errorf("%d bytes, %.20q", len(said), said)
	}
	said = nil
	said.Write([]byte("little"))
	if string(said) != "little" {
		t.Errorf("%q", said)
	}
}
