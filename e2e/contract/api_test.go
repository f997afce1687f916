package contract

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/stemedb"
)

var asJSON = http.Header{"Content-Type": {"application/json"}}

func send(ctx context.Context, client *stemedb.Client, method, path string, header http.Header, body string) stemedb.Answer {
	GinkgoHelper()
	answer, err := client.Do(ctx, method, path, header, body)
	Expect(err).NotTo(HaveOccurred())
	Expect(answer.Header.Get("X-Request-Id")).NotTo(BeEmpty())
	return answer
}

// create writes an assertion whose object is JSON.
func create(ctx context.Context, client *stemedb.Client, subject, predicate, object string) stemedb.Answer {
	GinkgoHelper()
	body, err := json.Marshal(map[string]any{"subject": subject, "predicate": predicate, "object": json.RawMessage(object)})
	Expect(err).NotTo(HaveOccurred())
	return send(ctx, client, http.MethodPost, "/v1/assertions", asJSON, string(body))
}

type assertion struct {
	ID, Subject, Predicate string
	Object                 json.RawMessage
	AssertedAt             string `json:"asserted_at"`
}

func decode(answer stemedb.Answer, into any) {
	GinkgoHelper()
	Expect(answer.Header.Get("Content-Type")).To(HavePrefix("application/json"))
	Expect(json.Unmarshal([]byte(answer.Body), into)).To(Succeed(), answer.Body)
}

// beProblem wants an error as RFC 9457 has it.
func beProblem(answer stemedb.Answer, status int) {
	GinkgoHelper()
	Expect(answer.Status).To(Equal(status), answer.Body)
	Expect(answer.Header.Get("Content-Type")).To(HavePrefix("application/problem+json"))
	var problem struct {
		Type, Title, Detail string
		Status              int
		RequestID           string `json:"request_id"`
	}
	Expect(json.Unmarshal([]byte(answer.Body), &problem)).To(Succeed(), answer.Body)
	Expect(problem.Status).To(Equal(status))
	Expect(problem.Title).NotTo(BeEmpty())
	Expect(problem.Type).NotTo(BeEmpty())
	Expect(problem.RequestID).To(Equal(answer.Header.Get("X-Request-Id")))
}

