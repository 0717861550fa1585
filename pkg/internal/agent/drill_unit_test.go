package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// stage is a drills whose faults only write down that they were done and undone.
type stage struct {
	*drills
	log   []string
	start time.Time
	share nodeconfig.Share
	// fails are the faults that do, stuck how often undoing one is yet to fail.
	fails map[nodeconfig.DrillKind]bool
	stuck int
	// changing keeps a fault from being done.
	changing error
	// others is the order of the node n2.
	others *nodeconfig.Drill
	end    func()
}

// newStage returns one that runs until end is called. dir has what a former one left.
func newStage(t *testing.T, dir string) *stage {
	t.Helper()
	a := &Agent{
		opts:       Options{Node: "n1", StateDir: dir, Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(nil)},
		suspension: newSuspension(),
	}
	a.track = newTracker(a)
	s := &stage{
		drills: newDrills(a), start: time.Now(), share: nodeconfig.Share{State: nodeconfig.ShareServing},
		fails: make(map[nodeconfig.DrillKind]bool),
	}
	s.drills.share = func() nodeconfig.Share { return s.share }
	s.still = func(context.Context, nodeconfig.DrillKind) error { return s.changing }
	s.mend = func() error { s.note("mend"); return nil }
	s.drills.fault = func(kind nodeconfig.DrillKind) func(context.Context) (undo, error) {
		if !kind.Valid() {
			return nil
		}
		return func(context.Context) (undo, error) {
			s.note("do " + string(kind))
			var err error
			if s.fails[kind] {
				err = errors.New("it cannot be done")
			}
			return func(context.Context) error {
				if s.stuck > 0 {
					s.stuck--
					s.note("cannot undo " + string(kind))
					return errors.New("the kernel is busy")
				}
				s.note("undo " + string(kind))
				return nil
			}, err
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	s.end = func() {
		cancel()
		<-done
	}
	go func() {
		defer close(done)
		s.run(ctx)
	}()
	return s
}

func (s *stage) note(what string) {
	s.log = append(s.log, fmt.Sprintf("%s %s", time.Since(s.start), what))
}

// order gives an order, lets what follows happen, and returns the drill's state and message.
func (s *stage) order(d *nodeconfig.Drill) (nodeconfig.DrillState, string) {
	orders := map[string]nodeconfig.Order{"n1": {Drill: d}, "n2": {Drill: s.others}}
	s.ordered(orders)
	return s.after(0)
}

func (s *stage) after(d time.Duration) (nodeconfig.DrillState, string) {
	time.Sleep(d)
	synctest.Wait()
	if now := s.agent.Status().Drill; now != nil {
		return now.State, now.Message
	}
	return "", ""
}

func lasting(id string, kind nodeconfig.DrillKind, d time.Duration) *nodeconfig.Drill {
	return &nodeconfig.Drill{ID: id, Kind: kind, Duration: nodeconfig.Duration(d)}
}

func (s *stage) did(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(s.log, want) {
		t.Errorf("it did %q, want %q", s.log, want)
	}
}

func expect(t *testing.T, want nodeconfig.DrillState, words string) func(nodeconfig.DrillState, string) {
	t.Helper()
	return func(got nodeconfig.DrillState, message string) {
		t.Helper()
		if got != want || !strings.Contains(message, words) {
			t.Errorf("the drill is %s: %q, want %s: %q", got, message, want, words)
		}
	}
}

// TestDrillsByTheClock ends a drill when its time is over, not later, whatever is repeated meanwhile.
func TestDrillsByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, t.TempDir())
		defer s.end()
		s.order(nil)
		d := lasting("a", nodeconfig.DrillCrash, 20*time.Second)
		expect(t, nodeconfig.DrillRunning, "")(s.order(d))
		time.Sleep(15 * time.Second)
		expect(t, nodeconfig.DrillRunning, "")(s.order(d))
		expect(t, nodeconfig.DrillRunning, "")(s.after(4999 * time.Millisecond))
		expect(t, nodeconfig.DrillRestored, "its time was over")(s.after(time.Millisecond))
		expect(t, nodeconfig.DrillRestored, "its time was over")(s.order(d))
		expect(t, nodeconfig.DrillRestored, "")(s.after(time.Hour))
		s.did(t, "0s mend", "0s do crash", "20s undo crash")
	})
}

