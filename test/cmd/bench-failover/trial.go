package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab/owner"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// act is something that is done to a fleet, and how long to look at it.
type act struct {
	// victim is the node that it is done to; what the others hold must not notice. Empty means that nobody must.
	victim string
	do     func() error
	// over says that the effect is there; nil means at once. At most limit (default 5 s) is waited for it, and then for
	// tail (default 300 ms), so that what comes late is seen.
	over        func() bool
	limit, tail time.Duration
	// still says that not even the victim's addresses may move.
	still bool
	// quiet makes no connections: the victim's service is not what is asked about.
	quiet bool
}

// trial is what was seen while something was done.
type trial struct {
	// Gap is the longest outage of an address of the victim (of any address if there is no victim), at a client: of
	// echo requests to all of them, or of new connections to one. Others is the same for the other addresses.
	Gap, Others time.Duration
	// Connections were made, one every 5 ms, and Failed of them were not answered within 300 ms.
	Connections, Failed int
	// Owner is how long it took until each of the victim's addresses was on another node.
	Owner time.Duration
	// Nobody and Several are the longest times for which an address had no owner, or more than one.
	Nobody, Several time.Duration
	// Moves counts the moves of addresses that had no reason to.
	Moves int
	// Missed is true if somebody did not take over.
	Missed bool
	// Stall is how long the measurement itself was not at work.
	Stall time.Duration
	// Victim is the node.
	Victim string
}

// String is for the log.
func (t trial) String() string {
	text := fmt.Sprintf("%s: gap %s, others %s, new owner %s, nobody %s, several %s, failed %d/%d, stall %s",
		t.Victim, ms(t.Gap), ms(t.Others), ms(t.Owner), ms(t.Nobody), ms(t.Several), t.Failed, t.Connections, ms(t.Stall))
	if t.Moves > 0 {
		text += fmt.Sprintf(", %d SPURIOUS MOVES", t.Moves)
	}
	if t.Missed {
		text += ", NOBODY TOOK OVER"
	}
	return text
}

// before is how long everything is watched before something is done.
const before = 200 * time.Millisecond

// perform does something to the settled fleet and returns what was seen.
func (s *stage) perform(ctx context.Context, a act) (trial, error) {
	mine := s.addresses
	if a.victim != "" {
		if mine = s.on(a.victim); len(mine) == 0 {
			return trial{}, fmt.Errorf("%s: %w", a.victim, errNothing)
		}
	}
	var probes []*rig.Probe
	if !a.quiet {
		var err error
		if probes, err = s.connect(ctx, mine); err != nil {
			return trial{}, err
		}
	} else {
		time.Sleep(before)
	}
	begun := time.Now()
	doErr := a.do()
	if doErr == nil && a.over != nil {
		s.await(ctx, a)
	}
	tail := a.tail
	if tail == 0 {
		tail = 300 * time.Millisecond
	}
	time.Sleep(tail)
	end := time.Now()
	t := trial{Victim: a.victim}
	for i, p := range probes {
		r := p.Stop()
		if i > 0 {
			t.Stall = r.Outage() // of an address that nothing was done to
			continue
		}
		t.Gap, t.Connections, t.Failed = r.Outage(), r.Sent, r.Failed
		if !r.Ended() {
			t.Missed = true
		}
	}
	if doErr != nil {
		return t, doErr
	}
	time.Sleep(300 * time.Millisecond) // the last requests may be answered until then
	err := s.see(&t, a.still, mine, begun, end)
	return t, err
}

// connect makes connections to one of the victim's addresses and, to know the measurement's own stalls, to one of the
// others'.
func (s *stage) connect(ctx context.Context, mine []netip.Addr) ([]*rig.Probe, error) {
	targets := []netip.Addr{mine[int(time.Now().UnixNano()/1000)%len(mine)]}
	if i := slices.IndexFunc(s.addresses, func(a netip.Addr) bool { return !slices.Contains(mine, a) }); i >= 0 {
		targets = append(targets, s.addresses[i])
	}
	var probes []*rig.Probe
	for _, t := range targets {
		p, err := s.rig.Probe(ctx, "client", t.String())
		if err != nil {
			return nil, err
		}
		probes = append(probes, p)
	}
	return probes, nil
}

func (s *stage) await(ctx context.Context, a act) {
	limit := a.limit
	if limit == 0 {
		limit = 5 * time.Second
	}
	// Whether it came to that shows in what was seen.
	_ = rig.Wait(ctx, limit, "the effect", func() (bool, string) { return a.over(), "" })
}

// see fills in what the kernels and the echo requests say.
func (s *stage) see(t *trial, still bool, mine []netip.Addr, begun, end time.Time) error {
	history, err := s.watch.History()
	if err != nil {
		return err
	}
	t.Stall = max(t.Stall, s.near.Stall(begun, end), s.near.Longest(s.control, begun, end).Length())
	for _, a := range s.addresses {
		spans := owner.Clip(history.Spans(a, end), begun.Add(-before), end)
		gap := s.near.Longest(a, begun.Add(-before), end)
		t.Several = max(t.Several, owner.Longest(spans, owner.Several))
		concerned := slices.Contains(mine, a)
		if still || !concerned {
			t.Moves += owner.Moves(spans)
		}
		if !concerned {
			t.Others = max(t.Others, gap.Length())
			continue
		}
		t.Gap = max(t.Gap, gap.Length())
		t.Nobody = max(t.Nobody, owner.Longest(spans, owner.Nobody))
		t.Owner = max(t.Owner, taken(spans, t.Victim, begun))
		if last := spans[len(spans)-1]; len(last.Owners) == 0 || gap.Open {
			t.Missed = true
		}
	}
	return nil
}

// taken returns how long after the beginning another node than the victim owned the address; 0 if none did.
func taken(spans []owner.Span, victim string, begun time.Time) time.Duration {
	for _, span := range spans {
		if slices.ContainsFunc(span.Owners, func(n string) bool { return n != victim }) && victim != "" {
			return max(span.From.Sub(begun), 0)
		}
	}
	return 0
}

// moved returns the condition that all of these addresses are on other nodes than the victim.
func (s *stage) moved(victim string, mine []netip.Addr) func() bool {
	return func() bool {
		for _, a := range mine {
			owners := s.watch.Owners(a)
			if len(owners) == 0 || slices.Contains(owners, victim) {
				return false
			}
		}
		return true
	}
}

// home is the condition that every address is where it belongs.
func (s *stage) home() bool {
	for _, a := range s.addresses {
		if owners := s.watch.Owners(a); len(owners) != 1 || owners[0] != s.homes[a] {
			return false
		}
	}
	return true
}
