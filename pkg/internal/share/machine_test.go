package share_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/share"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

var start = time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)

// well is the input of a node that has nothing to complain of.
func well() share.Input {
	return share.Input{
		Groups: []int{0, 1, 2}, Announcing: true, Holding: true, HoldTime: 5 * time.Second,
		Shut: map[string]string{}, Withhold: map[string]string{},
	}
}

// step is what happens at a time, and what comes of it.
type step struct {
	// at is the time since the start, in milliseconds.
	at int
	// do changes the input.
	do func(*share.Input)
	// want is the state, the gate, and the withheld groups, such as "Serving open []".
	want string
	// next is when the machine wants to be asked again, in milliseconds since the start; 0 for never.
	next int
}

func nothing(*share.Input) {}

func reason(m func(*share.Input) map[string]string, name, words string) func(*share.Input) {
	return func(in *share.Input) {
		if words == "" {
			delete(m(in), name)
			return
		}
		m(in)[name] = words
	}
}

func hold(name, words string) func(*share.Input) {
	return reason(func(in *share.Input) map[string]string { return in.Withhold }, name, words)
}

func shut(name, words string) func(*share.Input) {
	return reason(func(in *share.Input) map[string]string { return in.Shut }, name, words)
}

func announcing(on bool) func(*share.Input) { return func(in *share.Input) { in.Announcing = on } }

func holding(on bool) func(*share.Input) { return func(in *share.Input) { in.Holding = on } }

func groups(gs ...int) func(*share.Input) { return func(in *share.Input) { in.Groups = gs } }

func alone(in *share.Input) { in.Alone = true }

func TestMachine(t *testing.T) {
	for _, tt := range []struct {
		name    string
		adopted []int
		steps   []step
	}{
		{"a fresh node waits and takes group after group", nil, []step{
			{0, announcing(false), "Unfit open [0 1 2]", 0},
			{100, announcing(true), "Holding open [0 1 2]", 5100},
			{5000, nothing, "Holding open [0 1 2]", 5100},
			{5100, nothing, "Holding open [1 2]", 5200},
			{5150, nothing, "Holding open [1 2]", 5200},
			{5200, nothing, "Holding open [2]", 5300},
			{5300, nothing, "Serving open []", 0},
		}},
		{"an adopted one goes on", []int{0, 1, 2}, []step{
			{0, nothing, "Serving open []", 0},
			{10, groups(0, 1, 2, 3), "Serving open []", 0},
			{20, groups(0, 3), "Serving open []", 0},
		}},
		{"a half released one goes on after the hold time", []int{1}, []step{
			{0, nothing, "Holding open [0 2]", 5000},
			{5000, nothing, "Holding open [2]", 5100},
			{5100, nothing, "Serving open []", 0},
		}},
		{"alone there is nothing to wait for", nil, []step{
			{0, alone, "Serving open []", 0},
			{10, shut("nginx", "nginx died"), "Unfit shut [0 1 2]", 0},
			{20, shut("nginx", ""), "Serving open []", 0},
		}},
		{"drain and undrain of a node that has been well", []int{0, 1, 2}, []step{
			{0, nothing, "Serving open []", 0},
			{6000, hold("drain", "drained"), "Draining open [0 1 2]", 0},
			{7200, holding(false), "Drained open [0 1 2]", 0},
			{7300, holding(true), "Draining open [0 1 2]", 0}, // the last node left has to
			{7400, holding(false), "Drained open [0 1 2]", 0},
			{8000, hold("drain", ""), "Holding open [1 2]", 8100},
			{8100, nothing, "Holding open [2]", 8200},
			{8200, nothing, "Serving open []", 0},
		}},
		{"two reasons to hold", []int{0, 1, 2}, []step{
			{0, hold("drain", "drained"), "Draining open [0 1 2]", 0},
			{10, hold("drill", "drill"), "Draining open [0 1 2]", 0},
			{6000, hold("drain", ""), "Draining open [0 1 2]", 0},
			{6010, hold("drill", ""), "Holding open [1 2]", 6110},
			{6020, hold("drill", "again"), "Draining open [0 1 2]", 0},
		}},
		{"what was broken is held back", []int{0, 1, 2}, []step{
			{0, shut("nginx", "nginx died"), "Unfit shut [0 1 2]", 0},
			{10, shut("witness", "lost"), "Unfit shut [0 1 2]", 0},
			{20, shut("nginx", ""), "Unfit shut [0 1 2]", 0},
			{30, shut("witness", ""), "Holding open [0 1 2]", 5030},
			{1000, shut("witness", "lost"), "Unfit shut [0 1 2]", 0},
			{1100, shut("witness", ""), "Holding open [0 1 2]", 6100},
			{6100, nothing, "Holding open [1 2]", 6200},
			{6150, announcing(false), "Unfit open [0 1 2]", 0},
		}},
		{"broken while drained", []int{0, 1, 2}, []step{
			{0, hold("drain", "drained"), "Draining open [0 1 2]", 0},
			{10, shut("nginx", "nginx died"), "Unfit shut [0 1 2]", 0},
			{20, shut("nginx", ""), "Draining open [0 1 2]", 0},
			{30, hold("drain", ""), "Holding open [0 1 2]", 5020},
		}},
		{"without groups", []int{0, 1, 2}, []step{
			{0, groups(), "Silent open []", 0},
			{10, shut("nginx", "nginx died"), "Silent shut []", 0},
			{20, shut("nginx", ""), "Silent open []", 0},
			{30, groups(2, 1), "Holding open [1 2]", 5030},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := well()
			var m share.Machine
			m.Adopt(tt.adopted)
			for _, s := range tt.steps {
				s.do(&in)
				out := m.Step(start.Add(time.Duration(s.at)*time.Millisecond), in)
				if got := summary(out); got != s.want {
					t.Errorf("at %d ms: %s, want %s", s.at, got, s.want)
				}
				next := 0
				if !out.Next.IsZero() {
					next = int(out.Next.Sub(start).Milliseconds())
				}
				if next != s.next {
					t.Errorf("at %d ms: again at %d ms, want %d", s.at, next, s.next)
				}
			}
		})
	}
}

