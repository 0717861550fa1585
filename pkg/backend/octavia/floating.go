package octavia

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Floating is the floating IP that leads to a load balancer's IPv4 address.
type Floating struct {
	// NetworkID is the external network that it is of, SubnetID one of its subnets or empty.
	NetworkID, SubnetID string
	// Address is the one that is asked for; empty takes any.
	Address string
	// Keep leaves it to the project when the load balancer goes.
	Keep bool
}

// tagFloating is on load balancers that have, or had, a floating IP, so that nobody else needs a call to find that out:
// its value says what becomes of it. It stays on a load balancer for good.
const (
	tagFloating   = "kubectl-lb-floating="
	floatingKeep  = tagFloating + "keep"
	floatingCease = tagFloating + "delete"
)

// tag is the one of a load balancer with this floating IP.
func (f *Floating) tag() string {
	if f.Keep {
		return floatingKeep
	}
	return floatingCease
}

// floats reports whether a load balancer with these tags may have a floating IP, and whether that is to stay.
func floats(tags []string) (may, keep bool) {
	keep = slices.Contains(tags, floatingKeep)
	return keep || slices.Contains(tags, floatingCease), keep
}

// floating returns the floating IP that a load balancer shall have, nil for none: they are of IPv4.
func (s Settings) floating(l lb.LoadBalancer) *Floating {
	if s.FloatingNetwork == "" || l.Cloud.IPv6 && !l.Cloud.IPv4 {
		return nil
	}
	f := &Floating{NetworkID: s.FloatingNetwork, SubnetID: s.FloatingSubnet, Keep: l.Cloud.KeepFloating}
	for _, a := range l.VIPs {
		if lb.FamilyOf(a) == lb.IPv4 {
			f.Address = a.String()
		}
	}
	return f
}

// inside returns the virtual IPs that are those of the load balancer itself where it has a floating IP.
func inside(vips []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(vips), func(a netip.Addr) bool { return lb.FamilyOf(a) == lb.IPv4 })
}

// floatingIP is one as Neutron has it. Its description says whose it is: unlike a tag it is there from the beginning.
type floatingIP struct {
	ID          string `json:"id"`
	Address     string `json:"floating_ip_address"`
	NetworkID   string `json:"floating_network_id"`
	PortID      string `json:"port_id"`
	Description string `json:"description"`
}

// floatingMark begins the description of the floating IPs that are made for objects.
const floatingMark = "kubectl-lb "

// floatingOwner is the description of the floating IPs that are made for an object.
func floatingOwner(cluster string, key lb.Key) string {
	return shorten(floatingMark + cluster + " " + key.String())
}

// neutron makes one call to Neutron.
func (a *api) neutron(ctx context.Context, method, path string, body, answer any) error {
	to := func(s *session) (*gophercloud.ServiceClient, string, error) {
		client, err := s.network()
		if err != nil {
			return nil, "", err
		}
		return client, client.ServiceURL() + path, nil
	}
	return a.send(ctx, to, method, body, answer)
}

// floatingIPs returns those whose field has the value. What the filter lets through is looked at here as well.
func (a *api) floatingIPs(ctx context.Context, field, value string, of func(floatingIP) string) ([]floatingIP, error) {
	var answer struct {
		IPs []floatingIP `json:"floatingips"`
	}
	err := a.neutron(ctx, http.MethodGet, "floatingips?"+field+"="+url.QueryEscape(value), nil, &answer)
	return slices.DeleteFunc(answer.IPs, func(f floatingIP) bool { return of(f) != value }), err
}

func (a *api) floatingOf(ctx context.Context, port string) ([]floatingIP, error) {
	return a.floatingIPs(ctx, "port_id", port, func(f floatingIP) string { return f.PortID })
}

func (a *api) floatingOwned(ctx context.Context, owner string) ([]floatingIP, error) {
	return a.floatingIPs(ctx, "description", owner, func(f floatingIP) string { return f.Description })
}

func (a *api) floatingAt(ctx context.Context, address string) ([]floatingIP, error) {
	return a.floatingIPs(ctx, "floating_ip_address", address, func(f floatingIP) string { return f.Address })
}

// attach lets a floating IP lead to a port; to none where that is empty.
func (a *api) attach(ctx context.Context, id, port string) error {
	to := any(port)
	if port == "" {
		to = nil
	}
	body := map[string]any{"floatingip": map[string]any{"port_id": to}}
	return a.neutron(ctx, http.MethodPut, "floatingips/"+id, body, nil)
}

