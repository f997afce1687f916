package stemedb

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/testbed"
)

// The names that the host knows the services outside by.
const (
	production = "acme-v02.api.letsencrypt.org"
	staging    = "acme-staging-v02.api.letsencrypt.org"
	mailServer = "mail.example.com"
	pki        = "pki.example.com" // where the client authority publishes its bundle
	// The monitoring as the on-call reaches it.
	prometheusName   = "prometheus.example.com"
	alertmanagerName = "alertmanager.example.com"
)

// The project's images, as fixtures/images.yml names them.
const (
	imageHost         image.Name = "host"
	imagePebble       image.Name = "pebble"
	imageChallTestSrv image.Name = "challtestsrv"
	imageOutside      image.Name = "outside"
	imageS3           image.Name = "s3"
	imageBrowser      image.Name = "browser"
)

// services are those outside of the host that the runbooks have to do with: Let's Encrypt twice (production and staging),
// DNS, mail, and the certificate authorities that work by mail, one for servers and one for clients.
type services struct {
	testbed  *testbed.Testbed
	dns      string         // the address of the name server on the testbed's network
	webCA    *authority     // signs what the HTTPS of the ACME servers and of pki needs
	acme     *acmeClient    // issues certificates for faults
	roots    *x509.CertPool // that a client of the service trusts: Let's Encrypt's production root and the custom CA's
	rootPEMs [][]byte       // the same roots, and web's, as the host's trust store gets them
}

// startServices starts them, until the testbed is closed.
func (e *Environment) startServices(ctx context.Context) error {
	s := &services{testbed: e.Testbed}
	e.services = s
	var err error
	if s.webCA, err = newAuthority("Firedrill Web Root"); err != nil {
		return err
	}
	front, err := s.webCA.serverCertificate(production, staging, pki, "pebble", "pebble-staging")
	if err != nil {
		return err
	}
	tlsFiles := []testbed.File{
		{Path: "/tls/cert.pem", Content: front.Chain, Mode: 0o644},
		{Path: "/tls/key.pem", Content: front.Key, Mode: 0o600},
		{Path: "/tls/roots.pem", Content: s.webCA.pem, Mode: 0o644},
	}
	pebble, err := fixture("pebble/pebble.json")
	if err != nil {
		return err
	}

	// DNS comes first: the others are told its address when they start.
	dns, err := e.Run(ctx, testbed.Service{
		Name: "dns", Image: e.Image(imageChallTestSrv),
		Command: []string{"-dnsserver", ":53", "-management", ":8055", "-http01", "", "-https01", "", "-doh", "", "-tlsalpn01", "", "-defaultIPv4", "", "-defaultIPv6", ""},
	})
	if err != nil {
		return err
	}
	address, err := dns.Address(ctx)
	if err != nil {
		return err
	}
	s.dns = address.String()

	var outside *testbed.Container
	start, starting := errgroup.WithContext(ctx)
	for _, name := range []string{"pebble", "pebble-staging"} {
		start.Go(func() error {
			_, err := e.Run(starting, testbed.Service{
				Name: name, Image: e.Image(imagePebble),
				Command: []string{"-config", "/tls/pebble.json", "-dnsserver", s.dns + ":53"},
				Env:     map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"},
				Files:   append([]testbed.File{{Path: "/tls/pebble.json", Content: pebble, Mode: 0o644}}, tlsFiles...),
			})
			return err
		})
	}
	start.Go(func() (err error) {
		outside, err = e.Run(starting, testbed.Service{
			Name: "outside", Image: e.Image(imageOutside),
			Command: []string{
				"--acme", production + "=https://pebble:14000", "--acme", staging + "=https://pebble-staging:14000",
				"--tls-cert", "/tls/cert.pem", "--tls-key", "/tls/key.pem", "--tls-roots", "/tls/roots.pem",
			},
			Files: tlsFiles,
		})
		return err
	})
	if err := start.Wait(); err != nil {
		return err
	}
	if address, err = outside.Address(ctx); err != nil {
		return err
	}
	receiver, err := e.ReceiverAddress(ctx)
	if err != nil {
		return err
	}
	if err := e.Await(ctx, "the services outside of the host to be ready", s.ready); err != nil {
		return err
	}
	for _, name := range []string{production, staging, mailServer, pki} {
		if err := s.resolve(ctx, name, address.String()); err != nil {
			return err
		}
	}
	for _, name := range []string{prometheusName, alertmanagerName} {
		if err := s.resolve(ctx, name, receiver); err != nil {
			return err
		}
	}
	if err := s.trust(ctx); err != nil {
		return err
	}
	s.acme, err = s.newACMEClient(ctx)
	return err
}

