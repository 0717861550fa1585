package probe

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options describe what to probe. Only Target and Dial are needed.
type Options struct {
	Target netip.AddrPort
	// Dial connects from where the probe stands (netspace.Dialer.DialContext).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Interval is the time between two starts, default 5 ms. Timeout bounds each probe as a whole, default 300 ms.
	Interval, Timeout time.Duration
	// TCP only connects and reads one byte; else an HTTP request is made and a status below 400 is a success.
	TCP bool
	// Host and Path are the request's; default the target's address and /.
	Host, Path string
	// Contains must be part of the answer's body. Default: any body will do.
	Contains string
}

// Sample is one probe.
type Sample struct {
	Start   time.Time
	Latency time.Duration
	// Err is "" for a success, else a short reason that is the same for the same kind of failure.
	Err string
}

// Mark is a moment that the caller named, for example that of a fault.
type Mark struct {
	Time  time.Time `json:"time"`
	Label string    `json:"label"`
}

// Prober probes from Start to Stop.
type Prober struct {
	opts    Options
	request []byte
	begun   time.Time
	end     context.CancelFunc
	loop    chan struct{}
	probes  sync.WaitGroup

	mu      sync.Mutex
	samples []Sample
	marks   []Mark
	lag     time.Duration
}

// New checks the options.
func New(o Options) (*Prober, error) {
	if !o.Target.IsValid() || o.Dial == nil {
		return nil, errors.New("probe: a target and a dialer are needed")
	}
	o.Interval = cmp.Or(o.Interval, 5*time.Millisecond)
	o.Timeout = cmp.Or(o.Timeout, 300*time.Millisecond)
	o.Host = cmp.Or(o.Host, o.Target.String())
	o.Path = cmp.Or(o.Path, "/")
	if o.Interval < 0 || o.Timeout < 0 {
		return nil, errors.New("probe: interval and timeout must be positive")
	}
	if strings.ContainsAny(o.Host+o.Path, "\r\n ") {
		return nil, errors.New("probe: host and path must not hold blanks or line ends")
	}
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: lab-probe\r\nConnection: close\r\n\r\n",
		o.Path, o.Host)
	return &Prober{opts: o, request: []byte(request)}, nil
}

// Start begins to probe until ctx ends or Stop is called. It may be called once.
func (p *Prober) Start(ctx context.Context) {
	ctx, p.end = context.WithCancel(ctx)
	p.loop = make(chan struct{})
	p.begun = time.Now()
	go p.run(ctx)
}

// run keeps to the schedule: a probe that is due is started however many still wait. A schedule that was missed (the
// machine was too busy) is not caught up with a burst, but shows as the report's MaxLag.
func (p *Prober) run(ctx context.Context) {
	defer close(p.loop)
	next := p.begun
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		p.mu.Lock()
		p.lag = max(p.lag, now.Sub(next))
		p.mu.Unlock()
		// A probe outlives the loop's context: stopping must not look like a failure.
		p.probes.Go(func() { p.probe(now) })
		for next = next.Add(p.opts.Interval); next.Before(now); {
			next = next.Add(p.opts.Interval)
		}
		timer.Reset(time.Until(next))
	}
}

// Mark notes a moment, now.
func (p *Prober) Mark(label string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marks = append(p.marks, Mark{Time: time.Now(), Label: label})
}

// Stop waits for the probes that are under way and reports.
func (p *Prober) Stop() Report {
	p.end()
	<-p.loop
	p.probes.Wait()
	return Summarize(p.Samples(), p.marks, p.lag)
}

// Samples returns what was measured so far, by start.
func (p *Prober) Samples() []Sample {
	p.mu.Lock()
	samples := slices.Clone(p.samples)
	p.mu.Unlock()
	slices.SortStableFunc(samples, func(a, b Sample) int { return a.Start.Compare(b.Start) })
	return samples
}

func (p *Prober) probe(start time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), start.Add(p.opts.Timeout))
	defer cancel()
	err := p.try(ctx)
	sample := Sample{Start: start, Latency: time.Since(start), Err: reason(err)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.samples = append(p.samples, sample)
}

func (p *Prober) try(ctx context.Context) error {
	conn, err := p.opts.Dial(ctx, "tcp", p.opts.Target.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if p.opts.TCP {
		_, err := io.ReadFull(conn, make([]byte, 1))
		return err
	}
	if _, err := conn.Write(p.request); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 400 {
		return statusError(response.StatusCode)
	}
	if !strings.Contains(string(body), p.opts.Contains) {
		return errUnexpected
	}
	return nil
}
