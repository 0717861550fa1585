package neighbor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Wire is an interface to speak on. Its methods may be called from everywhere, and take their turns.
type Wire struct {
	name string
	self Hardware

	mu sync.Mutex
	// arp is for IPv4, nd for IPv6.
	arp, nd *os.File
}

// Open opens an interface, which must have a MAC address. Who has opened it closes it.
func Open(name string) (*Wire, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	if len(link.HardwareAddr) != len(Hardware{}) {
		return nil, fmt.Errorf("interface %s has no MAC address", name)
	}
	w := &Wire{name: name, self: Hardware(link.HardwareAddr)}
	if w.arp, err = open(link.Index, etherARP, keepAll()); err != nil {
		return nil, fmt.Errorf("interface %s: open it for ARP: %w", name, err)
	}
	if w.nd, err = open(link.Index, etherIPv6, keepAdvertisements()); err != nil {
		_ = w.arp.Close()
		return nil, fmt.Errorf("interface %s: open it for neighbour discovery: %w", name, err)
	}
	return w, nil
}

// Close closes the interface; what waits on it ends.
func (w *Wire) Close() error { return errors.Join(w.arp.Close(), w.nd.Close()) }

// Hardware returns the interface's own MAC address, as it was when it was opened.
func (w *Wire) Hardware() Hardware { return w.self }

// The pace of many frames: a burst that a poor switch would drop is of no use.
const (
	burst      = 50
	burstPause = time.Millisecond
)

// Probe asks who else has the addresses, as one asks who has none himself, and returns the MAC addresses that answered
// for each within the time, sorted, without this interface's own. A thousand take 20 ms to be asked for.
func (w *Wire) Probe(ctx context.Context, addrs []netip.Addr, within time.Duration) (map[netip.Addr][]Hardware, error) {
	found := make(map[netip.Addr][]Hardware)
	err := w.exchange(ctx, nil, addrs, within, func(c claim) bool {
		if !slices.Contains(found[c.address], c.hardware) {
			found[c.address] = append(found[c.address], c.hardware)
		}
		return false
	})
	for _, hs := range found {
		slices.SortFunc(hs, func(a, b Hardware) int { return slices.Compare(a[:], b[:]) })
	}
	return found, err
}

// Ask asks the addresses and reports whether any of them has answered within the time. The senders are addresses of
// this interface, one of each family that is asked.
func (w *Wire) Ask(ctx context.Context, senders, addrs []netip.Addr, within time.Duration) (bool, error) {
	answered := false
	err := w.exchange(ctx, senders, addrs, within, func(claim) bool {
		answered = true
		return true
	})
	return answered, err
}

// Announce tells every neighbour that the addresses are at this interface.
func (w *Wire) Announce(ctx context.Context, addrs []netip.Addr) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := errors.Join(w.arp.SetDeadline(time.Time{}), w.nd.SetDeadline(time.Time{})); err != nil {
		return fmt.Errorf("announce on %s: %w", w.name, err)
	}
	return w.send(ctx, addrs, func(a netip.Addr) []byte {
		if a.Is4() {
			return arp(w.self, a, a)
		}
		return advertisement(w.self, a)
	})
}

// exchange asks for the addresses and hands over the claims to them, until one of them is enough.
func (w *Wire) exchange(ctx context.Context, senders, addrs []netip.Addr, within time.Duration,
	enough func(claim) bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := errors.Join(drain(w.arp), drain(w.nd)); err != nil {
		return fmt.Errorf("ask on %s: %w", w.name, err)
	}
	deadline, _ := ctx.Deadline()
	if err := errors.Join(w.arp.SetDeadline(deadline), w.nd.SetDeadline(deadline)); err != nil {
		return fmt.Errorf("ask on %s: %w", w.name, err)
	}
	defer context.AfterFunc(ctx, func() {
		now := time.Now()
		_, _ = w.arp.SetReadDeadline(now), w.nd.SetReadDeadline(now)
	})()
	claims := make(chan claim)
	var wait sync.WaitGroup
	for _, r := range []struct {
		file  *os.File
		parse func([]byte) (claim, bool)
		six   bool
	}{{w.arp, parseARP, false}, {w.nd, parseAdvertisement, true}} {
		if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.Is6() == r.six }) {
			wait.Go(func() { receive(ctx, r.file, r.parse, claims) })
		}
	}
	go func() {
		wait.Wait()
		close(claims)
	}()
	sent := make(chan error, 1)
	go func() {
		sent <- w.send(ctx, addrs, func(a netip.Addr) []byte {
			if a.Is4() {
				return arp(w.self, senderFor(a, senders), a)
			}
			return solicitation(w.self, senderFor(a, senders), a)
		})
	}()
	for c := range claims {
		if c.hardware != w.self && slices.Contains(addrs, c.address) && enough(c) {
			cancel()
		}
	}
	return <-sent
}

// senderFor returns the sender of the address's family, zero where there is none.
func senderFor(a netip.Addr, senders []netip.Addr) netip.Addr {
	for _, s := range senders {
		if s.Is6() == a.Is6() {
			return s
		}
	}
	return netip.Addr{}
}

// receive hands over claims until the deadline or the context's end.
func receive(ctx context.Context, f *os.File, parse func([]byte) (claim, bool), claims chan<- claim) {
	b := make([]byte, 256)
	for ctx.Err() == nil {
		n, err := f.Read(b)
		if err != nil {
			return
		}
		if c, ok := parse(b[:n]); ok {
			claims <- c
		}
	}
}

// send sends a frame for each address, as fast as is good.
func (w *Wire) send(ctx context.Context, addrs []netip.Addr, frame func(netip.Addr) []byte) error {
	for i, a := range addrs {
		if i%burst == burst-1 {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(burstPause):
			}
		}
		f := w.arp
		if a.Is6() {
			f = w.nd
		}
		// Without a buffer a frame is lost as it may be on the wire; so it is where a filter drops what leaves.
		if _, err := f.Write(frame(a)); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("ask for %s on %s: %w", a, w.name, err)
		}
	}
	return nil
}
