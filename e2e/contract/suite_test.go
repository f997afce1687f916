// Package contract asks the running stemedb-api, the reference server or a user's, for what
// fixtures/stemedb-api/CONTRACT.md says that Firedrill needs of it.
package contract

import (
	"testing"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

var (
	w *world.World
	_ = drill.Prepare("contract", &w)
)

func TestContract(t *testing.T) { drill.Run(t, "The contract of stemedb-api") }
