package octavia

import (
	"net/http"
	"slices"
	"strings"
)

// child returns the status of what is below a load balancer of the cloud.
func (l *fakeLB) child() string { return orElse(l.children, statusActive) }

// below answers readings of what is below the load balancers; ok is false for any other call.
func (c *cloud) below(r *http.Request, path string) (status int, body string, ok bool) {
	if r.Method != http.MethodGet || strings.HasPrefix(path, "loadbalancers") {
		return 0, "", false
	}
	id := r.URL.Query().Get("loadbalancer_id")
	listeners, pools := []listedListener{}, []listedPool{}
	for _, l := range c.lbs {
		for _, x := range l.tree.Listeners {
			monitor := "m-" + x.Pool.Name
			if path == "healthmonitors/"+monitor {
				status, body = encode(map[string]any{"healthmonitor": listedMonitor{
					ID: monitor, Provisioning: l.child(), Monitor: *x.Pool.Monitor,
				}})
				return status, body, true
			}
			if l.ID == id {
				listeners = append(listeners, listedListener{ID: x.Name, Provisioning: l.child(), PoolID: x.Pool.Name, Listener: x.Listener})
				pools = append(pools, listedPool{ID: x.Pool.Name, Provisioning: l.child(), MonitorID: monitor, Pool: x.Pool.Pool})
			}
		}
	}
	switch path {
	case "listeners":
		status, body = encode(map[string]any{path: listeners})
	case "pools":
		status, body = encode(map[string]any{path: pools})
	}
	return status, body, slices.Contains([]string{"listeners", "pools"}, path)
}
