package witness

import (
	"encoding/json"
	"io"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/stemedb/firedrill/tools/promql"
)

// WriteJSON writes one object, whose fields are stable:
//
//	alerts       a list, in the order of the files:
//	  alert        the name
//	  file, line   of the name
//	  group        the rule group
//	  interval     between evaluations, as in 1m
//	  answer       "fires", "never fires", "always fires" or "not known"
//	  reasons      why it never or always fires, or why that is not known; a list:
//	    text         as in: count(x) is at least 1, so == 0 never holds
//	    places       the one or two parts of the expression that the text is about:
//	      line, column, endLine, endColumn  in the file, from 1; the end is that of the last character
//	      text         the part
//	  exporters    true where "never fires" rests on exporters doing as usual, rather than on the text alone
//	  suppressed   the reason that a comment gives, if one suppresses the answer
//	  meant        true where an alert always fires since its expression selects no metric, as vector(1) does not
//	  input        at which it fires, in promtool's notation; absent where none is known:
//	    interval     between samples
//	    start        of the input and the evaluations, as in RFC 3339; absent for Unix time 0
//	    series       a list of {series, values}
//	    checks       a list of {at, firing}: how many alerts fire how long after the start
//	  boundaries   a list, one for each condition that was seen to decide:
//	    condition    the part of the expression
//	    fires, quiet the two neighbouring inputs
//	    after        how long the condition holds before the alert fires, as in 5m; 0s for at once
//	    clears       what makes it resolve, and after how long; a list
//	  unknown      a list of {condition, reason}: the conditions without a boundary
//	fires, never, always, notKnown  how many alerts have that answer
//	failed       how many of them never or always fire, without a reason
func WriteJSON(w io.Writer, all []Answered) error {
	document := struct {
		Alerts   []jsonAlert `json:"alerts"`
		Fires    int         `json:"fires"`
		Never    int         `json:"never"`
		Always   int         `json:"always"`
		NotKnown int         `json:"notKnown"`
		Failed   int         `json:"failed"`
	}{Alerts: []jsonAlert{}} // empty lists are [], never null
	counts := map[Answer]*int{Fires: &document.Fires, Never: &document.Never, Always: &document.Always, NotKnown: &document.NotKnown}
	for _, a := range all {
		*counts[a.Answer]++
		if a.Failed() {
			document.Failed++
		}
		document.Alerts = append(document.Alerts, a.json())
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

// Failed reports whether an alert never or always fires, and neither is meant.
func (a Answered) Failed() bool {
	return (a.Answer == Never || a.Answer == Always) && !a.Meant && a.Suppressed == ""
}

type jsonAlert struct {
	Alert      string         `json:"alert"`
	File       string         `json:"file"`
	Line       int            `json:"line"`
	Group      string         `json:"group"`
	Interval   string         `json:"interval"`
	Answer     Answer         `json:"answer"`
	Reasons    []jsonReason   `json:"reasons"`
	Exporters  bool           `json:"exporters"`
	Suppressed string         `json:"suppressed,omitempty"`
	Meant      bool           `json:"meant,omitempty"`
	Input      *jsonInput     `json:"input,omitempty"`
	Boundaries []jsonBoundary `json:"boundaries"`
	Unknown    []jsonUnknown  `json:"unknown"`
}

type jsonReason struct {
	Text   string      `json:"text"`
	Places []jsonPlace `json:"places"`
}

type jsonPlace struct {
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	EndLine   int    `json:"endLine"`
	EndColumn int    `json:"endColumn"`
	Text      string `json:"text"`
}

type jsonInput struct {
	Interval string       `json:"interval"`
	Start    string       `json:"start,omitempty"`
	Series   []jsonSeries `json:"series"`
	Checks   []jsonCheck  `json:"checks"`
}

type jsonSeries struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

type jsonCheck struct {
	At     string `json:"at"`
	Firing int    `json:"firing"`
}

type jsonBoundary struct {
	Condition string   `json:"condition"`
	Fires     string   `json:"fires"`
	Quiet     string   `json:"quiet"`
	After     string   `json:"after"`
	Clears    []string `json:"clears"`
}

type jsonUnknown struct {
	Condition string `json:"condition"`
	Reason    string `json:"reason"`
}

func (a Answered) json() jsonAlert {
	j := jsonAlert{
		Alert: a.Alert.Name, File: a.Alert.File, Line: a.Alert.Line, Group: a.Alert.Group, Interval: model.Duration(a.Interval).String(),
		Answer: a.Answer, Reasons: []jsonReason{}, Exporters: a.Answer == Never && !a.Sure, Suppressed: a.Suppressed, Meant: a.Meant,
		Boundaries: []jsonBoundary{}, Unknown: []jsonUnknown{},
	}
	for _, r := range a.Why {
		j.Reasons = append(j.Reasons, jsonReason{r.Text, a.places(r)})
	}
	if a.Answer == Fires {
		j.Input = &jsonInput{Interval: model.Duration(a.Input.Interval).String(), Series: []jsonSeries{}, Checks: []jsonCheck{}}
		if a.Input.Start.Unix() > 0 {
			j.Input.Start = a.Input.Start.UTC().Format(time.RFC3339)
		}
		for _, s := range a.Input.Series {
			j.Input.Series = append(j.Input.Series, jsonSeries(s))
		}
		for _, c := range a.Input.Checks {
			j.Input.Checks = append(j.Input.Checks, jsonCheck{model.Duration(c.At).String(), len(c.Firing)})
		}
	}
	for _, b := range a.Boundaries {
		j.Boundaries = append(j.Boundaries, jsonBoundary{b.Condition, b.Fires, b.Quiet, model.Duration(b.After).String(), append([]string{}, b.Clears...)})
	}
	for _, u := range a.Unknown {
		j.Unknown = append(j.Unknown, jsonUnknown(u))
	}
	return j
}

// places are the parts of the expression that a reason is about.
func (a Answered) places(r promql.Reason) []jsonPlace {
	places := []jsonPlace{}
	for i, span := range []posrange.PositionRange{r.First, r.Second} {
		start, end := int(span.Start), min(int(span.End), len(a.Alert.Expr))
		if start >= end || i == 1 && r.Second == r.First {
			continue
		}
		p := jsonPlace{Text: a.Alert.Expr[start:end]}
		p.Line, p.Column = a.Alert.At("expr", start)
		p.EndLine, p.EndColumn = a.Alert.At("expr", end-1)
		places = append(places, p)
	}
	return places
}
