package testbed

import (
	"strings"
	"testing"
)

func TestParseDisk(t *testing.T) {
	const header = "Filesystem           1024-blocks    Used Available Capacity Mounted on\n"
	for output, want := range map[string]disk{
		"72\n64\n61\n" + header + "tmpfs                    65536      0     65536   0% /var/lib/redis\n": {65536 << 10, "/var/lib/redis", "72", "64", "61"},
		"1\n1\n1\n" + header + "/dev/a disk 100 90 -5 106% /with a space\n":                               {0, "/with a space", "1", "1", "1"},
		"1\n2\n3\n" + header + "none 0 0 0 - /proc\n":                                                     {0, "/proc", "1", "2", "3"},
	} {
		if got, err := parseDisk(output); err != nil || got != want {
			t.Errorf("%q: %+v (%v), want %+v", output, got, err, want)
		}
	}
	for output, want := range map[string]string{"1\n2": "not what stat and df print", "1\n2\n3\n" + header: "not what df -P -k prints"} {
		if _, err := parseDisk(output); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", output, err, want)
		}
	}
}

func TestMayFill(t *testing.T) {
	volume := disk{free: 64 << 20, mountedOn: "/data", device: "3", engine: "1", root: "2"}
	if err := mayFill(volume, false); err != nil {
		t.Errorf("a volume with a size: %v", err)
	}
	for want, change := range map[string]func(*disk) (bound bool){
		"is a folder of the machine":        func(*disk) bool { return true },
		"is on the container's root":        func(d *disk) bool { d.device = "2"; return false },
		"is on the container's root, which": func(d *disk) bool { d.mountedOn = "/"; return false },
		"is on a volume without a size":     func(d *disk) bool { d.device = "1"; return false },
		"has 2GiB free, more than the 1GiB": func(d *disk) bool { d.free = 2 << 30; return false },
	} {
		d := volume
		if err := mayFill(d, change(&d)); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "o: size=64m") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
