package keepalived_test

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

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/rendertest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
)

// deadline bounds every wait of these tests.
const deadline = 10 * time.Second

// node is a network namespace with a real keepalived in it.
type node struct {
	t      *testing.T
	netns  string
	dir    string
	source [2]netip.Addr
	cmd    *exec.Cmd
}

// pair makes two nodes that share a link, and removes them when the test ends.
func pair(t *testing.T) (*node, *node) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("namespaces need root")
	}
	var nodes []*node
	for i := 1; i <= 2; i++ {
		n := &node{t: t, netns: fmt.Sprintf("rndka-%s-%d-%d", t.Name(), os.Getpid(), i), dir: t.TempDir()}
		copy(n.source[:], addrs(fmt.Sprintf("10.9.9.%d", i), fmt.Sprintf("fd00:9::%d", i)))
		n.run("ip", "netns", "add", n.netns)
		t.Cleanup(func() { n.run("ip", "netns", "del", n.netns) })
		nodes = append(nodes, n)
	}
	a, b := nodes[0], nodes[1]
	a.run("ip", "-n", a.netns, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", b.netns)
	for _, n := range nodes {
		n.run("ip", "-n", n.netns, "link", "set", "lo", "up")
		n.run("ip", "-n", n.netns, "link", "set", "eth0", "up")
		n.run("ip", "-n", n.netns, "addr", "add", n.source[0].String()+"/24", "dev", "eth0")
		n.run("ip", "-n", n.netns, "addr", "add", n.source[1].String()+"/64", "dev", "eth0", "nodad")
		n.gate("0")
		n.weight("0")
	}
	return a, b
}

func (n *node) run(args ...string) string {
	n.t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// gate writes the gate file.
func (n *node) gate(s string) {
	n.t.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, "gate"), []byte(s), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// weight writes the weight file of the only group.
func (n *node) weight(s string) {
	n.t.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, "0"), []byte(s), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// write renders the node's instances with a priority, peers and virtual IPs.
func (n *node) write(priority uint8, peer *node, vips ...string) {
	n.t.Helper()
	in := keepalived.Input{Interface: "eth0", Gate: filepath.Join(n.dir, "gate"), WeightDir: n.dir}
	for i, f := range []lb.Family{lb.IPv4, lb.IPv6} {
		one := keepalived.Instance{Family: f, VRID: 7, Priority: priority, Source: n.source[i], Anchor: anchors()[i]}
		if peer != nil {
			one.Peers = []netip.Addr{peer.source[i]}
		}
		for _, v := range addrs(vips...) {
			if lb.FamilyOf(v) == f {
				one.VIPs = append(one.VIPs, v)
			}
		}
		in.Instances = append(in.Instances, one)
	}
	res, err := keepalived.Render(in)
	if err != nil || len(res.Refused) > 0 {
		n.t.Fatal(err, res.Refused)
	}
	rendertest.Write(n.t, n.dir, res.Files)
}

func anchors() []netip.Addr { return addrs("169.254.7.1", "fe80::7:1") }

// start runs keepalived until the test ends.
func (n *node) start() {
	n.t.Helper()
	n.cmd = exec.Command("ip", "netns", "exec", n.netns,
		"keepalived", "--vrrp", "--dont-fork", "--no-syslog", "--log-console",
		"-f", filepath.Join(n.dir, keepalived.ConfigName),
		"-p", filepath.Join(n.dir, "pid"), "-r", filepath.Join(n.dir, "vrrp.pid"))
	var log strings.Builder
	n.cmd.Stdout, n.cmd.Stderr = &log, &log
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		n.stop()
		if n.t.Failed() {
			n.t.Logf("%s said:\n%s", n.netns, log.String())
		}
	})
}

// stop ends keepalived in an orderly way and waits for it; it may be called again.
func (n *node) stop() {
	n.t.Helper()
	if n.cmd.ProcessState != nil {
		return
	}
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Error(err)
	}
	if err := n.cmd.Wait(); err != nil {
		n.t.Error(err)
	}
}

