package agent

import (
	"time"

	"golang.org/x/time/rate"
)

// The budgets of reloads. A storm of changes is taken in fewer steps: a reload costs CPU, and one of nginx a set of
// workers besides, whose old ones live on until their last connection is over, up to four minutes. A first burst costs
// nothing beyond the short budget: the reserve of the lasting one is enough to create 200 load balancers one after the
// other. Of changes that never end there are fewer reloads, or the node's memory would fill with old workers.
const (
	reloadSpacing = 20 * time.Millisecond
	reloadRate    = 4 // a second, of either program
	reloadBurst   = 6
	nginxLasting  = 0.2 // a second
	nginxReserve  = 200
)

// budget says when the next reload may be.
type budget struct {
	short, lasting *rate.Limiter
	// due is when it may be.
	due time.Time
}

func newBudget() *budget {
	return &budget{
		short: rate.NewLimiter(reloadRate, reloadBurst), lasting: rate.NewLimiter(nginxLasting, nginxReserve),
	}
}

// spend notes a reload, of nginx or of keepalived, and returns how long the next one has to wait.
func (b *budget) spend(ofNginx bool) time.Duration {
	now := time.Now()
	wait := max(b.short.ReserveN(now, 1).DelayFrom(now), reloadSpacing)
	if ofNginx {
		wait = max(wait, b.lasting.ReserveN(now, 1).DelayFrom(now))
	}
	if next := now.Add(wait); next.After(b.due) {
		b.due = next
	}
	return b.due.Sub(now)
}
