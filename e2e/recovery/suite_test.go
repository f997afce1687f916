// Package recovery rehearses disasters: what scenarios.yml describes comes true, its runbook is followed, and what comes
// of it is measured against the objectives there.
package recovery

import (
	"testing"

	_ "github.com/onsi/ginkgo/v2" // by which the ginkgo command knows a suite that it can run in parallel

	"github.com/stemedb/firedrill/e2e/stemedb"
)

var env = stemedb.Suite("recovery")

func TestRecovery(t *testing.T) { env.RunSpecs(t, "Disaster recovery") }
