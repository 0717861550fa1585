package agent

import (
	"net/netip"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// leading is an entry whose only route leads to endpoints.
func leading(name string, endpoints ...string) nodeconfig.Entry {
	e := entry(name, 80, "10.0.0.1")
	var target lb.Target
	for _, text := range endpoints {
		target.Endpoints = append(target.Endpoints, netip.MustParseAddrPort(text))
	}
	e.Listeners[0].Routes = []lb.Route{{Target: target}}
	return e
}

func TestMayWait(t *testing.T) {
	fleet := func(c nodeconfig.Config) nodeconfig.Config { c.Fleet.Revision++; return c }
	group := leading("a", "10.1.0.1:80")
	group.Group++
	moved := leading("a", "10.1.0.1:80")
	moved.VIPs = addrs("10.0.0.9")
	port, host := leading("a", "10.1.0.1:80"), leading("a", "10.1.0.1:80")
	port.Listeners[0].Port, host.Listeners[0].Routes[0].Host = 81, "a.example.com"
	before := shards(leading("a", "10.1.0.1:80"))
	tests := []struct {
		name          string
		before, after nodeconfig.Config
		want          bool
	}{
		{"nothing changes", before, before, true},
		{"a load balancer comes", before, shards(leading("a", "10.1.0.1:80"), leading("b")), true},
		{"a load balancer goes", before, shards(), true},
		{"another port", before, shards(port), true},
		{"another host", before, shards(host), true},
		{"an endpoint comes", before, shards(leading("a", "10.1.0.1:80", "10.1.0.2:80")), true},
		{"an endpoint leaves", shards(leading("a", "10.1.0.1:80", "10.1.0.2:80")), before, false},
		{"an endpoint takes another's place", before, shards(leading("a", "10.1.0.2:80")), false},
		{"the first endpoint comes", shards(leading("a")), before, false},
		{"the last endpoint leaves", before, shards(leading("a")), false},
		{"the fleet changes", before, fleet(before), false},
		{"another group", before, shards(group), false},
		{"another address", before, shards(moved), false},
	}
	for _, tt := range tests {
		if got := mayWait(tt.before, tt.after); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// What does not run as it should never waits, nor does anything where no reload has done harm.
func TestWhatMendsDoesNotWait(t *testing.T) {
	config := shards(leading("a", "10.1.0.1:80"))
	waiting := func() *Agent {
		a := &Agent{calm: make(chan time.Time), last: &candidate{}, asked: &config, nginxID: "good"}
		a.last.nginx.Generation = "good"
		return a
	}
	if !waiting().waits(config) {
		t.Error("what can wait does not")
	}
	for name, change := range map[string]func(*Agent){
		"calm":                          func(a *Agent) { a.calm = nil },
		"an attempt has failed":         func(a *Agent) { a.failures = 1 },
		"nothing runs":                  func(a *Agent) { a.last = nil },
		"nothing was asked for":         func(a *Agent) { a.asked = nil },
		"nginx runs something unknown":  func(a *Agent) { a.nginxID = "" },
		"what runs is not the last one": func(a *Agent) { a.nginxID = "other" },
	} {
		a := waiting()
		change(a)
		if a.waits(config) {
			t.Errorf("%s: it waits", name)
		}
	}
}
