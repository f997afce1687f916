package journal

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the examples")

// ended is when the specs of the examples end; all their times are relative to it.
var ended = time.Date(2026, time.March, 9, 10, 14, 31, 0, time.UTC)

// at is so many seconds before the end.
func at(seconds float64) time.Time { return ended.Add(-time.Duration(seconds * float64(time.Second))) }

func secs(seconds float64) Seconds { return Seconds(seconds * float64(time.Second)) }

// sampled is a series with a sample every few seconds, from so many seconds before the end to so many.
func sampled(labels map[string]string, from, to, every float64, value func(before float64) float64) Series {
	s := Series{Labels: labels}
	for before := from; before >= to; before -= every {
		s.Samples = append(s.Samples, Sample{float64(at(before).UnixMilli()) / 1000, value(before)})
	}
	return s
}

// joined is a series of several pieces.
func joined(pieces ...Series) Series {
	whole := pieces[0]
	for _, p := range pieces[1:] {
		whole.Samples = append(whole.Samples, p.Samples...)
	}
	return whole
}

func step(before, took float64, line int, branch, command, output string, exit, expected int) Step {
	return Step{At: at(before), Took: secs(took), File: "runbooks/CertificateExpiringSoon.md", Line: line, Branch: branch, Command: command, Output: output, Exit: &exit, Expected: expected}
}

var (
	expiring = Rule{
		File: "rules/tls.yml", Line: 23, Expr: "shop_tls_cert_expiry_seconds < 7 * 86400", For: secs(3600), Threshold: &Threshold{"<", 604800},
		Labels: map[string]string{"severity": "critical"},
		Annotations: map[string]string{
			"summary":     "TLS certificate of {{ $labels.domain }} expires in less than 7 days",
			"runbook_url": "https://git.example.com/shop/blob/main/runbooks/CertificateExpiringSoon.md",
		},
	}
	scraped  = map[string]string{"domain": "shop.example.com", "instance": "shop.example.com:8080", "job": "shop-api"}
	notified = map[string]string{"alertname": "CertificateExpiringSoon", "domain": "shop.example.com", "instance": "shop.example.com:8080", "severity": "critical"}
	soon     = map[string]string{"summary": "TLS certificate of shop.example.com expires in less than 7 days"}
)

const (
	timer = "If The Timer Didn't Run"
	dates = "echo | openssl s_client -servername \"$domain\" -connect localhost:443 2>/dev/null |\n  openssl x509 -noout "
)

func renewed() Proof {
	const leapt = 3600.0
	// In a leap the gauge holds its value; after it, it goes on from there.
	countdown := func(before float64) float64 {
		return 7*86400 - 36 + math.Max(before-leapt, math.Min(before, 32))
	}
	return Proof{
		Suite: "TLS certificates", Spec: "CertificateExpiringSoon is resolved by its runbook: " + timer, Alert: "CertificateExpiringSoon", Branch: timer,
		What: "fired, runbook followed, resolved", Verdict: True, Started: at(52), Ended: ended, Leapt: secs(leapt), Beyond: secs(8.2),
		Rule: &expiring,
		Signal: &Signal{Expr: "shop_tls_cert_expiry_seconds", Unit: "seconds", Series: []Series{joined(
			sampled(scraped, leapt+50, leapt+33, 4, countdown),
			sampled(scraped, leapt+28, 32, 600, countdown),
			sampled(scraped, 27, 12, 5, countdown),
			sampled(scraped, 11, 0, 5, func(before float64) float64 { return 90*86400 - 60 + before }),
		)}},
		Bands: []Band{
			{"CertificateExpiringSoon", notified, Inactive, at(leapt + 50), at(leapt + 36)},
			{"CertificateExpiringSoon", notified, Pending, at(leapt + 36), at(36)},
			{"CertificateExpiringSoon", notified, Firing, at(36), at(9)},
			{"CertificateExpiringSoon", notified, Resolved, at(9), ended},
		},
		Leaps: []Leap{{From: at(leapt + 32), To: at(32), Took: secs(4.6), Transitions: []Transition{{at(36), "CertificateExpiringSoon", "pending", "firing"}}}},
		Steps: []Step{
			step(23.7, .2, 57, "Investigation Steps", dates+"-checkend $((7 * 86400))", "Certificate will expire\n", 1, 1),
			step(22, 8.3, 118, timer, `renew-certificate "$domain"`, "Renewing the certificate of shop.example.com\nSuccess: it is valid for 90 days\n", 0, 0),
			step(13, .6, 139, timer, "systemctl reload shop-api", "", 0, 0),
			{At: at(12.3), File: "runbooks/CertificateExpiringSoon.md", Line: 146, Branch: timer, Command: "systemctl restart shop-api", Skipped: true},
			step(12.2, .3, 152, timer, dates+"-dates | grep notAfter", "notAfter=Jun  7 09:13:18 2026 GMT\n", 0, 0),
		},
		Notifications: []Notification{
			{at(25.5), "oncall", "firing", notified, soon},
			{at(4), "oncall", "resolved", notified, soon},
		},
		SideEffects: []SideEffect{
			{"file", "/etc/shop/tls/key.pem", "600", "644", "private-key-readable", false},
			{"listener", "tcp 0.0.0.0:8081", "", "listening", "listener-on-all-addresses", true},
			{"file", "/etc/shop/tls/cert.pem", "old content", "new content", "", false},
			{"file", "/var/log (logs)", "", "2 changed in it", "", false},
			{"not examined", "units: systemctl list-units --all fails", "", "", "", false},
		},
	}
}

