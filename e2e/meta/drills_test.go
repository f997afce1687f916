package meta

import (
	"github.com/stemedb/firedrill/e2e/drill"
)

// The branches of all runbooks about rules/meta.yml but that of Watchdog, which never clears.
var _ = drill.Branches("meta.yml", []drill.Drill{
	{Alert: "TargetMissing", Branch: "If The Target Is Gone From The Configuration", Alone: true,
		Fault: drill.OnHost("rm /etc/prometheus/targets/stemedb-api.yml"), Also: []string{"CertificateExpiryUnknown"}},
})
