package rule

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestRender(t *testing.T) {
	series, external := map[string]string{"instance": "db1"}, map[string]string{"cluster": "eu"}
	for text, want := range map[string]string{
		`{{ $labels.instance }} in {{ $externalLabels.cluster }} at {{ $value }}`: "db1 in eu at 1",
		`{{ $labels.severity }}`: "", // the rule's labels are not among them
		`{{ with query "up" }}{{ . | first | label "instance" }}{{ end }}`: "db1",
		`{{ externalURL }}/graph`: "https://prometheus.example.com/graph",
	} {
		rendered, err := Alert{Labels: map[string]string{"severity": "page"}}.Render(text, series, external)
		NewWithT(t).Expect(err).To(BeNil(), text)
		NewWithT(t).Expect(rendered).To(Equal(want))
	}
	_, err := Alert{}.Render("it is\n{{ $labels.instance.name }}", series, external)
	NewWithT(t).Expect(*err).To(Equal(TemplateError{Offset: 16, Reason: "<$labels.instance.name>: can't evaluate field name"}))
}
