package keepalived

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// The bounds of keepalived.conf(5).
const (
	minAdvert, maxAdvert = 10 * time.Millisecond, 40950 * time.Millisecond
	maxInterfaceName     = 15
)

// check returns what keepalived would refuse or misunderstand.
func check(in Input) error {
	if in.Version.Compare(Oldest()) < 0 {
		return fmt.Errorf("version %s is older than %s", in.Version, Oldest())
	}
	if err := render.CheckName("interface", in.Interface, maxInterfaceName); err != nil {
		return err
	}
	if err := render.CheckPath("gate file", in.Gate); err != nil {
		return err
	}
	if err := render.CheckPath("weight directory", in.WeightDir); err != nil {
		return err
	}
	if d := in.AdvertInterval; d < minAdvert || d > maxAdvert || d%minAdvert != 0 {
		return fmt.Errorf("advert interval %s is not 10ms to 40.95s in steps of 10ms", d)
	}
	return checkInstances(in.Instances)
}

// checkInstances returns what is wrong with the instances but for their virtual IPs.
func checkInstances(all []Instance) error {
	seen := make(map[string]string)
	for _, i := range all {
		name := InstanceName(i.Group, i.Family)
		if err := checkInstance(i); err != nil {
			return fmt.Errorf("instance %s: %w", name, err)
		}
		for _, id := range []string{name, fmt.Sprintf("%s VRID %d", i.Family, i.VRID), "anchor " + i.Anchor.String()} {
			if other, ok := seen[id]; ok {
				return fmt.Errorf("instance %s: %s is also of instance %s", name, id, other)
			}
			seen[id] = name
		}
	}
	return nil
}

func checkInstance(i Instance) error {
	switch {
	case i.Family != lb.IPv4 && i.Family != lb.IPv6:
		return fmt.Errorf("unknown address family %q", i.Family)
	case i.Group < 0:
		return fmt.Errorf("negative group %d", i.Group)
	case i.VRID == 0:
		return errors.New("VRID 0 is not 1 to 255")
	case i.Priority == 0 || i.Priority == 255:
		return fmt.Errorf("priority %d is not 1 to 254", i.Priority)
	case i.Family == lb.IPv6 && !i.Anchor.IsLinkLocalUnicast():
		// RFC 5798, 5.2.9: the first address of an IPv6 advert is link-local.
		return fmt.Errorf("anchor %s is not link-local", i.Anchor)
	case slices.Contains(i.Peers, i.Source):
		return fmt.Errorf("peer %s is the node itself", i.Source)
	}
	for _, a := range append([]netip.Addr{i.Source, i.Anchor}, i.Peers...) {
		if !holdable(a, i.Family) {
			return fmt.Errorf("%s is not an %s address that a node can hold", a, i.Family)
		}
	}
	return nil
}

// refuse takes out of the instances, which it changes, the virtual IPs that they cannot carry.
func refuse(all []Instance) []Refusal {
	taken := make(map[netip.Addr]string)
	for _, i := range all {
		for _, a := range append([]netip.Addr{i.Source}, i.Peers...) {
			taken[a] = "is the address of a node"
		}
		taken[i.Anchor] = "is the anchor of instance " + InstanceName(i.Group, i.Family)
	}
	var refused []Refusal
	for n := range all {
		i := &all[n]
		i.VIPs = slices.DeleteFunc(i.VIPs, func(a netip.Addr) bool {
			why := taken[a]
			if !holdable(a, i.Family) {
				why = fmt.Sprintf("is not an %s address that a node can hold", i.Family)
			}
			if why == "" {
				taken[a] = "is carried by instance " + InstanceName(i.Group, i.Family)
				return false
			}
			refused = append(refused, Refusal{VIP: a, Finding: lb.Finding{
				Code: lb.CodeNodeRefused, Message: fmt.Sprintf("virtual IP %s %s", a, why),
			}})
			return true
		})
	}
	slices.SortStableFunc(refused, func(a, b Refusal) int { return a.VIP.Compare(b.VIP) })
	return refused
}

// holdable reports whether a is an address of that family that an interface can have.
func holdable(a netip.Addr, f lb.Family) bool {
	never := a.IsUnspecified() || a.IsMulticast() || a.IsLoopback()
	return a.IsValid() && a.Zone() == "" && !a.Is4In6() && !never && lb.FamilyOf(a) == f
}
