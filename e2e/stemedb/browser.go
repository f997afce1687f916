package stemedb

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"strings"

	"github.com/stemedb/firedrill/tools/testbed"
)

// Browser is Debian's Chromium on the testbed's network: what a page asks of other sites, it does not get.
type Browser struct{ *testbed.Container }

// Screenshot is how a page is seen.
type Screenshot struct {
	Picture         image.Image
	PNG             []byte
	DOM             string   // the document that the browser has made of it
	ConsoleMessages []string // what its console says
}

const pagePath = "/page/index.html"

// Browser starts one, until the next Begin.
func (e *Environment) Browser(ctx context.Context) (*Browser, error) {
	made, err := e.Run(ctx, testbed.Service{Name: "browser", Image: e.Image(imageBrowser), Command: []string{"sleep", "infinity"}})
	if err != nil {
		return nil, err
	}
	e.Cleanup(made.Remove)
	return &Browser{made}, nil
}

// See opens a page, in a window of that width and height in pixels, for a reader who likes it dark or light.
func (b *Browser) See(ctx context.Context, page []byte, width, height int, dark bool) (Screenshot, error) {
	if err := b.CopyIn(ctx, testbed.File{Path: pagePath, Content: page, Mode: 0o644}); err != nil {
		return Screenshot{}, err
	}
	scheme := 1 // Chromium's number for light
	if dark {
		scheme = 0
	}
	chromium := fmt.Sprintf("chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --enable-logging=stderr"+
		" --window-size=%d,%d --blink-settings=preferredColorScheme=%d", width, height, scheme)
	said, err := b.Output(ctx, chromium+" --screenshot=/page/shot.png file://"+pagePath+" 2>&1")
	if err != nil {
		return Screenshot{}, fmt.Errorf("look at a page: %w", err)
	}
	var s Screenshot
	for line := range strings.Lines(said) {
		if strings.Contains(line, "CONSOLE") {
			s.ConsoleMessages = append(s.ConsoleMessages, strings.TrimSpace(line))
		}
	}
	if s.DOM, err = b.Output(ctx, chromium+" --dump-dom file://"+pagePath+" 2>/dev/null"); err != nil {
		return Screenshot{}, fmt.Errorf("read a page: %w", err)
	}
	archive, err := b.CopyOut(ctx, "/page/shot.png")
	if err != nil {
		return Screenshot{}, err
	}
	defer archive.Close()
	in := tar.NewReader(archive)
	if _, err := in.Next(); err != nil {
		return Screenshot{}, fmt.Errorf("read a screenshot: %w", err)
	}
	if s.PNG, err = io.ReadAll(in); err != nil {
		return Screenshot{}, fmt.Errorf("read a screenshot: %w", err)
	}
	s.Picture, err = png.Decode(bytes.NewReader(s.PNG))
	return s, err
}
