package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// port is the one of the load balancer's virtual IP.
func port(t *testing.T, id string) string {
	t.Helper()
	root, _ := get(t, "loadbalancers/"+id)["loadbalancer"].(map[string]any)
	return text(root["vip_port_id"])
}

// leads returns the floating IPs that lead to the port.
func leads(port string) (to []octavia.FloatingIP) {
	return slices.DeleteFunc(gate.FloatingIPs(), func(f octavia.FloatingIP) bool { return f.PortID != port })
}

// one returns the load balancer of an object that is done, whatever its address is, and the object's bind-ip.
func one(t *testing.T, name string) (id, bindIP string) {
	t.Helper()
	data, err := shared.WaitStatus(t.Context(), "default", name, "SUCCESS", limit)
	must(t, err)
	found := rows(t, "default-"+name+"-loadbalancer")
	if len(found) != 1 {
		t.Fatalf("load balancers %+v", found)
	}
	return found[0].ID, data["bind-ip"]
}

// TestFloating has a floating IP as its address, gives it up, gets one back, and keeps it when the object goes; the next
// object of that name has it again, and lets it go.
func TestFloating(t *testing.T) {
	t.Parallel()
	const name = "floats"
	keys := []string{"floating-network: " + octavia.External, "floating-subnet: " + octavia.ExternalSubnet}
	want(t, name, keys...)
	id, bindIP := one(t, name)
	to := port(t, id)
	if f := leads(to); len(f) != 1 || f[0].Address != bindIP || f[0].NetworkID != octavia.External ||
		f[0].SubnetID != octavia.ExternalSubnet {
		t.Fatalf("bind-ip %s, floating IPs %+v", bindIP, f)
	}
	change(t, name, []string{"internal: true"})
	until(t, "no floating IP", func() (bool, string) {
		data, err := shared.Data(t.Context(), "default", name)
		must(t, err)
		f := leads(to)
		return len(f) == 0 && data["bind-ip"] != bindIP && data["status"] == "SUCCESS", fmt.Sprint(data, f)
	})
	keep := slices.Concat(keys, []string{"keep-floating-ip: true", "requested-ip: 203.0.113.77"})
	change(t, name, keep)
	until(t, "the floating IP that is asked for", func() (bool, string) {
		data, err := shared.Data(t.Context(), "default", name)
		must(t, err)
		f := leads(to)
		return len(f) == 1 && f[0].Address == "203.0.113.77" && data["bind-ip"] == f[0].Address, fmt.Sprint(data, f)
	})
	one(t, name)
	remove(t, name)
	kept := func(f octavia.FloatingIP) bool { return f.Address == "203.0.113.77" && f.PortID == "" }
	if !slices.ContainsFunc(gate.FloatingIPs(), kept) {
		t.Fatalf("it was not kept: %+v", gate.FloatingIPs())
	}
	want(t, name, keys...)
	if _, again := one(t, name); again != "203.0.113.77" {
		t.Errorf("the next one has %s", again)
	}
	remove(t, name)
	if slices.ContainsFunc(gate.FloatingIPs(), func(f octavia.FloatingIP) bool { return f.Address == "203.0.113.77" }) {
		t.Errorf("a floating IP is left: %+v", gate.FloatingIPs())
	}
}

// TestAdopt takes a load balancer that somebody has made, and leaves one alone that another object has.
func TestAdopt(t *testing.T) {
	t.Parallel()
	body, err := user.Do(t.Context(), http.MethodPost, "loadbalancers",
		`{"loadbalancer":{"name":"by-hand","vip_subnet_id":"`+octavia.Subnet+`","tags":["mine"]}}`)
	must(t, err)
	var made struct{ LoadBalancer row }
	must(t, json.Unmarshal(body, &made))
	must(t, user.AwaitStatus(t.Context(), made.LoadBalancer.ID, "ACTIVE", 300*time.Millisecond))
	want(t, "adopts", "adopt: "+made.LoadBalancer.ID)
	got := serving(t, "adopts")
	if got.ID != made.LoadBalancer.ID || got.Address != made.LoadBalancer.Address {
		t.Errorf("%+v was not adopted, but %+v made", made.LoadBalancer, got)
	}
	shows(t, got.ID, []string{"listener tcp-80 protocol_port 80", "pool tcp-80 provisioning_status ACTIVE"})
	want(t, "envies", "adopt: "+got.ID)
	data, err := shared.WaitStatus(t.Context(), "default", "envies", "ERROR", limit)
	must(t, err)
	t.Log(data["status"])
	if found := rows(t, "default-envies-loadbalancer"); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}
