package software

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// TestNextNodes checks each step of a node's way, "+" joining, "-" leaving, of nodes that report as said.
func TestNextNodes(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	const old, revision = 990_000, 1_000_000
	serves := func(fleet int64) nodeconfig.Status {
		return nodeconfig.Status{Running: nodeconfig.Running{Fleet: fleet}, Share: nodeconfig.Share{
			State: nodeconfig.ShareServing,
		}}
	}
	silent := func(fleet int64) nodeconfig.Status {
		s := serves(fleet)
		s.Share.State = nodeconfig.ShareSilent
		return s
	}
	for _, tc := range []struct {
		name, current, labelled string
		said                    map[string]nodeconfig.Status
		former                  string // of a group
		want                    string
	}{
		{name: "the first start has no barrier", labelled: "lb1 lb2 lb3", want: "lb1 lb2 lb3"},
		{name: "nor has one whose daemons are there first", labelled: "lb1 lb2",
			said: map[string]nodeconfig.Status{"lb1": silent(0), "lb2": silent(0)}, want: "lb1 lb2"},
		{name: "a lost document", labelled: "lb1 lb2 lb3",
			said: map[string]nodeconfig.Status{"lb1": serves(old), "lb2": serves(old)}, want: "lb1 lb2 lb3+"},
		{name: "labelled one after the other, before any daemon runs", current: "lb1 lb2", labelled: "lb1 lb2 lb3",
			said: map[string]nodeconfig.Status{"lb2": {}}, want: "lb1 lb2 lb3"},
		{name: "but not once one was told", current: "lb1 lb2", labelled: "lb1 lb2 lb3",
			said: map[string]nodeconfig.Status{"lb2": {Wanted: nodeconfig.Running{Fleet: old}}}, want: "lb1 lb2 lb3+"},
		{name: "a newcomer", current: "lb1", labelled: "lb1 lb2",
			said: map[string]nodeconfig.Status{"lb1": serves(old)}, want: "lb1 lb2+"},
		{name: "it waits", current: "lb1 lb2+", labelled: "lb1 lb2",
			said: map[string]nodeconfig.Status{"lb1": serves(old - 1), "lb2": silent(old)}, want: "lb1 lb2+"},
		{name: "it is known", current: "lb1 lb2+", labelled: "lb1 lb2",
			said: map[string]nodeconfig.Status{"lb1": serves(old), "lb2": silent(old)}, want: "lb1 lb2"},
		{name: "it waits for a group on its way", current: "lb1 lb2+", labelled: "lb1 lb2", former: "lb1",
			said: map[string]nodeconfig.Status{"lb1": serves(old), "lb2": silent(old)}, want: "lb1 lb2+"},
		{name: "a newcomer beside a leaver", current: "lb1-", labelled: "lb2",
			said: map[string]nodeconfig.Status{"lb1": serves(old)}, want: "lb1- lb2+"},
		{name: "the label goes", current: "lb1 lb2", labelled: "lb1",
			said: map[string]nodeconfig.Status{"lb1": serves(old), "lb2": serves(old)}, want: "lb1 lb2-"},
		{name: "it is silent", current: "lb1 lb2-", labelled: "lb1",
			said: map[string]nodeconfig.Status{"lb1": serves(old), "lb2": silent(old)}, want: "lb1"},
		{name: "it was switched off", current: "lb1 lb2", labelled: "lb1",
			said: map[string]nodeconfig.Status{"lb1": serves(old), "lb2": {Reported: now.Add(-time.Hour)}}, want: "lb1"},
		{name: "the label comes back", current: "lb1 lb2-", labelled: "lb1 lb2",
			said: map[string]nodeconfig.Status{"lb1": serves(old), "lb2": serves(old)}, want: "lb1 lb2-"},
		{name: "and it joins again when it has left", current: "lb1 lb2-", labelled: "lb1 lb2",
			said: map[string]nodeconfig.Status{"lb1": serves(old), "lb2": silent(old)}, want: "lb1 lb2+"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := nodesInput{nodes: named(strings.Fields(tc.labelled)...), statuses: tc.said, now: now, revision: revision}
			in.current = nodeconfig.Fleet{Revision: revision - 1, Nodes: named(strings.Fields(tc.current)...)}
			for i := range in.current.Nodes {
				if in.current.Nodes[i].Phase != "" {
					in.current.Nodes[i].Since = old
				}
			}
			in.current.Groups = []nodeconfig.Group{{Former: tc.former}}
			for n, s := range tc.said {
				if s.Reported.IsZero() {
					s.Reported = now
				}
				tc.said[n] = s
			}
			var got []string
			for _, n := range nextNodes(in) {
				mark := map[nodeconfig.Phase]string{nodeconfig.PhaseJoining: "+", nodeconfig.PhaseLeaving: "-"}[n.Phase]
				got = append(got, n.Name+mark)
				was := indexNode(in.current.Nodes, n.Name)
				if changed := was < 0 || in.current.Nodes[was].Phase != n.Phase; n.Phase != "" && changed != (n.Since == revision) {
					t.Errorf("%s is %s since %d", n.Name, n.Phase, n.Since)
				}
			}
			if got := strings.Join(got, " "); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
			// A node whose address is missing from its Node for a moment keeps what it had.
			for i := range in.nodes {
				in.nodes[i].Addresses = nil
			}
			for _, n := range nextNodes(in) {
				if len(n.Addresses) == 0 {
					t.Errorf("%s has lost its address", n.Name)
				}
			}
		})
	}
}