func summary(out share.Output) string {
	gate := "shut"
	if out.Open {
		gate = "open"
	}
	return fmt.Sprintf("%s %s %v", out.Share.State, gate, out.Withheld)
}

func TestReasonsAndSince(t *testing.T) {
	in := well()
	var m share.Machine
	m.Adopt(in.Groups)
	if s := m.Step(start, in).Share; s.Reason != "" || !s.Since.Equal(start) {
		t.Errorf("serving: %+v", s)
	}
	in.Shut["witness"], in.Shut["nginx"] = "the gateway is silent", "nginx died"
	at := start.Add(time.Second)
	if s := m.Step(at, in).Share; s.Reason != "nginx died; the gateway is silent" || !s.Since.Equal(at) {
		t.Errorf("two reasons: %+v", s)
	}
	delete(in.Shut, "nginx")
	in.Announcing = false
	s := m.Step(at.Add(time.Second), in).Share
	if s.Reason != "the gateway is silent; keepalived does not run" || !s.Since.Equal(at) {
		t.Errorf("keepalived too: %+v", s)
	}
	in.Groups, in.Silence = nil, "it joins"
	if s := m.Step(at, in).Share; s.Reason != "it joins" {
		t.Errorf("silent: %+v", s)
	}
}

// FuzzMachine does anything in any order. Whatever is broken or asked to withhold releases nothing, the gate is open if
// and only if there is no reason against it, what is not released now will be, and a node that is left alone serves in
// the end.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7})
	f.Add([]byte{1, 9, 17, 25, 2, 10, 200, 3})
	f.Fuzz(func(t *testing.T, events []byte) {
		in := well()
		var m share.Machine
		now := start
		for _, e := range events {
			now = now.Add(time.Duration(e>>3) * 200 * time.Millisecond)
			happen(&in, e&7)
			out := m.Step(now, in)
			broken := len(in.Shut) > 0 || !in.Announcing
			if out.Open != (len(in.Shut) == 0) {
				t.Fatalf("gate %v with %v", out.Open, in.Shut)
			}
			if (broken || len(in.Withhold) > 0) && !slices.Equal(out.Withheld, in.Groups) {
				t.Fatalf("%s withholds only %v of %v", out.Share.State, out.Withheld, in.Groups)
			}
			if out.Share.State == nodeconfig.ShareServing && len(out.Withheld) > 0 {
				t.Fatalf("it serves and withholds %v", out.Withheld)
			}
			if (out.Share.State == nodeconfig.ShareHolding) == out.Next.IsZero() {
				t.Fatalf("%s, again at %s", out.Share.State, out.Next)
			}
		}
		clear(in.Shut)
		clear(in.Withhold)
		in.Announcing, in.Groups = true, []int{0, 1, 2}
		var out share.Output
		for range 10 {
			if out = m.Step(now, in); out.Next.IsZero() {
				break
			}
			now = out.Next
		}
		if out.Share.State != nodeconfig.ShareServing {
			t.Fatalf("left alone it is %s", out.Share.State)
		}
	})
}

func happen(in *share.Input, event byte) {
	switch event {
	case 0:
		in.Announcing = !in.Announcing
	case 1:
		toggle(in.Shut, "nginx")
	case 2:
		toggle(in.Shut, "witness")
	case 3:
		toggle(in.Withhold, "drain")
	case 4:
		in.Holding = !in.Holding
	case 5:
		in.Alone = !in.Alone
	case 6:
		in.Groups = []int{0, 1, 2, 3, 4}[:len(in.Groups)%5+1]
	}
}

func toggle(m map[string]string, name string) {
	if _, ok := m[name]; ok {
		delete(m, name)
		return
	}
	m[name] = name
}
