package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stemedb/firedrill/tools/journal"
)

func pageOf(t testing.TB, j journal.Journal, previous *journal.Journal) string {
	t.Helper()
	text, err := writePage(j, previous)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// element is an opening tag, with those that it stands in.
type element struct {
	name    string
	attr    map[string]string
	within  []string
	content string // text directly in it
}

// elements reads a page.
func elements(t testing.TB, page string) []*element {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(page))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var all, open []*element
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attr: map[string]string{}}
			for _, o := range open {
				e.within = append(e.within, o.name)
			}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].content += string(token)
			}
		}
	}
	return all
}

// What a screen reader, a keyboard and a machine without a network need of a page.
func TestPagesAreAccessible(t *testing.T) {
	for _, name := range []string{"proof", "drill"} {
		t.Run(name, func(t *testing.T) {
			page := pageOf(t, example(t, name), nil)
			all := elements(t, page)
			ids, level, count := map[string]bool{}, 0, map[string]int{}
			for _, e := range all {
				count[e.name]++
				if id := e.attr["id"]; id != "" {
					if ids[id] {
						t.Errorf("two elements have the id %s", id)
					}
					ids[id] = true
				}
				if match := regexp.MustCompile(`^h([1-6])$`).FindStringSubmatch(e.name); match != nil {
					next, _ := strconv.Atoi(match[1])
					if next > level+1 {
						t.Errorf("an h%d follows an h%d: %q", next, level, e.content)
					}
					level = next
				}
			}
			for _, once := range []string{"h1", "main", "header", "nav", "footer", "title"} {
				if n := count[once]; n != 1 && once != "title" {
					t.Errorf("there are %d of %s", n, once)
				}
			}
			if all[0].name != "html" || all[0].attr["lang"] != "en" {
				t.Error("the page has no language")
			}
			for _, e := range all {
				if target, ok := strings.CutPrefix(e.attr["href"], "#"); ok && !ids[target] {
					t.Errorf("a link leads to #%s, which is not there", target)
				}
				for _, id := range strings.Fields(e.attr["aria-labelledby"]) {
					if !ids[id] {
						t.Errorf("%s is named by #%s, which is not there", e.name, id)
					}
				}
				for _, attribute := range []string{"src", "href", "action"} {
					if strings.Contains(e.attr[attribute], "//") {
						t.Errorf("<%s %s=%q> needs a network", e.name, attribute, e.attr[attribute])
					}
				}
				switch e.name {
				case "th":
					if e.attr["scope"] == "" {
						t.Errorf("the header %q has no scope", e.content)
					}
				case "script", "link", "img", "iframe":
					t.Errorf("there is a <%s>", e.name)
				case "section":
					if e.attr["aria-labelledby"] == "" {
						t.Error("a section has no name")
					}
				case "svg":
					if e.attr["aria-hidden"] != "true" && (e.attr["role"] != "img" || len(strings.Fields(e.attr["aria-labelledby"])) != 2) {
						t.Errorf("a picture is not told: %v", e.attr)
					}
				}
				if strings.Contains(e.attr["class"], "scroll") && (e.attr["tabindex"] != "0" || e.attr["aria-label"] == "") {
					t.Errorf("no key scrolls %v", e.attr)
				}
			}
			if strings.Contains(styleText, "url(") || strings.Contains(styleText, "@import") {
				t.Error("the style asks for more")
			}
			for _, wrong := range []string{"NaN", "Inf", "%!", "ZgotmplZ", "<no value>"} {
				if strings.Contains(page, wrong) {
					t.Errorf("the page holds %s", wrong)
				}
			}
		})
	}
}

