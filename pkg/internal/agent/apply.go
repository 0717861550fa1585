package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// apply makes a checked candidate run, or goes back to what ran before.
func (a *Agent) apply(ctx context.Context, c *candidate) error {
	if err := a.leaveInterface(ctx, c); err != nil {
		return err
	}
	if err := a.ledger.widen(c); err != nil {
		return err
	}
	a.track.owned(a.ledger.Interface, a.ledger.Addresses, c.view)
	c.checked = time.Now()
	if err := a.change(ctx, c); err != nil {
		if ctx.Err() == nil {
			a.rollBack(ctx, err)
		}
		return err
	}
	if a.last == nil || a.last.running.Generation != c.running.Generation {
		a.opts.Log.Info("a generation runs", "generation", c.running.Generation, "fleet", c.running.Fleet,
			"loadBalancers", len(c.view.LoadBalancers), "took", c.stages())
	}
	a.last = c
	a.senses.configure(c)
	a.track.findings("configuration", c.findings) // first, or what was left out would look served for a moment
	a.track.running(c.running)
	shown := c.view
	shown.Instances = c.announced()
	a.track.owned(c.iface, c.owned(), shown)
	return a.remember(c)
}

// remember writes down what runs. That comes last, and takes no part in serving.
func (a *Agent) remember(c *candidate) error {
	return errors.Join(
		saveConfig(a.opts.StateDir, c.config), a.ledger.settle(c), a.nginx.Store.Prune(), a.keepalived.Store.Prune(),
		a.opts.keys.Prune(c.view.LoadBalancers, c.tickets))
}

// change takes the steps in the order that never announces what is not served: withdraw, let nginx change, announce.
// What is new answers before the last worker of the former generation has let go, and is not kept waiting for that.
func (a *Agent) change(ctx context.Context, c *candidate) error {
	if c.announce.wanted() {
		a.stance.configure(c)
		a.Release(reasonSilence)
	} else if err := a.silence(ctx, c); err != nil {
		return err
	}
	if c.withdraw != nil && a.keepalived.Alive() {
		if err := a.runKeepalived(ctx, *c.withdraw, c.iface); err != nil {
			return err
		}
	}
	proved, err := a.runNginx(ctx, c.nginx.Generation)
	if err != nil {
		return err
	}
	c.served = time.Now()
	if err := a.residence.set(c.iface, c.vips(), a.ledger.Addresses); err != nil {
		return err
	}
	if proved { // else [Agent.watchServing] knows more
		a.serves()
	}
	if c.announce.wanted() {
		if err := a.runKeepalived(ctx, c.announce, c.iface); err != nil {
			return err
		}
	}
	c.told = time.Now()
	if err := a.nginx.Settle(ctx); err != nil {
		return err
	}
	a.expected.set(c.nginx.Generation)
	return nil
}

// silence makes the node announce nothing.
func (a *Agent) silence(ctx context.Context, c *candidate) error {
	a.Hold(reasonSilence, c.silence)
	a.handOver(ctx)
	if err := a.stopAnnouncing(ctx, a.ledger.Interface); err != nil {
		return err
	}
	a.stance.configure(c)
	return nil
}

// leaveInterface clears the interface that had the addresses when another one is to: nobody would look at it any more.
func (a *Agent) leaveInterface(ctx context.Context, c *candidate) error {
	if a.ledger.Interface == "" || c.iface == "" || c.iface == a.ledger.Interface {
		return nil
	}
	a.opts.Log.Warn("the virtual IPs go to another interface", "from", a.ledger.Interface, "to", c.iface)
	if _, err := net.InterfaceByName(a.ledger.Interface); err != nil {
		return a.stopAnnouncing(ctx, "") // it took them with it
	}
	a.Hold(reasonSilence, "its virtual IPs go to another interface")
	a.handOver(ctx)
	return a.stopAnnouncing(ctx, a.ledger.Interface)
}

// stopAnnouncing ends keepalived and takes away what is left on an interface; empty means that there is none.
func (a *Agent) stopAnnouncing(ctx context.Context, iface string) error {
	a.keepalivedKeeper.dismiss()
	if err := a.keepalived.Stop(ctx, iface, a.ledger.Addresses); err != nil {
		return fmt.Errorf("stop announcing: %w", err)
	}
	a.keepalivedID = ""
	a.stance.announcing(false)
	a.track.processes()
	return nil
}

// handOverWithin bounds how long a node waits for its peers to take its addresses: a second that keepalived waits
// before it preempts, a few adverts, and some air for a busy machine.
const handOverWithin = 2500 * time.Millisecond

