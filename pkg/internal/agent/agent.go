package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/feed"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/keyring"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// Agent runs a load-balancer node.
type Agent struct {
	opts       Options
	nginx      *driver.Nginx
	keepalived *driver.Keepalived
	stance     *stance
	residence  *residence
	track      *tracker
	mail       mailbox
	expected   expected
	mourner    mourner
	suspension *suspension
	senses     *senses
	drills     *drills
	// owners belongs to [Agent.watchOwners].
	owners *ownerBook
	// speechless keeps [Agent.mourn] from saying goodbye, for a drill of a node's death.
	speechless atomic.Bool
	// astray holds a token when nginx serves a generation that it should not.
	astray chan struct{}

	// What follows belongs to the loop.

	ledger *ledger
	// last is what was seen to run, nil until something was.
	last *candidate
	// nginxID and keepalivedID are the generations that the two programs run now, as far as is known.
	nginxID, keepalivedID string
	nginxKeeper           keeper
	keepalivedKeeper      keeper
	budget                *budget
	prepared              chan result
	preparing, dirty      bool
	// spacing ends the pause after a reload, calm that of changes that can wait; retry starts another attempt at what
	// failed.
	spacing, calm, retry <-chan time.Time
	failures             int
	// asked is what was prepared last, whatever came of it.
	asked *nodeconfig.Config
}

// result is the end of a preparation.
type result struct {
	candidate *candidate
	err       error
}

// mailbox holds the newest update.
type mailbox struct {
	mu     sync.Mutex
	update feed.Update
	ready  chan struct{}
}

