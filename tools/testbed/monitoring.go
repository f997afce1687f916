package testbed

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
	"sync"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/stemedb/firedrill/tools/image"
)

const (
	nobody    = 65534 // the user that Prometheus and Alertmanager run as
	dataDir   = "/prometheus"
	rulesDir  = "/etc/prometheus/rules/"
	promFile  = "/etc/prometheus/prometheus.yml"
	alertFile = "/etc/alertmanager/alertmanager.yml"
)

// configuration is what Prometheus or Alertmanager runs: the user's file with what time and place demand changed.
type configuration struct{ prometheus, alertmanager []byte }

// oneReceiver is Alertmanager's configuration where there is none: one receiver gets every notification.
const oneReceiver = "route: {receiver: firedrill}\nreceivers: [{name: firedrill, webhook_configs: [{url: http://receiver}]}]\n"

// said are the changes that a testbed of this process has printed: they are the same for all.
var said sync.Map

// sayOnce says a change, once in this process.
func (t *Testbed) sayOnce(line string) {
	if t.config.Progress == nil {
		return
	}
	if _, again := said.LoadOrStore(line, true); !again {
		t.Say("%s", line)
	}
}

// Check says what is wrong with the configurations of Prometheus and Alertmanager, without starting anything.
func (c Config) Check() error {
	c.Progress = nil
	return (&Testbed{config: c}).configure()
}

// configure reads both configurations and says what is changed in them.
func (t *Testbed) configure() error {
	var paths []string
	for _, f := range t.config.Rules.Files {
		paths = append(paths, rulesDir+f.Name)
	}
	for _, f := range t.config.Rules.Foreign {
		t.sayOnce(fmt.Sprintf("%s:%d: %s is left out, with the other fields that are not Prometheus's: it is for %s", t.relative(f.File), f.Line, f.Field, f.Program))
	}
	adapt := func(file, otherwise string, to *[]byte, with func(content []byte) ([]byte, []string, error)) error {
		content := []byte(otherwise)
		if file != "" {
			var err error
			if content, err = os.ReadFile(file); err != nil {
				return fmt.Errorf("read a configuration: %w", err)
			}
		}
		adapted, changes, err := with(content)
		for _, change := range changes {
			if file != "" {
				t.sayOnce(fmt.Sprintf("%s: %s", t.relative(file), change))
			}
		}
		*to = adapted
		return err
	}
	return errors.Join(
		adapt(t.config.Prometheus, "", &t.configuration.prometheus, func(content []byte) ([]byte, []string, error) {
			return prometheusConfig(t.config.Prometheus, content, paths, nameAlertmanager+":9093", t.config.Interval)
		}),
		adapt(t.config.Alertmanager, oneReceiver, &t.configuration.alertmanager, func(content []byte) ([]byte, []string, error) {
			return alertmanagerConfig(t.config.Alertmanager, content, fmt.Sprintf("http://%s:%d", nameReceiver, portReceiver))
		}))
}

func (t *Testbed) startAlertmanager(ctx context.Context) (err error) {
	err = interruptible(ctx, func(ctx context.Context) (err error) {
		t.alertmanager, err = t.Run(ctx, Service{
			Name: nameAlertmanager, Image: t.config.Images.Ref(image.Alertmanager),
			Command: []string{"--config.file=" + alertFile, "--storage.path=/alertmanager", "--cluster.listen-address="},
			Files:   []File{{Path: alertFile, Content: t.configuration.alertmanager, Mode: 0o644}},
		})
		return err
	})
	if err != nil {
		return err
	}
	return t.Await(ctx, "Alertmanager to be ready", func(ctx context.Context) error {
		_, err := t.get(ctx, portAlertmanager, "/-/ready")
		return err
	})
}

