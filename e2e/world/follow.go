package world

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/stemedb/firedrill/tools/runbook"
)

// Follow does on the host what the branch says, as an operator who knows nothing but the alert's labels, and returns
// what each step did. It stops at the first step that does not exit as the runbook says. What others do meanwhile
// happens: whoever gets mail answers it, and a DNS record that certbot asks for is published.
func (h *Host) Follow(ctx context.Context, branch runbook.Branch, labels map[string]string) (runbook.Transcript, error) {
	if len(branch.Steps) > 0 {
		h.world.Say("following %s:%d %q, %d steps", h.world.relative(branch.Steps[0].File), branch.Line, branch.Name, len(branch.Steps))
	}
	var transcript runbook.Transcript
	err := h.Attend(ctx, func(ctx context.Context) (err error) {
		transcript, err = runbook.Follow(ctx, h.box.terminal, branch, labels, h.registrar())
		return err
	})
	h.world.followed(transcript)
	return transcript, err
}

// Attend has those whom an operator writes to answer while do goes on, and returns its error, or theirs.
func (h *Host) Attend(ctx context.Context, do func(context.Context) error) error {
	answering, stop := context.WithCancel(ctx)
	answered := make(chan error, 1)
	go func() { answered <- h.answerMail(answering) }()
	err := do(ctx)
	stop()
	return errors.Join(err, <-answered)
}

// followed notes what was done.
func (w *World) followed(transcript runbook.Transcript) {
	w.touch()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, transcript...)
	if len(transcript) > 0 {
		w.last = transcript[len(transcript)-1]
	}
}

// Those who get mail from the operator, beside the CAs, which are outside's.
const (
	storageTeam    = "storage-team@example.com" // has the credentials of the bucket
	bucketProvider = "support@s3.example.com"
)

// answerMail does what others do for an operator who has written to them, until the context ends: a CA sends a
// certificate, the storage team the bucket's credentials, each saved where the runbook has the operator save it, and the
// provider of the bucket brings its server back.
func (h *Host) answerMail(ctx context.Context) error {
	certificates, letters := map[string]bool{}, map[time.Time]bool{}
	for {
		if err := errors.Join(h.takeCertificates(ctx, certificates), h.takeLetters(ctx, letters)); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// takeCertificates saves what the CAs have sent back since Begin, each once.
func (h *Host) takeCertificates(ctx context.Context, taken map[string]bool) error {
	content, err := h.world.parties.get(ctx, portControl, "/ca/issued")
	if err != nil {
		return fmt.Errorf("read the CAs' answers: %w", err)
	}
	var answers []struct {
		Serial string
		Chain  string
		By     string    `json:"requested_by"`
		At     time.Time `json:"received"`
	}
	if err := json.Unmarshal(content, &answers); err != nil {
		return fmt.Errorf("read the CAs' answers: %w", err)
	}
	for _, answer := range answers {
		if answer.By == "" || answer.Chain == "" || taken[answer.Serial] || answer.At.Before(h.world.began()) {
			continue
		}
		taken[answer.Serial] = true
		if err := h.deliver(ctx, "/tmp/new-cert.pem", []byte(answer.Chain)); err != nil {
			return fmt.Errorf("deliver a CA's answer: %w", err)
		}
	}
	return nil
}

// takeLetters has those who were written to since Begin do what they are asked for, each letter once.
func (h *Host) takeLetters(ctx context.Context, taken map[time.Time]bool) error {
	if h.world.bucket == nil {
		return nil // nobody to write to
	}
	content, err := h.world.parties.get(ctx, portControl, "/mail")
	if err != nil {
		return fmt.Errorf("read the mail: %w", err)
	}
	var letters []struct {
		To       []string
		Received time.Time
	}
	if err := json.Unmarshal(content, &letters); err != nil {
		return fmt.Errorf("read the mail: %w", err)
	}
	for _, letter := range letters {
		if taken[letter.Received] || letter.Received.Before(h.world.began()) {
			continue
		}
		taken[letter.Received] = true
		if slices.Contains(letter.To, storageTeam) {
			if err := h.deliver(ctx, "/tmp/s3-credentials", h.world.bucket.Credentials()); err != nil {
				return fmt.Errorf("deliver the storage team's answer: %w", err)
			}
		}
		if slices.Contains(letter.To, bucketProvider) {
			if err := h.world.bucket.Restart(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// deliver saves a file in one go, so that whoever waits for it never sees half of it.
func (h *Host) deliver(ctx context.Context, path string, content []byte) error {
	part := path + ".part"
	return errors.Join(h.Put(ctx, part, content), h.run(ctx, "mv "+part+" "+path))
}

// deployRecord is certbot's request, on the terminal, for a DNS record of the manual challenge (RFC 8555 section 8.4).
var deployRecord = regexp.MustCompile(`(?s)DNS TXT record under the name:\s+(_acme-challenge\.\S+?)\.?\s+with the following value:\s+(\S+)\s.*?Press Enter to Continue`)

// registrar is whoever may change the domain's DNS: reads the record off the operator's terminal and publishes it; then
// the operator presses Enter.
func (h *Host) registrar() runbook.Prompt {
	return runbook.Prompt{Pattern: deployRecord, Answer: func(ctx context.Context, match []string) (string, error) {
		return "", h.world.parties.publishTXT(ctx, match[1], match[2])
	}}
}
