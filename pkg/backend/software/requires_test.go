package software

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// requires returns what the entry of "a" says that its reader has to know.
func requires(t *testing.T, s *testStore) []nodeconfig.Feature {
	t.Helper()
	return s.shard(t, "lb-shard-000").LoadBalancers[0].Requires
}

// rewrite stores a shard as another program would.
func rewrite(t *testing.T, s *testStore, sh nodeconfig.Shard) {
	t.Helper()
	text, err := nodeconfig.Encode(sh)
	if err != nil {
		t.Fatal(err)
	}
	s.put(s.config, "lb-shard-000", text)
}

// Entries say what their readers have to know, also those that were written before anybody said so.
func TestRequires(t *testing.T) {
	store := newTestStore("lb1")
	b := New(store, Options{})
	plain, secure := balancer("a", "10.9.0.1"), certified(balancer("a", "10.9.0.1"), 1, 1)
	apply(t, b, secure)
	tls := []nodeconfig.Feature{nodeconfig.FeatureTLS}
	if diff := cmp.Diff(tls, requires(t, store)); diff != "" {
		t.Error(diff)
	}
	sh := store.shard(t, "lb-shard-000")
	sh.LoadBalancers[0].Requires = nil
	rewrite(t, store, sh)
	apply(t, b, secure)
	if diff := cmp.Diff(tls, requires(t, store)); diff != "" {
		t.Error(diff)
	}
	apply(t, b, plain)
	if got := requires(t, store); got != nil {
		t.Errorf("a plain one requires %v", got)
	}
}

// A controller that does not know all of an entry, and keeps it as its last good version, goes on saying that there is
// more to it, although it writes it anew. Once it plans something else, only that counts.
func TestKeepsWhatIsUnknown(t *testing.T) {
	store := newTestStore("lb1")
	b := New(store, Options{})
	a := certified(balancer("a", "10.9.0.1"), 1, 1)
	apply(t, b, a)
	sh := store.shard(t, "lb-shard-000")
	newer := []nodeconfig.Feature{"quic", nodeconfig.FeatureTLS}
	sh.LoadBalancers[0].Requires = newer
	rewrite(t, store, sh)
	kept := a.Clone()
	kept.Listeners[0].TLS.Certificates[0].Material.Digest = "renewed"
	kept.Listeners[0].Routes[0].Target.Endpoints = []netip.AddrPort{netip.MustParseAddrPort("10.96.0.2:80")}
	for _, w := range []lb.LoadBalancer{a, kept} {
		apply(t, b, w, balancer("b", "10.9.0.2"))
		if diff := cmp.Diff(newer, requires(t, store)); diff != "" {
			t.Error(diff)
		}
	}
	kept.Listeners[0].Port = 444
	apply(t, b, kept)
	if diff := cmp.Diff([]nodeconfig.Feature{nodeconfig.FeatureTLS}, requires(t, store)); diff != "" {
		t.Error(diff)
	}
}
