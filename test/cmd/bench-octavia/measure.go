package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	backend "github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// bench is a backend before a cloud, with a gate between the two.
type bench struct {
	options
	gate    *octavia.Gate
	session *octavia.Session
	backend *backend.Backend
	stop    func()
	rows    []row
}

func newBench(ctx context.Context, c *octavia.Cloud, o options) (*bench, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, gate: c.OpenGate(l)}
	dir, err := os.MkdirTemp("", "bench-octavia")
	if err != nil {
		return nil, err
	}
	clouds := filepath.Join(dir, "clouds.yaml")
	if err := os.WriteFile(clouds, []byte(b.gate.CloudsYAML()), 0o600); err != nil {
		return nil, err
	}
	if b.session, err = b.gate.Login(ctx, "demo"); err != nil {
		return nil, err
	}
	b.backend, err = backend.New(backend.Options{
		Cluster:     fmt.Sprintf("bench-%d", time.Now().UnixNano()),
		Credentials: backend.Credentials{CloudsFile: clouds, Cloud: "demo"},
		Defaults:    backend.Settings{Placement: backend.Placement{SubnetID: octavia.Subnet}},
		Workers:     16,
	})
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.backend.Run(running)
	}()
	b.stop = func() { cancel(); <-done; _ = os.RemoveAll(dir) }
	if err := b.settle(ctx); err != nil { // logs in
		return nil, err
	}
	// A backend that has just started looks twice whether the one before it has left something.
	time.Sleep(11 * time.Second)
	return b, nil
}

func (b *bench) close() {
	b.stop()
	_ = b.gate.Close()
}

// settle asks for exactly these, and returns when that is so.
func (b *bench) settle(ctx context.Context, want ...lb.LoadBalancer) error {
	if err := b.backend.Apply(ctx, want); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		switch {
		case b.backend.Settled():
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			state, err := b.backend.State(ctx)
			return fmt.Errorf("no end of it: %v (%w)", state.Health, err)
		}
	}
}

// calls counts what came to Octavia since the gate was reset.
func (b *bench) calls() (costly, polls int) {
	for _, c := range b.gate.Calls() {
		_, id, one := strings.Cut(c.Path, "/loadbalancers/")
		switch {
		case c.Service != "load-balancer" || c.Path == "/":
		case c.Method == http.MethodGet && one && !strings.Contains(id, "/"):
			polls++
		default:
			costly++
		}
	}
	return costly, polls
}

// web is a load balancer with so many nodes for each port.
func web(name string, nodes int, ports ...uint16) lb.LoadBalancer {
	l := lb.LoadBalancer{Origin: lb.Origin{Kind: "ConfigMap", Key: lb.Key{Namespace: "bench", Name: name}, UID: name}}
	for _, p := range ports {
		var t lb.Target
		for n := range nodes {
			address := netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + n)})
			t.Endpoints = append(t.Endpoints, netip.AddrPortFrom(address, 30000+p))
		}
		l.Listeners = append(l.Listeners, lb.Listener{Port: p, Protocol: lb.TCP, Routes: []lb.Route{{Target: t}}})
	}
	return l
}

// bare is the same load balancer as a bare call, with one port and two nodes.
const bare = `{"name":"bare","vip_subnet_id":"` + octavia.Subnet + `",
"listeners":[{"name":"l","protocol":"TCP","protocol_port":80,
"default_pool":{"name":"p","protocol":"TCP","lb_algorithm":"ROUND_ROBIN",
"members":[{"address":"192.0.2.11","protocol_port":30080},{"address":"192.0.2.12","protocol_port":30080}],
"healthmonitor":{"type":"TCP","delay":5,"timeout":3,"max_retries":1}}}]}`