// allocate makes a floating IP that leads to a port; to none where that is empty.
func (a *api) allocate(ctx context.Context, f Floating, port, owner string) (floatingIP, error) {
	ip := map[string]any{"floating_network_id": f.NetworkID, "description": owner}
	if port != "" {
		ip["port_id"] = port
	}
	if f.SubnetID != "" {
		ip["subnet_id"] = f.SubnetID
	}
	if f.Address != "" {
		ip["floating_ip_address"] = f.Address
	}
	var answer struct {
		IP floatingIP `json:"floatingip"`
	}
	err := a.neutron(ctx, http.MethodPost, "floatingips", map[string]any{"floatingip": ip}, &answer)
	return answer.IP, err
}

// label writes down whose a floating IP is.
func (a *api) label(ctx context.Context, id, owner string) error {
	body := map[string]any{"floatingip": map[string]any{"description": owner}}
	return a.neutron(ctx, http.MethodPut, "floatingips/"+id, body, nil)
}

// drop deletes a floating IP; one that is gone already is as good.
func (a *api) drop(ctx context.Context, id string) error {
	err := a.neutron(ctx, http.MethodDelete, "floatingips/"+id, nil, nil)
	if err != nil && understand(err).trouble == troubleGone {
		return nil
	}
	return err
}

// buoy is what is known of an item's floating IP.
type buoy struct {
	// ip is nil where there is none.
	ip *floatingIP
	// port and want are those that it was last looked at for; port is empty before that.
	port string
	want Floating
	// balk is the last one that could not take the place of another one.
	balk balk
}

// address is that of the floating IP, empty for none.
func (b buoy) address() string {
	if b.ip == nil {
		return ""
	}
	return b.ip.Address
}

// float makes the floating IP what is wanted. It costs calls only where the load balancer or the wish is another one.
func (s *stepper) float(ctx context.Context) error {
	w, want := &s.work, s.want.Floating
	if may, _ := floats(w.last.Tags); want == nil && !may {
		return nil
	}
	asked := Floating{}
	if want != nil {
		asked = *want
	}
	if w.last.PortID == "" {
		return &failure{trouble: troubleWeather, text: "Octavia has not said which port the floating IP is for"}
	}
	if w.buoy.port == w.last.PortID && w.buoy.want == asked {
		w.buoy.balk = balk{} // who has gone back may try again
		return nil
	}
	ip, err := s.moor(ctx, want)
	if err != nil {
		f := *understand(err) // a copy: a login's failure is of all who wait for that
		f.aside = true
		return fmt.Errorf("floating IP: %w", &f)
	}
	w.buoy, w.lost = buoy{ip: ip, port: w.last.PortID, want: asked}, nil
	return nil
}

// moor returns the floating IP of the load balancer's port, after it has made it so. The one that is there stays until
// another one is had.
func (s *stepper) moor(ctx context.Context, want *Floating) (*floatingIP, error) {
	api, port, owner := s.engine.api, s.work.last.PortID, floatingOwner(s.engine.cluster, s.work.key)
	have, err := api.floatingOf(ctx, port)
	if err != nil {
		return nil, err
	}
	if want == nil {
		for _, ip := range have {
			if err := s.cast(ctx, ip, owner); err != nil {
				return nil, err
			}
		}
		return nil, nil //nolint:nilnil // none is wanted, and there is none
	}
	if n := slices.IndexFunc(have, want.fits); n >= 0 {
		ip := have[n]
		ours := slices.DeleteFunc(have, func(f floatingIP) bool { return f.ID == ip.ID || !s.made(f, owner) })
		if err := s.retire(ctx, ours, owner); err != nil { // those of a change that was cut off in the middle
			return nil, err
		}
		if ip.Description != owner && s.made(ip, owner) {
			err = api.label(ctx, ip.ID, owner)
		}
		return &ip, err
	}
	ip, err := s.berth(ctx, *want, have, owner)
	if err != nil && len(have) == 0 {
		s.fallBack(ctx, *want, owner)
	}
	return ip, err
}

