package lb

import (
	"fmt"
	"testing"
)

// Only targets that go by endpoints are visited, with the transport that leads to them, and can be changed in place.
func TestEachEndpointTarget(t *testing.T) {
	l := sample()
	var got []string
	for i := range l.Listeners {
		l.Listeners[i].Options.Upstream.Endpoints = l.Listeners[i].Port != 443
	}
	l.EachEndpointTarget(func(target *Target, transport Transport) {
		got = append(got, fmt.Sprint(target.Service.Name, " ", transport))
		target.Endpoints = nil
	})
	if want := "[a TCP b TCP c TCP d TCP d TCP e TCP f TCP f TCP g UDP]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	for _, s := range l.Listeners {
		for _, r := range s.Routes {
			for _, target := range r.Targets() {
				if by := s.Options.Upstream.Endpoints; by == (len(target.Endpoints) > 0) {
					t.Errorf("port %d: %v of %s", s.Port, target.Endpoints, target.Service)
				}
			}
		}
	}
	if !l.ByEndpoints() || new(LoadBalancer).ByEndpoints() {
		t.Error("who goes by endpoints?")
	}
}
