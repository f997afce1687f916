// Package api proves the alerts on the API and its load balancer and their runbooks: rules/api.yml.
package api

import (
	"testing"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

var (
	w *world.World
	_ = drill.Prepare("api", &w)
)

func TestAPI(t *testing.T) { drill.Run(t, "The API and its load balancer") }
