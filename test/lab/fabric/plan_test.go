package fabric

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewPlan(t *testing.T) {
	p, err := NewPlan("demo", Size{LBNodes: 3, Workers: 2, Clients: 2})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range p.Nodes {
		names = append(names, n.Name)
	}
	if diff := cmp.Diff([]string{"lb1", "lb2", "lb3", "w1", "w2", "client", "client2"}, names); diff != "" {
		t.Errorf("machines (-want +got):\n%s", diff)
	}
	if got := len(p.Members()); got != 5 {
		t.Errorf("%d members, want 5", got)
	}
	if n, ok := p.Node("w2"); !ok || n.Namespace != "klb-demo-w2" || n.Address.String() != "10.88.0.102" {
		t.Errorf("w2 is %+v, %v", n, ok)
	}
	if _, ok := p.Node("w3"); ok {
		t.Error("there is a w3")
	}
}

// TestPlanIsSound takes the largest lab: every address once, on the link, outside the pools; pod ranges apart.
func TestPlanIsSound(t *testing.T) {
	p, err := NewPlan("big", Size{LBNodes: 80, Workers: 80, Clients: 20})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[netip.Addr]string{p.Address: "fabric", p.Address6: "fabric"}
	var ranges []netip.Prefix
	for _, n := range p.Nodes {
		for _, a := range []netip.Addr{n.Address, n.Address6} {
			if other, ok := seen[a]; ok {
				t.Errorf("%s and %s both have %s", n.Name, other, a)
			}
			seen[a] = n.Name
			link, pool := netip.MustParsePrefix(Link), netip.MustParsePrefix(Pool)
			if a.Is6() {
				link, pool = netip.MustParsePrefix(Link6), netip.MustParsePrefix(Pool6)
			}
			if !link.Contains(a) || pool.Contains(a) {
				t.Errorf("%s: address %s is off the link or in a pool", n.Name, a)
			}
		}
		if n.Role == RoleClient {
			if n.Pods.IsValid() {
				t.Errorf("client %s has pods", n.Name)
			}
			continue
		}
		for _, r := range []netip.Prefix{n.Pods, n.Pods6} {
			if slices.ContainsFunc(ranges, r.Overlaps) {
				t.Errorf("%s: pod range %s overlaps another", n.Name, r)
			}
			whole := netip.MustParsePrefix(PodRange)
			if r.Addr().Is6() {
				whole = netip.MustParsePrefix(PodRange6)
			}
			if !whole.Contains(r.Addr()) || r != r.Masked() {
				t.Errorf("%s: pod range %s is not within %s", n.Name, r, whole)
			}
			ranges = append(ranges, r)
		}
		if len(n.Name) > 15 {
			t.Errorf("%s does not fit a link's name", n.Name)
		}
	}
}

func TestNewPlanRefuses(t *testing.T) {
	for _, size := range []Size{{81, 0, 1}, {0, 81, 1}, {0, 0, 0}, {0, 0, 21}, {-1, 0, 1}} {
		if _, err := NewPlan("x", size); err == nil {
			t.Errorf("%+v: no error", size)
		}
	}
}

func TestParseCuts(t *testing.T) {
	tests := map[string]struct {
		listing string
		want    []Pair
		bad     bool
	}{
		"none": {listing: `{"nftables": [{"table": {}}, {"set": {"name": "pairs"}}, {"set": {"name": "api"}}]}`},
		"both ways are one": {
			listing: `{"nftables": [{"set": {"name": "pairs", "elem": [
				{"concat": ["w1", "lb1"]}, {"concat": ["lb1", "w1"]}]}}, {"set": {"name": "api", "elem": ["lb2"]}}]}`,
			want: []Pair{{"api", "lb2"}, {"lb1", "w1"}},
		},
		"no JSON":         {listing: `table`, bad: true},
		"strange element": {listing: `{"nftables": [{"set": {"elem": [{"range": ["a", "b"]}]}}]}`, bad: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseCuts([]byte(tt.listing))
			if (err != nil) != tt.bad {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("cuts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProduct(t *testing.T) {
	got := product([]string{"lb2", "lb1"}, []string{"lb1", "api"})
	want := []Pair{{"lb1", "lb2"}, {"api", "lb2"}, {"api", "lb1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pairs (-want +got):\n%s", diff)
	}
}
