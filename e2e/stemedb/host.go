package stemedb

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stemedb/firedrill/tools/testbed"
)

// Host is the Debian host that the runbooks are followed on.
type Host struct {
	*testbed.Container
	env *Environment
}

// Host is the host of the environment.
func (e *Environment) Host() *Host { return &Host{e.Operator(), e} }

const dataVolume = "/var/lib/stemedb"

// baselineFolders are what hosts that follow take over from the first, once Let's Encrypt has issued its certificate.
var baselineFolders = []string{"/etc/letsencrypt", "/etc/stemedb/tls"}

// trustRoots is what update-ca-certificates does for our roots, without seconds of hashing a hundred others again.
const trustRoots = `
for root in /usr/local/share/ca-certificates/*.crt; do
	cat "$root" >> /etc/ssl/certs/ca-certificates.crt
	ln -sf "$root" "/etc/ssl/certs/$(openssl x509 -noout -subject_hash -in "$root").0"
done
`

// connect returns once the host has booted, DNS has its name, and it uses that DNS and trusts the roots.
func (h *Host) connect(ctx context.Context) error {
	address, err := h.Address(ctx)
	if err != nil {
		return err
	}
	if err := h.env.services.resolve(ctx, Domain, address.String()); err != nil {
		return err
	}
	if err := h.env.Await(ctx, "systemd to have booted the host", h.booted); err != nil {
		return err
	}
	if err := h.CopyIn(ctx, h.env.services.rootFiles("/usr/local/share/ca-certificates/")...); err != nil {
		return err
	}
	// Docker's own name server would answer for the containers only.
	return h.Run(ctx, fmt.Sprintf("set -e\necho nameserver %s > /etc/resolv.conf%s", h.env.services.dns, trustRoots))
}

// boot returns once the host is up, with a certificate of Let's Encrypt that has 90 days left, and its service is ready.
func (e *Environment) boot(ctx context.Context) error {
	h := e.Host()
	err := h.connect(ctx)
	if err != nil {
		return err
	}
	if h.env.baseline != nil {
		err = h.restore(ctx)
	} else {
		err = h.firstCertificate(ctx)
	}
	if err != nil {
		return err
	}
	if err := h.Run(ctx, "systemctl start stemedb-api"); err != nil {
		return err
	}
	return h.env.Await(ctx, "stemedb-api to be ready", func(ctx context.Context) error {
		_, err := h.Get(ctx, "/readyz")
		return err
	})
}

func (h *Host) booted(ctx context.Context) error {
	// The wait is on the host: to ask again and again from here costs more than the boot itself.
	state, err := h.Output(ctx, `
for try in 1 2 3 4 5 6 7 8 9 10; do
	state=$(timeout 10 systemctl is-system-running --wait 2>/dev/null)
	case $state in running | degraded) break ;; esac
	sleep 0.2
done
echo "$state"
[ "$state" = running ] || systemctl --failed --plain --no-legend`)
	switch state = strings.TrimSpace(state); {
	case err != nil:
		return fmt.Errorf("ask systemd how it is: %w", err)
	case state != "running":
		return fmt.Errorf("systemd says %q", state)
	}
	return nil
}

// firstCertificate has certbot get the first certificate, as the operator did when the service was set up, and keeps
// what that left on the host.
func (h *Host) firstCertificate(ctx context.Context) error {
	err := h.Run(ctx, `set -e
certbot certonly --non-interactive --agree-tos --email ops@example.com \
	--webroot --webroot-path /var/www/letsencrypt --domain `+Domain+`
`+installLineage)
	if err != nil {
		return fmt.Errorf("get the host's first certificate: %w", err)
	}
	kept := map[string][]byte{}
	for _, folder := range baselineFolders {
		stream, err := h.CopyOut(ctx, folder)
		if err != nil {
			return err
		}
		kept[folder], err = io.ReadAll(stream)
		stream.Close()
		if err != nil {
			return fmt.Errorf("read %s of the host: %w", folder, err)
		}
	}
	h.env.baseline = kept
	return nil
}

func (h *Host) restore(ctx context.Context) error {
	for folder, archive := range h.env.baseline {
		if err := h.Unpack(ctx, folder[:strings.LastIndex(folder, "/")+1], bytes.NewReader(archive)); err != nil {
			return err
		}
	}
	return nil
}

// installLineage puts the certificate that certbot holds where the service reads it.
const installLineage = `
install -o stemedb -g stemedb -m 644 /etc/letsencrypt/live/` + Domain + `/fullchain.pem /etc/stemedb/tls/cert.pem
install -o stemedb -g stemedb -m 600 /etc/letsencrypt/live/` + Domain + `/privkey.pem /etc/stemedb/tls/key.pem
`

// Place puts a certificate on the host as if it had been issued for it long ago, without a reload. One of Let's
// Encrypt takes the place of the newest in certbot's lineage; with one of the custom CA, certbot manages nothing.
func (h *Host) Place(ctx context.Context, c Certificate) error {
	defer h.env.Touch()
	var err error
	switch c.Issuer {
	case LetsEncrypt:
		leaf, chain := splitChain(c.Chain)
		live := "/etc/letsencrypt/live/" + Domain + "/"
		err = errors.Join(
			h.Put(ctx, live+"cert.pem", leaf), h.Put(ctx, live+"chain.pem", chain),
			h.Put(ctx, live+"fullchain.pem", c.Chain), h.Put(ctx, live+"privkey.pem", c.Key),
			h.Run(ctx, "set -e"+installLineage))
	default:
		err = errors.Join(
			h.Run(ctx, "rm -rf /etc/letsencrypt/live/"+Domain+" /etc/letsencrypt/archive/"+Domain+" /etc/letsencrypt/renewal/"+Domain+".conf"),
			h.Put(ctx, "/etc/stemedb/tls/cert.pem", c.Chain), h.Put(ctx, "/etc/stemedb/tls/key.pem", c.Key))
	}
	if err != nil {
		return fmt.Errorf("place a certificate on the host: %w", err)
	}
	return nil
}

