package main

import (
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab/owner"
)

func TestTaken(t *testing.T) {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(n int) time.Time { return begun.Add(millis(n)) }
	spans := []owner.Span{
		{From: at(-200), To: at(5), Owners: []string{"lb1"}},
		{From: at(5), To: at(150), Owners: nil},
		{From: at(150), To: at(152), Owners: []string{"lb1", "lb2"}},
		{From: at(152), To: at(300), Owners: []string{"lb2"}},
	}
	for name, tt := range map[string]struct {
		spans  []owner.Span
		victim string
		want   time.Duration
	}{
		"taken over":         {spans, "lb1", millis(150)},
		"never":              {spans[:2], "lb1", 0},
		"had it before":      {spans, "lb3", 0},
		"nobody is to blame": {spans, "", 0},
	} {
		if got := taken(tt.spans, tt.victim, begun); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestTrialSaysWhatIsWrong(t *testing.T) {
	well := trial{Victim: "lb1", Gap: millis(120), Failed: 3, Connections: 200}.String()
	if strings.Contains(well, "SPURIOUS") || strings.Contains(well, "NOBODY") || !strings.Contains(well, "gap 120") {
		t.Errorf("well: %s", well)
	}
	if bad := (trial{Moves: 2, Missed: true}).String(); !strings.Contains(bad, "2 SPURIOUS MOVES") ||
		!strings.Contains(bad, "NOBODY TOOK OVER") {
		t.Errorf("bad: %s", bad)
	}
}
