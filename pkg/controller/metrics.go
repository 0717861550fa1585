package controller

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// passMetrics are the controller's own metrics.
type passMetrics struct {
	loadBalancers *prometheus.GaugeVec
	addresses     *prometheus.GaugeVec
	withdrawn     prometheus.Gauge
	disputes      *prometheus.GaugeVec
	nodes         *prometheus.GaugeVec
	notices       *prometheus.GaugeVec
	certificates  *prometheus.GaugeVec
	duration      prometheus.Histogram
	failures      prometheus.Counter
	applyErrors   prometheus.Counter
}

func newMetrics() *passMetrics {
	const namespace = "kubectl_lb"
	return &passMetrics{
		loadBalancers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "load_balancers", Help: "Load balancers asked for, by status.",
		}, []string{"status"}),
		addresses: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "pool_addresses",
			Help: "Addresses of a pool: used, waiting for the nodes to let go of them, or free.",
		}, []string{"pool", "family", "state"}),
		withdrawn: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "withdrawn_addresses", Help: "Addresses that some node has not confirmed to be gone.",
		}),
		disputes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "disputed_addresses",
			Help: "Addresses that have not exactly one owner, by what is wrong and its cause.",
		}, []string{"kind", "cause"}),
		nodes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "nodes", Help: "Load-balancer nodes: members, joining or leaving.",
		}, []string{"phase"}),
		notices: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "node_notices",
			Help: "Nodes with something that does not go away by itself, by reason, as in their Events.",
		}, []string{"reason"}),
		certificates: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "certificate_expiry_timestamp_seconds",
			Help: "When a certificate that is served ends, in seconds since 1970.",
		}, []string{"namespace", "secret"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "pass_duration_seconds", Help: "Time of a pass over all load balancers.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "pass_failures_total", Help: "Passes that ended with an error.",
		}),
		applyErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "apply_errors_total",
			Help: "Passes in which the backend could not be told everything.",
		}),
	}
}

// register adds the metrics to a registry. Those of an earlier controller of the same process give way.
func (m *passMetrics) register(r prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{
		m.loadBalancers, m.addresses, m.withdrawn, m.disputes, m.nodes, m.notices, m.certificates,
		m.duration, m.failures, m.applyErrors,
	} {
		err := r.Register(c)
		if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
			r.Unregister(already.ExistingCollector)
			err = r.Register(c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *passMetrics) passed(d time.Duration, err error) {
	m.duration.Observe(d.Seconds())
	if err != nil {
		m.failures.Inc()
	}
}

// observe counts the load balancers and the addresses of the pools.
func (m *passMetrics) observe(verdicts map[types.UID]verdict, pools []ipam.Pool, s backend.State) {
	counts := map[condition]int{conditionReady: 0, conditionPending: 0, conditionInvalid: 0}
	for _, v := range verdicts {
		counts[v.condition]++
	}
	for c, n := range counts {
		m.loadBalancers.WithLabelValues(string(c)).Set(float64(n))
	}
	m.withdrawn.Set(float64(len(s.Withdrawn)))
	m.observeOwners(s)
	m.observeNodes(s.Nodes)
	m.observeCertificates(s.LoadBalancers)
	for _, p := range pools {
		for _, f := range []lb.Family{lb.IPv4, lb.IPv6} {
			if p.Has(f) {
				m.observePool(p, f, s)
			}
		}
	}
}

// observeOwners counts the disputed addresses. Each kind is there with its usual cause even when it counts nothing, so
// that an alert can tell 0 from absent.
func (m *passMetrics) observeOwners(s backend.State) {
	m.disputes.Reset()
	m.disputes.WithLabelValues(backend.DisputeTwoOwners, backend.CausePartition)
	m.disputes.WithLabelValues(backend.DisputeNoOwner, backend.CauseUnknown)
	m.disputes.WithLabelValues(backend.DisputeForeignOwner, backend.CauseForeign)
	for _, h := range s.Health {
		for _, d := range h.Disputes {
			m.disputes.WithLabelValues(d.Kind, d.Cause).Inc()
		}
	}
}

func (m *passMetrics) observeCertificates(all []lb.LoadBalancer) {
	m.certificates.Reset()
	for i := range all {
		for _, c := range all[i].Certificates() {
			m.certificates.WithLabelValues(all[i].Origin.Namespace, c.Secret).Set(float64(c.Expires.Unix()))
		}
	}
}

func (m *passMetrics) observeNodes(nodes []backend.Node) {
	m.nodes.Reset()
	m.notices.Reset()
	for _, phase := range []string{backend.PhaseMember, backend.PhaseJoining, backend.PhaseLeaving} {
		m.nodes.WithLabelValues(phase)
	}
	for _, n := range nodes {
		m.nodes.WithLabelValues(n.Phase).Inc()
		told := map[string]bool{}
		for _, notice := range n.Notices {
			if !told[notice.Reason] {
				told[notice.Reason] = true
				m.notices.WithLabelValues(notice.Reason).Inc()
			}
		}
	}
}

func (m *passMetrics) observePool(p ipam.Pool, f lb.Family, s backend.State) {
	used, waiting := 0, 0
	for _, l := range s.LoadBalancers {
		for _, a := range l.VIPs {
			if lb.FamilyOf(a) == f && p.Contains(a) {
				used++
			}
		}
	}
	for _, h := range s.Withdrawn {
		if lb.FamilyOf(h.Address) == f && p.Contains(h.Address) {
			waiting++
		}
	}
	set := func(state string, n float64) { m.addresses.WithLabelValues(p.Name, string(f), state).Set(n) }
	set("used", float64(used))
	set("waiting", float64(waiting))
	set("free", float64(p.Size(f))-float64(used+waiting))
}