// own returns how long Octavia itself takes to make so many at once, looked at every 100 ms.
func (b *bench) own(ctx context.Context, n int) (time.Duration, error) {
	begun := time.Now()
	ids := make([]string, n)
	all, grouped := errgroup.WithContext(ctx)
	for i := range n {
		all.Go(func() (err error) {
			if ids[i], err = b.session.Create(grouped, bare); err != nil {
				return err
			}
			return b.session.AwaitStatus(grouped, ids[i], "ACTIVE", 100*time.Millisecond)
		})
	}
	if err := all.Wait(); err != nil {
		return 0, err
	}
	took := time.Since(begun)
	for _, id := range ids {
		if _, err := b.session.Do(ctx, http.MethodDelete, "loadbalancers/"+id+"?cascade=true", ""); err != nil {
			return 0, err
		}
	}
	for _, id := range ids {
		if err := b.session.AwaitStatus(ctx, id, "", 200*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return took, nil
}

// createAndDelete compares each of our creates with one of Octavia's own right before it.
func (b *bench) createAndDelete(ctx context.Context) error {
	var over []time.Duration
	creates, deletes, polls := 0, 0, 0
	for range b.trials {
		own, err := b.own(ctx, 1)
		if err != nil {
			return err
		}
		b.gate.Reset()
		begun := time.Now()
		if err := b.settle(ctx, web("web", 2, 80)); err != nil {
			return err
		}
		over = append(over, time.Since(begun)-own)
		n, p := b.calls()
		creates, polls = max(creates, n), max(polls, p)
		b.gate.Reset()
		if err := b.settle(ctx); err != nil {
			return err
		}
		n, _ = b.calls()
		deletes = max(deletes, n)
	}
	slices.Sort(over)
	b.report("create, 1 port 2 nodes: calls / time over Octavia's own", "9 / –", "≤ 4 / ≤ 1 s",
		"%d (and %d polls) / median %.2f s, max %.2f s (%d trials)", creates, polls, over[len(over)/2].Seconds(),
		over[len(over)-1].Seconds(), len(over))
	b.report("delete: calls", "4", "≤ 3", "%d", deletes)
	return nil
}

func (b *bench) tenAtOnce(ctx context.Context) error {
	own, err := b.own(ctx, 10)
	if err != nil {
		return err
	}
	var all []lb.LoadBalancer
	for i := range 10 {
		all = append(all, web(fmt.Sprintf("web%d", i), 2, 80))
	}
	begun := time.Now()
	if err := b.settle(ctx, all...); err != nil {
		return err
	}
	took := time.Since(begun)
	b.report("10 created at once, all ACTIVE and verified", "one after another", "≤ 1.3 × Octavia's own",
		"%.1f s; Octavia's own %.1f s: %.2f ×", took.Seconds(), own.Seconds(), took.Seconds()/own.Seconds())
	return b.settle(ctx)
}

func (b *bench) nodeAdded(ctx context.Context) error {
	if err := b.settle(ctx, web("web", 2, 80, 81)); err != nil {
		return err
	}
	b.gate.Reset()
	begun := time.Now()
	if err := b.settle(ctx, web("web", 3, 80, 81)); err != nil {
		return err
	}
	n, polls := b.calls()
	b.report("one node added, 2 ports: calls", "14", "≤ 5", "%d (and %d polls), %.1f s", n, polls,
		time.Since(begun).Seconds())
	return b.settle(ctx)
}

func (b *bench) resync(ctx context.Context) error {
	var all []lb.LoadBalancer
	for i := range b.fleet {
		all = append(all, web(fmt.Sprintf("web%d", i), 2, 80, 81))
	}
	if err := b.settle(ctx, all...); err != nil {
		return err
	}
	b.gate.Reset()
	begun := time.Now()
	if err := b.settle(ctx, all...); err != nil {
		return err
	}
	n, polls := b.calls()
	what := fmt.Sprintf("no-change resync of %d load balancers × 2 ports: calls", b.fleet)
	b.report(what, strconv.Itoa(8*b.fleet), "≤ 2", "%d, %.0f ms", n+polls, float64(time.Since(begun).Milliseconds()))
	return b.settle(ctx)
}