// TestDrillsByTheOrder ends a drill with its order, or for another one.
func TestDrillsByTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, t.TempDir())
		s.order(nil)
		s.order(lasting("a", nodeconfig.DrillNginx, time.Minute))
		time.Sleep(time.Second)
		expect(t, nodeconfig.DrillRestored, "the order was taken away")(s.order(nil))
		s.order(lasting("b", nodeconfig.DrillIsolate, time.Minute))
		time.Sleep(time.Second)
		expect(t, nodeconfig.DrillRunning, "")(s.order(lasting("c", nodeconfig.DrillDrain, time.Minute)))
		time.Sleep(time.Second)
		s.end()
		expect(t, nodeconfig.DrillRestored, "lb-daemon ended")(s.after(0))
		s.did(t, "0s mend", "0s do nginx", "1s undo nginx", "1s do isolate", "2s undo isolate", "2s do drain", "3s undo drain")
	})
}

func TestDrillsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, t.TempDir())
		defer s.end()
		expect(t, nodeconfig.DrillRefused, "before lb-daemon started")(s.order(lasting("old", nodeconfig.DrillCrash, time.Second)))
		for _, d := range []*nodeconfig.Drill{
			lasting("1", "meteor", time.Second), lasting("2", nodeconfig.DrillCrash, 0),
			lasting("3", nodeconfig.DrillCrash, nodeconfig.MaxDrill+1), lasting("4", nodeconfig.DrillCrash, -1),
		} {
			expect(t, nodeconfig.DrillRefused, "drill")(s.order(d))
		}
		s.share = nodeconfig.Share{State: nodeconfig.ShareHolding, Reason: "waits"}
		expect(t, nodeconfig.DrillRefused, "it is Holding (waits)")(s.order(lasting("5", nodeconfig.DrillDrain, time.Second)))
		s.did(t, "0s mend")
		s.share.State, s.changing = nodeconfig.ShareServing, errChanging
		expect(t, nodeconfig.DrillRefused, "being changed")(s.order(lasting("busy", nodeconfig.DrillCrash, time.Second)))
		s.did(t, "0s mend")
		s.changing = nil
		s.fails[nodeconfig.DrillIsolate] = true
		expect(t, nodeconfig.DrillRefused, "it cannot be done")(s.order(lasting("6", nodeconfig.DrillIsolate, time.Second)))
		s.did(t, "0s mend", "0s do isolate", "0s undo isolate")
		s.agent.opts.StateDir = "/nowhere"
		expect(t, nodeconfig.DrillRefused, "written down")(s.order(lasting("7", nodeconfig.DrillCrash, time.Second)))
		s.did(t, "0s mend", "0s do isolate", "0s undo isolate")
	})
}

// TestDrillsRemember has the state on the disk before the fault is done, so that the next daemon knows.
func TestDrillsRemember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := newStage(t, dir)
		defer s.end()
		s.order(nil)
		s.order(lasting("a", nodeconfig.DrillCrash, time.Minute))
		var left nodeconfig.DrillStatus
		if err := readJSON(s.agent.opts.drillPath(), &left); err != nil || left.ID != "a" || left.State != nodeconfig.DrillRunning {
			t.Errorf("on the disk is %+v, %v", left, err)
		}
		s.order(nil)
		if err := readJSON(s.agent.opts.drillPath(), &left); err != nil || left.State != nodeconfig.DrillRestored {
			t.Errorf("on the disk is %+v, %v", left, err)
		}
	})
}