// TestFirstFleet: with all daemons there or none, the first document that the nodes get is final.
func TestFirstFleet(t *testing.T) {
	store := newTestStore("lb1", "lb2", "lb3")
	b := New(store, Options{Cluster: "c"})
	apply(t, b, balancer("a", testVIP))
	f := store.fleet(t)
	checkLaws(t, f)
	for range 3 {
		store.catchUp(t, "lb1", "lb2", "lb3")
		apply(t, b, balancer("a", testVIP))
	}
	if again := store.fleet(t); again.Revision != f.Revision || fmt.Sprint(again.Nodes) != fmt.Sprint(f.Nodes) {
		t.Errorf("it changed by itself from %v to %v", f.Nodes, again.Nodes)
	}
}

// TestAnotherAddress: a member whose address changes leaves under the old one and joins under the new one, one node at a
// time, whoever says so: the Node object, or the daemon for the interface that it was told to use.
func TestAnotherAddress(t *testing.T) {
	for _, reported := range []bool{false, true} {
		store := newTestStore("lb1", "lb2", "lb3")
		b := New(store, Options{Cluster: "c"})
		apply(t, b)
		want := map[string]netip.Addr{}
		serving := map[string]bool{"lb1": true, "lb2": true, "lb3": true}
		say := func() {
			f := store.fleet(t)
			for _, n := range f.Nodes {
				serving[n.Name] = n.Phase == ""
				st := nodeconfig.Status{Node: n.Name, Running: nodeconfig.Running{Fleet: f.Revision}}
				st.Wanted, st.Share.State = st.Running, nodeconfig.ShareSilent
				if serving[n.Name] {
					st.Share.State = nodeconfig.ShareServing
				}
				if reported && want[n.Name].IsValid() {
					st.Addresses = []netip.Addr{netip.MustParseAddr("fe80::1"), want[n.Name], netip.MustParseAddr("10.9.9.9")}
				}
				store.report(t, st)
			}
		}
		say()
		apply(t, b)
		for i, name := range []string{"lb1", "lb2", "lb3"} {
			want[name] = netip.AddrFrom4([4]byte{10, 7, 0, byte(i)})
			if n := store.nodes[name]; !reported {
				n.Addresses = []netip.Addr{want[name]}
				store.nodes[name] = n
			}
		}
		say()
		old := fmt.Sprint(store.fleet(t).Nodes)
		for range 20 {
			apply(t, b)
			away := 0
			for _, n := range store.fleet(t).Nodes {
				if n.Phase != "" {
					away++
				}
				if was := strings.Contains(old, n.Addresses[0].String()); n.Phase == nodeconfig.PhaseJoining && was {
					t.Errorf("%s joins under its old address", n.Name)
				}
			}
			if away > 1 {
				t.Fatalf("%d nodes are away at once: %v", away, store.fleet(t).Nodes)
			}
			say()
		}
		for _, n := range store.fleet(t).Nodes {
			if n.Phase != "" || !slices.Equal(n.Addresses, []netip.Addr{want[n.Name]}) {
				t.Errorf("in the end there is %v, want %s", n, want[n.Name])
			}
		}
	}
}
