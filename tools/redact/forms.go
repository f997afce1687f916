package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"html"
	"net/url"
	"slices"
	"strings"
)

// minLine is the length in bytes from which a single line of a secret is redacted: a full line of PEM has 64. Shorter
// ones reveal nothing and could be anything.
const minLine = 12

// parts returns a secret and the parts of it that are secret by themselves.
func parts(value string) []string {
	found := []string{value}
	if lines := strings.Split(value, "\n"); len(lines) > 1 {
		found = append(found, strings.ReplaceAll(value, "\n", "\r\n")) // as a terminal displays it
		for _, line := range lines {
			line = strings.TrimSpace(line)
			if len(line) >= minLine && !strings.HasPrefix(line, "-----") {
				found = append(found, line)
			}
		}
	}
	if block, _ := pem.Decode([]byte(value)); block != nil { // with any line breaks
		found = append(found, string(block.Bytes))
	}
	var key map[string]any
	if json.Unmarshal([]byte(value), &key) == nil && key["kty"] != nil {
		// RFC 7518, sections 6.2.2, 6.3.2 and 6.4.1; the others are public.
		for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if text, ok := key[member].(string); ok && len(text) >= minLine {
				found = append(found, text)
			}
		}
	}
	return found
}

// escapes are the ways in which encoders write a value in a text.
var escapes = []func(string) string{inJSON, inPlainJSON, html.EscapeString, inTemplate, inXML, url.QueryEscape, url.PathEscape}

// encodings returns the forms in which a value can be written: verbatim, escaped, and escaped twice, like a JSON
// document in a page.
func encodings(value string) []string {
	found := []string{value}
	for range 2 {
		for _, form := range found {
			for _, escape := range escapes {
				if escaped := escape(form); !slices.Contains(found, escaped) {
					found = append(found, escaped)
				}
			}
		}
	}
	found = append(found, hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))))
	return append(found, inBase64(value)...)
}

// inJSON is a value between the quotes of a JSON string, with <, > and & escaped, as encoding/json does by default.
func inJSON(value string) string {
	text, _ := json.Marshal(value) // a string always can be
	return string(text[1 : len(text)-1])
}

// inPlainJSON is inJSON with <, > and & verbatim, as other programs write it.
func inPlainJSON(value string) string {
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(inJSON(value))
}

// inTemplate is a value as html/template writes it: "+" is escaped as well.
func inTemplate(value string) string {
	return strings.ReplaceAll(html.EscapeString(value), "+", "&#43;")
}

// inXML is a value as encoding/xml writes it: tabs and line ends are escaped as well.
func inXML(value string) string {
	return strings.NewReplacer("\n", "&#xA;", "\r", "&#xD;", "\t", "&#x9;").Replace(html.EscapeString(value))
}

// inBase64 returns the base64 (RFC 4648) forms of a value, alone and within an encoded text. There it begins at one of
// three offsets in a group of four characters, and its first and last characters depend on what is around it.
func inBase64(value string) []string {
	var found []string
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		found = append(found, encoding.EncodeToString([]byte(value)))
		for before := range 3 {
			text := encoding.EncodeToString([]byte(strings.Repeat("\x00", before) + value))
			text = text[[]int{0, 2, 3}[before]:]
			if (before+len(value))%3 != 0 {
				text = text[:len(text)-1]
			}
			if len(text) >= minLine {
				found = append(found, text)
			}
		}
		for _, form := range found {
			if strings.ContainsAny(form, "+/") {
				found = append(found, inTemplate(form), url.QueryEscape(form))
			}
		}
	}
	return found
}
