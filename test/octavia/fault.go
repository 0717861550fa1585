package octavia

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"
)

// goodbye is how long to wait for the end of a connection: one from a namespace that is gone may never end.
const goodbye = 2 * time.Second

// Fault is what a gate does to a call in place of passing it on.
type Fault struct {
	// Method and Path choose the calls: the method, and a part of the path or query; empty means any. Only calls to
	// Octavia are broken, unless Identity or KeyManager is set.
	Method, Path string
	// Writes chooses only calls that change something.
	Writes bool
	// Identity breaks calls to Keystone in place of those to Octavia, KeyManager those to Barbican.
	Identity, KeyManager bool
	// After lets so many calls pass first; Times is how many are broken then, 0 for all.
	After, Times int

	// Status answers with this status, and RetryAfter with that header, in seconds, where it is not 0. Text is what the
	// answer says, where it is not empty.
	Status, RetryAfter int
	Text               string
	// Token passes the call on with this token in place of its own.
	Token string
	// Hang keeps the answer back until the client gives up.
	Hang bool
	// Reset tears the connection down. Where Lost is set, Reset and Status happen only after the call was done.
	Reset, Lost bool
	// Outlive keeps a call that is Lost back until its client is gone, or for [goodbye].
	Outlive bool
	// Call is called with each call that is chosen before anything else happens to it, Done when all has.
	Call func() `json:"-"`
	Done func() `json:"-"`
}

// pending is a fault and how often it is still to happen.
type pending struct {
	Fault
	seen int
}

// Break adds a fault. The first one that a call meets breaks it.
func (g *Gate) Break(f Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = append(g.faults, &pending{Fault: f})
}

// Mend removes all faults.
func (g *Gate) Mend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = nil
}

func (g *Gate) faultFor(c Call) (Fault, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.faults {
		if c.Service != f.service() || f.Method != "" && f.Method != c.Method ||
			!strings.Contains(c.Path+"?"+c.Query, f.Path) || f.Writes && c.Method == http.MethodGet {
			continue
		}
		f.seen++
		if f.seen > f.After && (f.Times == 0 || f.seen <= f.After+f.Times) {
			return f.Fault, true
		}
	}
	return Fault{}, false
}

// service is whose calls are broken, as [Call] has it.
func (f Fault) service() string {
	switch {
	case f.Identity:
		return keystonePath[1:]
	case f.KeyManager:
		return barbicanPath[1:]
	default:
		return octaviaPath[1:]
	}
}

// serve lets the fault happen to a call; pass would pass it on.
func (f Fault) serve(w http.ResponseWriter, r *http.Request, pass http.HandlerFunc) {
	r = f.begin(r)
	if f.Done != nil {
		defer f.Done()
	}
	switch {
	case f.Hang:
		<-r.Context().Done()
	case f.Reset:
		if f.Lost {
			pass(httptest.NewRecorder(), r) // it happens, but nobody hears of it
		}
		if err := cut(w); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	case f.Token != "":
		r.Header.Set("X-Auth-Token", f.Token)
		pass(w, r)
	case f.Status != 0:
		if f.Lost {
			pass(httptest.NewRecorder(), r) // it happens, but nobody hears of it
		}
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(f.Status)
		var b bytes.Buffer
		text := cmp.Or(f.Text, fmt.Sprintf("the lab answers %d", f.Status))
		_ = json.NewEncoder(&b).Encode(map[string]string{"faultcode": "Lab", "faultstring": text}) // strings
		_, _ = w.Write(b.Bytes())                                                                  // the client may be gone
	default:
		pass(w, r)
	}
}

// begin does what comes before anything happens to the call, and returns it, independent of its client where it is
// Lost.
func (f Fault) begin(r *http.Request) *http.Request {
	client := r.Context()
	if f.Lost {
		r = detach(r)
	}
	if f.Call != nil {
		f.Call()
	}
	if f.Outlive && f.Lost {
		select { // known only since the body was read
		case <-client.Done():
		case <-time.After(goodbye):
		}
	}
	return r
}

// detach makes a request independent of its client, which may go away meanwhile: what has reached a service happens.
func detach(r *http.Request) *http.Request {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return r // it has never been there as a whole
	}
	r = r.WithContext(context.WithoutCancel(r.Context()))
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r
}
