package check

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestShownUnits(t *testing.T) {
	for name, tc := range map[string]struct{ expr, text, want string }{
		"a percentage of a percentage": {"100 * a / b > 80", "at {{ $value | humanizePercentage }}", "error is a percentage already"},
		"by the metric's name":         {"used_percent > 80", "at {{ $value | humanizePercentage }}", "warning is a percentage already"},
		"a ratio":                      {"a / b > 0.8", "at {{ $value | humanizePercentage }}", ""},
		"a ratio as a percentage":      {"a / b > 0.8", "at {{ $value }}%", "error is a ratio"},
		"formatted":                    {"a / b > 0.8", `at {{ printf "%.2f" $value }} %`, "error is a ratio"},
		"with the sign in the format":  {"a / b > 0.8", `at {{ $value | printf "%.2f%%" }}`, "error is a ratio"},
		"a percentage":                 {"a / b * 100 > 80", "at {{ $value }}%", ""},
		"a quotient that is no share":  {"a / b > 80", "at {{ $value }}%", ""},
		"of a rate of missed":          {"rate(a_total[5m]) / rate(b_total[5m]) > 0.01", "at {{ $value | humanize }}%", "error is a ratio"},
		"of the CPU":                   {"rate(cpu_seconds_total[5m]) > 0.9", "at {{ $value }}%", "warning is a ratio"},
		"a time in milliseconds":       {"x_milliseconds > 500", "took {{ $value | humanizeDuration }}", "warning is not in seconds"},
		"a time in days":               {"(end_seconds - time()) / 86400 < 7", "{{ humanizeDuration $value }} left", "error is not in seconds, but in units of 86400s"},
		"and shown so":                 {"(end_seconds - time()) / 86400 < 7", "{{ $value }} days left", ""},
		"of milliseconds":              {"x / 1000 - time() < 7", "{{ $value }} days left", "error is in units of 1s"},
		"a time":                       {"end_seconds - time() < 7", "{{ $value | humanizeDuration }} left", ""},
		"a moment":                     {"end_timestamp_seconds > 7", "{{ $value | humanizeDuration }}", "warning is a moment: show it by humanizeTimestamp"},
		"a size":                       {"free_bytes < 1024", "{{ $value | humanizeDuration }}", "warning is a size: show it by humanize1024"},
		"a size in its unit":           {"free_bytes < 1024", "{{ $value | humanize1024 }}B", ""},
		"a size in mebibytes":          {"free_mib < 1024", "{{ $value | humanize1024 }}B", "warning is not in bytes"},
		"a time as a size":             {"x_seconds > 1", "{{ $value | humanize1024 }}", "warning is a time: show it by humanizeDuration"},
		"the right side of and":        {"a_bytes > 1 and 100 * a / b > 80", "{{ $value | humanizePercentage }}", "warning is a size"},
		"a number on the left":         {"0.8 < a / b", "at {{ $value }}%", "error is a ratio"},
		"another variable":             {"a / b > 0.8", "{{ $value := 1 }}{{ $value }}%", ""},
		"what is not known":            {"x > 80", "at {{ $value }}%", ""},
		"a ratio that is called one":   {"x_ratio > 90", "at {{ $value }}%", "warning is called a ratio, of which 90 is 9000%: compare with 0.9"},
		"a recorded percentage":        {"job:x:share > 80", "at {{ $value | humanizePercentage }}", "warning is a percentage already"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			content := head + "  - alert: A\n    expr: " + tc.expr + "\n    annotations:\n      summary: '" + tc.text + "'\n" +
				"  - {record: 'job:x:share', expr: 100 * a / b}\n"
			var got []string
			for _, f := range alertsOf(t, Inputs{}, content) {
				if strings.Contains(f, " template/unit: ") {
					got = append(got, f)
				}
			}
			if tc.want == "" {
				g.Expect(got).To(BeEmpty())
				return
			}
			severity, want, _ := strings.Cut(tc.want, " ")
			g.Expect(got).To(HaveLen(1))
			g.Expect(strings.Contains(got[0], "Warning: ")).To(Equal(severity == "warning"), got[0])
			g.Expect(got[0]).To(ContainSubstring(want))
			lines := strings.Split(content, "\n")
			column := strings.Index(lines[6], "{{") + 1
			if strings.Contains(tc.text, ":= ") {
				return
			}
			g.Expect(got[0]).To(HavePrefix("a.yml:7:%d ", column))
		})
	}
}
