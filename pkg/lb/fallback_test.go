package lb

import (
	"fmt"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	at := func(host, path string) Route { return Route{Host: host, Path: path} }
	only := func(r Route) Route {
		r.Exact = true
		return r
	}
	for _, tc := range []struct {
		name   string
		routes []Route
		want   string
	}{
		{"nothing", nil, "[]"},
		{"own first", []Route{at("", "/"), at("a.b", "/x")}, "[0] a.b[1 0]"},
		{"own takes all", []Route{at("", "/y"), at("a.b", "")}, "[0] a.b[1]"},
		{"own takes what is below", []Route{at("", "/x/y"), at("", "/xy"), at("a.b", "/x/")}, "[0 1] a.b[2 1]"},
		{"the next wildcard first", []Route{at("", "/"), at("*.b", "/"), at("*.a.b", "/x"), at("c.a.b", "/y")},
			"[0] *.a.b[2 1] *.b[1] c.a.b[3 2 1]"},
		{"exact leaves what is below", []Route{at("", "/x"), at("a.b", "/x"), only(at("a.c", "/x"))}, "[0] a.b[1] a.c[2 0]"},
		{"exact twice", []Route{only(at("", "/x")), only(at("a.b", "/x")), only(at("a.c", "/x/"))},
			"[0] a.b[1] a.c[2 0]"},
		{"the root exactly", []Route{at("", "/"), only(at("a.b", "/"))}, "[0] a.b[1 0]"},
	} {
		var got []string
		for host, routes := range (Listener{Routes: tc.routes}).Hosts() {
			got = append(got, fmt.Sprintf("%s%d", host, routes))
		}
		if text := strings.Join(got, " "); text != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, text, tc.want)
		}
	}
}

func TestSprawls(t *testing.T) {
	// hosts with a route each leave room for as many others of every host.
	product := func(hosts, others int) Listener {
		l := Listener{Protocol: HTTP}
		for i := range hosts {
			l.Routes = append(l.Routes, Route{Host: fmt.Sprintf("h%d.example.com", i), Path: "/own"})
		}
		for i := range others {
			l.Routes = append(l.Routes, Route{Path: fmt.Sprintf("/p%d", i)})
		}
		return l
	}
	raw := product(128, 128)
	raw.Protocol = Passthrough
	for _, tc := range []struct {
		name      string
		listeners []Listener
		want      bool
	}{
		{"none", nil, false},
		{"many hosts", []Listener{product(255, 1)}, false},
		{"many paths", []Listener{product(1, 255)}, false},
		{"40 · 48 + 47 = 1,967", []Listener{product(40, 47)}, false},
		{"40 · 49 + 48 = 2,008", []Listener{product(40, 48)}, true},
		{"the product", []Listener{product(128, 128)}, true},
		{"on several ports", []Listener{product(20, 48), product(20, 48), product(1, 1)}, true},
		{"of another protocol", []Listener{raw}, false},
	} {
		if got := (LoadBalancer{Listeners: tc.listeners}).Sprawls(); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}
