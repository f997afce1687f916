package skeleton

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// change is a file to write.
type change struct {
	path     string
	old, new []byte // old is nil for a file that must not be there yet
}

// apply makes all changes, or none: where one fails, those before it are undone.
func apply(changes []change) (err error) {
	var undo []func() error
	defer func() {
		for i := len(undo) - 1; err != nil && i >= 0; i-- {
			if failed := undo[i](); failed != nil {
				err = errors.Join(err, fmt.Errorf("undoing what was written: %w", failed))
			}
		}
	}()
	for _, c := range changes {
		folders, err := makeFolder(filepath.Dir(c.path))
		for _, folder := range folders {
			undo = append(undo, func() error { return os.Remove(folder) })
		}
		if err != nil {
			return fmt.Errorf("making a folder: %w", err)
		}
		if c.old != nil {
			if err := replace(c.path, c.old, c.new); err != nil {
				return fmt.Errorf("adding to %s: %w", c.path, err)
			}
			undo = append(undo, func() error { return replace(c.path, c.new, c.old) })
			continue
		}
		file, err := os.OpenFile(c.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists already: remove it, or choose another name", c.path)
		}
		if err != nil {
			return fmt.Errorf("writing: %w", err)
		}
		undo = append(undo, func() error { return os.Remove(c.path) })
		_, err = file.Write(c.new)
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	return nil
}

// makeFolder makes a folder and those above it, and returns the ones that were missing, outermost first.
func makeFolder(path string) (made []string, err error) {
	for missing := path; ; missing = filepath.Dir(missing) {
		if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append([]string{missing}, made...)
	}
	for i, folder := range made {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return made[:i], err
		}
	}
	return made, nil
}

// replace replaces the content of a file, unless it was edited meanwhile. A reader sees the old or the new content.
func replace(path string, old, new []byte) error {
	path, err := filepath.EvalSymlinks(path) // the file, not a link to it
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	now, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, old) {
		return errors.New("it was edited meanwhile")
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // fails once it is renamed
	_, err = file.Write(new)
	if err := errors.Join(err, file.Chmod(info.Mode()), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
