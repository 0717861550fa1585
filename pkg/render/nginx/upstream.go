package nginx

import (
	"strconv"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// upstreamServers returns the server lines of an upstream. max_fails=0, for an endpoint is a cluster IP: that one
// connection failed says nothing about the next, which goes to another pod. For the same reason each endpoint is there
// once for every try: nginx tries no server twice.
func upstreamServers(s lb.Listener, targets []lb.Target) []string {
	if s.Options.Upstream.Endpoints {
		return podServers(s, targets)
	}
	// A target's weight is that of all its endpoints together, so where one has more than another it is spread over
	// them; the factor makes that even but for a thousandth.
	factor := 1
	for _, t := range targets {
		if len(t.Endpoints) != len(targets[0].Endpoints) {
			factor = maxEndpoints
		}
	}
	var lines []string
	for _, t := range targets {
		weight := ""
		if len(targets) > 1 {
			if t.Weight == 0 {
				continue
			}
			share := int(t.Weight) * factor
			if factor > 1 {
				share /= max(1, len(t.Endpoints))
			}
			weight = " weight=" + strconv.Itoa(share)
		}
		for _, e := range t.Endpoints {
			for range 1 + s.Options.Retries {
				lines = append(lines, "server "+e.String()+weight+" max_fails=0;")
			}
		}
	}
	return lines
}