func TestAVerdictIsNeverAColourAlone(t *testing.T) {
	page := pageOf(t, example(t, "proof"), nil)
	for _, want := range []string{
		`<span class="pill true"><span aria-hidden="true">✓</span> proven</span>`,
		`<span class="pill false"><span aria-hidden="true">✗</span> failed</span>`,
		`<span class="pill unknown"><span aria-hidden="true">?</span> unknown</span>`,
		`<h1><span class="sign" aria-hidden="true">✗</span> Not proven: 1 of 5 failed, 1 unknown</h1>`,
		`exit 1, expected 0, 7.9s`,
		`<code>firedrill prove --focus &#34;Didn&#39;t Run&#34; ./e2e/...</code>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if n := strings.Count(page, `<details open>`); n != 1 {
		t.Errorf("%d steps are unfolded, want the one that failed", n)
	}
}

func TestWhatAnAuditorAsks(t *testing.T) {
	page := pageOf(t, example(t, "drill"), nil)
	for _, want := range []string{
		"Proven, all 2, but 2 objectives were missed", "A host is lost", "20260309", "7c1d9a40be2f6d1e0a5b8c3f4e2d1a0b9c8d7e6f", "prometheus</dt><dd>3.16.0",
		"sha256:4a1e0c7b9d3f5a2e8c6b1d0f7e9a3c5b2d4f6a8c0e1b3d5f7a9c2e4b6d8f0a1c", strings.Repeat("6e7f8a9b", 8), "2026-03-09 10:07:15 UTC",
		"Recovery time (RTO)</th><td class=\"number\">15m</td><td class=\"number\">6m1s</td>", "✗</span> missed", "✓</span> met", "41.5s",
		"the operator&#39;s network", "firedrill leaves it blank", "Deviations from the plan",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	signoff := page[strings.Index(page, `<h2 id="signoff">`):]
	signoff = signoff[:strings.Index(signoff, "</table>")]
	if blanks := strings.Count(signoff, "<td></td>"); blanks != 9 || strings.Count(signoff, "<td") != blanks {
		t.Errorf("the places for sign-off are not blank:\n%s", signoff)
	}
	if proof := pageOf(t, example(t, "proof"), nil); strings.Contains(proof, "Sign-off") || strings.Contains(proof, "The exercise") {
		t.Error("a run without a drill is to be signed")
	}
}

func TestObjectives(t *testing.T) {
	for headline, change := range map[string]func(d *journal.Drill){
		"Proven":                                     func(d *journal.Drill) { d.Objectives, d.Measured = journal.Recovery{}, journal.Recovery{} },
		"Proven, but 2 objectives were missed":       func(d *journal.Drill) {},
		"Proven, but 1 objective was missed":         func(d *journal.Drill) { *d.Measured.RPORecords = 0 },
		"Proven, but 3 objectives were not measured": func(d *journal.Drill) { d.Measured = journal.Recovery{} },
	} {
		j := example(t, "drill")
		j.Proofs = j.Proofs[:1]
		change(j.Proofs[0].Drill)
		page := pageOf(t, j, nil)
		if !strings.Contains(page, "</span> "+headline+"</h1>") {
			t.Errorf("the headline is not %q", headline)
		}
		if good := strings.Contains(page, `<header class="true">`); good != (headline == "Proven") {
			t.Errorf("%s: it is shown as good: %v", headline, good)
		}
	}
}

func TestHeadline(t *testing.T) {
	for want, s := range map[string]Summary{
		"Nothing was tried":                      {},
		"Proven":                                 {Passed: 1},
		"Proven, all 3":                          {Passed: 3},
		"Not proven: 2 of 3 failed":              {Passed: 1, Failed: 2},
		"Unknown: 1 of 3 did not run to the end": {Passed: 2, Unknown: 1},
	} {
		if _, got := headline(s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSideEffects(t *testing.T) {
	j := example(t, "proof")
	page := pageOf(t, j, nil)
	_, page, _ = strings.Cut(page, `<details class="effects">`)
	page, _, _ = strings.Cut(page, "</details>")
	at := 0
	for _, want := range []string{
		`<summary>Side effects: 4 changes, 1 dangerous, 1 allowed, 1 not examined</summary>`,
		`<span class="pill false"><span aria-hidden="true">✗</span> dangerous</span> private-key-readable</td><th scope="row">file <code>/etc/shop/tls/key.pem</code></th><td>600</td><td>644</td>`,
		`<span aria-hidden="true">!</span> allowed</span> listener-on-all-addresses</td>`,
		`</td><th scope="row">file <code>/etc/shop/tls/cert.pem</code></th><td>old content</td><td>new content</td>`,
		`not examined</td><th scope="row"><code>units: systemctl list-units --all fails</code></th>`,
	} {
		next := strings.Index(page[at:], want)
		if next < 0 {
			t.Fatalf("the page lacks, or has in another place, %s:\n%s", want, page)
		}
		at += next
	}
	for i := range j.Proofs {
		j.Proofs[i].SideEffects = nil
	}
	if page := pageOf(t, j, nil); strings.Contains(page, "Side effects") {
		t.Error("side effects are shown where none were compared")
	}
}

// A proof that tells nothing but its verdict is a line of the table; one that failed says why.
func TestProofsWithoutATimeline(t *testing.T) {
	j := example(t, "proof")
	for i := range j.Proofs {
		p := &j.Proofs[i]
		j.Proofs[i] = journal.Proof{Alert: p.Alert, Branch: p.Branch, Verdict: p.Verdict, Failure: p.Failure, Started: p.Started, Ended: p.Ended}
	}
	page := pageOf(t, j, nil)
	if strings.Contains(page, "<figure") || strings.Count(page, `<article id="proof-`) != 2 || !strings.Contains(page, "The authority refused shop.example.com") {
		t.Errorf("the proofs are told otherwise than they should:\n%s", page)
	}
	elements(t, page)
	j.Proofs = nil
	if page := pageOf(t, j, nil); !strings.Contains(page, "Nothing was tried") || !strings.Contains(page, "No spec ran.") {
		t.Error("nothing is not told")
	}
}

