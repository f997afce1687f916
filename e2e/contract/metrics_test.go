package contract

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/tools/metric"
)

var (
	// row is a row of the contract's table of metrics: names, type, labels.
	row    = regexp.MustCompile("(?m)^\\| ((?:`stemedb_[a-z_]+`(?:, )?)+) \\| (counter|gauge|histogram)[^|]*\\|([^|]*)\\|$")
	quoted = regexp.MustCompile("`([a-z_]+)`")
)

var _ = Describe("The metrics", Label("contract"), func() {
	env.It("are those that the contract lists, with their types and labels", func(ctx SpecContext) {
		contract, err := os.ReadFile("../../fixtures/stemedb-api/CONTRACT.md")
		Expect(err).NotTo(HaveOccurred())
		rows := row.FindAllStringSubmatch(string(contract), -1)
		Expect(rows).To(HaveLen(strings.Count(string(contract), "\n| `stemedb_")), "rows that are understood")

		exported, err := env.Host().Output(ctx, "curl --silent --fail http://localhost:18181/metrics")
		Expect(err).NotTo(HaveOccurred())
		file := filepath.Join(GinkgoT().TempDir(), "metrics")
		Expect(os.WriteFile(file, []byte(exported), 0o600)).To(Succeed())
		live, err := metric.Read(ctx, file)
		Expect(err).NotTo(HaveOccurred())

		for _, row := range rows {
			var labels []string
			for _, label := range quoted.FindAllStringSubmatch(row[3], -1) {
				labels = append(labels, label[1])
			}
			for _, name := range quoted.FindAllStringSubmatch(row[1], -1) {
				of := name[1]
				if row[2] == "histogram" {
					of += "_count"
				}
				series, ok := live.Series(of)
				Expect(ok).To(BeTrue(), "%s is exported from the start", of)
				Expect(string(series.Type)).To(Equal(row[2]), name[1])
				Expect(series.Labels).To(ConsistOf(labels), name[1])
			}
		}
		env.Proved("(contract)", "metrics", "types and labels as the contract says")
	})
})
