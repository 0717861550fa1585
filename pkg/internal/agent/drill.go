package agent

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/cut"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// reasonDrill is to shut, to withhold and to suspend.
const reasonDrill = "drill"

// drills performs the faults that are ordered, one at a time, and always undoes them:
//
//	        a new order                  deadline, order gone, daemon told to end
//	Ready ───────────────► Running ───────────────────────────────────────────────► Restored
//	  │ refused               │ daemon killed
//	  ▼                       ▼
//	Refused                 next start: Restored before anything is announced
//
// What a drill changes is written down before it is changed, and undone until it is: on the disk a drill is Running as
// long as anything may be left of it. A drill that was ordered before this daemon first heard the orders is never
// performed: nobody is watching it any more. Nor is one while another node may be in a drill of its own: two lost nodes
// at once are a loss that nobody has asked for. All orders are in one object, so that of two the later is refused.
type drills struct {
	agent *Agent
	// still keeps everything as it is for a kind of fault, fault returns how to do it, share the node's part, and mend
	// takes away a cut that nobody remembers.
	still func(context.Context, nodeconfig.DrillKind) error
	fault func(nodeconfig.DrillKind) func(context.Context) (undo, error)
	share func() nodeconfig.Share
	mend  func() error
	// news holds a token when the order may be another.
	news chan struct{}

	mu    sync.Mutex
	heard bool
	// wanted is the order; late is one that was there when orders were first heard.
	wanted, late *nodeconfig.Drill
	// others are the drills that the other nodes are ordered to perform, by node.
	others map[string]otherDrill

	// What follows belongs to run.

	// seen are the IDs that were dealt with.
	seen map[string]bool
	// running is the drill in force, nil for none; undo ends it.
	running *nodeconfig.Drill
	undo    func(context.Context) error
	status  nodeconfig.DrillStatus
}

func newDrills(a *Agent) *drills {
	return &drills{
		agent: a, still: a.still, fault: a.fault, mend: cut.Mend,
		share: func() nodeconfig.Share { return a.track.snapshot().Share },
		news:  make(chan struct{}, 1), seen: make(map[string]bool),
	}
}

// drillName is the file of the last drill, in the state directory.
const drillName = "drill.json"

func (o Options) drillPath() string { return filepath.Join(o.StateDir, drillName) }

// ordered says what the nodes' orders are now. It may be called from everywhere at once.
func (d *drills) ordered(orders map[string]nodeconfig.Order) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := orders[d.agent.opts.Node].Drill
	d.others = otherDrills(d.others, orders, d.agent.opts.Node, time.Now())
	if !d.heard {
		d.late = o
	}
	d.heard, d.wanted = true, o
	poke(d.news)
}

// recall learns whether a former daemon has left a drill behind. It keeps the node from announcing anything until
// [drills.run] has cleared that away, and is called before keepalived is adopted.
func (d *drills) recall() {
	a := d.agent
	if err := readJSON(a.opts.drillPath(), &d.status); err != nil {
		a.opts.Log.Error("whether a drill was left behind is not known; it is cleared away", "error", err)
		d.status.State = nodeconfig.DrillRunning
	}
	if d.status.ID != "" {
		a.track.drill(d.status)
	}
	if d.status.State == nodeconfig.DrillRunning {
		a.Shut(reasonDrill, "a drill was left behind")
		a.suspension.set(reasonDrill, true) // nothing is being changed yet
		d.undo = a.reunite
	}
}

// run performs and ends drills until the context is done.
func (d *drills) run(ctx context.Context) {
	if d.undo != nil {
		d.restore(ctx, "lb-daemon ended in the drill, and restored the node when it was back")
	} else if err := d.mend(); err != nil {
		d.agent.opts.Log.Info("it is not known whether a drill has left a cut behind", "error", err)
	}
	var deadline <-chan time.Time
	for ctx.Err() == nil {
		ending := ""
		select {
		case <-ctx.Done():
			ending = "lb-daemon ended"
		case <-deadline:
			ending = "its time was over"
		case <-d.news:
		}
		deadline = d.follow(ctx, ending, deadline)
	}
	if d.running != nil {
		d.restore(ctx, "lb-daemon ended")
	}
}

// follow does what is ordered now, and ends what is not, or for another reason where there is one. It returns when the
// drill in force has to end; deadline is when it had to until now.
func (d *drills) follow(ctx context.Context, ending string, deadline <-chan time.Time) <-chan time.Time {
	next, late := d.order()
	if late != nil && d.isNew(late.ID) && late.ID != d.status.ID {
		d.refuse(*late, "it was ordered before lb-daemon started")
	}
	if d.running != nil {
		if ending == "" && (next == nil || next.ID != d.running.ID) {
			ending = "the order was taken away"
		}
		if ending == "" {
			return deadline
		}
		if !d.restore(ctx, ending) {
			return nil
		}
	}
	if next == nil || ctx.Err() != nil || !d.isNew(next.ID) {
		return nil
	}
	return d.begin(ctx, *next)
}

func (d *drills) order() (wanted, late *nodeconfig.Drill) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wanted, d.late
}

// isNew reports whether a drill was not dealt with, which it is from now on.
func (d *drills) isNew(id string) bool {
	seen := d.seen[id]
	d.seen[id] = true
	return !seen
}

