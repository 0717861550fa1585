package octavia

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// item is what the engine knows of one load balancer. Only the worker that has the item's turn writes to it, except
// for the wish, which whoever holds the engine's lock may change at any time.
type item struct {
	key lb.Key

	// The wish. model is nil where the load balancer shall go; version counts the changes.
	model   *lb.LoadBalancer
	want    Tree
	version int
	// parts are what those want who share it; of a load balancer that is one object's alone there is one.
	parts []Part
	// owed is when every create without an answer must have come through of those who have come to share this one.
	owed time.Time
	// held is until when a wish of other members waits for more of its kind.
	held time.Time

	// What is known. id is empty where none is known; looked is when the lists last said so.
	id     string
	looked time.Time
	// last is the last look at the load balancer itself, at is when that was.
	last root
	at   time.Time
	// seen is everything below, nil where it must be read; sure says that Octavia has said it since the last change.
	seen *Seen
	sure bool
	// unrest names the children that Octavia seemed to be at work on when they were last read; empty for none.
	unrest string
	// children are the statuses of everything below, for people, as they were at childrenAt.
	children   []lb.CloudListener
	childrenAt time.Time
	// settled is the version that is done; calm and operating are the updated_at and the operating status of that time.
	settled   int
	calm      string
	operating string
	// worked says that something was changed on the way there. What others changed meanwhile would be hidden behind the
	// updated_at of our own changes, so that everything is read once more at the first pass after second.
	worked bool
	second time.Time

	// filled are the members of pools as they were last told, by the pool's name: /status does not tell all of them.
	filled map[string][]Member

	// What is going on. made says that this process has created it and it has never been ACTIVE since; planted is the tree
	// that was created, until its children have been looked at; tries counts the creations that ended in ERROR; doubt
	// says that a create may have happened without an answer, or that Neutron has to say which of several it is.
	made    bool
	planted *Tree
	tries   int
	doubt   bool
	// lastWord is when every create of this process without an answer must have come through.
	lastWord time.Time
	// known says that this process has ever seen it; absent is since when a list has shown none of what shall go.
	known  bool
	absent time.Time
	// address is the one that the last load balancer had: should it be gone, the next one asks for it.
	address string
	// buoy is the floating IP. It outlives the load balancer, whose successor takes it over.
	buoy buoy
	// lost are the addresses of floating IPs that were taken from it and could not be brought back.
	lost []string
	// mark is the tag about floating IPs that the load balancer had when it was last seen with one; it outlives it, too.
	mark string
	// refs are the URLs in Barbican of what is wanted, by the names there; it is never written to, but replaced. stores
	// says that there may be something of the item's there, untidy that there may be something that it does not need.
	refs           map[string]string
	stores, untidy bool
	// lacks are those of the certificates that are not to be had, by the names in Barbican, had are the Secrets of which
	// some version has been; neither is ever written to, but replaced. waits are the ports that are not there for that.
	lacks map[string]lack
	had   map[lb.Key]bool
	waits []uint16
	// recheck is when to look whether a create of the process before has made another one after all; zero for never.
	recheck time.Time
	// reread says that everything is read then as well: a change of the process before may have come through late.
	reread bool
	// extras are the ids of further load balancers with the same tags: ends of creates whose answer was lost.
	extras []string
	// doubled is since when there are extras.
	doubled time.Time
	// pending is since when it has been at work; looks counts the looks since the last change.
	pending time.Time
	looks   int
	// balks is since when Octavia refuses to take a change as if it were at work, zero where it is or takes it.
	balks time.Time
	// failed counts the failures in a row, and trouble is the last one, nil where the last step went well.
	failed  int
	trouble *failure
	// failing is since when nothing has gone well.
	failing time.Time
	// bars are those of the parts that Octavia refuses.
	bars bars
	// findings are for the user, and reason says what is missing while it is not ready.
	findings []lb.Finding
	reason   string
	ready    bool
	gone     bool
}

// hold makes a wish that differs in its members only wait, from the first such wish on.
func (i *item) hold(coalesce time.Duration) {
	if i.settled == i.version {
		i.held = time.Now().Add(coalesce)
	}
}

// pause is how long to wait for Octavia before the next look: soon at first, then every second.
func (i *item) pause() time.Duration {
	i.looks++
	return min(time.Duration(200+100*i.looks)*time.Millisecond, time.Second)
}

// changed notes that Octavia has been given work.
func (i *item) changed(now time.Time) {
	i.looks, i.pending, i.sure = 0, now, false
	i.at, i.balks = time.Time{}, time.Time{}
}

// forget drops all that was known of a load balancer that is no more.
func (i *item) forget() {
	i.id, i.last, i.seen, i.planted, i.sure = "", root{}, nil, nil, false
	i.at, i.looked, i.pending, i.balks, i.looks = time.Time{}, time.Time{}, time.Time{}, time.Time{}, 0
	i.ready, i.made, i.unrest = false, false, ""
}

// take makes a load balancer that was found the item's own.
func (i *item) take(r root, now time.Time) {
	if i.id != r.ID {
		i.forget()
		i.id, i.looked = r.ID, now
	}
	if i.settled == i.version && i.calm != r.Updated {
		i.seen = nil // somebody else has been at it
	}
	i.last, i.at = r, now
	if n := slices.IndexFunc(r.Tags, func(t string) bool { return strings.HasPrefix(t, tagFloating) }); n >= 0 {
		i.mark = r.Tags[n]
	}
	i.address = orElse(r.Address, i.address)
	i.known, i.absent = true, time.Time{}
	i.stores = i.stores || slices.Contains(r.Tags, tagStored)
}

// choose takes one of the load balancers with the item's tags, which are in the order of their creation: the known one,
// the one with the address that the object has, the one with the port to which its floating IP leads (empty where
// nobody knows), the one with the address that it asks for, one that is ACTIVE, or the oldest. The others are one too
// many. Those that are on their way out count only where there is no other.
func (i *item) choose(found []root, now time.Time, port string) {
	left := staying(found)
	i.extras = nil
	if len(left) == 0 {
		return
	}
	chosen := 0
	for _, better := range []func(root) bool{
		func(r root) bool { return r.ID == i.id },
		i.recorded,
		func(r root) bool { return port != "" && r.PortID == port },
		func(r root) bool { return r.Address != "" && r.Address == i.want.Placement.Address },
		func(r root) bool { return r.Provisioning == statusActive },
	} {
		if n := slices.IndexFunc(left, better); n >= 0 {
			chosen = n
			break
		}
	}
	for j, r := range left {
		if j != chosen && r.Provisioning != statusPendingDelete {
			i.extras = append(i.extras, r.ID)
		}
	}
	i.take(left[chosen], now)
}

// recorded reports whether the object says that a load balancer's address is the one that it has.
func (i *item) recorded(r root) bool {
	a, err := netip.ParseAddr(r.Address)
	return err == nil && i.model != nil && slices.Contains(i.model.Cloud.Recorded, a.Unmap())
}

// news reports whether what a list says makes a step due. An item that is not settled has one coming anyway.
func (i *item) news(found []root) bool {
	switch {
	case len(i.extras) > 0:
		return true
	case i.settled != i.version || i.settled == 0:
		return false
	case !i.second.IsZero() && i.last.Provisioning == statusActive && time.Now().After(i.second):
		i.second, i.seen = time.Time{}, nil
		return true
	case len(found) == 0:
		i.at = time.Time{} // is it gone, or has it lost its tags?
		return true
	}
	return failing(i.last.Operating) || i.calm != i.last.Updated || i.last.Provisioning != statusActive ||
		i.operating != i.last.Operating
}
