package check

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestMentions(t *testing.T) {
	g := NewWithT(t)
	for _, text := range []string{"tls_seconds", "`tls_seconds`", "is tls_seconds{domain=\"x\"}", "tls_seconds: how long", "see tls_seconds:"} {
		g.Expect(mentions(text, "tls_seconds")).To(BeTrue(), text)
	}
	for _, text := range []string{"", "tls_seconds_total", "my_tls_seconds", "job:tls_seconds", "tls_seconds:rate5m"} {
		g.Expect(mentions(text, "tls_seconds")).To(BeFalse(), text)
	}
}
