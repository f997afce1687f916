package check

import (
	"slices"

	"github.com/stemedb/firedrill/tools/finding"
)

// Checks are all checks, by name. Nothing is reported or suppressed under another name.
var Checks = []finding.Check{
	{Name: "alert/annotations", Severity: finding.Error, Help: "An alert has the annotations summary, description, runbook_url and dashboard_url, as far as at least half of the alerts have them."},
	{Name: "alert/dashboard", Severity: finding.Error, Help: "An alert's dashboard_url leads to an existing dashboard."},
	{Name: "alert/duplicate", Severity: finding.Error, Help: "No two rules raise the same alert by the same condition."},
	{Name: "alert/hidden", Severity: finding.Error, Help: "No alert is always hidden by another: by one of the same labels, or by an inhibition."},
	{Name: "alert/labels", Severity: finding.Error, Help: "An alert has the labels that routes match on or group by, as far as at least half of the alerts have them, and those that nearly all alerts have."},
	{Name: "alert/template", Severity: finding.Error, Help: "The templates of an alert's labels and annotations can be rendered."},
	{Name: "alert/unfinished", Severity: finding.Error, Help: "An alert has no TODO left in it."},
	{Name: "dashboard/promql", Severity: finding.Error, Help: "The queries of a dashboard are PromQL."},
	{Name: "expr/always", Severity: finding.Error, Help: "An alert's expression has a condition: it does not fire whatever the value is."},
	{Name: "expr/feature", Severity: finding.Error, Help: "Prometheus takes an expression as it is started, without more features of PromQL."},
	{Name: "expr/function", Severity: finding.Error, Help: "A function is given what it is for, as far as the text and the names of metrics tell."},
	{Name: "expr/matching", Severity: finding.Error, Help: "Two sides of an operator can match: no label makes it impossible."},
	{Name: "expr/nan", Severity: finding.Warning, Help: "No series without a rate makes the aggregation of all NaN."},
	{Name: "expr/never", Severity: finding.Error, Help: "Each part of an expression can have a result: no comparison, matcher or recording rule makes it impossible."},
	{Name: "expr/range", Severity: finding.Warning, Help: "A range or a subquery holds the samples that its function needs, and no evaluation of the rule misses any."},
	{Name: "expr/stale", Severity: finding.Warning, Help: "A recorded metric is recorded so often that it has a value whenever it is read."},
	{Name: "expr/useless", Severity: finding.Warning, Help: "Each part of an expression makes a difference."},
	{Name: "header/alert", Severity: finding.Error, Help: "A runbook's header names the alert that the runbook is for, and a procedure's the procedure."},
	{Name: "header/duration", Severity: finding.Error, Help: "The duration in a runbook's header is the rule's \"for\"."},
	{Name: "header/missing", Severity: finding.Error, Help: "A runbook's header gives what at least half of the others give."},
	{Name: "header/severity", Severity: finding.Error, Help: "The severity in a runbook's header is the rule's label."},
	{Name: "header/value", Severity: finding.Error, Help: "The values in a runbook's header can be read."},
	{Name: "inhibition/everything", Severity: finding.Warning, Help: "No inhibition rule mutes all of its targets while any of several sources fires."},
	{Name: "inhibition/never", Severity: finding.Error, Help: "The source, the target and \"equal\" of an inhibition rule do not contradict each other."},
	{Name: "inhibition/unmatched", Severity: finding.Warning, Help: "Each inhibition rule has a source and a target among the alerts."},
	{Name: "metric/label", Severity: finding.Error, Help: "A label that a query asks for is one that the metric has."},
	{Name: "metric/type", Severity: finding.Error, Help: "A function is given the type of metric that it is for, and no bare counter is compared with a constant."},
	{Name: "metric/unknown", Severity: finding.Error, Help: "A metric that a query asks for is exported, or recorded by a rule."},
	{Name: "record/duplicate", Severity: finding.Error, Help: "No two rules of a file record the same series."},
	{Name: "route/interval", Severity: finding.Warning, Help: "A time interval of Alertmanager holds at some time to come."},
	{Name: "route/label", Severity: finding.Error, Help: "Routes and inhibition rules do not misspell the label that they match on."},
	{Name: "route/muted", Severity: finding.Error, Help: "No route is muted at all times."},
	{Name: "route/pattern", Severity: finding.Error, Help: "Routes and inhibition rules compare with a pattern by =~ or !~."},
	{Name: "route/receiver", Severity: finding.Error, Help: "Alertmanager routes an alert to a receiver that has an integration."},
	{Name: "route/shadowed", Severity: finding.Error, Help: "No route is behind one that takes all that it matches, and its matchers do not contradict each other."},
	{Name: "route/template", Severity: finding.Error, Help: "Alertmanager can render the texts of each receiver for the alerts that reach it."},
	{Name: "route/unreached", Severity: finding.Warning, Help: "An alert reaches each route."},
	{Name: "route/unused", Severity: finding.Warning, Help: "A route uses each receiver and each time interval."},
	{Name: "rule/for", Severity: finding.Warning, Help: "An alert's \"for\" is over at an evaluation of its group, and lets it fire at all."},
	{Name: "rule/order", Severity: finding.Warning, Help: "A rule reads what the rules before it in its group have recorded, not what those after it did at the evaluation before."},
	{Name: "rule/override", Severity: finding.Warning, Help: "No label of a rule takes the place of one that its expression groups by."},
	{Name: "runbook/branch", Severity: finding.Warning, Help: "A branch of a runbook has steps."},
	{Name: "runbook/cure", Severity: finding.Warning, Help: "The steps of a branch change something."},
	{Name: "runbook/exit", Severity: finding.Error, Help: "No step ends the shell in which the steps are typed."},
	{Name: "runbook/fence", Severity: finding.Error, Help: "A fence is closed, and what follows its language is understood."},
	{Name: "runbook/heading", Severity: finding.Error, Help: "A runbook has a title, its branches have names, and no step of the resolution is outside of them."},
	{Name: "runbook/index", Severity: finding.Error, Help: "The index of the runbooks, where firedrill index wrote one, is up to date."},
	{Name: "runbook/metric", Severity: finding.Error, Help: "A runbook mentions the metrics that raise its alert, as far as at least half of the others do."},
	{Name: "runbook/missing", Severity: finding.Error, Help: "Each alert has a runbook, which has its name or which its runbook_url leads to."},
	{Name: "runbook/misspelling", Severity: finding.Warning, Help: "A shell variable that nothing is known to set does not differ by one slip from one that is set."},
	{Name: "runbook/orphan", Severity: finding.Error, Help: "Each runbook is that of an alert, or linked from such a runbook."},
	{Name: "runbook/placeholder", Severity: finding.Error, Help: "A step has no placeholder, such as <pod-name>."},
	{Name: "runbook/program", Severity: finding.Error, Help: "The host has the programs that a runbook's steps run."},
	{Name: "runbook/redirection", Severity: finding.Error, Help: "A step has no redirection that is certainly a mistake."},
	{Name: "runbook/section", Severity: finding.Error, Help: "A runbook says what to do, and has the sections that most of the others have."},
	{Name: "runbook/shell", Severity: finding.Error, Help: "A step is shell, with a command, and without a prompt."},
	{Name: "runbook/spec", Severity: finding.Error, Help: "A spec, or a drill in firedrill.yml, follows each branch of each runbook."},
	{Name: "runbook/unfinished", Severity: finding.Error, Help: "A runbook has no TODO left in it."},
	{Name: "runbook/unrun", Severity: finding.Error, Help: "A branch that has steps shows no command that changes something in a fence that is not run."},
	{Name: "runbook/url", Severity: finding.Error, Help: "An alert's runbook_url leads to its runbook, and to a heading that is there."},
	{Name: "runbook/variable", Severity: finding.Error, Help: "A shell variable in a step is a label of the alert, or set before in the same branch."},
	{Name: "runbook/waits", Severity: finding.Error, Help: "A step waits for no person, and ends."},
	{Name: "suppression/reason", Severity: finding.Error, Help: "A suppression gives its reason."},
	{Name: "suppression/unknown", Severity: finding.Error, Help: "A suppression names an existing check."},
	{Name: "suppression/unused", Severity: finding.Error, Help: "A suppression suppresses something."},
	{Name: "template/label", Severity: finding.Error, Help: "A template shows only labels that the expression's result can have."},
	{Name: "template/value", Severity: finding.Error, Help: "No label of an alert changes from evaluation to evaluation, so that its \"for\" can pass."},
	{Name: "trigger/condition", Severity: finding.Error, Help: "PromQL that a summary or a runbook's trigger quotes is the rule's."},
	{Name: "trigger/direction", Severity: finding.Error, Help: "A summary and a runbook's trigger name the side of the threshold on which the rule fires."},
	{Name: "trigger/threshold", Severity: finding.Error, Help: "A time in a summary or a runbook's trigger is the rule's threshold."},
}

func isCheck(name string) bool {
	return slices.ContainsFunc(Checks, func(c finding.Check) bool { return c.Name == name })
}

func severityOf(name string) finding.Severity {
	for _, check := range Checks {
		if check.Name == name {
			return check.Severity
		}
	}
	return finding.Error
}
