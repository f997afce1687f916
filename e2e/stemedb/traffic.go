package stemedb

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// Traffic is what clients ask of the API, in through the load balancer as clients come. They verify the server's
// certificate, and wait for an answer before they ask again.
type Traffic struct {
	Writes, Reads, Lists float64 // requests a second
	// Preload is how many assertions are written before the traffic begins, as fast as they go: Reads are of these,
	// evenly, and else of what the traffic itself has written.
	Preload int
	// Page is how many assertions a list asks for; 1 where it is 0.
	Page int
	// Size is how many bytes an assertion that is written holds; a few where it is 0.
	Size int
	// Connections is how many clients there are, each on a separate connection.
	Connections int
	// NewConnections has each request come on a new connection.
	NewConnections bool
	// From is the machine that the clients run on; nil for the one that all clients share.
	From *ClientMachine
}

// Load is traffic that is under way.
type Load struct {
	clients chan *http.Client // those that do not ask now, each with a connection
	object  string            // what assertions hold
	list    string            // the path that lists are asked for by
	stop    context.CancelFunc
	ended   sync.WaitGroup

	mu      sync.Mutex
	written []Acknowledged
	answers map[string]int // how many requests were answered so, by status, and those that were not, by error
}

// Acknowledged is a write that the server said is durable.
type Acknowledged struct {
	ID string
	At time.Time // when the client was told
}

// answerWithin is how long a client waits for an answer.
const answerWithin = 15 * time.Second

// Load starts traffic, which goes on until it is stopped or until the next Begin.
func (e *Environment) Load(ctx context.Context, t Traffic) (*Load, error) {
	config := &tls.Config{ServerName: Domain, RootCAs: e.services.roots}
	dial := e.Dial(portClients)
	if t.From != nil {
		dial = t.From.dial
	}
	l := &Load{answers: map[string]int{}, object: strings.Repeat("x", t.Size), list: fmt.Sprintf("/v1/assertions?limit=%d", max(1, t.Page))}
	l.clients = make(chan *http.Client, t.Connections)
	for range t.Connections {
		l.clients <- &http.Client{Timeout: answerWithin, Transport: &http.Transport{
			DialContext: dial, TLSClientConfig: config, DisableKeepAlives: t.NewConnections, MaxConnsPerHost: 1,
		}}
	}
	if err := l.Fill(ctx, t.Preload); err != nil {
		return nil, err
	}
	e.Say("clients ask for %g writes, %g reads and %g lists a second, on %d connections", t.Writes, t.Reads, t.Lists, t.Connections)
	going, stop := context.WithCancel(context.Background())
	l.stop = stop
	stock := slices.Clone(l.written)
	total := t.Writes + t.Reads + t.Lists
	pace := rate.NewLimiter(rate.Limit(total), 1)
	for range t.Connections {
		l.ended.Go(func() {
			for pace.Wait(going) == nil {
				switch pick := rand.Float64() * total; {
				case pick < t.Writes:
					l.note(l.write(going))
				case pick < t.Writes+t.Reads:
					l.note(l.read(going, l.any(stock)))
				default:
					l.note(l.do(going, http.MethodGet, l.list, nil, nil))
				}
			}
		})
	}
	e.Cleanup(func(context.Context) error { l.Stop(); return nil })
	e.load = l
	return l, nil
}

// Stop ends the traffic; it returns once the last request has ended.
func (l *Load) Stop() {
	l.stop()
	l.ended.Wait()
	for range cap(l.clients) {
		client := <-l.clients
		client.CloseIdleConnections()
		l.clients <- client
	}
}

// Fill writes so many assertions, as fast as they go.
func (l *Load) Fill(ctx context.Context, assertions int) error {
	writing, at := errgroup.WithContext(ctx)
	writing.SetLimit(16)
	for range assertions {
		writing.Go(func() error { return l.write(at) })
	}
	if err := writing.Wait(); err != nil {
		return fmt.Errorf("write assertions: %w", err)
	}
	return nil
}

// any is one of the ids to read, or "" while there is none.
func (l *Load) any(stock []Acknowledged) string {
	if len(stock) > 0 {
		return stock[rand.IntN(len(stock))].ID
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.written) == 0 {
		return ""
	}
	return l.written[rand.IntN(len(l.written))].ID
}

// status is the error of an answer that is not what was asked for.
type status struct {
	code   int
	detail string
}

func (s status) Error() string { return fmt.Sprintf("%d %s", s.code, s.detail) }

func (l *Load) write(ctx context.Context) error {
	body, err := json.Marshal(map[string]any{
		"subject": fmt.Sprintf("customer/%d", rand.IntN(1000)), "predicate": "balance", "object": l.object,
	})
	if err != nil {
		return err
	}
	var made struct{ ID string }
	if err := l.do(ctx, http.MethodPost, "/v1/assertions", body, &made); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written = append(l.written, Acknowledged{made.ID, time.Now()})
	return nil
}

func (l *Load) read(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	return l.do(ctx, http.MethodGet, "/v1/assertions/"+id, nil, nil)
}

func (l *Load) do(ctx context.Context, method, path string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, "https://"+Domain+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	var client *http.Client
	select {
	case client = <-l.clients:
		defer func() { l.clients <- client }()
	case <-ctx.Done():
		return ctx.Err()
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode/100 != 2 {
		return status{response.StatusCode, strings.TrimSpace(string(content))}
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s %s: answered %.80q: %w", method, path, content, err)
	}
	return nil
}

// note counts how a request ended; one that the end of the traffic cut short did not.
func (l *Load) note(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	how := "ok"
	if answered, ok := errors.AsType[status](err); ok {
		how = fmt.Sprint(answered.code)
	} else if err != nil {
		how = err.Error()
		if i := strings.LastIndex(how, ": "); i >= 0 {
			how = how[i+2:]
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[how]++
}

// Answers are how many requests ended how, since the traffic began: by "ok", by the status, or by the error.
func (l *Load) Answers() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.answers)
}

// Lost reads all that was acknowledged, and returns what is not there.
func (l *Load) Lost(ctx context.Context) ([]Acknowledged, error) {
	l.mu.Lock()
	written := slices.Clone(l.written)
	l.mu.Unlock()
	var mu sync.Mutex
	var lost []Acknowledged
	reading, at := errgroup.WithContext(ctx)
	reading.SetLimit(8)
	for _, a := range written {
		reading.Go(func() error {
			err := l.read(at, a.ID)
			if answered, ok := errors.AsType[status](err); ok && answered.code == http.StatusNotFound {
				mu.Lock()
				defer mu.Unlock()
				lost = append(lost, a)
				return nil
			}
			return err
		})
	}
	if err := reading.Wait(); err != nil {
		return nil, fmt.Errorf("read what was acknowledged: %w", err)
	}
	return lost, nil
}

// Written is how many writes were acknowledged.
func (l *Load) Written() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.written)
}

// Since is when the first write was acknowledged after the moment; zero where none was.
func (l *Load) Since(moment time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.written {
		if a.At.After(moment) {
			return a.At
		}
	}
	return time.Time{}
}
