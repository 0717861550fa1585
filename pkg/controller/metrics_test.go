package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// gauges returns "name{label=value}=1" for the gauges whose names begin so, sorted.
func gauges(t *testing.T, r *prometheus.Registry, prefix string) []string {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			if strings.HasPrefix(f.GetName(), prefix) {
				out = append(out, fmt.Sprintf("%s{%s}=%g", strings.TrimPrefix(f.GetName(), "kubectl_lb_"),
					strings.Join(labels, ","), m.GetGauge().GetValue()))
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestMetricsOfCertificates: the end of each certificate that is served is there, and gone with it.
func TestMetricsOfCertificates(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := newMetrics()
	if err := m.register(registry); err != nil {
		t.Fatal(err)
	}
	served := lb.LoadBalancer{
		Origin: lb.Origin{Key: lb.Key{Namespace: "shop", Name: "web"}},
		Listeners: []lb.Listener{{TLS: &lb.TLS{Certificates: []lb.Certificate{
			{Secret: "one", Expires: time.Unix(1000, 0)}, {Secret: "two", Expires: time.Unix(2000, 0)},
		}}}, {Port: 80}},
	}
	const name = "certificate_expiry_timestamp_seconds"
	for _, want := range [][]string{{
		name + "{namespace=shop,secret=one}=1000", name + "{namespace=shop,secret=two}=2000",
	}, nil} {
		state := backend.State{}
		if want != nil {
			state.LoadBalancers = []lb.LoadBalancer{served}
		}
		m.observe(nil, nil, state)
		if got := gauges(t, registry, "kubectl_lb_certificate"); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestMetricsOfOwnersAndNodes(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := newMetrics()
	if err := m.register(registry); err != nil {
		t.Fatal(err)
	}
	two := backend.Dispute{Kind: backend.DisputeTwoOwners, Cause: backend.CauseSkew}
	waits := backend.Notice{Reason: "JoinWaits", Message: "x"}
	state := backend.State{
		Health: map[lb.Key]backend.Health{
			{Name: "a"}: {Disputes: []backend.Dispute{two, two}}, {Name: "b"}: {Disputes: []backend.Dispute{two}}, {Name: "c"}: {},
		},
		Nodes: []backend.Node{
			{Name: "lb1", Phase: backend.PhaseMember},
			{Name: "lb2", Phase: backend.PhaseJoining, Notices: []backend.Notice{waits, {Reason: "JoinWaits", Message: "y"}}},
		},
	}
	for range 2 {
		m.observe(nil, nil, state)
	}
	check := func(prefix string, want ...string) {
		t.Helper()
		if got := gauges(t, registry, prefix); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", prefix, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	check("kubectl_lb_disputed",
		"disputed_addresses{cause=foreign-machine,kind=foreign-owner}=0",
		"disputed_addresses{cause=partition,kind=two-owners}=0",
		"disputed_addresses{cause=skewed-configuration,kind=two-owners}=3",
		"disputed_addresses{cause=unknown,kind=no-owner}=0")
	check("kubectl_lb_node",
		"node_notices{reason=JoinWaits}=1", "nodes{phase=joining}=1", "nodes{phase=leaving}=0", "nodes{phase=member}=1")
	m.observe(nil, nil, backend.State{})
	check("kubectl_lb_node", "nodes{phase=joining}=0", "nodes{phase=leaving}=0", "nodes{phase=member}=0")
}
