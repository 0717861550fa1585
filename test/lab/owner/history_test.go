package owner

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	vip   = netip.MustParseAddr("10.88.96.1")
	other = netip.MustParseAddr("10.88.96.2")
)

func at(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

// failover: lb1 owns the address, loses its link at 100, lb2 has it from 250 on; lb1 is back with it at 400 and lets go
// at 430.
var failover = History{
	{at(0), "lb1", Up, netip.Addr{}}, {at(0), "lb2", Up, netip.Addr{}},
	{at(0), "lb1", Added, vip}, {at(0), "lb2", Added, other},
	{at(100), "lb1", Down, netip.Addr{}}, {at(250), "lb2", Added, vip},
	{at(400), "lb1", Up, netip.Addr{}}, {at(430), "lb1", Removed, vip},
}

func TestSpans(t *testing.T) {
	want := []Span{
		{at(0), at(0), nil}, // before the address was there
		{at(0), at(100), []string{"lb1"}},
		{at(100), at(250), nil},
		{at(250), at(400), []string{"lb2"}},
		{at(400), at(430), []string{"lb1", "lb2"}},
		{at(430), at(500), []string{"lb2"}},
	}
	spans := failover.Spans(vip, at(500))
	if diff := cmp.Diff(want, spans); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	for name, tt := range map[string]struct {
		got, want time.Duration
	}{
		"nobody":             {Longest(spans, Nobody), 150 * time.Millisecond},
		"several":            {Longest(spans, Several), 30 * time.Millisecond},
		"somebody":           {Longest(spans, func(o []string) bool { return len(o) > 0 }), 250 * time.Millisecond},
		"nobody, clipped":    {Longest(Clip(spans, at(120), at(240)), Nobody), 120 * time.Millisecond},
		"several, before it": {Longest(Clip(spans, at(0), at(400)), Several), 0},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", name, tt.got, tt.want)
		}
	}
	if n := Moves(Clip(spans, at(50), at(500))); n != 2 {
		t.Errorf("%d moves, want 2: to lb2, and to lb1 for a moment", n)
	}
}

func TestSpansOfOthers(t *testing.T) {
	if spans := failover.Spans(other, at(500)); Moves(spans) != 1 || Longest(spans, Nobody) != 0 {
		t.Errorf("an address that did not move: %v", spans)
	}
	if spans := failover.Spans(netip.MustParseAddr("10.88.96.3"), at(500)); Longest(spans, Nobody) != 500*time.Millisecond {
		t.Errorf("an address that nobody ever had: %v", spans)
	}
	if spans := failover.Spans(vip, at(50)); len(spans) != 2 || spans[1].To != at(50) {
		t.Errorf("what comes later counts: %v", spans)
	}
	if spans := History(nil).Spans(vip, at(1)); len(spans) != 0 || len(Clip(spans, at(0), at(1))) != 0 {
		t.Errorf("of no history: %v", spans)
	}
}

// TestRecord: what the kernel repeats is not recorded twice, and the present is what was said last.
func TestRecord(t *testing.T) {
	w := &Watch{done: make(chan struct{}), latest: map[place]bool{}, nodes: []string{"lb1", "lb2"}}
	defer w.Stop()
	w.link("lb1", 1)
	w.link("lb1", 1)
	w.address("lb1", vip, true)
	w.address("lb1", vip, true)
	w.address("lb2", vip, true) // its link is down
	if got := w.Owners(vip); !cmp.Equal(got, []string{"lb1"}) {
		t.Errorf("owners %v", got)
	}
	w.link("lb2", 1)
	if got := w.Owners(vip); !cmp.Equal(got, []string{"lb1", "lb2"}) {
		t.Errorf("owners %v", got)
	}
	w.address("lb1", vip, false)
	history, err := w.History()
	if err != nil || len(history) != 5 {
		t.Errorf("history %v, %v: want five events", history, err)
	}
}
