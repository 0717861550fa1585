package software

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

var errStore = errors.New("the store is out of order")

// testStore is a store in memory.
type testStore struct {
	config, status map[string]Object
	nodes          map[string]nodeconfig.Node
	orders         map[string]string
	version        int
	// writes are the names written since the last look.
	writes []string
	// skew is by how much the clocks of nodes are ahead.
	skew map[string]time.Duration
	// refuse makes writes of these names fail.
	refuse func(name string) bool
}

func newTestStore(nodes ...string) *testStore {
	s := &testStore{config: map[string]Object{}, status: map[string]Object{}, nodes: map[string]nodeconfig.Node{}}
	for _, n := range nodes {
		s.join(n)
	}
	return s
}

// join adds a node "lb7" with the address 10.0.0.7.
func (s *testStore) join(name string) {
	var n byte
	_, _ = fmt.Sscanf(name, "lb%d", &n)
	s.nodes[name] = nodeconfig.Node{Name: name, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, n})}}
}

func (s *testStore) Documents(context.Context) (Documents, error) {
	return Documents{
		Config: slices.Collect(maps.Values(s.config)), Status: slices.Collect(maps.Values(s.status)),
		Orders: s.orders,
	}, nil
}

func (s *testStore) Nodes(context.Context) ([]nodeconfig.Node, error) {
	return slices.Collect(maps.Values(s.nodes)), nil
}

func (s *testStore) Write(_ context.Context, o Object) error {
	if s.refuse != nil && s.refuse(o.Name) {
		return errStore
	}
	if s.config[o.Name].Version != o.Version {
		return fmt.Errorf("conflict: version %q is not %q", o.Version, s.config[o.Name].Version)
	}
	s.put(s.config, o.Name, o.Text)
	s.writes = append(s.writes, o.Name)
	return nil
}

func (s *testStore) put(where map[string]Object, name, text string) {
	s.version++
	where[name] = Object{Name: name, Version: fmt.Sprint(s.version), Text: text}
}

// written returns the shards written since the last call, in their order.
func (s *testStore) writtenShards() []string {
	var out []string
	for _, w := range s.writes {
		if strings.HasPrefix(w, nodeconfig.ShardPrefix) {
			out = append(out, w)
		}
	}
	s.writes = nil
	return out
}

func (s *testStore) fleet(t testing.TB) nodeconfig.Fleet {
	t.Helper()
	f, err := nodeconfig.Decode[nodeconfig.Fleet](s.config[nodeconfig.FleetName].Text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (s *testStore) shard(t testing.TB, name string) nodeconfig.Shard {
	t.Helper()
	sh, err := nodeconfig.Decode[nodeconfig.Shard](s.config[name].Text)
	if err != nil {
		t.Fatal(err)
	}
	return sh
}

// running returns the revisions of all shards as they are stored.
func (s *testStore) running(t testing.TB) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for name := range s.config {
		if strings.HasPrefix(name, nodeconfig.ShardPrefix) {
			out[name] = s.shard(t, name).Revision
		}
	}
	return out
}

// report stores a node's status.
func (s *testStore) report(t testing.TB, st nodeconfig.Status) {
	t.Helper()
	st.Version = nodeconfig.Version
	if st.Reported.IsZero() {
		st.Reported = time.Now().Add(s.skew[st.Node])
	}
	text, err := nodeconfig.Encode(st)
	if err != nil {
		t.Fatal(err)
	}
	s.put(s.status, nodeconfig.StatusName(st.Node), text)
	o := s.status[nodeconfig.StatusName(st.Node)]
	o.Heard = st.Reported.Add(-s.skew[st.Node]) // by a clock that is right
	s.status[o.Name] = o
}

// catchUp lets nodes report that they run all that is stored.
func (s *testStore) catchUp(t testing.TB, nodes ...string) {
	t.Helper()
	for _, n := range nodes {
		s.report(t, nodeconfig.Status{Node: n, Running: nodeconfig.Running{
			Fleet: s.fleet(t).Revision, Shards: s.running(t),
		}})
	}
}

// balancer returns a load balancer "default/name".
func balancer(name string, vips ...string) lb.LoadBalancer {
	l := lb.LoadBalancer{
		Origin: lb.Origin{
			Kind: "ConfigMap", Key: lb.Key{Namespace: "default", Name: name}, UID: "uid-" + name,
			Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		Listeners: []lb.Listener{{Port: 80, Protocol: lb.TCP, Routes: []lb.Route{{Target: lb.Target{
			Service:   lb.Service{Key: lb.Key{Namespace: "default", Name: name}, Port: 80},
			Endpoints: []netip.AddrPort{netip.MustParseAddrPort("10.96.0.1:80")},
		}}}}},
	}
	for _, v := range vips {
		l.VIPs = append(l.VIPs, netip.MustParseAddr(v))
	}
	return l
}

func apply(t *testing.T, b *Backend, want ...lb.LoadBalancer) {
	t.Helper()
	if err := b.Apply(t.Context(), want); err != nil {
		t.Fatalf("Apply: %v", err)
	}
}
