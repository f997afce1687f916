package journal

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
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
			return nil, fmt.Errorf("hashing rules and runbooks: %w", err)
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

// versionSuffix is the end of a module's path from its second major version on.
var versionSuffix = regexp.MustCompile(`/v\d+$`)

// Versions are those of the tools in the go.mod of the working directory, which the suites run: one for each module, named
// after it.
func Versions(ctx context.Context) ([]Component, error) {
	out, err := exec.CommandContext(ctx, "go", "mod", "edit", "-json").Output()
	var mod struct {
		Tool, Require []struct{ Path, Version string }
	}
	if err == nil {
		err = json.Unmarshal(out, &mod)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the tools in go.mod: %w", err)
	}
	found := []Component{}
	for _, module := range mod.Require {
		for _, tool := range mod.Tool {
			if strings.HasPrefix(tool.Path+"/", module.Path+"/") {
				found = append(found, Component{Name: path.Base(versionSuffix.ReplaceAllString(module.Path, "")), Version: release(module.Path, module.Version)})
				break
			}
		}
	}
	return found, nil
}

// release is the version of a project's release: Prometheus 3.16.0 is the module's v0.316.0,
// https://github.com/prometheus/prometheus#prometheus-code-base
func release(module, version string) string {
	number := strings.TrimPrefix(version, "v")
	if minor, ok := strings.CutPrefix(number, "0.3"); ok && module == "github.com/prometheus/prometheus" && len(minor) > 2 {
		return "3." + strings.TrimPrefix(minor[:2], "0") + minor[2:]
	}
	return number
}

// Commit is the commit that is checked out in the working directory, and whether the working tree differs from it; empty
// outside of a git repository.
func Commit(ctx context.Context) (name string, dirty bool) {
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "HEAD").Output()
	if err != nil {
		return "", false
	}
	changes, err := exec.CommandContext(ctx, "git", "status", "--porcelain").Output()
	return strings.TrimSpace(string(head)), err != nil || len(changes) > 0
}
