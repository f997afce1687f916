package sabotage

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/testbed"
)

const didNotTake = "the fault did not take: "

// Serial, since with cgroup v1 a host that runs systemd hides the counters of other containers from the Engine.
var _ = Describe("A fault on a container takes, or says that it did not:", Label("sabotage"), Ordered, ContinueOnFailure, Serial, func() {
	var t *testbed.Testbed
	var host *testbed.Container

	BeforeAll(func(ctx SpecContext) {
		images, err := image.Resolve(ctx)
		Expect(err).NotTo(HaveOccurred())
		t, err = testbed.Start(ctx, testbed.Config{
			Images: images,
			Name:   fmt.Sprintf("faults-%06x", rand.N(1<<24)), Root: "../..", Compose: []string{"faults/compose.yml"}, Operator: "host",
			Prometheus: "../../fixtures/prometheus/prometheus.yml", Alertmanager: "../../fixtures/alertmanager/alertmanager.yml",
			Progress: GinkgoWriter,
		})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx SpecContext) { Expect(t.Close(ctx)).To(Succeed()) })
		host = t.Operator()
	})

	// service starts a service that answers on port 8080.
	service := func(ctx SpecContext, name string) *testbed.Container {
		GinkgoHelper()
		c, err := t.Run(ctx, testbed.Service{Name: name, Image: t.Image(image.Receiver)})
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, asking(host, name)).WithTimeout(testbed.Timeout).Should(Succeed())
		return c
	}
	// machine starts a service that has what the host has.
	machine := func(ctx SpecContext, name string, command ...string) *testbed.Container {
		GinkgoHelper()
		c, err := t.Run(ctx, testbed.Service{Name: name, Image: t.Image("host"), Command: command})
		Expect(err).NotTo(HaveOccurred())
		return c
	}
	it := func(what string, do func(SpecContext)) {
		It(what, SpecTimeout(5*time.Minute), func(ctx SpecContext) {
			note(what, "")
			do(ctx)
			note(what, "takes, and is refused where it cannot")
		})
	}
	// impatient has what does not happen by itself fail soon.
	impatient := func() {
		before := testbed.Timeout
		testbed.Timeout = 2 * time.Second
		DeferCleanup(func() { testbed.Timeout = before })
	}

	it("kill, stop", func(ctx SpecContext) {
		web, err := t.Service("web")
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, asking(host, "web")).WithTimeout(testbed.Timeout).Should(Succeed())
		Expect(web.Kill(ctx, "KILL")).To(Succeed())
		Expect(asking(host, "web")(ctx)).NotTo(Succeed(), "its restart policy does not start it again")

		Expect(web.Restore(ctx)).To(Succeed())
		Eventually(ctx, asking(host, "web")).WithTimeout(testbed.Timeout).Should(Succeed())
		Expect(web.StopGracefully(ctx)).To(Succeed())
		Expect(asking(host, "web")(ctx)).NotTo(Succeed())
		Expect(web.StopGracefully(ctx)).To(MatchError(didNotTake + "web does not run (exited, exit code 0): read its log, or remove what ended it before"))

		once := service(ctx, "once")
		Expect(once.Kill(ctx, "TERM")).To(Succeed())
		Expect(asking(host, "once")(ctx)).NotTo(Succeed())
		Expect(once.Kill(ctx, "KILL")).To(MatchError(HavePrefix(didNotTake + "once does not run (exited, exit code 0): ")))

		impatient()
		Expect(host.Kill(ctx, "HUP")).To(MatchError(MatchRegexp("^" + didNotTake +
			"timed out waiting for the main process of host to end after 2[0-9.]*s: it still runs after SIGHUP: send a signal that it does not handle or ignore, such as KILL$")))
	})

	it("pause", func(ctx SpecContext) {
		frozen := service(ctx, "frozen")
		Expect(frozen.Pause(ctx)).To(Succeed())
		Expect(asking(host, "frozen")(ctx)).To(MatchError(ContainSubstring("exit 28")), "it does not answer in time")
		Expect(frozen.Pause(ctx)).To(MatchError(HavePrefix(didNotTake + "frozen is paused: ")))
		Expect(t.Evidence(ctx, GinkgoT().TempDir())).To(Succeed())
		Expect(frozen.Restore(ctx)).To(Succeed())
		Expect(asking(host, "frozen")(ctx)).To(Succeed())
		Expect(frozen.Pause(ctx)).To(Succeed())
		Expect(frozen.Remove(ctx)).To(Succeed())

		Expect(service(ctx, "paused").Pause(ctx)).To(Succeed()) // and Close removes it
	})

	it("disconnect", func(ctx SpecContext) {
		cut := service(ctx, "cut")
		Expect(cut.Disconnect(ctx)).To(Succeed())
		Expect(asking(host, "cut")(ctx)).NotTo(Succeed())
		Expect(cut.Disconnect(ctx)).To(MatchError(didNotTake + "cut is not on the testbed's network: remove what disconnected it before"))
		Expect(cut.Delay(ctx, time.Second)).To(MatchError(didNotTake + "cut is not on the testbed's network: remove what disconnected it before"))
		Expect(cut.Restore(ctx)).To(Succeed())
		Expect(asking(host, "cut")(ctx)).To(Succeed(), "it has its name again")
	})

	it("delay", func(ctx SpecContext) {
		const by = 300 * time.Millisecond
		slow := service(ctx, "slow")
		Expect(connecting(ctx, host, "slow")).To(BeNumerically("<", by/2))
		Expect(slow.Delay(ctx, by)).To(Succeed())
		Expect(connecting(ctx, host, "slow")).To(And(BeNumerically(">=", by), BeNumerically("<", 2*by)))
		Expect(slow.Delay(ctx, by)).To(MatchError(didNotTake + "slow has a delay already: keep one of the two"))
		Expect(slow.Restore(ctx)).To(Succeed())
		Expect(connecting(ctx, host, "slow")).To(BeNumerically("<", by/2))
	})

	it("cpus", func(ctx SpecContext) {
		busy := machine(ctx, "busy", "sleep", "infinity")
		count := func() float64 { // of what a loop does in a second
			GinkgoHelper()
			counted, err := busy.Output(ctx, `timeout 1 bash -c 'trap "echo \$i; exit" TERM; while :; do i=$((i + 1)); done' || true`)
			Expect(err).NotTo(HaveOccurred())
			n, err := strconv.ParseFloat(strings.TrimSpace(counted), 64)
			Expect(err).NotTo(HaveOccurred())
			return n
		}
		before := count()
		Expect(busy.LimitCPUs(ctx, 0.05)).To(Succeed())
		limited := count()
		Expect(limited).To(BeNumerically("<", before/3))
		Expect(busy.LimitCPUs(ctx, 0.1)).To(Succeed())
		Expect(busy.Restore(ctx)).To(Succeed())
		Expect(count()).To(BeNumerically(">", 2*limited))
		Expect(service(ctx, "idle").LimitCPUs(ctx, 0.5)).To(Succeed(), "of a service that runs nothing, and has nothing to run")
		Expect(busy.LimitCPUs(ctx, 1000)).To(MatchError(HavePrefix(didNotTake + "limit busy to 1000 processors: ")))
	})

	it("memory", func(ctx SpecContext) {
		greedy := machine(ctx, "greedy", "sleep", "infinity")
		const take = "head -c 60M /dev/zero | tail -c 60M | wc -c" // tail holds it all
		Expect(greedy.Run(ctx, take)).To(Succeed())
		Expect(greedy.LimitMemory(ctx, 1<<20)).To(MatchError(And(HavePrefix(didNotTake+"limit the memory of greedy to 1MiB: "),
			MatchRegexp("it uses [0-9.]+[KM]iB: write more than that, and at least 6MiB"))))
		Expect(greedy.LimitMemory(ctx, 32<<20)).To(Succeed())
		Expect(greedy.Run(ctx, "set -o pipefail; "+take)).To(MatchError(ContainSubstring("exit 137")))
		Expect(greedy.Restore(ctx)).To(Succeed())
		Expect(greedy.Run(ctx, "set -o pipefail; "+take)).To(Succeed())

		holds := machine(ctx, "holds", "bash", "-c", "exec tail -c 60M <(head -c 60M /dev/zero; echo full > /dev/shm/full; sleep infinity)")
		Eventually(ctx, func(ctx SpecContext) error { return holds.Run(ctx, "test -s /dev/shm/full") }).WithTimeout(testbed.Timeout).Should(Succeed())
		started := startedAt(ctx, holds)
		if err := holds.LimitMemory(ctx, 32<<20); err != nil { // a kernel with cgroup v2 ends it
			Expect(err).To(MatchError(And(HavePrefix(didNotTake+"limit the memory of holds to 32MiB: "), MatchRegexp("it uses 6[0-9.]+MiB: write more than that"))))
			Expect(startedAt(ctx, holds)).To(Equal(started))
		}
	})

	it("fill", func(ctx SpecContext) {
		const leave = 3 << 20
		Expect(host.Fill(ctx, "/sized", leave)).To(Succeed())
		free := func() int64 {
			GinkgoHelper()
			printed, err := host.Output(ctx, "df --output=avail --block-size=1 /sized | tail -n 1")
			Expect(err).NotTo(HaveOccurred())
			n, err := strconv.ParseInt(strings.TrimSpace(printed), 10, 64)
			Expect(err).NotTo(HaveOccurred())
			return n
		}
		Expect(free()).To(BeNumerically("~", leave, 4096))
		Expect(host.Fill(ctx, "/sized", 4<<20)).To(MatchError(didNotTake + "/sized of host has no more than 3MiB free already, and is to keep 4MiB: write less"))
		Expect(host.Fill(ctx, "/sized", 0)).To(Succeed())
		Expect(free()).To(BeZero())
		Expect(host.Run(ctx, "echo more > /sized/more")).To(MatchError(ContainSubstring("No space left on device")))
		Expect(host.Run(ctx, "rm /sized/fill && echo more > /sized/more")).To(Succeed())

		for folder, why := range map[string]string{
			"/unsized": "/unsized of host is on a volume without a size, which is on the machine's disk: give it a volume with a size: ",
			"/var/tmp": "/var/tmp of host is on the container's root, which is on the machine's disk: give it a volume with a size: ",
			"/none":    "df /none on host: exit 1: no such folder: name a folder that exists",
		} {
			Expect(host.Fill(ctx, folder, 0)).To(MatchError(HavePrefix(didNotTake + why)))
			Expect(host.Run(ctx, "! test -e "+folder+"/fill")).To(Succeed(), "nothing was written to "+folder)
		}
		web := service(ctx, "bare")
		Expect(web.Fill(ctx, "/", 0)).To(MatchError(And(HavePrefix(didNotTake), HaveSuffix("of a service that has sh, stat, df and head"))))
	})
})

// asking asks a service once, as a client on the host.
func asking(host *testbed.Container, name string) func(SpecContext) error {
	return func(ctx SpecContext) error {
		return host.Run(ctx, "curl -fsS --max-time 2 http://"+name+":8080/healthz")
	}
}

// connecting is how long a connection to a service takes, for a client on the host.
func connecting(ctx SpecContext, host *testbed.Container, name string) time.Duration {
	GinkgoHelper()
	printed, err := host.Output(ctx, `curl -fsS -o /dev/null -w '%{time_namelookup} %{time_connect}' http://`+name+":8080/healthz")
	Expect(err).NotTo(HaveOccurred())
	var lookup, connected float64
	_, err = fmt.Sscan(printed, &lookup, &connected)
	Expect(err).NotTo(HaveOccurred())
	return time.Duration((connected - lookup) * float64(time.Second))
}

func startedAt(ctx SpecContext, c *testbed.Container) string {
	GinkgoHelper()
	seen, err := c.Inspect(ctx)
	Expect(err).NotTo(HaveOccurred())
	return seen.State.StartedAt
}
