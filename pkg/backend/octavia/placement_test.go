package octavia

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// What can be chosen only at the creation is chosen anew as long as there is none: a refused flavor, once corrected, is
// tried at once. Afterwards it is as it was created.
func TestPlacementCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flavor := "none"
		c := &cloud{}
		c.deny = func(method, _ string) (int, string) {
			if method == http.MethodPost && flavor == "none" {
				return http.StatusBadRequest, `{"faultstring":"Validation failure: Invalid flavor_id."}`
			}
			return 0, ""
		}
		choose := func(f string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			flavor = f
		}
		b := c.begin(t, func(o *Options) {
			o.Settings = func(lb.Key) Settings { return Settings{Placement: Placement{SubnetID: "s", FlavorID: flavor}} }
		})
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Second)
		if h := healthOf(t, b); !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeCloudRefused}) {
			t.Errorf("%+v", h)
		}
		choose("small")
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(5 * time.Second)
		if h := healthOf(t, b); !h.Ready || c.made != 1 {
			t.Errorf("%d made, %+v", c.made, h)
		}
		choose("large")
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(5 * time.Second)
		if h := healthOf(t, b); !h.Ready || len(h.Findings) != 0 || c.made != 1 {
			t.Errorf("%d made, %+v", c.made, h)
		}
	})
}