// berth lets the floating IP that is wanted, and is not at the port, lead there in place of those that do.
func (s *stepper) berth(ctx context.Context, want Floating, have []floatingIP, owner string) (*floatingIP, error) {
	api := s.engine.api
	ip, err := s.idle(ctx, want, owner)
	if err != nil {
		return nil, err
	}
	if ip != nil {
		s.engine.log.InfoContext(ctx, "floating IP taken", "object", describe(s.work.key), "address", ip.Address)
		return ip, s.swap(ctx, have, ip, owner)
	}
	at := s.work.last.PortID
	if len(have) > 0 {
		at = "" // the port takes no other one yet
	}
	made, err := api.allocate(ctx, want, at, owner)
	if err != nil {
		return nil, err
	}
	s.engine.log.InfoContext(ctx, "floating IP made", "object", describe(s.work.key), "address", made.Address)
	if at != "" {
		return &made, nil
	}
	return &made, s.swap(ctx, have, &made, owner)
}

// made reports whether a floating IP was made for the owner, or for one of the sharers before it was shared.
func (s *stepper) made(ip floatingIP, owner string) bool {
	return ip.Description == owner || slices.Contains(s.heirlooms(), ip.Description)
}

// fits reports whether a floating IP is as it is wanted.
func (f Floating) fits(ip floatingIP) bool {
	return sameID(ip.NetworkID, f.NetworkID) && (f.Address == "" || f.Address == ip.Address)
}

// sameID compares two UUIDs, which have several spellings.
func sameID(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, "-", ""), strings.ReplaceAll(b, "-", ""))
}

// idle returns a floating IP that is there and leads nowhere: the one that is asked for, or one that has led to the
// load balancer and was lost, or one that was made for the object before, nil for none.
func (s *stepper) idle(ctx context.Context, want Floating, owner string) (*floatingIP, error) {
	addresses := s.work.lost
	if want.Address != "" {
		addresses = []string{want.Address}
	}
	var list []floatingIP
	for _, a := range addresses {
		at, err := s.engine.api.floatingAt(ctx, a)
		if err != nil {
			return nil, err
		}
		list = append(list, at...)
	}
	if want.Address == "" {
		owned, err := s.engine.api.floatingOwned(ctx, owner)
		if err != nil {
			return nil, err
		}
		list = append(list, owned...)
	}
	for _, ip := range list {
		switch {
		case ip.PortID == "" && want.fits(ip):
			return &ip, nil
		case ip.PortID != "" && want.Address != "":
			return nil, &failure{trouble: troubleRefused, text: "floating IP " + ip.Address + " leads to another port"}
		}
	}
	return nil, nil //nolint:nilnil // there is none
}

// cast takes a floating IP from the load balancer. What was made for it goes only where the object says that there is
// to be none, and it is not to be kept: else, as when the configuration has lost its network, it may be wanted again.
func (s *stepper) cast(ctx context.Context, ip floatingIP, owner string) error {
	if _, keep := floats(s.work.last.Tags); !s.made(ip, owner) || keep || !s.model.Cloud.Internal {
		return s.engine.api.attach(ctx, ip.ID, "")
	}
	return s.engine.api.drop(ctx, ip.ID)
}

// sink makes the floating IPs go that were made for the load balancer. Another one Neutron takes from it by itself.
func (s *stepper) sink(ctx context.Context) error {
	w := &s.work
	may, keep := floats([]string{w.mark})
	if !may && w.buoy.ip != nil {
		may, keep = true, w.buoy.want.Keep
	}
	if !may || keep {
		return nil
	}
	list, err := s.engine.api.floatingOwned(ctx, floatingOwner(s.engine.cluster, w.key))
	for _, ip := range list {
		if err == nil {
			err = s.engine.api.drop(ctx, ip.ID)
		}
	}
	if err != nil {
		f := *understand(err) // a copy: a login's failure is of all who wait for that
		f.aside = true
		return fmt.Errorf("floating IP: %w", &f)
	}
	w.buoy, w.mark = buoy{}, ""
	return nil
}

// tagsOf returns the tags that a load balancer shall have that has those: what others have put there stays.
func tagsOf(have []string, want Tree) []string {
	tags := withTags(have, want.Tags)
	if len(want.pairs()) > 0 && !slices.Contains(tags, tagStored) {
		tags = sorted(append(tags, tagStored))
	}
	if want.Floating == nil {
		return tags
	}
	tags = slices.DeleteFunc(tags, func(t string) bool { return strings.HasPrefix(t, tagFloating) })
	return sorted(append(tags, want.Floating.tag()))
}
