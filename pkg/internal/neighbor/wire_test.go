package neighbor_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/neighbor"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/nstest"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/rendertest"
)

// long is enough for an answer on any machine, and short for who waits for none.
const (
	long  = 2 * time.Second
	short = 300 * time.Millisecond
)

func addrs(texts ...string) []netip.Addr {
	var as []netip.Addr
	for _, s := range texts {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

// segment is two hosts, the second of which has some addresses.
func segment(t *testing.T) (a, b *nstest.Host) {
	t.Helper()
	net := nstest.New(t)
	a = net.Host("a", "10.9.0.1/24", "fd00:9::1/64")
	b = net.Host("b", "10.9.0.2/24", "10.9.0.50/32", "fd00:9::2/64", "fd00:9::50/128")
	return a, b
}

// open opens a host's interface for the test.
func open(t *testing.T, h *nstest.Host) *neighbor.Wire {
	t.Helper()
	var w *neighbor.Wire
	var err error
	h.Within(func() { w, err = neighbor.Open(nstest.Interface) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// TestProbe finds who has an address, not who asks, and leaves the neighbours' tables alone.
func TestProbe(t *testing.T) {
	t.Parallel()
	a, b := segment(t)
	// What is only on lo is answered for by nobody, as the nodes have it.
	if out, err := b.Command("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b.IP("addr", "add", "10.9.0.60/32", "dev", "lo", "scope", "host")
	b.IP("addr", "add", "fd00:9::60/128", "dev", "lo", "nodad")
	a.Add("10.9.0.50/32")
	a.Add("fd00:9::50/128")
	w := open(t, a)
	found, err := w.Probe(t.Context(), addrs("10.9.0.1", "10.9.0.50", "10.9.0.60", "10.9.0.70",
		"fd00:9::1", "fd00:9::50", "fd00:9::60", "fd00:9::70"), short)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("map[10.9.0.50:[%s] fd00:9::50:[%[1]s]]", b.Hardware())
	if got := fmt.Sprint(found); got != want {
		t.Errorf("found %s, want %s", got, want)
	}
	if w.Hardware().String() != a.Hardware() {
		t.Errorf("the interface is %s, not %s", w.Hardware(), a.Hardware())
	}
	for _, h := range []*nstest.Host{a, b} {
		if learnt := h.IP("neigh", "show", "dev", nstest.Interface); strings.Contains(learnt, "10.9.0.") ||
			strings.Contains(learnt, "fd00:9::") {
			t.Errorf("%s has learnt %s", h.NS, learnt)
		}
	}
}

// TestProbeMany asks for a thousand addresses, all of which somebody has.
func TestProbeMany(t *testing.T) {
	t.Parallel()
	a, b := segment(t)
	var many []netip.Addr
	for i := range 500 {
		many = append(many, netip.AddrFrom4([4]byte{10, 9, byte(1 + i>>8), byte(i)}),
			netip.MustParseAddr(fmt.Sprintf("fd00:9::1:%x", i)))
	}
	batch := strings.Builder{}
	for _, m := range many {
		fmt.Fprintf(&batch, "addr add %s dev eth0 nodad\n", netip.PrefixFrom(m, m.BitLen()))
	}
	cmd := b.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(batch.String(), "/32 dev eth0 nodad", "/32 dev eth0"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found, err := open(t, a).Probe(t.Context(), many, long)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != len(many) {
		t.Errorf("%d of %d answered", len(found), len(many))
	}
}

// TestAskLate: whoever was not given the processor until the time was over still hears an answer that has come by then.
// That the asker is late is not the witness's silence.
func TestAskLate(t *testing.T) {
	t.Parallel()
	a, _ := segment(t)
	w := open(t, a)
	us, of := addrs("10.9.0.1"), addrs("10.9.0.2")
	var echo *neighbor.Echo
	var err error
	a.Within(func() { echo, err = neighbor.OpenEcho(t.Context(), nstest.Interface, us[0]) })
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	for name, ask := range map[string]func(within time.Duration) (bool, error){
		"ARP":  func(within time.Duration) (bool, error) { return w.Ask(t.Context(), us, of, within) },
		"ping": func(within time.Duration) (bool, error) { return echo.Ask(t.Context(), of, within) },
	} {
		if answered, err := ask(long); !answered || err != nil {
			t.Fatalf("%s: %t, %v", name, answered, err)
		}
		heard := 0
		for range 100 { // the answer may be late, too, on a busy machine
			answered, err := ask(time.Nanosecond)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if answered {
				heard++
			}
		}
		if heard == 0 {
			t.Errorf("%s: nothing was heard in 100 questions", name)
		}
	}
}

// TestAsk asks by ARP, by neighbour discovery and by ping, who is there and who is not.
func TestAsk(t *testing.T) {
	t.Parallel()
	a, b := segment(t)
	w := open(t, a)
	ask := func(from string, within time.Duration, of ...string) (arp, ping bool) {
		t.Helper()
		arp, err := w.Ask(t.Context(), addrs(from), addrs(of...), within)
		if err != nil {
			t.Error(err)
		}
		var echo *neighbor.Echo
		a.Within(func() { echo, err = neighbor.OpenEcho(t.Context(), nstest.Interface, netip.MustParseAddr(from)) })
		if err != nil {
			t.Fatal(err)
		}
		defer echo.Close()
		ping, err = echo.Ask(t.Context(), addrs(of...), within)
		if err != nil {
			t.Error(err)
		}
		return arp, ping
	}
	begun := time.Now()
	for _, pair := range [][]string{{"10.9.0.1", "10.9.0.77", "10.9.0.2"}, {"fd00:9::1", "fd00:9::77", "fd00:9::2"}} {
		if arp, ping := ask(pair[0], long, pair[1:]...); !arp || !ping {
			t.Errorf("%v: asked: %v, ping: %v", pair, arp, ping)
		}
		if arp, ping := ask(pair[0], short, pair[1]); arp || ping {
			t.Errorf("%v: asked: %v, ping: %v", pair, arp, ping)
		}
	}
	if took := time.Since(begun); took > 2*long {
		t.Errorf("the answers were waited for %s although they were there", took)
	}
	b.Port("down")
	if arp, ping := ask("10.9.0.1", short, "10.9.0.2"); arp || ping {
		t.Errorf("a host that is cut off answers: %v, %v", arp, ping)
	}
	b.Port("up")
	var echo *neighbor.Echo
	a.Within(func() {
		var err error
		if echo, err = neighbor.OpenEcho(t.Context(), nstest.Interface, netip.MustParseAddr("10.9.0.1")); err != nil {
			t.Fatal(err)
		}
	})
	defer echo.Close()
	a.IP("link", "set", nstest.Interface, "down")
	if got, err := echo.Ask(t.Context(), addrs("10.9.0.2"), short); got || err == nil {
		t.Errorf("an interface that is down carries echoes: %v, %v", got, err)
	}
	if _, err := w.Ask(t.Context(), addrs("10.9.0.1"), addrs("10.9.0.2"), short); err == nil {
		t.Error("an interface that is down carries questions")
	}
	a.IP("link", "set", nstest.Interface, "up")
	if !rendertest.Poll(20*time.Second, func() bool {
		arp, err := w.Ask(t.Context(), addrs("10.9.0.1"), addrs("10.9.0.2"), short)
		return arp && err == nil
	}) {
		t.Error("an interface that was down carries no questions")
	}
}

// TestAnnounce makes a neighbour that knew another owner send to this one.
func TestAnnounce(t *testing.T) {
	t.Parallel()
	net := nstest.New(t)
	a := net.Host("a", "10.9.0.1/24", "10.9.0.50/32", "fd00:9::1/64", "fd00:9::50/128")
	b := net.Host("b", "10.9.0.2/24", "fd00:9::2/64")
	w := open(t, a)
	for _, of := range []string{"10.9.0.50", "fd00:9::50"} {
		b.IP("neigh", "replace", of, "dev", nstest.Interface, "lladdr", "02:00:00:00:99:99", "nud", "stale")
	}
	if err := w.Announce(t.Context(), addrs("10.9.0.50", "fd00:9::50")); err != nil {
		t.Fatal(err)
	}
	if !rendertest.Poll(long, func() bool {
		return strings.Count(b.IP("neigh", "show", "dev", nstest.Interface), a.Hardware()) == 2
	}) {
		t.Errorf("the neighbour knows %s", b.IP("neigh", "show", "dev", nstest.Interface))
	}
}

func TestOpenNowhere(t *testing.T) {
	for _, name := range []string{"nowhere", "lo"} {
		if w, err := neighbor.Open(name); err == nil {
			t.Errorf("%s is open", name)
			_ = w.Close()
		}
	}
}
