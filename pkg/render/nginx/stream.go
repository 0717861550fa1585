package nginx

import (
	"net/netip"
	"strconv"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// streamListener adds the upstream and server of a TCP listener.
func streamListener(t *render.Text, l lb.LoadBalancer, s lb.Listener) {
	name := upstreamName(l.Origin.Key, s.Port, 0)
	t.Block("upstream "+name, func() { upstreamServers(t, s.Routes[0].Target.Endpoints) })
	t.Block("server", func() {
		for _, a := range l.VIPs {
			// A client that vanished is noticed after 5 min and 4 probes, not when the session's hour is over.
			t.Line("listen", netip.AddrPortFrom(a, s.Port).String(),
				"backlog="+strconv.Itoa(backlog), "so_keepalive=5m:15s:4;")
		}
		t.Line("proxy_pass", name+";")
	})
}
