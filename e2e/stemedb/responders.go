package stemedb

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

// Those who get mail from the operator, beside the certificate authorities, which answer by themselves.
const (
	storageTeam    = "storage-team@example.com" // has the credentials of the bucket
	bucketProvider = "support@s3.example.com"
)

// respond does what others do for an operator who has written to them, until the context ends: a certificate authority
// sends a certificate, the storage team the bucket's credentials, each saved where the runbook has the operator save it,
// and the provider of the bucket brings its server back.
func (e *Environment) respond(ctx context.Context) error {
	seen := map[string]bool{}
	for {
		if err := errors.Join(e.deliverCertificates(ctx, seen), e.answerMail(ctx, seen)); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// deliverCertificates saves what the certificate authorities have sent since Begin, each once.
func (e *Environment) deliverCertificates(ctx context.Context, seen map[string]bool) error {
	content, err := e.services.get(ctx, portOutside, "/ca/issued")
	if err != nil {
		return fmt.Errorf("read the certificate authorities' answers: %w", err)
	}
	var answers []struct {
		Serial string
		Chain  string
		By     string    `json:"requested_by"`
		At     time.Time `json:"received"`
	}
	if err := json.Unmarshal(content, &answers); err != nil {
		return fmt.Errorf("read the certificate authorities' answers: %w", err)
	}
	for _, answer := range answers {
		if answer.By == "" || answer.Chain == "" || seen[answer.Serial] || answer.At.Before(e.Begun()) {
			continue
		}
		seen[answer.Serial] = true
		if err := e.Host().deliver(ctx, "/tmp/new-cert.pem", []byte(answer.Chain)); err != nil {
			return fmt.Errorf("deliver a certificate: %w", err)
		}
	}
	return nil
}

// answerMail has those who were written to since Begin do what they are asked for, each letter once.
func (e *Environment) answerMail(ctx context.Context, seen map[string]bool) error {
	if e.bucket == nil {
		return nil // without a bucket, no letter is answered
	}
	content, err := e.services.get(ctx, portOutside, "/mail")
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
		if key := letter.Received.String(); !seen[key] && !letter.Received.Before(e.Begun()) {
			seen[key] = true
		} else {
			continue
		}
		if slices.Contains(letter.To, storageTeam) {
			if err := e.Host().deliver(ctx, "/tmp/s3-credentials", e.bucket.Credentials()); err != nil {
				return fmt.Errorf("deliver the storage team's answer: %w", err)
			}
		}
		if slices.Contains(letter.To, bucketProvider) {
			if err := e.bucket.Restart(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// deliver saves a file in one step: a command that waits for it never sees half of it.
func (h *Host) deliver(ctx context.Context, path string, content []byte) error {
	part := path + ".part"
	return errors.Join(h.Put(ctx, part, content), h.Run(ctx, "mv "+part+" "+path))
}

// deployRecord is certbot's request, on the terminal, for a DNS record of the manual challenge (RFC 8555 section 8.4).
var deployRecord = regexp.MustCompile(`(?s)DNS TXT record under the name:\s+(_acme-challenge\.\S+?)\.?\s+with the following value:\s+(\S+)\s.*?Press Enter to Continue`)

// dnsRecordPrompt is certbot asking for a DNS record: the record is published, then the operator presses Enter.
func (e *Environment) dnsRecordPrompt() runbook.Prompt {
	return runbook.Prompt{Pattern: deployRecord, Answer: func(ctx context.Context, match []string) (string, error) {
		return "", e.services.publishTXT(ctx, match[1], match[2])
	}}
}
