package nstest

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// Interface is the name of every host's interface on the bridge.
const Interface = "eth0"

// Net is a bridge.
type Net struct {
	t      testing.TB
	prefix string
}

// New makes a bridge in a namespace of its own. Without root it skips the test.
func New(t testing.TB) *Net {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("namespaces need root")
	}
	n := &Net{t: t, prefix: fmt.Sprintf("nst%x-%x-", os.Getpid(), time.Now().UnixNano()&0xfffff)}
	n.add("br")
	n.ip("-n", n.prefix+"br", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
	n.ip("-n", n.prefix+"br", "link", "set", "br0", "up")
	return n
}

// Host is a namespace with an interface on the bridge.
type Host struct {
	net  *Net
	name string
	// NS is the name of the namespace.
	NS string
}

// Host adds a host with addresses such as 10.0.0.1/24.
func (n *Net) Host(name string, addrs ...string) *Host {
	n.t.Helper()
	h := &Host{net: n, name: name, NS: n.prefix + name}
	n.add(name)
	n.ip("-n", n.prefix+"br", "link", "add", "p-"+name, "type", "veth", "peer", "name", Interface, "netns", h.NS)
	n.ip("-n", n.prefix+"br", "link", "set", "p-"+name, "master", "br0", "up")
	h.IP("link", "set", "lo", "up")
	h.IP("link", "set", Interface, "up")
	for _, a := range addrs {
		h.Add(a)
	}
	return h
}

func (n *Net) add(name string) {
	n.t.Helper()
	n.ip("netns", "add", n.prefix+name)
	n.t.Cleanup(func() { n.ip("netns", "del", n.prefix+name) })
}

func (n *Net) ip(args ...string) string {
	n.t.Helper()
	out, err := n.command("ip", args...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// command returns a command that outlives the test's context, which is done before the test's cleanup.
func (n *Net) command(name string, args ...string) *exec.Cmd {
	return exec.CommandContext(context.WithoutCancel(n.t.Context()), name, args...)
}

// Port sets the bridge's end of the host's cable up or down.
func (h *Host) Port(state string) {
	h.net.t.Helper()
	h.net.ip("-n", h.net.prefix+"br", "link", "set", "p-"+h.name, state)
}

// IP runs ip(8) in the host and returns what it says.
func (h *Host) IP(args ...string) string {
	h.net.t.Helper()
	return h.net.ip(append([]string{"-n", h.NS}, args...)...)
}

// Add adds an address, with its prefix length, to the host's interface.
func (h *Host) Add(addr string) {
	h.net.t.Helper()
	args := []string{"addr", "add", addr, "dev", Interface}
	if strings.Contains(addr, ":") {
		args = append(args, "nodad")
	}
	h.IP(args...)
}

// Has reports whether all of the addresses are on the host's interface.
func (h *Host) Has(addrs ...netip.Addr) bool {
	h.net.t.Helper()
	var have []string
	for word := range strings.FieldsSeq(h.IP("-br", "addr", "show", Interface)) {
		addr, _, _ := strings.Cut(word, "/")
		have = append(have, addr)
	}
	return !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !slices.Contains(have, a.String()) })
}

// Hardware returns the hardware address of the host's interface.
func (h *Host) Hardware() string {
	h.net.t.Helper()
	return strings.Fields(h.IP("-br", "link", "show", Interface))[2]
}

// Command returns a command that runs in the host.
func (h *Host) Command(args ...string) *exec.Cmd {
	return h.net.command("ip", append([]string{"netns", "exec", h.NS}, args...)...)
}

// Within runs a function on a thread that is in the host. Sockets that it opens stay in the host.
func (h *Host) Within(f func()) {
	h.net.t.Helper()
	var wait sync.WaitGroup
	wait.Go(func() {
		runtime.LockOSThread()
		if syscall.Gettid() == os.Getpid() {
			// The first thread cannot be thrown away, and what it enters the whole process seems to be in.
			defer runtime.UnlockOSThread()
			h.Within(f)
			return
		}
		// Never unlocked: the thread dies with the goroutine.
		ns, err := netns.GetFromName(h.NS)
		if err == nil {
			defer ns.Close()
			err = netns.Set(ns)
		}
		if err != nil {
			h.net.t.Errorf("enter namespace %s: %v", h.NS, err)
			return
		}
		f()
	})
	wait.Wait()
}
