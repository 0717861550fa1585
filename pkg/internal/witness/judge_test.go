package witness

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestJudge feeds answers (+), silence (-) and nobody (0), one every 50 ms.
func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		known   State
		answers string
		want    string // the states, by their first letters; There is T
	}{
		"an answer":                           {"", "+", "T"},
		"a mistake":                           {"", "----------", "UUUUUUUUUU"},
		"a mistake that is mended":            {"", "-----+--", "UUUUUTTT"},
		"a few lost":                          {"", "+---+---+", "TTTTTTTTT"},
		"lost":                                {"", "+----", "TTTTL"},
		"lost since before this program":      {There, "-----", "TTTLL"},
		"lost before, and still":              {Lost, "-----", "LLLLL"},
		"lost before, and back":               {Lost, strings.Repeat("+", 11), strings.Repeat("L", 10) + "T"},
		"nobody to ask":                       {"", "00", "NN"},
		"no route any more, and it is back":   {"", "+0+", "TNT"},
		"lost, and then the route too":        {"", "+----00-" + strings.Repeat("+", 11), "TTTTLLLL" + strings.Repeat("L", 10) + "T"},
		"no route, then a silent one":         {"", "+0----", "TNTTTL"},
		"back for 500 ms":                     {There, "----" + strings.Repeat("+", 11), "TTTL" + strings.Repeat("L", 10) + "T"},
		"back, not for long":                  {There, "----" + strings.Repeat("+", 10) + "-+", "TTTL" + strings.Repeat("L", 12)},
		"back, with a gap, and then for good": {There, "----+++-" + strings.Repeat("+", 11), "TTTLLLLL" + strings.Repeat("L", 10) + "T"},
	} {
		t.Run(name, func(t *testing.T) {
			j, now, got := newJudge(c.known), time.Unix(0, 0), ""
			for _, a := range c.answers {
				now = now.Add(50 * time.Millisecond)
				if a == '0' {
					j.nobody()
				} else {
					j.hear(now, a == '+')
				}
				got += string(j.state[0])
			}
			if got != c.want {
				t.Errorf("%s became %s, want %s", c.answers, got, c.want)
			}
		})
	}
}

// TestWatch is lost 200 ms after the witness, and back 500 ms after it, by the clock.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type change struct {
			state State
			at    time.Duration
		}
		start := time.Now()
		var down, nobody atomic.Bool
		var changes []change
		ctx, cancel := context.WithCancel(t.Context())
		go Watch{
			Interval: 50 * time.Millisecond,
			Addresses: func() []netip.Addr {
				if nobody.Load() {
					return nil
				}
				return []netip.Addr{netip.MustParseAddr("10.0.0.1")}
			},
			Ask: func(ctx context.Context, _ []netip.Addr, within time.Duration) bool {
				wait := time.Millisecond
				if down.Load() {
					wait = within
				}
				select {
				case <-ctx.Done():
					return false
				case <-time.After(wait):
					return !down.Load()
				}
			},
			Report: func(s State) { changes = append(changes, change{s, time.Since(start)}) },
		}.Run(ctx)
		time.Sleep(1010 * time.Millisecond)
		down.Store(true)
		time.Sleep(time.Second)
		down.Store(false)
		time.Sleep(time.Second)
		nobody.Store(true)
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		var states []State
		for _, c := range changes {
			states = append(states, c.state)
		}
		if !slices.Equal(states, []State{There, Lost, There, Nobody}) {
			t.Fatalf("states %v", changes)
		}
		for i, bounds := range [][2]int64{1: {1200, 1300}, 2: {2500, 2620}} {
			if at := changes[i].at; i > 0 && (at.Milliseconds() < bounds[0] || at.Milliseconds() > bounds[1]) {
				t.Errorf("%s after %s, want between %d and %d ms", changes[i].state, at, bounds[0], bounds[1])
			}
		}
	})
}
