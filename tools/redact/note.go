package redact

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Variable is the environment variable with the path of the file to which the suites add the secrets that they make,
// with Note. Only its owner can read it. It is removed once the report is written.
const Variable = "FIREDRILL_SECRETS"

// Note adds secrets to such a file, one JSON string a line, in one write, so that several processes can append to it. It
// refuses secrets that New would refuse.
func Note(w io.Writer, values ...string) error {
	if _, err := New(values...); err != nil {
		return err
	}
	var lines []byte
	for _, value := range values {
		line, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("note a secret: %w", err)
		}
		lines = append(append(lines, line...), '\n')
	}
	_, err := w.Write(lines)
	return err
}

// ReadNoted reads what Note has written. An error names the line, not its content.
func ReadNoted(r io.Reader) ([]string, error) {
	var values []string
	reader := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return values, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the secrets: %w", err)
		}
		var value string
		if json.Unmarshal(line, &value) != nil {
			return nil, fmt.Errorf("line %d of the secrets is not a JSON string: write each secret as one, on a separate line", number)
		}
		values = append(values, value)
	}
}
