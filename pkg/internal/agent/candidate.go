package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// candidate is a configuration on its way to run. It is not changed once it has been prepared.
type candidate struct {
	// running has the revisions that were asked for, and the hash of what was made of them.
	running nodeconfig.Running
	// config is what it was made from: the wanted one, with the refused load balancers as they were, or without them.
	config nodeconfig.Config
	view   nodeconfig.View
	iface  string
	// tickets are the files of the keys of session tickets.
	tickets []string
	// silence says why the node is to announce nothing, where it is.
	silence string
	nginx   nginx.Result
	// announce is the final word to keepalived; withdraw, where set, comes before nginx changes: what stays of the
	// virtual IPs that run now.
	announce announcement
	withdraw *announcement
	findings []nodeconfig.NodeFinding
	// own are findings about the node itself.
	own []nodeconfig.NodeFinding
	// begun is when its preparation began; rendered, checked, served and told are when the next steps were done.
	begun, rendered, checked, served, told time.Time
}

// stages says how long each step took, for the log.
func (c *candidate) stages() slog.Value {
	since := func(from, to time.Time) time.Duration { return max(to.Sub(from), 0).Round(time.Millisecond) }
	return slog.GroupValue(
		slog.Duration("render", since(c.begun, c.rendered)), slog.Duration("check", since(c.rendered, c.checked)),
		slog.Duration("nginx", since(c.checked, c.served)),
		slog.Duration("keepalived", since(c.served, c.told)), slog.Duration("all", since(c.begun, time.Now())))
}

// announcement is a generation of keepalived. Without instances keepalived is not to run at all.
type announcement struct {
	id        string
	files     render.Files
	instances []driver.Instance
	// refused are virtual IPs that keepalived can't carry.
	refused []keepalived.Refusal
}

func (a announcement) wanted() bool { return len(a.instances) > 0 }

// compile renders a configuration. A node that the fleet does not have runs an nginx with nothing in it, and no
// keepalived.
//
// Instances whose adverts would have to leave by another interface are left out. keepalived speaks on the interface
// that it announces on, where nobody answers for an address that is elsewhere: no peer would hear it, nor it them.
func (o Options) compile(config nodeconfig.Config, iface string, elsewhere map[netip.Addr]string) (*candidate, error) {
	c := &candidate{config: config, iface: iface, tickets: o.keys.Tickets(), silence: "the fleet does not have it"}
	if slices.ContainsFunc(config.Fleet.Nodes, func(n nodeconfig.Node) bool { return n.Name == o.Node }) {
		view, err := config.For(o.Node)
		if err != nil {
			return nil, err
		}
		c.view, c.silence = view, silenceOf(view)
		c.leaveOut(elsewhere, o.Node)
	}
	var err error
	c.nginx, err = nginx.Render(nginx.Input{
		LoadBalancers: c.view.LoadBalancers,
		RunDir:        o.RunDir,
		Modules:       o.Software.Modules,
		User:          o.Software.User,
		Version:       o.Software.NginxVersion,
		StubStatus:    o.Software.StubStatus,
		TLSDir:        o.keys.Dir(),
		TicketKeys:    c.tickets,
	})
	if err != nil {
		return nil, fmt.Errorf("render nginx's configuration: %w", err)
	}
	if c.announce, err = o.announcement(c.view, iface, c.announced()); err != nil {
		return nil, err
	}
	c.running = nodeconfig.Running{
		Generation: generationOf(c.nginx.Generation, c.announce.id),
	}
	return c, nil
}

// silenceOf says why a node of the fleet is to announce nothing; empty where it is not so.
func silenceOf(v nodeconfig.View) string {
	switch {
	case v.Node.Phase == nodeconfig.PhaseJoining:
		return "it joins: every other node has to know it first"
	case v.Node.Phase == nodeconfig.PhaseLeaving:
		return "it leaves the fleet"
	case len(v.Instances) == 0:
		return "it takes part in no group"
	default:
		return ""
	}
}

