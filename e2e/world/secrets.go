package world

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/stemedb/firedrill/tools/redact"
)

// onHostSecrets are the files of the host that hold secrets, as the shell finds them.
const onHostSecrets = "/etc/stemedb/tls/*key*.pem /etc/letsencrypt/accounts/*/*/*/private_key.json /etc/letsencrypt/archive/*/privkey*.pem /root/*key*.pem /tmp/*key*.pem"

// keep has the world remember a secret that it has made.
func (w *World) keep(secrets ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets = append(w.secrets, secrets...)
}

// NoteSecrets adds the secrets that the world has made, and those that are on the host now, to what is left out of all
// that is kept of a run.
func (w *World) NoteSecrets(ctx context.Context, to io.Writer) error {
	w.mu.Lock()
	secrets := w.secrets
	w.secrets = nil
	w.mu.Unlock()
	// A line that no file of these holds, between one and the next.
	const end = "----- next -----"
	found, err := w.host.Output(ctx, "for file in "+onHostSecrets+"; do [ ! -s \"$file\" ] || { cat \"$file\"; echo; echo '"+end+"'; }; done; sed -n '/^AGE-SECRET-KEY/p' /etc/stemedb/backup/age.key 2>/dev/null || true")
	if err != nil {
		return fmt.Errorf("read the host's secrets: %w", err)
	}
	for secret := range strings.SplitSeq(found, end) {
		if secret = strings.TrimSpace(secret); secret != "" {
			secrets = append(secrets, secret)
		}
	}
	return redact.Note(to, secrets...)
}