// TestDrillsUndone has a fault that cannot be undone at first: it is tried again, and the drill is Running until then,
// here and on the disk.
func TestDrillsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := newStage(t, dir)
		defer s.end()
		s.order(nil)
		s.stuck = 2
		s.order(lasting("a", nodeconfig.DrillIsolate, time.Minute))
		expect(t, nodeconfig.DrillRunning, "not undone yet, and tried again: the kernel is busy")(s.order(nil))
		var left nodeconfig.DrillStatus
		if err := readJSON(s.agent.opts.drillPath(), &left); err != nil || left.State != nodeconfig.DrillRunning {
			t.Errorf("on the disk is %+v, %v", left, err)
		}
		expect(t, nodeconfig.DrillRestored, "the order was taken away")(s.after(2 * time.Second))
		s.stuck, s.fails[nodeconfig.DrillCrash] = 1, true
		expect(t, nodeconfig.DrillRunning, "not undone yet")(s.order(lasting("b", nodeconfig.DrillCrash, time.Minute)))
		expect(t, nodeconfig.DrillRefused, "it cannot be done")(s.after(time.Second))
		s.did(t, "0s mend", "0s do isolate", "0s cannot undo isolate", "500ms cannot undo isolate", "1.5s undo isolate",
			"2s do crash", "2s cannot undo crash", "2.5s undo crash")
	})
}

// TestDrillsLeft is a daemon that ends while a fault cannot be undone: the next one goes on.
func TestDrillsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, t.TempDir())
		s.order(nil)
		s.stuck = 100
		s.order(lasting("a", nodeconfig.DrillIsolate, time.Minute))
		s.order(nil)
		s.end()
		var left nodeconfig.DrillStatus
		if err := readJSON(s.agent.opts.drillPath(), &left); err != nil || left.State != nodeconfig.DrillRunning {
			t.Errorf("on the disk is %+v, %v", left, err)
		}
	})
}

// TestDrillsOneAtATime refuses a drill while another node may be in one, by this node's clock, and not for one that its
// node does not perform.
func TestDrillsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, t.TempDir())
		defer s.end()
		s.order(nil)
		s.others = lasting("theirs", nodeconfig.DrillCrash, 20*time.Second)
		s.others.Requested = time.Now().Add(-time.Minute) // their clock is wrong
		expect(t, nodeconfig.DrillRefused, "node n2 is ordered to perform a drill, too")(
			s.order(lasting("a", nodeconfig.DrillDrain, time.Second)))
		time.Sleep(20 * time.Second)
		expect(t, nodeconfig.DrillRefused, "node n2")(s.order(lasting("b", nodeconfig.DrillDrain, time.Second)))
		time.Sleep(restoreWithin)
		expect(t, nodeconfig.DrillRunning, "")(s.order(lasting("c", nodeconfig.DrillDrain, time.Minute)))
		s.others = lasting("later", nodeconfig.DrillCrash, time.Second)
		expect(t, nodeconfig.DrillRunning, "")(s.order(lasting("c", nodeconfig.DrillDrain, time.Minute)))
		s.order(nil)
		s.others = nil
		expect(t, nodeconfig.DrillRunning, "")(s.order(lasting("d", nodeconfig.DrillDrain, time.Minute)))
		s.order(nil)
		for i, none := range []nodeconfig.Drill{
			{ID: "x", Kind: "meteor", Duration: nodeconfig.Duration(time.Minute)},
			{ID: "x", Kind: nodeconfig.DrillCrash, Duration: nodeconfig.Duration(time.Hour)},
			{ID: "x", Kind: nodeconfig.DrillCrash},
			{ID: "x", Kind: nodeconfig.DrillCrash, Duration: nodeconfig.Duration(time.Minute), Requested: time.Now().Add(-time.Hour)},
		} {
			s.others = &none
			expect(t, nodeconfig.DrillRunning, "")(s.order(lasting(fmt.Sprint("n", i), nodeconfig.DrillDrain, time.Minute)))
			s.order(nil)
		}
	})
}
