package journal

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
	"github.com/stemedb/firedrill/tools/source"
)

// Inputs are the rule files of a set, the runbooks of its alerts from a folder, and other files, with their hashes. A runbook
// that does not exist is left out.
func Inputs(set rule.Set, runbooks string, grammar runbook.Grammar, others ...string) ([]Input, error) {
	files := others
	for _, f := range set.Files {
		files = append(files, f.Path)
	}
	folder, err := runbook.ReadFolder(runbooks, grammar)
	if err != nil {
		return nil, err
	}
	for _, alert := range set.Alerts {
		if book, err := folder.For(alert.Name, alert.Annotations["runbook_url"]); err == nil {
			files = append(files, book.Path)
		}
	}
	slices.Sort(files)
	found := []Input{}
	for _, file := range slices.Compact(files) {
		content, err := os.ReadFile(file)
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

// Versions are those of the tools in the go.mod of Firedrill's source, from which images are built and by which suites are
// run: one for each module, named after it. Where the source is not on this machine, they are those of Prometheus and
// Alertmanager that this program is built with.
func Versions(ctx context.Context) ([]Component, error) {
	root, err := source.Root(ctx)
	if errors.Is(err, source.ErrNone) {
		return builtWith(debug.ReadBuildInfo()), nil
	}
	if err != nil {
		return nil, err
	}
	return toolsIn(filepath.Join(root, "go.mod"))
}

// toolsIn are the tools of a go.mod.
func toolsIn(file string) ([]Component, error) {
	content, err := os.ReadFile(file)
	var mod *modfile.File
	if err == nil {
		mod, err = modfile.Parse(file, content, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the tools in go.mod: %w", err)
	}
	found := []Component{}
	for _, module := range mod.Require {
		for _, tool := range mod.Tool {
			if strings.HasPrefix(tool.Path+"/", module.Mod.Path+"/") {
				found = append(found, component(module.Mod.Path, module.Mod.Version))
				break
			}
		}
	}
	return found, nil
}

// builtWith are Alertmanager and Prometheus as a program has them.
func builtWith(info *debug.BuildInfo, _ bool) []Component {
	found := []Component{}
	if info == nil {
		return found
	}
	for _, module := range info.Deps {
		if module.Path == "github.com/prometheus/alertmanager" || module.Path == prometheusModule {
			found = append(found, component(module.Path, module.Version))
		}
	}
	return found
}

func component(module, version string) Component {
	return Component{Name: path.Base(versionSuffix.ReplaceAllString(module, "")), Version: release(module, version)}
}

const prometheusModule = "github.com/prometheus/prometheus"

// release is the version of a project's release: Prometheus 3.16.0 is the module's v0.316.0,
// https://github.com/prometheus/prometheus#prometheus-code-base
func release(module, version string) string {
	number := strings.TrimPrefix(version, "v")
	if minor, ok := strings.CutPrefix(number, "0.3"); ok && module == prometheusModule && len(minor) > 2 {
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
