// Package tls proves the alerts on certificates and their runbooks: rules/tls.yml.
package tls

import (
	"testing"
	"time"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

const day = 24 * time.Hour

var (
	w *world.World
	_ = drill.Prepare("tls", &w)
)

func TestTLS(t *testing.T) { drill.Run(t, "TLS certificates") }
