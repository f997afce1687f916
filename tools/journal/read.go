package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Read reads a journal. The error names the line or the field.
func Read(r io.Reader) (Journal, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return Journal{}, fmt.Errorf("reading the journal: %w", err)
	}
	var header struct{ Schema string }
	if err := json.Unmarshal(text, &header); err != nil {
		return Journal{}, located(text, err)
	}
	if header.Schema != Schema {
		return Journal{}, fmt.Errorf("the journal's schema is %.60q: this firedrill reads %q", header.Schema, Schema)
	}
	text = bytes.Replace(text, []byte(`"worlds_up_seconds":`), []byte(`"testbeds_up_seconds":`), 1) // its name in older journals
	var j Journal
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&j); err != nil {
		return Journal{}, located(text, err)
	}
	if err := j.check(); err != nil {
		return Journal{}, fmt.Errorf("the journal does not match schema.json: %w", err)
	}
	return j, nil
}

// Write writes a journal, indented.
func (j Journal) Write(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(j); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// located adds the line to an error of package json that knows it.
func located(text []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	offset := int64(-1)
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	if offset < 0 || offset > int64(len(text)) {
		return fmt.Errorf("the journal cannot be read: %w", err)
	}
	return fmt.Errorf("line %d of the journal cannot be read: %w", 1+bytes.Count(text[:offset], []byte("\n")), err)
}

var (
	sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)
	operators  = []string{"<", "<=", ">", ">=", "==", "!="}
	// sideEffects are the kinds of side effects.
	sideEffects = []string{"file", "unit", "listener", "job", "user", "group", "history", "not examined"}
)

// check demands what the types cannot.
func (j Journal) check() error {
	if j.Kind != KindProof && j.Kind != KindDrill {
		return fmt.Errorf("kind is %.60q: write %q or %q", j.Kind, KindProof, KindDrill)
	}
	if err := inOrder("run", j.Run.Started, j.Run.Ended); err != nil {
		return err
	}
	for i, input := range j.Inputs {
		if !sha256Form.MatchString(input.SHA256) {
			return fmt.Errorf("inputs[%d].sha256 is %.80q: write 64 hexadecimal digits in lower case", i, input.SHA256)
		}
	}
	for i, p := range j.Proofs {
		if err := p.check(); err != nil {
			return fmt.Errorf("proofs[%d]%w", i, err)
		}
	}
	return nil
}

// check returns an error that begins with the path of the field, from its dot on.
func (p Proof) check() error {
	if !slices.Contains([]Verdict{True, False, Unknown}, p.Verdict) {
		return fmt.Errorf(".verdict is %.60q: write %q, %q or %q", p.Verdict, True, False, Unknown)
	}
	if err := inOrder("", p.Started, p.Ended); err != nil {
		return err
	}
	if p.Rule != nil && p.Rule.Threshold != nil && !slices.Contains(operators, p.Rule.Threshold.Op) {
		return fmt.Errorf(".rule.threshold.op is %.60q: write one of <, <=, >, >=, == and !=", p.Rule.Threshold.Op)
	}
	for i, b := range p.Bands {
		if !slices.Contains([]State{Inactive, Pending, Firing, Resolved}, b.State) {
			return fmt.Errorf(".bands[%d].state is %.60q: write inactive, pending, firing or resolved", i, b.State)
		}
		if err := inOrder(fmt.Sprintf(".bands[%d]", i), b.From, b.To); err != nil {
			return err
		}
	}
	end := time.Time{}
	for i, l := range p.Leaps {
		if err := inOrder(fmt.Sprintf(".leaps[%d]", i), l.From, l.To); err != nil {
			return err
		}
		if l.From.Before(end) {
			return fmt.Errorf(".leaps[%d] begins before the one before it ends: write them in the order of time", i)
		}
		end = l.To
	}
	for i, n := range p.Notifications {
		if n.Status != "firing" && n.Status != "resolved" {
			return fmt.Errorf(".notifications[%d].status is %.60q: write firing or resolved", i, n.Status)
		}
	}
	for i, effect := range p.SideEffects {
		if !slices.Contains(sideEffects, effect.Kind) {
			return fmt.Errorf(".side_effects[%d].kind is %.60q: write one of %s", i, effect.Kind, strings.Join(sideEffects, ", "))
		}
	}
	if p.Signal == nil {
		return nil
	}
	for i, series := range p.Signal.Series {
		if !slices.IsSortedFunc(series.Samples, func(a, b Sample) int {
			if a.At < b.At {
				return -1
			}
			return 1
		}) {
			return fmt.Errorf(".signal.series[%d].samples are not in the order of time", i)
		}
	}
	return nil
}

func inOrder(field string, from, to time.Time) error {
	if to.Before(from) {
		return fmt.Errorf("%s ends at %s, before it begins at %s", field, to.Format(time.RFC3339), from.Format(time.RFC3339))
	}
	return nil
}
