package testbed

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/stemedb/firedrill/tools/redact"
)

// Separator is the line that Config.Secrets prints after each secret.
const Separator = "----- next -----"

// RedactLater notes secrets that were made for the testbed, for NoteSecrets.
func (t *Testbed) RedactLater(secrets ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.secrets = append(t.secrets, secrets...)
}

// NoteSecrets adds the secrets that were made for the testbed, and those that the operator's machine holds now, to what is
// left out of all that is kept of a run.
func (t *Testbed) NoteSecrets(ctx context.Context, to io.Writer) error {
	t.mu.Lock()
	secrets := t.secrets
	t.secrets = nil
	t.mu.Unlock()
	if operator := t.Operator(); operator != nil && t.config.Secrets != "" {
		found, err := operator.Output(ctx, t.config.Secrets)
		if err != nil {
			return fmt.Errorf("read the secrets of %s: %w", operator.Name, err)
		}
		for secret := range strings.SplitSeq(found, Separator) {
			if secret = strings.TrimSpace(secret); secret != "" {
				secrets = append(secrets, secret)
			}
		}
	}
	return redact.Note(to, secrets...)
}
