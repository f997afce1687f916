package stemedb

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/crypto/acme"
)

// Certificate is a certificate with its key, as files hold them.
type Certificate struct {
	Leaf   *x509.Certificate
	Chain  []byte // PEM: the leaf, then its intermediates
	Key    []byte // PEM
	Issuer Issuer
}

// Issuer is a certificate authority of the environment.
type Issuer string

// The certificate authorities of the environment.
const (
	LetsEncrypt Issuer = "Let's Encrypt" // Pebble, its test server
	CustomCA    Issuer = "custom CA"     // a small CA that takes requests by mail

	clientAuthority Issuer = "client authority" // a CA that takes requests by mail and signs for clients
)

// Issue has an issuer sign a certificate for Domain that expires so far from now, to the second.
func (e *Environment) Issue(ctx context.Context, issuer Issuer, expiringIn time.Duration) (Certificate, error) {
	return e.issue(ctx, issuer, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: Domain}, DNSNames: []string{Domain},
	}, expiringIn)
}

// IssueClient has the client authority sign a certificate for the client of that name with so much left, to the second.
// One with less than none left has run out already; the authority backdates by a minute, so it ran out within the last.
func (e *Environment) IssueClient(ctx context.Context, name string, left time.Duration) (Certificate, error) {
	return e.issue(ctx, clientAuthority, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, left)
}

// RotateClientAuthority has the client authority sign with a new root from now on, until the next Begin. What it
// publishes as https://pki.example.com/clients.pem has the new root only.
func (e *Environment) RotateClientAuthority(ctx context.Context) error {
	defer e.Touch()
	if _, err := e.services.do(ctx, http.MethodPost, portOutside, "/clients-ca/rotations", "", nil); err != nil {
		return fmt.Errorf("rotate the client authority: %w", err)
	}
	return nil
}

// ClientAuthority is the bundle that the client authority publishes, in PEM.
func (e *Environment) ClientAuthority(ctx context.Context) ([]byte, error) {
	bundle, err := e.services.get(ctx, portOutside, "/clients-ca/roots")
	if err != nil {
		return nil, fmt.Errorf("get the client authority's bundle: %w", err)
	}
	return bundle, nil
}

func (e *Environment) issue(ctx context.Context, issuer Issuer, template *x509.CertificateRequest, expiringIn time.Duration) (Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certificate{}, fmt.Errorf("make a key: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return Certificate{}, fmt.Errorf("make a certificate request: %w", err)
	}
	notAfter := time.Now().Add(expiringIn).Truncate(time.Second)
	var chain []byte
	switch issuer {
	case LetsEncrypt:
		chain, err = e.services.acme.issue(ctx, request, notAfter)
	case CustomCA:
		chain, err = e.services.sign(ctx, "/ca/sign", request, notAfter)
	case clientAuthority:
		chain, err = e.services.sign(ctx, "/clients-ca/sign", request, notAfter)
	}
	if err != nil {
		return Certificate{}, fmt.Errorf("have a certificate issued by the %s: %w", issuer, err)
	}
	issued, err := newCertificate(issuer, chain, key)
	e.RedactLater(string(issued.Key))
	return issued, err
}

// sign has a CA that works by mail answer at once, with an end that we choose.
func (s *services) sign(ctx context.Context, path string, request []byte, notAfter time.Time) ([]byte, error) {
	return s.post(ctx, portOutside, path+"?not_after="+url.QueryEscape(notAfter.UTC().Format(time.RFC3339)),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}))
}

func newCertificate(issuer Issuer, chain []byte, key crypto.PrivateKey) (Certificate, error) {
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Certificate{}, fmt.Errorf("encode a key: %w", err)
	}
	c := Certificate{Chain: chain, Issuer: issuer, Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})}
	pair, err := tls.X509KeyPair(c.Chain, c.Key)
	if err != nil {
		return Certificate{}, fmt.Errorf("read the certificate that was issued: %w", err)
	}
	c.Leaf = pair.Leaf
	return c, nil
}

