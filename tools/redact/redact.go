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
	forms [][]byte // the longest first, so that no part of a secret is left beside a part that is one as well
}

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
	sorted := slices.SortedFunc(maps.Keys(forms), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	var r Redactor
	for _, form := range sorted {
		r.forms = append(r.forms, []byte(form))
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
	notice := []byte(Notice)
	for _, form := range r.forms {
		if bytes.Contains(text, form) {
			text = bytes.ReplaceAll(text, form, notice)
		}
	}
	for _, form := range byForm {
		text = form.ReplaceAll(text, notice)
	}
	return text
}
