package journal

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Seconds is a duration. In JSON it is a number of seconds.
type Seconds time.Duration

// Duration is the duration as package time has it.
func (s Seconds) Duration() time.Duration { return time.Duration(s) }

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', -1, 64), nil
}

// UnmarshalJSON implements json.Unmarshaler. A number that is no duration of less than 290 years is an error.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	var seconds float64
	if err := json.Unmarshal(text, &seconds); err != nil {
		return fmt.Errorf("%s is not a duration: write a number of seconds", text)
	}
	if math.Abs(seconds) > 290*365*86400 {
		return fmt.Errorf("%s seconds are not a duration: write less than 290 years", text)
	}
	*s = Seconds(math.Round(seconds * float64(time.Second)))
	return nil
}

// Sample is a value that a series had. In JSON it is [at, value]; a value that JSON has no number for is a string: "NaN",
// "+Inf", "-Inf".
type Sample struct {
	At    float64 // seconds since 1970, UTC
	Value float64
}

// Time is when the series had the value.
func (s Sample) Time() time.Time {
	whole, part := math.Modf(s.At)
	return time.Unix(int64(whole), int64(part*1e9)).UTC()
}

// MarshalJSON implements json.Marshaler.
func (s Sample) MarshalJSON() ([]byte, error) {
	at := strconv.FormatFloat(s.At, 'f', -1, 64)
	switch {
	case math.IsNaN(s.Value), math.IsInf(s.Value, 0):
		return fmt.Appendf(nil, `[%s,"%s"]`, at, strconv.FormatFloat(s.Value, 'f', -1, 64)), nil
	}
	value, err := json.Marshal(s.Value)
	return fmt.Appendf(nil, `[%s,%s]`, at, value), err
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Sample) UnmarshalJSON(text []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(text, &pair); err != nil || len(pair) != 2 {
		return fmt.Errorf("%.60s is not a sample: write [seconds since 1970, value]", text)
	}
	if err := json.Unmarshal(pair[0], &s.At); err != nil || math.Abs(s.At) > 1e11 {
		return fmt.Errorf("%.60s is not a sample: its time is not a number of seconds since 1970", text)
	}
	var word string
	if json.Unmarshal(pair[1], &word) == nil && (word == "NaN" || word == "+Inf" || word == "-Inf") {
		s.Value, _ = strconv.ParseFloat(word, 64)
		return nil
	}
	if string(pair[1]) == "null" || json.Unmarshal(pair[1], &s.Value) != nil {
		return fmt.Errorf(`%.60s is not a sample: its value is not a number, nor "NaN", "+Inf" or "-Inf"`, text)
	}
	return nil
}