func refused() Proof {
	p := renewed()
	p.Branch = "If Renewal Fails"
	p.Spec = "CertificateExpiringSoon is resolved by its runbook: " + p.Branch
	p.Verdict, p.What, p.Beyond, p.Evidence = False, "", 0, "evidence/CertificateExpiringSoon-If-Renewal-Fails"
	p.Failure = `follow "If Renewal Fails": runbooks/CertificateExpiringSoon.md:241 "If Renewal Fails" 2/3: exit 1, expected 0
  $ renew-certificate --manual \
  >   "$domain"
  The authority refused shop.example.com: unauthorized.`
	s := p.Signal.Series[0]
	for i := range s.Samples {
		if over := s.Samples[i].At - float64(at(12).Unix()); over > 0 {
			s.Samples[i].Value = 7*86400 - 36 + 12 - over
		}
	}
	p.Bands = p.Bands[:3]
	p.Bands[2].To = ended
	p.Notifications, p.SideEffects = p.Notifications[:1], nil
	p.Steps = append(p.Steps[:1:1],
		step(19, 7.9, 241, p.Branch, "renew-certificate --manual \\\n  \"$domain\"", "Renewing the certificate of shop.example.com\nThe authority refused shop.example.com: unauthorized.\n", 1, 0))
	return p
}

