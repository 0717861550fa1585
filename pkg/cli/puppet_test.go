package cli

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// puppets play the daemons and the controller of a world: they read the orders and report what daemons would, by the
// world's clock. What they leave out is set by the test that wants to see the program deal with it.
type puppets struct {
	*world
	mu sync.Mutex
	// deaf nodes do not hear orders; idle ones obey, but nobody takes their addresses over; stuck ones never restore.
	deaf, idle, stuck bool
	// silent nodes do not report that they are alive.
	silent map[string]bool
	// refuse is why drills are refused.
	refuse string
	// homes are the homes that a rebalance leads to, by group.
	homes map[int]string
	// onDrill is called when a drill's fault begins and ends.
	onDrill func(running bool)
	drills  map[string]nodeconfig.DrillStatus
}

// play starts the puppets; they stop at the test's end.
func (w *world) play(p *puppets) *puppets {
	w.t.Helper()
	p.world, p.drills = w, map[string]nodeconfig.DrillStatus{}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for pause(ctx, 20*time.Millisecond) {
			p.act(ctx)
		}
	})
	w.t.Cleanup(func() { cancel(); done.Wait() })
	return p
}

func (p *puppets) act(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cms, err := (&cluster{Interface: p.client, system: p.system}).documents(ctx)
	if err != nil || p.deaf {
		return
	}
	docs := view.DecodeDocuments(cms)
	if docs.Rebalance.ID != docs.Config.Fleet.Rebalanced {
		p.rebalance(docs)
	}
	before := map[string]string{}
	for n, s := range p.statuses {
		before[n], _ = nodeconfig.Encode(*s)
	}
	for _, n := range slices.Sorted(maps.Keys(p.statuses)) {
		p.obey(n, docs.Config.Orders[n])
	}
	p.elect(docs)
	for n, s := range p.statuses {
		beats := p.live && !p.silent[n] && time.Since(s.Reported) > nodeconfig.HeartbeatInterval
		if text, _ := nodeconfig.Encode(*s); (text != before[n] || beats) && ctx.Err() == nil {
			if p.live {
				s.Reported = time.Now()
				text, _ = nodeconfig.Encode(*s)
			}
			p.document(nodeconfig.StatusName(n), nodeconfig.AppNode, nodeconfig.KeyStatus, text)
		}
	}
}

// clock is the world's time: the one that stands still, or the real one.
func (p *puppets) clock() time.Time {
	if p.live {
		return time.Now()
	}
	return p.now
}

// obey sets a node's share and drill by its order.
func (p *puppets) obey(node string, order nodeconfig.Order) {
	s := p.statuses[node]
	share := nodeconfig.ShareServing
	if order.Drain != nil {
		share = nodeconfig.ShareDrained
	}
	if d := order.Drill; d != nil && (s.Drill == nil || s.Drill.ID != d.ID) {
		s.Drill = &nodeconfig.DrillStatus{ID: d.ID, Kind: d.Kind, State: nodeconfig.DrillRunning, Started: p.clock()}
		if p.refuse != "" {
			s.Drill.State, s.Drill.Message = nodeconfig.DrillRefused, p.refuse
		} else if p.onDrill != nil {
			p.onDrill(true)
		}
	}
	if s.Drill != nil && s.Drill.State == nodeconfig.DrillRunning {
		share = nodeconfig.ShareDrained
		if order.Drill == nil && !p.stuck {
			s.Drill.State, s.Drill.Ended, share = nodeconfig.DrillRestored, p.clock(), nodeconfig.ShareServing
			if p.onDrill != nil {
				p.onDrill(false)
			}
		}
	}
	if s.Share.State != share {
		s.Share = nodeconfig.Share{State: share, Since: p.clock()}
	}
}

// elect moves every address to the serving node of the highest priority.
func (p *puppets) elect(docs view.Documents) {
	masters := map[int]string{}
	for _, g := range docs.Config.Fleet.Groups {
		highest := uint8(0)
		for _, pr := range g.Priorities {
			if p.statuses[pr.Node].Share.State == nodeconfig.ShareServing && pr.Priority > highest {
				masters[g.ID], highest = pr.Node, pr.Priority
			}
		}
		if p.idle && masters[g.ID] != g.Home {
			delete(masters, g.ID)
		}
	}
	held := map[string][]netip.Addr{}
	for _, e := range p.shard.LoadBalancers {
		held[masters[e.Group]] = append(held[masters[e.Group]], e.VIPs...)
	}
	for n, s := range p.statuses {
		s.Holding = held[n]
		for i, g := range s.Groups {
			state := nodeconfig.StateBackup
			if masters[g.ID] == n {
				state = nodeconfig.StateMaster
			}
			if g.State != state {
				s.Groups[i] = nodeconfig.GroupStatus{ID: g.ID, Family: lb.IPv4, State: state, Since: p.clock()}
			}
		}
	}
}

// rebalance gives groups their new homes, as the controller would.
func (p *puppets) rebalance(docs view.Documents) {
	fleet := docs.Config.Fleet
	fleet.Rebalanced = docs.Rebalance.ID
	fleet.Revision++
	for i, g := range fleet.Groups {
		home := p.homes[g.ID]
		if home == "" || home == g.Home {
			continue
		}
		fleet.Groups[i].Home = home
		for j, pr := range g.Priorities {
			switch pr.Node {
			case home:
				fleet.Groups[i].Priorities[j].Priority = 254
			default:
				fleet.Groups[i].Priorities[j].Priority = min(pr.Priority, 236)
			}
		}
	}
	text, err := nodeconfig.Encode(fleet)
	p.must(err)
	p.document(nodeconfig.FleetName, nodeconfig.AppConfig, nodeconfig.KeyConfig, text)
}

// orders returns what lb-orders holds.
func (w *world) orders() map[string]string {
	w.t.Helper()
	cm, err := w.client.CoreV1().ConfigMaps(w.system).Get(context.Background(), nodeconfig.OrdersName,
		metav1.GetOptions{})
	w.must(err)
	return cm.Data
}

// deploy makes the ConfigMap of the orders, as deploy/ does.
func (w *world) deploy() {
	w.t.Helper()
	w.document(nodeconfig.OrdersName, nodeconfig.AppOrders, "node.none", "")
}
