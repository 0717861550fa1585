package agent_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// port sets the bridge's end of a host's cable up or down.
func (l *lab) port(name, state string) {
	l.t.Helper()
	l.in("f", "link", "set", "p-"+name, state)
}

// finding waits until the node reports a finding with a code and words in it, or none with that code.
func (n *node) finding(code lb.Code, words string, want bool) nodeconfig.NodeFinding {
	n.lab.t.Helper()
	var found nodeconfig.NodeFinding
	n.lab.eventually(20*time.Second, func() error {
		all := n.status().Findings
		i := slices.IndexFunc(all, func(f nodeconfig.NodeFinding) bool {
			return f.Code == code && strings.Contains(f.Message, words)
		})
		if i >= 0 {
			found = all[i]
		}
		if i >= 0 != want {
			return fmt.Errorf("%s: %s with %q is there: %v, findings: %v", n.name, code, words, !want, all)
		}
		return nil
	})
	return found
}

// conflicts waits until the node reports a conflict that is accepted, or none of that kind.
func (n *node) conflicts(kind nodeconfig.ConflictKind, accept func(nodeconfig.Conflict) bool) {
	n.lab.t.Helper()
	n.lab.eventually(30*time.Second, func() error {
		some := slices.DeleteFunc(n.status().Conflicts, func(c nodeconfig.Conflict) bool { return c.Kind != kind })
		if accept == nil && len(some) > 0 || accept != nil && !slices.ContainsFunc(some, accept) {
			return fmt.Errorf("%s reports %s conflicts %+v", n.name, kind, some)
		}
		return nil
	})
}

// TestWitness has a node that is cut off give its addresses up, and take them back when its witness is there again,
// however it ended and began meanwhile.
func TestWitness(t *testing.T) {
	l, c := serving(t)
	c.Fleet.Revision++
	c.Fleet.Witness = nodeconfig.Witness{Mode: nodeconfig.WitnessARP, Addresses: []netip.Addr{backend.Addr()}}
	l.want(c)
	n := l.nodes[0]
	l.eventually(10*time.Second, func() error {
		for _, n := range l.nodes {
			if data, _ := os.ReadFile(filepath.Join(n.dir, "state", "witness.json")); !strings.Contains(string(data), "There") {
				return fmt.Errorf("%s has not heard of the witness: %s", n.name, data)
			}
		}
		return nil
	})
	l.port(n.name, "down")
	s := n.shares(nodeconfig.ShareUnfit)
	if !strings.Contains(s.Share.Reason, "the witness 10.77.0.254 does not answer") {
		t.Errorf("unfit for %q", s.Share.Reason)
	}
	l.movesAway(vip(1), n)
	l.answers(at(1, 80))
	n.kill()
	n.start()
	time.Sleep(time.Second) // enough for an agent that has forgotten to serve
	if n.has(vip(1)) {
		t.Error("a node that is cut off takes its address again after a new start")
	}
	n.shares(nodeconfig.ShareUnfit)
	l.port(n.name, "up")
	n.shares(nodeconfig.ShareServing)
	l.heldBy(vip(1), n)
	l.answers(at(1, 80))
}

// TestWitnessMistaken is one that has never answered, or no gateway at all: nobody gives anything up, and the node says
// so.
func TestWitnessMistaken(t *testing.T) {
	l := newLab(t, 1)
	n := l.nodes[0]
	c := l.config(1, load(1, "TCP", 80))
	c.Fleet.Witness = nodeconfig.Witness{Mode: nodeconfig.WitnessPing, Addresses: []netip.Addr{netip.MustParseAddr("10.77.9.9")}}
	l.want(c)
	n.start()
	n.finding(lb.CodeNodeRefused, "10.77.9.9 has never answered", true)
	l.answers(at(1, 80))
	c.Fleet.Witness = nodeconfig.Witness{Mode: nodeconfig.WitnessARP}
	c.Fleet.Revision++
	l.want(c)
	n.finding(lb.CodeNodeRefused, "eth0 has no default gateway", true)
	l.in(n.name, "route", "add", "default", "via", backend.Addr().String())
	n.finding(lb.CodeNodeRefused, "gateway", false)
	c.Fleet.Witness = nodeconfig.Witness{}
	c.Fleet.Revision++
	l.port(n.name, "down")
	n.shares(nodeconfig.ShareUnfit)
	l.want(c) // nobody asks any more
	n.shares(nodeconfig.ShareServing)
}

// TestForeignOwner has a machine of no fleet answer for an address before it is announced: it is not, and its neighbour
// is.
func TestForeignOwner(t *testing.T) {
	l, _ := serving(t)
	l.in("c", "addr", "add", vip(9).String()+"/32", "dev", "eth0")
	all := []lb.LoadBalancer{load(1, "TCP", 80), load(2, "TCP", 80), load(3, "TCP", 80), load(9, "TCP", 80), load(10, "TCP", 80)}
	l.want(l.config(2, all...))
	for _, n := range l.nodes {
		f := n.finding(lb.CodeForeignOwner, vip(9).String()+" is answered by ", true)
		if f.Key.Name != "web009" {
			t.Errorf("the finding is on %s", f.Key)
		}
		n.runs(2)
	}
	l.answers(at(10, 80))
	l.answers(at(1, 80))
	if have := l.holders(vip(9)); len(have) > 0 {
		t.Errorf("%s announces it", have[0].name)
	}
	l.in("c", "addr", "del", vip(9).String()+"/32", "dev", "eth0")
	l.want(l.config(3, all...))
	l.answers(at(9, 80))
	for _, n := range l.nodes {
		n.finding(lb.CodeForeignOwner, "", false)
	}
}

