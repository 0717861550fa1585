package drill

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// Recording is everything that was seen of a run.
type Recording struct {
	Number int
	// Begin and End are when probing, or watching, began and ended.
	Begin, End time.Time
	// Before are the nodes' reports at the beginning; Seen are those that arrived since, in that order.
	Before []nodeconfig.Status
	Seen   []Observation
	// Tracks are in the order of the plan's targets.
	Tracks []Track
}

// report is the making of a run's result.
type report struct {
	*Run
	Recording
	clocks clocks
	out    v1alpha1.FailoverRun
}

// Report says what a run amounts to.
func (r *Run) Report(rec Recording) v1alpha1.FailoverRun {
	p := &report{Run: r, Recording: rec, clocks: newClocks(rec.Seen)}
	p.out = v1alpha1.FailoverRun{
		Number: rec.Number, ID: r.ID, Ordered: metav1.NewTime(r.Ordered.UTC().Truncate(time.Second)),
		Result: r.Result, Message: r.Message, Moves: []v1alpha1.FailoverMove{},
		BeginMillis: p.since(rec.Begin), EndMillis: p.since(rec.End),
		EndedMillis: p.maybe(r.Ended), RestoredMillis: p.maybe(r.Restored),
	}
	p.addMoves()
	p.addTargets()
	p.addOwners()
	return p.out
}

func (p *report) since(at time.Time) v1alpha1.Millis { return v1alpha1.Millis(at.Sub(p.Ordered)) }

func (p *report) maybe(at time.Time) *v1alpha1.Millis {
	if at.IsZero() {
		return nil
	}
	m := p.since(at)
	return &m
}

// fault is when the node had the fault in place, by its own word; zero if it never said so.
func (p *report) fault() time.Time {
	for _, o := range p.Seen {
		if d := o.Status.Drill; o.Status.Node == p.Plan.Node && d != nil && d.ID == p.ID && !d.Started.IsZero() {
			return p.clocks.of(p.Plan.Node, d.Started)
		}
	}
	return p.Fault
}

// addMoves finds for each address the node that took it over first after the fault, and when.
func (p *report) addMoves() {
	fault := p.fault()
	p.out.FaultMillis = p.maybe(fault)
	var last time.Time
	complete := true
	for _, a := range p.Plan.Addresses {
		move := v1alpha1.FailoverMove{Address: a.Address}
		if to, at, ok := p.taker(a); ok && !fault.IsZero() {
			after := v1alpha1.Millis(max(0, at.Sub(fault)))
			move.To, move.AfterMillis = to, &after
			last = later(last, later(at, fault))
		} else {
			complete = false
		}
		p.out.Moves = append(p.out.Moves, move)
	}
	if complete {
		p.out.TakeoverMillis = p.maybe(last)
	}
}

// taker returns the node that was the first to report the address while the fault lasted, and since when it was master
// of the address's group.
func (p *report) taker(a v1alpha1.FailoverAddress) (node string, at time.Time, ok bool) {
	for _, o := range p.Seen {
		s := o.Status
		if s.Node == p.Plan.Node || !slices.Contains(s.Holding, a.Address) ||
			!p.Ended.IsZero() && o.Arrived.After(p.Ended) {
			continue
		}
		since := p.clocks.of(s.Node, s.Reported)
		if master, is := masterSince(s, a.Group, a.Address); is {
			since = p.clocks.of(s.Node, master)
		}
		if !ok || since.Before(at) {
			node, at, ok = s.Node, since, true
		}
	}
	return node, at, ok
}

func masterSince(s nodeconfig.Status, group int, a netip.Addr) (time.Time, bool) {
	for _, g := range s.Groups {
		if g.ID == group && g.Family == lb.FamilyOf(a) && g.State == nodeconfig.StateMaster {
			return g.Since, true
		}
	}
	return time.Time{}, false
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// addTargets sums the probes up, before and after the order was taken back.
func (p *report) addTargets() {
	turn := p.Ended
	if turn.IsZero() {
		turn = p.End
	}
	for i := range p.Tracks {
		t := &p.Tracks[i]
		begin := p.Ordered.Add(-t.worthNoting()) // A silence begins at the last answer.
		noise := v1alpha1.Millis(t.Longest(p.Begin, begin, begin))
		gap, back := t.Longest(begin, turn, p.End), t.Longest(turn, p.End, p.End)
		slices.Sort(t.Latencies)
		probe := v1alpha1.FailoverProbe{
			Address: p.Plan.Targets[i].Address, Sent: t.Sent, Lost: t.Lost, Reasons: t.Reasons,
			GapMillis: v1alpha1.Millis(gap), ReturnGapMillis: v1alpha1.Millis(back),
			MedianMillis: v1alpha1.Millis(Percentile(t.Latencies, 50)),
		}
		for _, s := range slices.Concat(t.Silences, []Span{t.silence(p.End)}) {
			if s.Length() > t.worthNoting() {
				span := v1alpha1.FailoverSpan{FromMillis: p.since(s.From), ToMillis: p.since(s.To)}
				probe.Silences = append(probe.Silences, v1alpha1.FailoverSilence{FailoverSpan: span, Late: t.late(s)})
			}
		}
		for _, at := range slices.SortedFunc(slices.Values(t.LostAt), time.Time.Compare) {
			probe.LostAt = append(probe.LostAt, p.since(at))
		}
		p.out.Targets = append(p.out.Targets, probe)
		p.out.Sent += t.Sent
		p.out.Lost += t.Lost
		p.out.GapMillis = greater(p.out.GapMillis, probe.GapMillis)
		p.out.NoiseMillis = greater(p.out.NoiseMillis, noise)
		p.out.ReturnGapMillis = greater(p.out.ReturnGapMillis, probe.ReturnGapMillis)
	}
}

func greater(old *v1alpha1.Millis, m v1alpha1.Millis) *v1alpha1.Millis {
	if old == nil || m > *old {
		return &m
	}
	return old
}

// addOwners draws when each node had how many of the addresses, by its reports.
func (p *report) addOwners() {
	last := map[string]v1alpha1.FailoverOwner{}
	for _, s := range p.Before {
		last[s.Node] = v1alpha1.FailoverOwner{
			Node: s.Node, FailoverSpan: v1alpha1.FailoverSpan{FromMillis: p.since(p.Begin)}, Addresses: p.count(s),
		}
	}
	var all []v1alpha1.FailoverOwner
	closeAt := func(o v1alpha1.FailoverOwner, at v1alpha1.Millis) {
		if o.ToMillis = at; o.Addresses > 0 && o.ToMillis > o.FromMillis {
			all = append(all, o)
		}
	}
	for _, o := range p.Seen {
		node, at := o.Status.Node, p.since(p.clocks.of(o.Status.Node, o.Status.Reported))
		now := v1alpha1.FailoverOwner{
			Node: node, FailoverSpan: v1alpha1.FailoverSpan{FromMillis: at}, Addresses: p.count(o.Status),
		}
		if old, ok := last[node]; ok {
			if old.Addresses == now.Addresses {
				continue
			}
			closeAt(old, at)
		}
		last[node] = now
	}
	for _, o := range last {
		closeAt(o, p.since(p.End))
	}
	slices.SortFunc(all, func(a, b v1alpha1.FailoverOwner) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.FromMillis, b.FromMillis))
	})
	p.out.Owners = all
}

// count is how many of the plan's addresses a node reports.
func (p *report) count(s nodeconfig.Status) int {
	n := 0
	for _, a := range s.Holding {
		if p.moves(a) {
			n++
		}
	}
	return n
}
