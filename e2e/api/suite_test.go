// Package api proves the alerts on the API and its load balancer and their runbooks: rules/api.yml.
package api

import (
	"testing"

	"github.com/stemedb/firedrill/e2e/stemedb"
)

var env = stemedb.Suite("api")

func TestAPI(t *testing.T) { env.RunSpecs(t, "The API and its load balancer") }
