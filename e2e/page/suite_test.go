// Package page proves the report: what really happened is on its page, as Chromium shows it, and no secret is in it.
package page

import (
	"testing"

	"github.com/stemedb/firedrill/e2e/stemedb"
)

var env = stemedb.Suite("page")

func TestPage(t *testing.T) { env.RunSpecs(t, "The report's page") }
