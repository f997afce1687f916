package redact

import (
	"bytes"
	"io"
	"slices"
	"sync"
)

// Screen writes texts without secrets: private keys by their form, and those that were noted. Each Write is one text.
type Screen struct {
	to       io.Writer
	mu       sync.Mutex
	values   []string
	redactor Redactor
}

// NewScreen returns a Screen that writes to w.
func NewScreen(w io.Writer) *Screen { return &Screen{to: w} }

// Write implements io.Writer.
func (s *Screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.to.Write(s.redactor.Bytes(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Notes returns a writer for what Note writes: from then on, Write leaves it out. It also goes to w.
func (s *Screen) Notes(w io.Writer) io.Writer { return notes{s, w} }

type notes struct {
	screen *Screen
	to     io.Writer
}

func (n notes) Write(noted []byte) (int, error) {
	values, err := ReadNoted(bytes.NewReader(noted))
	if err != nil {
		return 0, err
	}
	s := n.screen
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.values
	for _, value := range values { // a run notes the same ones again and again
		if !slices.Contains(all, value) {
			all = append(all, value)
		}
	}
	if len(all) > len(s.values) {
		redactor, err := New(all...)
		if err != nil {
			return 0, err
		}
		s.values, s.redactor = all, redactor
	}
	return n.to.Write(noted)
}