// begin performs a drill and returns when it has to end; nil for a drill that was refused.
func (d *drills) begin(ctx context.Context, o nodeconfig.Drill) <-chan time.Time {
	fault, why := d.judge(o)
	if why != "" {
		d.refuse(o, why)
		return nil
	}
	if err := d.still(ctx, o.Kind); err != nil {
		d.refuse(o, err.Error())
		return nil
	}
	d.status = nodeconfig.DrillStatus{ID: o.ID, Kind: o.Kind, State: nodeconfig.DrillRunning, Started: time.Now()}
	if err := d.write(); err != nil {
		d.agent.Resume(reasonDrill)
		d.refuse(o, fmt.Sprintf("it could not be written down, and so not be undone for sure: %v", err))
		return nil
	}
	d.agent.opts.Log.Warn("a drill begins", "id", o.ID, "kind", o.Kind, "by", o.By, "duration", time.Duration(o.Duration))
	undo, err := fault(ctx)
	if err != nil {
		d.undo = undo
		if d.undone(ctx) {
			d.refuse(o, err.Error())
		}
		return nil
	}
	d.running, d.undo = &o, undo
	d.publish()
	return time.After(time.Duration(o.Duration))
}

// forgotten is the age at which nobody stands behind an order any more, whatever kept the node from hearing of it.
const forgotten = nodeconfig.MaxDrill + nodeconfig.StaleAfter

// judge returns the fault that a drill asks for, or why it is refused.
func (d *drills) judge(o nodeconfig.Drill) (fault func(context.Context) (undo, error), why string) {
	fault = d.fault(o.Kind)
	share := d.share()
	switch {
	case fault == nil:
		why = fmt.Sprintf("there is no drill %q", o.Kind)
	case o.Duration <= 0 || time.Duration(o.Duration) > nodeconfig.MaxDrill:
		why = fmt.Sprintf("a drill lasts up to %s, not %s", nodeconfig.MaxDrill, time.Duration(o.Duration))
	case !o.Requested.IsZero() && time.Since(o.Requested).Abs() > forgotten:
		why = fmt.Sprintf("it was asked for at %s, and this node's clock says %s",
			o.Requested.UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339))
	case d.other(time.Now()) != "":
		why = fmt.Sprintf("node %s is ordered to perform a drill, too, and one node at a time is enough; "+
			"wait for its end", d.other(time.Now()))
	case share.State != nodeconfig.ShareServing:
		why = fmt.Sprintf("the node does not carry its share: it is %s", share.State)
		if share.Reason != "" {
			why += " (" + share.Reason + ")"
		}
	}
	return fault, why
}

// restoreWithin bounds one attempt to end a drill. The next comes after restoreFirst, then twice as late each time up
// to restoreLongest.
const (
	restoreWithin  = 5 * time.Second
	restoreFirst   = 500 * time.Millisecond
	restoreLongest = 10 * time.Second
)

// undone undoes the fault, as often as it takes. It gives up when the context is done and one more attempt has failed;
// the next daemon finds the drill on the disk then, and goes on.
func (d *drills) undone(ctx context.Context) bool {
	undo := d.undo
	d.running, d.undo = nil, nil
	for wait := restoreFirst; ; wait = min(2*wait, restoreLongest) {
		last := ctx.Err() != nil
		inner, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreWithin)
		err := undo(inner)
		cancel()
		if err == nil {
			return true
		}
		d.agent.opts.Log.Error("a drill is not undone yet", "id", d.status.ID, "kind", d.status.Kind, "error", err)
		d.status.Message = fmt.Sprintf("it is not undone yet, and tried again: %v", err)
		d.agent.track.drill(d.status)
		if last {
			return false
		}
		pause(ctx, wait)
	}
}

// restore ends the drill in force, though the context may be done, and reports whether it could.
func (d *drills) restore(ctx context.Context, why string) bool {
	if !d.undone(ctx) {
		return false
	}
	d.status.State, d.status.Ended, d.status.Message = nodeconfig.DrillRestored, time.Now(), why
	if err := d.write(); err != nil {
		d.agent.opts.Log.Error("the end of a drill is not written down", "error", err)
	}
	d.agent.opts.Log.Warn("a drill has ended", "id", d.status.ID, "kind", d.status.Kind, "why", why)
	d.publish()
	return true
}

func (d *drills) refuse(o nodeconfig.Drill, why string) {
	d.status = nodeconfig.DrillStatus{ID: o.ID, Kind: o.Kind, State: nodeconfig.DrillRefused, Message: why}
	d.status.Ended = time.Now()
	if err := d.write(); err != nil {
		d.agent.opts.Log.Warn("the refusal of a drill is not written down", "error", err)
	}
	d.agent.opts.Log.Warn("a drill is refused", "id", o.ID, "kind", o.Kind, "why", why)
	d.publish()
}

func (d *drills) publish() {
	d.agent.opts.Metrics.drilled(d.status)
	d.agent.track.drill(d.status)
}

func (d *drills) write() error { return writeJSON(d.agent.opts.drillPath(), d.status) }

// drill says what became of the last drill.
func (t *tracker) drill(s nodeconfig.DrillStatus) {
	t.update(func(status *nodeconfig.Status) { status.Drill = &s })
}
