package world

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/stemedb/firedrill/tools/image"
)

const (
	nobody  = 65534 // the user that Prometheus and Alertmanager run as
	dataDir = "/prometheus"
	// mountedRules is where Prometheus has the rule files.
	mountedRules = "/etc/prometheus/rules/"
)

// watchers are Prometheus and Alertmanager, unmodified, with the rules as they are deployed.
type watchers struct {
	world        *World
	prometheus   *box
	alertmanager *box
	api          prometheus.API
}

func (m *watchers) startAlertmanager(ctx context.Context) error {
	config, err := m.world.fixture("alertmanager/alertmanager.yml")
	if err != nil {
		return err
	}
	m.alertmanager, err = m.world.docker.run(ctx, blueprint{
		name: "alertmanager", image: m.world.images.Ref(image.Alertmanager), network: m.world.inside,
		command: []string{
			"--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager", "--cluster.listen-address=",
		},
		files: []file{{path: "/etc/alertmanager/alertmanager.yml", content: config, mode: 0o644}},
	})
	if err != nil {
		return err
	}
	return m.world.await(ctx, "Alertmanager to be ready", func(ctx context.Context) error {
		_, err := m.world.parties.get(ctx, portAlertmanager, "/-/ready")
		return err
	})
}

// startPrometheus starts Prometheus, on the data given or on none.
func (m *watchers) startPrometheus(ctx context.Context, data io.Reader) error {
	files, err := m.world.prometheusFiles()
	if err != nil {
		return err
	}
	b := blueprint{
		name: "prometheus", image: m.world.images.Ref(image.Prometheus), network: m.world.inside,
		command: []string{
			"--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=" + dataDir,
			// A leap ends with alerts whose time is up: Prometheus shall not wait 10 minutes more before it says so.
			"--rules.alert.for-grace-period=0s",
			// An alert that clears while Prometheus is down, as in a leap, is resolved once it was not resent for four times
			// this: not after 4 minutes.
			"--rules.alert.resend-delay=10s",
			// Changes nothing but how soon after its start the first scrape comes.
			"--scrape.discovery-reload-interval=100ms",
		},
		files: files,
		host:  container.HostConfig{Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: m.world.targets, Target: targetsFolder, ReadOnly: true}}},
	}
	if data != nil {
		b.data, b.dataFolder = data, dataDir
	}
	m.world.touch() // what another Prometheus said counts no more
	if m.prometheus, err = m.world.docker.run(ctx, b); err != nil {
		return err
	}
	client, err := api.NewClient(api.Config{Address: "http://" + m.world.parties.ports[portPrometheus]})
	if err != nil {
		return fmt.Errorf("reach Prometheus: %w", err)
	}
	m.api = prometheus.NewAPI(client)
	return nil
}

// work returns when Prometheus has scraped every target, and evaluated every rule on that, since the world
// was changed last.
func (m *watchers) work(ctx context.Context) error {
	if err := m.world.await(ctx, "Prometheus to scrape and to evaluate", m.working); err != nil {
		log, _ := m.prometheus.log(context.WithoutCancel(ctx))
		return errors.Join(err, fmt.Errorf("log of prometheus:\n%s", log))
	}
	return nil
}

// prometheusFiles are its configuration, and the rule files as they are.
func (w *World) prometheusFiles() ([]file, error) {
	config, err := w.fixture("prometheus/prometheus.yml")
	if err != nil {
		return nil, err
	}
	files := []file{{path: "/etc/prometheus/prometheus.yml", content: config, mode: 0o644}}
	for _, name := range w.ruleFiles() {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read rules: %w", err)
		}
		files = append(files, file{path: mountedRules + filepath.Base(name), content: content, mode: 0o644})
	}
	return files, nil
}

// ruleFiles are those that hold an alert, each once.
func (w *World) ruleFiles() []string {
	var names []string
	seen := map[string]bool{}
	for _, alert := range w.alerts {
		if !seen[alert.File] {
			seen[alert.File] = true
			names = append(names, alert.File)
		}
	}
	return names
}

