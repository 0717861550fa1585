package agent

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/ifaddr"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/supervise"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// tracker knows the node's status. It may be used from everywhere at once.
type tracker struct {
	agent *Agent
	// changed holds a token while the status has changed since it was last reported.
	changed chan struct{}
	// look holds a token while the addresses are to be read again.
	look chan struct{}

	mu       sync.Mutex
	status   nodeconfig.Status
	found    map[string][]nodeconfig.NodeFinding
	iface    string
	ours     []netip.Addr
	instance []nodeconfig.Instance
}

func newTracker(a *Agent) *tracker {
	return &tracker{
		agent:   a,
		changed: make(chan struct{}, 1),
		look:    make(chan struct{}, 1),
		found:   make(map[string][]nodeconfig.NodeFinding),
		status: nodeconfig.Status{
			Version: nodeconfig.Version,
			Node:    a.opts.Node,
			Versions: nodeconfig.Versions{
				Daemon: a.opts.DaemonVersion, Nginx: a.opts.Software.NginxVersion,
				Keepalived: a.opts.Software.KeepalivedVersion.String(),
			},
		},
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (t *tracker) update(f func(*nodeconfig.Status)) {
	t.mu.Lock()
	f(&t.status)
	t.mu.Unlock()
	poke(t.changed)
}

// wanted says what the daemon has been told to run.
func (t *tracker) wanted(r nodeconfig.Running) {
	t.update(func(s *nodeconfig.Status) { s.Wanted = since(r, s.Wanted) })
}

// running says what is proven to run.
func (t *tracker) running(r nodeconfig.Running) {
	t.update(func(s *nodeconfig.Status) { s.Running = since(r, s.Running) })
}

// since dates a configuration: from now on, or from when it was already so.
func since(r, before nodeconfig.Running) nodeconfig.Running {
	r.Since = time.Now()
	if r.Generation == before.Generation && r.Fleet == before.Fleet && maps.Equal(r.Shards, before.Shards) {
		r.Since = before.Since
	}
	return r
}

// findings replaces the findings of a source.
func (t *tracker) findings(source string, fs []nodeconfig.NodeFinding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.Equal(t.found[source], fs) {
		return
	}
	t.found[source] = fs
	poke(t.changed)
}

// owned says which addresses are ours, and what they mean.
func (t *tracker) owned(iface string, ours []netip.Addr, instances []nodeconfig.Instance) {
	t.mu.Lock()
	t.iface, t.ours, t.instance = iface, ours, instances
	t.mu.Unlock()
	t.refresh()
}

// refresh reads the kernel's addresses.
func (t *tracker) refresh() {
	t.mu.Lock()
	defer t.mu.Unlock()
	var have []netip.Addr
	if t.iface != "" {
		var err error
		if have, err = ifaddr.List(t.iface); err != nil {
			t.agent.opts.Log.Warn("the addresses cannot be read", "error", err)
			return
		}
	}
	holding := make([]netip.Addr, 0, len(have))
	for _, a := range have {
		_, ours := slices.BinarySearchFunc(t.ours, a, netip.Addr.Compare)
		if ours && !slices.ContainsFunc(t.instance, func(i nodeconfig.Instance) bool { return i.Anchor == a }) {
			holding = append(holding, a)
		}
	}
	groups := t.groups(have)
	if slices.Equal(holding, t.status.Holding) && slices.Equal(groups, t.status.Groups) {
		return
	}
	t.status.Holding, t.status.Groups = holding, groups
	poke(t.changed)
}

// groups tells the VRRP states: who has the anchor is the master.
func (t *tracker) groups(have []netip.Addr) []nodeconfig.GroupStatus {
	groups := make([]nodeconfig.GroupStatus, 0, len(t.instance))
	for _, i := range t.instance {
		g := nodeconfig.GroupStatus{ID: i.Group, Family: i.Family, State: nodeconfig.StateBackup, Since: time.Now()}
		if slices.Contains(have, i.Anchor) {
			g.State = nodeconfig.StateMaster
		}
		for _, old := range t.status.Groups {
			if old.ID == g.ID && old.Family == g.Family && old.State == g.State {
				g.Since = old.Since
			}
		}
		groups = append(groups, g)
	}
	return groups
}

// processes reads the state of nginx and keepalived. It belongs to the loop.
func (t *tracker) processes() {
	a := t.agent
	ps := []nodeconfig.Process{
		process("keepalived", a.keepalived.Process(), a.keepalivedKeeper.restarts),
		process("nginx", a.nginx.Process(), a.nginxKeeper.restarts),
	}
	t.update(func(s *nodeconfig.Status) { s.Processes = ps })
}

func process(name string, p *supervise.Process, restarts int) nodeconfig.Process {
	out := nodeconfig.Process{Name: name, Restarts: restarts}
	if p != nil && p.Alive() {
		out.PID, out.Since = p.PID(), p.Since()
	}
	return out
}

// snapshot returns the status of this moment, sorted as its contract says.
func (t *tracker) snapshot() nodeconfig.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.status
	s.Reported = time.Now()
	s.Holding, s.Groups = slices.Clone(s.Holding), slices.Clone(s.Groups)
	s.Processes = slices.Clone(s.Processes)
	for _, source := range slices.Sorted(maps.Keys(t.found)) {
		s.Findings = append(s.Findings, t.found[source]...)
	}
	slices.SortStableFunc(s.Findings, func(a, b nodeconfig.NodeFinding) int {
		return cmp.Or(a.Key.Compare(b.Key), strings.Compare(string(a.Code), string(b.Code)))
	})
	return s
}

// ready reports whether what is wanted runs.
func (t *tracker) ready() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status.Running.Generation != ""
}

// masters and held are for the metrics.
func (t *tracker) masters() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.status.Groups {
		if g.State == nodeconfig.StateMaster {
			n++
		}
	}
	return n
}

func (t *tracker) held(f lb.Family) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.status.Holding {
		if lb.FamilyOf(a) == f {
			n++
		}
	}
	return n
}

// The pace of reading addresses: a thousand of them move one by one, and are read a few times.
const (
	lookSpacing = 20 * time.Millisecond
	lookAnyway  = 5 * time.Second
)

// watchAddresses keeps what is held and who is master up to date.
func (a *Agent) watchAddresses(ctx context.Context) {
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() {
		for ctx.Err() == nil {
			if err := ifaddr.Watch(ctx, func() { poke(a.track.look) }); err != nil {
				a.opts.Log.Error("addresses are only looked at now and then", "error", err)
			}
			pause(ctx, time.Second)
		}
	})
	tick := time.NewTicker(lookAnyway)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-a.track.look:
		}
		a.track.refresh()
		pause(ctx, lookSpacing)
	}
}
