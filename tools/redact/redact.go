// Package redact removes secrets from texts before they are stored: known secrets by value, in each form in which a
// text, a JSON document or a page may contain it, and other private keys by their form.
package redact

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Notice replaces a secret.
const Notice = "[redacted]"

// Shortest is the length in bytes of the shortest secret that can be removed by value: a shorter one could be part of
// other words.
const Shortest = 6

// Redactor removes secrets. The zero Redactor has no values, and removes private keys by their form.
type Redactor struct {
	forms map[start][][]byte // by how they begin, the longest first
}

// start is the first bytes of a form. Looking forms up by it keeps a pass over a report fast: a run has tens of
// thousands of forms.
type start [Shortest]byte

// New returns a Redactor for the secrets with these values. A value is removed verbatim and as JSON, HTML, XML, URLs and
// base64 encode it; of one with several lines also each line, and of a private JSON web key (RFC 7517) each private
// member. Surrounding white space is ignored, and so is an empty value. A value shorter than Shortest is an error, which
// does not contain it.
func New(values ...string) (Redactor, error) {
	forms := map[string]bool{}
	for i, value := range values {
		value = strings.TrimSpace(value)
		switch {
		case value == "":
		case len(value) < Shortest:
			return Redactor{}, fmt.Errorf("secret %d of %d has %d bytes: use one of at least %d, so that it is not part of other words", i+1, len(values), len(value), Shortest)
		default:
			for _, part := range parts(value) {
				for _, form := range encodings(part) {
					forms[form] = true
				}
			}
		}
	}
	r := Redactor{forms: map[start][][]byte{}}
	longestFirst := func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) }
	for _, form := range slices.SortedFunc(maps.Keys(forms), longestFirst) {
		begins := start([]byte(form))
		r.forms[begins] = append(r.forms[begins], []byte(form))
	}
	return r, nil
}

// privateKeys matches private keys by their form: PEM (RFC 7468) and OpenPGP's armor, with line ends or escaped ones, up
// to the end of the key or, without one, of the string or text; and identities of age (https://age-encryption.org/v1),
// which are Bech32.
var privateKeys = []*regexp.Regexp{
	regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]{0,20}PRIVATE KEY( BLOCK)?-----[^"<]*?-----END [A-Z0-9 ]{0,20}PRIVATE KEY( BLOCK)?-----`),
	regexp.MustCompile(`-----BEGIN [A-Z0-9 ]{0,20}PRIVATE KEY( BLOCK)?-----[^"<]*`),
	regexp.MustCompile(`(?i)AGE-SECRET-KEY-[A-Z0-9-]*1[02-9AC-HJ-NP-Z]{6,}`),
}

// Bytes returns a text without its secrets.
func (r Redactor) Bytes(text []byte) []byte {
	text = r.byValue(text)
	for _, form := range privateKeys {
		text = form.ReplaceAll(text, []byte(Notice))
	}
	return text
}

// byValue replaces the known forms. Overlapping ones are replaced together.
func (r Redactor) byValue(text []byte) []byte {
	var kept []byte
	covered := 0 // the text before it has been copied or replaced
	for i := 0; i+Shortest <= len(text); i++ {
		for _, form := range r.forms[start(text[i:])] {
			if !bytes.HasPrefix(text[i:], form) {
				continue
			}
			if i >= covered {
				kept = append(append(kept, text[covered:i]...), Notice...)
			}
			covered = max(covered, i+len(form))
			break
		}
	}
	if covered == 0 {
		return text
	}
	return append(kept, text[covered:]...)
}
