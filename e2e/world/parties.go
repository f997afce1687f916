package world

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/image"
)

const (
	production = "acme-v02.api.letsencrypt.org"
	staging    = "acme-staging-v02.api.letsencrypt.org"
	mailServer = "mail.example.com"
	pki        = "pki.example.com" // where the client authority publishes its bundle
	// The monitoring as the on-call reaches it, under names that stay when a leap makes it anew.
	prometheusName   = "prometheus.example.com"
	alertmanagerName = "alertmanager.example.com"
)

// The ports of the outside container, which forwards each to where it says below. It is the only container that
// publishes any.
const (
	portACME         = 443
	portControl      = 8080
	portDNS          = 8055
	portAPI          = 18180 // past the load balancer
	portClients      = 8443  // through it
	portPrometheus   = 9090
	portPebble       = 15000
	portAlertmanager = 9093
)

// parties are all those outside of the host whom the runbooks have to do with: Let's Encrypt twice (production and
// staging), DNS, the certificate authorities that work by mail, one for servers and one for clients, the pager.
type parties struct {
	boxes []*box
	ports map[int]string // where the harness reaches them
	dns   string         // the address of the name server on the private network
	web   *authority     // signs what the HTTPS of the ACME servers and of pki needs
	acme  *acmeClient
	roots *x509.CertPool // whom a client of the service trusts: Let's Encrypt's production root and the custom CA's
	pems  [][]byte       // the same roots, and web's, as the host's trust store gets them
}

func (w *World) newParties(ctx context.Context) (*parties, error) {
	p := &parties{}
	var err error
	if p.web, err = newAuthority("Firedrill Web Root"); err != nil {
		return nil, err
	}
	front, err := p.web.serverCertificate(production, staging, pki, "pebble", "pebble-staging")
	if err != nil {
		return nil, err
	}
	tlsFiles := []file{
		{path: "/tls/cert.pem", content: front.Chain, mode: 0o644},
		{path: "/tls/key.pem", content: front.Key, mode: 0o600},
		{path: "/tls/roots.pem", content: p.web.pem, mode: 0o644},
	}
	pebble, err := w.fixture("pebble/pebble.json")
	if err != nil {
		return nil, err
	}

	// DNS comes first: the other parties are told its address when they start.
	dns, err := w.docker.run(ctx, blueprint{
		name: "dns", image: w.images.Ref(image.ChallTestSrv), network: w.inside,
		command: []string{"-dnsserver", ":53", "-management", ":8055", "-http01", "", "-https01", "", "-doh", "", "-tlsalpn01", "", "-defaultIPv4", "", "-defaultIPv6", ""},
	})
	if err != nil {
		return nil, err
	}
	address, err := dns.address(ctx, w.inside)
	if err != nil {
		return nil, err
	}
	p.dns = address.String()

	var outside *box
	var pebbles [2]*box
	start, starting := errgroup.WithContext(ctx)
	for i, name := range []string{"pebble", "pebble-staging"} {
		start.Go(func() (err error) {
			pebbles[i], err = w.docker.run(starting, blueprint{
				name: name, image: w.images.Ref(image.Pebble), network: w.inside,
				command: []string{"-config", "/tls/pebble.json", "-dnsserver", p.dns + ":53"},
				env:     []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0"},
				files:   append([]file{{path: "/tls/pebble.json", content: pebble, mode: 0o644}}, tlsFiles...),
			})
			return err
		})
	}
	start.Go(func() (err error) {
		outside, err = w.docker.run(starting, blueprint{
			name: "outside", image: w.images.Ref(image.Outside), network: w.inside, also: w.gate,
			publish: []int{portACME, portControl, portDNS, portAPI, portClients, portPrometheus, portPebble, portAlertmanager},
			command: []string{
				"--control", fmt.Sprintf(":%d", portControl),
				"--forward", fmt.Sprintf(":%d=dns:8055", portDNS),
				"--forward", fmt.Sprintf(":%d=%s:18180", portAPI, Domain),
				"--forward", fmt.Sprintf(":%d=%s:443", portClients, Domain),
				"--forward", fmt.Sprintf(":%d=prometheus:9090", portPrometheus),
				"--forward", fmt.Sprintf(":%d=pebble:15000", portPebble),
				"--forward", fmt.Sprintf(":%d=alertmanager:9093", portAlertmanager),
				"--acme", production + "=https://pebble:14000",
				"--acme", staging + "=https://pebble-staging:14000",
				"--tls-cert", "/tls/cert.pem", "--tls-key", "/tls/key.pem", "--tls-roots", "/tls/roots.pem",
			},
			files: tlsFiles,
		})
		return err
	})
	if err := start.Wait(); err != nil {
		return nil, err
	}
	p.boxes = []*box{dns, pebbles[0], pebbles[1], outside}
	if p.ports, err = outside.published(ctx); err != nil {
		return nil, err
	}
	if address, err = outside.address(ctx, w.inside); err != nil {
		return nil, err
	}
	if err := w.await(ctx, "the parties outside to be ready", p.ready); err != nil {
		return nil, errors.Join(err, p.complaints(context.WithoutCancel(ctx)))
	}
	for _, name := range []string{production, staging, mailServer, pki, prometheusName, alertmanagerName} {
		if err := p.resolve(ctx, name, address.String()); err != nil {
			return nil, err
		}
	}
	if err := p.trust(ctx); err != nil {
		return nil, err
	}
	p.acme, err = p.newACMEClient(ctx)
	return p, err
}

