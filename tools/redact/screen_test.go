package redact

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestScreen(t *testing.T) {
	var shown, noted bytes.Buffer
	s := NewScreen(&shown)
	fmt.Fprint(s, "before: hunter22\n")
	if err := Note(s.Notes(&noted), "hunter22", "the first line of it\nthe second line of it"); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(s, "after: hunter22, the second line of it\n")
	fmt.Fprint(s, "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n")
	want := "before: hunter22\nafter: " + Notice + ", " + Notice + "\n" + Notice + "\n"
	if shown.String() != want {
		t.Errorf("%q, want %q", shown.String(), want)
	}
	if values, err := ReadNoted(&noted); err != nil || strings.Join(values, "|") != "hunter22|the first line of it\nthe second line of it" {
		t.Errorf("noted %q, %v", values, err)
	}
}
