package octavia

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// children returns what /status says of everything below a load balancer, sorted.
func (t statusTree) children() []lb.CloudListener {
	out := make([]lb.CloudListener, 0, len(t.Listeners))
	for _, l := range t.Listeners {
		listener := lb.CloudListener{Name: l.Name, Provisioning: l.Provisioning, Operating: l.Operating}
		for _, p := range l.Pools {
			pool := lb.CloudPool{Name: p.Name, Provisioning: p.Provisioning, Operating: p.Operating}
			for _, m := range p.Members {
				pool.Members = append(pool.Members, lb.CloudMember{
					Address: addressPort(m.Address, m.Port), Provisioning: m.Provisioning, Operating: m.Operating,
				})
			}
			slices.SortFunc(pool.Members, func(a, b lb.CloudMember) int { return cmp.Compare(a.Address, b.Address) })
			listener.Pools = append(listener.Pools, pool)
		}
		slices.SortFunc(listener.Pools, func(a, b lb.CloudPool) int { return cmp.Compare(a.Name, b.Name) })
		out = append(out, listener)
	}
	slices.SortFunc(out, func(a, b lb.CloudListener) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// addressPort writes an address and a port down; IPv6 has many spellings.
func addressPort(address string, port uint16) string {
	if a, err := netip.ParseAddr(address); err == nil {
		return netip.AddrPortFrom(a.Unmap(), port).String()
	}
	return fmt.Sprintf("%s:%d", address, port)
}

// failing reports whether an operating status means that members do not answer.
func failing(operating string) bool { return operating == "DEGRADED" || operating == statusError }

// detail reads the statuses of what is below the load balancer where they may have changed since they were last read:
// its own status says that some do not answer, or is another one.
func (s *stepper) detail(ctx context.Context) error {
	w := &s.work
	if time.Since(w.childrenAt) < freshness || w.operating == w.last.Operating && !failing(w.last.Operating) {
		return nil
	}
	status, err := s.engine.api.status(ctx, w.id)
	if err != nil {
		return err
	}
	w.learn(status.children())
	return nil
}

// learn takes over what a /status says.
func (i *item) learn(children []lb.CloudListener) { i.children, i.childrenAt = children, time.Now() }

// cloudStatus is what is known of the load balancer, for the object; nil while nothing is.
func (i *item) cloudStatus() *lb.CloudStatus {
	if i.id == "" {
		return nil
	}
	return &lb.CloudStatus{
		Provider: lb.ProviderOctavia, ID: i.id, Name: i.last.Name, Provisioning: i.last.Provisioning,
		Operating: i.last.Operating, Findings: slices.Clone(i.findings), Listeners: cloneListeners(i.children),
	}
}

// cloneListeners copies what others may write to: since when things are so.
func cloneListeners(in []lb.CloudListener) []lb.CloudListener {
	out := slices.Clone(in)
	for i := range out {
		out[i].Pools = slices.Clone(out[i].Pools)
		for j := range out[i].Pools {
			out[i].Pools[j].Members = slices.Clone(out[i].Pools[j].Members)
		}
	}
	return out
}

// maxNamed is how many members a finding names.
const maxNamed = 5

// health says what the operating status of a load balancer means.
func (i *item) weakness() []lb.Finding {
	text := map[string]string{
		"DEGRADED":  "some of its members do not answer the health monitor",
		statusError: "none of its members answers the health monitor",
	}[i.last.Operating]
	if text == "" {
		return nil
	}
	return []lb.Finding{i.degraded(text, i.cloudStatus().Failing())}
}

// degraded names the members that do not answer.
func (i *item) degraded(text string, failing []lb.CloudMember) lb.Finding {
	var names []string
	for _, m := range failing[:min(len(failing), maxNamed)] {
		names = append(names, m.Address)
	}
	if more := len(failing) - maxNamed; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
	}
	return lb.Finding{Code: lb.CodeCloudDegraded,
		Message: fmt.Sprintf("load balancer %s is %s: %s", i.id, i.last.Operating, text)}
}
