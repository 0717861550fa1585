package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// handshakes measures what it costs that a certificate is read from the disk at every handshake, so that a new one
// needs no reload, beside growing numbers of certificates.
func (b *bench) handshakes(ctx context.Context) error {
	for text := range strings.SplitSeq(b.certificates, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		if err := b.among(ctx, n); err != nil {
			return fmt.Errorf("%d certificates: %w", n, err)
		}
	}
	return nil
}

// among measures connections to so many load balancers with a certificate each, all in turns. Both answer a redirect
// themselves, so that there is little beside the handshake.
func (b *bench) among(ctx context.Context, n int) error {
	dir, cleanUp, err := workDir()
	if err != nil {
		return err
	}
	defer cleanUp()
	p, err := freePorts()
	if err != nil {
		return err
	}
	keys, err := makeKeys(filepath.Join(dir, "tls"), n)
	if err != nil {
		return err
	}
	by := byHand{Dir: filepath.Join(dir, "by-hand"), Ticket: keys.ticket()}
	var loads []lb.LoadBalancer
	var atOurs, atHand []netip.AddrPort
	for i := range n {
		address := netip.AddrFrom4([4]byte{127, 1, byte(i / 250), byte(i%250 + 1)})
		s := lb.Listener{
			Port: p.HTTPS, Protocol: lb.HTTP, TLS: keys.tls(i), Routes: []lb.Route{{Target: targetAt(p.Target)}},
		}
		s.Options.HTTP.RedirectTo = 443
		loads = append(loads, lb.LoadBalancer{
			Origin: lb.Origin{Kind: "ConfigMap", Key: lb.Key{Namespace: "default", Name: fmt.Sprintf("bench-%d", i)}},
			VIPs:   []netip.Addr{address}, Listeners: []lb.Listener{s},
		})
		atOurs = append(atOurs, netip.AddrPortFrom(address, p.HTTPS))
		atHand = append(atHand, netip.AddrPortFrom(address, p.TCP))
		by.Hosts = append(by.Hosts, host{At: atHand[i].String(), Certificate: keys.path(i)})
	}
	if err := by.write(manyByHand); err != nil {
		return err
	}
	if err := render(filepath.Join(dir, "ours"), keys, loads); err != nil {
		return err
	}
	ours, err := start(ctx, filepath.Join(dir, "ours"), atOurs...)
	if err != nil {
		return err
	}
	defer ours.stop()
	theirs, err := start(ctx, by.Dir, atHand...)
	if err != nil {
		return err
	}
	defer theirs.stop()
	o, err := b.compare(ctx, match{ours: ours, byHand: theirs, run: anew(false)})
	if err == nil {
		b.report(fmt.Sprintf("A whole handshake and a redirect, beside %d certificates", n), "%s", o)
	}
	return err
}
