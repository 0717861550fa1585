package chaos

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// settleLimit is when waiting for a fleet to come back ends: far above every bound, which are for [Check].
const settleLimit = 2 * time.Minute

// settle waits after the last fault until the fleet has converged, then until it is as in the beginning, and looks for
// what was left behind. What did not come about is no error: the history says it, and the judge what to think of it.
func (r *runner) settle(ctx context.Context, addresses []netip.Addr) error {
	late := rig.Wait(ctx, settleLimit, "every address to have one owner and to answer", func() (bool, string) {
		for _, a := range addresses {
			if owners := r.watch.Owners(a); len(owners) != 1 {
				return false, fmt.Sprintf("%s is on %v", a, owners)
			}
		}
		return r.probes.answering(addresses)
	})
	if late != nil {
		r.note(Record{What: Remark, Note: late.Error()})
		return nil //nolint:nilerr // see above
	}
	r.note(Record{What: Settled})
	late = rig.Wait(ctx, settleLimit, "everything to be as it was", func() (bool, string) {
		ok, missing := r.home(ctx, addresses)
		if !ok {
			pause(ctx, 100*time.Millisecond) // to ask more often would be a load of its own
		}
		return ok, missing
	})
	if late != nil {
		r.note(Record{What: Left, Note: late.Error()})
		return nil //nolint:nilerr // see above
	}
	r.note(Record{What: Home})
	return r.leftovers(addresses)
}

// home says whether all nodes are full members that work, and every address is where it belongs.
func (r *runner) home(ctx context.Context, addresses []netip.Addr) (bool, string) {
	if ok, missing := r.rig.Settled(ctx, r.rig.LBNodes()); !ok {
		return false, missing
	}
	homes, err := r.rig.Homes(ctx)
	if err != nil {
		return false, err.Error()
	}
	if len(homes) != len(addresses) {
		return false, fmt.Sprintf("%d addresses are served, not %d", len(homes), len(addresses))
	}
	for _, a := range addresses {
		nodes, err := r.rig.Lab.Holders(a)
		if err != nil {
			return false, err.Error()
		}
		if !slices.Equal(nodes, []string{homes[a]}) {
			return false, fmt.Sprintf("%s is on %v, not on %s", a, nodes, homes[a])
		}
	}
	return true, ""
}

// leftovers notes addresses, cuts and processes that should not be there.
func (r *runner) leftovers(addresses []netip.Addr) error {
	left := func(format string, args ...any) { r.note(Record{What: Left, Note: fmt.Sprintf(format, args...)}) }
	cuts, err := r.rig.Lab.Cuts()
	if err != nil {
		return err
	}
	if len(cuts) > 0 {
		left("cuts %v", cuts)
	}
	for _, node := range r.rig.LBNodes() {
		s, err := r.rig.Lab.NodeStatus(node)
		if err != nil {
			return err
		}
		for _, a := range s.Holds {
			if !slices.Contains(addresses, a) {
				left("%s on %s", a, node)
			}
		}
		// A keepalived is two processes, and a daemon one and its init.
		for program, want := range map[string]int{lab.Keepalived: 2, lab.Daemon: 2} {
			if n := s.Processes[program]; n != want {
				left("%d processes of %s on %s, not %d", n, program, node, want)
			}
		}
		if s.Frozen > 0 {
			left("%d stopped processes on %s", s.Frozen, node)
		}
	}
	return nil
}
