package octavia

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// What floating IPs are of.
const (
	External       = "88888888-2222-3333-4444-555555555555"
	ExternalSubnet = "88888888-aaaa-3333-4444-555555555555"
)

// FloatingIP is one of a gate's.
type FloatingIP struct {
	ID          string `json:"id"`
	Address     string `json:"floating_ip_address"`
	NetworkID   string `json:"floating_network_id"`
	SubnetID    string `json:"subnet_id,omitempty"`
	PortID      string `json:"port_id"`
	Description string `json:"description"`
}

// neutron is as much of Neutron as floating IPs need, with answers like the real one's. It is not that one: Debian's
// needs a message bus, a database and agents of its own, and Octavia's no-op drivers would not use it.
type neutron struct {
	// base is where it is found.
	base string
	// there reports whether a port is a living load balancer's. Where it is not, nothing leads there.
	there func(port string) bool

	mu   sync.Mutex
	ips  []FloatingIP
	made int
}

// FloatingIPs returns those that there are at the gate.
func (g *Gate) FloatingIPs() []FloatingIP {
	g.network.mu.Lock()
	defer g.network.mu.Unlock()
	return g.network.look()
}

// Lead makes a floating IP of that address which leads to a port, as somebody else would.
func (g *Gate) Lead(address, port string) {
	g.network.mu.Lock()
	defer g.network.mu.Unlock()
	g.network.add(FloatingIP{Address: address, NetworkID: External, PortID: port})
}

// add enters one.
func (n *neutron) add(f FloatingIP) FloatingIP {
	n.made++
	f.ID = fmt.Sprintf("aaaaaaaa-2222-3333-4444-%012d", n.made)
	n.ips = append(n.ips, f)
	return f
}

// occupied reports whether another one of its network leads to the port: there is room for one.
func (n *neutron) occupied(f FloatingIP, port string) bool {
	return port != "" && slices.ContainsFunc(n.look(), func(o FloatingIP) bool {
		return o.PortID == port && o.ID != f.ID && o.NetworkID == f.NetworkID
	})
}

// look returns all, after those whose port has gone lead nowhere.
func (n *neutron) look() []FloatingIP {
	for i := range n.ips {
		if p := n.ips[i].PortID; p != "" && !n.there(p) {
			n.ips[i].PortID = ""
		}
	}
	return slices.Clone(n.ips)
}

// ServeHTTP implements http.Handler.
func (n *neutron) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	path, ok := strings.CutPrefix(r.URL.Path, "/v2.0/floatingips")
	id := strings.TrimPrefix(path, "/")
	i := slices.IndexFunc(n.ips, func(f FloatingIP) bool { return f.ID == id })
	switch {
	case r.URL.Path == "/" || r.URL.Path == "":
		link := map[string]string{"rel": "self", "href": n.base + "/v2.0/"}
		answer(w, http.StatusOK, map[string]any{"versions": []any{
			map[string]any{"id": "v2.0", "status": "CURRENT", "links": []any{link}}}})
	case r.Header.Get("X-Auth-Token") == "":
		refuse(w, http.StatusUnauthorized, "Unauthorized", "The request you have made requires authentication.")
	case !ok:
		refuse(w, http.StatusNotFound, "HTTPNotFound", "The resource could not be found.")
	case id == "" && r.Method == http.MethodGet:
		answer(w, http.StatusOK, map[string]any{"floatingips": n.filter(r)})
	case id == "" && r.Method == http.MethodPost:
		n.create(w, r)
	case i < 0:
		refuse(w, http.StatusNotFound, "FloatingIPNotFound", "Floating IP "+id+" could not be found")
	case r.Method == http.MethodPut:
		var body struct {
			IP struct {
				PortID *string `json:"port_id"`
			} `json:"floatingip"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			refuse(w, http.StatusBadRequest, "HTTPBadRequest", err.Error())
			return
		}
		var port string
		if body.IP.PortID != nil {
			port = *body.IP.PortID
		}
		if n.occupied(n.ips[i], port) {
			refuse(w, http.StatusConflict, "FloatingIPPortAlreadyAssociated", "Cannot associate floating IP "+n.ips[i].Address+
				" ("+id+") with port "+port+", as that fixed IP already has a floating IP on external network "+
				n.ips[i].NetworkID+".")
			return
		}
		n.ips[i].PortID = port
		answer(w, http.StatusOK, map[string]any{"floatingip": n.ips[i]})
	case r.Method == http.MethodDelete:
		n.ips = slices.Delete(n.ips, i, i+1)
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusMethodNotAllowed, "HTTPMethodNotAllowed", r.Method)
	}
}

// filter returns those that have what the query asks for.
func (n *neutron) filter(r *http.Request) []FloatingIP {
	return slices.DeleteFunc(n.look(), func(f FloatingIP) bool {
		for field, value := range map[string]string{
			"port_id": f.PortID, "description": f.Description, "floating_ip_address": f.Address,
		} {
			if q := r.URL.Query(); q.Has(field) && q.Get(field) != value {
				return true
			}
		}
		return false
	})
}

func (n *neutron) create(w http.ResponseWriter, r *http.Request) {
	var body struct {
		IP FloatingIP `json:"floatingip"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, "HTTPBadRequest", err.Error())
		return
	}
	f := body.IP
	next := netip.AddrFrom4([4]byte{203, 0, 113, byte(100 + n.made%100)}).String()
	f.Address = cmp.Or(f.Address, next)
	switch {
	case f.NetworkID != External:
		refuse(w, http.StatusNotFound, "NetworkNotFound", "Network "+f.NetworkID+" could not be found.")
		return
	case slices.ContainsFunc(n.ips, func(o FloatingIP) bool { return o.Address == f.Address }):
		refuse(w, http.StatusConflict, "IpAddressInUse", "Unable to complete operation for network "+f.NetworkID+
			". The IP address "+f.Address+" is in use.")
		return
	}
	answer(w, http.StatusCreated, map[string]any{"floatingip": n.add(f)})
}

func refuse(w http.ResponseWriter, status int, kind, text string) {
	answer(w, status, map[string]any{"NeutronError": map[string]string{"type": kind, "message": text, "detail": ""}})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}