// announced returns the instances that the node is to run. One that leaves has to stop, though it has its own still.
func (c *candidate) announced() []nodeconfig.Instance {
	if c.silence != "" {
		return nil
	}
	return c.view.Instances
}

// vips returns the virtual IPs that the node may have to carry, sorted.
func (c *candidate) vips() []netip.Addr {
	var as []netip.Addr
	for _, i := range c.announced() {
		as = append(as, i.VIPs...)
	}
	return sorted(as)
}

// announcement renders keepalived's configuration for instances of the view.
func (o Options) announcement(
	view nodeconfig.View, iface string, instances []nodeconfig.Instance,
) (announcement, error) {
	if len(instances) == 0 {
		return announcement{}, nil
	}
	in := keepalived.Input{
		Version:        o.Software.KeepalivedVersion,
		Interface:      iface,
		Gate:           o.gatePath(),
		AdvertInterval: time.Duration(view.Timing.AdvertInterval),
		WeightDir:      o.weightDir(),
	}
	var a announcement
	for _, i := range instances {
		in.Instances = append(in.Instances, keepalived.Instance(i))
		a.instances = append(a.instances, driver.Instance{Anchor: i.Anchor, VIPs: i.VIPs})
	}
	result, err := keepalived.Render(in)
	if err != nil {
		return announcement{}, fmt.Errorf("render keepalived's configuration: %w", err)
	}
	a.files, a.id, a.refused = result.Files, result.Files.Hash(), result.Refused
	return a, nil
}

// generationOf names what both programs run.
func generationOf(nginxID, keepalivedID string) string {
	sum := sha256.Sum256([]byte(nginxID + " " + keepalivedID))
	return hex.EncodeToString(sum[:])[:16]
}

// owned returns the addresses that may get onto the interface, sorted.
func (c *candidate) owned() []netip.Addr {
	var as []netip.Addr
	for _, in := range c.announce.instances {
		as = append(append(as, in.Anchor), in.VIPs...)
	}
	return sorted(as)
}

// listens returns the addresses and ports of TCP that nginx listens on, sorted. UDP is left to nginx: its sockets share
// their port, so a trial would say nothing.
func (c *candidate) listens() []netip.AddrPort {
	var ls []netip.AddrPort
	for _, l := range c.view.LoadBalancers {
		for _, li := range l.Listeners {
			if li.Transport() != lb.OverTCP {
				continue
			}
			for _, vip := range l.VIPs {
				ls = append(ls, netip.AddrPortFrom(vip, li.Port))
			}
		}
	}
	slices.SortFunc(ls, netip.AddrPort.Compare)
	return slices.Compact(ls)
}

func sorted(as []netip.Addr) []netip.Addr {
	as = slices.Clone(as)
	slices.SortFunc(as, netip.Addr.Compare)
	return slices.Compact(as)
}

// remaining returns the instances with those of their virtual IPs that run already, and whether any has to go.
func remaining(wanted []nodeconfig.Instance, running []nodeconfig.Instance) ([]nodeconfig.Instance, bool) {
	have, stay := make(map[netip.Addr]bool), make(map[netip.Addr]bool)
	for _, in := range running {
		for _, vip := range in.VIPs {
			have[vip] = true
		}
	}
	var out []nodeconfig.Instance
	for _, in := range wanted {
		in.VIPs = slices.DeleteFunc(slices.Clone(in.VIPs), func(a netip.Addr) bool { return !have[a] })
		for _, vip := range in.VIPs {
			stay[vip] = true
		}
		out = append(out, in)
	}
	return out, len(stay) < len(have)
}

// stamp says which documents the candidate answers: all that were asked for. One load balancer that was left out does
// not make the others look undone.
func (c *candidate) stamp(asked nodeconfig.Config) {
	c.running.Fleet = asked.Fleet.Revision
	c.running.Shards = make(map[string]int64, len(asked.Shards))
	for name, s := range asked.Shards {
		c.running.Shards[name] = s.Revision
	}
}
