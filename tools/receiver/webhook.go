package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/notify/webhook"
)

const (
	// maxBody is how large a request's body may be, in bytes.
	maxBody = 256 << 10
	// kept is how many notifications are kept: more than any drill makes.
	kept = 1000
)

// A notification is one webhook message of Alertmanager's, and the receiver that it was for.
type notification struct {
	Receiver string          `json:"receiver"`
	Received time.Time       `json:"received"`
	Message  webhook.Message `json:"message"`
}

// notifications are the newest ones, in the order of arrival.
type notifications struct {
	mu   sync.Mutex
	list []notification // never nil, so that none at all is [] in JSON
}

// newAPI serves what the package's documentation lists.
func newAPI() http.Handler {
	n := &notifications{list: []notification{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("POST /receivers/{name}", n.receive)
	mux.HandleFunc("GET /notifications", func(w http.ResponseWriter, _ *http.Request) {
		n.mu.Lock()
		list := slices.Clone(n.list)
		n.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(list); err != nil {
			slog.Warn("write answer", "err", err)
		}
	})
	mux.HandleFunc("DELETE /notifications", func(w http.ResponseWriter, _ *http.Request) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.list = []notification{}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func (n *notifications) add(received notification) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.list) == kept {
		n.list = slices.Delete(n.list, 0, 1)
	}
	n.list = append(n.list, received)
}

// receive takes a webhook message for the receiver that the path names.
func (n *notifications) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(w, fmt.Sprintf("the body is too large: want at most %d bytes", tooLarge.Limit), http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, fmt.Sprintf("read body: %v", err), http.StatusBadRequest)
		return
	}
	received := notification{Receiver: r.PathValue("name"), Received: time.Now().UTC()}
	if err := json.Unmarshal(body, &received.Message); err != nil {
		http.Error(w, fmt.Sprintf("the body is no webhook message: %v", err), http.StatusBadRequest)
		return
	}
	// Data is a pointer: a message with none of its fields leaves it nil.
	message := received.Message
	if message.Version != "4" || message.Data == nil || len(message.Alerts) == 0 {
		http.Error(w, fmt.Sprintf("the body is no webhook message (version %q): want Alertmanager's version \"4\" with one alert or more", message.Version), http.StatusBadRequest)
		return
	}
	n.add(received)
	slog.Info("notification", "receiver", received.Receiver, "status", message.Status, "alerts", len(message.Alerts), "group", message.GroupKey)
}
