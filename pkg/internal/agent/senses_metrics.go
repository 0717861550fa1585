package agent

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/witness"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

func newDrillCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubectl_lb_daemon_drills_total", Help: "Drills that came to a state.",
	}, []string{"kind", "state"})
}

// drilled counts a drill's state. What is not a kind comes from whoever orders, and must not make labels.
func (m *Metrics) drilled(s nodeconfig.DrillStatus) {
	kind := string(s.Kind)
	if !s.Kind.Valid() {
		kind = "unknown"
	}
	m.drills.WithLabelValues(kind, string(s.State)).Inc()
}

// observeSenses registers what the senses tell.
func (m *Metrics) observeSenses(a *Agent) {
	gauge := func(name, help string, labels prometheus.Labels, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kubectl_lb_daemon_" + name, Help: help, ConstLabels: labels,
		}, value))
	}
	for _, kind := range []nodeconfig.ConflictKind{
		nodeconfig.ConflictOwner, nodeconfig.ConflictSkew, nodeconfig.ConflictVRID,
	} {
		gauge("conflicts", "Signs of more than one owner of an address.", prometheus.Labels{"kind": string(kind)},
			func() float64 {
				n := 0
				for _, c := range a.Status().Conflicts {
					if c.Kind == kind {
						n++
					}
				}
				return float64(n)
			})
	}
	for _, state := range []witness.State{witness.Nobody, witness.Unproven, witness.There, witness.Lost} {
		gauge("witness", "1 for what is known of the witness; 0 everywhere where none is configured.",
			prometheus.Labels{"state": string(state)}, func() float64 { return boolean(a.senses.state() == state) })
	}
	gauge("drill_running", "1 while a drill's fault is in place.", nil, func() float64 {
		s := a.Status().Drill
		return boolean(s != nil && s.State == nodeconfig.DrillRunning)
	})
}

// state returns what is known of the witness.
func (s *senses) state() witness.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.witness
}