// complaints are the logs of the parties, for the error of a start that failed.
func (p *parties) complaints(ctx context.Context) error {
	var all []error
	for _, b := range p.boxes {
		log, err := b.log(ctx)
		all = append(all, err, fmt.Errorf("log of %s:\n%s", b.name, log))
	}
	return errors.Join(all...)
}

func (p *parties) ready(ctx context.Context) error {
	if _, err := p.get(ctx, portControl, "/healthz"); err != nil {
		return err
	}
	if _, err := p.post(ctx, portDNS, "/clear-a", map[string]string{"host": "unused.example.com."}); err != nil {
		return err
	}
	for _, name := range []string{production, staging} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+name+"/directory", nil)
		if err != nil {
			return err
		}
		if _, err := fetch(p.https(), request); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// trust collects the roots that clients and the host trust.
func (p *parties) trust(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://pebble/roots/0", nil)
	if err != nil {
		return err
	}
	letsEncrypt, err := fetch(p.httpsAt(portPebble), request)
	if err != nil {
		return fmt.Errorf("fetch Let's Encrypt's root: %w", err)
	}
	custom, err := p.get(ctx, portControl, "/ca/roots")
	if err != nil {
		return fmt.Errorf("fetch the custom CA's root: %w", err)
	}
	p.roots = x509.NewCertPool()
	for _, root := range [][]byte{letsEncrypt, custom} {
		if !p.roots.AppendCertsFromPEM(root) {
			return fmt.Errorf("a root that was fetched is not a certificate: %.60q", root)
		}
	}
	p.pems = [][]byte{p.web.pem, letsEncrypt, custom}
	return nil
}

// rootFiles are the roots that the host trusts, a file each.
func (p *parties) rootFiles(folder string) []file {
	var files []file
	for i, root := range p.pems {
		files = append(files, file{path: fmt.Sprintf("%sfiredrill-%d.crt", folder, i), content: root, mode: 0o644})
	}
	return files
}

// resolve makes DNS answer with the address for the name.
func (p *parties) resolve(ctx context.Context, name, address string) error {
	if _, err := p.post(ctx, portDNS, "/clear-a", map[string]string{"host": name + "."}); err != nil {
		return fmt.Errorf("change DNS for %s: %w", name, err)
	}
	_, err := p.post(ctx, portDNS, "/add-a", map[string]any{"host": name + ".", "addresses": []string{address}})
	if err != nil {
		return fmt.Errorf("change DNS for %s: %w", name, err)
	}
	return nil
}

// publishTXT makes DNS answer with the TXT record for the name, in place of those of challenges that are over: an answer
// with all of them would not fit into a datagram.
func (p *parties) publishTXT(ctx context.Context, name, value string) error {
	host := strings.TrimSuffix(name, ".") + "."
	_, cleared := p.post(ctx, portDNS, "/clear-txt", map[string]string{"host": host})
	_, set := p.post(ctx, portDNS, "/set-txt", map[string]string{"host": host, "value": value})
	if err := errors.Join(cleared, set); err != nil {
		return fmt.Errorf("publish TXT record %s: %w", name, err)
	}
	return nil
}

// forget drops what was before: the notifications, and the rotations of the client authority.
func (p *parties) forget(ctx context.Context) error {
	for _, path := range []string{"/notifications", "/clients-ca/rotations"} {
		if _, err := p.do(ctx, http.MethodDelete, portControl, path, "", nil); err != nil {
			return err
		}
	}
	return nil
}

func (p *parties) get(ctx context.Context, port int, path string) ([]byte, error) {
	return p.do(ctx, http.MethodGet, port, path, "", nil)
}

func (p *parties) post(ctx context.Context, port int, path string, body any) ([]byte, error) {
	var content []byte
	kind := "application/json"
	switch body := body.(type) {
	case []byte:
		content, kind = body, "application/octet-stream"
	default:
		var err error
		if content, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	return p.do(ctx, http.MethodPost, port, path, kind, content)
}

func (p *parties) do(ctx context.Context, method string, port int, path, kind string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+p.ports[port]+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	return fetch(http.DefaultClient, request)
}

func fetch(by *http.Client, request *http.Request) ([]byte, error) {
	response, err := by.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", request.Method, request.URL.Path, err)
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", request.Method, request.URL.Path, response.Status, strings.TrimSpace(string(content)))
	}
	return content, nil
}

// dial reaches one of the parties from the harness, whatever name the caller has for it.
func (p *parties) dial(port int) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, p.ports[port])
	}
}
