package service

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// load reads a compose file in a new folder, which becomes the working directory.
func load(t *testing.T, content string) (services, warnings []string, err error) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{"compose.yml": content, "app/Dockerfile": "FROM scratch\n"} {
		os.MkdirAll(filepath.Dir(name), 0o700)
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	project, warnings, err := Load(t.Context(), ".", "x", []string{"compose.yml"}, []string{"FIREDRILL_IMAGE_HOST=host:1"})
	if project != nil {
		services = slices.Sorted(maps.Keys(project.Services))
	}
	return services, warnings, err
}

// Each message says where the fault is, and what is right.
func TestLoadRefuses(t *testing.T) {
	for content, want := range map[string]string{
		"services:\n  web: {image: x, depends_on: [redsi]}\n  redis: {image: x}\n":        `compose.yml:2:32: service "web" depends on undefined service "redsi": the nearest is "redis", of "redis", "web"`,
		"services:\n  web:\n    image: x\n    networks: [out]\n":                          `compose.yml:4:16: service "web" refers to undefined network out: there is none`,
		"services:\n  web: {image: x, volumes: [data:/x]}\nvolumes: {date: {}}\n":         `compose.yml:2:29: service "web" refers to undefined volume data: the only one is "date"`,
		"services:\n  web: {image: x, secrets: [s]}\n":                                    `compose.yml:2:29: service "web" refers to undefined secret s: there is none`,
		"services:\n  web: {image: x, env_file: web.env}\n":                               `compose.yml:2:29: env file web.env not found: write it, or remove it from env_file`,
		"services:\n  web: {image: \"${NAME:?which}\"}\n":                                 `compose.yml:2:16: interpolating services.web.image: required variable NAME is missing a value: which: set NAME in the environment, or in .env beside the compose file`,
		"services:\n  web: {image: \"$NAME\"}\n":                                          `compose.yml:2:9: service "web" has neither an image nor a build context specified: write image or build, and set the variables in them: one that is not set is empty`,
		"include: [other.yml]\n":                                                          `compose.yml:1:11: open other.yml: no such file or directory: fix it until docker compose config accepts it`,
		"services:\n  web: {image: x, usr: y}\n":                                          `compose.yml:2:19: services.web additional properties 'usr' not allowed: fix it until docker compose config accepts it`,
		"services:\n  web: {image: x\n":                                                   `compose.yml:3:1: not valid YAML from here on: did not find expected ',' or '}': fix it until docker compose config accepts it`,
		"services:\n  web: {image: 3}\n":                                                  `compose.yml:2:16: services.web.image must be a string: fix it until docker compose config accepts it`,
		"services:\n  web: {image: x, mem_limit: 3q}\n":                                   `compose.yml:2:30: 'services[web].mem_limit' invalid suffix: 'q': fix it until docker compose config accepts it`,
		"services:\n  web: {build: ap}\n":                                                 `compose.yml:2:16: service web: it is built of the folder ap, which does not exist: name one that has a Dockerfile`,
		"services:\n  web: {build: {context: app, dockerfile: Dokerfile}}\n":              `compose.yml:2:43: service web: it is built by app/Dokerfile, which does not exist: write it, or name another in dockerfile`,
		"services:\n  web: {image: x, network_mode: host}\n":                              `compose.yml:2:33: service web: network_mode: host: every service of a testbed is on its one network: remove the key`,
		"services:\n  web: {image: x, network_mode: \"service:b\"}\n  b: {image: x}\n":    `compose.yml:2:33: service web: network_mode: service:b: every service of a testbed is on its one network: remove the key`,
		"services:\n  web: {image: x, pid: host, ipc: host}\n":                            "compose.yml:2:24: service web: pid: host: it would reach what is not the testbed's: remove the key\ncompose.yml:2:35: service web: ipc: host: it would reach what is not the testbed's: remove the key",
		"services:\n  web:\n    image: x\n    volumes: [/var/run/docker.sock:/sock:ro]\n": `compose.yml:4:14: service web: it mounts the socket /var/run/docker.sock, and would reach every container of the Docker Engine: remove the mount`,
		"services:\n  web: {image: x, volumes_from: [\"container:db\"]}\n":                `compose.yml:2:33: service web: volumes_from: container:db: that container is not the testbed's: name a service`,
		"services:\n  web: {image: x, external_links: [db]}\n":                            `compose.yml:2:35: service web: external_links: db: a testbed reaches nothing outside of it: describe it as a service`,
		"services:\n  web: {image: x}\nsecrets:\n  key: {external: true}\n":               `compose.yml:4:8: secrets.key is external, and a testbed uses nothing that it did not make: give it a file or content`,
		"services:\n  web: {image: x}\nconfigs:\n  key: {file: ./key.pem}\n":              `compose.yml:4:8: the file key.pem of configs.key does not exist: write it`,
	} {
		if _, _, err := load(t, content); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", content, err, want)
		}
	}
}

func TestLoadLeavesOut(t *testing.T) {
	services, warnings, err := load(t, `services:
  web: {image: "${FIREDRILL_IMAGE_HOST:?}", depends_on: [prometheus, alertmanager, old, db]}
  db: {build: app, privileged: true, devices: [/dev/fuse], volumes: ["./app:/app", "/srv:/srv", "/etc/localtime:/etc/localtime:ro", "data:/data"]}
  prometheus: {image: x, network_mode: host, pid: host}
  alertmanager: {image: x}
  old: {image: x, scale: 0}
  debug: {image: x, profiles: [debug]}
volumes:
  data: {driver_opts: {type: none, o: bind, device: /data}}
  disk: {driver_opts: {type: tmpfs, device: tmpfs}}
`)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"db", "web"}; !slices.Equal(services, want) {
		t.Errorf("services %q, want %q", services, want)
	}
	want := []string{
		"compose.yml: the service alertmanager is left out: the testbed brings Alertmanager itself, under this name",
		"compose.yml: the service old is left out: its scale is 0",
		"compose.yml: the service prometheus is left out: the testbed brings Prometheus itself, under this name",
		"compose.yml: service db may write to /srv, which is this machine's: what the drills write there stays (read_only ends that)",
		"compose.yml: service db is privileged: the drills can change this machine",
		"compose.yml: service db reaches /dev/fuse of this machine",
		"compose.yml: volume data is /data: what the drills write there stays",
	}
	if !slices.Equal(warnings, want) {
		t.Errorf("warnings\n%s\nwant\n%s", strings.Join(warnings, "\n"), strings.Join(want, "\n"))
	}
}
