package image

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
)

// nobody is the ID of the user and group that owns the data of a program.
const nobody = 65534

// labels are the labels of an image.
func labels(name Name) map[string]string {
	return map[string]string{Label: LabelValue, LabelImage: string(name)}
}

// instructions are the Dockerfile instructions that configure an image that is made without a Dockerfile: of a program, or
// of nothing but files.
func instructions(name Name, prog *program) []string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(labels(name))) {
		lines = append(lines, fmt.Sprintf("LABEL %s=%s", key, labels(name)[key]))
	}
	if prog == nil {
		return lines
	}
	lines = append(lines, fmt.Sprintf(`ENTRYPOINT ["/bin/%s"]`, name))
	if prog.data != "" {
		lines = append(lines,
			fmt.Sprintf("USER %d:%d", nobody, nobody),
			"WORKDIR /"+prog.data,
			"VOLUME /"+prog.data)
	}
	return lines
}

// buildProgram compiles a program and imports it as an image that holds nothing else.
func (b *builder) buildProgram(ctx context.Context, s *spec, ref string, log io.Writer) error {
	dir, err := os.MkdirTemp("", "firedrill-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, string(s.name))
	if err := b.compile(ctx, s.program, binary, log); err != nil {
		return err
	}
	return importRoot(ctx, b.cli, ref, instructions(s.name, s.program), func(w io.Writer) error {
		return writeProgramRoot(w, binary, s.program.data)
	})
}

// compile builds a static binary for the Engine's architecture.
func (b *builder) compile(ctx context.Context, prog *program, binary string, log io.Writer) error {
	in, pkg := b.root, prog.pkg
	if prog.pages != "" {
		in = binary + "-module"
		if err := copyWithPages(prog.module.Dir, in, prog.pages); err != nil {
			return fmt.Errorf("copying the module %s: %w", prog.module.Path, err)
		}
		pkg = "." + strings.TrimPrefix(pkg, prog.module.Path)
	}
	args := append([]string{"build"}, buildFlags...)
	cmd := goCommand(ctx, in, b.arch, append(args, "-o", binary, pkg)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("compiling %s: %w", prog.pkg, err)
	}
	return nil
}

// copyWithPages copies a module and gives the copy a folder of pages that holds none.
func copyWithPages(from, to, pages string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	pages = filepath.Join(to, filepath.FromSlash(pages))
	if err := os.MkdirAll(pages, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(pages, "README"), []byte("Built without the web pages.\n"), 0o644)
}

// writeProgramRoot writes the root of a program's image as a tar: the binary, and its data folder.
func writeProgramRoot(w io.Writer, binary, data string) error {
	tw := tar.NewWriter(w)
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "bin/", Mode: 0o755}); err != nil {
		return err
	}
	if err := addFile(tw, "bin/"+filepath.Base(binary), binary, 0o755); err != nil {
		return err
	}
	if data != "" {
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: data + "/", Mode: 0o755, Uid: nobody, Gid: nobody}); err != nil {
			return err
		}
	}
	return tw.Close()
}

// addFile adds the file at path to a tar, owned by root.
func addFile(tw *tar.Writer, name, path string, mode int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(tw, f)
	return err
}

// importRoot makes an image of the tar that write produces. When write fails there is no image: the
// Engine sees the tar break off.
func importRoot(ctx context.Context, cli *client.Client, ref string, changes []string, write func(io.Writer) error) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(write(w)) }()
	defer r.Close()
	resp, err := cli.ImageImport(ctx, client.ImageImportSource{Source: r, SourceName: "-"}, ref,
		client.ImageImportOptions{Changes: changes})
	if err != nil {
		return fmt.Errorf("importing it: %w", err)
	}
	defer resp.Close()
	if err := follow(resp, io.Discard); err != nil {
		return fmt.Errorf("importing it: %w", err)
	}
	return nil
}

