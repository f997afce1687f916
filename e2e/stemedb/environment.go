// Package stemedb is StemeDB's environment: its production host with systemd and stemedb-api in a testbed, the services
// outside of it that its runbooks have to do with (Let's Encrypt, certificate authorities that work by mail, DNS, an S3
// bucket), the clients that ask it, and the faults that its suites inject.
package stemedb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
	"github.com/stemedb/firedrill/tools/testbed"
)

// Domain is the name that the host serves, and that its certificates are for.
const Domain = "stemedb.example.com"

// The ports by which this process reaches what is in the testbed.
const (
	portACME    = 443
	portOutside = 8081 // the control API of the services outside
	portDNS     = 8055
	portAPI     = 18180 // past the load balancer
	portClients = 8443  // through it
	portPebble  = 15000
)

// Environment is StemeDB's environment. Its zero value with a suite's name is ready; its testbed comes with Start.
type Environment struct {
	*testbed.Testbed
	suite string

	services    *services
	baseline    map[string][]byte // tar archives of the first host's baselineFolders, put on all that follow
	bucket      *Bucket           // where a spec asked for one
	load        *Load             // the one that was started last
	recoveryKit string            // what a new host needs, as it is kept in a safe: a tar archive in base64
	client      *tls.Certificate  // what this process presents to a host that asks for a client's certificate
	begun       bool              // the testbed has just begun, and no spec has used it yet
	proven      bool              // the spec has added its proof
	about       string            // the alert that the spec is about
	secretsFile *os.File          // where secrets are noted, if a report is to be written
}

// project says where the project is, and the rules and runbooks that are to be proven. Suites run in their folders.
func project() (root, rules, runbooks string) {
	root, err := filepath.Abs("../..")
	if err != nil {
		panic(err) // this process has no working directory
	}
	return root, fromEnvironment("FIREDRILL_RULES", filepath.Join(root, "rules")), fromEnvironment("FIREDRILL_RUNBOOKS", filepath.Join(root, "runbooks"))
}

// alertsOf are the alerts of a rule file that is to be proven, with the set that they are of.
func alertsOf(file string) (rule.Set, []rule.Alert, error) {
	_, rules, _ := project()
	set, err := rule.Read(rules)
	var found []rule.Alert
	for _, alert := range set.Alerts {
		if filepath.Base(alert.File) == file {
			found = append(found, alert)
		}
	}
	return set, found, err
}

func fromEnvironment(variable, otherwise string) string {
	if value := os.Getenv(variable); value != "" {
		return value
	}
	return otherwise
}

// Start starts a testbed of that name with the services outside of the host, and begins it. After an error nothing is left
// but evidence in the folder given.
func (e *Environment) Start(ctx context.Context, name string, progress io.Writer, run int, evidence string) error {
	root, folder, runbooks := project()
	rules, err := rule.Read(folder)
	if err != nil {
		return err
	}
	images, err := image.Resolve(ctx)
	if err != nil {
		return err
	}
	fixtures := filepath.Join(root, "fixtures")
	t, err := testbed.Start(ctx, testbed.Config{
		Name: name, Root: root, Keep: os.Getenv("FIREDRILL_KEEP") != "", Rules: rules, Runbooks: runbooks, Images: images, Progress: progress, Run: run,
		Prometheus:   filepath.Join(fixtures, "prometheus", "prometheus.yml"),
		Alertmanager: fromEnvironment("FIREDRILL_ALERTMANAGER", filepath.Join(fixtures, "alertmanager", "alertmanager.yml")),
		Compose:      []string{filepath.Join(fixtures, "compose.yml")}, Operator: "host", Volumes: map[string]string{"targets": "/etc/prometheus/targets"},
		Forward: map[int]string{
			portACME: "outside:443", portOutside: "outside:8080", portDNS: "dns:8055", portPebble: "pebble:15000",
			portAPI: Domain + ":18180", portClients: Domain + ":443",
		},
		Describe: e.describe, Respond: e.respond, Prompts: []runbook.Prompt{e.dnsRecordPrompt()}, Secrets: secrets,
		Evidence: map[string]string{
			"journal.txt": "journalctl --no-pager --output=short-precise", "certbot.txt": "cat /var/log/letsencrypt/letsencrypt.log",
		},
	})
	if err != nil {
		return err
	}
	e.Testbed = t
	// The host boots while the services outside get ready: it needs them only afterwards.
	if err = e.startServices(ctx); err == nil {
		err = e.Begin(ctx)
	}
	if err != nil {
		after := context.WithoutCancel(ctx)
		err = errors.Join(err, t.Evidence(after, evidence), t.Close(after))
		e.Testbed = nil
	}
	return err
}

// Begin brings a host, a Prometheus and an Alertmanager that have seen nothing yet. When it returns, all is well: the host
// has a certificate of Let's Encrypt with 90 days left, certbot knows its lineage, and nothing but Watchdog fires.
func (e *Environment) Begin(ctx context.Context) error {
	e.client, e.load, e.bucket = nil, nil, nil
	if err := e.services.forget(ctx); err != nil {
		return err
	}
	return e.Testbed.Begin(ctx, e.boot)
}

// secrets prints those that the host holds.
const secrets = `for file in /etc/stemedb/tls/*key*.pem /etc/letsencrypt/accounts/*/*/*/private_key.json /etc/letsencrypt/archive/*/privkey*.pem /root/*key*.pem /tmp/*key*.pem; do
	[ ! -s "$file" ] || { cat "$file"; echo; echo '` + testbed.Separator + `'; }
done
sed -n '/^AGE-SECRET-KEY/p' /etc/stemedb/backup/age.key 2>/dev/null || true`

func (e *Environment) describe(ctx context.Context) string {
	served, err := e.Host().Certificate(ctx)
	if err != nil {
		return "serving nothing: " + err.Error()
	}
	return served.String()
}

// LoseHost takes the host away with its disks, at once, as a fire does.
func (e *Environment) LoseHost(ctx context.Context) error {
	defer e.Touch()
	e.Say("losing the host")
	return e.Operator().Remove(ctx)
}

// ReplaceHost brings a host in place of the one that was lost: the packages and the configuration that every host has, a
// name and an address, and nothing else.
func (e *Environment) ReplaceHost(ctx context.Context) error {
	e.Say("bringing a new host")
	if err := e.Up(ctx); err != nil {
		return fmt.Errorf("bring a new host: %w", err)
	}
	return e.Host().connect(ctx)
}
