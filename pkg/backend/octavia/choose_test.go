package octavia

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Of several with the tags of one object, the one that serves is taken.
func TestChoose(t *testing.T) {
	a, b := root{ID: "a", Address: "1", Provisioning: statusActive}, root{ID: "b", Address: "2", Provisioning: statusActive}
	going := root{ID: "g", Address: "2", Provisioning: statusPendingDelete}
	unborn, failed := root{ID: "u", Provisioning: "PENDING_CREATE"}, root{ID: "f", Address: "3", Provisioning: statusError}
	early := root{ID: "early", Address: "192.0.2.1", Provisioning: statusActive}
	late := root{ID: "late", Address: "192.0.2.2", Provisioning: statusActive}
	berthed := func(id string) root { return root{ID: id, PortID: id, Provisioning: statusActive} }
	recorded := func(address string) *lb.LoadBalancer {
		return &lb.LoadBalancer{Cloud: lb.Cloud{Recorded: []netip.Addr{netip.MustParseAddr(address)}}}
	}
	for name, tt := range map[string]struct {
		item   item
		found  []root
		id     string
		extras []string
		port   string
	}{
		"none":        {item{id: "a"}, nil, "a", nil, ""},
		"oldest":      {item{}, []root{a, b}, "a", []string{"b"}, ""},
		"known":       {item{id: "b"}, []root{a, b}, "b", []string{"a"}, ""},
		"address":     {item{want: Tree{Placement: Placement{Address: "2"}}}, []root{a, b}, "b", []string{"a"}, ""},
		"known first": {item{id: "a", want: Tree{Placement: Placement{Address: "2"}}}, []root{a, b}, "a", []string{"b"}, ""},
		"recorded":    {item{model: recorded("192.0.2.2")}, []root{early, late}, "late", []string{"early"}, ""},
		"not so":      {item{model: recorded("192.0.2.9")}, []root{early, late}, "early", []string{"late"}, ""},
		"recorded over requested": {item{model: recorded("192.0.2.2"), want: Tree{Placement: Placement{Address: "192.0.2.1"}}},
			[]root{early, late}, "late", []string{"early"}, ""},
		"no address yet":    {item{id: "b"}, []root{unborn, b}, "b", []string{"u"}, ""},
		"active":            {item{}, []root{unborn, failed, b}, "b", []string{"u", "f"}, ""},
		"afloat":            {item{}, []root{berthed("x"), berthed("y")}, "y", []string{"x"}, "y"},
		"afloat, but known": {item{id: "x"}, []root{berthed("x"), berthed("y")}, "x", []string{"y"}, "y"},
		"going":             {item{id: "g", want: Tree{Placement: Placement{Address: "2"}}}, []root{going, a}, "a", nil, ""},
		"only going":        {item{}, []root{going}, "g", nil, ""},
		"going twice":       {item{}, []root{going, going}, "g", nil, ""},
	} {
		tt.item.choose(tt.found, time.Now(), tt.port)
		if tt.item.id != tt.id || !slices.Equal(tt.item.extras, tt.extras) {
			t.Errorf("%s: %s, extras %v", name, tt.item.id, tt.item.extras)
		}
	}
}