func TestWhatIsSaidIsEscaped(t *testing.T) {
	const bad = `</svg></title><script>alert("x")</script>`
	j := example(t, "drill")
	p := &j.Proofs[0]
	p.Alert, p.Branch, p.Failure, p.Signal.Expr = bad, bad, bad, bad
	p.Bands[0].Alert, p.Steps[0].Command, p.Notifications[0].Receiver, p.Drill.Timeline[0].What = bad, bad, bad, bad
	p.SideEffects = []journal.SideEffect{{Kind: "file", Subject: bad, Before: bad, After: bad, Danger: bad}}
	if page := pageOf(t, j, nil); strings.Contains(page, "<script") {
		t.Error("a script is in the page")
	}
}

// Whatever a journal holds, all of it has a place.
func FuzzPage(f *testing.F) {
	f.Add("alert", "seconds", 7*86400., 7*86400-1., 7*86400., int64(0), int64(20e9), int64(10e9), int64(3600e9))
	f.Add("a\xff<", "bytes", 0., math.Inf(1), -1e308, int64(-1), int64(1), int64(1), int64(1))
	f.Add("", "ratio", math.NaN(), 1e308, .1, int64(math.MaxInt64), int64(math.MinInt64), int64(0), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, text, unit string, first, second, threshold float64, at, took, leap, leapt int64) {
		moment := func(n int64) time.Time { return began.Add(time.Duration(n)) }
		exit := int(took)
		p := journal.Proof{
			Alert: text, Branch: text, Failure: text, Verdict: journal.False, Started: began, Ended: moment(took),
			Rule: &journal.Rule{Expr: text, Threshold: &journal.Threshold{Op: []string{"<", "<=", ">", ">=", "==", "!="}[uint64(at)%6], Value: threshold}},
			Signal: &journal.Signal{Expr: text, Unit: unit, Series: []journal.Series{
				{Samples: []journal.Sample{{At: float64(began.Unix()), Value: first}, {At: float64(at) / 1e9, Value: second}}}, {Labels: map[string]string{text: unit}},
			}},
			Bands:         []journal.Band{{Alert: text, State: journal.Pending, From: began, To: moment(at)}, {Alert: text, State: journal.Firing, From: moment(at), To: moment(took)}},
			Leaps:         []journal.Leap{{From: moment(leap), To: moment(leap).Add(time.Duration(leapt))}},
			Steps:         []journal.Step{{At: moment(at), Took: journal.Seconds(took), Command: text, Output: text, Exit: &exit}, {At: moment(took)}},
			Notifications: []journal.Notification{{At: moment(took), Receiver: text, Status: "firing"}},
			Drill:         &journal.Drill{Timeline: []journal.Moment{{At: moment(leapt), What: text}}},
		}
		picture := string(timeline("p", p))
		if regexp.MustCompile(`[ "MLVH](NaN|[+-]Inf)`).MatchString(picture) {
			t.Errorf("something has no place:\n%s", picture)
		}
		j := journal.Journal{Kind: journal.KindDrill, Proofs: []journal.Proof{p}}
		pageOf(t, j, &j)
	})
}

