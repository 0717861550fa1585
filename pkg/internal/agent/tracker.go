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
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/vrrp"
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
	conflict map[string][]nodeconfig.Conflict
	iface    string
	ours     []netip.Addr
	timing   nodeconfig.Timing
	instance []nodeconfig.Instance
	withheld []int
	// lost says for each anchor that was seen when it was first missed; zero while it is there.
	lost map[netip.Addr]time.Time

	// refreshing keeps two readings from overtaking each other.
	refreshing sync.Mutex
}

func newTracker(a *Agent) *tracker {
	return &tracker{
		agent:   a,
		changed: make(chan struct{}, 1),
		look:    make(chan struct{}, 1),
		found:   make(map[string][]nodeconfig.NodeFinding), conflict: make(map[string][]nodeconfig.Conflict),
		lost: make(map[netip.Addr]time.Time),
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
func (t *tracker) owned(iface string, ours []netip.Addr, view nodeconfig.View) {
	hardware := ""
	if iface != "" {
		hardware, _ = ifaddr.Hardware(iface)
	}
	t.mu.Lock()
	t.iface, t.ours, t.instance, t.timing = iface, ours, view.Instances, view.Timing
	if t.status.Hardware != hardware {
		t.status.Hardware = hardware
		poke(t.changed)
	}
	t.mu.Unlock()
	t.refresh()
}

// share says what part the node has, and which groups it withholds.
func (t *tracker) share(s nodeconfig.Share, withheld []int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status.Share == s && slices.Equal(t.withheld, withheld) {
		return
	}
	t.status.Share, t.withheld = s, withheld
	t.status.Groups = slices.Clone(t.status.Groups)
	for i := range t.status.Groups {
		t.status.Groups[i].Withheld = slices.Contains(withheld, t.status.Groups[i].ID)
	}
	poke(t.changed)
}

// refresh reads the kernel's addresses.
func (t *tracker) refresh() {
	t.refreshing.Lock()
	defer t.refreshing.Unlock()
	if has, ok := t.read(); ok {
		t.agent.stance.holding(has)
	}
}

// justLost is how long ago a dying keepalived may have taken an anchor away without a word to the peers.
const justLost = 100 * time.Millisecond

// carried returns where our addresses are, what they are, and the instances that this node is master of, or was until
// just now: those whose anchor it has.
func (t *tracker) carried() (iface string, ours []netip.Addr, masters []vrrp.Instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.iface == "" {
		return "", nil, nil
	}
	have, err := ifaddr.List(t.iface)
	if err != nil {
		t.agent.opts.Log.Warn("the addresses cannot be read", "error", err)
	}
	for _, i := range t.instance {
		at, seen := t.lost[i.Anchor]
		held := has(have, i.Anchor) || seen && (at.IsZero() || time.Since(at) < justLost)
		if len(i.Peers) > 0 && held {
			masters = append(masters, vrrp.Instance{
				VRID: i.VRID, Source: i.Source, Peers: i.Peers, Anchor: i.Anchor,
				AdvertInterval: time.Duration(t.timing.AdvertInterval),
			})
		}
	}
	return t.iface, t.ours, masters
}

// vrids returns the virtual routers of the node, sorted.
func (t *tracker) vrids() []uint8 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return vrids(t.instance)
}

// read reports whether the node has addresses of a group, and whether that is known.
func (t *tracker) read() (holds, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var have []netip.Addr
	if t.iface != "" {
		var err error
		if have, err = ifaddr.List(t.iface); err != nil {
			t.agent.opts.Log.Warn("the addresses cannot be read", "error", err)
			return false, false
		}
	}
	t.speak(have)
	holding := make([]netip.Addr, 0, len(have))
	for _, a := range have {
		_, ours := slices.BinarySearchFunc(t.ours, a, netip.Addr.Compare)
		if ours && !slices.ContainsFunc(t.instance, func(i nodeconfig.Instance) bool { return i.Anchor == a }) {
			holding = append(holding, a)
		}
	}
	groups := t.groups(have)
	t.miss(have)
	holds = len(holding) > 0 || slices.ContainsFunc(groups, func(g nodeconfig.GroupStatus) bool {
		return g.State == nodeconfig.StateMaster
	})
	if !slices.Equal(holding, t.status.Holding) || !slices.Equal(groups, t.status.Groups) {
		t.status.Holding, t.status.Groups = holding, groups
		poke(t.changed)
	}
	return holds, true
}

// speak notes which addresses the node is to speak with where it was told the interface.
func (t *tracker) speak(have []netip.Addr) {
	if t.agent.opts.Interface == "" || t.agent.opts.Interface != t.iface {
		return
	}
	if now := spoken(t.status.Addresses, have, t.ours); !slices.Equal(now, t.status.Addresses) {
		t.status.Addresses = now
		poke(t.changed)
	}
}

// miss notes which anchors are there and which are there no more.
func (t *tracker) miss(have []netip.Addr) {
	for _, i := range t.instance {
		if has(have, i.Anchor) {
			t.lost[i.Anchor] = time.Time{}
		} else if at, seen := t.lost[i.Anchor]; seen && at.IsZero() {
			t.lost[i.Anchor] = time.Now()
		}
	}
}

// groups tells the VRRP states: who has the anchor is the master.
func (t *tracker) groups(have []netip.Addr) []nodeconfig.GroupStatus {
	groups := make([]nodeconfig.GroupStatus, 0, len(t.instance))
	for _, i := range t.instance {
		g := nodeconfig.GroupStatus{ID: i.Group, Family: i.Family, State: nodeconfig.StateBackup, Since: time.Now()}
		g.Withheld = slices.Contains(t.withheld, i.Group)
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
	s.Findings = boundFindings(s.Findings, s.Node)
	return s
}

// ready reports whether what is wanted runs.
func (t *tracker) ready() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status.Running.Generation != ""
}

// masters, withholding and held are for the metrics.
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

func (t *tracker) withholding() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.status.Groups {
		if g.Withheld {
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
			a.residence.refresh()
		case <-a.track.look:
		}
		a.track.refresh()
		pause(ctx, lookSpacing)
	}
}
