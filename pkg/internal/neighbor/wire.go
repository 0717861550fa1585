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

// sendWithin bounds the sending of a frame where the time to answer is shorter: whoever is late to ask has to ask all
// the same, and a link takes a frame at once or not at all.
const sendWithin = time.Second

// exchange asks for the addresses and hands over the claims to them, until one of them is enough. What has come by the
// end counts, though the asker may have had no processor to look before.
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
	sending := later(deadline, time.Now().Add(sendWithin))
	if err := errors.Join(w.arp.SetReadDeadline(deadline), w.nd.SetReadDeadline(deadline),
		w.arp.SetWriteDeadline(sending), w.nd.SetWriteDeadline(sending)); err != nil {
		return fmt.Errorf("ask on %s: %w", w.name, err)
	}
	defer context.AfterFunc(ctx, func() {
		now := time.Now()
		_, _ = w.arp.SetReadDeadline(now), w.nd.SetReadDeadline(now)
	})()
	claims := make(chan claim)
	var wait sync.WaitGroup
	receivers := slices.DeleteFunc([]receiver{{w.arp, parseARP, false}, {w.nd, parseAdvertisement, true}},
		func(r receiver) bool {
			return !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.Is6() == r.six })
		})
	for _, r := range receivers {
		wait.Go(func() { r.receive(ctx, claims) })
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
	hear := func(c claim) {
		if c.hardware != w.self && slices.Contains(addrs, c.address) && enough(c) {
			cancel()
		}
	}
	for c := range claims {
		hear(c)
	}
	err := <-sent
	for _, r := range receivers {
		err = errors.Join(err, r.rest(hear))
	}
	return err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
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

// receiver is one of the two sockets.
type receiver struct {
	file  *os.File
	parse func([]byte) (claim, bool)
	six   bool
}

// receive hands over claims until the deadline or the context's end.
func (r receiver) receive(ctx context.Context, claims chan<- claim) {
	b := make([]byte, maxFrame)
	for ctx.Err() == nil {
		n, err := r.file.Read(b)
		if err != nil {
			return
		}
		if c, ok := r.parse(b[:n]); ok {
			claims <- c
		}
	}
}

// rest hands over the claims that are there, without waiting for more.
func (r receiver) rest(hear func(claim)) error {
	return pending(r.file, func(b []byte) {
		if c, ok := r.parse(b); ok {
			hear(c)
		}
	})
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
