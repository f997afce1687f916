package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

func TestParseFlags(t *testing.T) {
	for _, tc := range []struct {
		args string
		want []string // name and address of each server
	}{
		{"", []string{"API :8080"}},
		{"--listen 127.0.0.1:80", []string{"API 127.0.0.1:80"}},
		{"--forward :9090=prometheus:9090 --forward [::1]:9093=[fd00::2]:9093", []string{"forward to prometheus:9090 :9090", "forward to [fd00::2]:9093 [::1]:9093"}},
		{"--forward :9090=prometheus:9090 --listen :8080", []string{"forward to prometheus:9090 :9090", "API :8080"}},
	} {
		servers, err := parseFlags(strings.Fields(tc.args), io.Discard)
		var got []string
		for _, s := range servers {
			got = append(got, s.name+" "+s.address)
		}
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%q: %q, error %v; want %q", tc.args, got, err, tc.want)
		}
	}
	if _, err := parseFlags([]string{"-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v, want %v", err, flag.ErrHelp)
	}
}

func TestParseFlagsBadInput(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"--forward :80=host:80 now", `unexpected argument ("now"): want flags only`},
		{"--nosuch", "flag provided but not defined"},
		{"--forward=", "want LISTEN=HOST:PORT"},
		{"--forward=:9090", "want LISTEN=HOST:PORT"},
		{"--forward=:9090=prometheus", "want LISTEN=HOST:PORT"},
		{"--forward=:9090=:9090", "want LISTEN=HOST:PORT"},
		{"--forward=:=prometheus:9090", "want LISTEN=HOST:PORT"},
	} {
		var stderr strings.Builder
		_, err := parseFlags(strings.Fields(tc.args), &stderr)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(stderr.String(), err.Error()) {
			t.Errorf("%q: error %v, stderr %q; want one with %q", tc.args, err, stderr.String(), tc.want)
		}
	}
}

func TestOpenAPortThatIsTaken(t *testing.T) {
	servers := []*server{{name: "first", address: "127.0.0.1:0"}, {name: "second", address: listen(t).Addr().String()}}
	if err := open(servers); err == nil || !strings.Contains(err.Error(), "open the port of second") {
		t.Errorf("error %v, want one that names the server", err)
	}
	if err := servers[0].listener.(*net.TCPListener).SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the first port: %v, want %v", err, net.ErrClosed)
	}
}

// The API is asked through a forward.
func TestServe(t *testing.T) {
	api := listen(t)
	servers, err := parseFlags([]string{"--listen", "127.0.0.1:0", "--forward", "127.0.0.1:0=" + api.Addr().String()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := open(servers); err != nil {
		t.Fatal(err)
	}
	servers[1].listener.Close()
	servers[1].listener = api // its address had to be known beforehand
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- serve(ctx, servers) }()
	if got := get(t, "http://"+servers[0].listener.Addr().String()+"/healthz"); got != "ok\n" {
		t.Errorf("healthz says %q", got)
	}
	end()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// listen opens a port of the loopback until the test ends.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %s, %v", url, res.Status, body, err)
	}
	return string(body)
}
