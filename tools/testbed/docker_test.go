package testbed

import "testing"

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
