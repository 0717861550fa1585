package drill

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
)

func t0() time.Time { return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC) }

func at(ms int) time.Time { return t0().Add(time.Duration(ms) * time.Millisecond) }

const ms = time.Millisecond

// probed makes a track of probes every 5 ms, from begin to end, which are answered after 1 ms unless lost.
func probed(begin, end int, lost func(ms int) bool) *Track {
	t := &Track{Interval: 5 * ms}
	for m := begin; m < end; m += 5 {
		t.Send(at(m))
		if lost != nil && lost(m) {
			t.Lose(at(m), "timeout")
		} else {
			t.Answer(at(m), at(m+1))
		}
	}
	return t
}

func between(from, to int) func(int) bool { return func(m int) bool { return m >= from && m < to } }

func TestTrackGap(t *testing.T) {
	for _, c := range []struct {
		name           string
		track          *Track
		fault, back    time.Duration // before and after 1 s
		lost, silences int
	}{
		{"all answered", probed(0, 2000, nil), 0, 0, 0, 0},
		{"one lost", probed(0, 2000, between(500, 505)), 0, 0, 1, 0},
		{"an outage", probed(0, 2000, between(500, 650)), 150 * ms, 0, 30, 1},
		{"an outage on the way back", probed(0, 2000, between(1200, 1240)), 0, 40 * ms, 8, 1},
		{"two outages", probed(0, 2000, func(m int) bool { return between(300, 400)(m) || between(1500, 1700)(m) }),
			100 * ms, 200 * ms, 60, 2},
		{"across the turn, it is the fault's", probed(0, 2000, between(900, 1100)), 200 * ms, 0, 40, 1},
		{"to the end", probed(0, 2000, between(1800, 2000)), 0, 199 * ms, 40, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for what, d := range map[string][2]time.Duration{
				"fault": {c.track.Longest(at(0), at(1000), at(1999)), c.fault},
				"back":  {c.track.Longest(at(1000), at(3000), at(1999)), c.back},
			} {
				if diff := (d[0] - d[1]).Abs(); diff > 6*ms {
					t.Errorf("%s: a gap of %s, want %s", what, d[0], d[1])
				}
			}
			if c.track.Lost != c.lost || len(c.track.Silences) != c.silences {
				t.Errorf("%d lost, %d silences; want %d, %d", c.track.Lost, len(c.track.Silences), c.lost, c.silences)
			}
		})
	}
}

// A probe that is answered late fills the gap only from when it was answered.
func TestTrackLateAnswer(t *testing.T) {
	track := probed(0, 100, nil)
	for m := 100; m < 300; m += 5 {
		track.Send(at(m))
	}
	track.Answer(at(100), at(300))
	if got := track.Longest(at(0), at(1000), at(301)); got < 195*ms || got > 205*ms {
		t.Errorf("the gap is %s", got)
	}
}

// While the prober does not send, nobody is known not to be served.
func TestTrackStarved(t *testing.T) {
	track := probed(0, 100, nil)
	track.Send(at(3000))
	track.Answer(at(3000), at(3001))
	if got := track.Longest(at(0), at(9000), at(3002)); got > 15*ms {
		t.Errorf("a gap of %s although nothing was asked", got)
	}
	if got := track.Silent(at(9000)); got != 0 {
		t.Errorf("silent for %s although nothing was asked", got)
	}
}

func TestTrackSteady(t *testing.T) {
	for _, c := range []struct {
		name  string
		track *Track
		want  bool
	}{
		{"all answered", probed(0, 2000, nil), true},
		{"only just begun", probed(1500, 2000, nil), false},
		{"nothing asked yet", &Track{Interval: 5 * ms}, false},
		{"lost long ago", probed(0, 2000, between(500, 900)), true},
		{"lost lately", probed(0, 2000, between(1500, 1505)), false},
		{"silent now", probed(0, 2000, between(1700, 2000)), false},
		{"silent since just now", probed(0, 2000, between(1850, 2000)), false},
		{"never answered", probed(0, 2000, between(0, 2000)), false},
	} {
		if got := c.track.Steady(at(2000), time.Second); got != c.want {
			t.Errorf("%s: steady is %t", c.name, got)
		}
	}
}

// What is kept is bounded, what is counted is not, and a copy stays as it is.
func TestTrackBounds(t *testing.T) {
	track := &Track{Interval: ms}
	for i := range 3 * maxKept {
		track.Send(at(20 * i))
		track.Lose(at(20*i), "refused")
		track.Send(at(20*i + 10))
		track.Answer(at(20*i+10), at(20*i+12))
	}
	if track.Lost != 3*maxKept || track.Reasons["refused"] != 3*maxKept || len(track.LostAt) != maxKept {
		t.Errorf("%d lost, %v, %d kept", track.Lost, track.Reasons, len(track.LostAt))
	}
	glance, clone := track.Glance(), track.Clone()
	before := len(glance.Silences)
	track.Lose(at(1e6), "reset")
	if len(glance.Silences) != before || clone.Reasons["reset"] != 0 || glance.Reasons != nil {
		t.Error("a copy has changed")
	}
}

// A long silence after many short ones is the one that counts, in the figures and among what is kept.
func TestTrackKeepsTheLongest(t *testing.T) {
	track := &Track{Interval: ms}
	now := 0
	silence := func(length int) {
		track.Send(at(now))
		track.Answer(at(now), at(now))
		now++
		track.Send(at(now))
		now += length - 1
		track.Answer(at(now), at(now))
	}
	for i := range 2 * maxKept {
		silence(10 + i%5)
	}
	silence(700)
	silence(20)
	if got := track.Longest(at(0), at(now+1), at(now)); got < 690*ms || got > 700*ms {
		t.Errorf("the longest silence is %s, want 700ms", got)
	}
	if len(track.Silences) != maxKept {
		t.Errorf("%d silences are kept", len(track.Silences))
	}
	if !slices.IsSortedFunc(track.Silences, func(a, b Span) int { return a.From.Compare(b.From) }) {
		t.Error("the silences are not in their order")
	}
}

func TestStatistics(t *testing.T) {
	var values []time.Duration
	for i := range 20 {
		values = append(values, time.Duration(20-i)*ms)
	}
	want := &v1alpha1.Statistics{N: 20, MinMillis: v1alpha1.Millis(ms), MedianMillis: v1alpha1.Millis(10 * ms),
		P95Millis: v1alpha1.Millis(19 * ms), MaxMillis: v1alpha1.Millis(20 * ms)}
	if diff := cmp.Diff(want, Statistics(values)); diff != "" {
		t.Error(diff)
	}
	if Statistics(nil) != nil || Percentile(nil, 50) != 0 {
		t.Error("nothing has no statistics")
	}
	if got := Statistics([]time.Duration{7}); got.MinMillis != 7 || got.P95Millis != 7 || got.MaxMillis != 7 {
		t.Errorf("one value: %+v", got)
	}
}

func FuzzTrack(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3}, int64(5))
	f.Fuzz(func(t *testing.T, steps []byte, interval int64) {
		track := &Track{Interval: time.Duration(interval)}
		now := t0()
		for i, s := range steps {
			now = now.Add(time.Duration(int8(s)) * ms)
			switch i % 3 {
			case 0:
				track.Send(now)
			case 1:
				track.Answer(now, now)
			case 2:
				track.Lose(now, "x")
			}
		}
		if track.Silent(now) < 0 || track.Longest(t0(), now, now) < 0 {
			t.Error("a negative gap")
		}
		track.Steady(now, time.Second)
	})
}
