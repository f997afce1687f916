package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/moby/moby/client"

	"github.com/stemedb/firedrill/tools/progress"
)

// debian is the published image that is the base where it exists or can be pulled.
const debian = "debian:bookworm-slim"

// bootstrap makes a Debian root and writes it as a tar to its standard output.
var bootstrap = []string{"mmdebstrap", "--variant=minbase", "--format=tar", "bookworm", "-"}

// baseImage is the base in the Engine.
type baseImage struct {
	ref string
	id  string // of what ref names now
}

// localBase returns the base image, if the Engine has one.
func (p *plan) localBase(ctx context.Context) (found baseImage, ok bool, err error) {
	refs := []string{debian, p.bootstrappedRef()}
	if ref, given := p.given[Base]; given {
		refs = []string{ref}
	}
	for _, ref := range refs {
		if id, ok, err := inspect(ctx, p.cli, ref); ok || err != nil {
			return baseImage{ref, id}, ok, err
		}
	}
	return baseImage{}, false, nil
}

// bootstrappedRef is the reference of a base made by bootstrap.
func (p *plan) bootstrappedRef() string {
	return p.tag(Base, digest(append([]string{p.arch}, bootstrap...)...))
}

// ensureBase returns a Debian image: one that the Engine has, else pulled, else bootstrapped from Debian's packages.
func (b *builder) ensureBase(ctx context.Context) (baseImage, error) {
	if ref, ok := b.given[Base]; ok {
		if err := b.ensureGiven(ctx, Base, ref); err != nil {
			return baseImage{}, err
		}
	}
	found, ok, err := b.localBase(ctx)
	if ok || err != nil {
		return found, err
	}
	if err := b.room(); err != nil {
		return baseImage{}, err
	}

	end := b.log.Start("base", "pulling "+debian, "")
	unpulled := pull(ctx, b.cli, debian)
	if ctx.Err() != nil {
		end("stopped")
		return baseImage{}, ctx.Err()
	}
	if unpulled == nil {
		end("ready")
	} else {
		end("cannot be pulled")
		if err := b.ensureMmdebstrap(ctx); err != nil {
			return baseImage{}, fmt.Errorf("no base image: %s cannot be pulled (%w), and %w", debian, unpulled, err)
		}
		ref := b.bootstrappedRef()
		err := b.unlessPresent(ctx, Base, ref, "", "Debian bookworm from its packages, about a minute", func(log io.Writer) error {
			return b.bootstrap(ctx, ref, log)
		})
		if err != nil {
			return baseImage{}, err
		}
	}
	found, ok, err = b.localBase(ctx)
	if err == nil && !ok {
		err = errors.New("the base image was removed right after it was made: run the same command again")
	}
	return found, err
}

// bootstrap makes a Debian root and imports it.
func (b *builder) bootstrap(ctx context.Context, ref string, log io.Writer) error {
	return importRoot(ctx, b.cli, ref, instructions(Base, nil), func(w io.Writer) error {
		cmd := exec.CommandContext(ctx, bootstrap[0], bootstrap[1:]...)
		interruptible(cmd)
		cmd.Stdout, cmd.Stderr = w, log
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", bootstrap[0], err)
		}
		return nil
	})
}

// ensureMmdebstrap installs mmdebstrap where it is missing, as root on a system with apt-get.
func (b *builder) ensureMmdebstrap(ctx context.Context) error {
	if _, err := exec.LookPath(bootstrap[0]); err == nil {
		return nil
	}
	missing := fmt.Errorf("%s is not installed: install it (`apt-get install %[1]s`), or name a Debian image in %s", bootstrap[0], Base.variable())
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return missing
	}
	var log progress.Tail
	end := b.log.Start("mmdebstrap", "installing with apt-get", "")
	err := func() error {
		for _, args := range [][]string{{"update"}, {"install", "--yes", "--no-install-recommends", bootstrap[0], "debian-archive-keyring"}} {
			cmd := exec.CommandContext(ctx, "apt-get", args...)
			interruptible(cmd)
			cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
			cmd.Stdout, cmd.Stderr = &log, &log
			if err := cmd.Run(); err != nil {
				return err
			}
		}
		return nil
	}()
	end(progress.Outcome(ctx, err))
	if err != nil {
		b.log.Quote(log.Lines())
		return missing
	}
	return nil
}

// stall is how long a registry may send nothing before a pull fails.
const stall = 20 * time.Second

// errStalled is the cause of a pull that fails for it.
var errStalled = fmt.Errorf("its registry sent nothing for %v", stall)

// pull pulls an image, for as long as its registry keeps answering.
func pull(ctx context.Context, cli *client.Client, ref string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer timer.Stop()

	err := func() error {
		resp, err := cli.ImagePull(ctx, ref, client.ImagePullOptions{})
		if err != nil {
			return err
		}
		defer resp.Close()
		for message, err := range resp.JSONMessages(ctx) {
			if err != nil {
				return err
			}
			if message.Error != nil {
				return message.Error
			}
			timer.Reset(stall)
		}
		return nil
	}()
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return err
}
