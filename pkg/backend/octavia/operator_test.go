package octavia

import (
	"net/http"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// A person's credentials are found as the openstack command finds them.
func TestUserCredentials(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		file string
		want string
	}{
		{map[string]string{"OS_AUTH_URL": "http://k"}, "clouds.yaml", ""},
		{map[string]string{"HOME": "/h"}, "/h/.config/openstack/clouds.yaml", "/h/.config/openstack/clouds.yaml"},
		{map[string]string{"OS_CLIENT_CONFIG_FILE": "/x"}, "/x", "/x"},
		{nil, "/etc/openstack/clouds.yaml", "/etc/openstack/clouds.yaml"},
		{nil, "", ""},
	} {
		got := UserCredentials(func(n string) string { return c.env[n] }, func(p string) bool { return p == c.file })
		if got.CloudsFile != c.want {
			t.Errorf("%v: %q", c, got.CloudsFile)
		}
	}
}

// An operator fails a load balancer over, watches it, and reads its counters.
func TestOperator(t *testing.T) {
	var calls []string
	o := &Operator{api: fakeAPI(func(r *http.Request) (int, string) {
		calls = append(calls, r.Method+" "+r.URL.Path)
		switch {
		case r.Method == http.MethodPut:
			return http.StatusAccepted, ""
		case r.URL.Path == "/v2.0/lbaas/loadbalancers/x/stats":
			return http.StatusOK, `{"stats":{"bytes_in":1,"bytes_out":2,"active_connections":3,"total_connections":4,"request_errors":5}}`
		}
		return http.StatusOK, `{"loadbalancer":{"id":"x","provisioning_status":"PENDING_UPDATE","operating_status":"ONLINE"}}`
	})}
	if err := o.Failover(t.Context(), "x"); err != nil || calls[0] != "PUT /v2.0/lbaas/loadbalancers/x/failover" {
		t.Errorf("%v, %v", calls, err)
	}
	if s, err := o.Look(t.Context(), "x"); err != nil || !s.Working() || s.Operating != "ONLINE" {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := o.Traffic(t.Context(), "x"); err != nil || s != (lb.CloudTraffic{BytesIn: 1, BytesOut: 2, ActiveConnections: 3, TotalConnections: 4, RequestErrors: 5}) {
		t.Errorf("%+v, %v", s, err)
	}
}
