package drill

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/world"
)

// load is the traffic that Under started last.
var load *world.Load

// Under is traffic that goes on for the rest of the spec.
func Under(t world.Traffic) Fault {
	return func(ctx context.Context, _ *world.Host) (err error) {
		load, err = w.Load(ctx, t)
		return err
	}
}

// Settled waits until the world goes as it will go on: a cache that has just begun to fill misses more than it will, and a
// leap would hold that for an hour.
func Settled(ctx context.Context, _ *world.Host) error { return w.Steady(ctx) }

// FillUntil has clients write more than the traffic that there is, until a script on the host succeeds.
func FillUntil(script string) Fault {
	return func(ctx context.Context, host *world.Host) error {
		for host.Run(ctx, script) != nil {
			if err := load.Fill(ctx, 40); err != nil {
				return err
			}
		}
		return nil
	}
}

// Setting changes settings of stemedb-api, NAME=value each, and restarts it with them.
func Setting(settings ...string) Fault {
	script := "set -e\n"
	for _, s := range settings {
		name, _, _ := strings.Cut(s, "=")
		script += fmt.Sprintf("sed -i '/^%s=/d' /etc/stemedb/stemedb.env\necho '%s' >> /etc/stemedb/stemedb.env\n", name, s)
	}
	return OnHost(script + "systemctl restart stemedb-api")
}

// NothingLost is, in the end, all that was ever acknowledged still there, and new writes acknowledged as well.
func NothingLost(SpecContext, *world.Host) func(SpecContext) {
	return func(ctx SpecContext) {
		GinkgoHelper()
		written := load.Written()
		Eventually(ctx, load.Written).Should(BeNumerically(">", written), "a write is acknowledged")
		Expect(load.Lost(ctx)).To(BeEmpty(), "of what was acknowledged")
		GinkgoWriter.Println("requests, by how they were answered:", load.Answers())
	}
}

// Answered is, in the end, requests being answered as they should, and no longer otherwise.
func Answered(SpecContext, *world.Host) func(SpecContext) {
	return func(ctx SpecContext) {
		GinkgoHelper()
		before := load.Answers()
		Eventually(ctx, func() int { return load.Answers()["ok"] }).Should(BeNumerically(">", before["ok"]+5))
		after := load.Answers()
		delete(before, "ok")
		delete(after, "ok")
		Expect(after).To(Equal(before), "requests that were not answered as they should")
	}
}