// TestProxy has a router answer ARP for everybody: it owns nothing.
func TestProxy(t *testing.T) {
	l, _ := serving(t)
	l.in("c", "route", "add", "local", "10.77.0.0/17", "dev", "lo") // such a one answers probes, too
	l.want(l.config(2, load(1, "TCP", 80), load(2, "TCP", 80), load(3, "TCP", 80), load(4, "TCP", 80)))
	l.heldBy(vip(4), l.nodes[0])
	for _, n := range l.nodes {
		n.runs(2)
		n.finding(lb.CodeForeignOwner, "", false)
		n.conflicts(nodeconfig.ConflictOwner, nil)
	}
}

// TestConflictOwner has a machine take an address that a node holds.
func TestConflictOwner(t *testing.T) {
	l, _ := serving(t)
	n := l.nodes[0]
	out, err := exec.Command("ip", "-n", l.prefix+"c", "-br", "link", "show", "eth0").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mac := strings.Fields(string(out))[2]
	l.in("c", "addr", "add", vip(1).String()+"/32", "dev", "eth0")
	n.conflicts(nodeconfig.ConflictOwner, func(c nodeconfig.Conflict) bool {
		return c.Address == vip(1) && c.Other == mac && c.Group == 0 && c.Family == lb.IPv4 && !c.Since.IsZero()
	})
	if !n.has(vip(1)) {
		t.Error("the node gave the address up")
	}
	l.in("c", "addr", "del", vip(1).String()+"/32", "dev", "eth0")
	n.conflicts(nodeconfig.ConflictOwner, nil)
	for _, other := range l.nodes[1:] {
		other.conflicts(nodeconfig.ConflictOwner, nil)
	}
}

// TestConflictSkew has a node with another anchor in a group. Both ends say so, and that they have the address both.
func TestConflictSkew(t *testing.T) {
	l, c := serving(t)
	good, err := os.ReadFile(filepath.Join(l.nodes[1].dir, "wanted.json"))
	if err != nil {
		t.Fatal(err)
	}
	bad := c
	bad.Fleet.Groups = slices.Clone(c.Fleet.Groups)
	bad.Fleet.Groups[0].Anchors = []netip.Addr{netip.MustParseAddr("169.254.77.99")}
	bad.Fleet.Revision++
	l.want(bad, l.nodes[1])
	for i, n := range l.nodes[:2] {
		other := l.nodes[1-i].addr.String()
		n.conflicts(nodeconfig.ConflictSkew, func(c nodeconfig.Conflict) bool {
			return c.Group == 0 && c.Family == lb.IPv4 && c.Other == other
		})
		n.conflicts(nodeconfig.ConflictOwner, func(c nodeconfig.Conflict) bool { return c.Address == vip(1) })
	}
	if err := os.WriteFile(filepath.Join(l.nodes[1].dir, "wanted.json"), good, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, n := range l.nodes[:2] {
		n.conflicts(nodeconfig.ConflictSkew, nil)
		n.conflicts(nodeconfig.ConflictOwner, nil)
	}
	l.heldBy(vip(1), l.nodes[0])
}

// TestConflictVRID has somebody else's router with one of our VRIDs on the segment.
func TestConflictVRID(t *testing.T) {
	l, _ := serving(t)
	dir := t.TempDir()
	conf := "vrrp_instance theirs {\n state MASTER\n interface eth0\n virtual_router_id 101\n priority 1\n advert_int 1\n" +
		" virtual_ipaddress { 10.77.200.1/32 }\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs := exec.Command("ip", "netns", "exec", l.prefix+"c", "keepalived", "--vrrp", "--dont-fork", "--no-syslog",
		"-f", filepath.Join(dir, "conf"), "-p", filepath.Join(dir, "pid"), "-r", filepath.Join(dir, "vrrp"))
	if err := theirs.Start(); err != nil {
		t.Fatal(err)
	}
	end := func() {
		_ = theirs.Process.Signal(syscall.SIGTERM)
		_ = theirs.Wait()
	}
	t.Cleanup(func() {
		if theirs.ProcessState == nil {
			end()
		}
	})
	for _, n := range l.nodes {
		n.conflicts(nodeconfig.ConflictVRID, func(c nodeconfig.Conflict) bool {
			return c.Group == 1 && c.Family == lb.IPv4 && c.Other == "10.77.0.200" && !c.Address.IsValid()
		})
	}
	l.heldBy(vip(2), l.nodes[1])
	end()
	for _, n := range l.nodes {
		n.conflicts(nodeconfig.ConflictVRID, nil)
	}
}

// TestHealed has a client on the cut-off side learn where the address is as soon as the partition is over.
func TestHealed(t *testing.T) {
	l, _ := serving(t)
	// The client is alone with lb1, which has its address; the others take it over on their side.
	for _, n := range l.nodes[1:] {
		l.port(n.name, "down")
	}
	l.answers(at(2, 80))
	for _, n := range l.nodes[1:] {
		l.port(n.name, "up")
	}
	l.heldBy(vip(2), l.nodes[1])
	healed := time.Now()
	l.answers(at(2, 80))
	t.Logf("answered %s after there is one owner", time.Since(healed))
}
