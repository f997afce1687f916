package tls

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/tools/metric"
)

// What firedrill check goes by must be what there is.
var _ = Describe("The inventory", Label("inventory"), func() {
	const inventory = "../../fixtures/inventory/"

	env.It("of metrics is what stemedb-api exports", func(ctx SpecContext) {
		exported, err := env.Host().Output(ctx, "curl --silent --fail http://localhost:18181/metrics")
		Expect(err).NotTo(HaveOccurred())
		live := filepath.Join(GinkgoT().TempDir(), "metrics")
		Expect(os.WriteFile(live, []byte(exported), 0o600)).To(Succeed())
		is, err := metric.Read(ctx, live)
		Expect(err).NotTo(HaveOccurred())
		was, err := metric.Read(ctx, inventory+"stemedb-api.prom")
		Expect(err).NotTo(HaveOccurred())
		Expect(metric.Drift(was, is)).To(BeEmpty())
		env.Proved("(inventory)", "metrics of stemedb-api", "is what is exported")
	})

	env.It("of programs is what the host has", func(ctx SpecContext) {
		found, err := env.Host().Output(ctx, `IFS=:; for folder in $PATH; do find "$folder/" -maxdepth 1 ! -type d -perm /111 -printf '%f\n'; done | LC_ALL=C sort -u`)
		Expect(err).NotTo(HaveOccurred())
		was, err := os.ReadFile(inventory + "programs.txt")
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Fields(string(was))).To(Equal(strings.Fields(found)))
		env.Proved("(inventory)", "programs of the host", "is what is there")
	})
})
