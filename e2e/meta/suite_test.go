// Package meta proves the alerts on the monitoring itself and their runbooks: rules/meta.yml.
package meta

import (
	"testing"

	"github.com/stemedb/firedrill/e2e/stemedb"
)

var env = stemedb.Suite("meta")

func TestMeta(t *testing.T) { env.RunSpecs(t, "The monitoring itself") }
