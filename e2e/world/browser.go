package world

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"strings"

	images "github.com/stemedb/firedrill/tools/image"
)

// Browser is Debian's Chromium, on the private network: what a page asks of others, it does not get.
type Browser struct{ box *box }

// Shot is how a page is seen.
type Shot struct {
	Picture    image.Image
	PNG        []byte
	DOM        string   // the document that the browser has made of it
	Complaints []string // what its console says
}

const pagePath = "/page/index.html"

// Browser starts one, until the world begins anew.
func (w *World) Browser(ctx context.Context) (*Browser, error) {
	made, err := w.docker.run(ctx, blueprint{
		name: "browser", image: w.images.Ref(images.Browser), network: w.inside, command: []string{"sleep", "infinity"},
	})
	w.browser = made
	return &Browser{made}, err
}

// See opens a page, in a window of that width and height in pixels, for a reader who likes it dark or light.
func (b *Browser) See(ctx context.Context, page []byte, width, height int, dark bool) (Shot, error) {
	if err := b.box.write(ctx, file{path: pagePath, content: page, mode: 0o644}); err != nil {
		return Shot{}, err
	}
	scheme := 1 // Chromium's number for light
	if dark {
		scheme = 0
	}
	chromium := fmt.Sprintf("chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --enable-logging=stderr"+
		" --window-size=%d,%d --blink-settings=preferredColorScheme=%d", width, height, scheme)
	said, err := b.box.exec(ctx, "bash", "-c", chromium+" --screenshot=/page/shot.png file://"+pagePath+" 2>&1")
	if err != nil {
		return Shot{}, fmt.Errorf("look at a page: %w", err)
	}
	var s Shot
	for line := range strings.Lines(said) {
		if strings.Contains(line, "CONSOLE") {
			s.Complaints = append(s.Complaints, strings.TrimSpace(line))
		}
	}
	if s.DOM, err = b.box.exec(ctx, "bash", "-c", chromium+" --dump-dom file://"+pagePath+" 2>/dev/null"); err != nil {
		return Shot{}, fmt.Errorf("read a page: %w", err)
	}
	archive, err := b.box.pack(ctx, "/page/shot.png")
	if err != nil {
		return Shot{}, err
	}
	defer archive.Close()
	in := tar.NewReader(archive)
	if _, err := in.Next(); err != nil {
		return Shot{}, fmt.Errorf("read a screenshot: %w", err)
	}
	if s.PNG, err = io.ReadAll(in); err != nil {
		return Shot{}, fmt.Errorf("read a screenshot: %w", err)
	}
	s.Picture, err = png.Decode(bytes.NewReader(s.PNG))
	return s, err
}
