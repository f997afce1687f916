package witness

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/prometheus/common/model"
)

// WriteTable writes one row for each boundary, and one line for each part of an expression that was not understood.
func WriteTable(w io.Writer, all []Derived) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ALERT\tFIRES AT\tNOT AT\tAFTER\tCLEARS WHEN")
	for _, d := range all {
		name := d.Alert.Name
		for _, b := range d.Boundaries {
			after := "at once"
			if b.After > 0 {
				after = model.Duration(b.After).String()
			}
			clears := append(b.Clears, "")
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", name, b.Fires, b.Quiet, after, clears[0])
			for _, more := range clears[1:max(1, len(b.Clears))] {
				fmt.Fprintf(t, "\t\t\t\t%s\n", more)
			}
			name = ""
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, d := range all {
		for _, u := range d.Unknown {
			if _, err := fmt.Fprintf(w, "%s:%d: %s: not understood: %s: %s\n", d.Alert.File, d.Alert.ExprLine, d.Alert.Name, u.Condition, u.Reason); err != nil {
				return err
			}
		}
	}
	return nil
}