// working says what is missing until Prometheus has targets, and all that it says is about the world as it is.
func (m *watchers) working(ctx context.Context) error {
	seen, err := m.look(ctx)
	if err != nil {
		return err
	}
	if len(seen.targets) == 0 {
		return errors.New("no target yet")
	}
	return m.since(ctx, seen, m.world.sinceWhen())
}

// sight is what Prometheus says of itself at one moment.
type sight struct {
	rules   []prometheus.AlertingRule
	targets []prometheus.ActiveTarget
}

func (m *watchers) look(ctx context.Context) (sight, error) {
	groups, err := m.api.Rules(ctx, nil)
	if err != nil {
		return sight{}, fmt.Errorf("ask Prometheus for its rules: %w", err)
	}
	var s sight
	for _, group := range groups.Groups {
		for _, r := range group.Rules {
			if alerting, ok := r.(prometheus.AlertingRule); ok {
				s.rules = append(s.rules, alerting)
			}
		}
	}
	targets, err := m.api.Targets(ctx)
	if err != nil {
		return sight{}, fmt.Errorf("ask Prometheus for its targets: %w", err)
	}
	s.targets = targets.Active
	return s, nil
}

// settle is how long before an evaluation a scrape must have begun to be surely stored when it came.
const settle = 100 * time.Millisecond

// since says what is missing until every rule has been evaluated on scrapes of every target that began after the moment.
func (m *watchers) since(ctx context.Context, s sight, moment time.Time) error {
	var evaluated time.Time
	for _, r := range s.rules {
		if evaluated.IsZero() || r.LastEvaluation.Before(evaluated) {
			evaluated = r.LastEvaluation
		}
	}
	if !evaluated.After(moment.Add(settle)) {
		return errors.New("rules not evaluated since the last change")
	}
	found, _, _, err := m.api.Query(ctx, "timestamp(up)", evaluated.Add(-settle))
	if err != nil {
		return fmt.Errorf("ask Prometheus for its scrapes: %w", err)
	}
	scraped := map[model.LabelValue]time.Time{}
	vector, _ := found.(model.Vector)
	for _, sample := range vector {
		scraped[sample.Metric["job"]+"/"+sample.Metric["instance"]] = time.UnixMilli(int64(float64(sample.Value) * 1000))
	}
	for _, t := range s.targets {
		if !scraped[t.Labels["job"]+"/"+t.Labels["instance"]].After(moment) {
			return fmt.Errorf("target %s not scraped since the last change", t.Labels["instance"])
		}
	}
	return nil
}

// types are the types of the metrics, as the targets' last scrapes said.
func (m *watchers) types(ctx context.Context) (map[string]model.MetricType, error) {
	said, err := m.api.Metadata(ctx, "", "")
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus for its metrics' types: %w", err)
	}
	types := map[string]model.MetricType{}
	for name, metadata := range said {
		if len(metadata) > 0 {
			types[name] = model.MetricType(metadata[0].Type)
		}
	}
	return types, nil
}

// untar writes the files of an archive of dataDir into a folder of the harness.
func untar(archive io.Reader, into string) error {
	r := tar.NewReader(archive)
	for {
		header, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read Prometheus's data: %w", err)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(header.Name, path.Base(dataDir)), "/")
		if name == "" || header.Typeflag != tar.TypeReg || !filepath.IsLocal(name) {
			continue
		}
		target := filepath.Join(into, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return fmt.Errorf("read Prometheus's data: %w", err)
		}
		if err := os.WriteFile(target, content, 0o600); err != nil {
			return err
		}
	}
}

// tarFolder is an archive of a folder of the harness, as Prometheus's user owns it.
func tarFolder(folder string) (io.Reader, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := filepath.WalkDir(folder, func(name string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(folder, name)
		if err != nil || relative == "." {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		header, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		header.Name, header.Uid, header.Gid, header.Uname, header.Gname = filepath.ToSlash(relative), nobody, nobody, "", ""
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pack Prometheus's data: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack Prometheus's data: %w", err)
	}
	return &archive, nil
}
