// Package page proves the report: what really happened is on its page, as Chromium shows it, and no secret is in it.
package page

import (
	"testing"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

var (
	w *world.World
	_ = drill.Prepare("page", &w)
)

func TestPage(t *testing.T) { drill.Run(t, "The report's page") }
