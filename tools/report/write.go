package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/redact"
)

// The files of a report. Evidence, where there is any, is in folders below evidence/.
const (
	PageFile      = "index.html"
	JournalFile   = "journal.json"
	JUnitFile     = "junit.xml"
	StatementFile = "test-result.intoto.json"
	ManifestFile  = "SHA256SUMS"
)

// Source is what a report is made of.
type Source struct {
	Journal  journal.Journal
	JUnit    [][]byte         // JUnit reports, which are joined
	Evidence []string         // folders that hold the folders of evidence which the journal's proofs name
	Previous *journal.Journal // the run to compare with; nil where there is none
	Secrets  redact.Redactor
}

// Write writes a report into dir, in place of the report that is there. A dir that holds anything else is an error, and
// is left as it is. It returns the journal as it was written, without secrets.
func Write(dir string, s Source) (journal.Journal, error) {
	if err := Replaceable(dir); err != nil {
		return journal.Journal{}, err
	}
	f := files{secrets: s.Secrets, content: map[string][]byte{}}

	// All that follows is made of the journal without secrets: a secret that was cut short, as in a headline, could not be
	// recognised any more.
	j, text, err := without(s.Secrets, s.Journal)
	if err != nil {
		return journal.Journal{}, err
	}
	f.add(JournalFile, text)
	page, err := writePage(j, s.Previous)
	if err != nil {
		return journal.Journal{}, err
	}
	f.add(PageFile, page)
	statement, err := statementOf(j, text)
	if err != nil {
		return journal.Journal{}, err
	}
	f.add(StatementFile, statement)
	junit, err := joinJUnit(s.JUnit)
	if err != nil {
		return journal.Journal{}, err
	}
	f.add(JUnitFile, junit)
	for _, p := range j.Proofs {
		if p.Evidence == "" {
			continue
		}
		if err := f.addEvidence(p.Evidence, s.Evidence); err != nil {
			return journal.Journal{}, err
		}
	}
	return j, f.write(dir)
}

// without is a journal without secrets, and how it is written.
func without(secrets redact.Redactor, j journal.Journal) (journal.Journal, []byte, error) {
	var b bytes.Buffer
	if err := j.Write(&b); err != nil {
		return journal.Journal{}, nil, err
	}
	text := secrets.Bytes(b.Bytes())
	clean, err := journal.Read(bytes.NewReader(text))
	if err != nil {
		return journal.Journal{}, nil, fmt.Errorf("the journal without its secrets: %w", err)
	}
	return clean, text, nil
}

// files are the files of a report, by their paths in it, with slashes. All files of a report are added by add.
type files struct {
	secrets redact.Redactor
	content map[string][]byte
}

// add adds a file without the secrets that are in it.
func (f files) add(name string, content []byte) { f.content[name] = f.secrets.Bytes(content) }

// addEvidence adds a folder of evidence from the first of the folders that holds it. Missing evidence is
// not an error.
func (f files) addEvidence(name string, folders []string) error {
	for _, folder := range folders {
		from := filepath.Join(folder, path.Base(name))
		if info, err := os.Stat(from); err != nil || !info.IsDir() {
			continue
		}
		err := filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			below, err := filepath.Rel(from, file)
			f.add(path.Join(name, filepath.ToSlash(below)), content)
			return err
		})
		if err != nil {
			return fmt.Errorf("keeping evidence: %w", err)
		}
		return nil
	}
	return nil
}

// manifest lists the files as sha256sum does.
func (f files) manifest() []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(f.content)) {
		sum := sha256.Sum256(f.content[name])
		fmt.Fprintf(&b, "%s  %s\n", hex.EncodeToString(sum[:]), name)
	}
	return b.Bytes()
}

// write writes the files beside dir first, so that a report is never incomplete.
func (f files) write(dir string) error {
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-")
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	defer os.RemoveAll(work)
	manifest := f.manifest()
	for name, content := range f.content {
		err = errors.Join(err, put(filepath.Join(work, filepath.FromSlash(name)), content))
	}
	err = errors.Join(err, put(filepath.Join(work, ManifestFile), manifest), os.Chmod(work, 0o755))
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err == nil {
		err = os.Rename(work, dir)
	}
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

func put(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o644)
}

// Replaceable returns an error for a dir that holds something else than a report, which Write would refuse to replace.
func Replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("writing the report: %w", err)
	}
	if len(entries) == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, ManifestFile)); err != nil {
		return fmt.Errorf("%s is not empty, and not a report (it has no %s): move it away, or name another folder", dir, ManifestFile)
	}
	added, err := unlisted(dir)
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if len(added) > 0 {
		return fmt.Errorf("%s would be replaced, and holds what is no part of a report: move %s away", dir, strings.Join(added, ", "))
	}
	return nil
}

// ReadJournal reads the journal of a report, or a journal that is a file by itself.
func ReadJournal(name string) (journal.Journal, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		name = filepath.Join(name, JournalFile)
	}
	f, err := os.Open(name)
	if err != nil {
		return journal.Journal{}, fmt.Errorf("there is no journal %s: %w", name, err)
	}
	defer f.Close()
	j, err := journal.Read(f)
	if err != nil {
		return journal.Journal{}, fmt.Errorf("%s: %w", name, err)
	}
	return j, nil
}

// local says whether a name is a path within a report, in the form that Write uses.
func local(name string) bool {
	return name == path.Clean(name) && filepath.IsLocal(filepath.FromSlash(name)) && !strings.ContainsAny(name, "\\\x00")
}
