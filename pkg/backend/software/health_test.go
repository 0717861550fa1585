package software

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// status returns a report that is so old, of a node that runs the shard and holds addresses.
func status(node string, s *testStore, t *testing.T, age time.Duration, holding ...string) nodeconfig.Status {
	st := nodeconfig.Status{
		Node: node, Reported: time.Now().Add(-age), Running: nodeconfig.Running{Shards: s.running(t)},
	}
	for _, h := range holding {
		st.Holding = append(st.Holding, netip.MustParseAddr(h))
	}
	return st
}

func TestHealth(t *testing.T) {
	key := lb.Key{Namespace: "default", Name: "a"}
	const vip = "10.9.0.1"
	for _, tc := range []struct {
		name   string
		nodes  []string
		report func(s *testStore, t *testing.T)
		want   backend.Health
	}{
		{
			name:   "no node",
			report: func(*testStore, *testing.T) {},
			want: backend.Health{
				Reason: "no node is there for load balancing; label some with type=loadbalancer",
				Findings: []lb.Finding{{
					Code: lb.CodeNoNodes, Message: "no node is there for load balancing; label some with type=loadbalancer",
				}},
			},
		},
		{
			name: "silent nodes", nodes: []string{"lb1", "lb2"},
			report: func(s *testStore, t *testing.T) { s.report(t, status("lb1", s, t, 40*time.Second, vip)) },
			want: backend.Health{
				Reason: "none of 2 load-balancer nodes reports; see that the lb-daemon runs on them",
				Findings: []lb.Finding{{
					Code:    lb.CodeNoNodes,
					Message: "none of 2 load-balancer nodes reports; see that the lb-daemon runs on them",
				}},
			},
		},
		{
			name: "one behind", nodes: []string{"lb1", "lb2"},
			report: func(s *testStore, t *testing.T) {
				s.report(t, status("lb1", s, t, 0, vip))
				s.report(t, nodeconfig.Status{Node: "lb2"})
			},
			want: backend.Health{Reason: "1 of 2 nodes run it, not yet lb2"},
		},
		{
			name: "behind for a reason of its own", nodes: []string{"lb1"},
			report: func(s *testStore, t *testing.T) {
				s.report(t, nodeconfig.Status{Node: "lb1", Findings: []nodeconfig.NodeFinding{
					{Finding: lb.Finding{Code: lb.CodeNodeRefused, Message: "keepalived is not installed"}},
				}})
			},
			want: backend.Health{Reason: "0 of 1 nodes run it; node lb1: keepalived is not installed"},
		},
		{
			name: "nobody holds it", nodes: []string{"lb1", "lb2"},
			report: func(s *testStore, t *testing.T) { s.catchUp(t, "lb1", "lb2") },
			want:   backend.Health{Reason: "no node holds 10.9.0.1 yet", Moving: true},
		},
		{
			name: "ready", nodes: []string{"lb1", "lb2"},
			report: func(s *testStore, t *testing.T) {
				s.catchUp(t, "lb1")
				s.report(t, status("lb2", s, t, 0, vip))
			},
			want: backend.Health{Ready: true},
		},
		{
			name: "a dead node does not count", nodes: []string{"lb1", "lb2"},
			report: func(s *testStore, t *testing.T) {
				s.report(t, nodeconfig.Status{Node: "lb1", Reported: time.Now().Add(-31 * time.Second)})
				s.report(t, status("lb2", s, t, 0, vip))
			},
			want: backend.Health{Ready: true},
		},
		{
			name: "two holders", nodes: []string{"lb1", "lb2"},
			report: func(s *testStore, t *testing.T) {
				s.report(t, status("lb1", s, t, 0, vip))
				s.report(t, status("lb2", s, t, 0, vip))
			},
			want: backend.Health{Reason: "10.9.0.1 is held by several nodes: lb1, lb2", Moving: true},
		},
		{
			name: "a dead node's last words", nodes: []string{"lb1", "lb2"},
			report: func(s *testStore, t *testing.T) {
				s.report(t, status("lb1", s, t, 8*time.Second, vip))
				st := status("lb2", s, t, 0, vip)
				st.Groups = []nodeconfig.GroupStatus{{
					ID: 0, Family: lb.IPv4, State: nodeconfig.StateMaster, Since: time.Now().Add(-2 * time.Second),
				}}
				s.report(t, st)
			},
			want: backend.Health{Ready: true},
		},
		{
			name: "refused", nodes: []string{"lb1"},
			report: func(s *testStore, t *testing.T) {
				st := status("lb1", s, t, 0, vip)
				st.Findings = []nodeconfig.NodeFinding{
					{Key: key, Finding: lb.Finding{Code: lb.CodeNodeRefused, Message: "nginx: no"}},
					{Key: lb.Key{Namespace: "x", Name: "y"}, Finding: lb.Finding{Code: lb.CodeNodeRefused, Message: "no"}},
				}
				s.report(t, st)
			},
			want: backend.Health{Ready: true, Findings: []lb.Finding{
				{Code: lb.CodeNodeRefused, Message: "node lb1: nginx: no"},
			}},
		},
		{
			name: "a report in another's name", nodes: []string{"lb1"},
			report: func(s *testStore, t *testing.T) {
				s.report(t, status("lb1", s, t, 0, vip))
				s.status[nodeconfig.StatusName("lb1")] = Object{
					Name: nodeconfig.StatusName("lb1"), Version: "x", Text: `{"version":1,"node":"lb2"}`,
				}
			},
			want: backend.Health{
				Reason: "none of 1 load-balancer nodes reports; see that the lb-daemon runs on them",
				Findings: []lb.Finding{{
					Code:    lb.CodeNoNodes,
					Message: "none of 1 load-balancer nodes reports; see that the lb-daemon runs on them",
				}},
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			store := newTestStore(tc.nodes...)
			b := New(store, Options{})
			apply(t, b, balancer("a", vip))
			tc.report(store, t)
			state, err := b.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, state.Health[key]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNeighboursDoNotDisturb: a change of one load balancer leaves the others of its shard ready.
func TestNeighboursDoNotDisturb(t *testing.T) {
	store := newTestStore("lb1")
	b := New(store, Options{})
	a := balancer("a", "10.9.0.1")
	apply(t, b, a)
	store.report(t, status("lb1", store, t, 0, "10.9.0.1", "10.9.0.2"))
	apply(t, b, a, balancer("b", "10.9.0.2"))
	state, err := b.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if h := state.Health[a.Origin.Key]; !h.Ready {
		t.Errorf("a: %+v", h)
	}
	if h := state.Health[lb.Key{Namespace: "default", Name: "b"}]; h.Ready {
		t.Error("b is ready before a node runs it")
	}
}

// TestExpires: the state says when a silent node will be noticed.
func TestExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTestStore("lb1", "lb2")
		b := New(store, Options{})
		apply(t, b, balancer("a", "10.9.0.1"))
		store.report(t, status("lb1", store, t, 0, "10.9.0.1"))
		time.Sleep(10 * time.Second)
		store.report(t, status("lb2", store, t, 0))
		state, err := b.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if h := state.Health[lb.Key{Namespace: "default", Name: "a"}]; !h.Ready {
			t.Fatalf("not ready: %s", h.Reason)
		}
		time.Sleep(time.Until(state.Expires))
		if state, err = b.State(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h := state.Health[lb.Key{Namespace: "default", Name: "a"}]; h.Ready {
			t.Error("a dead node's address still counts as held")
		}
	})
}
