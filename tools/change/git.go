package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// maxFileSize is the size in bytes up to which an old version of a file is read. A larger one is none that we compare.
const maxFileSize = 16 << 20

// repository is a git working tree, read with the git program. Nothing in it is changed, nothing is checked out.
type repository struct {
	root string // of the working tree, absolute, without symbolic links
}

// open finds the repository whose working tree holds the working directory.
func open(ctx context.Context) (repository, error) {
	folder, err := os.Getwd()
	if err != nil {
		return repository{}, err
	}
	out, err := run(ctx, folder, "rev-parse", "--show-toplevel")
	if errors.Is(err, exec.ErrNotFound) {
		return repository{}, fmt.Errorf("the git program is needed: %w", err)
	}
	if err != nil {
		return repository{}, fmt.Errorf("%s is in no git working tree: %w", folder, err)
	}
	root, err := filepath.EvalSymlinks(strings.TrimSuffix(string(out), "\n"))
	if err != nil {
		return repository{}, fmt.Errorf("finding the git working tree: %w", err)
	}
	return repository{root}, nil
}

// base returns the commit at which the working tree's branch left rev: what has happened to rev since then is no change
// of ours.
func (r repository) base(ctx context.Context, rev string) (string, error) {
	// What is named must be a commit; --end-of-options because a name may begin with a dash.
	out, err := run(ctx, r.root, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("%q is no revision of the git repository %s: name a commit, a branch or a tag, such as origin/main", rev, r.root)
	}
	commit := strings.TrimSpace(string(out))
	out, err = run(ctx, r.root, "merge-base", commit, "HEAD")
	if err != nil {
		return "", fmt.Errorf("%q and HEAD have no commit in common: fetch more of the history, or name another revision: %w", rev, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// file is a file that the working tree has in another form than a commit, or that only one of them has.
type file struct {
	path string // relative to the root, with slashes, as git stores it: any bytes but NUL
	old  string // git's name of the commit's version; empty where the commit has no such regular file
}

// changed lists what differs between a commit and the working tree, files that git does not know yet among them, unless
// it is told to ignore them.
func (r repository) changed(ctx context.Context, commit string) ([]file, error) {
	diff, err := run(ctx, r.root, "diff", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv", commit, "--")
	if err != nil {
		return nil, fmt.Errorf("comparing the working tree with %s: %w", commit, err)
	}
	files, err := parseRaw(diff)
	if err != nil {
		return nil, err
	}
	untracked, err := run(ctx, r.root, "ls-files", "-z", "--others", "--exclude-standard")
	if err != nil {
		return nil, fmt.Errorf("listing the files that git does not know: %w", err)
	}
	for path := range strings.SplitSeq(string(untracked), "\x00") {
		if path != "" {
			files = append(files, file{path: path})
		}
	}
	return files, nil
}

// parseRaw reads the output of git diff --raw -z: https://git-scm.com/docs/diff-format#_raw_output_format.
func parseRaw(diff []byte) ([]file, error) {
	var files []file
	fields := strings.Split(string(diff), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		about := strings.Fields(strings.TrimPrefix(fields[i], ":")) // both modes, both names, the status
		if !strings.HasPrefix(fields[i], ":") || len(about) != 5 || fields[i+1] == "" {
			return nil, fmt.Errorf("git diff printed %q, which is no line of its raw format", fields[i])
		}
		f := file{path: fields[i+1]}
		if isRegular := strings.HasPrefix(about[0], "100"); isRegular && strings.Trim(about[2], "0") != "" {
			f.old = about[2]
		}
		files = append(files, f)
	}
	return files, nil
}

// read returns the content of an old version of a file, by git's name of it.
func (r repository) read(ctx context.Context, name string) ([]byte, error) {
	content, err := run(ctx, r.root, "cat-file", "blob", name)
	if err != nil {
		return nil, fmt.Errorf("reading an old version: %w", err)
	}
	return content, nil
}

// relative returns the path of a file or folder as git stores it. It may be missing, but its folder may not.
func (r repository) relative(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	folder, name := absolute, ""
	if resolved, err := filepath.EvalSymlinks(absolute); err == nil {
		folder = resolved
	} else {
		name = filepath.Base(absolute)
		if folder, err = filepath.EvalSymlinks(filepath.Dir(absolute)); err != nil {
			return "", err
		}
	}
	rel, err := filepath.Rel(r.root, filepath.Join(folder, name))
	if err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("%s is outside of the git working tree %s: name a folder in it", path, r.root)
	}
	return filepath.ToSlash(rel), nil
}

// run runs git in a folder and returns what it printed. The error says what git said.
func run(ctx context.Context, folder string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "LC_ALL=C") // git's words are ours to pass on
	var stderr bytes.Buffer
	stdout := limited{}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if stdout.isFull {
		return nil, fmt.Errorf("git %s printed more than %d bytes", args[0], maxFileSize)
	}
	if err != nil {
		if said, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n"); said != "" {
			return nil, fmt.Errorf("git %s: %s", args[0], strings.TrimPrefix(said, "fatal: "))
		}
		return nil, fmt.Errorf("git %s: %w", args[0], err)
	}
	return stdout.content, nil
}

// limited is a buffer that takes no more than maxFileSize bytes.
type limited struct {
	content []byte
	isFull  bool
}

func (l *limited) Write(p []byte) (int, error) {
	if len(l.content)+len(p) > maxFileSize {
		l.isFull = true
		return 0, errors.New("too large")
	}
	l.content = append(l.content, p...)
	return len(p), nil
}
