// Package backup proves the alerts on backups and their runbooks: rules/backup.yml.
package backup

import (
	"testing"

	_ "github.com/onsi/ginkgo/v2" // by which the ginkgo command knows a suite that it can run in parallel

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

var (
	w *world.World
	_ = drill.Prepare("backup", &w)
)

func TestBackup(t *testing.T) { drill.Run(t, "Backups") }
