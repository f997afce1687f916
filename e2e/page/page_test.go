package page

import (
	"bytes"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/stemedb"
	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/redact"
	"github.com/stemedb/firedrill/tools/report"
	. "github.com/stemedb/firedrill/tools/testbed/match"
)

const (
	alertName = "CertificateExpiringSoon"
	branch    = "If Using Let's Encrypt"
)

var _ = Describe("The report of what really happened", Label("report"), func() {
	// proof is one alert that fired, was followed and cleared.
	proof := func(ctx SpecContext) journal.Proof {
		GinkgoHelper()
		began := time.Now()
		alert, page := env.Fire(ctx, alertName, env.Expiring(stemedb.LetsEncrypt, 6*24*time.Hour))
		book, err := alert.Runbook()
		Expect(err).NotTo(HaveOccurred())
		resolution, err := book.Branch(branch)
		Expect(err).NotTo(HaveOccurred())
		Expect(env.Follow(ctx, resolution, page.Labels)).Error().NotTo(HaveOccurred())
		Eventually(ctx, alert.Observe).Should(BeInactive())
		Eventually(ctx, env.Notifications).Should(HaveResolved(page.Receiver, alert))
		p, err := env.Record(ctx, alert)
		Expect(err).NotTo(HaveOccurred())
		p.Suite, p.Spec, p.Branch, p.Verdict, p.Started, p.Ended = "page", "the report", branch, journal.True, began.UTC(), time.Now().UTC()
		p.Leapt = journal.Seconds(env.Leapt())
		return p
	}
	// written is the folder of a report of the proof.
	written := func(p journal.Proof, junit string, evidence []string, secrets redact.Redactor) string {
		GinkgoHelper()
		folder := filepath.Join(GinkgoT().TempDir(), "report")
		_, err := report.Write(folder, report.Source{
			Journal: journal.Journal{Schema: journal.Schema, Kind: journal.KindProof, Proofs: []journal.Proof{p},
				Run:      journal.Run{Started: p.Started, Ended: p.Ended, Command: []string{"firedrill", "prove"}, Firedrill: "v1", Go: "go1.26"},
				Versions: []journal.Component{}, Images: []journal.Image{}, Inputs: []journal.Input{}},
			JUnit: [][]byte{[]byte(junit)}, Evidence: evidence, Secrets: secrets,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(report.Verify(folder)).To(BeEmpty())
		return folder
	}

	env.It("is seen in Chromium, in the light and in the dark, at a desk and on a telephone", func(ctx SpecContext) {
		p := proof(ctx)
		Expect(p.Leaps).To(HaveLen(1))
		var states []journal.State
		for _, band := range p.Bands {
			states = append(states, band.State)
		}
		Expect(states).To(Equal([]journal.State{journal.Inactive, journal.Pending, journal.Firing, journal.Resolved}))
		Expect(p.Notifications).To(HaveLen(2), "firing, and resolved")
		Expect(p.Steps).To(HaveEach(HaveField("At", BeTemporally(">=", p.Bands[0].From))), "also of what was only shown")

		page, err := os.ReadFile(filepath.Join(written(p, "<testsuites/>", nil, redact.Redactor{}), report.PageFile))
		Expect(err).NotTo(HaveOccurred())
		browser, err := env.Browser(ctx)
		Expect(err).NotTo(HaveOccurred())
		brightness := map[bool]float64{}
		for _, dark := range []bool{false, true} {
			for name, width := range map[string]int{"desk": 1280, "telephone": 400} {
				env.Step("looking at it: " + name)
				shot, err := browser.See(ctx, page, width, 1600, dark)
				Expect(err).NotTo(HaveOccurred())
				keep(name, dark, shot)
				Expect(shot.ConsoleMessages).To(BeEmpty())
				Expect(shot.DOM).To(And(ContainSubstring("<svg"), ContainSubstring(alertName), ContainSubstring("leapt 1h"), ContainSubstring("certbot renew")))
				Expect(colours(shot.Picture)).To(BeNumerically(">", 100), "there is something to see")
				brightness[dark] += light(shot.Picture)
			}
		}
		Expect(brightness[true]).To(BeNumerically("<", brightness[false]/2), "who likes it dark gets it dark")
		env.Proved("(report)", "the page in Chromium", "seen, light and dark")
	})

	env.It("has none of the secrets that are in the testbed", func(ctx SpecContext) {
		bucket, err := env.Host().SetUpBackups(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(bucket.Rotate(ctx)).To(Succeed())
		p := proof(ctx)
		var noted bytes.Buffer
		Expect(env.NoteSecrets(ctx, &noted)).To(Succeed())
		secrets, err := redact.ReadNoted(&noted)
		Expect(err).NotTo(HaveOccurred())
		all := strings.Join(secrets, "\n")
		Expect(all).To(And(ContainSubstring("PRIVATE KEY-----"), ContainSubstring("AGE-SECRET-KEY-"), ContainSubstring(`"kty"`)), "keys of TLS, of the backups, of the ACME account")
		_, secret, _ := strings.Cut(strings.TrimSpace(string(bucket.Credentials())), "secret_access_key = ")
		Expect(secrets).To(ContainElement(secret), "the key of the bucket")

		evidence := GinkgoT().TempDir()
		Expect(os.Mkdir(filepath.Join(evidence, "spec"), 0o755)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(evidence, "spec", "journal.txt"), []byte(all), 0o644)).To(Succeed())
		p.Steps[0].Output, p.Failure, p.Evidence = all, "it said "+all, "evidence/spec"
		p.Notifications[0].Annotations["summary"] = all
		redactor, err := redact.New(secrets...)
		Expect(err).NotTo(HaveOccurred())
		folder := written(p, "<testsuites><system-out>"+all+"</system-out></testsuites>", []string{evidence}, redactor)
		Expect(filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			for _, line := range strings.Split(all, "\n") {
				if len(line) >= redact.Shortest && !strings.HasPrefix(line, "-----") {
					Expect(string(content)).NotTo(ContainSubstring(line), path)
				}
			}
			return err
		})).To(Succeed())
		env.Proved("(report)", "secrets of the testbed, planted everywhere", "in no artifact")
	})
})

// keep leaves a screenshot for people to look at.
func keep(name string, dark bool, shot stemedb.Screenshot) {
	GinkgoHelper()
	if dark {
		name += "-dark"
	}
	Expect(os.MkdirAll("../../build/screenshots", 0o755)).To(Succeed())
	Expect(os.WriteFile("../../build/screenshots/"+name+".png", shot.PNG, 0o644)).To(Succeed())
}

// colours is how many there are in a picture.
func colours(picture image.Image) int {
	seen := map[color.Color]bool{}
	for y := picture.Bounds().Min.Y; y < picture.Bounds().Max.Y; y++ {
		for x := picture.Bounds().Min.X; x < picture.Bounds().Max.X; x++ {
			seen[picture.At(x, y)] = true
		}
	}
	return len(seen)
}

// light is how bright a picture is, from 0 to 1.
func light(picture image.Image) float64 {
	var sum, points float64
	for y := picture.Bounds().Min.Y; y < picture.Bounds().Max.Y; y += 4 {
		for x := picture.Bounds().Min.X; x < picture.Bounds().Max.X; x += 4 {
			sum += float64(color.GrayModel.Convert(picture.At(x, y)).(color.Gray).Y) / 255
			points++
		}
	}
	return sum / points
}
