// Package project reads firedrill.yml: what a project proves, and of what.
//
//	rules: rules/*.yml
//	runbooks: runbooks
//	compose: compose.yml
//	operator: host
//	ready: curl -fsS http://web/healthz
//	prometheus: prometheus.yml
//	alertmanager: alertmanager.yml
//
//	drills:
//	  - alert: WebDown
//	    branch: If The Process Died
//	    fault: {kill: web}
//	    also: ProbeFailed
//	    verify: curl -fsS http://web/
//
// Paths are relative to the file's folder. Where a list is expected, one element may stand alone. A command is a bash
// script, which runs on the operator as root, or {run: script, on: service}. Durations are in Prometheus's notation (200ms,
// 1m30s), sizes in compose's (64MiB). The types below have a field for each key; schema.json describes the same file for
// editors.
package project

import (
	_ "embed"
	"time"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

// FileName is the name of the file.
const FileName = "firedrill.yml"

// Schema is the JSON Schema of the file, draft 2020-12.
//
//go:embed schema.json
var Schema []byte

// Project is a firedrill.yml in which everything that it names exists. Paths have the file's folder in front.
type Project struct {
	File string   `yaml:"-"` // as it was given to Load
	Set  rule.Set `yaml:"-"` // what the rule files hold; their names are relative to File's folder
	// Images are those that the compose files ask for, by ${FIREDRILL_IMAGE_…}.
	Images []image.Name `yaml:"-"`
	// Sources are the files and folders, absolute, that the compose files name: what images are built of, what is mounted.
	Sources []string `yaml:"-"`

	// Rules are rule files, globs of them, folders, or Prometheus configurations that have rule_files. A *_test.yml, and a file that is plainly something else, is passed over.
	Rules []string `yaml:"rules,required" example:"rules/*.yml"`
	// Runbooks is the folder of the runbooks.
	Runbooks string `yaml:"runbooks,required" example:"runbooks"`
	// Compose are the compose files of the system under test; a later one overrides an earlier one.
	Compose []string `yaml:"compose,required" example:"compose.yml"`
	// Operator is the service in which the steps of runbooks are typed. It has bash.
	Operator string `yaml:"operator,required" example:"host"`
	// Ready succeeds once the system works, and is repeated until then. Nil: it works once every service runs.
	Ready *Command `yaml:"ready" example:"curl -fsS http://web/healthz"`
	// Prometheus is Prometheus's configuration, as deployed.
	Prometheus string `yaml:"prometheus,required" example:"prometheus.yml"`
	// ScrapeInterval is how often the testbed's Prometheus scrapes, and how long a scrape may take: as long as the slowest
	// target needs. 0 for testbed.Interval.
	ScrapeInterval time.Duration `yaml:"scrape_interval" example:"3s"`
	// Alertmanager is Alertmanager's configuration, as deployed. Empty: one receiver gets every notification.
	Alertmanager string `yaml:"alertmanager" example:"alertmanager.yml"`
	// Load keeps asking the system while a drill runs. Nil for nothing.
	Load *Traffic `yaml:"load" example:"{run: 'while sleep 0.1; do curl -s http://web/; done'}"`

	// Sections are words for the headings of runbooks, beside those that package runbook knows.
	Sections Sections `yaml:"sections" example:"{resolution: [Repair]}"`
	// Steps are the languages of the fences that are steps, beside bash and sh: shell, console.
	Steps []string `yaml:"steps" example:"console" oneof:"console,shell"`

	// Allow are the dangerous side effects of runbooks that are no failure in any drill, as sideeffect.Dangerous takes them.
	Allow []string `yaml:"allow" example:"listener-on-all-addresses"`
	// Secrets are files on the operator whose content must not reach a report; each may be a glob.
	Secrets []string `yaml:"secrets,absolute" example:"/etc/web/*.key"`
	// Volumes are volumes of the compose file that Prometheus mounts, read only, and the folder of each.
	Volumes map[string]string `yaml:"volumes,absolute" example:"{textfiles: /var/lib/metrics}"`

	Drills []Drill `yaml:"drills,required" example:"[{alert: WebDown, branch: If The Process Died, fault: {kill: web}}]"`
	// Scenarios are disasters that firedrill drill rehearses.
	Scenarios []Scenario `yaml:"scenarios" example:"[{name: data-lost, description: The data are lost., alert: DataLost, branch: If The Data Are Lost, fault: {run: rm /data/*}, verify: test -s /data/db, objectives: {rto: 30m}}]"`
}

// Drill proves one branch of one alert's runbook.
type Drill struct {
	Line int `yaml:"-"` // in File, where the drill begins

	Alert string `yaml:"alert,required" example:"WebDown"`
	// Branch is its heading in the alert's runbook.
	Branch string `yaml:"branch,required" example:"If The Process Died"`
	// Prepare makes the system what it is before the fault, in this order.
	Prepare []Fault `yaml:"prepare" example:"{run: systemctl stop backup}"`
	// Fault breaks something real, in this order; at least one.
	Fault []Fault `yaml:"fault,required" example:"{kill: web}"`
	// Also are the other alerts that the fault raises, all of them.
	Also []string `yaml:"also" example:"ProbeFailed"`
	// Verify succeeds once the system is well after the runbook. Nil for nothing.
	Verify *Command `yaml:"verify" example:"curl -fsS http://web/"`
	// Responders are what other parties do while the runbook is followed.
	Responders []Responder `yaml:"responders" example:"{when: test -s /var/mail/ca, run: /usr/local/bin/sign}"`
	// StaysFiring has the drill show that the alert does not resolve by itself within an hour.
	StaysFiring bool `yaml:"stays_firing" example:"true"`
	// WrongBranch is a branch that the operator follows first, which this fault makes fail at its first step.
	WrongBranch string `yaml:"wrong_branch" example:"If The Disk Is Full"`
	// Exclusive has no other drill run beside this one.
	Exclusive bool `yaml:"exclusive" example:"true"`
	// Allow are the side effects that are no failure in this drill; after Load, those of the project are among them.
	Allow []string `yaml:"allow" example:"'unit-stopped: backup.service'"`
}

// Name is the drill's name in reports and for --focus; no two drills have the same.
func (d Drill) Name() string { return d.Alert + ": " + d.Branch }

// Scenario is a disaster, and the objectives of the recovery from it. Its drill has a verification, which is asked from the
// fault on: the service is well again when it succeeds for good.
type Scenario struct {
	Drill `yaml:",inline"`

	Name        string `yaml:"name,required" example:"data-lost"`                                          // in lower case, with dashes
	Description string `yaml:"description,required" example:"The database is emptied by a wrong command."` // in one sentence
	// Runbook is the name of the runbook that has the branch, where it is not the alert's.
	Runbook string `yaml:"runbook" example:"DisasterRecovery"`
	// Lost prints a line for each record that was acknowledged and is lost: when it was acknowledged, in seconds since 1970.
	// Nil: what is lost is not measured.
	Lost       *Command   `yaml:"lost" example:"ledger lost"`
	Objectives Objectives `yaml:"objectives,required" example:"{rto: 30m, rpo: 5m, records: 1000}"`
	Limits     []string   `yaml:"limits" example:"The data are fewer than in production."` // what the drill does not show
}

// Objectives limit the duration of the recovery and the loss of data.
type Objectives struct {
	RTO     time.Duration `yaml:"rto,required" example:"30m"` // from the fault until the service is well
	RPO     time.Duration `yaml:"rpo" example:"5m"`           // from the oldest acknowledgement that is lost until the fault; 0 for none
	Records int64         `yaml:"records" example:"1000"`     // acknowledged records that are lost
}

// Command is a bash script, run as root. In the file, a text alone is the script, and runs on the operator.
type Command struct {
	Run string `yaml:"run,required" example:"curl -fsS http://web/"`
	On  string `yaml:"on" example:"web"` // a service; never empty after Load
}

// Traffic keeps asking the system while a drill runs: a command that is started and ended with the drill or, in the file a
// text alone, a service of the compose file, which runs all the time anyway.
type Traffic struct {
	Service string   `yaml:"-"` // empty where Command is set
	Command *Command `yaml:"-"` // nil where Service is set
}

// Responder does something, once, as soon as When succeeds, while a runbook is followed. It has either Run or Restore.
type Responder struct {
	Line int `yaml:"-"` // in File

	When string `yaml:"when,required" example:"test -s /var/mail/ca"`
	Run  string `yaml:"run" example:"/usr/local/bin/sign"`
	// Restore is a service that is started, continued, connected and freed of its limits again, as its platform does.
	Restore string `yaml:"restore" example:"web"`
	On      string `yaml:"on" example:"web"` // the service on which When and Run run; never empty after Load
}

// Sections are headings of sections of runbooks.
type Sections struct {
	// Resolution is the section that has the branches.
	Resolution []string `yaml:"resolution" example:"Repair"`
	// Investigation is the section whose steps are followed during the incident.
	Investigation []string `yaml:"investigation" example:"First Look"`
}

// Grammar is how the runbooks are written.
func (p *Project) Grammar() runbook.Grammar {
	return runbook.Grammar{Sections: runbook.Sections(p.Sections), Steps: p.Steps}
}

// Action is what a fault does.
type Action string

// The actions. In the file, each is a key, whose value is what it is done to.
const (
	Run        Action = "run"        // runs Script on Service
	Kill       Action = "kill"       // ends the main process of Service with Signal
	Stop       Action = "stop"       // stops Service as docker stop does
	Pause      Action = "pause"      // freezes the processes of Service
	Disconnect Action = "disconnect" // takes Service off the network
	Delay      Action = "delay"      // has each packet that Service receives arrive later, by By
	CPUs       Action = "cpus"       // limits the processor time of Service to To processors
	Memory     Action = "memory"     // limits the memory of Service to Bytes
	Fill       Action = "fill"       // fills the filesystem of Folder on Service, but for Bytes
)

// Fault is one thing that breaks the system, or changes it before: {kill: web, signal: TERM}.
type Fault struct {
	Line    int // in File
	Action  Action
	Service string        // never empty after Load: the operator for a Run or a Fill that names none
	Script  string        // of Run, for bash, as root
	Signal  string        // of Kill, without SIG: KILL where the file names none
	By      time.Duration // of Delay
	To      float64       // of CPUs, in processors
	Bytes   int64         // of Memory: the limit; of Fill: what stays free, 0 where the file does not say
	Folder  string        // of Fill
}
