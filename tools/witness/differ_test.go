package witness

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/tools/rule"
)

func differ(t *testing.T, a, b rule.Alert, s Scenario) (*Difference, error) {
	t.Helper()
	original, err := NewOriginal(a, time.Minute)
	if err != nil {
		return nil, err
	}
	c, err := original.Compare(b)
	if err != nil {
		return nil, err
	}
	return c.Differ(t.Context(), s)
}

func TestDiffer(t *testing.T) {
	g := NewWithT(t)
	a := rule.Alert{Name: "A", Expr: "sum by (job) (x) > 10", Annotations: map[string]string{"summary": "{{ $labels.job }}"}}
	scenario := Scenario{Interval: time.Minute, Series: []Series{{`x{job="a"}`, "8 8 8"}, {`x{job="b"}`, "8 8 8"}}, Checks: []Check{{At: 2 * time.Minute}}}
	b := a
	found, err := differ(t, a, b, scenario)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found).To(BeNil())
	b.Expr = "sum(x) > 10"
	found, err = differ(t, a, b, scenario)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found.At).To(BeZero())
	g.Expect(found.A).To(BeEmpty())
	g.Expect(found.B).To(HaveLen(1))

	scenario.Series[0].Values = "8 8 20"
	b = a
	b.Annotations = map[string]string{"summary": "{{ $labels.jo }}"}
	found, err = differ(t, a, b, scenario)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found.At).To(Equal(2 * time.Minute))
	g.Expect(found.A[0].Annotations.Get("summary")).To(Equal("a"))
	g.Expect(found.B[0].Annotations.Get("summary")).To(BeEmpty())

	a.Annotations = map[string]string{"summary": "{{ $value }}"}
	b = a
	b.Expr = "max by (job) (x) * 2 > 20" // for the same series, with other values
	found, err = differ(t, a, b, scenario)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found.B[0].Annotations.Get("summary")).To(Equal("40"))
	a.Annotations, b.Annotations = nil, nil
	found, err = differ(t, a, b, scenario)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found).To(BeNil())

	scenario.Series[0].Values = "8 x"
	_, err = differ(t, a, b, scenario)
	g.Expect(err).To(MatchError(ContainSubstring(`series x{job="a"} 8 x`)))
}
