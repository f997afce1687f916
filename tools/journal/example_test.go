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

var update = flag.Bool("update", false, "write the examples anew")

// ended is when the specs of the examples end; all that they tell is told from there.
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
		Labels: map[string]string{"severity": "critical", "team": "infrastructure"},
		Annotations: map[string]string{
			"summary":     "TLS certificate of {{ $labels.domain }} expires in less than 7 days - renew now",
			"runbook_url": "https://git.example.com/shop/blob/main/runbooks/CertificateExpiringSoon.md",
		},
	}
	served = map[string]string{"domain": "shop.example.com", "instance": "shop.example.com:18181", "job": "shop-api"}
	paged  = map[string]string{"alertname": "CertificateExpiringSoon", "domain": "shop.example.com", "instance": "shop.example.com:18181", "severity": "critical", "team": "infrastructure"}
	soon   = map[string]string{"summary": "TLS certificate of shop.example.com expires in less than 7 days - renew now"}
)

const (
	letsEncrypt = "If Using Let's Encrypt"
	served509   = "echo | openssl s_client -servername \"$domain\" -connect localhost:18180 2>/dev/null |\n  openssl x509 -noout "
)

func renewed() Proof {
	const leapt = 3600.0
	// A leap holds the value that there was, and does not move the world: what is left goes on from there.
	countdown := func(before float64) float64 {
		return 7*86400 - 36 + math.Max(before-leapt, math.Min(before, 32))
	}
	return Proof{
		Suite: "TLS certificates", Spec: "Each branch of each runbook clears CertificateExpiringSoon: If Using Let's Encrypt", Alert: "CertificateExpiringSoon", Branch: letsEncrypt,
		What: "fired, was followed, cleared", Verdict: True, Started: at(52), Ended: ended, Leapt: secs(leapt), Beyond: secs(8.2),
		Rule: &expiring,
		Signal: &Signal{Expr: "shop_tls_cert_expiry_seconds", Unit: "seconds", Series: []Series{joined(
			sampled(served, leapt+50, leapt+33, 1, countdown),
			sampled(served, leapt+28, 32, 60, countdown),
			sampled(served, 27, 12, 1, countdown),
			sampled(served, 11, 0, 1, func(before float64) float64 { return 90*86400 - 60 + before }),
		)}},
		Bands: []Band{
			{"CertificateExpiringSoon", paged, Inactive, at(leapt + 50), at(leapt + 36)},
			{"CertificateExpiringSoon", paged, Pending, at(leapt + 36), at(36)},
			{"CertificateExpiringSoon", paged, Firing, at(36), at(9)},
			{"CertificateExpiringSoon", paged, Resolved, at(9), ended},
		},
		Leaps: []Leap{{From: at(leapt + 32), To: at(32), Took: secs(4.6), Transitions: []Transition{{at(36), "CertificateExpiringSoon", "pending", "firing"}}}},
		Steps: []Step{
			step(24, .2, 44, "Investigation Steps", served509+"-dates", "notBefore=Mar  2 09:13:40 2026 GMT\nnotAfter=Mar 16 09:13:54 2026 GMT\n", 0, 0),
			step(23.7, .2, 57, "Investigation Steps", served509+"-checkend $((7 * 86400))", "Certificate will expire\n", 1, 1),
			step(23.4, .1, 85, "Investigation Steps", "openssl x509 -noout -issuer -in /etc/shop/tls/cert.pem", "issuer=CN = Pebble Intermediate CA 6e8a1f\n", 0, 0),
			step(22, 4.3, 118, letsEncrypt, `certbot renew --dry-run --cert-name "$domain"`, "Saving debug log to /var/log/letsencrypt/letsencrypt.log\n\nProcessing /etc/letsencrypt/renewal/shop.example.com.conf\nSimulating renewal of an existing certificate for shop.example.com\n\nCongratulations, all simulated renewals succeeded:\n  /etc/letsencrypt/live/shop.example.com/fullchain.pem (success)\n", 0, 0),
			step(17.5, 4.1, 122, letsEncrypt, `certbot renew --cert-name "$domain" --force-renewal`, "Renewing an existing certificate for shop.example.com\n\nCongratulations, all renewals succeeded:\n  /etc/letsencrypt/live/shop.example.com/fullchain.pem (success)\n", 0, 0),
			step(13.2, .1, 131, letsEncrypt, "install -o shop -g shop -m 644 \"/etc/letsencrypt/live/$domain/fullchain.pem\" /etc/shop/tls/cert.pem\ninstall -o shop -g shop -m 600 \"/etc/letsencrypt/live/$domain/privkey.pem\" /etc/shop/tls/key.pem", "", 0, 0),
			step(13, .6, 139, letsEncrypt, "systemctl reload shop-api", "", 0, 0),
			{At: at(12.3), File: "runbooks/CertificateExpiringSoon.md", Line: 146, Branch: letsEncrypt, Command: "systemctl restart shop-api", Skipped: true},
			step(12.2, .3, 152, letsEncrypt, served509+"-dates | grep notAfter\n"+served509+"-checkend $((30 * 86400))", "notAfter=Jun  7 09:13:18 2026 GMT\nCertificate will not expire\n", 0, 0),
		},
		Notifications: []Notification{
			{at(25.5), "page", "firing", paged, soon},
			{at(4), "page", "resolved", paged, soon},
		},
	}
}

