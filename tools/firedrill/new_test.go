package main

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestNewAlert(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	status, stdout, stderr := firedrill(t, t.Context(), "new", "alert", "DiskFull")
	g.Expect(status).To(Equal(exitProven), stderr)
	g.Expect(stdout).To(HavePrefix("rules/disk_full.yml\nrules/disk_full_test.yml\nrunbooks/DiskFull.md\ne2e/disk_full/suite_test.go\ne2e/disk_full/diskfull_test.go\n"))

	status, stdout, _ = firedrill(t, t.Context(), "check", "--alertmanager=")
	g.Expect(status).To(Equal(exitFound))
	g.Expect(stdout).To(ContainSubstring(`DiskFull is not filled in, since its expr says "TODO_disk_full"`))

	status, _, stderr = firedrill(t, t.Context(), "new", "alert", "DiskFull")
	g.Expect(status).To(Equal(exitBadInput))
	g.Expect(stderr).To(Equal("firedrill: rules/disk_full.yml:4: an alert DiskFull exists already: choose another name\n"))
	status, _, stderr = firedrill(t, t.Context(), "new")
	g.Expect(status).To(Equal(exitBadInput))
	g.Expect(stderr).To(Equal("firedrill: new what? write firedrill new alert NAME\n"))
}
