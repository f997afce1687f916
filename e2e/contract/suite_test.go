// Package contract asks the running stemedb-api, the reference server or a user's, for what
// fixtures/stemedb-api/CONTRACT.md says that Firedrill needs of it.
package contract

import (
	"testing"

	"github.com/stemedb/firedrill/e2e/stemedb"
)

var env = stemedb.Suite("contract")

func TestContract(t *testing.T) { env.RunSpecs(t, "The contract of stemedb-api") }
