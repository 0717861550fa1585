package chaos

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	vipA = netip.MustParseAddr("10.88.96.1")
	vipB = netip.MustParseAddr("10.88.96.2")
)

// story is a history under construction; times are milliseconds.
type story struct{ history History }

// calm begins a story in which lb1 owns A and lb2 owns B, and everything is well.
func calm() *story {
	s := &story{history: History{{
		What: Began, Nodes: []string{"lb1", "lb2", "lb3"}, Clients: []string{"client", "client2"},
		Addresses: []netip.Addr{vipA, vipB},
	}}}
	for _, n := range s.history[0].Nodes {
		s.add(1, Record{What: Up, Node: n})
	}
	return s.own(1, "lb1", vipA).own(1, "lb2", vipB).
		add(2, Record{What: Given, Name: "a", Address: vipA}).add(2, Record{What: Given, Name: "b", Address: vipB})
}

func (s *story) add(at int, r Record) *story {
	r.At = time.Duration(at) * time.Millisecond
	s.history = append(s.history, r)
	return s
}

func (s *story) own(at int, node string, a netip.Addr) *story {
	return s.add(at, Record{What: Added, Node: node, Address: a})
}

func (s *story) drop(at int, node string, a netip.Addr) *story {
	return s.add(at, Record{What: Removed, Node: node, Address: a})
}

func (s *story) fault(from, to int, k Kind, node string) *story {
	id := len(s.history)
	return s.add(from, Record{What: Broken, ID: id, Kind: k, Node: node}).
		add(to, Record{What: Mended, ID: id, Kind: k, Node: node})
}

func (s *story) silent(from, to int, client string, a netip.Addr) *story {
	return s.add(from, Record{
		What: Silent, Client: client, Address: a, Until: time.Duration(to) * time.Millisecond, Note: byEcho,
	})
}

// end tells the story's end, as it is when all is well.
func (s *story) end(at int) History {
	s.add(at, Record{What: Settled}).add(at+1, Record{What: Home})
	s.history[1:].sort()
	return s.history
}

// lose lets lb1 die at 1000; lb3 takes over what it owned, so many milliseconds later.
func lose(after int) *story {
	return calm().fault(1000, 3000, PowerCut, "lb1").add(1005, Record{What: Down, Node: "lb1"}).
		own(1005+after, "lb3", vipA).drop(1010, "lb1", vipA).add(3000, Record{What: Up, Node: "lb1"})
}

