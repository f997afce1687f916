package first

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
)

func TestFirst(t *testing.T) { RunSpecs(t, "One") }

var _ = BeforeSuite(func() { panic("a dry run starts no world") })

var _ = Describe("An alert", func() {
	It("fires", Label("Alert"), func() {})
	It("fires (at once)", Label("Alert"), func() {})
	It("fires again.*", func() {})
	It("is not written yet", Pending, func() {})
	for range 2 {
		It("has a namesake", func() {})
	}
})

var _ = Describe("In order", Ordered, func() {
	BeforeAll(func() { panic("a dry run does nothing") })
	It("breaks", func() {})
	It("clears", func() {})
})
