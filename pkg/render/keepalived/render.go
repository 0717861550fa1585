package keepalived

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// gateName is what the configuration calls the gate file.
const gateName = "gate"

// preemptDelay is how long, in seconds, a node of higher priority waits before it takes over from a lower one. It keeps
// a link that flaps from moving addresses at its pace even where no daemon lives; the hold time that users choose is
// the daemon's, by the weights, for it would delay every drain too (docs/design/failover.md, 2).
const preemptDelay = "1"

// weightName is what the configuration calls the weight file of a group.
func weightName(group int) string { return "weight_" + strconv.Itoa(group) }

// InstanceName returns the name of an instance in keepalived's configuration and log, such as "lb_0_ipv4".
func InstanceName(group int, family lb.Family) string {
	return "lb_" + strconv.Itoa(group) + "_" + strings.ToLower(string(family))
}

// Render returns the configuration. It fails on input that keepalived would refuse or misunderstand: the instances are
// the controller's work, so a fault among them is nobody's finding. Virtual IPs are the users'; one that no instance
// can carry is refused and the others are rendered.
func Render(in Input) (Result, error) {
	in = withDefaults(in)
	if err := check(in); err != nil {
		return Result{}, fmt.Errorf("render keepalived: %w", err)
	}
	refused := refuse(in.Instances)
	var t render.Text
	t.Line("# Written by lb-daemon; changes are lost.")
	global(&t, in)
	for _, i := range in.Instances {
		t.Line()
		instance(&t, in, i)
	}
	files, err := render.NewFiles(render.File{Path: ConfigName, Data: t.Bytes()})
	return Result{Files: files, Refused: refused}, err
}

// withDefaults returns a sorted copy with the zero values replaced.
func withDefaults(in Input) Input {
	in.Version = cmp.Or(in.Version, Oldest())
	in.AdvertInterval = cmp.Or(in.AdvertInterval, DefaultAdvertInterval)
	in.Instances = slices.Clone(in.Instances)
	for i := range in.Instances {
		in.Instances[i].Peers = sorted(in.Instances[i].Peers)
		in.Instances[i].VIPs = sorted(in.Instances[i].VIPs)
	}
	slices.SortFunc(in.Instances, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Family, b.Family))
	})
	return in
}

func sorted(as []netip.Addr) []netip.Addr {
	as = slices.Clone(as)
	slices.SortFunc(as, netip.Addr.Compare)
	return slices.Compact(as)
}

func global(t *render.Text, in Input) {
	t.Block("global_defs", func() {
		// Without a router_id keepalived asks the resolver for its host's name at every start and reload, and waits for
		// an answer while it sends no adverts. It is only a label of alerts that are never sent.
		t.Line("router_id kubectl-lb")
		t.Line("vrrp_version 3")
		t.Line("vrrp_check_unicast_src")
		t.Line("enable_script_security")
		// No reload_check_config: the daemon has just had a keepalived read the very same bytes, and this one would do so
		// once more while the new address waits (45 ms on a busy node).
		// -1 leaves the scheduling to the daemon, which starts keepalived with a priority of its own: what keepalived
		// sets itself it drops for the time of each reload.
		t.Line("max_auto_priority -1")
		// Two bursts a second apart reach a switch that lost the first; the refresh mends a forwarding table that
		// forgot. A master that hears a lower one answers with another burst, for clients may follow the other.
		t.Line("vrrp_garp_master_delay 1")
		t.Line("vrrp_garp_master_repeat 2")
		t.Line("vrrp_garp_master_refresh 60")
		t.Line("vrrp_garp_master_refresh_repeat 1")
		t.Line("vrrp_garp_lower_prio_delay 1")
		t.Line("vrrp_garp_lower_prio_repeat 2")
		t.Line("vrrp_higher_prio_send_advert true")
	})
	t.Line()
	t.Block("track_file "+gateName, func() {
		t.Line("file", `"`+in.Gate+`"`)
		t.Line("weight 0")
	})
	for n, i := range in.Instances {
		if n > 0 && in.Instances[n-1].Group == i.Group {
			continue // both families of a group move together
		}
		t.Line()
		t.Block("track_file "+weightName(i.Group), func() {
			t.Line("file", `"`+path.Join(in.WeightDir, strconv.Itoa(i.Group))+`"`)
			t.Line("weight 1")
		})
	}
}

func instance(t *render.Text, in Input, i Instance) {
	t.Block("vrrp_instance "+InstanceName(i.Group, i.Family), func() {
		// Everyone starts as BACKUP: preempt_delay works only so, and a restart must not grab.
		t.Line("state BACKUP")
		t.Line("interface", in.Interface)
		t.Line("virtual_router_id", strconv.Itoa(int(i.VRID)))
		t.Line("priority", strconv.Itoa(int(i.Priority)))
		t.Line("advert_int", seconds(in.AdvertInterval))
		t.Line("preempt_delay", preemptDelay)
		t.Line("unicast_src_ip", i.Source.String())
		t.Block("unicast_peer", func() { addresses(t, peers(i), "") })
		t.Block("track_file", func() {
			t.Line(gateName, "weight 0")
			t.Line(weightName(i.Group), "weight 1")
		})
		t.Block("virtual_ipaddress", func() { addresses(t, []netip.Addr{i.Anchor}, in.Interface) })
		if len(i.VIPs) > 0 {
			t.Block("virtual_ipaddress_excluded", func() { addresses(t, i.VIPs, in.Interface) })
		}
	})
}

// peers returns whom to send adverts to. A node that is alone names its own anchor: without any peer keepalived would
// use multicast, and give all addresses up for an election when the first peer comes (measured with 2.2.7). Adverts to
// the anchor never leave the node, because whoever sends them holds it, and no node accepts its own.
func peers(i Instance) []netip.Addr {
	if len(i.Peers) == 0 {
		return []netip.Addr{i.Anchor}
	}
	return i.Peers
}

// addresses adds a line for each: bare, or as a host address of an interface.
func addresses(t *render.Text, as []netip.Addr, dev string) {
	for _, a := range as {
		if dev == "" {
			t.Line(a.String())
			continue
		}
		t.Line(netip.PrefixFrom(a, a.BitLen()).String(), "dev", dev)
	}
}

// seconds returns a duration as decimal seconds.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
