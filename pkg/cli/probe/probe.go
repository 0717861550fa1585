package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/drill"
)

// Target is what is probed.
type Target struct {
	Address netip.AddrPort
	// HTTP asks for a page; else a connection is enough.
	HTTP bool
	// Host and Path are the request's; an empty Host is the address.
	Host, Path string
}

// Options say how to probe.
type Options struct {
	// Interval is the time between two probes of a target, Timeout bounds each of them.
	Interval, Timeout time.Duration
	// UserAgent is the HTTP requests'.
	UserAgent string
}

// Prober probes from [Start] to [Prober.Stop].
type Prober struct {
	options Options
	end     context.CancelFunc
	loops   sync.WaitGroup
	probes  sync.WaitGroup

	mu     sync.Mutex
	tracks []drill.Track
}

// Start probes targets until Stop is called or the context ends.
func Start(ctx context.Context, targets []Target, o Options) *Prober {
	ctx, cancel := context.WithCancel(ctx)
	p := &Prober{options: o, end: cancel, tracks: make([]drill.Track, len(targets))}
	for i, t := range targets {
		p.tracks[i].Interval = o.Interval
		p.loops.Go(func() { p.loop(ctx, i, t) })
	}
	return p
}

// loop starts a probe at every tick, however many still wait. A tick that was missed is not made up for.
func (p *Prober) loop(ctx context.Context, i int, t Target) {
	ticker := time.NewTicker(p.options.Interval)
	defer ticker.Stop()
	for {
		start := time.Now()
		p.note(i, func(track *drill.Track) { track.Send(start) })
		// A probe outlives the loop: that the test is over must not look like a failure.
		p.probes.Go(func() { p.probe(context.WithoutCancel(ctx), i, t, start) })
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (p *Prober) probe(ctx context.Context, i int, t Target, start time.Time) {
	ctx, cancel := context.WithDeadline(ctx, start.Add(p.options.Timeout))
	defer cancel()
	err := p.ask(ctx, t)
	now := time.Now()
	p.note(i, func(track *drill.Track) {
		if err != nil {
			track.Lose(start, reason(err))
		} else {
			track.Answer(start, now)
		}
	})
}

func (p *Prober) note(i int, f func(*drill.Track)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.tracks[i])
}

// Glance returns what has been seen so far, in the order of the targets, as far as decisions need it.
func (p *Prober) Glance() []drill.Track { return p.copy((*drill.Track).Glance) }

func (p *Prober) copy(one func(*drill.Track) drill.Track) []drill.Track {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]drill.Track, len(p.tracks))
	for i := range p.tracks {
		out[i] = one(&p.tracks[i])
	}
	return out
}

// Stop ends the probing, waits for the probes that are under way, and returns everything.
func (p *Prober) Stop() []drill.Track {
	p.end()
	p.loops.Wait()
	p.probes.Wait()
	return p.copy((*drill.Track).Clone)
}

// ask makes one connection and, for HTTP, one request.
func (p *Prober) ask(ctx context.Context, t Target) error {
	dialer := net.Dialer{KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", t.Address.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if !t.HTTP {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	request := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: t.Address.String(), Path: t.Path}, Host: t.Host,
		Header: http.Header{"User-Agent": {p.options.UserAgent}}, Close: true,
	}
	if err := request.Write(conn); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusInternalServerError {
		return statusError(response.StatusCode)
	}
	return nil
}

// statusError is an answer that says that nobody could answer.
type statusError int

func (e statusError) Error() string { return "HTTP status " + strconv.Itoa(int(e)) }

// reason names a failure so that failures of one kind have one name.
func reason(err error) string {
	var status statusError
	switch {
	case errors.As(err, &status):
		return status.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EMFILE):
		return "no free port or file here"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "timeout"
	}
	return fmt.Sprintf("%T", err)
}