// buildFolder has the Engine build a folder's Dockerfile on the image from, with its classic builder.
func (b *builder) buildFolder(ctx context.Context, s *spec, ref, from string, log io.Writer) error {
	dir, err := os.MkdirTemp("", "firedrill-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	content := b.context(s)
	content.binaries = map[string]string{}
	for to, prog := range s.programs {
		binary := prog.binary
		if binary == "" {
			binary = filepath.Join(dir, strconv.Itoa(len(content.binaries)))
			if err := b.compile(ctx, prog, binary, log); err != nil {
				return err
			}
		}
		content.binaries[to] = binary
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(content.write(w)) }()
	defer r.Close()
	resp, err := b.cli.ImageBuild(ctx, r, client.ImageBuildOptions{
		Tags:        []string{ref},
		Labels:      labels(s.name),
		BuildArgs:   map[string]*string{"BASE": &from},
		Remove:      true,
		ForceRemove: true,
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return follow(resp.Body, log)
}

// follow copies the messages of a build or import to log, and returns the error that they end with.
func follow(r io.Reader, log io.Writer) error {
	for dec := json.NewDecoder(r); ; {
		var message jsonstream.Message
		if err := dec.Decode(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the Docker Engine's report: %w", err)
		}
		io.WriteString(log, message.Stream)
		switch {
		case message.Error == nil:
		case message.Error.Code != 0:
			// The message repeats the whole command, with which the log ends already.
			return fmt.Errorf("a step of its Dockerfile ended with exit status %d", message.Error.Code)
		default:
			return message.Error
		}
	}
}

// buildContext is a folder with a Dockerfile, and the binaries that are added to it.
type buildContext struct {
	dir      string
	without  string            // a folder in dir that is left out, or ""
	binaries map[string]string // the files to add, by their path in the context
}

// files calls each with every file of the folder, in lexical order. Of a file's mode only whether it is
// executable counts, as in git, so that the umask does not change an image.
func (c buildContext) files(each func(name string, mode int64, info fs.FileInfo, path string) error) error {
	return filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(c.dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case name == ".":
			return nil
		case d.IsDir() && name == c.without:
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := int64(0o644)
		if d.IsDir() || info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		return each(name, mode, info, path)
	})
}

// digest is the digest of the folder's content.
func (c buildContext) digest() (string, error) {
	var parts []string
	err := c.files(func(name string, mode int64, info fs.FileInfo, path string) error {
		content := ""
		var err error
		switch {
		case info.Mode().IsRegular():
			content, err = fileDigest(path)
		case info.Mode()&fs.ModeSymlink != 0:
			content, err = os.Readlink(path)
		}
		parts = append(parts, name, fmt.Sprintf("%o %v", mode, info.Mode().Type()), content)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reading the build context: %w", err)
	}
	return digest(parts...), nil
}

// write writes the context as a tar.
func (c buildContext) write(w io.Writer) error {
	tw := tar.NewWriter(w)
	err := c.files(func(name string, mode int64, info fs.FileInfo, path string) error {
		switch {
		case info.IsDir():
			return tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode})
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return tw.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
		case info.Mode().IsRegular():
			return addFile(tw, name, path, mode)
		}
		return fmt.Errorf("%s is not a file, a folder or a link", path)
	})
	for _, to := range slices.Sorted(maps.Keys(c.binaries)) {
		if err == nil {
			err = addFile(tw, to, c.binaries[to], 0o755)
		}
	}
	if err != nil {
		return fmt.Errorf("packing the build context: %w", err)
	}
	return tw.Close()
}

// machines are the architectures of ELF files by Go's name for them.
var machines = map[string]elf.Machine{
	"386": elf.EM_386, "amd64": elf.EM_X86_64, "arm": elf.EM_ARM, "arm64": elf.EM_AARCH64, "loong64": elf.EM_LOONGARCH,
	"ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV, "s390x": elf.EM_S390,
}

// checkBinary returns the digest of the program that the variable names, or an error that says why a container cannot run it.
func checkBinary(variable, path, arch string) (string, error) {
	unfit := func(why string) (string, error) {
		return "", fmt.Errorf("%s=%q %s: name an executable file for linux/%s", variable, path, why, arch)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return unfit("does not exist")
	case err != nil:
		return unfit("cannot be read (" + err.Error() + ")")
	case info.IsDir():
		return unfit("is a folder")
	case !info.Mode().IsRegular():
		return unfit("is not a regular file")
	case info.Mode()&0o111 == 0:
		return unfit("is not executable (chmod +x)")
	}
	f, err := elf.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return unfit("may not be read by this user")
		}
		return unfit("is not an ELF binary")
	}
	defer f.Close()
	switch {
	case f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN:
		return unfit("is an ELF file of another kind (" + f.Type.String() + ")")
	case f.OSABI != elf.ELFOSABI_NONE && f.OSABI != elf.ELFOSABI_LINUX:
		return unfit("is built for another system (" + f.OSABI.String() + ")")
	case f.Machine != machines[arch]:
		return unfit("is built for another processor (" + f.Machine.String() + ")")
	}
	return fileDigest(path)
}

// output runs a command and returns its standard output, or an error that ends with the last line of its standard error.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			return nil, fmt.Errorf("%w: %s", err, text[strings.LastIndexByte(text, '\n')+1:])
		}
		return nil, err
	}
	return out, nil
}

// interruptible has a command interrupted rather than killed when its context ends, so that it removes
// what it made.
func interruptible(cmd *exec.Cmd) {
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
}
