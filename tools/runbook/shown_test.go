package runbook

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestShown(t *testing.T) {
	for name, tc := range map[string]struct {
		language, source string
		want             string // the source as it is shown; empty for none
	}{
		"a prompt":                 {"", "$ ls\na b", "ls"},
		"text with a prompt":       {"text", "$ ls\na b\n$ rm a", "ls\n\nrm a"},
		"known programs":           {"", "# first\nsudo systemctl restart x\nkubectl get pods | grep x", "# first\nsudo systemctl restart x\nkubectl get pods | grep x"},
		"known and other programs": {"", "kubectl get pods\nNAME READY", ""},
		"a table":                  {"", "NAME  READY\nx     1/1", ""},
		"a sentence":               {"text", "The service is down.", ""},
		"YAML":                     {"", "kubectl: x\na: b", ""},
		"comments":                 {"", "# HELP up Whether it is up.", ""},
		"what is no shell":         {"", "kubectl get pods (", ""},
		"another language":         {"go", "kubectl()", ""},
		"console":                  {"console", "$ ls\na b", "ls"},
		"shell":                    {"shell", "ls", "ls"},
		"a step":                   {"bash", "ls", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			r, err := Parse("A.md", []byte("# A\n\n## Fix\n\n### One\n\n```"+tc.language+"\n"+tc.source+"\n```\n\n### Two\n\n```bash\nls\n```\n"), Grammar{})
			g.Expect(err).NotTo(HaveOccurred())
			one, two := r.Branches()[0], r.Branches()[1]
			g.Expect(two.Shown).To(BeEmpty())
			if tc.want == "" {
				g.Expect(one.Shown).To(BeEmpty())
				return
			}
			g.Expect(one.Shown).To(HaveLen(1))
			g.Expect(one.Shown[0].Source).To(Equal(tc.want))
			g.Expect(one.Shown[0].Language).To(Equal(tc.language))
			g.Expect(r.Structure).To(ContainElement(HaveField("Text", ContainSubstring("are in fences of "+strings.TrimSpace(one.Shown[0].Kind())))))
		})
	}
}
