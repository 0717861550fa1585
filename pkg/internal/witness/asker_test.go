package witness_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/nstest"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/rendertest"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/witness"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

func addrs(texts ...string) []netip.Addr {
	as := []netip.Addr{}
	for _, s := range texts {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

func TestAsker(t *testing.T) {
	t.Parallel()
	net := nstest.New(t)
	a := net.Host("a", "10.9.0.1/24", "fd00:9::1/64")
	gw := net.Host("gw", "10.9.0.254/24", "fd00:9::fe/64", "fe80::fe/64")
	both := addrs("10.9.0.1", "fd00:9::1")
	for name, c := range map[string]struct {
		senders, of []netip.Addr
		want        bool
	}{
		"one of two":                {both, addrs("10.9.0.253", "10.9.0.254"), true},
		"only IPv6 answers":         {both, addrs("10.9.0.253", "fd00:9::fe"), true},
		"link-local":                {both, addrs("fe80::fe"), true},
		"nobody":                    {both, addrs("10.9.0.253", "fd00:9::fd"), false},
		"a family without a sender": {both[:1], addrs("fd00:9::fe"), false},
	} {
		for _, mode := range []nodeconfig.WitnessMode{nodeconfig.WitnessARP, nodeconfig.WitnessPing} {
			t.Run(name+" by "+string(mode), func(t *testing.T) {
				a.Within(func() {
					asker := witness.Asker{Mode: mode, Interface: nstest.Interface, Senders: c.senders}
					defer asker.Close()
					var got bool
					var err error
					within := 300 * time.Millisecond
					// A first ping waits for the neighbour, on a busy machine too long.
					ok := rendertest.Poll(5*time.Second, func() bool {
						got, err = asker.Ask(t.Context(), c.of, within)
						return got == c.want
					})
					if !ok || err != nil {
						t.Errorf("answered: %v, %v", got, err)
					}
				})
			})
		}
	}
	gw.Port("down")
	a.Within(func() {
		asker := witness.Asker{Mode: nodeconfig.WitnessARP, Interface: nstest.Interface, Senders: both}
		defer asker.Close()
		if got, err := asker.Ask(t.Context(), addrs("10.9.0.254"), 100*time.Millisecond); got || err != nil {
			t.Errorf("a witness that is cut off answers: %v, %v", got, err)
		}
	})
}

// TestAskerReopens asks on an interface that was taken away and is there again.
func TestAskerReopens(t *testing.T) {
	t.Parallel()
	net := nstest.New(t)
	a := net.Host("a", "10.9.0.1/24")
	net.Host("gw", "10.9.0.254/24")
	asker := witness.Asker{Mode: nodeconfig.WitnessARP, Interface: nstest.Interface, Senders: addrs("10.9.0.1")}
	defer asker.Close()
	ask := func() (got bool, err error) {
		a.Within(func() { got, err = asker.Ask(t.Context(), addrs("10.9.0.254"), time.Second) })
		return got, err
	}
	if got, err := ask(); !got || err != nil {
		t.Fatal(got, err)
	}
	a.IP("link", "set", nstest.Interface, "name", "away")
	a.IP("link", "set", "away", "down")
	if got, err := ask(); got || err == nil {
		t.Errorf("an interface that is down: %v, %v", got, err)
	}
	a.IP("link", "set", "away", "name", nstest.Interface, "up")
	if !rendertest.Poll(10*time.Second, func() bool { got, err := ask(); return got && err == nil }) {
		t.Error("the interface is not opened again")
	}
}

func TestGateways(t *testing.T) {
	t.Parallel()
	net := nstest.New(t)
	a := net.Host("a", "10.9.0.1/24", "fd00:9::1/64")
	look := func(name string) (got []netip.Addr, err error) {
		a.Within(func() { got, err = witness.Gateways(name) })
		return got, err
	}
	want := func(texts ...string) {
		t.Helper()
		got, err := look(nstest.Interface)
		if err != nil || len(got) != len(texts) {
			t.Fatalf("gateways %v, %v, want %v", got, err, texts)
		}
		for i, w := range addrs(texts...) {
			if got[i] != w {
				t.Errorf("gateways %v, want %v", got, texts)
			}
		}
	}
	want()
	a.IP("route", "add", "10.77.0.0/16", "via", "10.9.0.9")
	want()
	a.IP("route", "add", "default", "via", "10.9.0.254")
	want("10.9.0.254")
	a.IP("-6", "route", "add", "default", "via", "fe80::1", "dev", nstest.Interface)
	want("10.9.0.254", "fe80::1")
	a.IP("route", "replace", "default", "nexthop", "via", "10.9.0.253", "nexthop", "via", "10.9.0.252")
	want("10.9.0.252", "10.9.0.253", "fe80::1")
	a.IP("-4", "route", "replace", "default", "via", "inet6", "fd00:9::fe")
	want("fd00:9::fe", "fe80::1")
	if got, err := look("lo"); err != nil || len(got) != 0 {
		t.Errorf("lo has the gateways %v, %v", got, err)
	}
	if _, err := look("nowhere"); err == nil {
		t.Error("an interface that is not there has gateways")
	}
}

// TestRoute goes on with the gateways of before where they can't be read.
func TestRoute(t *testing.T) {
	failed := 0
	r := witness.Route{Interface: "nowhere", Failed: func(error) { failed++ }}
	if got := r.Gateways(); len(got) != 0 || failed != 1 {
		t.Errorf("gateways %v, %d failures", got, failed)
	}
	r.Gateways()
	if failed != 1 {
		t.Error("it looks again at once")
	}
}
