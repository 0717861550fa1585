package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/owner"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// Options describe a run.
type Options struct {
	// Name is the lab's.
	Name string
	// Seed and Length decide the plan.
	Seed   uint64
	Length time.Duration
	// Addresses is how many are served and judged; default 20.
	Addresses int
	// Out takes a line a fault; nil keeps it quiet.
	Out io.Writer
}

// runner is a run under way.
type runner struct {
	rig     *rig.Rig
	out     io.Writer
	begun   time.Time
	clients []string
	watch   *owner.Watch
	probes  *probes
	gifts   *gifts

	mu      sync.Mutex
	history History
}

// Run starts a lab, breaks it by the plan and returns what happened. An error says that the run itself could not be
// made; what the fleet did wrong is for [Check]. The lab is gone when it returns.
func Run(ctx context.Context, o Options) (history History, err error) {
	if o.Addresses == 0 {
		o.Addresses = 20
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	lab, err := rig.Up(ctx, rig.Options{Name: o.Name, LBNodes: 3, Workers: 2, Clients: 2, Progress: o.Out})
	if err != nil {
		return nil, err
	}
	defer lab.Down()
	r := &runner{rig: lab, out: o.Out}
	for _, c := range lab.Lab.Info().Clients {
		r.clients = append(r.clients, c.Name)
	}
	addresses, err := r.install(ctx, o.Addresses)
	if err != nil {
		return nil, err
	}
	if err := r.observe(ctx, addresses); err != nil {
		return nil, err
	}
	plan := NewPlan(o.Seed, o.Length, lab.LBNodes())
	fmt.Fprintf(r.out, "seed %d: %d faults in %s\n", o.Seed, len(plan), o.Length)
	r.note(Record{What: Remark, Note: fmt.Sprintf("seed %d, length %s", o.Seed, o.Length)})
	r.play(ctx, plan)
	err = r.settle(ctx, addresses)
	collectErr := r.collect(addresses)
	return r.history, errors.Join(err, collectErr, context.Cause(ctx))
}

// install brings the product and its load balancers up.
func (r *runner) install(ctx context.Context, n int) ([]netip.Addr, error) {
	if err := r.rig.Install(ctx); err != nil {
		return nil, err
	}
	if err := r.rig.ApplyFile(ctx, "examples/coffee-app.yaml"); err != nil {
		return nil, err
	}
	if err := r.rig.WaitService(ctx, "default", "coffee-svc"); err != nil {
		return nil, err
	}
	maps := r.rig.Client.CoreV1().ConfigMaps("default")
	var addresses []netip.Addr
	for i := range n {
		if _, err := maps.Create(ctx, loadBalancer(fmt.Sprintf("chaos-%02d", i)), metav1.CreateOptions{}); err != nil {
			return nil, err
		}
	}
	for i := range n {
		ip, err := r.rig.WaitServing(ctx, "default", fmt.Sprintf("chaos-%02d", i))
		if err != nil {
			return nil, err
		}
		a, err := netip.ParseAddr(ip)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, a)
	}
	return addresses, rig.Wait(ctx, time.Minute, "the fleet to settle", func() (bool, string) {
		return r.home(ctx, addresses)
	})
}

// observe begins the history.
func (r *runner) observe(ctx context.Context, addresses []netip.Addr) (err error) {
	r.begun = time.Now()
	var nodes []fabric.Node
	for _, n := range r.rig.Lab.Info().Nodes {
		if n.Role == fabric.RoleLB {
			nodes = append(nodes, n)
		}
	}
	r.history = History{{What: Began, Nodes: r.rig.LBNodes(), Clients: r.clients, Addresses: addresses}}
	if r.watch, err = owner.Start(nodes); err != nil {
		return err
	}
	if r.gifts, err = followGifts(ctx, r); err != nil {
		return err
	}
	r.probes, err = startProbes(ctx, r, addresses)
	return err
}

func (r *runner) since() time.Duration { return time.Since(r.begun) }

func (r *runner) note(record Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if record.At == 0 {
		record.At = r.since()
	}
	r.history = append(r.history, record)
}

// play performs the plan. A fault that could not be made (nothing to kill, because it is just dead) is a remark.
func (r *runner) play(ctx context.Context, plan []Step) {
	var wg sync.WaitGroup
	for _, s := range plan {
		if !pause(ctx, s.At-r.since()) {
			break
		}
		wg.Go(func() { r.perform(ctx, s) })
	}
	wg.Wait()
}

func (r *runner) perform(ctx context.Context, s Step) {
	fmt.Fprintf(r.out, "%8.1f s  %s\n", r.since().Seconds(), s)
	begun := time.Now()
	r.note(Record{What: Broken, ID: s.ID, Kind: s.Kind, Node: s.Node})
	if err := r.begin(ctx, s); err != nil {
		r.note(Record{What: Remark, ID: s.ID, Note: "begin: " + err.Error()})
	}
	pause(ctx, s.For-time.Since(begun))
	// What was broken is mended also when the run is given up: others' tests come next.
	if err := r.end(context.WithoutCancel(ctx), s); err != nil {
		r.note(Record{What: Remark, ID: s.ID, Note: "end: " + err.Error()})
	}
	r.note(Record{What: Mended, ID: s.ID, Kind: s.Kind, Node: s.Node})
}
