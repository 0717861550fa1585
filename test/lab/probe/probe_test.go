package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// at makes samples 5 ms apart: a dot is a success of 1 ms, an x a failure.
func at(begin time.Time, picture string) []Sample {
	var samples []Sample
	for i, c := range picture {
		s := Sample{Start: begin.Add(time.Duration(i) * 5 * time.Millisecond), Latency: time.Millisecond}
		if c == 'x' {
			s.Err = "timeout"
		}
		samples = append(samples, s)
	}
	return samples
}

func TestSummarize(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	after := func(n int) time.Time { return begin.Add(time.Duration(n) * 5 * time.Millisecond) }
	ms := func(n int) Millis { return Millis(time.Duration(n) * time.Millisecond) }
	latencies := func(r Report) Report { r.P50, r.P95, r.P99 = ms(1), ms(1), ms(1); return r }
	tests := map[string]struct {
		picture string
		want    Report
	}{
		"nothing":        {"", Report{}},
		"all well":       {"....", latencies(Report{Sent: 4, LongestGap: ms(5)})},
		"one outage":     {"..xx..", latencies(Report{Sent: 6, Failed: 2, LongestGap: ms(15), Windows: []Window{{Start: after(1), End: after(4), Downtime: ms(15), Failed: 2}}, Reasons: map[string]int{"timeout": 2}})},
		"two outages":    {".x..x.", latencies(Report{Sent: 6, Failed: 2, LongestGap: ms(10), Windows: []Window{{Start: after(0), End: after(2), Downtime: ms(10), Failed: 1}, {Start: after(3), End: after(5), Downtime: ms(10), Failed: 1}}, Reasons: map[string]int{"timeout": 2}})},
		"from the start": {"xx.", latencies(Report{Sent: 3, Failed: 2, Windows: []Window{{Start: after(0), End: after(2), Downtime: ms(10), Failed: 2, Open: true}}, Reasons: map[string]int{"timeout": 2}})},
		"to the end":     {".xx", latencies(Report{Sent: 3, Failed: 2, Windows: []Window{{Start: after(0), End: after(2), Downtime: ms(10), Failed: 2, Open: true}}, Reasons: map[string]int{"timeout": 2}})},
		"never":          {"xx", Report{Sent: 2, Failed: 2, Windows: []Window{{Start: after(0), End: after(1), Downtime: ms(5), Failed: 2, Open: true}}, Reasons: map[string]int{"timeout": 2}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Summarize(at(begin, tt.picture), nil, 0)); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	var sorted []time.Duration
	for i := 1; i <= 200; i++ {
		sorted = append(sorted, time.Duration(i))
	}
	for p, want := range map[int]Millis{50: 100, 95: 190, 99: 198, 100: 200} {
		if got := percentile(sorted, p); got != want {
			t.Errorf("p%d = %d, want %d", p, got, want)
		}
	}
	if got := percentile([]time.Duration{7}, 50); got != 7 {
		t.Errorf("of one value: %d", got)
	}
}

func TestMillisJSON(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 1500 * time.Microsecond: "1.5", 123456789: "123.457", time.Second: "1000", 400: "0",
	} {
		got, err := json.Marshal(Millis(d))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v, want %s", d, got, err, want)
		}
	}
}

func TestReason(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for want, err := range map[string]error{
		"":                                 nil,
		"timeout":                          fmt.Errorf("dial: %w", context.DeadlineExceeded),
		"connection refused":               fmt.Errorf("dial 10.0.0.1:80: %w", refused),
		"connection closed early":          io.ErrUnexpectedEOF,
		"HTTP status 503":                  statusError(503),
		"unexpected answer":                errUnexpected,
		"malformed HTTP response \"oops\"": errors.New("malformed HTTP response \"oops\""),
	} {
		if got := reason(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// TestProberMeasuresAnOutage fakes the network and the clock, so that the figures are exact: away for 100 ms, during
// which connects hang until their deadline.
func TestProberMeasuresAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			if away := time.Since(begun); away >= 200*time.Millisecond && away < 300*time.Millisecond {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			near, far := net.Pipe()
			go func() { _, _ = far.Write([]byte("h")); far.Close() }()
			return near, nil
		}
		p, err := New(Options{Target: netip.MustParseAddrPort("10.0.0.1:7"), Dial: dial, TCP: true})
		if err != nil {
			t.Fatal(err)
		}
		p.Start(t.Context())
		time.Sleep(200 * time.Millisecond)
		p.Mark("fault")
		time.Sleep(298 * time.Millisecond)
		r := p.Stop()
		if r.Sent != 100 || r.Failed != 20 || len(r.Windows) != 1 {
			t.Fatalf("sent %d, failed %d, windows %v: want 100, 20, 1", r.Sent, r.Failed, r.Windows)
		}
		if got := r.Downtime(); got != 105*time.Millisecond {
			t.Errorf("downtime %s, want 105 ms: from the last success at 195 ms to the first at 300 ms", got)
		}
		if r.Reasons["timeout"] != 20 || len(r.Marks) != 1 || r.Marks[0].Time.Sub(begun) != 200*time.Millisecond {
			t.Errorf("reasons %v, marks %v", r.Reasons, r.Marks)
		}
	})
}

func TestProberHTTP(t *testing.T) {
	code, body := make(chan int, 1), "hello"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := <-code
		code <- c
		if r.Host != "shop.example" || r.URL.Path != "/tea" {
			c = http.StatusNotFound
		}
		w.WriteHeader(c)
		fmt.Fprint(w, body)
	}))
	defer server.Close()
	target := netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
	before := runtime.NumGoroutine()
	for _, tt := range []struct {
		code     int
		contains string
		want     string
	}{{200, "", ""}, {200, "hell", ""}, {302, "", ""}, {200, "coffee", "unexpected answer"}, {503, "", "HTTP status 503"}} {
		code <- tt.code
		var d net.Dialer
		p, err := New(Options{
			Target: target, Dial: d.DialContext, Host: "shop.example", Path: "/tea", Contains: tt.contains,
			Interval: time.Millisecond, Timeout: 5 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		p.Start(t.Context())
		for len(p.Samples()) < 20 {
			time.Sleep(time.Millisecond) // polling
		}
		r := p.Stop()
		if bad := r.Reasons[tt.want]; tt.want == "" && r.Failed > 0 || tt.want != "" && bad != r.Sent {
			t.Errorf("status %d, want %q: %+v", tt.code, tt.want, r)
		}
		<-code
	}
	server.CloseClientConnections()
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before+5 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // polling
	}
	if n := runtime.NumGoroutine(); n > before+5 {
		t.Errorf("%d goroutines, %d before: probes leak", n, before)
	}
}

func TestNewRefuses(t *testing.T) {
	dial := (&net.Dialer{}).DialContext
	target := netip.MustParseAddrPort("127.0.0.1:80")
	for name, o := range map[string]Options{
		"no target": {Dial: dial}, "no dialer": {Target: target},
		"negative": {Target: target, Dial: dial, Interval: -1}, "line end": {Target: target, Dial: dial, Path: "/\r\nX: y"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
