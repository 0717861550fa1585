package nodeconfig_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// word is what a node says: the fleet that it runs, the one it has been told, its share and the age of the report.
type word struct {
	runs, told int64
	share      nodeconfig.ShareState
	age        time.Duration
}

func words(now time.Time, said map[string]word) map[string]nodeconfig.Status {
	out := map[string]nodeconfig.Status{}
	for name, w := range said {
		out[name] = nodeconfig.Status{
			Node: name, Reported: now.Add(-w.age),
			Wanted: nodeconfig.Running{Fleet: w.told}, Running: nodeconfig.Running{Fleet: w.runs},
			Share: nodeconfig.Share{State: w.share},
		}
	}
	return out
}

func TestAwaited(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	const joined, before = 999_000, 900_000
	const serving, silent = nodeconfig.ShareServing, nodeconfig.ShareSilent
	for _, tc := range []struct {
		name  string
		node  nodeconfig.Node
		other nodeconfig.Phase
		// since is when the other's phase began.
		since int64
		said  map[string]word
		want  []string
	}{
		{name: "a member waits for nobody", want: nil},
		{name: "nobody has said anything", node: nodeconfig.Node{Phase: nodeconfig.PhaseJoining, Since: joined},
			want: []string{"lb1", "new"}},
		{name: "only the newcomer is missing", node: nodeconfig.Node{Phase: nodeconfig.PhaseJoining, Since: joined},
			said: map[string]word{"lb1": {runs: joined, share: serving}}, want: []string{"new"}},
		{name: "the member does not run it yet", node: nodeconfig.Node{Phase: nodeconfig.PhaseJoining, Since: joined},
			said: map[string]word{"lb1": {runs: before, told: joined, share: serving}, "new": {told: joined}},
			want: []string{"lb1"}},
		{name: "silence is no consent", node: nodeconfig.Node{Phase: nodeconfig.PhaseJoining, Since: joined},
			said: map[string]word{"lb1": {runs: before, age: time.Hour}, "new": {runs: joined, share: silent}},
			want: []string{"lb1"}},
		{name: "nor is having stopped, for a member", node: nodeconfig.Node{Phase: nodeconfig.PhaseJoining, Since: joined},
			said: map[string]word{"lb1": {runs: before, share: silent}, "new": {runs: joined, share: silent}},
			want: []string{"lb1"}},
		{name: "everybody knows it", node: nodeconfig.Node{Phase: nodeconfig.PhaseJoining, Since: joined},
			said: map[string]word{"lb1": {runs: joined, share: serving}, "new": {told: joined}}},
		{name: "a member that never reported is not awaited for ever",
			node: nodeconfig.Node{Phase: nodeconfig.PhaseJoining, Since: now.Add(-31 * time.Second).UnixMilli()},
			said: map[string]word{"new": {told: joined}}},
		{name: "another newcomer that never ran anything", node: nodeconfig.Node{Phase: nodeconfig.PhaseJoining, Since: joined},
			other: nodeconfig.PhaseJoining, since: joined, said: map[string]word{"lb1": {told: joined, share: silent}, "new": {told: joined}}},
		{name: "another newcomer in its former life", node: nodeconfig.Node{Phase: nodeconfig.PhaseJoining, Since: joined},
			other: nodeconfig.PhaseJoining, since: joined,
			said: map[string]word{"lb1": {runs: before, share: serving, age: time.Hour}, "new": {told: joined}},
			want: []string{"lb1"}},
		{name: "a leaver that still announces", node: nodeconfig.Node{Phase: nodeconfig.PhaseJoining, Since: joined},
			other: nodeconfig.PhaseLeaving, since: before,
			said: map[string]word{"lb1": {runs: before, share: serving}, "new": {told: joined}}, want: []string{"lb1"}},
		{name: "a leaver that is silent", node: nodeconfig.Node{Phase: nodeconfig.PhaseJoining, Since: joined},
			other: nodeconfig.PhaseLeaving, since: before,
			said: map[string]word{"lb1": {runs: before, share: silent}, "new": {told: joined}}},
		{name: "leaving: it serves", node: nodeconfig.Node{Phase: nodeconfig.PhaseLeaving, Since: joined},
			said: map[string]word{"new": {runs: joined, share: serving}}, want: []string{"new"}},
		{name: "leaving: silent, but of earlier", node: nodeconfig.Node{Phase: nodeconfig.PhaseLeaving, Since: joined},
			said: map[string]word{"new": {runs: before, share: silent}}, want: []string{"new"}},
		{name: "leaving: silent of earlier, and nobody is there any more",
			node: nodeconfig.Node{Phase: nodeconfig.PhaseLeaving, Since: joined},
			said: map[string]word{"new": {runs: before, share: silent, age: 13 * time.Second}}},
		{name: "leaving: silent of earlier, but on its way to speak, and nobody is there any more",
			node: nodeconfig.Node{Phase: nodeconfig.PhaseLeaving, Since: joined},
			said: map[string]word{"new": {told: before, share: silent, age: 13 * time.Second}}, want: []string{"new"}},
		{name: "leaving: silent", node: nodeconfig.Node{Phase: nodeconfig.PhaseLeaving, Since: joined},
			said: map[string]word{"new": {runs: joined, share: silent}}},
		{name: "leaving: dead", node: nodeconfig.Node{Phase: nodeconfig.PhaseLeaving, Since: joined},
			said: map[string]word{"new": {runs: before, share: serving, age: 31 * time.Second}}},
		{name: "leaving: nothing heard yet", node: nodeconfig.Node{Phase: nodeconfig.PhaseLeaving, Since: joined},
			want: []string{"new"}},
		{name: "leaving: never there", node: nodeconfig.Node{Phase: nodeconfig.PhaseLeaving, Since: before}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.node.Name = "new"
			f := nodeconfig.Fleet{Nodes: []nodeconfig.Node{{Name: "lb1", Phase: tc.other, Since: tc.since}, tc.node}}
			said := words(now, tc.said)
			if got := f.Awaited(tc.node, said, now); !slices.Equal(got, tc.want) {
				t.Errorf("it waits for %v, want %v", got, tc.want)
			}
			// Nothing that time alone changes happens before the time that PhaseChange says.
			next := f.PhaseChange(said, now)
			for later := range 120 {
				at := now.Add(time.Duration(later) * time.Second)
				if (next.IsZero() || at.Before(next)) && !slices.Equal(f.Awaited(tc.node, said, at), tc.want) {
					t.Fatalf("it changes after %d s, before %v", later, next)
				}
			}
		})
	}
}

func TestKnown(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	f := nodeconfig.Fleet{Revision: 7, Nodes: []nodeconfig.Node{{Name: "lb1"}, {Name: "lb2"}}}
	for _, tc := range []struct {
		name string
		said map[string]word
		want bool
	}{
		{"nobody reports", nil, true},
		{"all run it", map[string]word{"lb1": {runs: 7}, "lb2": {runs: 8}}, true},
		{"one is behind", map[string]word{"lb1": {runs: 7}, "lb2": {runs: 6}}, false},
		{"one is dead", map[string]word{"lb1": {runs: 7}, "lb2": {runs: 6, age: time.Minute}}, true},
		{"a stranger is behind", map[string]word{"lb1": {runs: 7}, "lb9": {runs: 6}}, true},
	} {
		if got := f.Known(words(now, tc.said), now); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}
