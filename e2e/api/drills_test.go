package api

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

// The branches of all runbooks about rules/api.yml.
var _ = drill.Branches("api.yml", []drill.Drill{
	{Alert: "StemeDBDown", Branch: "If The Process Died", Alone: true, Well: drill.NothingLost,
		Before: drill.Under(world.Traffic{Writes: 10, Connections: 2}), Fault: drill.OnHost(killedAgainAndAgain),
		Also: []string{"CertificateExpiryUnknown", "LoadBalancerUpstreamDown"}},
	{Alert: "StemeDBDown", Branch: "If The Configuration Is Wrong", Well: drill.NothingLost,
		Before: drill.Under(world.Traffic{Writes: 10, Connections: 2}),
		Fault:  drill.OnHost(`echo STEMEDB_CACHE_ENTRIES=many >> /etc/stemedb/stemedb.env; ! systemctl restart stemedb-api`),
		Also:   []string{"CertificateExpiryUnknown", "LoadBalancerUpstreamDown"}},

	{Alert: "HighErrorRate", Branch: "If The Data Volume Is Read-Only", Alone: true, Long: true, Well: drill.NothingLost,
		Before: drill.All(drill.VolumeOf(64<<20), drill.Under(world.Traffic{Stock: 2, Writes: 10, Reads: 10, Connections: 4})),
		Fault:  drill.OnHost(`set -e; systemctl stop stemedb-api; mount -o remount,ro /var/lib/stemedb; systemctl start stemedb-api`),
		Also:   []string{"WALFsyncFailing"}},

	{Alert: "HighRequestLatency", Branch: "If The Disk Is Throttled", Alone: true, Long: true, Well: drill.NothingLost,
		Before: drill.All(drill.VolumeOf(64<<20), drill.Under(world.Traffic{Writes: 10, Connections: 8})),
		Fault:  drill.OnHost(`systemctl set-property stemedb-api "IOWriteBandwidthMax=/var/lib/stemedb 4K"`),
		Also:   []string{"WALFsyncSlow"}},
	{Alert: "HighRequestLatency", Branch: "If The CPU Is Throttled", Well: drill.NothingLost,
		// Long answers, one at a time: what is short, such as a scrape, gets its turn in between.
		Before: drill.All(drill.Setting("STEMEDB_MAX_BODY_BYTES=262144"),
			drill.Under(world.Traffic{Stock: 100, Size: 200 << 10, Lists: 1, Page: 100, Writes: 0.3, Connections: 1})),
		Fault: starved, Serial: true},

	{Alert: "RateLimitRejections", Branch: "If The Limit Is Too Low", Alone: true, Long: true, Well: drill.Answered,
		Before: drill.Under(world.Traffic{Lists: 8, Connections: 2}),
		Fault:  drill.OnHost(`sed -i 's/^STEMEDB_RATE_LIMIT_LIST=.*/STEMEDB_RATE_LIMIT_LIST=5/' /etc/stemedb/stemedb.env && systemctl reload stemedb-api`)},
	{Alert: "RateLimitRejections", Branch: "If One Client Is Too Many", Long: true, Well: neighbourTurnedAway,
		Before: drill.All(drill.Setting("STEMEDB_RATE_LIMIT_LIST=20"), drill.Under(world.Traffic{Lists: 5, Connections: 2})),
		Fault:  oneTooMany},

	{Alert: "LoadBalancerUpstreamDown", Branch: "If nginx Sends To The Wrong Port", Alone: true, Well: drill.Answered,
		Before: drill.Under(world.Traffic{Lists: 5, Connections: 2}),
		Fault:  drill.OnHost(`sed -i 's/127.0.0.1:18180/127.0.0.1:18190/' /etc/nginx/stream.d/stemedb.conf && systemctl reload nginx`)},
})

// killedAgainAndAgain kills the process, as the kernel does when memory runs out, until systemd gives up.
const killedAgainAndAgain = `
until [ "$(systemctl show --property Result --value stemedb-api)" = start-limit-hit ] || [ "$(systemctl is-active stemedb-api)" = failed ]; do
	systemctl kill --signal KILL stemedb-api
	sleep 0.1
done
`

// starved takes processor time away from stemedb-api until its clients feel it: how much is too little depends on the
// machine.
func starved(ctx context.Context, host *world.Host) error {
	const feltByOneOfTwo = 2400 * time.Millisecond // the other is the load's own client
	var took time.Duration
	for quota := 60; quota > 0; quota = quota * 2 / 3 {
		if err := host.Run(ctx, fmt.Sprintf("systemctl set-property stemedb-api CPUQuota=%d%%", quota)); err != nil {
			return err
		}
		asked := time.Now()
		if _, err := host.Get(ctx, "/v1/assertions?limit=100"); err != nil {
			return err
		}
		if took = time.Since(asked); took > feltByOneOfTwo {
			return nil
		}
	}
	return fmt.Errorf("with a hundredth of a processor, a list still took no longer than %s", took)
}

// neighbour is where the client that is too many sits, and its requests.
var neighbour *world.Load

func oneTooMany(ctx context.Context, _ *world.Host) error {
	from, err := w.Neighbour(ctx)
	if err != nil {
		return err
	}
	neighbour, err = w.Load(ctx, world.Traffic{Lists: 40, Connections: 12, From: from})
	return err
}

// neighbourTurnedAway is the one client turned away, and the others served.
func neighbourTurnedAway(ctx SpecContext, host *world.Host) func(SpecContext) {
	others := drill.Answered(ctx, host)
	return func(ctx SpecContext) {
		GinkgoHelper()
		others(ctx)
		before := neighbour.Answers()["ok"] + neighbour.Answers()["429"]
		Consistently(ctx, func() int { return neighbour.Answers()["ok"] + neighbour.Answers()["429"] }).Should(Equal(before))
	}
}
