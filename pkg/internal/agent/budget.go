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

// The budget of reloads that cost clients a request: an nginx that spares no kept connections ([nginx.SparesKept])
// closes all that are idle, and what is sent on one just then is lost, about one request for a millisecond of load. Two
// changes go at once, more of them one in keptSpacing, which keeps that below one request in 10,000. What must not wait
// ([mayWait]) does not.
const (
	keptSpacing = 10 * time.Second
	keptReserve = 1
)

// budget says when the next reload may be.
type budget struct {
	short, lasting, kept *rate.Limiter
	// due is when it may be, calm when it may be for what can wait.
	due, calm time.Time
}

func newBudget() *budget {
	return &budget{
		short:   rate.NewLimiter(reloadRate, reloadBurst),
		lasting: rate.NewLimiter(nginxLasting, nginxReserve),
		kept:    rate.NewLimiter(rate.Every(keptSpacing), keptReserve),
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

// harm notes that a reload has cut kept connections, and returns how long what can wait has to. Reloads that could not
// wait make no debt.
func (b *budget) harm() time.Duration {
	now := time.Now()
	r := b.kept.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > keptSpacing {
		r.CancelAt(now)
		wait = keptSpacing
	}
	if next := now.Add(wait); next.After(b.calm) {
		b.calm = next
	}
	return b.calm.Sub(now)
}
