package stemedb

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stemedb/firedrill/tools/drill"
)

// All is one action after the other.
func All(actions ...drill.Action) drill.Action {
	return func(ctx context.Context) error {
		for _, action := range actions {
			if err := action(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// OnHost runs a line of bash on the host, as root.
func (e *Environment) OnHost(line string) drill.Action {
	return func(ctx context.Context) error { return e.Host().Run(ctx, line) }
}

// Script runs a script of the suite's folder faults on the host, as root.
func (e *Environment) Script(name string, args ...string) drill.Action {
	return func(ctx context.Context) error { return e.Host().script(ctx, "faults/"+name, args...) }
}

// OwnVolume puts the data on a file system of that many bytes.
func (e *Environment) OwnVolume(bytes int64) drill.Action {
	return func(ctx context.Context) error { return e.Host().OwnVolume(ctx, bytes) }
}

// ThrottleDisk lets stemedb-api write 4 kB a second to its data volume.
func (e *Environment) ThrottleDisk(ctx context.Context) error {
	return e.Host().script(ctx, "../stemedb/faults/throttle-disk.sh")
}

// Setting changes settings of stemedb-api, NAME=value each, and restarts it with them.
func (e *Environment) Setting(settings ...string) drill.Action {
	var script strings.Builder
	script.WriteString("set -e\n")
	for _, s := range settings {
		name, _, _ := strings.Cut(s, "=")
		fmt.Fprintf(&script, "sed -i '/^%s=/d' /etc/stemedb/stemedb.env\necho '%s' >> /etc/stemedb/stemedb.env\n", name, s)
	}
	return e.OnHost(script.String() + "systemctl restart stemedb-api")
}

// Expiring is a certificate that has so long left.
func (e *Environment) Expiring(issuer Issuer, left time.Duration) drill.Action {
	return func(ctx context.Context) error {
		certificate, err := e.Issue(ctx, issuer, left)
		if err != nil {
			return err
		}
		return e.Host().Install(ctx, certificate)
	}
}

// Expired is a certificate of Let's Encrypt that expires while it is served. The service is restarted in its last seconds:
// it refuses to reload a certificate that has expired.
func (e *Environment) Expired(ctx context.Context) error {
	certificate, err := e.Issue(ctx, LetsEncrypt, 2*time.Second)
	if err != nil {
		return err
	}
	if err := e.Host().Place(ctx, certificate); err != nil {
		return err
	}
	if err := e.Host().Run(ctx, "systemctl restart stemedb-api"); err != nil {
		return err
	}
	select {
	case <-time.After(time.Until(certificate.Leaf.NotAfter)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// KeyGone removes the certificate's private key where the service reads it and where certbot does.
func (e *Environment) KeyGone(ctx context.Context) error {
	return e.Host().Run(ctx, "rm /etc/stemedb/tls/key.pem /etc/letsencrypt/live/*/privkey.pem /etc/letsencrypt/archive/*/privkey*.pem")
}

// UnderLoad is traffic that goes on for the rest of the spec.
func (e *Environment) UnderLoad(t Traffic) drill.Action {
	return func(ctx context.Context) error {
		_, err := e.Load(ctx, t)
		return err
	}
}

// WarmedUp waits until rates are those that go on: a cache that has just begun to fill misses more than it will, and a leap
// would hold that for an hour.
func (e *Environment) WarmedUp(ctx context.Context) error { return e.Steady(ctx) }

// FillUntil has clients write more than the load does, until a line of bash on the host succeeds.
func (e *Environment) FillUntil(line string) drill.Action {
	return func(ctx context.Context) error {
		for e.Host().Run(ctx, line) != nil {
			if err := e.load.Fill(ctx, 40); err != nil {
				return err
			}
		}
		return nil
	}
}

// NothingLost wants, in the end, all that was ever acknowledged still there, and new writes acknowledged.
func (e *Environment) NothingLost(context.Context) (drill.Action, error) {
	return func(ctx context.Context) error {
		written := e.load.Written()
		err := e.Await(ctx, "a write to be acknowledged", func(context.Context) error {
			if e.load.Written() > written {
				return nil
			}
			return fmt.Errorf("requests, by how they were answered: %v", e.load.Answers())
		})
		if err != nil {
			return err
		}
		lost, err := e.load.Lost(ctx)
		if err == nil && len(lost) > 0 {
			err = fmt.Errorf("%d of %d writes that were acknowledged are lost, the first of %s", len(lost), e.load.Written(), lost[0].At.Format(time.TimeOnly))
		}
		return err
	}, nil
}

// AllAnswered wants, in the end, the requests of the load that was started last answered with 2xx.
func (e *Environment) AllAnswered(context.Context) (drill.Action, error) {
	return func(ctx context.Context) error { return e.Answered(ctx, e.load) }, nil
}

// Answered waits until six requests are answered with 2xx, and wants no more of those that are not.
func (e *Environment) Answered(ctx context.Context, l *Load) error {
	before := l.Answers()
	var now map[string]int
	err := e.Await(ctx, "six requests to be answered", func(context.Context) error {
		if now = l.Answers(); now["ok"] > before["ok"]+5 {
			return nil
		}
		return fmt.Errorf("requests, by how they were answered: %v, and before: %v", now, before)
	})
	for how, count := range now {
		if err == nil && how != "ok" && count != before[how] {
			err = fmt.Errorf("%d requests were not answered with 2xx: %s", count-before[how], how)
		}
	}
	return err
}
