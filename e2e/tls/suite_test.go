// Package tls proves the alerts on certificates and their runbooks: rules/tls.yml.
package tls

import (
	"testing"
	"time"

	"github.com/stemedb/firedrill/e2e/stemedb"
)

const day = 24 * time.Hour

var env = stemedb.Suite("tls")

func TestTLS(t *testing.T) { env.RunSpecs(t, "TLS certificates") }