// colours are the colours of a theme in page.css.
func colours(t *testing.T, block string) map[string]float64 {
	t.Helper()
	found := map[string]float64{}
	for _, match := range regexp.MustCompile(`--([a-z0-9-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(block, -1) {
		value, err := strconv.ParseUint(match[2], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		// Relative luminance, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
		channel := func(v uint64) float64 {
			s := float64(v&255) / 255
			if s <= .04045 {
				return s / 12.92
			}
			return math.Pow((s+.055)/1.055, 2.4)
		}
		found[match[1]] = .2126*channel(value>>16) + .7152*channel(value>>8) + .0722*channel(value)
	}
	return found
}

func TestContrast(t *testing.T) {
	blocks := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(styleText, -1)
	if len(blocks) != 3 {
		t.Fatalf("there are %d themes, want light, dark and print", len(blocks))
	}
	for i, block := range blocks {
		c := colours(t, block[1])
		for _, pair := range []struct {
			front, back string
			least       float64 // https://www.w3.org/TR/WCAG22/#contrast-minimum and #non-text-contrast
		}{
			{"text", "back", 7}, {"text", "raised", 7}, {"faint", "back", 4.5}, {"faint", "raised", 4.5}, {"link", "back", 4.5}, {"link", "raised", 4.5},
			{"true", "back", 4.5}, {"true", "true-back", 4.5}, {"true", "raised", 4.5}, {"false", "back", 4.5}, {"false", "false-back", 4.5}, {"false", "raised", 4.5},
			{"unknown", "back", 4.5}, {"unknown", "unknown-back", 4.5}, {"unknown", "raised", 4.5}, {"text", "pending", 4.5}, {"on-firing", "firing", 4.5},
			{"text", "false-back", 4.5}, {"text", "unknown-back", 4.5}, {"leap-text", "leap", 4.5}, {"leap-text", "back", 4.5}, {"danger", "back", 4.5},
			{"s1", "back", 3}, {"s2", "back", 3}, {"s3", "back", 3}, {"s4", "back", 3}, {"s5", "back", 3}, {"s6", "back", 3}, {"firing", "back", 3}, {"pending-dark", "back", 3}, {"s1", "leap", 3},
		} {
			front, ok1 := c[pair.front]
			back, ok2 := c[pair.back]
			if ratio := (math.Max(front, back) + .05) / (math.Min(front, back) + .05); !ok1 || !ok2 || ratio < pair.least {
				t.Errorf("theme %d: %s on %s has a contrast of %.2f, want %.1f", i+1, pair.front, pair.back, ratio, pair.least)
			}
		}
	}
}

func TestCompare(t *testing.T) {
	began := time.Date(2026, time.March, 9, 10, 0, 0, 0, time.UTC)
	proof := func(alert string, verdict journal.Verdict, took time.Duration) journal.Proof {
		return journal.Proof{Alert: alert, Verdict: verdict, Started: began, Ended: began.Add(took)}
	}
	now := journal.Journal{Proofs: []journal.Proof{
		proof("faster", journal.True, 40*time.Second), proof("slower", journal.True, 52*time.Second), proof("same", journal.True, 44*time.Second), proof("brief", journal.True, 900*time.Millisecond),
		proof("fixed", journal.True, 1), proof("broken", journal.False, 1), proof("lost", journal.Unknown, 1), proof("still", journal.False, 1), proof("new", journal.True, 1), proof("settled", journal.True, 1),
	}}
	before := journal.Journal{Proofs: []journal.Proof{
		proof("faster", journal.True, 45*time.Second), proof("slower", journal.True, 45*time.Second), proof("same", journal.True, 45*time.Second), proof("brief", journal.True, 100*time.Millisecond),
		proof("fixed", journal.False, 1), proof("broken", journal.True, 1), proof("lost", journal.True, 1), proof("still", journal.False, 1), proof("settled", journal.Unknown, 1), proof("gone", journal.True, 1),
	}}
	c := compare(now, &before)
	var got []string
	for _, p := range now.Proofs {
		got = append(got, fmt.Sprintf("%s: %s (%s)", p.Alert, c.of(p).Word, c.of(p).Class))
	}
	want := []string{"faster: 5s faster (better)", "slower: 7s slower (worse)", "same: as fast as before ()", "brief: as fast as before ()", "fixed: newly proven (better)",
		"broken: newly failed (worse)", "lost: was proven (worse)", "still: not proven before either ()", "new: new ()", "settled: newly proven (better)"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want\n%q", got, want)
	}
	if c.Proven != 2 || c.Failed != 1 || len(c.Gone) != 1 || c.Gone[0].Alert != "gone" {
		t.Errorf("%+v", c)
	}
	if c := compare(now, nil); c.of(now.Proofs[0]).Word != "" {
		t.Error("nothing is compared with something")
	}
}
