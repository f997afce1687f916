// Package recovery rehearses disasters: what scenarios.yml describes comes true, its runbook is followed, and what comes
// of it is measured against the objectives there.
package recovery

import (
	"testing"

	_ "github.com/onsi/ginkgo/v2" // by which the ginkgo command knows a suite that it can run in parallel

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

var (
	w *world.World
	_ = drill.Prepare("recovery", &w)
)

func TestRecovery(t *testing.T) { drill.Run(t, "Disaster recovery") }
