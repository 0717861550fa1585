package agent

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/ifaddr"
)

// loopback is where resident addresses are.
const loopback = "lo"

// residence keeps every served virtual IP on the loopback interface, so that a node goes on answering what still
// reaches it in the moment that an address moves. keepalived's copy on the VRRP interface alone decides who answers ARP
// and neighbour solicitations. It may be used from everywhere at once.
type residence struct {
	// sysctls is "/proc/sys/net".
	sysctls string
	log     *slog.Logger

	mu sync.Mutex
	// iface is the VRRP interface.
	iface string
	// want are the addresses to have while nginx serves; ours are all that may be there because of us. Sorted.
	want, ours []netip.Addr
	serving    bool
	// known says that want is.
	known      bool
	complained bool
	// dirty says that an address may be there that must not.
	dirty bool
}

// set says which addresses are served, and which may be there from before.
func (r *residence) set(iface string, want, ours []netip.Addr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.iface, r.want, r.ours, r.known = iface, want, ours, true
	return r.converge()
}

// adopt takes note of what a former daemon has left. Of a living nginx, what is served stays until set says what that
// is.
func (r *residence) adopt(serving bool) {
	if serving {
		r.mu.Lock()
		r.serving = true
		r.mu.Unlock()
		return
	}
	r.serve(false)
}

// serve says whether nginx serves.
func (r *residence) serve(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known && r.serving == on {
		return
	}
	if !r.known && on {
		r.serving = true
		return // which addresses that concerns is not known yet
	}
	r.serving = on
	if err := r.converge(); err != nil {
		r.log.Error("addresses stay on the loopback interface", "error", err)
	}
}

// refresh mends what somebody else has changed, and what could not be done before.
func (r *residence) refresh() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.serving && !r.known || !r.serving && !r.dirty {
		return
	}
	if err := r.converge(); err != nil {
		r.log.Error("addresses stay on the loopback interface", "error", err)
	}
}

// converge fails when an address stays that must not. One that is missing harms nobody.
func (r *residence) converge() error {
	var want []netip.Addr
	if r.serving {
		want = r.allowed()
	}
	r.dirty = true
	gone := slices.DeleteFunc(slices.Clone(r.ours), func(a netip.Addr) bool { return has(want, a) })
	if len(gone) > 0 {
		if _, err := ifaddr.Remove(loopback, gone); err != nil {
			return err
		}
	}
	r.dirty = false
	if len(want) > 0 {
		if _, err := ifaddr.AddHost(loopback, want); err != nil {
			r.log.Warn("some addresses are not on the loopback interface", "error", err)
		}
	}
	return nil
}

func has(sorted []netip.Addr, a netip.Addr) bool {
	_, ok := slices.BinarySearchFunc(sorted, a, netip.Addr.Compare)
	return ok
}

// allowed returns the addresses that may be on the loopback interface: of IPv4 none, unless the kernel is told not to
// answer for them on the VRRP interface.
func (r *residence) allowed() []netip.Addr {
	if !slices.ContainsFunc(r.want, netip.Addr.Is4) {
		return r.want
	}
	err := answerOwnOnly(r.sysctls, r.iface)
	if err == nil {
		r.complained = false
		return r.want
	}
	if !r.complained {
		r.complained = true
		r.log.Warn("addresses move with a short gap", "error", err)
	}
	return slices.DeleteFunc(slices.Clone(r.want), netip.Addr.Is4)
}
