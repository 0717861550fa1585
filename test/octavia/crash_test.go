package octavia_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// way is what is wanted, and what the database has once it is there.
type way struct {
	want []lb.LoadBalancer
	tree []string
}

// ways leads through create, update in both directions, and delete.
func ways() []way {
	small := way{[]lb.LoadBalancer{web("web", 1, 80)}, webTree(1, 80)}
	large := way{[]lb.LoadBalancer{web("web", 2, 80, 81)}, webTree(2, 80, 81)}
	return []way{small, large, small, {}}
}

// TestCrash kills the backend at each of its calls that change something, on the way of create, update and delete. The
// next backend knows nothing but which objects there were, and goes on: nothing is left over, or there twice, at no time.
func TestCrash(t *testing.T) {
	t.Parallel()
	crash(t, ways(), 5)
}

// crash goes the ways once undisturbed, to count the calls that change something: at least so many on the longest one.
// Then it goes them again for each of these calls, in a site of its own, with a kill at that call of every way: while it is
// under way, so that it comes through when the next backend is there already, and after it was done. What lies between two
// such calls is covered by that: reads change nothing, and to be killed before the first one is to start.
func crash(t *testing.T, ways []way, least int) {
	t.Helper()
	most, creates := 0, 0
	s := newSite(t)
	for _, w := range ways {
		s.gate.Reset()
		s.drive(-1, false, w.want)
		s.becomes(w)
		writes := 0
		for _, c := range s.gate.Calls() {
			if c.Write() {
				writes++
			}
		}
		t.Logf("%d calls that change something", writes)
		most, creates = max(most, writes), creates+s.posts()
	}
	if most < least {
		t.Fatalf("only %d calls that change something; the test is blind", most)
	}
	for n := range most {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("call=%d,done=%t", n+1, done), func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				for _, w := range ways {
					s.drive(n, done, w.want)
					s.becomes(w)
				}
				if made := s.posts(); made != creates {
					t.Errorf("%d load balancers were made, not %d", made, creates)
				}
			})
		}
	}
}

// becomes makes passes as a controller does, until there is nothing but this: a call that takes long may come through at
// any time, and leave what only a later pass can see.
func (s *site) becomes(w way) {
	s.t.Helper()
	const every = 5 * time.Second
	last, have := time.Now(), []string(nil)
	for deadline := last.Add(limit); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if have = s.tree(); cmp.Equal(w.tree, have) && (s.Settled() || len(w.want) == 0) {
			return
		}
		if time.Since(last) > every {
			s.apply(w.want...)
			last = time.Now()
		}
	}
	s.t.Fatalf("not as wanted: %s", cmp.Diff(w.tree, have))
}

// drive brings the backend to what is wanted; nothing means that all is released. It is killed at its call number n that
// changes something, counted from 0, if there is such a call, and another one started.
func (s *site) drive(n int, done bool, want []lb.LoadBalancer) {
	s.t.Helper()
	crash, next := make(chan struct{}), make(chan struct{})
	f := lab.Fault{Writes: true, After: n, Times: 1, Reset: true, Lost: true}
	if done {
		f.Done = func() { close(crash) }
	} else {
		f.Call = func() { close(crash); <-next }
	}
	if n >= 0 {
		s.gate.Break(f)
		defer s.gate.Mend()
	}
	ask := func() {
		s.apply(want...)
		if len(want) == 0 {
			s.Release([]lb.Origin{web("web", 0).Origin})
		}
	}
	ask()
	s.until("done", func() bool {
		select {
		case <-crash:
			crash = nil
			s.restart()
			ask()
			close(next)
		default:
		}
		return s.Settled() && (len(want) > 0 || s.count("") == 0)
	})
}