func refused() Proof {
	p := renewed()
	p.Spec, p.Branch = "Each branch of each runbook clears CertificateExpiringSoon: If Renewal Fails", "If Renewal Fails"
	p.Verdict, p.What, p.Beyond, p.Evidence = False, "", 0, "evidence/clears-CertificateExpiringSoon-If-Renewal-Fails"
	p.Failure = `follow "If Renewal Fails": runbooks/CertificateExpiringSoon.md:241 "If Renewal Fails" 5/9: exit 1, expected 0
  $ certbot certonly --manual --preferred-challenges dns \
  >   --cert-name "$domain" -d "$domain" \
  >   --server https://acme-staging-v02.api.letsencrypt.org/directory \
  >   --dry-run
  Certbot failed to authenticate some domains (authenticator: manual).`
	s := p.Signal.Series[0]
	for i := range s.Samples {
		if over := s.Samples[i].At - float64(at(12).Unix()); over > 0 {
			s.Samples[i].Value = 7*86400 - 36 + 12 - over
		}
	}
	p.Bands = p.Bands[:3]
	p.Bands[2].To = ended
	p.Notifications = p.Notifications[:1]
	p.Steps = append(p.Steps[:3:3],
		step(20, .1, 222, p.Branch, `dig "_acme-challenge.$domain" TXT`, "; <<>> DiG 9.18.44 <<>> _acme-challenge.shop.example.com TXT\n;; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 4711\n", 0, 0),
		step(19, 7.9, 241, p.Branch, "certbot certonly --manual --preferred-challenges dns \\\n  --cert-name \"$domain\" -d \"$domain\" \\\n  --server https://acme-staging-v02.api.letsencrypt.org/directory \\\n  --dry-run",
			"Please deploy a DNS TXT record under the name:\n\n_acme-challenge.shop.example.com.\n\nwith the following value:\n\nq1w2e3r4t5z6\n\nPress Enter to Continue\nCertbot failed to authenticate some domains (authenticator: manual). The Certificate Authority reported these problems:\n  Domain: shop.example.com\n  Type:   unauthorized\n  Detail: Correct value not found for DNS challenge\n\nSome challenges have failed.\n", 1, 0))
	return p
}

