package controller

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// sliceOf is a slice of a Service in default with such endpoints.
func sliceOf(name, service string, pods ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service},
	}}
	for _, p := range pods {
		s.Endpoints = append(s.Endpoints, pod(p))
	}
	return s
}

// wishFor leads to Services of default by their cluster IPs, the first with all weight where there are two.
func wishFor(services ...string) *lb.Wish {
	w := &lb.Wish{Fields: lb.Fields{Service: "data[target-service-name]"}}
	target := func(name string) lb.Target {
		return lb.Target{
			Service:   lb.Service{Key: lb.Key{Namespace: "default", Name: name}, Port: 80},
			Endpoints: []netip.AddrPort{netip.MustParseAddrPort("10.96.0.1:80")},
		}
	}
	for _, name := range services {
		first, second, two := strings.Cut(name, "+")
		r := lb.Route{Target: target(first)}
		if r.Target.Weight = 1; two {
			r.Others = []lb.Target{target(second)}
		}
		w.LoadBalancer.Listeners = append(w.LoadBalancer.Listeners, lb.Listener{Routes: []lb.Route{r}})
	}
	return w
}

// TestBacking: a Service counts as served while one of its slices has a pod that serves, and every turn of that is told.
func TestBacking(t *testing.T) {
	changes := 0
	b := newBacking(nil, slog.New(slog.DiscardHandler))
	b.changed = func() { changes++ }
	if got := b.podless(wishFor("a")); got != nil {
		t.Errorf("before anything is read: %v", got)
	}
	do := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for i, step := range []struct {
		do      func() error
		podless string
		changes int
	}{
		{func() error { return b.Replace([]any{sliceOf("a-1", "a", "10.0.0.1")}, "") }, "b", 1},
		{func() error { return b.Add(sliceOf("a-2", "a", "10.0.0.2")) }, "b", 1},
		{func() error { return b.Update(sliceOf("a-1", "a", "10.0.0.1 unready")) }, "b", 1},
		{func() error { return b.Update(sliceOf("a-1", "a")) }, "b", 1},
		{func() error { return b.Update(sliceOf("a-2", "a", "10.0.0.2 ending")) }, "b", 1},
		{func() error { return b.Delete(sliceOf("a-2", "a", "10.0.0.2 ending")) }, "a b", 2},
		{func() error { return b.Delete(sliceOf("a-2", "a", "10.0.0.2")) }, "a b", 2},
		{func() error { return b.Add(sliceOf("nobodys", "", "10.0.0.9")) }, "a b", 2},
		{func() error { return b.Update(sliceOf("a-1", "b", "10.0.0.1")) }, "a", 3},
		{func() error { return b.Update(sliceOf("a-1", "a", "10.0.0.1")) }, "b", 4},
		{func() error { return b.Replace(nil, "") }, "a b", 5},
	} {
		do(step.do())
		var names []string
		for _, f := range b.podless(wishFor("a", "b", "a", "b+c")) {
			_, rest, _ := strings.Cut(f.Message, "default/")
			name, _, _ := strings.Cut(rest, " ")
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != step.podless || changes != step.changes {
			t.Errorf("step %d: %q have no pods, after %d changes", i, got, changes)
		}
	}
	do(b.Resync())
	if b.Add("x") == nil {
		t.Error("a text is a slice")
	}
	if got := fmt.Sprint(b.podless(wishFor("a"))); got != "[LB0206 data[target-service-name]: no pod of Service default/a is "+
		"ready; see that its selector finds pods and that they are ready]" {
		t.Error(got)
	}
	byEndpoints := wishFor("a")
	byEndpoints.LoadBalancer.Listeners[0].Options.Upstream.Endpoints = true
	if got := b.podless(byEndpoints); got != nil {
		t.Errorf("by endpoints: %v", got) // it is told with the port
	}
}
