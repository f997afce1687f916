package runbook

// screen reduces terminal output to text: lines end in \n, and colours, cursor movements and other sequences are left
// out. As on a terminal, an escape character always begins a new sequence, so that an unfinished one hides nothing.
type screen struct {
	text    func([]byte)
	command func(string) // an operating system command (OSC) that a bell ended

	state   state
	osc     []byte
	carried bool // a carriage return, the meaning of which depends on what follows
	clean   []byte
}

type state int

const (
	plainText state = iota
	escape          // after ESC
	control         // in a control sequence, after ESC [
	system          // in an operating system command, after ESC ]
	ignored         // in another string, after ESC P, X, ^ or _
)

const (
	maxCommand = 256

	esc  = 0x1b
	bell = 0x07
	del  = 0x7f
)

// Write never fails.
func (s *screen) Write(p []byte) {
	for _, b := range p {
		switch {
		case b == esc:
			s.state = escape
		case b == '\n' || s.state == plainText:
			s.state = plainText
			s.character(b)
		case s.state == escape:
			s.state = after(b)
			s.osc = s.osc[:0]
		case s.state == control && b >= 0x40:
			s.state = plainText
		case s.state == system && b == bell:
			s.state = plainText
			s.flush()
			s.command(string(s.osc))
		case s.state == system && len(s.osc) < maxCommand:
			s.osc = append(s.osc, b)
		}
	}
	s.flush()
}

// after returns the state after ESC and a byte.
func after(b byte) state {
	switch {
	case b == '[':
		return control
	case b == ']':
		return system
	case b == 'P' || b == 'X' || b == '^' || b == '_':
		return ignored
	case b >= 0x20 && b < 0x30: // its last byte is yet to come
		return escape
	}
	return plainText
}

func (s *screen) character(b byte) {
	switch {
	case b == '\n':
		s.carried = false
	case b == '\r':
		s.carried = true
		return
	case b < 0x20 && b != '\t' || b == del:
		return
	}
	if s.carried { // an overwritten line, as of a progress bar
		s.clean = append(s.clean, '\n')
		s.carried = false
	}
	s.clean = append(s.clean, b)
}

func (s *screen) flush() {
	if len(s.clean) > 0 {
		s.text(s.clean)
		s.clean = s.clean[:0]
	}
}
