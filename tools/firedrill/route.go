package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prometheus/common/model"

	"github.com/stemedb/firedrill/tools/nearest"
	"github.com/stemedb/firedrill/tools/redact"
	"github.com/stemedb/firedrill/tools/route"
	"github.com/stemedb/firedrill/tools/rule"
)

func routeCommand() *cobra.Command {
	var in inputs
	cmd := &cobra.Command{
		Use:   "route ALERT [label=value...]",
		Short: "Show where Alertmanager sends an alert, and what it looks like on arrival",
		Long: `Shows the way of an alert through Alertmanager's routes: each route that is tried, why it matches or not, the
receivers, how its notifications are grouped, what could hold it back, and the title and text of each integration,
rendered by Alertmanager's own templates for one firing alert with the value 1. Secrets are not shown.

Labels that come from the series are not known: give those that matter, as in namespace=shop.

Exit status: 0 the alert is notified of; 1 it is not, or a text cannot be rendered; 2 unusable input.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := in.load(); err != nil {
				return err
			}
			given := map[string]string{}
			for _, arg := range args[1:] {
				name, value, ok := strings.Cut(arg, "=")
				if !ok || name == "" {
					return fmt.Errorf("%q is no label: write it as in namespace=shop", arg)
				}
				given[name] = value
			}
			var out bytes.Buffer
			found, secrets, err := in.route(&out, args[0], given)
			if err != nil {
				return err
			}
			redactor, err := redact.New(secrets...)
			if err != nil {
				return fmt.Errorf("the secrets of the Alertmanager configuration: %w", err)
			}
			if _, err := cmd.OutOrStdout().Write(redactor.Bytes(out.Bytes())); err != nil {
				return fmt.Errorf("writing the route: %w", err)
			}
			if found {
				return errFound
			}
			return nil
		},
	}
	in.cmd = cmd
	addRulesFlag(cmd, &in.Rules)
	cmd.Flags().StringVar(&in.Alertmanager, "alertmanager", "fixtures/alertmanager/alertmanager.yml", "Alertmanager's configuration")
	cmd.Flags().StringVar(&in.Prometheus, "prometheus", "", "Prometheus's configuration, for the external labels of alerts (default, with the default --rules, "+prometheus+")")
	return cmd
}

// route writes the way of each alert of a name. Found is whether one is not notified of, or not rendered; the secrets are
// those that the text must not show.
func (in *inputs) route(w io.Writer, name string, given map[string]string) (found bool, secrets []string, err error) {
	present, _ := in.present()
	if present.Alertmanager == "" {
		return false, nil, fmt.Errorf("no Alertmanager configuration: name it with --alertmanager, or in firedrill.yml")
	}
	content, err := os.ReadFile(present.Alertmanager)
	if err != nil {
		return false, nil, fmt.Errorf("Alertmanager's configuration: %w", err)
	}
	tree, err := route.Parse(present.Alertmanager, content)
	if err != nil {
		return false, nil, err
	}
	renderer, err := tree.Renderer()
	if err != nil {
		return false, nil, err
	}
	var external *route.External
	if present.Prometheus != "" {
		content, err := os.ReadFile(present.Prometheus)
		if err != nil {
			return false, nil, fmt.Errorf("Prometheus's configuration: %w", err)
		}
		if external, err = route.ParseExternal(present.Prometheus, content); err != nil {
			return false, nil, err
		}
	}
	set := rule.Set{}
	if present.Set != nil {
		set = *present.Set
	} else if set, err = rule.Read(present.Rules); err != nil {
		return false, nil, err
	}
	var names []string
	var alerts []rule.Alert
	for _, alert := range set.Alerts {
		names = append(names, alert.Name)
		if alert.Name == name {
			alerts = append(alerts, alert)
		}
	}
	if len(alerts) == 0 {
		return false, nil, fmt.Errorf("no alert %q in %s: %s", name, present.Rules, nearest.Choice(name, slices.Compact(slices.Sorted(slices.Values(names)))))
	}
	meant := slices.DeleteFunc(slices.Clone(alerts), func(alert rule.Alert) bool {
		for label, value := range given {
			if own, ok := alert.Labels[label]; ok && own != value && !strings.Contains(own, "{{") {
				return true
			}
		}
		return given[model.AlertNameLabel] != "" && given[model.AlertNameLabel] != alert.Name
	})
	if len(meant) == 0 {
		return false, nil, fmt.Errorf("no rule raises %s with those labels: the rules give it other values, which no series changes", name)
	}
	for i, alert := range meant {
		if i > 0 {
			fmt.Fprintln(w)
		}
		p := routePrinter{w: w, tree: tree, file: present.Alertmanager, renderer: renderer, alerts: set.Alerts, now: time.Now()}
		if p.print(alert, firing(alert, given, external)) {
			found = true
		}
	}
	secrets = slices.DeleteFunc(tree.Secrets(), func(secret string) bool { return len(strings.TrimSpace(secret)) < redact.Shortest })
	return found, secrets, nil
}

// firing is an alert as Alertmanager gets it, where its series have the given labels.
func firing(alert rule.Alert, given map[string]string, external *route.External) route.Firing {
	series := maps.Clone(given)
	for label := range alert.Labels {
		if !strings.Contains(alert.Labels[label], "{{") {
			delete(series, label)
		}
	}
	f := route.Firing{Labels: external.All(), Annotations: map[string]string{}}
	maps.Copy(f.Labels, series)
	text := func(template string) string {
		rendered, err := alert.Render(template, series, external.All())
		if err != nil {
			return fmt.Sprintf("<error expanding template: %s>", err.Reason) // as Prometheus sends it
		}
		return rendered
	}
	for label, template := range alert.Labels {
		f.Labels[label] = text(template)
	}
	f.Labels[model.AlertNameLabel] = alert.Name
	for name, template := range alert.Annotations {
		f.Annotations[name] = text(template)
	}
	return f
}
