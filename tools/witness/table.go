package witness

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/prometheus/common/model"
)

// Answered is an answer as it is reported.
type Answered struct {
	Result
	// Suppressed is the reason that a comment gives for an alert that never or always fires; empty where none does.
	Suppressed string
	// Meant says of an alert that always fires that its expression selects no metric, as vector(1) does not: it shows that
	// notifications arrive.
	Meant bool
}

// answer is the answer in the table.
func (a Answered) answer() string {
	switch {
	case a.Suppressed != "":
		return shortened(fmt.Sprintf("%s, suppressed: %s", a.Answer, a.Suppressed))
	case a.Meant:
		return string(a.Answer) + ", as is meant"
	case a.Answer == Never && !a.Sure:
		return string(a.Answer) + ", if exporters do as usual"
	}
	return string(a.Answer)
}

// WriteTable writes a row for each boundary of an alert and for each condition without one, or one with another answer.
// Why something is not known follows below.
func WriteTable(w io.Writer, all []Answered) error {
	names := map[string]int{}
	for _, a := range all {
		names[a.Alert.Name]++
	}
	var table bytes.Buffer
	t := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ALERT\tFIRES AT\tNOT AT\tAFTER\tCLEARS WHEN")
	for _, a := range all {
		name := a.Alert.Name
		if names[name] > 1 {
			name = fmt.Sprintf("%s (%s:%d)", name, a.Alert.File, a.Alert.Line)
		}
		for _, row := range a.rows() {
			cells := []string{name, "", "", "", ""} // all of them, so that the columns go on
			copy(cells[1:], row)
			fmt.Fprintln(t, strings.Join(cells, "\t"))
			name = ""
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(table.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	for _, a := range all {
		for _, line := range a.unknown() {
			line.name = a.Alert.Name
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// rows are the cells of an alert's rows, without its name.
func (a Answered) rows() (rows [][]string) {
	if a.Answer != Fires {
		return [][]string{{a.answer()}}
	}
	for _, b := range a.Boundaries {
		clears := append(b.Clears, "")
		rows = append(rows, []string{b.Fires, b.Quiet, after(b), clears[0]})
		for _, more := range clears[1:max(1, len(b.Clears))] {
			rows = append(rows, []string{"", "", "", more})
		}
	}
	if len(a.Boundaries) == 0 {
		for _, s := range a.Input.Series {
			rows = append(rows, []string{shortened(s.Series + " " + s.Values)})
		}
	}
	for _, u := range a.Unknown {
		rows = append(rows, []string{"not known for " + shortened(u.Condition)})
	}
	return rows
}

func after(b Boundary) string {
	if b.After == 0 {
		return "at once"
	}
	return model.Duration(b.After).String()
}

// shortened is a text for a cell.
func shortened(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// missing is why something about an alert is not known.
type missing struct {
	file         string
	line, column int
	name, text   string
}

func (m missing) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", m.file, m.line, m.column, m.name, m.text)
}

// unknown says why there is no answer, or no boundary of a condition.
func (a Answered) unknown() (all []missing) {
	at := func(offset int, format string, args ...any) {
		m := missing{file: a.Alert.File, text: strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")}
		m.line, m.column = a.Alert.At("expr", offset)
		all = append(all, m)
	}
	if a.Answer == NotKnown {
		for _, r := range a.Why {
			at(int(r.First.Start), "not known: %s", r.Text)
		}
	}
	if a.Answer == Fires {
		for _, u := range a.Unknown {
			at(max(0, strings.Index(a.Alert.Expr, u.Condition)), "not known for %s: %s", u.Condition, u.Reason)
		}
	}
	return all
}
