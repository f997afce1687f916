package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/cli/cli/connhelper"
)

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// mention fails the test unless err is one sentence that holds all of the parts.
func mention(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("there is no error")
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than one line", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestConnectWithoutAnEngine(t *testing.T) {
	t.Run("no socket", func(t *testing.T) {
		t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(shortDir(t), "none"))
		_, err := Connect(t.Context())
		mention(t, err, "there is no Docker Engine at unix://", "install one", "DOCKER_HOST")
	})
	t.Run("a socket that no program serves", func(t *testing.T) {
		socket := filepath.Join(shortDir(t), "s")
		listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
		if err != nil {
			t.Fatal(err)
		}
		listener.SetUnlinkOnClose(false)
		listener.Close()
		t.Setenv("DOCKER_HOST", "unix://"+socket)
		_, err = Connect(t.Context())
		mention(t, err, "no Docker Engine listens at", "systemctl start docker")
	})
	t.Run("an address that is none", func(t *testing.T) {
		t.Setenv("DOCKER_HOST", "over there")
		_, err := Connect(t.Context())
		mention(t, err, `DOCKER_HOST="over there"`, "unset")
	})
	t.Run("a socket that is not for this user", func(t *testing.T) {
		err := unreachable("unix:///s", time.Second, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)})
		mention(t, err, "this user may not use the Docker Engine at unix:///s", "usermod -aG docker")
	})
	t.Run("an address that nothing answers at", func(t *testing.T) {
		err := unreachable("tcp://d:1", time.Second, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "d"}})
		mention(t, err, "cannot be reached", "no such host", "DOCKER_HOST")
	})
}

func TestConnectToAnEngine(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		says   []string
	}{
		{"that fails", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "disk on fire", http.StatusInternalServerError)
		},
			[]string{"answers with an error", "disk on fire", "journalctl -u docker"}},
		{"that is too old", func(w http.ResponseWriter, _ *http.Request) { pong(w, "1.40", "linux") },
			[]string{"speaks API 1.40", "1.41 is needed", "Docker Engine 20.10"}},
		{"of another system", func(w http.ResponseWriter, _ *http.Request) { pong(w, "1.47", "windows") },
			[]string{"runs windows containers"}},
		{"that will do", func(w http.ResponseWriter, _ *http.Request) { pong(w, "1.41", "linux") }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			serve(t, test.answer)
			cli, err := Connect(t.Context())
			if test.says != nil {
				mention(t, err, test.says...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			cli.Close()
		})
	}
}

// ssh puts a program in the place of ssh.
func ssh(t *testing.T, script string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "ssh"), []byte("#!/bin/bash\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
}

const refusal = "echo 'ops@elsewhere: Permission denied (publickey).' >&2; exit 255"

func TestWriteToARefusedSSH(t *testing.T) {
	ssh(t, refusal)
	helper, err := connhelper.GetConnectionHelper("ssh://ops@elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dialSSH(t.Context(), helper)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for err == nil { // ends when ssh does
		_, err = conn.Write([]byte("x"))
	}
	_, afterwards := conn.Read(make([]byte, 1))
	for _, err := range []error{err, afterwards} {
		if err == nil || !strings.Contains(err.Error(), "Permission denied (publickey)") {
			t.Errorf("the error is %v, want what ssh wrote", err)
		}
	}
}

func TestConnectBySSH(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { pong(w, "1.41", "linux") }))
	defer server.Close()
	for _, test := range []struct{ name, host, script, says string }{
		{name: "to an Engine", host: "ssh://ops@elsewhere", script: `[[ "$*" == *" -- elsewhere docker system dial-stdio" ]] || exit 1
exec 3<>/dev/tcp/` + strings.Replace(server.Listener.Addr().String(), ":", "/", 1) + `
exec 2>/dev/null # its end would be taken for the end of ssh
cat <&3 &
cat >&3
`},
		{name: "refused", host: "ssh://ops@elsewhere", script: refusal, says: "Permission denied (publickey)"},
		{name: "to nowhere", host: "ssh:///var/run", says: "hostname is empty"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ssh(t, test.script)
			t.Setenv("DOCKER_HOST", test.host)
			cli, err := Connect(t.Context())
			if test.says != "" {
				mention(t, err, test.host, test.says)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			cli.Close()
		})
	}
}

func TestAnEngineThatHangs(t *testing.T) {
	released := make(chan struct{})
	cli := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-released }))
	defer close(released)
	mention(t, probe(t.Context(), cli, 50*time.Millisecond), "has not answered in 50ms", "systemctl restart docker")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := probe(ctx, cli, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted, it says %v", err)
	}
}