func errorRate() Proof {
	labels := func(instance string) map[string]string {
		return map[string]string{"alertname": "HighErrorRate", "instance": instance, "severity": "warning"}
	}
	wave := func(high float64) func(float64) float64 {
		return func(before float64) float64 {
			return high * (1 + math.Sin(before/3)/40) * math.Min(1, math.Max(0, (1250-before)/300)) * math.Min(1, math.Max(0, (before-10)/270))
		}
	}
	series := func(instance string, high float64) Series {
		l := map[string]string{"instance": instance}
		return joined(sampled(l, 1290, 1251, 10, wave(high)), sampled(l, 1246, 350, 150, wave(high)), sampled(l, 348, 300, 10, wave(high)), sampled(l, 295, 40, 50, wave(high)), sampled(l, 38, 0, 10, wave(high)))
	}
	const one, two = "shop-1.example.com:8080", "shop-2.example.com:8080"
	summary := func(instance string) map[string]string {
		return map[string]string{"summary": "More than 5 % of requests to " + instance + " fail"}
	}
	const ratio = `sum by (instance) (rate(shop_http_requests_total{code=~"5.."}[5m])) / sum by (instance) (rate(shop_http_requests_total[5m]))`
	exit := 0
	return Proof{
		Suite: "The shop's API", Spec: "HighErrorRate is resolved by its runbook: If Orders Cannot Be Written", Alert: "HighErrorRate", Branch: "If Orders Cannot Be Written",
		What: "fired, did not self-resolve, runbook followed, resolved", Verdict: True, Started: at(135), Ended: ended, Leapt: secs(1155), Beyond: secs(31),
		Rule:   &Rule{File: "rules/api.yml", Line: 30, Expr: ratio + " > 0.05", For: secs(600), Threshold: &Threshold{">", .05}, Labels: map[string]string{"severity": "warning"}},
		Signal: &Signal{Unit: "ratio", Expr: ratio, Series: []Series{series(one, .31), series(two, .12)}},
		Bands: []Band{
			{"HighErrorRate", labels(one), Pending, at(1195), at(595)},
			{"HighErrorRate", labels(one), Firing, at(595), at(22)},
			{"HighErrorRate", labels(one), Resolved, at(22), ended},
			{"HighErrorRate", labels(two), Pending, at(1120), at(520)},
			{"HighErrorRate", labels(two), Firing, at(520), at(120)},
			{"HighErrorRate", labels(two), Resolved, at(120), ended},
			{"DiskWriteErrors", nil, Firing, at(1200), at(340)},
		},
		Leaps: []Leap{
			{From: at(1250), To: at(350), Took: secs(5.1), Transitions: []Transition{{at(1195), "HighErrorRate", "inactive", "pending"}, {at(595), "HighErrorRate", "pending", "firing"}}},
			{From: at(298), To: at(43), Took: secs(3.8)},
		},
		Steps: []Step{
			{At: at(339), Took: secs(21), File: "runbooks/HighErrorRate.md", Line: 62, Branch: "If Orders Cannot Be Written", Command: "systemctl restart shop-api", Exit: &exit},
		},
		Notifications: []Notification{
			{at(343), "mail", "firing", labels(one), summary(one)},
			{at(343), "mail", "firing", labels(two), summary(two)},
			{at(17), "mail", "resolved", labels(one), summary(one)},
		},
	}
}

func run() Journal {
	return Journal{
		Schema: Schema, Kind: KindProof,
		Run:      Run{Started: at(612), Ended: at(-3), Command: []string{"firedrill", "prove", "--focus", "Didn't Run", "./e2e/..."}, Firedrill: "v0.4.1", Go: "go1.26.7", Commit: "7c1d9a40be2f6d1e0a5b8c3f4e2d1a0b9c8d7e6f", Dirty: true, Testbeds: []Seconds{secs(8.04), secs(12)}},
		Versions: []Component{{"prometheus", "3.16.0"}, {"alertmanager", "0.34.2"}},
		Images: []Image{
			{"host", "firedrill/host:9f2c01d7", "sha256:4a1e0c7b9d3f5a2e8c6b1d0f7e9a3c5b2d4f6a8c0e1b3d5f7a9c2e4b6d8f0a1c"},
			{"prometheus", "firedrill/prometheus:1b7e22aa", "sha256:b5d2f8a1c3e6907b4d2f1a8c5e3b7d9f0a2c4e6b8d1f3a5c7e9b0d2f4a6c8e1b"},
		},
		Inputs: []Input{
			{"rules/api.yml", strings.Repeat("0a1b2c3d", 8)}, {"rules/tls.yml", strings.Repeat("4e5f6a7b", 8)},
			{"runbooks/CertificateExpiringSoon.md", strings.Repeat("8c9d0e1f", 8)}, {"runbooks/HighErrorRate.md", strings.Repeat("2a3b4c5d", 8)},
		},
		Proofs: []Proof{
			{Suite: "TLS certificates", Spec: "CertificateExpired fires at 0", Alert: "CertificateExpired", Branch: "the boundary at 0", What: "pending at 0, inactive at 1", Verdict: True, Started: at(560), Ended: at(548.5)},
			refused(), renewed(),
			{Suite: "TLS certificates", Spec: "CertificateExpiryUnknown fires without series", Alert: "CertificateExpiryUnknown", Branch: "fires without series", Verdict: Unknown, Failure: "interrupted: Interrupted by User", Started: at(9), Ended: at(1)},
			errorRate(),
		},
	}
}

