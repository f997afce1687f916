package journal

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stemedb/firedrill/tools/rule"
)

// Inputs are the rule files of a folder, and from another folder the runbooks of their alerts, with their hashes. A runbook
// that is missing is left out.
func Inputs(rules, runbooks string) ([]Input, error) {
	set, err := rule.ReadDir(rules)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, alert := range set.Alerts {
		files = append(files, alert.File)
		files = append(files, filepath.Join(runbooks, alert.Name+".md"))
	}
	for _, recording := range set.Recordings {
		files = append(files, recording.File)
	}
	slices.Sort(files)
	found := []Input{}
	for _, file := range slices.Compact(files) {
		content, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("hashing what is to be proven: %w", err)
		}
		sum := sha256.Sum256(content)
		found = append(found, Input{Path: inRepository(file), SHA256: hex.EncodeToString(sum[:])})
	}
	slices.SortFunc(found, func(a, b Input) int { return cmp.Compare(a.Path, b.Path) })
	return found, nil
}

// inRepository is a path as seen from the working directory, or as it is where it lies outside.
func inRepository(file string) string {
	dir, err := os.Getwd()
	if err != nil {
		return filepath.ToSlash(file)
	}
	absolute, err := filepath.Abs(file)
	if err != nil {
		return filepath.ToSlash(file)
	}
	if relative, err := filepath.Rel(dir, absolute); err == nil && filepath.IsLocal(relative) {
		return filepath.ToSlash(relative)
	}
	return filepath.ToSlash(file)
}

// modules are the programs whose versions go.mod says.
var modules = []struct{ name, path string }{
	{"Prometheus", "github.com/prometheus/prometheus"},
	{"Alertmanager", "github.com/prometheus/alertmanager"},
	{"Pebble", "github.com/letsencrypt/pebble/v2"},
	{"Versity S3 Gateway", "github.com/versity/versitygw"},
}

// Versions are those of the programs that are built from the go.mod of the working directory.
func Versions(ctx context.Context) ([]Component, error) {
	args := []string{"list", "-m", "-f", "{{.Version}}"}
	for _, module := range modules {
		args = append(args, module.path)
	}
	out, err := exec.CommandContext(ctx, "go", args...).Output()
	lines := strings.Fields(string(out))
	if err != nil || len(lines) != len(modules) {
		return nil, fmt.Errorf("asking go for the versions in go.mod: %w", cmp.Or(err, errors.New("it did not tell each")))
	}
	var found []Component
	for i, module := range modules {
		found = append(found, Component{Name: module.name, Version: release(module.path, lines[i])})
	}
	return found, nil
}

// release is a version as its project tells it: Prometheus 3.16.0 is the module's v0.316.0,
// https://github.com/prometheus/prometheus#prometheus-code-base
func release(path, version string) string {
	number := strings.TrimPrefix(version, "v")
	if minor, ok := strings.CutPrefix(number, "0.3"); ok && path == modules[0].path && len(minor) > 2 {
		return "3." + strings.TrimPrefix(minor[:2], "0") + minor[2:]
	}
	return number
}

// Commit is git's name of what is checked out in the working directory, and whether the working tree differs from it; empty
// where there is no git.
func Commit(ctx context.Context) (name string, dirty bool) {
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "HEAD").Output()
	if err != nil {
		return "", false
	}
	changes, err := exec.CommandContext(ctx, "git", "status", "--porcelain").Output()
	return strings.TrimSpace(string(head)), err != nil || len(changes) > 0
}