var _ = Describe("The API", Label("contract"), func() {
	var client *stemedb.Client
	BeforeEach(func(ctx SpecContext) {
		var err error
		client, err = env.Host().Connect(ctx)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(client.Close)
	})

	env.It("writes, reads and lists", func(ctx SpecContext) {
		var made, read assertion
		answer := create(ctx, client, "customer/1", "balance", `{"cents": [1, 2.5, null]}`)
		Expect(answer.Status).To(Equal(http.StatusCreated))
		decode(answer, &made)
		Expect(made.ID).NotTo(BeEmpty())
		Expect(made.AssertedAt).NotTo(BeEmpty())
		decode(send(ctx, client, http.MethodGet, "/v1/assertions/"+made.ID, nil, ""), &read)
		Expect(read).To(Equal(made))
		Expect(string(read.Object)).To(MatchJSON(`{"cents": [1, 2.5, null]}`))

		for range 3 {
			Expect(create(ctx, client, "customer/2", "balance", `0`).Status).To(Equal(http.StatusCreated))
		}
		var page struct {
			Assertions []assertion
			Next       string
		}
		decode(send(ctx, client, http.MethodGet, "/v1/assertions?subject=customer/2&limit=2", nil, ""), &page)
		Expect(page.Assertions).To(HaveLen(2))
		Expect(page.Next).NotTo(BeEmpty())
		next := page.Next
		page.Next = ""
		decode(send(ctx, client, http.MethodGet, "/v1/assertions?subject=customer/2&limit=2&after="+next, nil, ""), &page)
		Expect(page.Assertions).To(HaveLen(1))
		Expect(page.Next).To(BeEmpty())
		env.Proved("(contract)", "writes, reads, lists", "as the contract says")
	})

	env.It("keeps what it has acknowledged when it is killed", func(ctx SpecContext) {
		load, err := env.Load(ctx, stemedb.Traffic{Writes: 80, Connections: 8})
		Expect(err).NotTo(HaveOccurred())
		for range 5 {
			written := load.Written()
			Eventually(ctx, load.Written).Should(BeNumerically(">", written+50))
			Expect(env.Host().Run(ctx, "systemctl kill --signal KILL stemedb-api; systemctl reset-failed stemedb-api; systemctl restart stemedb-api")).To(Succeed())
		}
		Eventually(ctx, load.Lost).Should(BeEmpty())
		Expect(env.Host().Run(ctx, "stemedb-admin verify")).To(Succeed())
		env.Proved("(contract)", "kill -9 under load, five times", "nothing acknowledged was lost")
	})

	env.It("refuses what is malformed or outside a limit, with its status and never with a 500", func(ctx SpecContext) {
		long := strings.Repeat("k", 257)
		for what, refused := range map[string]struct {
			method, path, contentType, body string
			status                          int
		}{
			"no JSON":           {"POST", "/v1/assertions", "application/json", "{", 400},
			"nothing":           {"POST", "/v1/assertions", "application/json", "", 400},
			"another type":      {"POST", "/v1/assertions", "text/plain", `{}`, 415},
			"trailing data":     {"POST", "/v1/assertions", "application/json", `{"subject":"s","predicate":"p","object":1} {}`, 400},
			"an unknown field":  {"POST", "/v1/assertions", "application/json", `{"subject":"s","predicate":"p","object":1,"colour":"red"}`, 400},
			"a field twice":     {"POST", "/v1/assertions", "application/json", `{"subject":"s","subject":"t","predicate":"p","object":1}`, 400},
			"no subject":        {"POST", "/v1/assertions", "application/json", `{"predicate":"p","object":1}`, 400},
			"a long subject":    {"POST", "/v1/assertions", "application/json", `{"subject":"` + long + `","predicate":"p","object":1}`, 422},
			"a long key":        {"POST", "/v1/assertions", "application/json", `{"subject":"s","predicate":"p","object":{"` + long + `":1}}`, 422},
			"too deep":          {"POST", "/v1/assertions", "application/json", `{"subject":"s","predicate":"p","object":` + strings.Repeat("[", 17) + strings.Repeat("]", 17) + `}`, 422},
			"no UTF-8":          {"POST", "/v1/assertions", "application/json", "{\"subject\":\"\xff\",\"predicate\":\"p\",\"object\":1}", 400},
			"too large":         {"POST", "/v1/assertions", "application/json", `{"subject":"s","predicate":"p","object":"` + strings.Repeat("x", 65<<10) + `"}`, 413},
			"no such assertion": {"GET", "/v1/assertions/01ARZ3NDEKTSV4RRFFQ69G5FAV", "", "", 404},
			"no id":             {"GET", "/v1/assertions/%00%ff", "", "", 404},
			"no such limit":     {"GET", "/v1/assertions?limit=-1", "", "", 400},
			"no such filter":    {"GET", "/v1/assertions?colour=red", "", "", 400},
			"no such path":      {"GET", "/v2", "", "", 404},
			"no such method":    {"DELETE", "/v1/assertions", "", "", 405},
		} {
			By(what)
			// On a new connection: an answer before the end of a request closes it.
			client, err := env.Host().Connect(ctx)
			Expect(err).NotTo(HaveOccurred())
			answer := send(ctx, client, refused.method, refused.path, http.Header{"Content-Type": {refused.contentType}}, refused.body)
			beProblem(answer, refused.status)
			Expect(client.Close()).To(Succeed())
		}
		env.Proved("(contract)", "bad requests", "each refused with its status")
	})

	env.It("turns away what is above a limit, and says when to come again", func(ctx SpecContext) {
		Expect(env.Host().Run(ctx, "sed -i 's/^STEMEDB_RATE_LIMIT_GET=.*/STEMEDB_RATE_LIMIT_GET=1/' /etc/stemedb/stemedb.env && systemctl reload stemedb-api")).To(Succeed())
		var turned stemedb.Answer
		for range 20 {
			if turned = send(ctx, client, http.MethodGet, "/v1/assertions/01ARZ3NDEKTSV4RRFFQ69G5FAV", nil, ""); turned.Status == http.StatusTooManyRequests {
				break
			}
		}
		beProblem(turned, http.StatusTooManyRequests)
		Expect(turned.Header.Get("Retry-After")).To(MatchRegexp(`^[1-9][0-9]*$`))
		env.Proved("(contract)", "rate limits", "429 with Retry-After")
	})

	env.It("says whether it lives and wants requests", func(ctx SpecContext) {
		for _, path := range []string{"/healthz", "/readyz"} {
			Expect(client.Get(ctx, path)).Error().NotTo(HaveOccurred())
			Expect(env.Host().Output(ctx, "curl --silent --fail http://localhost:18181"+path)).Error().NotTo(HaveOccurred())
		}
		env.Proved("(contract)", "probes", "as the contract says")
	})
})
