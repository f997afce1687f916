// Package redact removes secrets from what is about to be kept: by value, in each of the forms in which a value can
// stand in a text, a JSON document or a page, and below that by form, for the private keys that nobody has named.
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

// Notice stands where a secret was.
const Notice = "[redacted]"

// Shortest is the length in bytes of the shortest secret that can be removed by value: a shorter one would take words
// away that are no secret.
const Shortest = 6

// Redactor removes secrets. The zero Redactor knows none by value, and removes private keys by their form.
type Redactor struct {
	forms map[start][][]byte // by how they begin, the longest first
}

// start is how a form begins: a run has tens of thousands of them, and a report is read through once.
type start [Shortest]byte

// New makes a Redactor of the secrets with these values. A value is removed as it is and as JSON, HTML, XML, URLs and
// base64 spell it; of one that has several lines each line is removed as well, of a private JSON web key (RFC 7517) each
// private member. White space around a value is no part of it. An empty value is passed over; one that is shorter than
// Shortest is an error, which does not repeat it.
func New(values ...string) (Redactor, error) {
	forms := map[string]bool{}
	for i, value := range values {
		value = strings.TrimSpace(value)
		switch {
		case value == "":
		case len(value) < Shortest:
			return Redactor{}, fmt.Errorf("secret %d of %d has %d bytes: at least %d are needed, so that no other word is taken for it", i+1, len(values), len(value), Shortest)
		default:
			for _, part := range parts(value) {
				for _, form := range spellings(part) {
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

// byForm finds private keys that nobody has named: PEM (RFC 7468, and OpenPGP's armor), as it is and with its newlines
// escaped, to its end or, where it has none, to the end of the string or of the text that it stands in; and the
// identities of age (https://age-encryption.org/v1), which are Bech32.
var byForm = []*regexp.Regexp{
	regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]{0,20}PRIVATE KEY( BLOCK)?-----[^"<]*?-----END [A-Z0-9 ]{0,20}PRIVATE KEY( BLOCK)?-----`),
	regexp.MustCompile(`-----BEGIN [A-Z0-9 ]{0,20}PRIVATE KEY( BLOCK)?-----[^"<]*`),
	regexp.MustCompile(`(?i)AGE-SECRET-KEY-[A-Z0-9-]*1[02-9AC-HJ-NP-Z]{6,}`),
}

// Bytes returns a text without the secrets that are in it.
func (r Redactor) Bytes(text []byte) []byte {
	text = r.byValue(text)
	for _, form := range byForm {
		text = form.ReplaceAll(text, []byte(Notice))
	}
	return text
}

// byValue returns a text without the forms that are in it. Where they overlap, all that they cover is left out.
func (r Redactor) byValue(text []byte) []byte {
	var kept []byte
	covered := 0 // what is before that is kept, or left out
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
