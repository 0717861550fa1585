package owner

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
)

// linkName is the one link that a node of the lab has.
const linkName = "eth0"

// receiveBuffer holds the events of a thousand addresses that change at once.
const receiveBuffer = 8 << 20

// Watch records what happens to the links of nodes until it is stopped.
type Watch struct {
	done  chan struct{}
	once  sync.Once
	nodes []string // sorted

	mu     sync.Mutex
	events []Event
	latest map[place]bool
	err    error
}

type place struct {
	node    string
	address netip.Addr
}

// Start begins with what is there already, and returns once it has recorded that.
func Start(nodes []fabric.Node) (*Watch, error) {
	w := &Watch{done: make(chan struct{}), latest: map[place]bool{}}
	for _, n := range nodes {
		w.nodes = append(w.nodes, n.Name)
		if err := w.follow(n); err != nil {
			w.Stop()
			return nil, fmt.Errorf("watch the addresses of %s: %w", n.Name, err)
		}
	}
	slices.Sort(w.nodes)
	return w, nil
}

// follow subscribes first and lists then, so that nothing is missed in between.
func (w *Watch) follow(n fabric.Node) error {
	ns, err := netns.GetFromName(n.Namespace)
	if err != nil {
		return err
	}
	defer ns.Close()
	handle, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	addresses, links := make(chan netlink.AddrUpdate, 1024), make(chan netlink.LinkUpdate, 64)
	failed := func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.err == nil {
			w.err = fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	err = netlink.AddrSubscribeWithOptions(addresses, w.done, netlink.AddrSubscribeOptions{
		Namespace: &ns, ErrorCallback: w.unlessDone(failed),
		ReceiveBufferSize: receiveBuffer, ReceiveBufferForceSize: true,
	})
	if err != nil {
		return err
	}
	err = netlink.LinkSubscribeWithOptions(links, w.done, netlink.LinkSubscribeOptions{
		Namespace: &ns, ErrorCallback: w.unlessDone(failed),
	})
	if err != nil {
		return err
	}
	link, err := handle.LinkByName(linkName)
	if err != nil {
		return err
	}
	w.link(n.Name, link.Attrs().RawFlags)
	present, err := fabric.List(handle, link)
	if err != nil {
		return err
	}
	for _, a := range present {
		if address, ok := netip.AddrFromSlice(a.IP); ok {
			w.address(n.Name, address.Unmap(), true)
		}
	}
	index := link.Attrs().Index
	go w.takeAddresses(n.Name, index, addresses)
	go w.takeLinks(n.Name, index, links)
	return nil
}

func (w *Watch) takeAddresses(node string, index int, updates <-chan netlink.AddrUpdate) {
	for u := range updates {
		if address, ok := netip.AddrFromSlice(u.LinkAddress.IP); ok && u.LinkIndex == index {
			w.address(node, address.Unmap(), u.NewAddr)
		}
	}
}

func (w *Watch) takeLinks(node string, index int, updates <-chan netlink.LinkUpdate) {
	for u := range updates {
		if int(u.Index) == index {
			w.link(node, u.IfInfomsg.Flags)
		}
	}
}

// unlessDone drops the error that a subscription ends with when it is told to.
func (w *Watch) unlessDone(report func(error)) func(error) {
	return func(err error) {
		select {
		case <-w.done:
		default:
			report(err)
		}
	}
}

func (w *Watch) link(node string, flags uint32) {
	kind := Down
	if flags&unix.IFF_UP != 0 {
		kind = Up
	}
	w.record(Event{Time: time.Now(), Node: node, Kind: kind}, kind == Up)
}

func (w *Watch) address(node string, address netip.Addr, added bool) {
	kind := Removed
	if added {
		kind = Added
	}
	w.record(Event{Time: time.Now(), Node: node, Kind: kind, Address: address}, added)
}

// record leaves out what is known: the kernel repeats itself when an address's lifetime or a link's statistics change.
func (w *Watch) record(e Event, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := place{e.Node, e.Address}
	if last, known := w.latest[key]; known && last == on {
		return
	}
	w.latest[key] = on
	w.events = append(w.events, e)
}

// History returns what was recorded so far. The error says that something may be missing.
func (w *Watch) History() (History, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := slices.Clone(w.events)
	slices.SortStableFunc(events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return events, w.err
}

// Owners returns who owns the address now, sorted.
func (w *Watch) Owners(address netip.Addr) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, node := range w.nodes {
		if w.latest[place{node, address}] && w.latest[place{node: node}] {
			names = append(names, node)
		}
	}
	return names
}

// Stop ends the recording.
func (w *Watch) Stop() { w.once.Do(func() { close(w.done) }) }
