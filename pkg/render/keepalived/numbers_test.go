package keepalived

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

func TestNumbers(t *testing.T) {
	in := Input{Interface: "eth0", Gate: "/run/gate", WeightDir: "/run/weight", AdvertInterval: 50 * time.Millisecond}
	for group, vrid := range map[int]uint8{0: 51, 7: 255} {
		in.Instances = append(in.Instances, Instance{
			Group: group, Family: lb.IPv4, VRID: vrid, Priority: 254, Source: netip.MustParseAddr("10.0.0.1"),
			Peers: []netip.Addr{netip.MustParseAddr("10.0.0.2")}, Anchor: netip.AddrFrom4([4]byte{169, 254, 7, byte(group + 1)}),
		})
	}
	result, err := Render(in)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{InstanceName(0, lb.IPv4): 51, InstanceName(7, lb.IPv4): 255}
	for _, f := range result.Files {
		if diff := cmp.Diff(want, Numbers(f.Data)); f.Path == ConfigName && diff != "" {
			t.Errorf("%s\n%s", diff, f.Data)
		}
	}
	if got := Numbers([]byte("virtual_router_id 3\nvrrp_instance\nvrrp_instance a {\nvirtual_router_id x\n}\n")); len(got) > 0 {
		t.Errorf("of what is no such configuration: %v", got)
	}
}
