// Package meta proves the alerts on the monitoring itself and their runbooks: rules/meta.yml.
package meta

import (
	"testing"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

var (
	w *world.World
	_ = drill.Prepare("meta", &w)
)

func TestMeta(t *testing.T) { drill.Run(t, "The monitoring itself") }