func TestCheck(t *testing.T) {
	tests := map[string]struct {
		history History
		// want are parts of the violations, in order.
		want []string
	}{
		"calm":                                    {calm().end(4000), nil},
		"a node lost and taken over":              {lose(150).end(4000), nil},
		"a node lost, and nobody takes over":      {lose(4000).end(6000), []string{"has no owner for client for 4s", "has no owner for client2 for 4s"}},
		"a node lost, too slow":                   {lose(600).end(4000), []string{"no owner for client for 600ms", "no owner for client2"}},
		"an address goes away without a fault":    {calm().drop(500, "lb1", vipA).own(700, "lb2", vipA).end(4000), []string{"no owner for client for 200ms", "no owner for client2 for 200ms"}},
		"… but only for a moment":                 {calm().drop(500, "lb1", vipA).own(550, "lb2", vipA).end(4000), nil},
		"two owners":                              {calm().own(500, "lb2", vipA).drop(1200, "lb2", vipA).end(4000), []string{"two owners of 10.88.96.1 for 700ms, bound 500ms"}},
		"two owners for a moment":                 {calm().own(500, "lb2", vipA).drop(900, "lb2", vipA).end(4000), nil},
		"two owners to the end":                   {calm().own(500, "lb2", vipA).end(4000), []string{"two owners of 10.88.96.1 to the end"}},
		"two owners, one after the other":         {calm().own(500, "lb2", vipA).own(800, "lb3", vipA).drop(900, "lb2", vipA).drop(1100, "lb3", vipA).end(4000), []string{"two owners of 10.88.96.1 for 600ms"}},
		"two owners apart":                        {calm().fault(500, 4000, Partition, "lb1").own(700, "lb3", vipA).own(700, "lb1", vipB).drop(4100, "lb3", vipA).drop(4150, "lb1", vipB).end(5000), nil},
		"two owners apart, and still when healed": {calm().fault(500, 2000, Partition, "lb1").own(700, "lb3", vipA).own(700, "lb1", vipB).drop(2100, "lb1", vipB).drop(2900, "lb3", vipA).end(5000), []string{"two owners of 10.88.96.1 for 900ms"}},
		"nobody on the small side":                {calm().fault(500, 4000, Partition, "lb1").own(600, "lb3", vipA).drop(4100, "lb3", vipA).end(5000), nil}, // its only node is not fit: nothing can be asked
		"a frozen owner is none":                  {calm().fault(500, 4000, Freeze, "lb1").own(700, "lb2", vipA).drop(4200, "lb2", vipA).end(5000), nil},
		"a frozen owner, nobody takes over":       {calm().fault(500, 4000, Freeze, "lb1").end(5000), []string{"no owner for client for", "no owner for client2 for"}},
		"given twice":                             {calm().add(600, Record{What: Given, Name: "c", Address: vipA}).end(4000), []string{"10.88.96.1 was given to c, and is a's"}},
		"given again":                             {calm().add(600, Record{What: Taken, Name: "a", Address: vipA}).add(700, Record{What: Given, Name: "c", Address: vipA}).end(4000), nil},
		"silent":                                  {calm().silent(500, 900, "client2", vipB).end(4000), []string{"10.88.96.2 did not answer client2 (echo) for 400ms"}},
		"silent, because the machine stood still": {calm().add(520, Record{What: Stalled, Client: "client2", Until: 880 * time.Millisecond}).silent(500, 900, "client2", vipB).end(4000), nil},
		"silent, but another machine stood still": {calm().add(520, Record{What: Stalled, Client: "client", Until: 880 * time.Millisecond}).silent(500, 900, "client2", vipB).end(4000), []string{"did not answer client2"}},
		"silent as the fault allows":              {lose(150).silent(1000, 1400, "client", vipA).end(4000), nil},
		"silent after the fault is forgotten":     {calm().fault(500, 600, Freeze, "lb3").silent(20000, 20400, "client", vipA).fault(29000, 29500, KillDaemon, "lb1").end(30000), []string{"did not answer client"}},
		"never converged":                         {calm().history, []string{"never converged"}},
		"converged late":                          {calm().fault(500, 1000, KillDaemon, "lb1").end(6500), []string{"converged 5.5s after the last fault"}},
		"left behind":                             {calm().add(4000, Record{What: Left, Note: "10.88.96.9 on lb2"}).end(4000), []string{"left behind: 10.88.96.9 on lb2"}},
		"no beginning":                            {History{{What: Settled}}, []string{"no beginning"}},
		"nothing":                                 {nil, []string{"no beginning"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, violations := Check(tt.history, Bounds{})
			for i, v := range violations {
				if i >= len(tt.want) || !strings.Contains(v.Text, tt.want[i]) {
					t.Errorf("violation %d: %s", i, v)
				}
			}
			if len(violations) < len(tt.want) {
				t.Errorf("%d violations, want %q", len(violations), tt.want)
			}
		})
	}
}

// TestSlack: a busy machine's bounds are wider, and a real fault is still one.
func TestSlack(t *testing.T) {
	if _, v := Check(lose(600).end(4000), Bounds{Slack: 2}); len(v) > 0 {
		t.Errorf("600 ms with a bound of a second: %v", v)
	}
	if _, v := Check(lose(1600).end(6000), Bounds{Slack: 2}); len(v) == 0 {
		t.Error("1.6 s with a bound of a second is clean")
	}
}

func TestSummary(t *testing.T) {
	h := lose(150).own(3400, "lb1", vipA).drop(3420, "lb3", vipA).silent(1000, 1160, "client", vipA).end(4000)
	got, violations := Check(h, Bounds{})
	want := Summary{
		Faults: 1, Split: 20 * time.Millisecond, Unowned: 150 * time.Millisecond, Silent: 160 * time.Millisecond,
		Converged: time.Second,
	}
	if diff := cmp.Diff(want, got); diff != "" || len(violations) > 0 {
		t.Errorf("%v, summary (-want +got):\n%s", violations, diff)
	}
}