func (m *mailbox) put(u feed.Update) {
	m.mu.Lock()
	m.update = u
	m.mu.Unlock()
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

func (m *mailbox) get() feed.Update {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.update
}

// gateName is the gate's file, in the run directory.
const gateName = "gate"

func (o Options) gatePath() string { return filepath.Join(o.RunDir, gateName) }

// New returns an agent. It makes the directories and changes nothing else.
func New(o Options) (*Agent, error) {
	for _, dir := range []string{o.StateDir, o.RunDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make a directory: %w", err)
		}
	}
	var err error
	if o.keys, err = keyring.Open(filepath.Join(o.StateDir, tlsName), o.workerGroup(), o.Log); err != nil {
		return nil, err
	}
	ledger, err := openLedger(o.StateDir)
	if err != nil {
		// It is made again from what will run; only leftovers of what ran before are not known any more.
		o.Log.Error("the ledger cannot be read", "error", err)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	a := &Agent{
		opts: o, nginx: o.newNginx(), keepalived: o.newKeepalived(),
		residence: &residence{sysctls: sysctlRoot, log: o.Log, iface: ledger.Interface, ours: ledger.Addresses},
		mail:      mailbox{ready: make(chan struct{}, 1)}, astray: make(chan struct{}, 1),
		suspension: newSuspension(), senses: newSenses(), owners: newOwnerBook(),
		ledger: ledger, budget: newBudget(), prepared: make(chan result, 1),
	}
	a.track = newTracker(a)
	a.stance = newStance(o, a.track.share)
	a.drills = newDrills(a)
	o.Metrics.observe(a)
	o.Metrics.observeSenses(a)
	return a, nil
}

// Run runs the node until the context is done, then resigns: the peers take over, and nginx and keepalived end.
func (a *Agent) Run(ctx context.Context) error {
	if err := allowForeignAddresses(sysctlRoot); err != nil {
		return err
	}
	saved, err := loadConfig(a.opts.StateDir)
	if err != nil {
		a.opts.Log.Warn("the last good configuration cannot be read; waiting for the controller", "error", err)
	}
	if saved != nil {
		a.obey(saved.Orders[a.opts.Node])
	}
	a.mindWitness(saved)
	a.drills.recall()
	if err := a.adopt(ctx, saved); err != nil {
		return err
	}
	if saved != nil {
		a.mail.put(feed.Update{Config: saved}) // before the feed may know better
	}
	looking, stopLooking := context.WithCancel(ctx)
	defer stopLooking()
	var lookers sync.WaitGroup
	for _, look := range []func(context.Context){
		a.carryLogs, a.watchAddresses, a.watchServing, a.watchAnnouncing, a.stance.follow, a.report,
		a.watchWitness, a.watchOwners, a.watchAdverts, a.drills.run, a.opts.keys.Run,
		func(ctx context.Context) { a.opts.Feed(ctx, saved, a.take) },
	} {
		lookers.Go(func() { look(looking) })
	}
	for ctx.Err() == nil {
		a.step(ctx)
	}
	stopLooking()
	lookers.Wait()
	return a.resign() //nolint:contextcheck // that context is done
}

// pause waits, or not to the end when the context is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// step waits for one thing to happen and deals with it.
func (a *Agent) step(ctx context.Context) {
	a.prepareNext(ctx)
	select {
	case <-ctx.Done():
	case <-a.mail.ready:
		a.dirty = true
		a.receive(a.mail.get())
	case r := <-a.prepared:
		a.preparing = false
		a.finish(ctx, r)
	case <-a.spacing:
		a.spacing = nil
	case <-a.calm:
		a.calm = nil
	case <-a.retry:
		a.retry, a.dirty = nil, true
	case <-a.suspension.over:
	case <-a.astray:
		a.nginxID, a.dirty = "", true // whatever it serves, it is told again
	case <-a.nginxKeeper.died:
		a.nginxKeeper.bury(a, a.nginx.Process())
	case <-a.nginxKeeper.again:
		a.restartNginx(ctx)
	case <-a.keepalivedKeeper.died:
		a.keepalivedKeeper.bury(a, a.keepalived.Process())
	case <-a.keepalivedKeeper.again:
		a.restartKeepalived(ctx)
	}
}

// take takes what the feed brings. The order to begin or end a drill waits for nothing that the loop may be busy with.
func (a *Agent) take(u feed.Update) {
	if u.Config != nil {
		a.drills.ordered(u.Config.Orders)
	}
	if u.Material != nil {
		a.takeMaterial(*u.Material)
	}
	a.mail.put(u)
}

// receive takes note of what needs no preparation.
func (a *Agent) receive(u feed.Update) {
	a.track.findings("feed", u.Findings)
	if u.Config != nil {
		a.obey(u.Config.Orders[a.opts.Node])
	}
}

// prepareNext starts to prepare what is wanted now, unless one is being prepared. What arrives meanwhile waits and is
// taken together.
func (a *Agent) prepareNext(ctx context.Context) {
	config := a.mail.get().Config
	if !a.dirty || a.preparing || a.spacing != nil || config == nil || a.suspension.active() || a.waits(*config) {
		return
	}
	a.dirty, a.preparing, a.asked = false, true, config
	p := preparation{options: a.opts, nginx: a.nginx, keepalived: a.keepalived, last: a.last, senses: a.senses}
	if a.nginx.Alive() {
		p.listening = a.ledger.Listening
	}
	go func() {
		c, err := p.run(ctx, *config)
		a.prepared <- result{c, err}
	}()
}

// finish applies what was prepared, and says what became of it.
func (a *Agent) finish(ctx context.Context, r result) {
	if ctx.Err() != nil {
		return
	}
	if !a.suspension.begin() {
		a.dirty = true
		return
	}
	defer a.suspension.end()
	if r.candidate != nil {
		a.track.wanted(r.candidate.running)
	}
	err := r.err
	if err == nil {
		err = a.apply(ctx, r.candidate)
	}
	if err != nil {
		a.failed(ctx, r.candidate, err)
		return
	}
	a.failures = 0
	if len(r.candidate.findings) > 0 {
		a.retry = time.After(retryRefused) // what is in the way may have gone by then
	}
}

// The pauses before another attempt.
const (
	retryRefused = 30 * time.Second
	retryFirst   = time.Second
	retryLongest = 10 * time.Second
)

// failed reports why the wanted configuration does not run, and tries again later.
func (a *Agent) failed(ctx context.Context, c *candidate, err error) {
	if ctx.Err() != nil {
		return
	}
	wait := min(retryFirst<<min(a.failures, 10), retryLongest)
	a.failures++
	a.retry = time.After(wait)
	a.opts.Log.Error("the wanted configuration does not run; the last good one stays", "error", err, "retry", wait)
	var found []nodeconfig.NodeFinding
	if c != nil {
		found = append(found, c.findings...)
	}
	a.track.findings("configuration", append(found, a.blame(c, err)...))
	if refused, ok := errors.AsType[*driver.RefusedError](err); ok {
		a.opts.Metrics.refused(refused.Program)
	}
}
