package agent

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// churn plays an agent whose configuration changes at every turn, each with a reload of nginx and one of keepalived where
// addresses come and go. It returns how many of nginx there were.
func churn(a *Agent, every, lasts time.Duration, addresses bool) (reloads int) {
	for begun := time.Now(); time.Since(begun) < lasts; {
		a.reloaded("nginx", nil)
		reloads++
		if addresses {
			a.reloaded("keepalived", nil)
		}
		<-a.spacing
		time.Sleep(every)
	}
	return reloads
}

// Changes that never end make fewer reloads of nginx after a while.
func TestReloadsOverTime(t *testing.T) {
	for _, addresses := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a := &Agent{budget: newBudget(), opts: Options{Metrics: NewMetrics(nil)}}
			n := churn(a, 10*time.Millisecond, time.Hour, addresses)
			if want := nginxReserve + nginxLasting*3600; math.Abs(float64(n)-want) > 3 {
				t.Errorf("%d reloads in an hour, not %v", n, want)
			}
			// A rest pays it back.
			time.Sleep(nginxReserve / nginxLasting * time.Second)
			if n := churn(a, time.Second, time.Minute, addresses); n < 58 {
				t.Errorf("%d reloads in a minute after a rest", n)
			}
		})
	}
}

// A bulk creation costs the lasting budget nothing, however it comes.
func TestReloadsOfABurst(t *testing.T) {
	const many = 200
	for _, every := range []time.Duration{0, 600 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			a := &Agent{budget: newBudget(), opts: Options{Metrics: NewMetrics(nil)}}
			begun := time.Now()
			for range many {
				a.reloaded("nginx", nil)
				a.reloaded("keepalived", nil)
				<-a.spacing
				time.Sleep(every)
			}
			if took, most := time.Since(begun), many*max(every+reloadSpacing, 2*time.Second/reloadRate); took > most {
				t.Errorf("%s for %d changes, every %s; not %s", took, many, every, most)
			}
		})
	}
}

// keepalived has no old workers: what concerns it alone is bounded by the short budget only.
func TestReloadsOfKeepalived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &Agent{budget: newBudget(), opts: Options{Metrics: NewMetrics(nil)}}
		begun := time.Now()
		for range 4 * 600 {
			a.reloaded("keepalived", nil)
			<-a.spacing
		}
		if took := time.Since(begun); took > 601*time.Second {
			t.Errorf("%s", took)
		}
	})
}

// Where each reload cuts kept connections, what can wait does after the second change, whatever did not wait meanwhile.
func TestReloadsThatCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &Agent{budget: newBudget(), opts: Options{Metrics: NewMetrics(nil)}}
		begun, reloads := time.Now(), 0
		for time.Since(begun) < time.Minute {
			a.calmDown()
			if a.calm != nil {
				<-a.calm
				a.calm = nil
			}
			reloads++
			time.Sleep(300 * time.Millisecond)
		}
		if want := 1 + keptReserve + int(time.Minute/keptSpacing); reloads > want || reloads < want-1 {
			t.Errorf("%d reloads in a minute, not %d", reloads, want)
		}
		for range 100 { // which did not wait
			a.calmDown()
		}
		if wait := a.budget.harm(); wait > keptSpacing {
			t.Errorf("what can wait does so for %s", wait)
		}
		time.Sleep(2 * keptSpacing)
		if wait := a.budget.harm(); wait > 0 {
			t.Errorf("after a rest, the second change waits for %s", wait)
		}
	})
}
