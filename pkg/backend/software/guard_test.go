package software

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// certified gives a load balancer certificates, each with so many names.
func certified(l lb.LoadBalancer, certificates, names int) lb.LoadBalancer {
	l = l.Clone()
	l.Listeners[0].TLS = &lb.TLS{}
	for i := range certificates {
		c := lb.Certificate{Secret: fmt.Sprintf("cert-%02d", i), Expires: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)}
		for j := range names {
			c.Names = append(c.Names, fmt.Sprintf("name-%03d.of-%02d.example.com", j, i))
		}
		l.Listeners[0].TLS.Certificates = append(l.Listeners[0].TLS.Certificates, c)
	}
	return l
}

// findingsOf returns what a state says of a load balancer, by code.
func findingsOf(t *testing.T, b *Backend, l lb.LoadBalancer) string {
	t.Helper()
	state, err := b.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range state.Health[l.Origin.Key].Findings {
		out = append(out, string(f.Code))
	}
	return strings.Join(out, " ")
}

// One that has outgrown every shard is a finding, not a failed pass: its last good version is served on, those beside it
// change, and it is mended by its user.
func TestTooLargeForAShard(t *testing.T) {
	store := newTestStore("lb1")
	b := New(store, Options{})
	good, neighbour := balancer("a", "10.9.0.1"), balancer("b", "10.9.0.2")
	apply(t, b, good, neighbour)
	store.catchUp(t, "lb1")
	bad, fresh := certified(good, 64, 256), certified(balancer("c", "10.9.0.3"), 64, 256)
	neighbour.Listeners[0].Port = 81
	for range 3 {
		apply(t, b, bad, neighbour, fresh)
	}
	store.catchUp(t, "lb1")
	for _, l := range []lb.LoadBalancer{bad, fresh} {
		if got := findingsOf(t, b, l); got != "LB0408" {
			t.Errorf("%s: %q", l.Origin.Key, got)
		}
	}
	if got := findingsOf(t, b, neighbour); got != "" {
		t.Errorf("the neighbour: %q", got)
	}
	entries := store.shard(t, "lb-shard-000").LoadBalancers
	if len(entries) != 2 || entries[0].Listeners[0].TLS != nil || entries[1].Listeners[0].Port != 81 {
		t.Errorf("served: %+v", entries)
	}
	apply(t, b, certified(good, 2, 256), neighbour)
	if got := findingsOf(t, b, good); got != "" {
		t.Errorf("mended: %q", got)
	}
	if got := store.shard(t, "lb-shard-000").LoadBalancers[0].Certificates(); len(got) != 2 {
		t.Errorf("%d certificates", len(got))
	}
}

// Whatever the plan lets through by the capabilities fits into a shard with its addresses.
func TestMaxSizeFits(t *testing.T) {
	l := certified(balancer("a"), 1, 1)
	limit := new(Backend).Capabilities().MaxSize
	names := &l.Listeners[0].TLS.Certificates[0].Names
	*names = slices.Repeat([]string{"x.y"}, limit/6)
	for size(t, l) > limit {
		*names = (*names)[1:]
	}
	if size(t, l)+len(`"x.y",`) <= limit {
		t.Fatal("it is not at the bound")
	}
	l.VIPs = append(balancer("a", "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").VIPs, l.VIPs...)
	store := newTestStore("lb1")
	b := New(store, Options{})
	apply(t, b, l)
	store.catchUp(t, "lb1")
	if got := findingsOf(t, b, l); got != "" {
		t.Errorf("%q", got)
	}
	if n := len(store.shard(t, "lb-shard-000").LoadBalancers); n != 1 {
		t.Errorf("%d are served", n)
	}
}

func size(t *testing.T, l lb.LoadBalancer) int {
	t.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return len(text)
}
