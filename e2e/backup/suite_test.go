// Package backup proves the alerts on backups and their runbooks: rules/backup.yml.
package backup

import (
	"testing"

	"github.com/stemedb/firedrill/e2e/stemedb"
)

var env = stemedb.Suite("backup")

func TestBackup(t *testing.T) { env.RunSpecs(t, "Backups") }
