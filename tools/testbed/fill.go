package testbed

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
)

// fillName is the name of the file that fills a filesystem.
const fillName = "fill"

// mostToFill is how much is written at most, in bytes: a filesystem that has more free is no disk of a test.
const mostToFill = 1 << 30

// Fill fills the filesystem of a folder of the container with a file in it, named fill, but for so many bytes. It refuses
// to fill a disk of the machine. The container needs sh, df, stat and head, of busybox or others.
func (c *Container) Fill(ctx context.Context, folder string, leave int64) (err error) {
	defer c.injected(&err)
	now, err := c.running(ctx)
	if err != nil {
		return err
	}
	before, err := c.disk(ctx, folder)
	if err != nil {
		return err
	}
	bound, err := c.bound(ctx, before.mountedOn, now.Mounts)
	if err != nil {
		return err
	}
	if err := mayFill(before, bound); err != nil {
		return fmt.Errorf("%s of %s %w", folder, c.Name, err)
	}
	if before.free <= leave {
		return fmt.Errorf("%s of %s has no more than %s free already, and is to keep %s: write less", folder, c.Name, size(before.free), size(leave))
	}
	after := before
	for try := 0; try < 5 && after.free > leave; try++ { // a filesystem needs space for what it notes of a file
		const write = `head -c "$1" /dev/zero >> "$2" || echo "exit $?"`
		said, err := c.Command(ctx, "sh", "-c", write, "fill", strconv.FormatInt(after.free-leave, 10), path.Join(folder, fillName))
		if err != nil {
			return err
		}
		if after, err = c.disk(ctx, folder); err != nil {
			return err
		}
		if said != "" && after.free > leave {
			return fmt.Errorf("%s of %s still has %s free: head ends with %s", folder, c.Name, size(after.free), said)
		}
	}
	if after.free > leave {
		return fmt.Errorf("%s of %s still has %s free, after %s were written: its filesystem compresses, or something deletes what is written",
			folder, c.Name, size(after.free), size(before.free-leave))
	}
	return nil
}

// disk is the filesystem of a folder in a container.
type disk struct {
	free      int64  // bytes that programs can write
	mountedOn string // a path
	device    string // a number
	engine    string // the device of the Engine's disk
	root      string // the device of the container's root
}

// disk looks at the filesystem of a folder.
func (c *Container) disk(ctx context.Context, folder string) (disk, error) {
	const look = `test -d "$1" || { echo no such folder; exit 1; }; stat -L -c %d "$1" /etc/hosts / && df -P -k "$1"`
	output, err := c.Command(ctx, "sh", "-c", look, "df", folder)
	if err != nil {
		return disk{}, fmt.Errorf("%w: name a folder that exists, of a service that has sh, stat, df and head", err)
	}
	d, err := parseDisk(output)
	if err != nil {
		return d, fmt.Errorf("look at the disk of %s on %s: %w", folder, c.Name, err)
	}
	return d, nil
}

// dfLine is the line of a filesystem that df -P -k prints: its size, used and free, in KiB, how full, and where it is mounted.
var dfLine = regexp.MustCompile(`(?m) \d+ +\d+ +(-?\d+) +(?:\d+%|-) +(/.*)$`)

// parseDisk reads three numbers of devices (of the folder, /etc/hosts and /), a line each, and what df -P -k prints.
func parseDisk(output string) (disk, error) {
	lines := strings.SplitN(output, "\n", 4)
	if len(lines) < 4 {
		return disk{}, fmt.Errorf("not what stat and df print: %q", output)
	}
	found := dfLine.FindStringSubmatch(lines[3])
	if found == nil {
		return disk{}, fmt.Errorf("not what df -P -k prints: %q", lines[3])
	}
	free, err := strconv.ParseInt(found[1], 10, 64)
	return disk{free: max(0, free) * 1024, mountedOn: found[2], device: lines[0], engine: lines[1], root: lines[2]}, err
}

// bound reports whether what is mounted there is a folder of the machine, by itself or as a volume.
func (c *Container) bound(ctx context.Context, mountedOn string, mounts []container.MountPoint) (bool, error) {
	for _, m := range mounts {
		switch {
		case m.Destination != mountedOn:
		case m.Type == mount.TypeBind:
			return true, nil
		case m.Type == mount.TypeVolume:
			volume, err := c.testbed.engine.client.VolumeInspect(ctx, m.Name, client.VolumeInspectOptions{})
			if err != nil {
				return false, fmt.Errorf("inspect volume %s: %w", m.Name, err)
			}
			return strings.Contains(volume.Volume.Options["o"], "bind"), nil
		}
	}
	return false, nil
}

// mayFill says of a filesystem that must not be filled why, and what to do.
func mayFill(d disk, bound bool) error {
	const sized = "give it a volume with a size: driver_opts: {type: tmpfs, device: tmpfs, o: size=64m}"
	switch {
	case bound:
		return errors.New("is a folder of the machine, whose disk must not be filled: " + sized)
	case d.mountedOn == "/" || d.device == d.root:
		return errors.New("is on the container's root, which is on the machine's disk: " + sized)
	case d.device == d.engine:
		return errors.New("is on a volume without a size, which is on the machine's disk: " + sized)
	case d.free > mostToFill:
		return fmt.Errorf("has %s free, more than the %s that a fault writes at most: "+sized, size(d.free), size(mostToFill))
	}
	return nil
}
