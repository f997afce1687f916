package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/rule"
)

// quiet is how long nothing more must be saved before a check: an editor that saves does so in several steps.
const quiet = 100 * time.Millisecond

func watchCommand() *cobra.Command {
	var in inputs
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Check again on each save, until interrupted",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return in.watch(cmd.Context(), cmd.OutOrStdout())
		},
	}
	in.addFlags(cmd)
	return cmd
}

// watch checks the inputs, and again each time one of them is saved, until ctx is done. What is wrong with them is
// printed and is no reason to end.
func (in *inputs) watch(ctx context.Context, w io.Writer) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching for saves: %w", err)
	}
	defer watcher.Close()
	if err := in.load(); err != nil {
		return err
	}
	folders, err := in.watchFolders(watcher)
	if err != nil {
		return err
	}
	in.checkNow(ctx, w, "watching "+strings.Join(in.watched(), ", "), nil)

	var saved []string
	due := time.NewTimer(quiet)
	due.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-watcher.Events:
			if in.reads(event, folders) {
				saved = append(saved, filepath.Clean(event.Name))
				due.Reset(quiet)
			}
		case err := <-watcher.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("watching for saves: %w", err)
			}
			due.Reset(quiet) // too many events to tell which
		case <-due.C:
			err := in.load()
			folders, _ = in.watchFolders(watcher) // a folder that was replaced; of one that is gone, the check tells
			slices.Sort(saved)
			in.checkNow(ctx, w, "saved "+strings.Join(slices.Compact(saved), ", "), err)
			saved = nil
		}
	}
}

// rulePaths are the rule files, folders and patterns of them that --rules or a firedrill.yml names, and the Prometheus
// configurations that name some.
func (in *inputs) rulePaths() []string {
	paths := filepath.SplitList(in.Rules)
	if in.Set != nil {
		paths = in.project.Rules
	}
	var all []string
	for _, path := range paths {
		all = append(all, filepath.Clean(path))
		if patterns, isConfig, _ := rule.Patterns(path); isConfig { // of one that cannot be read, the check tells
			all = append(all, patterns...)
		}
	}
	return all
}

// watched are the folders, files and patterns of them whose change calls for a check.
func (in *inputs) watched() []string {
	present, _ := in.present()
	paths := append(slices.Clone(in.rulePaths()), present.Runbooks, present.Alertmanager, present.Prometheus, present.Programs)
	if in.project != nil {
		paths = append(append(paths, in.project.File), in.project.Compose...)
	}
	paths = slices.DeleteFunc(paths, func(path string) bool { return path == "" })
	for i := range paths {
		paths[i] = filepath.Clean(paths[i])
	}
	return paths
}

// watchFolders watches what is watched, and the folders above: an editor saves a file by putting another in its place, and
// git does the same with a folder. To watch one twice is to watch it once. It returns the folders in which there may be
// rule files or runbooks.
func (in *inputs) watchFolders(watcher *fsnotify.Watcher) ([]string, error) {
	var folders []string
	var errs []error
	for _, path := range in.watched() {
		found, _ := filepath.Glob(path) // of a pattern, what it matches
		if len(found) == 0 {
			found = []string{path}
		}
		for _, name := range found {
			errs = append(errs, watcher.Add(filepath.Dir(name)))
			info, err := os.Stat(name)
			switch {
			case err != nil:
				errs = append(errs, err)
			case info.IsDir():
				below, _, err := rule.Walk(name)
				folders, errs = append(folders, below...), append(errs, err)
			case slices.Contains(in.rulePaths(), path):
				folders = append(folders, filepath.Dir(name))
			}
		}
	}
	for _, folder := range folders {
		errs = append(errs, watcher.Add(folder))
	}
	if err := errors.Join(errs...); err != nil {
		return folders, fmt.Errorf("watching for saves: %w", err)
	}
	return folders, nil
}

// reads reports whether an event is about something that a check reads, and not, say, an editor's swap file. The folders
// are those that may hold rule files or runbooks.
func (in *inputs) reads(event fsnotify.Event, folders []string) bool {
	if event.Op == fsnotify.Chmod {
		return false
	}
	path := filepath.Clean(event.Name)
	if slices.Contains(in.watched(), path) || slices.Contains(folders, path) {
		return true
	}
	if !slices.Contains(folders, filepath.Dir(path)) {
		return false
	}
	info, err := os.Stat(path)
	return rule.IsFile(filepath.Base(path)) || filepath.Ext(path) == ".md" || err == nil && info.IsDir()
}

// checkNow prints one block: when and why, what the check says, and how long it took. There is no check where err says why
// the inputs cannot be read.
func (in *inputs) checkNow(ctx context.Context, w io.Writer, why string, err error) {
	if isTerminal(w) {
		fmt.Fprint(w, "\x1b[H\x1b[2J\x1b[3J") // to the top of a screen that is empty
	}
	began := time.Now()
	fmt.Fprintf(w, "%s %s\n", began.Format(time.TimeOnly), why)
	if err == nil {
		err = in.check(ctx, w, output{format: "text"})
	}
	if err != nil && !errors.Is(err, errFound) {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(w, "check: %s\n", strings.TrimRight(line, "\n"))
		}
	}
	fmt.Fprintf(w, "took %s\n\n", time.Since(began).Round(time.Millisecond))
}
