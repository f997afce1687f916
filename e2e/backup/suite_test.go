// Package backup proves the alerts on backups and their runbooks: rules/backup.yml.
package backup

import (
	"testing"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

var (
	w *world.World
	_ = drill.Prepare("backup", &w)
)

func TestBackup(t *testing.T) { drill.Run(t, "Backups") }