// TestStorm: an address of a storm must not have two owners either, for as long as somebody has it.
func TestStorm(t *testing.T) {
	storm := netip.MustParseAddr("10.88.96.7")
	s := calm().add(500, Record{What: Given, Name: "storm-1", Address: storm}).own(600, "lb1", storm).own(700, "lb2", storm).
		drop(1500, "lb1", storm)
	if _, v := Check(s.end(4000), Bounds{}); len(v) != 1 || !strings.Contains(v[0].Text, "two owners of 10.88.96.7") {
		t.Errorf("violations %v", v)
	}
}

// TestStormIsOver: what happens to an address after its load balancer is gone is judged, too, and no longer than it lasts.
func TestStormIsOver(t *testing.T) {
	storm := netip.MustParseAddr("10.88.96.7")
	given := func() *story {
		return calm().add(500, Record{What: Given, Name: "storm-1", Address: storm}).own(600, "lb1", storm).
			own(700, "lb2", storm).add(800, Record{What: Taken, Name: "storm-1", Address: storm})
	}
	s := given().drop(900, "lb1", storm).drop(900, "lb2", storm).add(3000, Record{What: Given, Name: "storm-2", Address: storm})
	if _, v := Check(s.end(4000), Bounds{}); len(v) != 0 {
		t.Errorf("two owners for 200 ms: %v", v)
	}
	if _, v := Check(given().drop(1500, "lb1", storm).end(4000), Bounds{}); len(v) != 1 {
		t.Errorf("two owners of what is nobody's any more: %v", v)
	}
}

func TestHistoryIsReadAsWritten(t *testing.T) {
	h := lose(150).silent(1000, 1200, "client", vipA).end(4000)
	var file bytes.Buffer
	if err := h.Write(&file); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(file.String(), "\n"); n != len(h) {
		t.Errorf("%d lines of %d records", n, len(h))
	}
	again, err := Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h, again, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if _, err := Read(strings.NewReader("{}\noops\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("of a broken file: %v", err)
	}
}

func TestPlan(t *testing.T) {
	nodes := []string{"lb1", "lb2", "lb3"}
	seen := map[Kind]bool{}
	for seed := range uint64(200) {
		steps := NewPlan(seed, 2*time.Minute, nodes)
		if diff := cmp.Diff(steps, NewPlan(seed, 2*time.Minute, nodes)); diff != "" {
			t.Fatalf("seed %d makes two plans:\n%s", seed, diff)
		}
		if len(steps) < 10 {
			t.Errorf("seed %d: %d faults in two minutes", seed, len(steps))
		}
		for i, s := range steps {
			seen[s.Kind] = true
			if err := sound(steps, i); err != nil {
				t.Errorf("seed %d, %+v: %v", seed, s, err)
			}
		}
	}
	for _, k := range kinds() {
		if !seen[k] {
			t.Errorf("%s is never drawn", k)
		}
	}
	if cmp.Equal(NewPlan(1, time.Minute, nodes), NewPlan(2, time.Minute, nodes)) {
		t.Error("two seeds make one plan")
	}
	if steps := NewPlan(1, time.Second/10, nodes); len(steps) != 0 {
		t.Errorf("no time for a fault: %v", steps)
	}
}

// sound checks a step of a plan: its length, its end, and what overlaps it.
func sound(steps []Step, i int) error {
	s, t := steps[i], steps[i].Kind.trait()
	if s.ID != i+1 || s.For < t.least || s.For > t.most || s.End() > 2*time.Minute || t.node != (s.Node != "") {
		return fmt.Errorf("not as its kind is: %+v", t)
	}
	if i > 0 && steps[i-1].At > s.At {
		return fmt.Errorf("begins before %+v", steps[i-1])
	}
	overlapping := 0
	for j, o := range steps {
		if j == i || o.Recovered() < s.At || o.At > s.At {
			continue
		}
		overlapping++
		if s.clashes(o) {
			return fmt.Errorf("clashes with %+v", o)
		}
	}
	if overlapping > lanes-1 {
		return fmt.Errorf("%d others overlap", overlapping)
	}
	return nil
}