// startPrometheus starts Prometheus, on the data given or on none.
func (t *Testbed) startPrometheus(ctx context.Context, data io.Reader) error {
	files := []File{{Path: promFile, Content: t.configuration.prometheus, Mode: 0o644}}
	for _, f := range t.config.Rules.Files {
		files = append(files, File{Path: rulesDir + f.Name, Content: f.Content, Mode: 0o644})
	}
	volumes := map[string]string{}
	for name, folder := range t.config.Volumes {
		volumes[folder] = t.prefix() + "_" + name // as compose names them
	}
	command := []string{
		"--config.file=" + promFile, "--storage.tsdb.path=" + dataDir,
		// A leap ends with alerts that are due: without it, Prometheus waits 10 minutes more.
		"--rules.alert.for-grace-period=0s",
		// An alert that clears while Prometheus is down, as in a leap, is resolved once it was not resent for four times
		// this: not after 4 minutes.
		"--rules.alert.resend-delay=10s",
		// Changes nothing but how soon after its start the first scrape comes.
		"--scrape.discovery-reload-interval=100ms",
	}
	// Whether the Prometheus that is deployed has them is for firedrill check to ask.
	if features := t.config.Rules.Features(); len(features) > 0 {
		command = append(command, "--enable-feature="+strings.Join(features, ","))
	}
	t.Touch() // what another Prometheus said counts no more
	service := Service{
		Name: namePrometheus, Image: t.config.Images.Ref(image.Prometheus), Volumes: volumes,
		Command: command, Files: files, Data: data, DataFolder: dataDir,
	}
	err := interruptible(ctx, func(ctx context.Context) (err error) {
		t.prometheus, err = t.Run(ctx, service)
		return err
	})
	if err != nil {
		return err
	}
	client, err := api.NewClient(api.Config{Address: "http://" + t.endpoints[portPrometheus]})
	if err != nil {
		return fmt.Errorf("connect to Prometheus: %w", err)
	}
	t.api = prometheus.NewAPI(client)
	return nil
}

// scraped returns when Prometheus has scraped every target, and evaluated every rule on that, since the last change.
func (t *Testbed) scraped(ctx context.Context) error {
	err := t.Await(ctx, "Prometheus to scrape every target and to evaluate every rule", func(ctx context.Context) error {
		seen, err := t.status(ctx)
		switch {
		case err != nil:
			return err
		case len(seen.targets) == 0:
			return errors.New("Prometheus has no target")
		}
		return t.stale(ctx, seen, t.lastChange())
	})
	if err != nil {
		log, _ := t.prometheus.Log(context.WithoutCancel(ctx))
		return errors.Join(err, fmt.Errorf("log of prometheus:\n%s", log))
	}
	return nil
}

// status is what Prometheus says of itself at one moment.
type status struct {
	rules   []prometheus.AlertingRule
	targets []prometheus.ActiveTarget
}

func (t *Testbed) status(ctx context.Context) (status, error) {
	if t.api == nil {
		return status{}, errors.New("Prometheus does not run")
	}
	groups, err := t.api.Rules(ctx, nil)
	if err != nil {
		return status{}, fmt.Errorf("ask Prometheus for its rules: %w", err)
	}
	var s status
	for _, group := range groups.Groups {
		for _, r := range group.Rules {
			if alerting, ok := r.(prometheus.AlertingRule); ok {
				s.rules = append(s.rules, alerting)
			}
		}
	}
	targets, err := t.api.Targets(ctx)
	if err != nil {
		return status{}, fmt.Errorf("ask Prometheus for its targets: %w", err)
	}
	s.targets = targets.Active
	return s, nil
}

// settle is how long before an evaluation a scrape must have begun to be surely stored when it came.
const settle = 100 * time.Millisecond

// stale says what is missing until every rule has been evaluated on scrapes of every target that began after the moment.
func (t *Testbed) stale(ctx context.Context, s status, moment time.Time) error {
	var evaluated time.Time
	for _, r := range s.rules {
		if evaluated.IsZero() || r.LastEvaluation.Before(evaluated) {
			evaluated = r.LastEvaluation
		}
	}
	if !evaluated.After(moment.Add(settle)) {
		return errors.New("rules not evaluated since the last change")
	}
	found, _, _, err := t.api.Query(ctx, "timestamp(up)", evaluated.Add(-settle))
	if err != nil {
		return fmt.Errorf("ask Prometheus for its scrapes: %w", err)
	}
	scraped := map[model.LabelValue]time.Time{}
	vector, _ := found.(model.Vector)
	for _, sample := range vector {
		scraped[sample.Metric["job"]+"/"+sample.Metric["instance"]] = time.UnixMilli(int64(float64(sample.Value) * 1000))
	}
	for _, target := range s.targets {
		if !scraped[target.Labels["job"]+"/"+target.Labels["instance"]].After(moment) {
			return fmt.Errorf("target %s not scraped since the last change", target.Labels["instance"])
		}
	}
	return nil
}

// types are the types of the metrics, as the targets' last scrapes said.
func (t *Testbed) types(ctx context.Context) (map[string]model.MetricType, error) {
	said, err := t.api.Metadata(ctx, "", "")
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

// untar writes the files of an archive of dataDir into a folder of this machine.
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

// tarFolder is an archive of a folder of this machine, as Prometheus's user owns it.
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
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("pack Prometheus's data: %w", err)
	}
	return &archive, nil
}
