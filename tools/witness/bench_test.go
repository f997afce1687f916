package witness

import (
	"testing"

	"github.com/stemedb/firedrill/tools/engine/enginetest"
	"github.com/stemedb/firedrill/tools/rule"
)

func BenchmarkFind(b *testing.B) {
	enginetest.OverRules(b, func(b *testing.B, _ string, set rule.Set) error {
		_, err := Find(b.Context(), set, set.Alerts, DefaultInterval)
		return err
	})
}
