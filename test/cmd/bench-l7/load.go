package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// connections is how many there are at once.
const connections = 32

// patience bounds a request. What takes long shows in the tail; only what never ends is a failure.
const patience = 30 * time.Second

// load is what came of loading a server.
type load struct {
	requests int
	rate     float64
	p99      time.Duration
	// cpu is what the server took for a request.
	cpu time.Duration
}

// loader loads a server for a time, of whole seconds.
type loader func(ctx context.Context, at []netip.AddrPort, d time.Duration) (load, error)

var (
	wrkCount  = regexp.MustCompile(`(\d+) requests in `)
	wrkRate   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkTail   = regexp.MustCompile(`99%\s+([0-9.]+)(us|ms|s|m)`)
	wrkFailed = regexp.MustCompile(`(?m)^\s*(Socket errors|Non-2xx).*$`)
)

// wrk loads the first place by wrk(1).
func wrk(scheme string, args ...string) loader {
	return func(ctx context.Context, at []netip.AddrPort, d time.Duration) (load, error) {
		argv := append([]string{
			"-t", "1", "-c", strconv.Itoa(connections), "-d", strconv.Itoa(int(d.Seconds())) + "s", "--latency",
			"--timeout", strconv.Itoa(int(patience.Seconds())) + "s",
		}, args...)
		out, err := exec.CommandContext(ctx, "wrk", append(argv, scheme+"://"+at[0].String()+"/")...).CombinedOutput()
		if err != nil {
			return load{}, fmt.Errorf("wrk: %w: %s", err, out)
		}
		return parseWrk(string(out))
	}
}

// parseWrk reads what wrk prints. Requests that failed make it worthless.
func parseWrk(out string) (load, error) {
	if bad := wrkFailed.FindString(out); bad != "" {
		return load{}, fmt.Errorf("wrk says %q", bad)
	}
	count, rate, tail := wrkCount.FindStringSubmatch(out), wrkRate.FindStringSubmatch(out), wrkTail.FindStringSubmatch(out)
	if count == nil || rate == nil || tail == nil {
		return load{}, fmt.Errorf("wrk says %q", out)
	}
	var l load
	var err error
	if l.requests, err = strconv.Atoi(count[1]); err != nil {
		return load{}, err
	}
	if l.rate, err = strconv.ParseFloat(rate[1], 64); err != nil {
		return load{}, err
	}
	l.p99, err = time.ParseDuration(tail[1] + tail[2])
	return l, err
}

// anew loads all places in turns, with a handshake of TLS for each request: one that resumes the connection before, or
// a whole one. Of those that should resume, one in a hundred may not, or the figure is not what it is called. What can
// be resumed is kept from one run to the next, or the whole handshakes that begin each would be a good part of a short
// one.
func anew(resume bool) loader {
	kept := map[netip.AddrPort][]tls.ClientSessionCache{}
	return func(ctx context.Context, places []netip.AddrPort, d time.Duration) (load, error) {
		caches := kept[places[0]]
		if caches == nil {
			caches = sessionCaches(resume)
			kept[places[0]] = caches
		}
		visitors := make([]visitor, connections)
		errs := make([]error, connections)
		var next atomic.Int64
		var wg sync.WaitGroup
		begun := time.Now()
		for i := range visitors {
			v := &visitors[i]
			v.config = clientConfig(caches[i])
			wg.Go(func() {
				for time.Since(begun) < d && errs[i] == nil {
					errs[i] = v.visit(ctx, places[int(next.Add(1))%len(places)])
				}
			})
		}
		wg.Wait()
		took := time.Since(begun)
		var all []time.Duration
		whole := 0
		for _, v := range visitors {
			all, whole = append(all, v.times...), whole+v.whole
		}
		if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
			return load{}, errs[i] // the others say the same
		}
		if n := len(all); resume && whole-connections > n/100 || !resume && whole < n {
			return load{}, fmt.Errorf("%d of %d handshakes were whole ones", whole, n)
		}
		slices.Sort(all)
		return load{requests: len(all), rate: float64(len(all)) / took.Seconds(), p99: at(all, 0.99)}, nil
	}
}

// sessionCaches are one for each connection, all nil where nothing is to be resumed.
func sessionCaches(resume bool) []tls.ClientSessionCache {
	caches := make([]tls.ClientSessionCache, connections)
	for i := range caches {
		if resume {
			caches[i] = tls.NewLRUClientSessionCache(1)
		}
	}
	return caches
}

// clientConfig is that of a client that believes anybody: the certificates sign themselves. It resumes what a cache
// has.
func clientConfig(cache tls.ClientSessionCache) *tls.Config {
	return &tls.Config{
		ClientSessionCache: cache,
		ServerName:         serverName, MinVersion: tls.VersionTLS12,
		CurvePreferences:   []tls.CurveID{tls.X25519}, // what nginx would choose, without the work for another
		InsecureSkipVerify: true,                      //nolint:gosec // on the loopback
	}
}

// visitor makes one connection after the other.
type visitor struct {
	config *tls.Config
	times  []time.Duration
	// whole counts the handshakes that resumed nothing.
	whole int
}

// visit connects, asks once and reads until the server closes.
func (v *visitor) visit(ctx context.Context, at netip.AddrPort) error {
	begun := time.Now()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", at.String())
	if err != nil {
		return err
	}
	c := tls.Client(conn, v.config)
	defer c.Close()
	if err := c.SetDeadline(begun.Add(patience)); err != nil {
		return err
	}
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	if !c.ConnectionState().DidResume {
		v.whole++
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+serverName+"\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200")) && !bytes.HasPrefix(answer, []byte("HTTP/1.1 308")) {
		return fmt.Errorf("it answers %.100q", answer)
	}
	v.times = append(v.times, time.Since(begun))
	return nil
}
