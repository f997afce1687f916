package image

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"
)

// engine is a Docker Engine that holds images and removable things, and does nothing else.
type engine struct {
	mu       sync.Mutex
	images   map[string]string            // IDs by reference
	labelled map[string]string            // what "/containers/json" and its like list, by path
	late     map[string]map[string]string // what they list once a path was deleted
	gone     []string                     // IDs and names that were deleted
	requests []string                     // what was asked that changes something
	filters  []string                     // the filters of all listings
	imported []byte                       // the body of the last import
}

// serve serves handler on a Unix socket and points DOCKER_HOST there.
func serve(t *testing.T, handler http.Handler) *client.Client {
	t.Helper()
	// Unix limits a socket's path to about 100 bytes: the test's name stays out of it.
	socket := filepath.Join(shortDir(t), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	cli, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cli.Close() })
	return cli
}

// pong answers a ping.
func pong(w http.ResponseWriter, api, system string) {
	w.Header().Set("Api-Version", api)
	w.Header().Set("Ostype", system)
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	path := r.URL.Path
	if strings.HasPrefix(path, "/v1.") {
		path = path[strings.Index(path[1:], "/")+1:]
	}
	if f := r.URL.Query().Get("filters"); f != "" {
		e.filters = append(e.filters, path+" "+f)
	}
	switch {
	case path == "/_ping":
		pong(w, "1.41", "linux")
	case path == "/version":
		fmt.Fprint(w, `{"Arch":"amd64"}`)
	case path == "/info":
		fmt.Fprint(w, `{"DockerRootDir":"/"}`)
	case r.Method == http.MethodDelete:
		e.requests = append(e.requests, "DELETE "+path)
		for of, late := range e.late[path] {
			e.labelled[of] = late
		}
		if strings.HasPrefix(path, "/images/") {
			fmt.Fprint(w, `[]`)
		} else {
			e.gone = append(e.gone, path[strings.LastIndex(path, "/")+1:])
		}
	case path == "/images/create" && r.URL.Query().Get("fromSrc") != "":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client broke off
		}
		e.imported = body
		e.requests = append(e.requests, "IMPORT "+r.URL.Query().Get("repo"))
		e.images[r.URL.Query().Get("repo")] = "sha256:imported"
		fmt.Fprint(w, `{"status":"sha256:imported"}`)
	case path == "/images/create":
		e.requests = append(e.requests, "PULL "+r.URL.Query().Get("fromImage")+":"+r.URL.Query().Get("tag"))
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"message":"no registry here"}`)
	case strings.HasPrefix(path, "/images/") && strings.HasSuffix(path, "/json") && path != "/images/json":
		id, ok := e.images[strings.TrimSuffix(strings.TrimPrefix(path, "/images/"), "/json")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"message":"no such image"}`)
			return
		}
		json.NewEncoder(w).Encode(map[string]string{"Id": id})
	case path == "/volumes" && strings.Contains(e.labelled[path], `"Labels":`) && r.URL.Query().Get("filters") != "":
		io.WriteString(w, `{"Volumes":[]}`) // those have no labels
	case e.labelled[path] != "":
		io.WriteString(w, e.left(e.labelled[path]))
	default:
		fmt.Fprint(w, map[bool]string{true: `{"Volumes":[]}`, false: `[]`}[path == "/volumes"])
	}
}

// left is a listing without what was deleted.
func (e *engine) left(listing string) string {
	var items []map[string]any
	var volumes struct{ Volumes []map[string]any }
	into, all := any(&items), &items
	if strings.HasPrefix(listing, "{") {
		into, all = &volumes, &volumes.Volumes
	}
	if err := json.Unmarshal([]byte(listing), into); err != nil {
		return listing
	}
	*all = slices.DeleteFunc(*all, func(item map[string]any) bool {
		id, _ := item["Id"].(string)
		name, _ := item["Name"].(string)
		return slices.Contains(e.gone, id) || slices.Contains(e.gone, name)
	})
	text, _ := json.Marshal(into)
	return string(text)
}
