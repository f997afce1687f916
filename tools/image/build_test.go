package image

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stemedb/firedrill/tools/progress"
)

// fakeBinary writes the smallest ELF file for amd64 that passes for a program, changed by change.
func fakeBinary(t *testing.T, change func(*elf.Header64)) string {
	t.Helper()
	h := elf.Header64{
		Ident:   [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_EXEC),
		Machine: uint16(elf.EM_X86_64),
		Version: uint32(elf.EV_CURRENT),
		Ehsize:  64,
	}
	if change != nil {
		change(&h)
	}
	var content bytes.Buffer
	if err := binary.Write(&content, binary.LittleEndian, h); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, content.Bytes(), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckBinary(t *testing.T) {
	good := fakeBinary(t, nil)
	digest, err := checkBinary("API_BINARY", good, "amd64")
	if err != nil || len(digest) != 64 {
		t.Errorf("a program: digest %q, error %v", digest, err)
	}
	if _, err := checkBinary("API_BINARY", fakeBinary(t, func(h *elf.Header64) { h.Type = uint16(elf.ET_DYN); h.Ident[elf.EI_OSABI] = byte(elf.ELFOSABI_LINUX) }), "amd64"); err != nil {
		t.Errorf("a program that is linked dynamically: %v", err)
	}

	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	plain := fakeBinary(t, nil)
	if err := os.Chmod(plain, 0o644); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, says string }{
		{"nothing", filepath.Join(t.TempDir(), "none"), "does not exist"},
		{"a folder", t.TempDir(), "is a folder"},
		{"a pipe", pipe, "is not a regular file"},
		{"a file that is not executable", plain, "is not executable (chmod +x)"},
		{"a script", script, "is not an ELF binary"},
		{"a library", fakeBinary(t, func(h *elf.Header64) { h.Type = uint16(elf.ET_REL) }), "another kind (ET_REL)"},
		{"another processor", fakeBinary(t, func(h *elf.Header64) { h.Machine = uint16(elf.EM_AARCH64) }), "another processor (EM_AARCH64)"},
		{"another system", fakeBinary(t, func(h *elf.Header64) { h.Ident[elf.EI_OSABI] = byte(elf.ELFOSABI_FREEBSD) }), "another system (ELFOSABI_FREEBSD)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := checkBinary("API_BINARY", test.path, "amd64")
			mention(t, err, "API_BINARY="+fmt.Sprintf("%q", test.path), test.says, "linux/amd64")
		})
	}
}

// entries lists a tar as "name mode uid".
func entries(t *testing.T, r io.Reader) []string {
	t.Helper()
	var list []string
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s %o %d:%d", h.Name, h.Mode, h.Uid, h.Gid))
	}
}

func TestProgramRoot(t *testing.T) {
	var root bytes.Buffer
	if err := writeProgramRoot(&root, fakeBinary(t, nil), "data"); err != nil {
		t.Fatal(err)
	}
	want := []string{"bin/ 755 0:0", "bin/program 755 0:0", "data/ 755 65534:65534"}
	if got := entries(t, &root); !slices.Equal(got, want) {
		t.Errorf("the root holds %q, want %q", got, want)
	}
}

func TestInstructions(t *testing.T) {
	want := []string{
		"LABEL dev.firedrill=1", "LABEL dev.firedrill.image=alertmanager", `ENTRYPOINT ["/bin/alertmanager"]`,
		"USER 65534:65534", "WORKDIR /alertmanager", "VOLUME /alertmanager",
	}
	if got := instructions(Alertmanager, &program{data: "alertmanager"}); !slices.Equal(got, want) {
		t.Errorf("instructions %q, want %q", got, want)
	}
	want = []string{"LABEL dev.firedrill=1", "LABEL dev.firedrill.image=base"}
	if got := instructions(Base, nil); !slices.Equal(got, want) {
		t.Errorf("instructions %q, want %q", got, want)
	}
}

func TestContextHoldsItsPrograms(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"Dockerfile": "FROM x", "base/Dockerfile": "FROM y", "etc/a": "1"})
	if err := os.Chmod(filepath.Join(dir, "etc/a"), 0o600); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := (buildContext{dir: dir, without: "base", binaries: map[string]string{"root/bin/api": fakeBinary(t, nil)}}).write(&packed); err != nil {
		t.Fatal(err)
	}
	want := []string{"Dockerfile 644 0:0", "etc/ 755 0:0", "etc/a 644 0:0", "root/bin/api 755 0:0"}
	if got := entries(t, &packed); !slices.Equal(got, want) {
		t.Errorf("the context holds %q, want %q", got, want)
	}
}

func TestARootThatBreaksOffIsNoImage(t *testing.T) {
	e := &engine{images: map[string]string{}}
	cli := serve(t, e)
	broken := errors.New("mirror gone")
	err := importRoot(t.Context(), cli, "firedrill/base:x", nil, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half of a tar"); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
	if e.requests != nil {
		t.Errorf("the Engine took it: %q", e.requests)
	}

	if err := importRoot(t.Context(), cli, "firedrill/base:x", nil, func(w io.Writer) error {
		_, err := io.WriteString(w, "a tar")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if string(e.imported) != "a tar" {
		t.Errorf("the Engine got %q", e.imported)
	}
}

func TestFollow(t *testing.T) {
	var log progress.Tail
	stream := `{"stream":"Step 1/2\n"}{"stream":"\u001b[91mE: no such package\n\u001b[0m"}`
	if err := follow(strings.NewReader(stream), &log); err != nil {
		t.Fatal(err)
	}
	if want := []string{"Step 1/2", "E: no such package"}; !slices.Equal(log.Lines(), want) {
		t.Errorf("the log is %q, want %q", log.Lines(), want)
	}
	mention(t, follow(strings.NewReader(stream+`{"errorDetail":{"code":100,"message":"The command '/bin/sh -c apt-get' returned a non-zero code: 100"},"error":"..."}`), &log),
		"a step of its Dockerfile ended with exit status 100")
	mention(t, follow(strings.NewReader(`{"errorDetail":{"message":"no space left on device"}}`), &log), "no space left on device")
	mention(t, follow(strings.NewReader(`{"stream":`), &log), "reading the Docker Engine's report")
}
