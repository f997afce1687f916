package testbed

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

// well is an observation of an alert that is inactive for good reasons.
func well() Observation {
	return Observation{
		Alert: "DiskFull", Rule: "rules/disk.yml:3", Expr: "disk_free_ratio < 0.1", State: "inactive", Health: "ok",
		Evaluated: noon, At: noon.Add(time.Second), Targets: []Target{{Job: "node", Instance: "web:9100", Up: true}},
		static: map[string]string{"severity": "critical"},
	}
}

func TestAnAlertThatIsSilentIsNotInactive(t *testing.T) {
	if err := well().Inactive(); err != nil {
		t.Errorf("an alert that is well: %v", err)
	}
	for because, change := range map[string]func(*Observation){
		"rules not evaluated since the last change":                     func(o *Observation) { o.Stale = errors.New("rules not evaluated since the last change") },
		"its rule is not healthy: many-to-many":                         func(o *Observation) { o.Health, o.LastError = "err", "many-to-many" },
		"it is firing":                                                  func(o *Observation) { o.State = "firing" },
		"Prometheus has no target":                                      func(o *Observation) { o.Targets = nil },
		"it is silent, not resolved: no samples of {__name__=\"disk\"}": func(o *Observation) { o.Absent = []string{`{__name__="disk"}`} },
		"it is silent, not resolved: target web:9100 is down":           func(o *Observation) { o.Targets[0].Up = false },
	} {
		o := well()
		change(&o)
		want := "expected DiskFull to be inactive, but " + because + ":\n"
		if err := o.Inactive(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: it says %v", because, err)
		}
	}
}

func TestAnObservationSaysWhatAnOnCallAsks(t *testing.T) {
	o := well()
	o.State, o.System = "firing", "serving serial 04a1"
	o.Last = runbook.Result{Step: runbook.Step{File: "runbooks/DiskFull.md", Line: 20, Source: "rm x"}, Branch: "If Logs Fill It", Index: 1, Of: 2}
	o.Instances = []Instance{{
		Labels: map[string]string{"alertname": "DiskFull", "severity": "critical", "mount": "/data"}, State: "firing",
		Since: noon.Add(-time.Hour), Value: 0.05, HeldUntil: noon.Add(5 * time.Minute),
	}}
	want := `DiskFull{mount="/data"} is firing: value 0.05, disk_free_ratio < 0.1 (rules/disk.yml:3), for 1h0m, held by keep_firing_for until 12:05:00, in 4m59s,
  evaluated 1s ago, rule health ok, target web:9100 up,
  serving serial 04a1
  last step runbooks/DiskFull.md:20 "If Logs Fill It" 1/2, exit 0, 0s`
	if got := o.String(); got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
	if err := o.InState("firing"); err != nil {
		t.Errorf("firing: %v", err)
	}
	if err := o.InState("pending"); err == nil || !strings.HasPrefix(err.Error(), "expected DiskFull to be pending, but it is firing:\n") {
		t.Errorf("pending: %v", err)
	}
}

func TestKeepFiringForHoldsAnAlert(t *testing.T) {
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"status":"success","data":{"alerts":[
			{"labels":{"alertname":"A","instance":"held"},"state":"firing","keepFiringSince":"2026-03-01T12:00:00Z"},
			{"labels":{"alertname":"A","instance":"free"},"state":"firing"}]}}`))
	}))
	defer prometheus.Close()
	bed := &Testbed{endpoints: map[int]string{portPrometheus: strings.TrimPrefix(prometheus.URL, "http://")}}
	held, err := (&Alert{Alert: rule.Alert{Name: "A", KeepFiringFor: 5 * time.Minute}, testbed: bed}).held(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(held) != 1 {
		t.Fatalf("%d instances are held, want 1", len(held))
	}
	for _, until := range held {
		if want := noon.Add(5 * time.Minute); !until.Equal(want) {
			t.Errorf("it is held until %s, want %s", until, want)
		}
	}
}

func TestRepetitionsAreListedOnce(t *testing.T) {
	notification := func(receiver, status string) Notification {
		return Notification{Receiver: receiver, Status: status, Labels: map[string]string{"alertname": "A"}}
	}
	all := []Notification{notification("x", "firing"), notification("x", "firing"), notification("y", "firing"), notification("x", "resolved"), notification("x", "firing")}
	var got []string
	for _, n := range changes(all) {
		got = append(got, n.Receiver+" "+n.Status)
	}
	if want := "x firing, y firing, x resolved, x firing"; strings.Join(got, ", ") != want {
		t.Errorf("the changes are %q, want %q", got, want)
	}
	if Resolved(all, "x", "A") || !Resolved(all[:4], "x", "A") {
		t.Error("a receiver that was told again that the alert fires takes it for resolved")
	}
}
