package agent

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// Metrics are the agent's own.
type Metrics struct {
	registry  prometheus.Registerer
	reloads   *prometheus.CounterVec
	refusals  *prometheus.CounterVec
	restarts  *prometheus.CounterVec
	rollbacks prometheus.Counter
	drills    *prometheus.CounterVec
}

// NewMetrics registers the metrics; a nil registry keeps them to themselves.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kubectl_lb_daemon_" + name, Help: help}, labels)
	}
	m := &Metrics{
		registry: registry,
		reloads:  counter("reloads_total", "Starts and reloads with a new generation.", "program", "result"),
		refusals: counter("refusals_total", "Generations that a program refused.", "program"),
		restarts: counter("restarts_total", "Starts after a death.", "program"),
		rollbacks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kubectl_lb_daemon_rollbacks_total", Help: "Returns to the last good generation.",
		}),
		drills: newDrillCounter(),
	}
	registry.MustRegister(m.reloads, m.refusals, m.restarts, m.rollbacks, m.drills)
	return m
}

// observe registers what is read off the agent when somebody asks.
func (m *Metrics) observe(a *Agent) {
	gauge := func(name, help string, labels prometheus.Labels, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kubectl_lb_daemon_" + name, Help: help, ConstLabels: labels,
		}, value))
	}
	gauge("converged", "1 while the wanted generation runs.", nil, func() float64 {
		s := a.Status()
		return boolean(s.Wanted.Generation == s.Running.Generation && s.Running.Generation != "")
	})
	gauge("wanted_fleet_revision", "Revision of the fleet's document that is wanted.", nil,
		func() float64 { return float64(a.Status().Wanted.Fleet) })
	gauge("running_fleet_revision", "Revision of the fleet's document that runs.", nil,
		func() float64 { return float64(a.Status().Running.Fleet) })
	gauge("findings", "Findings on this node.", nil, func() float64 { return float64(len(a.Status().Findings)) })
	gauge("gate_open", "1 while the node may hold addresses.", nil,
		func() float64 { return boolean(a.stance.gate.Open()) })
	for _, state := range []nodeconfig.ShareState{
		nodeconfig.ShareServing, nodeconfig.ShareDraining, nodeconfig.ShareDrained,
		nodeconfig.ShareHolding, nodeconfig.ShareUnfit, nodeconfig.ShareSilent,
	} {
		gauge("share", "1 for the state of the node's share.", prometheus.Labels{"state": string(state)},
			func() float64 { return boolean(a.Status().Share.State == state) })
	}
	gauge("withheld_groups", "VRRP instances that this node leaves to others where it can.", nil,
		func() float64 { return float64(a.track.withholding()) })
	gauge("master_groups", "VRRP instances that this node is master of.", nil,
		func() float64 { return float64(a.track.masters()) })
	for _, f := range []lb.Family{lb.IPv4, lb.IPv6} {
		gauge("held_addresses", "Virtual IPs on this node.", prometheus.Labels{"family": string(f)},
			func() float64 { return float64(a.track.held(f)) })
	}
	for state, crew := range map[string]func() driver.Crew{
		"serving":       func() driver.Crew { c, _ := a.nginx.Workers(); return c },
		"shutting-down": func() driver.Crew { _, c := a.nginx.Workers(); return c },
	} {
		labels := prometheus.Labels{"state": state}
		gauge("nginx_workers", "nginx's workers: those that serve, and those that only finish old connections.", labels,
			func() float64 { return float64(crew().Count) })
		gauge("nginx_worker_memory_bytes", "Resident memory of nginx's workers that is no file's; what they have in common "+
			"counts for each.", labels, func() float64 { return float64(crew().Memory) })
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *Metrics) reloaded(program string, err error) {
	result := "success"
	if err != nil {
		result = "failure"
	}
	m.reloads.WithLabelValues(program, result).Inc()
}

func (m *Metrics) refused(program string)   { m.refusals.WithLabelValues(program).Inc() }
func (m *Metrics) restarted(program string) { m.restarts.WithLabelValues(program).Inc() }
func (m *Metrics) rolledBack()              { m.rollbacks.Inc() }
