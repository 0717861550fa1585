package fabric

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// build makes a small network of its own name, removed with the test.
func build(t *testing.T) Plan {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: no network namespaces")
	}
	name := fmt.Sprintf("f%d", os.Getpid())
	p, err := NewPlan(name, Size{LBNodes: 2, Workers: 1, Clients: 1})
	if err != nil {
		t.Fatal(err)
	}
	before := hostLinks(t)
	t.Cleanup(func() {
		if err := Remove(name); err != nil {
			t.Error(err)
		}
		if left, _ := netspace.List(Prefix(name)); len(left) > 0 {
			t.Errorf("namespaces left behind: %v", left)
		}
	})
	if err := Build(p); err != nil {
		t.Fatal(err)
	}
	if after := hostLinks(t); after != before {
		t.Errorf("the host's network changed:\n%s\n%s", before, after)
	}
	return p
}

// hostLinks names what a lab must not change: the host's own links, addresses and routes. Other tests' veth pairs
// never live in the host's namespace, so equal text is a fair demand.
func hostLinks(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, what := range []string{"link", "address", "route"} {
		out, err := exec.Command("ip", "-br", what).Output()
		if err != nil {
			t.Fatal(err)
		}
		all.Write(out)
	}
	return all.String()
}

// reaches says whether a TCP connection from one machine to the address comes about (or is refused: somebody is
// there).
func reaches(t *testing.T, space string, to netip.Addr) bool {
	t.Helper()
	d, err := netspace.NewDialer(netspace.Path(space))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(to.String(), "9"))
	if err == nil {
		conn.Close()
	}
	return err == nil || strings.Contains(err.Error(), "refused")
}

func expectReach(t *testing.T, when, space string, to netip.Addr, want bool) {
	t.Helper()
	if got := reaches(t, space, to); got != want {
		t.Errorf("%s: %s reaches %s: %v, want %v", when, space, to, got, want)
	}
}

func TestNetworkAndFaults(t *testing.T) {
	p := build(t)
	lb1, lb2, client := p.Nodes[0], p.Nodes[1], p.Nodes[3]
	for _, from := range p.Nodes {
		for _, to := range p.Nodes {
			expectReach(t, "at first", from.Namespace, to.Address, true)
			expectReach(t, "at first", from.Namespace, to.Address6, true)
		}
		expectReach(t, "at first", from.Namespace, p.Address, true)
	}

	if err := Cut(p, []string{"lb1"}, []string{"lb2", API}); err != nil {
		t.Fatal(err)
	}
	expectReach(t, "cut", lb1.Namespace, lb2.Address, false)
	expectReach(t, "cut", lb2.Namespace, lb1.Address6, false)
	expectReach(t, "cut", lb1.Namespace, p.Address, false)
	expectReach(t, "cut", lb1.Namespace, client.Address, true)
	expectReach(t, "cut", lb2.Namespace, p.Address, true)
	want := []Pair{{"api", "lb1"}, {"lb1", "lb2"}}
	cuts, err := Cuts(p)
	if diff := cmp.Diff(want, cuts); err != nil || diff != "" {
		t.Errorf("cuts (-want +got): %v\n%s", err, diff)
	}
	if err := Cut(p, []string{"lb1"}, []string{"lb2"}); err != nil {
		t.Errorf("the same cut again: %v", err)
	}
	if err := Mend(p, append(want, Pair{"client", "lb1"})); err != nil {
		t.Fatal(err)
	}
	expectReach(t, "mended", lb1.Namespace, lb2.Address, true)
	expectReach(t, "mended", lb1.Namespace, p.Address, true)
	if err := Cut(p, []string{"lb1"}, []string{"lb9"}); err == nil {
		t.Error("a cut from nobody: no error")
	}

	if err := LinkDown(lb1); err != nil {
		t.Fatal(err)
	}
	if up, _, err := LinkState(lb1); err != nil || up {
		t.Errorf("link state %v, %v", up, err)
	}
	expectReach(t, "link down", client.Namespace, lb1.Address, false)
	if err := LinkUp(p, lb1); err != nil {
		t.Fatal(err)
	}
	// The client's neighbour entry has failed meanwhile and is resolved anew within a second or so.
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if reaches(t, client.Namespace, lb1.Address) {
			break
		}
	}
	expectReach(t, "link up", client.Namespace, lb1.Address, true)
	expectReach(t, "link up", client.Namespace, lb1.Address6, true)
}

func TestLinkStateShowsVirtualAddresses(t *testing.T) {
	p := build(t)
	lb1 := p.Nodes[0]
	for _, a := range []string{"10.88.100.1/32", "fd00:88::100:1/128"} {
		out, err := netspace.Command(netspace.Path(lb1.Namespace), "ip", "address", "add", a, "dev", "eth0").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	up, extra, err := LinkState(lb1)
	want := []netip.Addr{netip.MustParseAddr("10.88.100.1"), netip.MustParseAddr("fd00:88::100:1")}
	if diff := cmp.Diff(want, extra, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); err != nil || !up || diff != "" {
		t.Errorf("up %v, %v; addresses (-want +got):\n%s", up, err, diff)
	}
}

func TestPodSpace(t *testing.T) {
	p := build(t)
	worker, lb1, client := p.Nodes[2], p.Nodes[0], p.Nodes[3]
	a4, a6 := netip.MustParseAddr("10.244.101.7"), netip.MustParseAddr("fd00:244:0:65::7")
	pod, err := NewPodSpace(worker, "some-uid", a4, a6)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []Node{worker, lb1, client} {
		expectReach(t, "pod", from.Namespace, a4, true)
		expectReach(t, "pod", from.Namespace, a6, true)
	}
	if err := pod.Remove(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	expectReach(t, "pod removed", lb1.Namespace, a4, false)
	if took := time.Since(begun); took > 300*time.Millisecond {
		t.Errorf("an address without a pod took %s to fail: it must be refused, not swallowed", took)
	}
	again, err := NewPodSpace(worker, "some-uid", a4, a6)
	if err != nil {
		t.Fatalf("the same pod again: %v", err)
	}
	if err := again.Remove(); err != nil {
		t.Error(err)
	}
}
