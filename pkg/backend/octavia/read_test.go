package octavia

import (
	"net/http"
	"strings"
	"testing"
)

// TestRead reads a load balancer of which somebody has deleted the listener: its pool is in no /status then.
func TestRead(t *testing.T) {
	answers := map[string]string{
		"loadbalancers/x/status": `{"statuses":{"loadbalancer":{"listeners":[{"id":"l","name":"http-80","pools":[` +
			`{"id":"p","name":"http-80","provisioning_status":"ACTIVE","members":[` +
			`{"address":"2001:DB8:0::1","protocol_port":1,"provisioning_status":"ACTIVE"},` +
			`{"address":"192.0.2.1","protocol_port":2,"provisioning_status":"PENDING_CREATE"}]}]}]}}}`,
		"listeners": `{"listeners":[{"id":"l","name":"http-80","protocol":"HTTP","protocol_port":80,"default_pool_id":"p",` +
			`"provisioning_status":"ACTIVE","tags":["t"],"timeout_client_data":7}]}`,
		"pools": `{"pools":[{"id":"p","name":"http-80","protocol":"HTTP","healthmonitor_id":"m","provisioning_status":"ACTIVE"},` +
			`{"id":"q","name":"tcp-81","protocol":"TCP","provisioning_status":"ACTIVE"}]}`,
		"healthmonitors/m": `{"healthmonitor":{"id":"m","type":"TCP","delay":5,"provisioning_status":"ACTIVE"}}`,
		"l7policies": `{"l7policies":[{"id":"b","name":"two","listener_id":"l","position":2,"rules":[{"id":"r"}],` +
			`"admin_state_up":true,"provisioning_status":"ACTIVE"},{"id":"a","name":"one","listener_id":"l","position":1}]}`,
		"pools/q/members": `{"members":[{"address":"192.0.2.9","protocol_port":9,"provisioning_status":"ACTIVE"}]}`,
	}
	a := fakeAPI(func(r *http.Request) (int, string) {
		path := strings.TrimPrefix(r.URL.Path, "/v2.0/lbaas/")
		body, ok := answers[path]
		if !ok {
			t.Errorf("asked for %s", r.URL)
		}
		delete(answers, path)
		return http.StatusOK, body
	})
	s, err := a.read(t.Context(), root{ID: "x", Name: "n", Tags: []string{"t"}})
	if err != nil || len(answers) != 0 || len(s.Listeners) != 1 || len(s.Pools) != 2 {
		t.Fatalf("%+v, %v, not asked for %v", s, err, answers)
	}
	l, p, q := s.Listeners[0], s.pool("http-80"), s.pool("tcp-81")
	if l.DefaultPool != "http-80" || l.ClientTimeout != 7 || l.Port != 80 || l.Tags[0] != "t" {
		t.Errorf("listener %+v", l)
	}
	if len(l.Policies) != 2 || l.Policies[0].Name != "one" || !l.Policies[0].Off || l.Policies[1].Rules != 1 || l.Policies[1].Off {
		t.Errorf("policies %+v", l.Policies)
	}
	if !p.Stuck || p.Members[1] != (Member{Address: "2001:db8::1", Port: 1}) || p.Monitor.Delay != 5 || p.MonitorID != "m" {
		t.Errorf("pool %+v", p)
	}
	if q.Stuck || len(q.Members) != 1 || q.Members[0].Port != 9 || q.Monitor != nil {
		t.Errorf("pool %+v", q)
	}
}
