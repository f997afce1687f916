package check

import (
	"testing"

	"github.com/stemedb/firedrill/tools/engine/enginetest"
	"github.com/stemedb/firedrill/tools/rule"
)

// BenchmarkCheck reads the rules each time, as pint does.
func BenchmarkCheck(b *testing.B) {
	enginetest.OverRules(b, func(b *testing.B, paths string, _ rule.Set) error {
		_, _, err := Run(b.Context(), Inputs{Rules: paths})
		return err
	})
}
