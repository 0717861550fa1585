package controller

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// A change is taken at once, a storm of them in few passes, and the last one of it always.
func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		passes := 0
		p := newPacer(func() { passes++ })
		for range podBurst {
			p.nudge()
		}
		if passes != podBurst {
			t.Errorf("%d passes at once, not %d", passes, podBurst)
		}
		for range 10_000 {
			p.nudge()
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if passes < podBurst+8 || passes > podBurst+11 {
			t.Errorf("%d passes after 10 s", passes)
		}
		last := passes
		p.nudge()
		time.Sleep(2 * time.Second)
		if passes == last {
			t.Error("the last change was not taken")
		}
		last = passes
		time.Sleep(time.Minute)
		if passes != last {
			t.Errorf("%d passes for nothing", passes-last)
		}
		p.nudge()
		if passes != last+1 {
			t.Error("a change after a rest was not taken at once")
		}
	})
}

// Changes that never end make fewer passes after a while, and those of one Service fewer still.
func TestPacerOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, own := 0, 0
		p, q := newPacer(func() { all++ }), newOwnPacer(func() { own++ })
		for range 36_000 {
			p.nudge()
			q.nudge()
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		for _, c := range []struct {
			passes int
			want   float64
		}{{all, podReserve + podLasting*3600}, {own, ownReserve + ownLasting*3600}} {
			if math.Abs(float64(c.passes)-c.want) > 3 {
				t.Errorf("%d passes in an hour, not %v", c.passes, c.want)
			}
		}
		time.Sleep(time.Hour)
		before := all
		for range 60 { // a rollout after a rest
			p.nudge()
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := all - before; n < 59 {
			t.Errorf("%d passes of 60", n)
		}
	})
}

// TestRestlessService: a Service whose pods come and go for ever is not shown with every change of others.
func TestRestlessService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shown := 0
		w := &podWatch{services: map[lb.Key]*sliceStore{}}
		w.changed = func() { w.due.Store(true) }
		s := &sliceStore{read: true}
		s.changed = newOwnPacer(func() { s.released.Store(true); w.changed() }).nudge
		key := lb.Key{Namespace: "default", Name: "restless"}
		w.services[key] = s
		for range 1200 {
			s.changed()
			w.due.Store(true) // somebody else's turn
			w.follow(t.Context(), map[lb.Key]bool{key: true})
			if s.renew {
				shown++
			}
			if _, err := s.list(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if most := ownReserve + int(ownLasting*1200) + 2; shown > most || shown < most-10 {
			t.Errorf("it was shown %d times in 20 min, not %d", shown, most)
		}
	})
}
