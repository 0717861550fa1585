package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

func millis(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func TestLine(t *testing.T) {
	r := result{what: "node lost", goal: "≤ 150 ms"}
	for i := 1; i <= 20; i++ {
		r.trials = append(r.trials, trial{
			Gap: millis(100 + i), Others: millis(i % 2 * 10), Connections: 50, Failed: i % 3, Owner: millis(90 + i),
			Nobody: millis(80), Several: 1500 * time.Microsecond, Missed: i == 7, Stall: millis(i),
		})
	}
	r.trials[3].Moves = 2
	want := "| node lost | ≤ 150 ms | 20 | 101 / **110** / 119 / 120 | 10 | 21 of 1000 | 100 / 110 | 80 | 1.5 | 2 | 1 | 10 / 20 |"
	if got := r.line(); got != want {
		t.Errorf("line\n%s, want\n%s", got, want)
	}
}

func TestQuantile(t *testing.T) {
	for n, want := range map[int][3]int{1: {1, 1, 1}, 2: {1, 2, 2}, 20: {10, 19, 20}, 100: {50, 95, 100}, 300: {150, 285, 300}} {
		var sorted []time.Duration
		for i := 1; i <= n; i++ {
			sorted = append(sorted, time.Duration(i))
		}
		for i, q := range []float64{.5, .95, 1} {
			if got := int(quantile(sorted, q)); got != want[i] {
				t.Errorf("%.2f of %d: %d, want %d", q, n, got, want[i])
			}
		}
	}
}

// TestPublish: a later run of one row leaves the other rows, and what other programs wrote, as they are.
func TestPublish(t *testing.T) {
	path := filepath.Join(t.TempDir(), "benchmarks.md")
	if err := rig.WriteSection(path, "bench", "not ours"); err != nil {
		t.Fatal(err)
	}
	line := func(key string, gap int) result {
		i := slices.IndexFunc(rows(), func(r row) bool { return r.key == key })
		return result{what: rows()[i].what, goal: rows()[i].goal, trials: []trial{{Gap: millis(gap)}}}
	}
	for _, measured := range [][]result{{line("drain", 3), line("lost", 140)}, {line("drain", 5)}} {
		if err := publish(path, "default", t.TempDir(), measured); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "<!-- begin bench -->\nnot ours\n") {
		t.Errorf("another's section is lost:\n%s", text)
	}
	section, err := rig.Section(path, "bench-failover default")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, " | "); len(cells) > 10 && cells[2] == "1" {
			got = append(got, strings.TrimPrefix(cells[0], "| ")+" "+cells[3])
		}
	}
	want := []string{"node lost: link down and everything killed 140 / **140** / 140 / 140", "drain 5.0 / **5.0** / 5.0 / 5.0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s\n%s", diff, section)
	}
}

func TestRows(t *testing.T) {
	seen, keys := map[string]bool{}, map[string]bool{}
	for _, r := range rows() {
		for _, p := range r.parts() {
			if seen[p.what] || strings.Contains(p.what, "|") || p.goal == "" {
				t.Errorf("row %s: part %q is not its own, or breaks the table", r.key, p.what)
			}
			seen[p.what] = true
		}
		if keys[r.key] || r.do == nil || r.trials == 0 {
			t.Errorf("row %q", r.key)
		}
		keys[r.key] = true
	}
	if _, err := (options{rows: "lost,nothing"}).wanted(); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("an unknown row: %v", err)
	}
}

func TestOrders(t *testing.T) {
	want := []string{"a b c", "a c b", "b a c", "b c a", "c a b", "c b a"}
	var got []string
	for _, o := range orders([]string{"a", "b", "c"}) {
		got = append(got, strings.Join(o, " "))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
}
