// Package storage proves the alerts on storage and its write-ahead log and their runbooks: rules/storage.yml.
package storage

import (
	"testing"

	_ "github.com/onsi/ginkgo/v2" // by which the ginkgo command knows a suite that it can run in parallel

	"github.com/stemedb/firedrill/e2e/stemedb"
)

var env = stemedb.Suite("storage")

func TestStorage(t *testing.T) { env.RunSpecs(t, "Storage and write-ahead log") }
