package second

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
)

func TestSecond(t *testing.T) { RunSpecs(t, "One, and another") }

var _ = SynchronizedBeforeSuite(func() { panic("a dry run starts no world") }, func() {})

var _ = It("breaks", func() {})

var _ = Describe("Another", func() {
	It("says \"$x\" | y\nin two lines", Label("Alert"), func() {})
})