func errorRate() Proof {
	labels := func(instance string) map[string]string {
		return map[string]string{"alertname": "HighErrorRate", "instance": instance, "severity": "warning", "team": "api"}
	}
	wave := func(high float64) func(float64) float64 {
		return func(before float64) float64 {
			return high * (1 + math.Sin(before/3)/40) * math.Min(1, math.Max(0, (1250-before)/300)) * math.Min(1, math.Max(0, (before-10)/270))
		}
	}
	series := func(instance string, high float64) Series {
		l := map[string]string{"instance": instance}
		return joined(sampled(l, 1290, 1251, 2, wave(high)), sampled(l, 1246, 350, 15, wave(high)), sampled(l, 348, 300, 2, wave(high)), sampled(l, 295, 40, 15, wave(high)), sampled(l, 38, 0, 2, wave(high)))
	}
	exit := 0
	return Proof{
		Suite: "The shop's API", Spec: "Each branch of each runbook clears HighErrorRate: If The Write Path Fails", Alert: "HighErrorRate", Branch: "If The Write Path Fails",
		What: "fired, did not clear alone, was followed, cleared", Verdict: True, Started: at(135), Ended: ended, Leapt: secs(1155), Beyond: secs(31),
		Rule: &Rule{File: "rules/api.yml", Line: 30, Expr: `sum by (instance) (rate(shop_http_requests_total{code=~"5.."}[5m])) / sum by (instance) (rate(shop_http_requests_total[5m])) > 0.05`,
			For: secs(600), Threshold: &Threshold{">", .05}, Labels: map[string]string{"severity": "warning", "team": "api"}},
		Signal: &Signal{Unit: "ratio", Expr: `sum by (instance) (rate(shop_http_requests_total{code=~"5.."}[5m])) / sum by (instance) (rate(shop_http_requests_total[5m]))`,
			Series: []Series{series("shop-1.example.com:18181", .31), series("shop-2.example.com:18181", .12)}},
		Bands: []Band{
			{"HighErrorRate", labels("shop-1.example.com:18181"), Pending, at(1195), at(595)},
			{"HighErrorRate", labels("shop-1.example.com:18181"), Firing, at(595), at(22)},
			{"HighErrorRate", labels("shop-1.example.com:18181"), Resolved, at(22), ended},
			{"HighErrorRate", labels("shop-2.example.com:18181"), Pending, at(1120), at(520)},
			{"HighErrorRate", labels("shop-2.example.com:18181"), Firing, at(520), at(120)},
			{"HighErrorRate", labels("shop-2.example.com:18181"), Resolved, at(120), ended},
			{"WALFsyncFailing", nil, Firing, at(1200), at(340)},
		},
		Leaps: []Leap{
			{From: at(1250), To: at(350), Took: secs(5.1), Transitions: []Transition{{at(1195), "HighErrorRate", "inactive", "pending"}, {at(595), "HighErrorRate", "pending", "firing"}}},
			{From: at(298), To: at(43), Took: secs(3.8)},
		},
		Steps: []Step{
			{At: at(341), Took: secs(.4), File: "runbooks/HighErrorRate.md", Line: 40, Branch: "Investigation Steps", Command: "journalctl -u shop-api --since '10 min ago' --no-pager | grep ' 500 ' | tail -n 5", Output: "Mar 09 10:08:41 shop-1 shop-api[311]: PUT /v1/records 500 wal: fsync: input/output error\n", Exit: &exit},
			{At: at(339), Took: secs(21), File: "runbooks/HighErrorRate.md", Line: 62, Branch: "If The Write Path Fails", Command: "systemctl restart shop-api", Exit: &exit},
		},
		Notifications: []Notification{
			{at(343), "ticket", "firing", labels("shop-1.example.com:18181"), map[string]string{"summary": "More than 5 % of requests to shop-1.example.com:18181 fail"}},
			{at(343), "ticket", "firing", labels("shop-2.example.com:18181"), map[string]string{"summary": "More than 5 % of requests to shop-2.example.com:18181 fail"}},
			{at(17), "ticket", "resolved", labels("shop-1.example.com:18181"), map[string]string{"summary": "More than 5 % of requests to shop-1.example.com:18181 fail"}},
		},
	}
}

