package failover

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// noticed is how long it may take until a conflict is on the user's object: each held address is looked at every 10 s,
// and what two nodes say must have lasted.
const noticed = 40 * time.Second

// statusHas waits until the status of a load balancer contains every word, and returns it.
func statusHas(t *testing.T, name string, words ...string) string {
	t.Helper()
	var status string
	what := fmt.Sprintf("the status of %s to contain %q", name, words)
	must(t, rig.Wait(t.Context(), noticed, what, func() (bool, string) {
		data, err := shared.Data(t.Context(), "default", name)
		status = data["status"]
		lacks := slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(status, w) })
		return err == nil && !lacks, fmt.Sprintf("it is %q, %v", status, err)
	}))
	return status
}

// told waits until there is an Event that contains every word, in its reason or its text.
func told(t *testing.T, words ...string) {
	t.Helper()
	must(t, rig.Wait(t.Context(), noticed, fmt.Sprintf("an Event about %q", words), func() (bool, string) {
		events, err := shared.Client.EventsV1().Events("").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		var warnings []string
		for _, e := range events.Items {
			text := e.Reason + ": " + e.Note
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
				return true, ""
			}
			if e.Type == "Warning" {
				warnings = append(warnings, text)
			}
		}
		return false, fmt.Sprintf("there are %q", warnings)
	}))
}

// squat gives a worker an address, as somebody does who did not ask, until the returned function takes it away.
func squat(t *testing.T, address string) (leave func()) {
	t.Helper()
	length := netip.MustParseAddr(address).BitLen()
	change := func(ctx context.Context, verb string, flags ...string) {
		_, err := shared.Lab.Output(ctx, "w1", append([]string{
			"ip", "address", verb, fmt.Sprintf("%s/%d", address, length), "dev", "eth0",
		}, flags...)...)
		must(t, err)
	}
	if length == 128 {
		change(t.Context(), "add", "nodad")
	} else {
		change(t.Context(), "add")
	}
	gone := false
	leave = func() {
		if !gone {
			gone = true
			change(context.WithoutCancel(t.Context()), "del")
		}
	}
	t.Cleanup(leave)
	return leave
}

// TestForeignOwnerFirst: an address that another machine has is not announced, the object says whose it is, and once
// that machine has let go it is served. IPv4 is asked about by ARP, IPv6 by neighbour solicitations.
func TestForeignOwnerFirst(t *testing.T) {
	for name, ip := range map[string]string{"IPv4": "10.88.98.77", "IPv6": "fd00:88::100:4d"} {
		t.Run(name, func(t *testing.T) {
			object := "taken-" + strings.ToLower(name)
			leave := squat(t, ip)
			apply(t, loadBalancer(object, "target-service-name: coffee-svc", "ip-families: "+name,
				fmt.Sprintf("requested-ip: %q", ip)))
			status := statusHas(t, object, "LB0406", ip)
			if !strings.Contains(status, hardware(t, "w1")) {
				t.Errorf("status %q does not say whose it is", status)
			}
			warned(t, object, "LB0406", ip)
			counted(t, backend.DisputeForeignOwner, backend.CauseForeign)
			for _, n := range shared.LBNodes() {
				holds(t, n, ip, false, time.Second)
			}
			leave()
			_, err := shared.WaitServing(t.Context(), "default", object)
			must(t, err)
			holder(t, ip)
		})
	}
}

// TestForeignOwnerLater: a machine that takes an address which is served is named on the object, and forgotten when it is
// gone.
func TestForeignOwnerLater(t *testing.T) {
	ip := serve(t, "stolen", "target-service-name: coffee-svc")
	leave := squat(t, ip)
	statusHas(t, "stolen", "LB0406", hardware(t, "w1"))
	leave()
	undisputed(t, "stolen")
}

// hardware returns the hardware address of a machine's link. (/sys shows the host's network.)
func hardware(t *testing.T, node string) string {
	t.Helper()
	out, err := shared.Lab.Output(t.Context(), node, "ip", "-brief", "link", "show", "eth0")
	must(t, err)
	fields := strings.Fields(string(out))
	if len(fields) < 3 {
		t.Fatalf("the link of %s: %q", node, out)
	}
	return fields[2]
}

// TestTwoOwners: load-balancer nodes that do not hear each other, but are heard by the controller, each have the address.
// The object says so, with the cause, and has one owner again when the network is mended.
func TestTwoOwners(t *testing.T) {
	ip := serve(t, "torn", "target-service-name: coffee-svc")
	alone := holder(t, ip)
	others := slices.DeleteFunc(shared.LBNodes(), func(n string) bool { return n == alone })
	t.Cleanup(func() {
		must(t, shared.Lab.Heal(alone))
		mended(t)
	})
	must(t, shared.Lab.Cut(alone, others...))
	statusHas(t, "torn", "LB0404", ip, "partition", alone)
	warned(t, "torn", "LB0404", ip, "partition", alone)
	counted(t, backend.DisputeTwoOwners, backend.CausePartition)
	must(t, shared.Lab.Heal(alone))
	undisputed(t, "torn")
}

