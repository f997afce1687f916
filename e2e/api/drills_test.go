package api

import (
	"context"
	"fmt"
	"time"

	"github.com/stemedb/firedrill/e2e/stemedb"
	"github.com/stemedb/firedrill/tools/drill"
)

// The branches of all runbooks about rules/api.yml.
var _ = env.Drills("api.yml", []drill.Drill{
	{
		Alert: "StemeDBDown", Branch: "If The Process Died", StaysFiring: true,
		Prepare: env.UnderLoad(stemedb.Traffic{Writes: 10, Connections: 2}),
		Fault:   env.Script("kill-until-systemd-gives-up.sh"),
		Also:    []string{"CertificateExpiryUnknown", "LoadBalancerUpstreamDown"},
		Verify:  env.NothingLost,
	},
	{
		Alert: "StemeDBDown", Branch: "If The Configuration Is Wrong",
		Prepare: env.UnderLoad(stemedb.Traffic{Writes: 10, Connections: 2}),
		Fault:   env.OnHost(`echo STEMEDB_CACHE_ENTRIES=many >> /etc/stemedb/stemedb.env; ! systemctl restart stemedb-api`),
		Also:    []string{"CertificateExpiryUnknown", "LoadBalancerUpstreamDown"},
		Verify:  env.NothingLost,
	},
	{
		Alert: "HighErrorRate", Branch: "If The Data Volume Is Read-Only", StaysFiring: true,
		Prepare: stemedb.All(env.OwnVolume(64<<20), env.UnderLoad(stemedb.Traffic{Preload: 2, Writes: 10, Reads: 10, Connections: 4})),
		Fault:   env.Script("data-read-only.sh"),
		Also:    []string{"WALFsyncFailing"},
		Verify:  env.NothingLost,
	},
	{
		Alert: "HighRequestLatency", Branch: "If The Disk Is Throttled", StaysFiring: true,
		Prepare: stemedb.All(env.OwnVolume(64<<20), env.UnderLoad(stemedb.Traffic{Writes: 10, Connections: 8})),
		Fault:   env.ThrottleDisk,
		Also:    []string{"WALFsyncSlow"},
		Verify:  env.NothingLost,
	},
	{
		Alert: "HighRequestLatency", Branch: "If The CPU Is Throttled", Exclusive: true,
		// Long answers, one at a time: what is short, such as a scrape, gets its turn in between.
		Prepare: stemedb.All(env.Setting("STEMEDB_MAX_BODY_BYTES=262144"),
			env.UnderLoad(stemedb.Traffic{Preload: 100, Size: 200 << 10, Lists: 1, Page: 100, Writes: 0.3, Connections: 1})),
		Fault:  throttleCPU,
		Verify: env.NothingLost,
	},
	{
		Alert: "RateLimitRejections", Branch: "If The Limit Is Too Low", StaysFiring: true,
		Prepare: env.UnderLoad(stemedb.Traffic{Lists: 8, Connections: 2}),
		Fault:   env.OnHost(`sed -i 's/^STEMEDB_RATE_LIMIT_LIST=.*/STEMEDB_RATE_LIMIT_LIST=5/' /etc/stemedb/stemedb.env && systemctl reload stemedb-api`),
		Verify:  env.AllAnswered,
	},
	{
		Alert: "RateLimitRejections", Branch: "If One Client Is Too Many",
		Prepare: stemedb.All(env.Setting("STEMEDB_RATE_LIMIT_LIST=20"), someClients),
		Fault:   oneClientTooMany,
		Verify:  oneClientRefused,
	},
	{
		Alert: "LoadBalancerUpstreamDown", Branch: "If nginx Sends To The Wrong Port", StaysFiring: true,
		Prepare: env.UnderLoad(stemedb.Traffic{Lists: 5, Connections: 2}),
		Fault:   env.OnHost(`sed -i 's/127.0.0.1:18180/127.0.0.1:18190/' /etc/nginx/stream.d/stemedb.conf && systemctl reload nginx`),
		Verify:  env.AllAnswered,
	},
})

// throttleCPU takes processor time away from stemedb-api until its clients feel it: how much is too little depends on the
// machine.
func throttleCPU(ctx context.Context) error {
	const slow = 2400 * time.Millisecond // for one of two that ask: the other is the load's client
	var took time.Duration
	for quota := 60; quota > 0; quota = quota * 2 / 3 {
		if err := env.Host().Run(ctx, fmt.Sprintf("systemctl set-property stemedb-api CPUQuota=%d%%", quota)); err != nil {
			return err
		}
		asked := time.Now()
		if _, err := env.Host().Get(ctx, "/v1/assertions?limit=100"); err != nil {
			return err
		}
		if took = time.Since(asked); took > slow {
			return nil
		}
	}
	return fmt.Errorf("with a hundredth of a processor, a list still took no longer than %s: does the kernel's cpu controller work?", took)
}

// others and tooMany are the requests of all other clients, and of the one that is too many.
var others, tooMany *stemedb.Load

func someClients(ctx context.Context) (err error) {
	others, err = env.Load(ctx, stemedb.Traffic{Lists: 5, Connections: 2})
	return err
}

func oneClientTooMany(ctx context.Context) error {
	machine, err := env.ClientMachine(ctx)
	if err != nil {
		return err
	}
	tooMany, err = env.Load(ctx, stemedb.Traffic{Lists: 40, Connections: 12, From: machine})
	return err
}

// oneClientRefused wants the one client refused, and the others answered.
func oneClientRefused(context.Context) (drill.Action, error) {
	return func(ctx context.Context) error {
		if err := env.Answered(ctx, others); err != nil {
			return err
		}
		before := tooMany.Answers()
		err := env.Answered(ctx, others) // for a second, in which the one client asks on
		if now := tooMany.Answers(); err == nil && now["ok"]+now["429"] > before["ok"]+before["429"] {
			err = fmt.Errorf("the client that is too many is still answered: %v, and before: %v", now, before)
		}
		return err
	}, nil
}