func run() Journal {
	return Journal{
		Schema: Schema, Kind: KindProof,
		Run:      Run{Started: at(612), Ended: at(-3), Command: []string{"firedrill", "prove", "--focus", "Let's Encrypt", "./e2e/..."}, Firedrill: "v0.4.1", Go: "go1.26.7", Commit: "7c1d9a40be2f6d1e0a5b8c3f4e2d1a0b9c8d7e6f", Dirty: true, Worlds: []Seconds{secs(8.04), secs(12)}},
		Versions: []Component{{"Prometheus", "3.16.0"}, {"Alertmanager", "0.34.2"}, {"Pebble", "2.10.1"}},
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
			{Suite: "TLS certificates", Spec: "CertificateExpiryUnknown is raised by silence", Alert: "CertificateExpiryUnknown", Branch: "is raised by silence", Verdict: Unknown, Failure: "interrupted: Interrupted by User", Started: at(9), Ended: at(1)},
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
		Suite: "Disasters", Spec: "A host is lost and its data restored from S3", Alert: "ShopDown", Branch: "If The Host Is Lost", What: "restored, and its records counted",
		Verdict: True, Started: at(470), Ended: ended, Leapt: 0,
		Rule: &Rule{File: "rules/api.yml", Line: 5, Expr: `up{job="shop-api"} == 0`, For: secs(60), Threshold: &Threshold{"==", 0}, Labels: map[string]string{"severity": "critical", "team": "infrastructure"}},
		Signal: &Signal{Expr: `up{job="shop-api"}`, Series: []Series{sampled(map[string]string{"instance": "shop.example.com:18181"}, 470, 0, 2, func(before float64) float64 {
			if before < 431 && before > 83 {
				return 0
			}
			return 1
		})}},
		Bands: []Band{
			{"ShopDown", nil, Pending, at(430), at(369)}, {"ShopDown", nil, Firing, at(369), at(81)}, {"ShopDown", nil, Resolved, at(81), ended},
		},
		Notifications: []Notification{
			{at(366), "page", "firing", map[string]string{"alertname": "ShopDown", "instance": "shop.example.com:18181", "severity": "critical"}, map[string]string{"summary": "shop.example.com:18181 does not answer"}},
			{at(77), "page", "resolved", map[string]string{"alertname": "ShopDown", "instance": "shop.example.com:18181", "severity": "critical"}, map[string]string{"summary": "shop.example.com:18181 does not answer"}},
		},
	}
	for i, s := range []struct {
		before, took float64
		command      string
	}{{340, 12, "shop-admin backup list --from s3://shop-backup"}, {320, 171, "shop-admin restore --latest --into /var/lib/shop"}, {140, 40, "shop-admin wal replay --archive s3://shop-wal"}, {96, 4, "systemctl start shop-api"}, {80, 9, "shop-admin verify"}} {
		exit := 0
		p.Steps = append(p.Steps, Step{At: at(s.before), Took: secs(s.took), File: "runbooks/ShopDown.md", Line: 80 + 6*i, Branch: p.Branch, Command: s.command, Output: "done\n", Exit: &exit})
	}
	rto, measured, none, lost, seconds, window := secs(900), secs(361), int64(0), int64(3), secs(30), secs(41.5)
	p.Drill = &Drill{
		Scenario:   Scenario{"A host is lost", "The host and its disk are gone while clients write. A new host is made, and its data is restored from the last backup and the archived write-ahead log.", 20260309},
		Objectives: Recovery{RTO: &rto, RPORecords: &none, RPO: &seconds}, Measured: Recovery{RTO: &measured, RPORecords: &lost, RPO: &window},
		Timeline:   []Moment{{at(436), "The host is destroyed; 48112 records had been acknowledged"}, {at(369), "ShopDown fires"}, {at(366), "The on-call is paged"}, {at(340), "The runbook is begun"}, {at(83), "The service answers again"}, {at(75), "48109 records are counted"}},
		Deviations: []string{"The runbook asked for the newest backup by hand; the tool was used instead."},
		Findings:   []string{"3 records that were acknowledged in the last 41.5 seconds were in no archived segment: the archive is written each minute, the objective is 30 seconds."},
		Limits:     []string{"Pebble is not Let's Encrypt: rate limits and its real latency were not met.", "Time that was leapt is not time that was waited.", "The object store ran beside the host, so that a restore over a slow line was not tried."},
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