func drill() Journal {
	j := run()
	j.Kind, j.Run.Dirty = KindDrill, false
	j.Run.Command = []string{"firedrill", "drill", "quarterly"}
	j.Inputs = append(j.Inputs, Input{"runbooks/ShopDown.md", strings.Repeat("6e7f8a9b", 8)})
	p := Proof{
		Suite: "Disasters", Spec: "A host is lost and its data restored from a backup", Alert: "ShopDown", Branch: "If The Host Is Lost", What: "restored, and its orders counted",
		Verdict: True, Started: at(470), Ended: ended, Leapt: 0,
		Rule: &Rule{File: "rules/api.yml", Line: 5, Expr: `up{job="shop-api"} == 0`, For: secs(60), Threshold: &Threshold{"==", 0}, Labels: map[string]string{"severity": "critical"}},
		Signal: &Signal{Expr: `up{job="shop-api"}`, Series: []Series{sampled(map[string]string{"instance": "shop.example.com:8080"}, 470, 0, 10, func(before float64) float64 {
			if before < 431 && before > 83 {
				return 0
			}
			return 1
		})}},
		Bands: []Band{
			{"ShopDown", nil, Pending, at(430), at(369)}, {"ShopDown", nil, Firing, at(369), at(81)}, {"ShopDown", nil, Resolved, at(81), ended},
		},
		Notifications: []Notification{
			{at(366), "oncall", "firing", map[string]string{"alertname": "ShopDown"}, map[string]string{"summary": "shop.example.com does not answer"}},
			{at(77), "oncall", "resolved", map[string]string{"alertname": "ShopDown"}, map[string]string{"summary": "shop.example.com does not answer"}},
		},
	}
	for i, s := range []struct {
		before, took float64
		command      string
	}{{320, 171, "restore-backup --latest"}, {96, 4, "systemctl start shop-api"}, {80, 9, "count-orders"}} {
		exit := 0
		p.Steps = append(p.Steps, Step{At: at(s.before), Took: secs(s.took), File: "runbooks/ShopDown.md", Line: 80 + 6*i, Branch: p.Branch, Command: s.command, Output: "done\n", Exit: &exit})
	}
	rto, measured, none, lost, seconds, window := secs(900), secs(361), int64(0), int64(3), secs(30), secs(41.5)
	p.Drill = &Drill{
		Scenario:   Scenario{"A host is lost", "The host and its disk are lost while customers order. A new host is installed, and its data is restored from the last backup.", 20260309},
		Objectives: Recovery{RTO: &rto, RPORecords: &none, RPO: &seconds}, Measured: Recovery{RTO: &measured, RPORecords: &lost, RPO: &window},
		Timeline:   []Moment{{at(436), "The host is lost; 48112 orders had been acknowledged"}, {at(369), "ShopDown fires"}, {at(320), "The runbook is started"}, {at(83), "The service answers again"}, {at(75), "48109 orders are counted"}},
		Deviations: []string{"The runbook names another host than the one that was restored."},
		Findings:   []string{"3 orders of the last 41.5 seconds were in no backup: one is made each minute, the objective is 30 seconds."},
		Limits:     []string{"Time that was leapt was not waited.", "The backups were on the same host: a restore over the operator's network was not tried."},
	}
	j.Proofs = []Proof{p, renewed()}
	return j
}

// The examples are read by package report's tests as well.
func TestExamples(t *testing.T) {
	for name, j := range map[string]Journal{"proof": run(), "drill": drill()} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".json")
			var b bytes.Buffer
			if err := j.Write(&b); err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Fatalf("%s is not what is written now: run the test with -update and look at the change", file)
			}
			read, err := Read(bytes.NewReader(want))
			if err != nil {
				t.Fatal(err)
			}
			var again bytes.Buffer
			if err := read.Write(&again); err != nil {
				t.Fatal(err)
			}
			if again.String() != string(want) {
				t.Error("what was read is not what was written")
			}
		})
	}
}
