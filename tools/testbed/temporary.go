package testbed

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// What a run has in the machine's folder for temporary files, each named firedrill-KIND-PID-… after the run's process, so that
// Sweep can remove what a run that was killed has left.
const (
	temporaryRelay    = "ssh"
	TemporarySecrets  = "secrets"
	TemporaryEvidence = "evidence"
	temporaryLeap     = "leap"
)

// MkdirTemp makes a folder for temporary files of this run.
func MkdirTemp(kind string) (string, error) { return os.MkdirTemp("", temporaryName(kind)) }

// CreateTemp makes a temporary file of this run.
func CreateTemp(kind string) (*os.File, error) { return os.CreateTemp("", temporaryName(kind)) }

func temporaryName(kind string) string { return fmt.Sprintf("firedrill-%s-%d-", kind, os.Getpid()) }

// sweepTemporary removes what runs have left that have ended. What is another user's stays.
func sweepTemporary() {
	for _, kind := range []string{temporaryRelay, TemporarySecrets, TemporaryEvidence, temporaryLeap} {
		prefix := "firedrill-" + kind + "-"
		left, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*")) // a pattern that is well formed
		for _, name := range left {
			number, _, named := strings.Cut(strings.TrimPrefix(filepath.Base(name), prefix), "-")
			if pid, err := strconv.Atoi(number); named && err == nil && !alive(pid) {
				os.RemoveAll(name)
			}
		}
	}
}
