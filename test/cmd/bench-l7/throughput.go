package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// streamModule is where Debian has nginx's stream module.
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

// ports are those of the loopback that the contestants listen at.
type ports struct{ target, http, tcp, byHandHTTP, byHandTCP uint16 }

// throughput measures our configuration beside one by hand.
func (b *bench) throughput(ctx context.Context) error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return errors.New("wrk is not installed (apt-get install wrk)")
	}
	dir, err := os.MkdirTemp("", "bench-l7-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // nginx's workers are somebody else
		return err
	}
	p, err := freePorts()
	if err != nil {
		return err
	}
	for _, conf := range []struct {
		name  string
		write func(dir string, p ports) error
	}{{"target", writeTarget}, {"by-hand", writeByHand}, {"ours", writeOurs}} {
		at := filepath.Join(dir, conf.name)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		if err := conf.write(at, p); err != nil {
			return err
		}
		stop, err := start(ctx, at)
		if err != nil {
			return fmt.Errorf("nginx %s: %w", conf.name, err)
		}
		defer stop()
	}
	for _, port := range []uint16{p.target, p.http, p.tcp, p.byHandHTTP, p.byHandTCP} {
		if err := untilListens(ctx, port); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		what         string
		ours, byHand uint16
		args         []string
	}{
		{"HTTP, kept connections", p.http, p.byHandHTTP, nil},
		{"HTTP, new connections", p.http, p.byHandHTTP, []string{"-H", "Connection: close"}},
		{"TCP, kept connections", p.tcp, p.byHandTCP, nil},
		{"TCP, new connections", p.tcp, p.byHandTCP, []string{"-H", "Connection: close"}},
	} {
		if err := b.compare(ctx, c.what, c.ours, c.byHand, c.args); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
	}
	return nil
}

// compare measures both in turns.
func (b *bench) compare(ctx context.Context, what string, ours, byHand uint16, args []string) error {
	var mine, theirs []load
	var ratios []float64
	for range b.rounds {
		a, err := runWrk(ctx, ours, b.wrk, args)
		if err != nil {
			return err
		}
		c, err := runWrk(ctx, byHand, b.wrk, args)
		if err != nil {
			return err
		}
		mine, theirs = append(mine, a), append(theirs, c)
		ratios = append(ratios, a.rate/c.rate)
	}
	slices.Sort(ratios)
	m, t := middle(mine), middle(theirs)
	b.report(what+", beside a minimal nginx", "ratio ≥ 0.97",
		"%.0f/s, p99 %s; by hand %.0f/s, p99 %s; ratio %.3f (%.3f to %.3f)", m.rate, m.p99, t.rate, t.p99, at(ratios, 0.5),
		ratios[0], ratios[len(ratios)-1])
	return nil
}

// load is what wrk measured.
type load struct {
	rate float64
	p99  time.Duration
}

// middle returns the medians.
func middle(loads []load) load {
	var rates []float64
	var tails []time.Duration
	for _, l := range loads {
		rates, tails = append(rates, l.rate), append(tails, l.p99)
	}
	slices.Sort(rates)
	slices.Sort(tails)
	return load{rate: at(rates, 0.5), p99: at(tails, 0.5)}
}

var (
	wrkRate   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkTail   = regexp.MustCompile(`99%\s+([0-9.]+)(us|ms|s|m)`)
	wrkFailed = regexp.MustCompile(`(?m)^\s*(Socket errors|Non-2xx).*$`)
)

// runWrk loads a port.
func runWrk(ctx context.Context, port uint16, d time.Duration, args []string) (load, error) {
	argv := append([]string{
		"-t", "1", "-c", "32", "-d", strconv.Itoa(int(d.Seconds())) + "s", "--latency",
	}, args...)
	out, err := exec.CommandContext(ctx, "wrk", append(argv, fmt.Sprintf("http://127.0.0.1:%d/", port))...).CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	return parseWrk(string(out))
}

// parseWrk reads what wrk prints. Requests that failed make it worthless.
func parseWrk(out string) (load, error) {
	if bad := wrkFailed.FindString(out); bad != "" {
		return load{}, fmt.Errorf("wrk says %q", bad)
	}
	rate, tail := wrkRate.FindStringSubmatch(out), wrkTail.FindStringSubmatch(out)
	if rate == nil || tail == nil {
		return load{}, fmt.Errorf("wrk says %q", out)
	}
	var l load
	var err error
	if l.rate, err = strconv.ParseFloat(rate[1], 64); err != nil {
		return load{}, err
	}
	l.p99, err = time.ParseDuration(tail[1] + tail[2])
	return l, err
}

// writeOurs writes what we render for a load balancer of HTTP and TCP in front of the target.
func writeOurs(dir string, p ports) error {
	target := lb.Target{
		Service:   lb.Service{Key: lb.Key{Namespace: "default", Name: "target"}, Port: p.target},
		Endpoints: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), p.target)},
	}
	listener := func(port uint16, protocol lb.Protocol) lb.Listener {
		return lb.Listener{Port: port, Protocol: protocol, Routes: []lb.Route{{Target: target}}}
	}
	res, err := nginx.Render(nginx.Input{
		LoadBalancers: []lb.LoadBalancer{{
			Origin:    lb.Origin{Kind: "ConfigMap", Key: lb.Key{Namespace: "default", Name: "bench"}},
			VIPs:      []netip.Addr{netip.MustParseAddr("127.0.0.1")},
			Listeners: []lb.Listener{listener(p.http, lb.HTTP), listener(p.tcp, lb.TCP)},
		}},
		RunDir: dir, Modules: []string{streamModule}, Workers: runtime.NumCPU(),
	})
	if err != nil {
		return err
	}
	if len(res.Refused) > 0 {
		return fmt.Errorf("refused: %v", res.Refused)
	}
	for _, f := range res.Files {
		path := filepath.Join(dir, f.Path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, f.Data, 0o644)); err != nil {
			return err
		}
	}
	return nil
}

// freePorts returns ports that nobody listens at.
func freePorts() (ports, error) {
	var p ports
	for _, port := range []*uint16{&p.target, &p.http, &p.tcp, &p.byHandHTTP, &p.byHandTCP} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return p, err
		}
		defer l.Close()
		*port = netip.MustParseAddrPort(l.Addr().String()).Port()
	}
	return p, nil
}