func TestCheckRoom(t *testing.T) {
	cli := serve(t, &engine{})
	free := func(bytes uint64, err error) func(string) (uint64, error) {
		return func(path string) (uint64, error) {
			if path != "/" {
				t.Errorf("looked at %q, and Docker stores in /", path)
			}
			return bytes, err
		}
	}
	mention(t, checkRoom(t.Context(), cli, free(3<<30-1, nil)), "only 3.0 GiB are free in /", "takes 3", "free some")
	mention(t, checkRoom(t.Context(), cli, free(1<<30, nil)), "only 1.0 GiB")
	if err := checkRoom(t.Context(), cli, free(3<<30, nil)); err != nil {
		t.Errorf("with enough room: %v", err)
	}
	if err := checkRoom(t.Context(), cli, free(0, os.ErrNotExist)); err != nil {
		t.Errorf("with a disk that is not to be seen: %v", err)
	}
}

func TestClean(t *testing.T) {
	e := &engine{labelled: map[string]string{
		"/containers/json": `[{"Id":"c1","Names":["/testbed-host"]}]`,
		"/volumes":         `{"Volumes":[{"Name":"v1"}]}`,
		"/networks":        `[{"Id":"n1","Name":"testbed"}]`,
		"/images/json":     `[{"Id":"old","Created":1,"RepoTags":["firedrill/host-base:a"]},{"Id":"young","Created":2,"RepoTags":["firedrill/host:b"]}]`,
	}}
	serve(t, e)
	var out bytes.Buffer
	if err := Clean(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	want := "removed container testbed-host\nremoved volume v1\nremoved network testbed\nremoved image firedrill/host:b\nremoved image firedrill/host-base:a\n"
	if out.String() != want {
		t.Errorf("it prints\n%swant\n%s", out.String(), want)
	}
	deleted := []string{"DELETE /containers/c1", "DELETE /volumes/v1", "DELETE /networks/n1", "DELETE /images/young", "DELETE /images/old"}
	if !reflect.DeepEqual(e.requests, deleted) {
		t.Errorf("it asked for %q, want %q", e.requests, deleted)
	}
	if len(e.filters) != 7 {
		t.Errorf("two looks at three kinds and one at images, these are filtered: %q", e.filters)
	}
	for _, f := range e.filters {
		if !strings.Contains(f, `"dev.firedrill=1":true`) {
			t.Errorf("the listing %s is not limited to ours", f)
		}
	}
}

// What is created while it removes is removed, too: of volumes without labels those that are the testbed's.
func TestRemoveLooksAgain(t *testing.T) {
	e := &engine{
		labelled: map[string]string{"/containers/json": `[{"Id":"c1","Names":["/soon"]}]`},
		late: map[string]map[string]string{"/containers/c1": {
			"/containers/json": `[{"Id":"c2","Names":["/late"]}]`,
			"/volumes":         `{"Volumes":[{"Name":"ours_data","Labels":null},{"Name":"ours_other","Labels":{"a":"b"}},{"Name":"data","Labels":null}]}`,
		}},
	}
	removed, err := Remove(t.Context(), serve(t, e), time.Minute, func(volume string) bool { return strings.HasPrefix(volume, "ours_") })
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"container soon", "volume ours_data", "container late"}; !reflect.DeepEqual(removed, want) {
		t.Errorf("removed %q, want %q", removed, want)
	}
}

func TestTestbedOf(t *testing.T) {
	for volume, want := range map[string]string{
		"firedrill-web-0a1b2c_data": "web-0a1b2c", "firedrill-a-b-0a1b2c_my-data_x": "a-b-0a1b2c",
		"firedrill-web_data": "", "firedrill-web-0a1b2c-disk": "", "my-firedrill-web-0a1b2c_data": "", "firedrill-0a1b2c_data": "",
	} {
		if got := TestbedOf(volume); got != want {
			t.Errorf("%s is of %q, want %q", volume, got, want)
		}
	}
}

func TestRemoveGoesOnAfterAFailure(t *testing.T) {
	things := &engine{labelled: map[string]string{
		"/containers/json": `[{"Id":"c1","Names":["/stuck"]},{"Id":"c2","Names":["/loose"]}]`,
		"/networks":        `[{"Id":"n1","Name":"gone"}]`,
	}}
	cli := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/c1"):
			http.Error(w, "device busy", http.StatusInternalServerError)
		case r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/n1"):
			http.Error(w, "no such network", http.StatusNotFound)
		default:
			things.ServeHTTP(w, r)
		}
	}))
	removed, err := Remove(t.Context(), cli, 300*time.Millisecond, func(string) bool { return false }, "dev.firedrill.run=7")
	mention(t, err, "removing the container stuck", "device busy", "remove it with `docker rm -f -v stuck`")
	if want := []string{"container loose"}; !reflect.DeepEqual(removed, want) {
		t.Errorf("removed %q, want %q", removed, want)
	}
	for _, f := range things.filters {
		if !strings.Contains(f, `"dev.firedrill=1":true`) || !strings.Contains(f, `"dev.firedrill.run=7":true`) {
			t.Errorf("the listing %s asks for too much", f)
		}
	}
}

func ExampleName_variable() {
	fmt.Println(Receiver.variable())
	// Output: FIREDRILL_IMAGE_RECEIVER
}