// reload tells keepalived to read its configuration again.
func (n *node) reload() {
	n.t.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		n.t.Fatal(err)
	}
}

// holds reports whether all of the addresses are on the node's interface.
func (n *node) holds(as ...netip.Addr) bool {
	n.t.Helper()
	words := strings.Fields(n.run("ip", "-n", n.netns, "-br", "addr", "show", "eth0"))
	return !slices.ContainsFunc(as, func(a netip.Addr) bool {
		return !slices.Contains(words, netip.PrefixFrom(a, a.BitLen()).String())
	})
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if !rendertest.Poll(deadline, ok) {
		t.Fatalf("%s does not come", what)
	}
}

// never watches for a while that bad does not happen.
func never(t *testing.T, what string, bad func() bool) {
	t.Helper()
	if rendertest.Poll(time.Second, bad) {
		t.Fatal(what)
	}
}

// TestTakeover has the higher priority carry everything, the gate send it away and call it back, and a stop send it
// away again.
func TestTakeover(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	vips := []string{"10.9.9.100", "fd00:9::100"}
	all := append(anchors(), addrs(vips...)...)
	a.write(200, b, vips...)
	b.write(100, a, vips...)
	a.start()
	b.start()
	eventually(t, "the higher priority", func() bool { return a.holds(all...) && !b.holds(all[0]) && !b.holds(all[1]) })
	a.gate("1")
	eventually(t, "the takeover through the gate", func() bool { return b.holds(all...) && !a.holds(all[0]) })
	a.gate("0")
	eventually(t, "the way back", func() bool { return a.holds(all...) && !b.holds(all[0]) })
	a.weight("-127")
	eventually(t, "the takeover by weight", func() bool { return b.holds(all...) && !a.holds(all[0]) })
	b.weight("-127")
	eventually(t, "the way back to the first of two withheld", func() bool { return a.holds(all...) && !b.holds(all[0]) })
	a.stop()
	eventually(t, "the takeover from a node that stops", func() bool { return b.holds(all...) && !a.holds(all[0]) })
}

// TestRollout adds and removes a virtual IP on one node before the other, in both orders, and wants one master
// throughout.
func TestRollout(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	anchor, kept, extra := anchors()[0], addrs("10.9.9.100")[0], addrs("10.9.9.101")[0]
	a.write(200, b, "10.9.9.100")
	b.write(100, a, "10.9.9.100")
	a.start()
	b.start()
	eventually(t, "a master", func() bool { return a.holds(anchor) })
	for _, step := range []struct {
		n, peer *node
		prio    uint8
		vips    []string
	}{
		{a, b, 200, []string{"10.9.9.100", "10.9.9.101"}}, {b, a, 100, []string{"10.9.9.100", "10.9.9.101"}},
		{b, a, 100, []string{"10.9.9.100"}}, {a, b, 200, []string{"10.9.9.100"}},
	} {
		step.n.write(step.prio, step.peer, step.vips...)
		step.n.reload()
		never(t, "another master, or none", func() bool { return b.holds(anchor) || !a.holds(anchor, kept) })
		if step.n == a && a.holds(extra) != (len(step.vips) == 2) {
			t.Errorf("after %v the master holds %s: %v", step.vips, extra, a.holds(extra))
		}
	}
}

// TestFirstPeer has a lone node keep its addresses when the first peer comes, and when it goes.
func TestFirstPeer(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	all := append(anchors(), addrs("10.9.9.100", "fd00:9::100")...)
	a.write(200, nil, "10.9.9.100", "fd00:9::100")
	a.start()
	eventually(t, "a master", func() bool { return a.holds(all...) })
	a.write(200, b, "10.9.9.100", "fd00:9::100")
	a.reload()
	b.write(100, a, "10.9.9.100", "fd00:9::100")
	b.start()
	never(t, "the addresses moved when a peer came", func() bool { return !a.holds(all...) || b.holds(all[0]) })
	b.stop()
	a.write(200, nil, "10.9.9.100", "fd00:9::100")
	a.reload()
	never(t, "the addresses moved when the peer went", func() bool { return !a.holds(all...) })
}