// handOver waits until the node, whose groups are withheld, holds nothing any more. Without a peer nobody would take
// it, and a node that is left with something gives it up when keepalived ends.
func (a *Agent) handOver(ctx context.Context) {
	if !a.keepalived.Alive() || a.stance.alone() {
		return
	}
	if err := driver.AwaitGone(ctx, a.ledger.Interface, a.ledger.Addresses, handOverWithin); err != nil {
		a.opts.Log.Warn("nobody has taken the addresses over", "error", err)
	}
	a.track.refresh()
}

// runNginx makes nginx run a generation, unless it does as far as is known. It reports whether nginx has just been seen
// to serve it.
func (a *Agent) runNginx(ctx context.Context, id string) (proved bool, err error) {
	if a.nginx.Alive() && a.nginxID == id {
		return false, nil
	}
	a.expected.set(a.nginxID, id)
	if a.cuts(ctx) {
		a.calmDown()
	}
	err = a.nginx.Run(ctx, id)
	a.nginxKeeper.watch("nginx", a.nginx.Process())
	a.track.processes()
	a.reloaded("nginx", err)
	a.nginxID = id
	if err != nil {
		a.nginxID = ""
		return false, err
	}
	select {
	case <-a.astray: // what was said about the generation before
	default:
	}
	return true, nil
}

// runKeepalived makes keepalived run a generation, unless it does.
func (a *Agent) runKeepalived(ctx context.Context, want announcement, iface string) error {
	if a.keepalived.Alive() && a.keepalivedID == want.id {
		return nil
	}
	if a.keepalived.Alive() && a.keepalived.Renumbers(want.id) {
		a.opts.Log.Info("keepalived is started anew, as the groups have other VRIDs")
		if err := a.stopAnnouncing(ctx, iface); err != nil {
			return err
		}
	}
	if !a.keepalived.Alive() {
		a.mourn(a.keepalived.Process(), nil)
	}
	err := a.keepalived.Run(ctx, want.id, driver.Announcement{
		Interface: iface, Instances: want.instances, Owned: a.ledger.Addresses,
	})
	a.keepalivedKeeper.watch("keepalived", a.keepalived.Process())
	a.track.processes()
	a.reloaded("keepalived", err)
	a.stance.announcing(a.keepalived.Alive())
	a.keepalivedID = want.id
	if err != nil {
		a.keepalivedID = ""
	}
	return err
}

// reloaded counts a reload and makes the next one wait for its turn.
func (a *Agent) reloaded(program string, err error) {
	a.opts.Metrics.reloaded(program, err)
	a.spacing = time.After(a.budget.spend(program == "nginx"))
}

// rollBack makes the last good generation run again.
func (a *Agent) rollBack(ctx context.Context, cause error) {
	a.opts.Metrics.rolledBack()
	if a.last == nil {
		return
	}
	a.opts.Log.Warn("going back to the last good generation", "generation", a.last.running.Generation, "cause", cause)
	if err := a.ledger.widen(a.last); err != nil {
		a.opts.Log.Error("the ledger cannot be written", "error", err)
	}
	if err := a.change(ctx, &candidate{
		view: a.last.view, iface: a.last.iface, silence: a.last.silence, nginx: a.last.nginx, announce: a.last.announce,
	}); err != nil {
		a.opts.Log.Error("the last good generation does not run either", "error", err)
	}
}

// bindFailure finds the address in nginx's words "bind() to 10.0.0.1:80 failed (98: Address already in use)".
var bindFailure = regexp.MustCompile(`bind\(\) to (\S+) failed`)

// blame names the load balancers behind an error, or the node when no one is known.
func (a *Agent) blame(c *candidate, err error) []nodeconfig.NodeFinding {
	finding := lb.Finding{
		Code:    lb.CodeNodeRefused,
		Message: fmt.Sprintf("node %s does not run the wanted configuration: %v", a.opts.Node, err),
	}
	var found []nodeconfig.NodeFinding
	var refused *driver.RefusedError
	if c != nil && errors.As(err, &refused) {
		for _, m := range bindFailure.FindAllStringSubmatch(refused.Words, -1) {
			at, err := netip.ParseAddrPort(m[1])
			if err != nil {
				continue
			}
			for _, l := range c.view.LoadBalancers {
				if slices.Contains(l.VIPs, at.Addr()) &&
					slices.ContainsFunc(l.Listeners, func(li lb.Listener) bool { return li.Port == at.Port() }) {
					found = append(found, nodeconfig.NodeFinding{Key: l.Origin.Key, Finding: finding})
				}
			}
		}
	}
	if len(found) == 0 {
		found = append(found, nodeconfig.NodeFinding{Finding: finding})
	}
	return slices.CompactFunc(found, func(a, b nodeconfig.NodeFinding) bool { return a.Key == b.Key })
}
