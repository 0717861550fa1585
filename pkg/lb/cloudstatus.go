package lb

import "time"

// CloudStatus is what a cloud says of a load balancer, for those who cannot ask it themselves. Statuses are the cloud's
// words: of Octavia a provisioning status such as ACTIVE, PENDING_UPDATE or ERROR, and an operating status such as
// ONLINE, DEGRADED, ERROR or NO_MONITOR.
type CloudStatus struct {
	Provider Provider `json:"provider"`
	ID       string   `json:"id"`
	// Name is the one to look for in the cloud's own tools.
	Name         string `json:"name"`
	Provisioning string `json:"provisioning"`
	Operating    string `json:"operating"`
	// Since is since when the operating status is so, as far as the controller has seen; in whole seconds.
	Since time.Time `json:"since,omitzero"`
	// Findings are what is wrong with the load balancer itself, such as that the cloud never gets done with it.
	Findings []Finding `json:"findings,omitempty"`
	// Listeners are sorted by name.
	Listeners []CloudListener `json:"listeners,omitempty"`
	// Traffic is only there where somebody has asked the cloud for it: it never stands still.
	Traffic *CloudTraffic `json:"traffic,omitempty"`
}

// CloudTraffic is what a load balancer has carried since it was made, as far as the cloud has counted it.
type CloudTraffic struct {
	BytesIn           int64 `json:"bytesIn"`
	BytesOut          int64 `json:"bytesOut"`
	ActiveConnections int64 `json:"activeConnections"`
	TotalConnections  int64 `json:"totalConnections"`
	RequestErrors     int64 `json:"requestErrors"`
}

// CloudListener is a port.
type CloudListener struct {
	Name         string `json:"name"`
	Provisioning string `json:"provisioning"`
	Operating    string `json:"operating"`
	// Pools are sorted by name.
	Pools []CloudPool `json:"pools,omitempty"`
}

// CloudPool is a group of members.
type CloudPool struct {
	Name         string `json:"name"`
	Provisioning string `json:"provisioning"`
	Operating    string `json:"operating"`
	// Members are sorted by address.
	Members []CloudMember `json:"members,omitempty"`
}

// CloudMember gets traffic.
type CloudMember struct {
	// Address is an address and a port.
	Address      string    `json:"address"`
	Provisioning string    `json:"provisioning"`
	Operating    string    `json:"operating"`
	Since        time.Time `json:"since,omitzero"`
}

// Down reports whether the member fails the cloud's checks.
func (m CloudMember) Down() bool { return m.Operating == "ERROR" || m.Operating == "DEGRADED" }

// Continue takes over since when things are as they are from an earlier status, and sets what is new to now.
func (s *CloudStatus) Continue(earlier CloudStatus, now time.Time) {
	now = now.UTC().Truncate(time.Second)
	known := map[[3]string]time.Time{}
	if earlier.ID == s.ID {
		known[[3]string{"", "", earlier.Operating}] = earlier.Since
		earlier.eachMember(func(pool string, m *CloudMember) {
			known[[3]string{pool, m.Address, m.Operating}] = m.Since
		})
	}
	since := func(key [3]string) time.Time {
		if t, ok := known[key]; ok && !t.IsZero() {
			return t
		}
		return now
	}
	s.Since = since([3]string{"", "", s.Operating})
	s.eachMember(func(pool string, m *CloudMember) { m.Since = since([3]string{pool, m.Address, m.Operating}) })
}

func (s *CloudStatus) eachMember(visit func(pool string, m *CloudMember)) {
	for i := range s.Listeners {
		for j := range s.Listeners[i].Pools {
			p := &s.Listeners[i].Pools[j]
			for k := range p.Members {
				visit(p.Name, &p.Members[k])
			}
		}
	}
}

// Finding returns the finding of that code, if there is one.
func (s *CloudStatus) Finding(code Code) (Finding, bool) {
	for _, f := range s.Findings {
		if f.Code == code {
			return f, true
		}
	}
	return Finding{}, false
}

// Failing returns the members that fail the cloud's checks, each once, in their order.
func (s *CloudStatus) Failing() (out []CloudMember) {
	seen := map[string]bool{}
	s.eachMember(func(_ string, m *CloudMember) {
		if m.Down() && !seen[m.Address] {
			seen[m.Address] = true
			out = append(out, *m)
		}
	})
	return out
}
