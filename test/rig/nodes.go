package rig

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Holders returns the load-balancer nodes whose kernel has the address, by name: the truth, whoever says what.
func (r *Rig) Holders(address string) ([]string, error) {
	want, err := netip.ParseAddr(address)
	if err != nil {
		return nil, err
	}
	var nodes []string
	for _, name := range r.LBNodes() {
		addrs, err := r.Addresses(name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(addrs, want) {
			nodes = append(nodes, name)
		}
	}
	return nodes, nil
}

// Addresses returns the addresses of a machine's interfaces.
func (r *Rig) Addresses(node string) ([]netip.Addr, error) {
	n, err := r.Lab.Node(node)
	if err != nil {
		return nil, err
	}
	ns, err := netns.GetFromName(n.Namespace)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", node, err)
	}
	defer ns.Close()
	handle, err := netlink.NewHandleAt(ns)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", node, err)
	}
	defer handle.Close()
	list, err := handle.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", node, err)
	}
	var addrs []netip.Addr
	for _, a := range list {
		if addr, ok := netip.AddrFromSlice(a.IP); ok {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs, nil
}

// leaderSilence is how old a leader's last sign of life may be: it renews its lease every 2 s.
const leaderSilence = 5 * time.Second

// Leader returns the name of the controller's pod that leads, and has said so lately.
func (r *Rig) Leader(ctx context.Context) (string, error) {
	leases, err := r.Client.CoordinationV1().Leases(SystemNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	for _, l := range leases.Items {
		holder, renewed := l.Spec.HolderIdentity, l.Spec.RenewTime
		if holder == nil || *holder == "" || renewed == nil || time.Since(renewed.Time) > leaderSilence {
			continue
		}
		pod, _, _ := strings.Cut(*holder, "_")
		return pod, nil
	}
	return "", fmt.Errorf("nobody leads: no lease in %s has been renewed for %s", SystemNamespace, leaderSilence)
}
