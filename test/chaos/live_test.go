package chaos

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The run that every `make test` makes: its seed's plan has every kind of fault. The bounds are for a machine that runs
// the whole cluster on two cores beside other tests, so they tell a fleet that does not fail over from one that does;
// how fast it is, bench-failover measures.
const (
	testSeed   = 1
	testLength = 2 * time.Minute
	testSlack  = 4
)

func TestSeedHasEverything(t *testing.T) {
	seen := map[Kind]bool{}
	for _, s := range NewPlan(testSeed, testLength, []string{"lb1", "lb2", "lb3"}) {
		seen[s.Kind] = true
	}
	for _, k := range kinds() {
		if !seen[k] {
			t.Errorf("the plan of seed %d has no %s", testSeed, k)
		}
	}
}

// TestChaos breaks a real fleet for two minutes and judges its history.
func TestChaos(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	history, err := Run(t.Context(), Options{Name: "chaostest", Seed: testSeed, Length: testLength, Out: os.Stderr})
	if err != nil {
		t.Error(err)
	}
	summary, violations := Check(history, Bounds{Slack: testSlack})
	t.Log(summary)
	for _, v := range violations {
		t.Error(v)
	}
	if t.Failed() {
		keep(t, history)
	}
}

// keep leaves the history of a failed run where it outlives the test.
func keep(t *testing.T, history History) {
	t.Helper()
	path := filepath.Join(os.TempDir(), "chaos-test.jsonl") //nolint:usetesting // it must outlive the test
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := history.Write(f); err != nil {
		t.Fatal(err)
	}
	t.Logf("history: %s (bin/chaos -check FILE -slack %d)", path, testSlack)
}
