package agent

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/share"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// weightDirName is the directory of the groups' weights, in the run directory.
const weightDirName = "weight"

func (o Options) weightDir() string { return filepath.Join(o.RunDir, weightDirName) }

// stance is the node's part in the fleet and the files that tell keepalived about it. Whatever changes it is in the
// files when the call returns, so that it never waits for the loop. It may be used from everywhere at once.
type stance struct {
	gate    *driver.Gate
	weights *driver.Weights
	log     *slog.Logger
	// publish says what came of a change.
	publish func(nodeconfig.Share, []int)
	// changed holds a token when the time of the next step may be another.
	changed chan struct{}

	mu      sync.Mutex
	begun   bool
	machine share.Machine
	in      share.Input
	next    time.Time
	state   nodeconfig.ShareState
}

func newStance(o Options, publish func(nodeconfig.Share, []int)) *stance {
	return &stance{
		gate: &driver.Gate{Path: o.gatePath()}, weights: &driver.Weights{Dir: o.weightDir()},
		log: o.Log, publish: publish, changed: make(chan struct{}, 1),
		in: share.Input{
			Silence: "it has no configuration yet", Withhold: make(map[string]string),
			Shut: map[string]string{reasonNginx: "nginx has not served yet"},
		},
	}
}

// load makes the files, shut and withheld where there are none, and learns what a former daemon has left in them.
func (s *stance) load() (withheld map[int]bool, err error) {
	if err := s.gate.Make(); err != nil {
		return nil, err
	}
	return s.weights.Load()
}

// begin makes the files follow from now on. withheld is what they say where a keepalived goes on that follows them, nil
// where there is none; serves says that nginx has been seen to.
func (s *stance) begin(withheld map[int]bool, holdTime time.Duration, serves bool) {
	s.mu.Lock()
	s.begun = true
	s.mu.Unlock()
	s.change(func(in *share.Input) {
		in.HoldTime, in.Announcing = holdTime, withheld != nil
		if serves && s.gate.Open() {
			delete(in.Shut, reasonNginx)
		}
		var released []int
		for g, w := range withheld {
			in.Groups = append(in.Groups, g)
			if !w {
				released = append(released, g)
			}
		}
		slices.Sort(in.Groups)
		s.machine.Adopt(released)
	})
}

// configure says what the configuration has for the node.
func (s *stance) configure(c *candidate) {
	s.change(func(in *share.Input) {
		in.Groups, in.Alone, in.Silence = nil, true, c.silence
		in.HoldTime = time.Duration(c.view.Timing.HoldTime)
		for _, i := range c.announced() {
			in.Groups = append(in.Groups, i.Group)
			in.Alone = in.Alone && len(i.Peers) == 0
		}
		slices.Sort(in.Groups)
		in.Groups = slices.Compact(in.Groups)
	})
}

// silent says that the node takes part in nothing.
func (s *stance) silent(why string) {
	s.change(func(in *share.Input) { in.Groups, in.Announcing, in.Holding, in.Silence = nil, false, false, why })
}

// announcing says whether keepalived runs.
func (s *stance) announcing(runs bool) {
	s.change(func(in *share.Input) { in.Announcing = runs })
}

// holding says whether the node has addresses.
func (s *stance) holding(has bool) {
	s.change(func(in *share.Input) { in.Holding = has })
}

// alone reports whether nobody could take the addresses.
func (s *stance) alone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.Alone
}

// isShut reports whether there is that reason to shut the gate.
func (s *stance) isShut(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, shut := s.in.Shut[name]
	return shut
}

// change changes the input and makes the files follow.
func (s *stance) change(f func(*share.Input)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.in)
	if !s.begun {
		return // a keepalived that is about to be adopted must not notice
	}
	out := s.machine.Step(time.Now(), s.in)
	s.next = out.Next
	if err := s.enforce(out); err != nil {
		s.log.Error("keepalived cannot be told what to carry", "error", err)
		s.next = time.Now().Add(time.Second)
	}
	if out.Share.State != s.state {
		s.state = out.Share.State
		s.log.Info("the node's share", "state", out.Share.State, "reason", out.Share.Reason)
	}
	s.publish(out.Share, out.Withheld)
	poke(s.changed)
}

// enforce writes the files. A gate is opened last and shut first, so that nothing is taken that is to be withheld.
func (s *stance) enforce(out share.Output) error {
	var errs []error
	if !out.Open {
		errs = append(errs, s.gate.Set(false))
	}
	for _, g := range s.in.Groups {
		errs = append(errs, s.weights.Set(g, slices.Contains(out.Withheld, g)))
	}
	if err := errors.Join(errs...); err != nil || !out.Open {
		return err
	}
	return s.gate.Set(true)
}

// follow lets time pass.
func (s *stance) follow(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		next := s.next
		s.mu.Unlock()
		timer := time.NewTimer(time.Until(next))
		due := timer.C
		if next.IsZero() {
			due = nil
		}
		select {
		case <-ctx.Done():
		case <-s.changed:
		case <-due:
			s.change(func(*share.Input) {})
		}
		timer.Stop()
	}
}

// Hold withholds the node's groups until [Agent.Release] is called with the same name: other nodes take them over, make
// before break, and what none can take stays. The reason is for people. It is in force when Hold returns. It may be
// called from everywhere at once, and again with another reason.
func (a *Agent) Hold(name, reason string) {
	a.stance.change(func(in *share.Input) { in.Withhold[name] = reason })
}

// Release takes a reason to withhold away; unknown names do nothing. The node has its share back when no reason is left
// and it has been well for the hold time.
func (a *Agent) Release(name string) {
	a.stance.change(func(in *share.Input) { delete(in.Withhold, name) })
}

// Shut shuts the gate until [Agent.Open] is called with the same name: the node gives its addresses up at once. It may
// be called from everywhere at once, and again with another reason.
func (a *Agent) Shut(name, reason string) {
	a.stance.change(func(in *share.Input) { in.Shut[name] = reason })
}

// Open takes a reason to shut the gate away; unknown names do nothing. The gate opens when none is left. The node then
// withholds its groups for the hold time.
func (a *Agent) Open(name string) {
	a.stance.change(func(in *share.Input) { delete(in.Shut, name) })
}

// The names of the agent's own reasons.
const (
	reasonNginx   = "nginx"   // to shut: it does not serve
	reasonDrain   = "drain"   // to withhold: somebody's order
	reasonSilence = "silence" // to withhold: announcing is about to end
)