// fixture reads a file below fixtures/.
func fixture(name string) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join("../../fixtures", name))
	if err != nil {
		return nil, fmt.Errorf("read fixture: %w", err)
	}
	return content, nil
}

func (s *services) ready(ctx context.Context) error {
	if _, err := s.get(ctx, portOutside, "/healthz"); err != nil {
		return err
	}
	if _, err := s.post(ctx, portDNS, "/clear-a", map[string]string{"host": "unused.example.com."}); err != nil {
		return err
	}
	for _, name := range []string{production, staging} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+name+"/directory", nil)
		if err != nil {
			return err
		}
		if _, err := testbed.Fetch(s.https(), request); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// trust collects the roots that clients and the host trust.
func (s *services) trust(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://pebble/roots/0", nil)
	if err != nil {
		return err
	}
	letsEncrypt, err := testbed.Fetch(s.httpsAt(portPebble), request)
	if err != nil {
		return fmt.Errorf("fetch Let's Encrypt's root: %w", err)
	}
	custom, err := s.get(ctx, portOutside, "/ca/roots")
	if err != nil {
		return fmt.Errorf("fetch the custom CA's root: %w", err)
	}
	s.roots = x509.NewCertPool()
	for _, root := range [][]byte{letsEncrypt, custom} {
		if !s.roots.AppendCertsFromPEM(root) {
			return fmt.Errorf("a root that was fetched is not a certificate: %.60q", root)
		}
	}
	s.rootPEMs = [][]byte{s.webCA.pem, letsEncrypt, custom}
	return nil
}

// rootFiles are the roots that the host trusts, a file each.
func (s *services) rootFiles(folder string) []testbed.File {
	var files []testbed.File
	for i, root := range s.rootPEMs {
		files = append(files, testbed.File{Path: fmt.Sprintf("%sfiredrill-%d.crt", folder, i), Content: root, Mode: 0o644})
	}
	return files
}

// resolve makes DNS answer with the address for the name.
func (s *services) resolve(ctx context.Context, name, address string) error {
	if _, err := s.post(ctx, portDNS, "/clear-a", map[string]string{"host": name + "."}); err != nil {
		return fmt.Errorf("change DNS for %s: %w", name, err)
	}
	_, err := s.post(ctx, portDNS, "/add-a", map[string]any{"host": name + ".", "addresses": []string{address}})
	if err != nil {
		return fmt.Errorf("change DNS for %s: %w", name, err)
	}
	return nil
}

// publishTXT makes DNS answer with the TXT record for the name, in place of those of challenges that are over: an answer
// with all of them would not fit into a datagram.
func (s *services) publishTXT(ctx context.Context, name, value string) error {
	host := strings.TrimSuffix(name, ".") + "."
	_, cleared := s.post(ctx, portDNS, "/clear-txt", map[string]string{"host": host})
	_, set := s.post(ctx, portDNS, "/set-txt", map[string]string{"host": host, "value": value})
	if err := errors.Join(cleared, set); err != nil {
		return fmt.Errorf("publish TXT record %s: %w", name, err)
	}
	return nil
}

// forget has the client authority sign with its first root again.
func (s *services) forget(ctx context.Context) error {
	_, err := s.do(ctx, http.MethodDelete, portOutside, "/clients-ca/rotations", "", nil)
	return err
}

func (s *services) get(ctx context.Context, port int, path string) ([]byte, error) {
	return s.do(ctx, http.MethodGet, port, path, "", nil)
}

func (s *services) post(ctx context.Context, port int, path string, body any) ([]byte, error) {
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
	return s.do(ctx, http.MethodPost, port, path, kind, content)
}

func (s *services) do(ctx context.Context, method string, port int, path, kind string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+s.testbed.Endpoint(port)+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	return testbed.Fetch(http.DefaultClient, request)
}