// acmeClient has certificates issued by the production server, as certbot does, but with an end that we choose
// (RFC 8555 section 7.4: an order's notAfter).
type acmeClient struct {
	*acme.Client
	services *services
}

func (s *services) newACMEClient(ctx context.Context) (*acmeClient, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make an account key: %w", err)
	}
	c := &acmeClient{services: s, Client: &acme.Client{
		Key: key, DirectoryURL: "https://" + production + "/directory", HTTPClient: s.https(),
	}}
	if _, err := c.Register(ctx, &acme.Account{}, acme.AcceptTOS); err != nil {
		return nil, fmt.Errorf("register an ACME account: %w", err)
	}
	return c, nil
}

func (c *acmeClient) issue(ctx context.Context, request []byte, notAfter time.Time) ([]byte, error) {
	order, err := c.AuthorizeOrder(ctx, acme.DomainIDs(Domain), acme.WithOrderNotAfter(notAfter))
	if err != nil {
		return nil, err
	}
	for _, authorization := range order.AuthzURLs {
		if err := c.prove(ctx, authorization); err != nil {
			return nil, err
		}
	}
	if _, err := c.WaitOrder(ctx, order.URI); err != nil {
		return nil, err
	}
	der, _, err := c.CreateOrderCert(ctx, order.FinalizeURL, request, true)
	if err != nil {
		// Pebble's answer to a finalize request does not repeat where the order is (it need not, by RFC 8555 section
		// 7.4), and the library does not remember: it waits for an order without an address.
		done, waited := c.WaitOrder(ctx, order.URI)
		if waited != nil {
			return nil, errors.Join(err, waited)
		}
		if der, err = c.FetchCert(ctx, done.CertURL, true); err != nil {
			return nil, err
		}
	}
	var chain []byte
	for _, certificate := range der {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})...)
	}
	return chain, nil
}

// prove answers the DNS challenge: it works whatever state the host is in.
func (c *acmeClient) prove(ctx context.Context, authorizationURL string) error {
	authorization, err := c.GetAuthorization(ctx, authorizationURL)
	if err != nil {
		return err
	}
	for _, challenge := range authorization.Challenges {
		if challenge.Type != "dns-01" {
			continue
		}
		record, err := c.DNS01ChallengeRecord(challenge.Token)
		if err != nil {
			return err
		}
		if err := c.services.publishTXT(ctx, "_acme-challenge."+Domain, record); err != nil {
			return err
		}
		if _, err := c.Accept(ctx, challenge); err != nil {
			// The library repeats a request whose answer was lost; the server then finds the challenge done already.
			if again, looked := c.GetAuthorization(ctx, authorizationURL); looked != nil || again.Status != acme.StatusValid {
				return errors.Join(err, looked)
			}
			return nil
		}
		_, err = c.WaitAuthorization(ctx, authorizationURL)
		return err
	}
	return fmt.Errorf("the ACME server offers no dns-01 challenge for %s", Domain)
}

// https is a client that reaches Let's Encrypt by its names, as the host does.
func (s *services) https() *http.Client { return s.httpsAt(portACME) }

// httpsAt is a client that reaches, by the names that the ACME servers' own certificate has, what a port leads to.
func (s *services) httpsAt(port int) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(s.webCA.certificate)
	return &http.Client{Transport: &http.Transport{
		DialContext: s.testbed.Dial(port), TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
	}}
}

// authority is a root that lives as long as the testbed and signs the HTTPS certificate of the ACME servers and of pki.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(7 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make root %s: %w", name, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make root %s: %w", name, err)
	}
	return &authority{certificate: certificate, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

func (a *authority) serverCertificate(names ...string) (Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certificate{}, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: a.certificate.NotBefore, NotAfter: a.certificate.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.certificate, key.Public(), a.key)
	if err != nil {
		return Certificate{}, fmt.Errorf("sign the certificate of %s: %w", names[0], err)
	}
	return newCertificate("", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key)
}
