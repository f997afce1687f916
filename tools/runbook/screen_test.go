package runbook

import (
	"strings"
	"testing"
)

// displayed writes a text to a screen in two pieces and returns the plain text, with the commands in brackets.
func displayed(text string, split int) string {
	var b strings.Builder
	s := screen{
		text:    func(p []byte) { b.Write(p) },
		command: func(c string) { b.WriteString("{" + c + "}") },
	}
	s.Write([]byte(text[:split]))
	s.Write([]byte(text[split:]))
	return b.String()
}

func TestScreen(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ttext\r\n":                         "plain\ttext\n",
		"one\r\r\ntwo\n":                          "one\ntwo\n",
		"10 %\r20 %\r\x1b[K30 %\r\n":              "10 %\n20 %\n30 %\n",
		"\x1b[1;31mred\x1b[0m \x1b[38;5;9mx":      "red x",
		"\x1b[?2004l\x1b(B\x1b[m\x1b7\x1b=a\x1bM": "a",
		"a\b\x00\x07\x7fb":                        "ab",
		"grün €\n":                                "grün €\n",
		"a\x1b]0;title\ab":                        "a{0;title}b",
		"a\x1b]0;title\x1b\\b":                    "ab",
		"a\x1b]0;open\nb":                         "a\nb",
		"a\x1b]0;open\x1b]1;next\ab":              "a{1;next}b",
		"a\x1b[12\x1b]1;next\ab":                  "a{1;next}b",
		"a\x1bP1$tx\x1b\\b":                       "ab",
		"a\x1bPopen\nb":                           "a\nb",
		"a\x1b":                                   "a",
	} {
		for split := range len(text) + 1 {
			if got := displayed(text, split); got != want {
				t.Errorf("%q, in two pieces at %d, is %q, not %q", text, split, got, want)
			}
		}
	}
}

func TestRedaction(t *testing.T) {
	key := func(kind, body string) string {
		return "-----BEGIN " + kind + "-----\n" + body + "\n-----END " + kind + "-----"
	}
	for text, want := range map[string]string{
		"no key":                   "no key",
		key("PRIVATE KEY", "c2Vj"): keyNotice,
		"a" + key("RSA PRIVATE KEY", "c2Vj") + "b":                                "a" + keyNotice + "b",
		key("ENCRYPTED PRIVATE KEY", "c2Vj") + "\n":                               keyNotice + "\n",
		key("OPENSSH PRIVATE KEY", "c2Vj"):                                        keyNotice,
		key("PGP PRIVATE KEY BLOCK", "c2Vj"):                                      keyNotice,
		`"` + strings.ReplaceAll(key("EC PRIVATE KEY", "c2Vj"), "\n", `\n`) + `"`: `"` + keyNotice + `"`,
		key("EC PRIVATE KEY", "c2Vj") + key("PRIVATE KEY", "c2Vj"):                keyNotice + keyNotice,
		"a\n-----BEGIN PRIVATE KEY-----\nc2Vj\nnothing more":                      "a\n" + keyNotice,
		key("PUBLIC KEY", "b3Blbg=="):                                             key("PUBLIC KEY", "b3Blbg=="),
		key("CERTIFICATE", "b3Blbg=="):                                            key("CERTIFICATE", "b3Blbg=="),
		"-----BEGIN":                                                              "-----BEGIN",
	} {
		for split := range len(text) + 1 {
			r := newRecording()
			r.Write([]byte(text[:split]))
			r.Write([]byte(text[split:]))
			if got := r.String(); got != want {
				t.Errorf("%q, in two pieces at %d, is %q, not %q", text, split, got, want)
			}
		}
	}
}

func TestRecordingIsBounded(t *testing.T) {
	r := newRecording()
	for range 1000 {
		r.Write([]byte(strings.Repeat("x", 999) + "\n"))
	}
	r.Write([]byte("-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("c2Vj", 100_000) + "\n-----END PRIVATE KEY-----\nend"))
	if n := cap(r.head) + cap(r.tail); n > 512<<10 {
		t.Errorf("%d bytes are held", n)
	}
	got := r.String()
	if len(got) > 2*keep+100 || !strings.HasSuffix(got, "x\n"+keyNotice+"\nend") {
		t.Errorf("%d bytes are kept, up to %q", len(got), got[len(got)-50:])
	}
}