// TestForeignVRID: a router that is none of ours and uses one of our virtual router identifiers is named, and disturbs
// nobody. Where an address has two owners for whatever reason, the router is named as what may be the cause.
func TestForeignVRID(t *testing.T) {
	ip := serve(t, "crowded", "target-service-name: coffee-svc")
	fleet, err := shared.Fleet(t.Context())
	must(t, err)
	running := probe(t, ip)
	stranger := startRouter(t, "w2", fleet.Groups[groupOf(t, ip)].VRID)
	told(t, "ForeignVRID", stranger)
	var heard bool
	for _, n := range shared.LBNodes() {
		s, err := shared.NodeStatus(t.Context(), n)
		must(t, err)
		heard = heard || slices.ContainsFunc(s.Conflicts, func(c nodeconfig.Conflict) bool {
			return c.Kind == nodeconfig.ConflictVRID && c.Other == stranger
		})
	}
	if !heard {
		t.Errorf("no node reports %s", stranger)
	}
	lossless(t, running.Stop())

	alone := holder(t, ip)
	t.Cleanup(func() {
		must(t, shared.Lab.Heal(alone))
		mended(t)
	})
	must(t, shared.Lab.Cut(alone, slices.DeleteFunc(shared.LBNodes(), func(n string) bool { return n == alone })...))
	statusHas(t, "crowded", "LB0404", ip, "foreign VRID", stranger)
	warned(t, "crowded", "LB0404", ip, "foreign VRID", stranger)
	counted(t, backend.DisputeTwoOwners, backend.CauseForeignVRID)
	must(t, shared.Lab.Heal(alone))
	undisputed(t, "crowded")
}

// groupOf returns the VRRP group that carries an address.
func groupOf(t *testing.T, address string) int {
	t.Helper()
	all, err := shared.Client.CoreV1().ConfigMaps(rig.SystemNamespace).List(t.Context(), metav1.ListOptions{
		LabelSelector: nodeconfig.LabelApp + "=" + nodeconfig.AppConfig,
	})
	must(t, err)
	for _, e := range view.DecodeDocuments(all.Items).Config.LoadBalancers() {
		if slices.Contains(e.VIPs, netip.MustParseAddr(address)) {
			return e.Group
		}
	}
	t.Fatalf("no group carries %s", address)
	return 0
}

// startRouter runs a keepalived in a machine that is no load-balancer node, and returns the address it speaks from.
func startRouter(t *testing.T, node string, vrid uint8) string {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`global_defs {
  vrrp_version 3
}
vrrp_instance stranger {
  state MASTER
  interface eth0
  virtual_router_id %d
  priority 100
  advert_int 0.1
  virtual_ipaddress {
    169.254.77.77/32
  }
}
`, vrid)
	must(t, os.WriteFile(filepath.Join(dir, "keepalived.conf"), []byte(config), 0o600))
	cmd, err := shared.Lab.Command(node, "keepalived", "--dont-fork", "--vrrp", "--no-syslog", "--log-console",
		"--use-file", filepath.Join(dir, "keepalived.conf"), "--pid", filepath.Join(dir, "pid"),
		"--vrrp_pid", filepath.Join(dir, "vrrp.pid"))
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		must(t, cmd.Process.Signal(os.Interrupt))
		_ = cmd.Wait()
	})
	n, err := shared.Lab.Node(node)
	must(t, err)
	return n.Address.String()
}

// TestWitness: with a witness, a node that is cut off gives its addresses up and does not become a second owner; its
// share comes back when it is.
func TestWitness(t *testing.T) {
	ctx := t.Context()
	t.Cleanup(func() {
		must(t, shared.Lab.HealAll(context.WithoutCancel(ctx)))
		must(t, shared.Configure(context.WithoutCancel(ctx), ""))
		mended(t)
	})
	for _, mode := range []nodeconfig.WitnessMode{nodeconfig.WitnessARP, nodeconfig.WitnessPing} {
		t.Run(string(mode), func(t *testing.T) {
			must(t, shared.Configure(t.Context(), fmt.Sprintf("{witness: {mode: %s}}", mode)))
			must(t, rig.Wait(t.Context(), time.Minute, "the fleet to have the witness", func() (bool, string) {
				fleet, err := shared.Fleet(t.Context())
				return err == nil && fleet.Witness.Mode == mode, fmt.Sprintf("%q, %v", fleet.Witness.Mode, err)
			}))
			mended(t)
			checkWitness(t, "proven-by-"+string(mode))
		})
	}
}

func checkWitness(t *testing.T, name string) {
	ip := serve(t, name, "target-service-name: coffee-svc")
	settled(t)
	cut := holder(t, ip)
	running := probe(t, ip)
	must(t, shared.Lab.Partition(cut))
	holds(t, cut, ip, false, failoverBound)
	next := holder(t, ip)
	// While it is alone nothing comes back to it.
	time.Sleep(3 * time.Second)
	holds(t, cut, ip, false, time.Second)
	must(t, shared.Lab.Heal(cut))
	mended(t)
	report := running.Stop()
	tookOver(t, report)
	if now := holder(t, ip); now != cut || next == cut {
		t.Errorf("%s has the address, its home is %s, which handed it to %s", now, cut, next)
	}
}
