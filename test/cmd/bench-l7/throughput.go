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
	"runtime"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// streamModule is where Debian has nginx's stream module.
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

// ports are those of the loopback that somebody listens at; nobody of ours at Bare and BareTCP.
type ports struct{ Target, HTTP, Bare, HTTPS, TCP, BareTCP uint16 }

// local is a port of the loopback.
func local(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// throughput measures our configuration beside one by hand.
func (b *bench) throughput(ctx context.Context) error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return errors.New("wrk is not installed (apt-get install wrk)")
	}
	dir, cleanUp, err := workDir()
	if err != nil {
		return err
	}
	defer cleanUp()
	at, hand, err := writeContest(dir)
	if err != nil {
		return err
	}
	target, err := start(ctx, filepath.Join(dir, "target"), local(at.Target))
	if err != nil {
		return err
	}
	defer target.stop()
	theirs, err := start(ctx, filepath.Join(dir, "by-hand"), local(hand.HTTP))
	if err != nil {
		return err
	}
	defer theirs.stop()
	ours, err := start(ctx, filepath.Join(dir, "ours"), local(at.HTTP))
	if err != nil {
		return err
	}
	defer ours.stop()
	ending := []string{"-H", "Connection: close"}
	for _, c := range []struct {
		what         string
		ours, byHand uint16
		run          loader
		// less says what the one by hand leaves out. There is no goal then: the figure shows what it costs.
		less string
	}{
		{"HTTP, kept connections", at.HTTP, hand.Bare, wrk("http"), "passes Host and X-Forwarded-For only"},
		{"HTTP, kept connections", at.HTTP, hand.HTTP, wrk("http"), ""},
		{"HTTP, new connections", at.HTTP, hand.HTTP, wrk("http", ending...), ""},
		{"HTTPS, kept connections", at.HTTPS, hand.HTTPS, wrk("https"), ""},
		{"HTTPS, new connections that resume", at.HTTPS, hand.HTTPS, anew(true), ""},
		{"HTTPS, new connections that do not", at.HTTPS, hand.HTTPS, anew(false), ""},
		{"TCP, kept connections", at.TCP, hand.BareTCP, wrk("http"), "has no keepalive and no half-closed streams"},
		{"TCP, kept connections", at.TCP, hand.TCP, wrk("http"), ""},
		{"TCP, new connections", at.TCP, hand.BareTCP, wrk("http", ending...), "has no keepalive and no half-closed streams"},
		{"TCP, new connections", at.TCP, hand.TCP, wrk("http", ending...), ""},
	} {
		o, err := b.compare(ctx, match{ours: ours.on(local(c.ours)), byHand: theirs.on(local(c.byHand)), run: c.run})
		if err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
		if c.less != "" {
			b.report(c.what+", beside one that "+c.less, "%s", o)
			continue
		}
		b.judge(c.what+", beside a minimal nginx", "ratio ≥ 0.97", o.ratio >= 0.97, "%s", o)
	}
	return nil
}

// writeContest writes the configurations of the target, of ours and of the one by hand.
func writeContest(dir string) (ours, hand ports, err error) {
	if ours, err = freePorts(); err != nil {
		return ours, hand, err
	}
	if hand, err = freePorts(); err != nil {
		return ours, hand, err
	}
	hand.Target = ours.Target
	keys, err := makeKeys(filepath.Join(dir, "tls"), 1)
	if err != nil {
		return ours, hand, err
	}
	by := byHand{
		Dir: filepath.Join(dir, "target"), Module: streamModule, Body: body(), Certificate: keys.path(0),
		Ticket: keys.ticket(), Ports: hand,
	}
	if err := by.write(answering); err != nil {
		return ours, hand, err
	}
	by.Dir = filepath.Join(dir, "by-hand")
	if err := by.write(minimal); err != nil {
		return ours, hand, err
	}
	listener := func(port uint16, protocol lb.Protocol) lb.Listener {
		return lb.Listener{Port: port, Protocol: protocol, Routes: []lb.Route{{Target: targetAt(ours.Target)}}}
	}
	https := listener(ours.HTTPS, lb.HTTP)
	https.TLS = keys.tls(0)
	return ours, hand, render(filepath.Join(dir, "ours"), keys, []lb.LoadBalancer{{
		Origin:    lb.Origin{Kind: "ConfigMap", Key: lb.Key{Namespace: "default", Name: "bench"}},
		VIPs:      []netip.Addr{local(0).Addr()},
		Listeners: []lb.Listener{listener(ours.HTTP, lb.HTTP), https, listener(ours.TCP, lb.TCP)},
	}})
}

func targetAt(port uint16) lb.Target {
	return lb.Target{
		Service:   lb.Service{Key: lb.Key{Namespace: "default", Name: "target"}, Port: port},
		Endpoints: []netip.AddrPort{local(port)},
	}
}

// render writes what we render for load balancers.
func render(dir string, keys keys, loads []lb.LoadBalancer) error {
	res, err := nginx.Render(nginx.Input{
		LoadBalancers: loads, RunDir: dir, Modules: []string{streamModule}, Workers: runtime.NumCPU(),
		TLSDir: keys.dir, TicketKeys: []string{ticketName},
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

// workDir makes a directory that nginx's workers, who are somebody else, can go through.
func workDir() (dir string, cleanUp func(), err error) {
	if dir, err = os.MkdirTemp("", "bench-l7-"); err != nil {
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, os.Chmod(dir, 0o755)
}

// freePorts returns ports that nobody listens at.
func freePorts() (ports, error) {
	var p ports
	var held []net.Listener // until all are there, or one could be found twice
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	for _, port := range []*uint16{&p.Target, &p.HTTP, &p.Bare, &p.HTTPS, &p.TCP, &p.BareTCP} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return p, err
		}
		held = append(held, l)
		*port = netip.MustParseAddrPort(l.Addr().String()).Port()
	}
	return p, nil
}
