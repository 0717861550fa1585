package software

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// TestClocks has a node with a wrong clock. As long as it reports it lives, whatever its reports say: it is not dropped
// from the fleet while it announces. When it reports no more, it is dead as soon as any other.
func TestClocks(t *testing.T) {
	for _, skew := range []time.Duration{0, -time.Hour, time.Hour} {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprint(skew, restarted), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { clocks(t, skew, restarted) })
			})
		}
	}
}

// clocks lets a node with a clock that is ahead by skew leave; restarted has a new controller find its reports.
func clocks(t *testing.T, skew time.Duration, restarted bool) {
	store := newTestStore("lb1", "lb2")
	store.skew = map[string]time.Duration{"lb2": skew}
	b := New(store, Options{Cluster: "c"})
	load := balancer("a", "10.9.0.1")
	say := func(nodes ...string) {
		for _, n := range nodes {
			st := nodeconfig.Status{Node: n, Share: nodeconfig.Share{State: nodeconfig.ShareServing}}
			st.Running = nodeconfig.Running{Fleet: store.fleet(t).Revision, Shards: store.running(t)}
			if n == "lb2" {
				st.Holding = load.VIPs
			}
			store.report(t, st)
		}
	}
	apply(t, b, load)
	say("lb1", "lb2")
	ready := func() bool {
		t.Helper()
		state, err := b.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return state.Health[lb.Key{Namespace: "default", Name: "a"}].Ready
	}
	if !ready() {
		t.Error("the node that holds the address is not heard")
	}
	delete(store.nodes, "lb2")
	there := func() bool {
		t.Helper()
		apply(t, b, load)
		return indexNode(store.fleet(t).Nodes, "lb2") >= 0
	}
	if !there() {
		t.Fatal("a node that announces is dropped")
	}
	if restarted {
		old := store.status[nodeconfig.StatusName("lb2")]
		old.Heard = time.Time{} // it was there before
		store.status[old.Name] = old
		b = New(store, Options{Cluster: "c"})
		if !there() {
			t.Fatal("a node that announces is dropped by a new controller")
		}
	}
	for range 8 {
		time.Sleep(nodeconfig.HeartbeatInterval)
		say("lb1", "lb2")
		if !there() {
			t.Fatal("a node that announces is dropped though it reports")
		}
	}
	time.Sleep(nodeconfig.StaleAfter)
	say("lb1")
	if !there() {
		t.Error("it is dropped too early")
	}
	time.Sleep(time.Second)
	if there() {
		t.Error("a dead node stays")
	}
}

// TestOldReportIsNotNews: what a dead node said last says nothing about the present, also to a controller that finds it.
func TestOldReportIsNotNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTestStore("lb1", "lb2")
		b := New(store, Options{Cluster: "c"})
		load := balancer("a", "10.9.0.1")
		apply(t, b, load)
		store.catchUp(t, "lb2")
		time.Sleep(time.Hour)
		load.Listeners[0].Port = 81
		apply(t, b, load)
		st := nodeconfig.Status{Node: "lb1", Holding: load.VIPs}
		st.Running = nodeconfig.Running{Fleet: store.fleet(t).Revision, Shards: store.running(t)}
		store.report(t, st)
		for name, o := range store.status {
			o.Heard = time.Time{}
			store.status[name] = o
		}
		state, err := New(store, Options{Cluster: "c"}).State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if h := state.Health[load.Origin.Key]; !h.Ready {
			t.Errorf("it waits for a dead node: %+v", h)
		}
	})
}
