package world

import (
	"context"
	"regexp"

	"github.com/stemedb/firedrill/tools/runbook"
)

// deployRecord is certbot's request, on the terminal, for a DNS record of the manual challenge (RFC 8555 section 8.4).
var deployRecord = regexp.MustCompile(`(?s)DNS TXT record under the name:\s+(_acme-challenge\.\S+?)\.?\s+with the following value:\s+(\S+)\s.*?Press Enter to Continue`)

// registrar is whoever may change the domain's DNS: reads the record off the operator's terminal and publishes it; then
// the operator presses Enter.
func (h *Host) registrar() runbook.Prompt {
	return runbook.Prompt{Pattern: deployRecord, Answer: func(ctx context.Context, match []string) (string, error) {
		return "", h.world.parties.publishTXT(ctx, match[1], match[2])
	}}
}
