package meta

import "github.com/stemedb/firedrill/tools/drill"

// The branches of all runbooks about rules/meta.yml but that of Watchdog, which always fires.
var _ = env.Drills("meta.yml", []drill.Drill{{
	Alert: "TargetMissing", Branch: "If The Target Is Gone From The Configuration", StaysFiring: true,
	Fault: env.OnHost("rm /etc/prometheus/targets/stemedb-api.yml"),
	Also:  []string{"CertificateExpiryUnknown"},
}})