// Install places a certificate and has the service take it.
func (h *Host) Install(ctx context.Context, c Certificate) error {
	if err := h.Place(ctx, c); err != nil {
		return err
	}
	return h.Run(ctx, "systemctl reload stemedb-api")
}

func splitChain(chain []byte) (leaf, rest []byte) {
	end := bytes.Index(chain, []byte("-----END CERTIFICATE-----\n")) + len("-----END CERTIFICATE-----\n")
	return chain[:end], chain[end:]
}

// OwnVolume moves the data to a file system of that many bytes, so that other hosts on this machine do not notice when it
// is full, read-only or slow: the disk that containers have is the machine's.
func (h *Host) OwnVolume(ctx context.Context, size int64) error {
	return h.script(ctx, "../stemedb/faults/own-volume.sh", dataVolume, fmt.Sprint(size))
}

// script runs a script of this repository on the host, as root.
func (h *Host) script(ctx context.Context, file string, args ...string) error {
	defer h.env.Touch()
	script, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read a script: %w", err)
	}
	_, err = h.Command(ctx, append([]string{"bash", "-c", string(script), filepath.Base(file)}, args...)...)
	return err
}

// Served is the certificate that the service serves, as a new client sees it.
type Served struct {
	*x509.Certificate
	// Unverified says why a client that trusts Let's Encrypt and the custom CA refuses it; nil where it verifies.
	Unverified error
	// Sent is how many certificates the server sends: its own and its intermediates.
	Sent int
}

// Left is how long it is until the certificate expires, negative once it has.
func (s Served) Left() time.Duration { return time.Until(s.NotAfter) }

func (s Served) String() string {
	return fmt.Sprintf("serving serial %s issued by %s, %s left", s.Serial(), s.Issuer.CommonName, testbed.Rough(s.Left()))
}

// Serial is the serial number as openssl prints it.
func (s Served) Serial() string { return fmt.Sprintf("%X", s.SerialNumber) }

// Certificate connects and returns what is served.
func (h *Host) Certificate(ctx context.Context) (Served, error) {
	connection, err := h.dial(ctx)
	if err != nil {
		return Served{}, err
	}
	defer connection.Close()
	return h.served(connection.ConnectionState()), nil
}

func (h *Host) served(state tls.ConnectionState) Served {
	chain := state.PeerCertificates
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: Domain, Roots: h.env.services.roots, Intermediates: intermediates})
	return Served{Certificate: chain[0], Unverified: err, Sent: len(chain)}
}

func (h *Host) dial(ctx context.Context) (*tls.Conn, error) {
	raw, err := h.env.Dial(portAPI)(ctx, "tcp", "")
	if err != nil {
		return nil, fmt.Errorf("connect to %s:18180: %w", Domain, err)
	}
	// What is served is looked at, not relied on: served verifies it.
	config := &tls.Config{ServerName: Domain, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	if h.env.client != nil {
		config.Certificates = []tls.Certificate{*h.env.client}
	}
	connection := tls.Client(raw, config)
	if err := connection.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("TLS handshake with %s:18180: %w", Domain, err)
	}
	return connection, nil
}

// PresentCertificate has this process present a client's certificate whenever it connects from now on.
func (h *Host) PresentCertificate(c Certificate) error {
	pair, err := tls.X509KeyPair(c.Chain, c.Key)
	if err != nil {
		return fmt.Errorf("present a client's certificate: %w", err)
	}
	h.env.client = &pair
	return nil
}

// Get asks the service for a path over TLS, on a new connection.
func (h *Host) Get(ctx context.Context, path string) (string, error) {
	client, err := h.Connect(ctx)
	if err != nil {
		return "", err
	}
	defer client.Close()
	return client.Get(ctx, path)
}

// Client is a client of the service that keeps its one connection open.
type Client struct {
	connection *tls.Conn
	answers    *bufio.Reader
}

// Connect opens a connection that stays open.
func (h *Host) Connect(ctx context.Context) (*Client, error) {
	connection, err := h.dial(ctx)
	if err != nil {
		return nil, err
	}
	return &Client{connection: connection, answers: bufio.NewReader(connection)}, nil
}

// Answer is what the service answered to a request.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Get asks for a path on the connection that is open; a connection that was dropped is an error, as is an answer other
// than 200.
func (c *Client) Get(ctx context.Context, path string) (string, error) {
	answer, err := c.Do(ctx, http.MethodGet, path, nil, "")
	if err == nil && answer.Status != http.StatusOK {
		err = fmt.Errorf("GET %s: %d %s", path, answer.Status, strings.TrimSpace(answer.Body))
	}
	return answer.Body, err
}

// Do sends a request on the connection that is open and returns what was answered, whatever it is; a connection that was
// dropped is an error.
func (c *Client) Do(ctx context.Context, method, path string, header http.Header, body string) (Answer, error) {
	fail := func(err error) (Answer, error) {
		return Answer{}, fmt.Errorf("%s %s on an open connection: %w", method, path, err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.connection.SetDeadline(deadline); err != nil {
			return fail(err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "https://"+Domain+path, strings.NewReader(body))
	if err != nil {
		return fail(err)
	}
	maps.Copy(request.Header, header)
	if err := request.Write(c.connection); err != nil {
		return fail(err)
	}
	response, err := http.ReadResponse(c.answers, request)
	if err != nil {
		return fail(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return fail(err)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: string(content)}, nil
}

// Close closes the connection.
func (c *Client) Close() error { return c.connection.Close() }
