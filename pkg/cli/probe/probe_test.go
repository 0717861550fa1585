package probe

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/drill"
)

const interval = 5 * time.Millisecond

// until polls what a prober has seen of its first target.
func until(t *testing.T, p *Prober, what string, holds func(drill.Track) bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !holds(p.Glance()[0]) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s; %+v", what, p.Stop()[0])
		}
		time.Sleep(interval)
	}
}

func addressOf(t *testing.T, url string) netip.AddrPort {
	t.Helper()
	return netip.MustParseAddrPort(strings.TrimPrefix(url, "http://"))
}

func TestHTTP(t *testing.T) {
	var code atomic.Int32
	code.Store(http.StatusOK)
	seen := make(chan *http.Request, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case seen <- r:
		default:
		}
		w.WriteHeader(int(code.Load()))
	}))
	defer s.Close()
	p := Start(t.Context(), []Target{{Address: addressOf(t, s.URL), HTTP: true, Host: "tea.example.com", Path: "/a b"}},
		Options{Interval: interval, Timeout: time.Second, UserAgent: "tester"})
	until(t, p, "20 answers", func(d drill.Track) bool { return d.Answered >= 20 })
	r := <-seen
	if r.Host != "tea.example.com" || r.URL.Path != "/a b" || r.UserAgent() != "tester" || r.Method != http.MethodGet {
		t.Errorf("asked %s %s of %s as %s", r.Method, r.URL, r.Host, r.UserAgent())
	}
	code.Store(http.StatusNotFound)
	until(t, p, "a page that is not there is an answer", func(d drill.Track) bool { return d.Answered >= 40 })
	if lost := p.Glance()[0].Lost; lost != 0 {
		t.Errorf("%d lost", lost)
	}
	code.Store(http.StatusBadGateway)
	until(t, p, "a bad gateway is none", func(d drill.Track) bool { return d.Lost >= 5 })
	if got := p.Stop()[0]; got.Reasons["HTTP status 502"] != got.Lost {
		t.Errorf("reasons %v of %d", got.Reasons, got.Lost)
	}
}

// A refused connection is a gap, and its end the end of the gap.
func TestTCPGap(t *testing.T) {
	accept := func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go accept(l)
	address := l.Addr().String()
	begin := time.Now()
	p := Start(t.Context(), []Target{{Address: netip.MustParseAddrPort(address)}},
		Options{Interval: interval, Timeout: time.Second})
	until(t, p, "answers", func(d drill.Track) bool { return d.Answered >= 20 })
	_ = l.Close()
	closed := time.Now()
	until(t, p, "losses", func(d drill.Track) bool { return d.Lost >= 20 })
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	reopened := time.Now()
	go accept(l)
	defer l.Close()
	until(t, p, "answers again", func(d drill.Track) bool { return len(d.Silences) == 1 })
	got := p.Stop()[0]
	gap, want := got.Longest(begin, time.Now(), time.Now()), reopened.Sub(closed)
	if (gap-want).Abs() > 50*time.Millisecond || got.Reasons["connection refused"] == 0 {
		t.Errorf("a gap of %s, want %s; %v", gap, want, got.Reasons)
	}
}

// A server that says nothing costs each probe its own deadline and delays none.
func TestHung(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer s.Close()
	defer close(release)
	p := Start(t.Context(), []Target{{Address: addressOf(t, s.URL), HTTP: true, Path: "/"}},
		Options{Interval: interval, Timeout: 100 * time.Millisecond})
	until(t, p, "losses", func(d drill.Track) bool { return d.Lost >= 10 })
	got := p.Stop()[0]
	if got.Reasons["timeout"] != got.Lost || got.Sent < got.Lost || got.Answered != 0 {
		t.Errorf("%+v", got)
	}
	if got.Sent != got.Lost+got.Answered {
		t.Errorf("%d sent, but %d lost and %d answered: Stop did not wait", got.Sent, got.Lost, got.Answered)
	}
}

// Stopping is no failure, and neither is an end of the context.
func TestStop(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(20 * time.Millisecond)
		_, _ = io.WriteString(w, "slow")
	}))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	p := Start(ctx, []Target{{Address: addressOf(t, s.URL), HTTP: true, Path: "/"}},
		Options{Interval: interval, Timeout: time.Second})
	until(t, p, "answers", func(d drill.Track) bool { return d.Answered >= 5 })
	cancel()
	if got := p.Stop()[0]; got.Lost != 0 || got.Sent != got.Answered {
		t.Errorf("%d sent, %d answered, %v", got.Sent, got.Answered, got.Reasons)
	}
}
