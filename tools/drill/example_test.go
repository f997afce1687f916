package drill_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/stemedb/firedrill/tools/drill"
	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/testbed"
)

// A web server is killed, and the branch "If nginx Was Killed" of runbooks/SiteDown.md starts it again. The folder has
// rules/, runbooks/, compose.yml with a service web that has bash, prometheus.yml and alertmanager.yml.
func Example() {
	ctx := context.Background()
	rules, err := rule.ReadDir("rules")
	if err != nil {
		log.Fatal(err)
	}
	images, err := image.Ensure(ctx, os.Stdout, image.Prometheus, image.Alertmanager, image.Receiver)
	if err != nil {
		log.Fatal(err)
	}
	t, err := testbed.Start(ctx, testbed.Config{
		Name: "web", Root: ".", Images: images, Rules: rules, Runbooks: "runbooks",
		Prometheus: "prometheus.yml", Alertmanager: "alertmanager.yml", Compose: []string{"compose.yml"}, Operator: "web",
		Progress: os.Stdout,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close(ctx)
	if err := t.Begin(ctx, t.Running); err != nil {
		log.Fatal(err)
	}

	onWeb := func(script string) drill.Action {
		return func(ctx context.Context) error { return t.Operator().Run(ctx, script) }
	}
	proof, err := drill.Run(ctx, t, drill.Drill{
		Alert: "SiteDown", Branch: "If nginx Was Killed",
		Fault: onWeb("pkill -KILL nginx"),
		Verify: func(context.Context) (drill.Action, error) {
			return onWeb("curl -fsS http://localhost/"), nil
		},
	})
	if err != nil {
		log.Fatal(err) // as in: runbook: runbooks/SiteDown.md:30 "If nginx Was Killed" 1/3: exit 1, expected 0
	}
	fmt.Println(proof.Alert, proof.What)
}
