package controller

import (
	"testing"
	"testing/synctest"
	"time"
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
