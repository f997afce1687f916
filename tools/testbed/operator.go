package testbed

import (
	"context"

	"github.com/stemedb/firedrill/tools/runbook"
)

// Follow does on the operator's machine what the branch says, in one terminal session, knowing nothing but the alert's
// labels, and returns what each step did. It stops at the first step that does not exit as the runbook says. What others
// do meanwhile happens: Config.Respond runs and Config.Prompts are answered.
func (t *Testbed) Follow(ctx context.Context, branch runbook.Branch, labels map[string]string) (runbook.Transcript, error) {
	if len(branch.Steps) > 0 {
		t.Say("following %s:%d %q, %d steps", t.relative(branch.Steps[0].File), branch.Line, branch.Name, len(branch.Steps))
	}
	var transcript runbook.Transcript
	err := t.WithResponders(ctx, func(ctx context.Context) (err error) {
		transcript, err = runbook.Follow(ctx, t.Operator().terminal, branch, labels, t.config.Prompts...)
		return err
	})
	t.Touch()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = append(t.steps, transcript...)
	for _, step := range transcript {
		if !step.Skipped {
			t.last = step
		}
	}
	return transcript, err
}

// WithResponders has others respond to the operator while do runs, and returns its error. Where they fail, do is interrupted,
// and their error returned.
func (t *Testbed) WithResponders(ctx context.Context, do func(context.Context) error) error {
	if t.config.Respond == nil {
		return do(ctx)
	}
	doing, interrupt := context.WithCancel(ctx)
	defer interrupt()
	responding, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		err := t.config.Respond(responding)
		if err != nil {
			interrupt()
		}
		ended <- err
	}()
	err := do(doing)
	stop()
	if failed := <-ended; failed != nil {
		return failed
	}
	return err
}
