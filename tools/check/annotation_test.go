package check

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestAnchors(t *testing.T) {
	src := "# Certificate `openssl` & *more*\n\n## If Using Let's Encrypt\n\n### 1. Check: the timer_unit (cron)!\n\nSetext\n======\n\n" +
		"## Ärger — überall\n\n```bash\n# not a heading\n```\n\n## [A link](https://example.com/#x)\n\n## Same\n\n## Same\n\n## Same\n\n## a \\_ b &lt;c&gt;\n"
	g := NewWithT(t)
	var fragments []string
	for _, a := range anchorsIn([]byte(src)) {
		fragments = append(fragments, a.fragment)
		heading := strings.Split(src, "\n")[a.line-1]
		g.Expect(strings.HasPrefix(heading, "#") || heading == "Setext").To(BeTrue(), heading)
	}
	g.Expect(fragments).To(Equal([]string{
		"certificate-openssl--more", "if-using-lets-encrypt", "1-check-the-timer_unit-cron", "setext",
		"ärger--überall", "a-link", "same", "same-1", "same-2", "a-_-b-c",
	}))
}

func TestMentions(t *testing.T) {
	g := NewWithT(t)
	for _, text := range []string{"tls_seconds", "`tls_seconds`", "is tls_seconds{domain=\"x\"}", "tls_seconds: how long", "see tls_seconds:"} {
		g.Expect(mentions(text, "tls_seconds")).To(BeTrue(), text)
	}
	for _, text := range []string{"", "tls_seconds_total", "my_tls_seconds", "job:tls_seconds", "tls_seconds:rate5m"} {
		g.Expect(mentions(text, "tls_seconds")).To(BeFalse(), text)
	}
}

func FuzzAnchors(f *testing.F) {
	f.Add([]byte("# A\n\n## B `c` <d>\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		anchorsIn(src)
	})
}
