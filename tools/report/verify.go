package report

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// Verify compares each file of a report with its manifest, and returns a sentence for each that was changed, is missing
// or is there in addition, in the order of their names. The manifest can be changed
// as well: a signature of the in-toto statement protects against that. It is an error if dir is not a report, or cannot be read.
func Verify(dir string) ([]string, error) {
	sums, err := manifestOf(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{PageFile, JournalFile, JUnitFile, StatementFile} {
		if _, ok := sums[name]; !ok {
			return nil, fmt.Errorf("%s is not a report: its %s does not list %s", dir, ManifestFile, name)
		}
	}
	var wrong []string
	err = filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		want, listed := sums[name]
		delete(sums, name)
		switch {
		case name == ManifestFile:
		case !listed:
			wrong = append(wrong, fmt.Sprintf("%s is not in %s", name, ManifestFile))
		case !entry.Type().IsRegular():
			wrong = append(wrong, name+" is not a regular file")
		default:
			sum, err := sumOf(file)
			if err != nil {
				return err
			}
			if sum != want {
				wrong = append(wrong, fmt.Sprintf("%s was changed: its SHA-256 is %s, not %s", name, sum, want))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("verifying %s: %w", dir, err)
	}
	for name := range sums {
		wrong = append(wrong, name+" is missing")
	}
	slices.Sort(wrong)
	return wrong, nil
}

// unlisted are the files of a report that its manifest does not list, by their paths in it.
func unlisted(dir string) (names []string, err error) {
	sums, err := manifestOf(dir)
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if _, listed := sums[filepath.ToSlash(name)]; !listed && name != ManifestFile {
			names = append(names, name)
		}
		return err
	})
	return names, err
}

// manifestOf returns the sums of a report by their files' names.
func manifestOf(dir string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		return nil, fmt.Errorf("%s is not a report: it has no %s (%w)", dir, ManifestFile, err)
	}
	sums, err := readManifest(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, ManifestFile), err)
	}
	return sums, nil
}

// manifestLine is a line of sha256sum, https://www.gnu.org/software/coreutils/manual/html_node/md5sum-invocation.html
var manifestLine = regexp.MustCompile(`^([0-9a-f]{64}) [ *](.+)$`)

// readManifest returns the sums by their files' names.
func readManifest(text []byte) (map[string]string, error) {
	sums := map[string]string{}
	scanner := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; scanner.Scan(); number++ {
		found := manifestLine.FindStringSubmatch(scanner.Text())
		switch {
		case found == nil:
			return nil, fmt.Errorf("line %d, %.80q, is not a line of sha256sum: write 64 hexadecimal digits, two blanks and a path", number, scanner.Text())
		case !local(found[2]):
			return nil, fmt.Errorf("line %d names %.80q, which is not a path within the report", number, found[2])
		case sums[found[2]] != "":
			return nil, fmt.Errorf("line %d names %s a second time", number, found[2])
		}
		sums[found[2]] = found[1]
	}
	if err := scanner.Err(); err != nil {
		return nil, errors.New("it has a line that is too long for sha256sum")
	}
	return sums, nil
}

func sumOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
