package report

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"html"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/redact"
)

// pemKey is a new private key.
func pemKey(t *testing.T) string {
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

// Secrets are planted in every text that a report is made of, in the forms in which programs print them, and at the edge
// of what a headline cuts off.
func TestNoSecretIsInAReport(t *testing.T) {
	key, unnamed := pemKey(t), pemKey(t)
	const (
		account = `{"kty":"EC","crv":"P-256","x":"public","d":"aCMeAccountKeyThatNobodyMayKnow0123456789AB"}`
		s3      = `wJalrXUtnFEMI/K7MDENG+bPxRfi<&>"CYEXAMPLEKEY`
		age     = "AGE-SECRET-KEY-1QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZRY9X8GF2TVDW0S3JN"
	)
	quoted, _ := json.Marshal(key + s3)
	encoded := base64.StdEncoding.EncodeToString([]byte("access:" + s3 + "\n"))
	planted := strings.Join([]string{key, strings.ReplaceAll(key, "\n", "\r\n"), unnamed, account, s3, html.EscapeString(s3), age, string(quoted), encoded}, "\n")
	headline := strings.Repeat("x", 70) + s3 // cut within the secret by whatever shows one line of it

	j := example(t, "drill")
	plant := func(texts ...*string) {
		for _, text := range texts {
			*text = headline + " " + planted
		}
	}
	for i := range j.Proofs {
		p := &j.Proofs[i]
		plant(&p.Branch, &p.What, &p.Failure, &p.Rule.Expr, &p.Signal.Expr)
		p.Verdict = journal.False
		for k := range p.Steps {
			plant(&p.Steps[k].Command, &p.Steps[k].Output, &p.Steps[k].Branch)
		}
		p.SideEffects = []journal.SideEffect{{Kind: "file"}}
		plant(&p.SideEffects[0].Subject, &p.SideEffects[0].Before, &p.SideEffects[0].After)
		for k := range p.Notifications {
			p.Notifications[k].Labels = map[string]string{"alertname": "A", "secret": planted}
			p.Notifications[k].Annotations = map[string]string{"summary": planted}
		}
		for k := range p.Bands {
			p.Bands[k].Labels = map[string]string{"secret": planted, "state": string(p.Bands[k].State)}
		}
	}
	d := j.Proofs[0].Drill
	plant(&d.Scenario.Name, &d.Scenario.Description, &d.Timeline[0].What, &d.Deviations[0], &d.Findings[0], &d.Limits[0])
	j.Proofs[1].Evidence = "evidence/spec"
	evidence := t.TempDir()
	writeFile(t, planted, evidence, "spec", "log.txt")
	var escaped strings.Builder
	if err := xml.EscapeText(&escaped, []byte(planted)); err != nil {
		t.Fatal(err)
	}
	previous := example(t, "drill")
	previous.Proofs[0].Branch = planted

	secrets, err := redact.New(key, account, s3)
	if err != nil {
		t.Fatal(err)
	}
	dir := writtenTo(t, Source{
		Journal: j, JUnit: [][]byte{[]byte(`<testsuites><system-out note="` + escaped.String() + `">` + escaped.String() + `</system-out></testsuites>`)},
		Evidence: []string{evidence}, Previous: &previous, Secrets: secrets,
	})

	pieces := []string{age[20:50], "aCMeAccountKeyThat", encoded[9:60]}
	for _, secret := range []string{key, unnamed} {
		lines := strings.Split(strings.TrimSpace(secret), "\n")
		for _, line := range lines[1 : len(lines)-1] {
			pieces = append(pieces, line[:min(20, len(line))])
		}
	}
	for i := 0; i+10 < len(s3); i += 5 {
		pieces = append(pieces, s3[i:i+10])
	}
	for name, text := range content(t, dir) {
		for _, piece := range pieces {
			for form, piece := range map[string]string{"as it is": piece, "as HTML": html.EscapeString(piece), "as a page": strings.ReplaceAll(html.EscapeString(piece), "+", "&#43;"), "in base64": base64.StdEncoding.EncodeToString([]byte(piece))[:12]} {
				if at := strings.Index(text, piece); at >= 0 {
					t.Errorf("%s holds a piece of a secret, %s: …%s…", name, form, text[max(0, at-60):min(len(text), at+60)])
				}
			}
		}
		if strings.HasPrefix(name, "evidence") != (filepath.Base(name) == "log.txt") {
			t.Errorf("evidence is in %s", name)
		}
		if name != ManifestFile && name != StatementFile && !strings.Contains(text, redact.Notice) {
			t.Errorf("%s does not say that something was removed", name)
		}
	}
}
