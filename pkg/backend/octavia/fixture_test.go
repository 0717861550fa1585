package octavia

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// hang stands for no answer at all in place of a status.
const hang = -1

// transport answers in place of Octavia.
type transport func(*http.Request) (status int, body string)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	status, body := f(r)
	if status == hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Retry-After": []string{"7"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r, ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// fakeAPI is logged in to whatever the transport answers.
func fakeAPI(f transport) *api {
	provider := &gophercloud.ProviderClient{HTTPClient: http.Client{Transport: f}, TokenID: "t"}
	return &api{
		readLimit: DefaultReadLimit, writeLimit: DefaultWriteLimit,
		session: &session{
			octavia:  &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: "http://octavia/", ResourceBase: "http://octavia/v2.0/"},
			barbican: &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: "http://barbican/", ResourceBase: "http://barbican/v1/"},
			neutron:  &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: "http://neutron/", ResourceBase: "http://neutron/v2.0/"},
		},
	}
}

// obedient answers every call as an Octavia would that has done it, and checks that bodies are JSON.
func obedient(t *testing.T) transport {
	n := 0
	return func(r *http.Request) (int, string) {
		if r.Method == http.MethodDelete {
			return http.StatusNoContent, ""
		}
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		if r.Method == http.MethodPut {
			return http.StatusAccepted, "{}"
		}
		n++
		for kind := range body {
			return http.StatusCreated, fmt.Sprintf(`{%q:{"id":"made-%d"}}`, kind, n)
		}
		return http.StatusBadRequest, ""
	}
}

func origin(ns, name string) lb.Origin {
	return lb.Origin{Kind: "ConfigMap", Key: lb.Key{Namespace: ns, Name: name}, UID: "u"}
}

func endpoints(texts ...string) lb.Target {
	var t lb.Target
	for _, s := range texts {
		t.Endpoints = append(t.Endpoints, netip.MustParseAddrPort(s))
	}
	return t
}

// tcp is a load balancer of one TCP port.
func tcp(port uint16, members ...string) lb.LoadBalancer {
	return lb.LoadBalancer{Origin: origin("default", "web"), Listeners: []lb.Listener{
		{Port: port, Protocol: lb.TCP, Routes: []lb.Route{{Target: endpoints(members...)}}},
	}}
}

func plant(l lb.LoadBalancer, s Settings) Tree {
	return Plant(l, Identity{Cluster: "c", Origin: l.Origin}, s)
}

// grown is what is seen of a tree that Octavia has made.
func grown(t Tree) Seen {
	s := Seen{ID: "lb", Name: t.Name, Tags: t.Tags}
	for i, p := range t.Pools {
		sp := SeenPool{ID: fmt.Sprintf("pool-%d", i), Status: statusActive, Pool: p}
		if p.Monitor != nil {
			sp.MonitorID, sp.MonitorStatus = "monitor-"+p.Name, statusActive
		}
		s.Pools = append(s.Pools, sp)
	}
	for i, l := range t.Listeners {
		sl := SeenListener{ID: fmt.Sprintf("listener-%d", i), Status: statusActive, Listener: l}
		for _, p := range l.Policies {
			sl.Policies = append(sl.Policies, SeenPolicy{ID: "policy-" + p.Name, Status: statusActive, Name: p.Name, Rules: len(p.Rules)})
		}
		s.Listeners = append(s.Listeners, sl)
	}
	return s
}
