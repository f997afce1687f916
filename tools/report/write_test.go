package report

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stemedb/firedrill/tools/journal"
)

const junit = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="2" failures="1" time="1.5"><testsuite name="TLS" tests="2"><testcase name="a &lt; b"/></testsuite></testsuites>
`

// example reads a journal of package journal's tests.
func example(t testing.TB, name string) journal.Journal {
	t.Helper()
	j, err := ReadJournal(filepath.Join("..", "journal", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// written writes a report into a folder of its own.
func writtenTo(t *testing.T, s Source) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "report")
	if _, err := Write(dir, s); err != nil {
		t.Fatal(err)
	}
	return dir
}

// writeFile makes a file, and the folders above it.
func writeFile(t *testing.T, content string, path ...string) {
	t.Helper()
	if err := put(filepath.Join(path...), []byte(content)); err != nil {
		t.Fatal(err)
	}
}

// content is each file of a folder.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		name, _ := filepath.Rel(dir, file)
		found[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func names(files map[string]string) []string {
	var found []string
	for name := range files {
		found = append(found, name)
	}
	slices.Sort(found)
	return found
}

func TestWhatAReportHolds(t *testing.T) {
	evidence := t.TempDir()
	const folder = "CertificateExpiringSoon-If-Renewal-Fails"
	writeFile(t, "renewal failed", evidence, folder, "logs", "renewal.txt")
	writeFile(t, "of another run", evidence, "another", "alerts.txt")
	dir := writtenTo(t, Source{Journal: example(t, "proof"), JUnit: [][]byte{[]byte(junit)}, Evidence: []string{filepath.Join(evidence, "none"), evidence}})
	files := content(t, dir)
	want := []string{ManifestFile, "evidence/" + folder + "/logs/renewal.txt", PageFile, JournalFile, JUnitFile, StatementFile}
	if got := names(files); !slices.Equal(got, want) {
		t.Errorf("it holds %q, want %q", got, want)
	}
	if files[JUnitFile] != junit {
		t.Errorf("the JUnit report is\n%s", files[JUnitFile])
	}
	var b bytes.Buffer
	if err := example(t, "proof").Write(&b); err != nil {
		t.Fatal(err)
	}
	if files[JournalFile] != b.String() {
		t.Error("the journal is another")
	}
	if wrong, err := Verify(dir); err != nil || len(wrong) > 0 {
		t.Errorf("%q, %v", wrong, err)
	}
	if program, err := exec.LookPath("sha256sum"); err == nil {
		cmd := exec.Command(program, "-c", "--strict", ManifestFile)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 1 {
		t.Errorf("beside the report there are %v, %v", entries, err)
	}
}

func TestAReportReplacesAReportOnly(t *testing.T) {
	s := Source{Journal: example(t, "drill"), JUnit: [][]byte{[]byte(junit)}}
	dir := writtenTo(t, s)
	writeFile(t, "", dir, "old")
	if _, err := Write(dir, s); err == nil || !strings.Contains(err.Error(), "holds what is no part of a report: move old away") {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(dir, s); err != nil {
		t.Fatal(err)
	}
	if wrong, err := Verify(dir); err != nil || len(wrong) > 0 {
		t.Errorf("the old report was not replaced: %q, %v", wrong, err)
	}
	if err := os.Remove(filepath.Join(dir, ManifestFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(dir, s); err == nil || !strings.Contains(err.Error(), "is not empty, and not a report") {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, PageFile)); err != nil {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, "", file)
	if _, err := Write(file, s); err == nil {
		t.Error("a file was replaced")
	}
}

func TestVerify(t *testing.T) {
	evidence := t.TempDir()
	writeFile(t, "log", evidence, "CertificateExpiringSoon-If-Renewal-Fails", "log.txt")
	for name, test := range map[string]struct {
		harm func(dir string)
		says string
	}{
		"changed": {func(dir string) { writeFile(t, "{}", dir, JournalFile) }, "journal.json was changed: its SHA-256 is 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a, not "},
		"missing": {func(dir string) { os.RemoveAll(filepath.Join(dir, "evidence")) }, "evidence/CertificateExpiringSoon-If-Renewal-Fails/log.txt is missing"},
		"added":   {func(dir string) { writeFile(t, "", dir, "evidence", "more.txt") }, "evidence/more.txt is not in SHA256SUMS"},
		"another thing": {func(dir string) {
			os.Remove(filepath.Join(dir, PageFile))
			os.Symlink(JournalFile, filepath.Join(dir, PageFile))
		}, "index.html is not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writtenTo(t, Source{Journal: example(t, "proof"), JUnit: [][]byte{[]byte(junit)}, Evidence: []string{evidence}})
			test.harm(dir)
			wrong, err := Verify(dir)
			if err != nil || len(wrong) != 1 || !strings.HasPrefix(wrong[0], test.says) {
				t.Errorf("%q, %v", wrong, err)
			}
		})
	}
}

func TestVerifyNeedsAReport(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	for manifest, says := range map[string]string{
		"":                             "does not list index.html",
		"hello\n":                      `line 1, "hello", is not a line of sha256sum`,
		sum + "  a\n" + sum + "  ../b": `line 2 names "../b", which is not a path within the report`,
		sum + "  /etc/passwd\n":        "not a path within the report",
		sum + "  a\n" + sum + "  a\n":  "line 2 names a a second time",
		strings.Repeat("x", 100<<10):   "a line that is too long",
		sum + "  index.html\n":         "does not list journal.json",
		strings.ToUpper(sum) + "  a\n": "is not a line of sha256sum",
	} {
		dir := t.TempDir()
		writeFile(t, manifest, dir, ManifestFile)
		if _, err := Verify(dir); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: %v, want %s", manifest, err, says)
		}
	}
	if _, err := Verify(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is not a report: it has no SHA256SUMS") {
		t.Error(err)
	}
}

func FuzzReadManifest(f *testing.F) {
	f.Add([]byte(strings.Repeat("0", 64) + "  index.html\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		sums, err := readManifest(text)
		for name := range sums {
			if err == nil && !filepath.IsLocal(name) {
				t.Errorf("%q is outside", name)
			}
		}
	})
}
