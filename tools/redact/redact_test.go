package redact

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"testing"
)

func privateKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func redacted(t *testing.T, text string, secrets ...string) string {
	t.Helper()
	r, err := New(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return string(r.Bytes([]byte(text)))
}

// page is a value as html/template writes it, in a text and in an attribute.
func page(t *testing.T, value string) string {
	t.Helper()
	var b bytes.Buffer
	if err := template.Must(template.New("").Parse(`<p title="{{.}}">{{.}}</p>`)).Execute(&b, value); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func marshalled(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestByValue(t *testing.T) {
	const secret = `wJalr+XUtn/FEMI<K7>&"MDENG'bPx` // every character that an encoder escapes
	var asXML bytes.Buffer
	if err := xml.EscapeText(&asXML, []byte("first\n"+secret)); err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{
		"as it is":           "the key is " + secret + ".",
		"in JSON":            marshalled(t, map[string]string{"a": secret}),
		"in JSON in JSON":    marshalled(t, marshalled(t, secret)),
		"in another's JSON":  `{"a": "wJalr+XUtn/FEMI<K7>&\"MDENG'bPx"}`,
		"in a page":          page(t, secret),
		"in XML":             asXML.String(),
		"in a query":         "https://example.com/?key=" + url.QueryEscape(secret),
		"in base64":          base64.StdEncoding.EncodeToString([]byte(secret)),
		"in URLs' base64":    base64.URLEncoding.EncodeToString([]byte(secret)),
		"in a page's base64": page(t, base64.StdEncoding.EncodeToString([]byte(secret))),
	}
	for i := range 3 {
		texts["in base64 of more, "+string(rune('0'+i))] = base64.StdEncoding.EncodeToString([]byte("user:xy"[i:] + secret + " and so on"))
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			got := redacted(t, text, "another secret", secret+"\n")
			if !strings.Contains(got, Notice) {
				t.Errorf("%s\nremains\n%s", text, got)
			}
		})
	}
}

func TestSeveralLines(t *testing.T) {
	key := privateKey(t)
	lines := strings.Split(strings.TrimSpace(key), "\n")
	block, _ := pem.Decode([]byte(key))
	for name, text := range map[string]string{
		"as it is":              "before\n" + key + "after",
		"as a terminal shows":   strings.ReplaceAll(key, "\n", "\r\n"),
		"in JSON":               marshalled(t, key),
		"in JSON in JSON":       marshalled(t, marshalled(t, key)),
		"in a page":             page(t, key),
		"indented":              "  " + strings.Join(lines, "\n  "),
		"its lines, no frame":   strings.Join(lines[1:len(lines)-1], "\n"),
		"as one line, no frame": strings.Join(lines[1:len(lines)-1], ""),
		"DER in base64":         base64.StdEncoding.EncodeToString(block.Bytes),
		"PEM in base64":         base64.StdEncoding.EncodeToString([]byte(key)),
	} {
		t.Run(name, func(t *testing.T) {
			got := redacted(t, text, key)
			for _, line := range lines[1 : len(lines)-1] {
				if strings.Contains(got, line) {
					t.Errorf("%q remains in\n%s", line, got)
				}
			}
			if !strings.Contains(got, Notice) {
				t.Errorf("nothing was removed from\n%s", got)
			}
		})
	}
}

func TestShortLines(t *testing.T) {
	if got := redacted(t, "lo: one\r\ntwo\r\nthree, one", "one\ntwo\nthree"); got != "lo: "+Notice+", one" {
		t.Error(got)
	}
}

func TestJSONWebKey(t *testing.T) {
	key := `{"kty": "EC", "crv": "P-256", "x": "public-public-public-x", "d": "private-private-private"}`
	got := redacted(t, `log: d is private-private-private, x is public-public-public-x`, key)
	if strings.Contains(got, "private-private") || !strings.Contains(got, "public-public-public-x") {
		t.Error(got)
	}
}

func TestByForm(t *testing.T) {
	key := privateKey(t)
	line := strings.Split(key, "\n")[1]
	const age = "AGE-SECRET-KEY-1QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZRY9X8GF2TVDW0S3JN"
	for name, text := range map[string]string{
		"PEM":                  "before\n" + key + "after",
		"PEM that is cut":      "before\n" + key[:len(key)/2],
		"PEM in JSON":          `{"a": ` + marshalled(t, key) + `, "b": "after"}`,
		"cut PEM in JSON":      `{"a": ` + marshalled(t, key[:len(key)/2]) + `, "b": "after"}`,
		"PEM after cut PEM":    `{"a": ` + marshalled(t, key[:len(key)/2]) + `, "b": "after", "c": ` + marshalled(t, key) + `}`,
		"age":                  "before " + age + " after",
		"age, in small":        "before " + strings.ToLower(age) + " after",
		"two keys, one is cut": key[:len(key)/2] + "\n" + key + "after",
	} {
		t.Run(name, func(t *testing.T) {
			got := redacted(t, text)
			if strings.Contains(got, line[:40]) || strings.Contains(strings.ToUpper(got), age) || !strings.Contains(got, Notice) {
				t.Errorf("remains\n%s", got)
			}
			if strings.Contains(text, "before") && !strings.Contains(got, "before") || strings.Contains(text, "after") && !strings.Contains(got, "after") {
				t.Errorf("too much is gone:\n%s", got)
			}
			if strings.HasPrefix(text, "{") && !json.Valid([]byte(got)) {
				t.Errorf("no JSON any more:\n%s", got)
			}
		})
	}
	const public = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\nAGE-SECRET-KEY-... is how it looks"
	if got := redacted(t, public); got != public {
		t.Errorf("what is public was removed:\n%s", got)
	}
}

func TestOneSecretInAnother(t *testing.T) {
	if got := redacted(t, "s3cret and s3cret-longer", "s3cret", "s3cret-longer"); got != Notice+" and "+Notice {
		t.Error(got)
	}
}

func TestTooShort(t *testing.T) {
	_, err := New("long enough", "abc")
	if err == nil || !strings.Contains(err.Error(), "secret 2 of 2 has 3 bytes") || strings.Contains(err.Error(), "abc") {
		t.Error(err)
	}
	if got := redacted(t, "nothing", "", " \n"); got != "nothing" {
		t.Error(got)
	}
}

func TestNoted(t *testing.T) {
	var b bytes.Buffer
	if err := Note(&b, "number one", "two\nlines"); err != nil {
		t.Fatal(err)
	}
	if err := Note(&b, "tiny"); err == nil || b.Len() != len("\"number one\"\n\"two\\nlines\"\n") {
		t.Errorf("%v, and %q is noted", err, &b)
	}
	if err := Note(&b, "number three"); err != nil {
		t.Fatal(err)
	}
	got, err := ReadNoted(&b)
	if err != nil || len(got) != 3 || got[1] != "two\nlines" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ReadNoted(strings.NewReader("\"fine\"\nhunter2\n")); err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func FuzzNoPartRemains(f *testing.F) {
	f.Add("secret+1", "a secret+1 b")
	f.Add("two\nlines", `{"a": "two\nlines"}`)
	f.Fuzz(func(t *testing.T, secret, text string) {
		r, err := New(secret)
		if err != nil || strings.Contains(Notice, strings.TrimSpace(secret)) {
			return
		}
		if got := r.Bytes([]byte(text + secret + text)); len(strings.TrimSpace(secret)) >= Shortest && bytes.Equal(got, []byte(text+secret+text)) {
			t.Errorf("%q remains in %q", secret, got)
		}
	})
}

func TestOverlappingSecrets(t *testing.T) {
	if got := redacted(t, "<abcdefghijkl>", "abcdefgh", "efghijkl"); got != "<"+Notice+">" {
		t.Errorf("%q", got)
	}
}

// A run of all suites has some hundreds of keys, of some lines each, and leaves some megabytes.
func BenchmarkBytes(b *testing.B) {
	var secrets []string
	for i := range 500 {
		var key strings.Builder
		for line := range 5 {
			fmt.Fprintf(&key, "%064x\n", i*1000+line)
		}
		secrets = append(secrets, key.String())
	}
	r, err := New(secrets...)
	if err != nil {
		b.Fatal(err)
	}
	text := []byte(strings.Repeat("what a step has said, which is no secret\n", 100_000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		r.Bytes(text)
	}
}
