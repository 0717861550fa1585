package fabric

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// Pair is a connection between two machines (or a machine and [API]) that is cut in both directions; A < B.
type Pair struct{ A, B string }

func pair(a, b string) Pair {
	if b < a {
		a, b = b, a
	}
	return Pair{a, b}
}

// The bridge's rules: two sets of port pairs, and one each for frames from and to the bridge itself, where the control
// plane lives. Frames of a cut pair are dropped without a word, as a broken switch would.
const cutTable = `table bridge cut {
	set pairs { type ifname . ifname; }
	set api { type ifname; }
	chain forward {
		type filter hook forward priority 0; policy accept;
		iifname . oifname @pairs drop
	}
	chain input {
		type filter hook input priority 0; policy accept;
		iifname @api drop
	}
	chain output {
		type filter hook output priority 0; policy accept;
		oifname @api drop
	}
}
`

func prepareCuts(p Plan) error {
	_, err := nft(p, cutTable, "-f", "-")
	return err
}

// Cut drops everything between every machine of the one group and every machine of the other.
func Cut(p Plan, group, others []string) error { return editCuts(p, "add", product(group, others)) }

// Mend takes cuts back. Pairs that are not cut are no error.
func Mend(p Plan, pairs []Pair) error {
	current, err := Cuts(p)
	if err != nil {
		return err
	}
	return editCuts(p, "delete", slices.DeleteFunc(slices.Clone(pairs), func(c Pair) bool {
		return !slices.Contains(current, c)
	}))
}

func product(group, others []string) []Pair {
	var pairs []Pair
	for _, a := range group {
		for _, b := range others {
			if a != b {
				pairs = append(pairs, pair(a, b))
			}
		}
	}
	return pairs
}

func editCuts(p Plan, verb string, pairs []Pair) error {
	var script strings.Builder
	for _, c := range pairs {
		for _, name := range []string{c.A, c.B} {
			if _, ok := p.Node(name); !ok && name != API {
				return fmt.Errorf("partition: no node %q", name)
			}
		}
		switch {
		case c.A == API:
			fmt.Fprintf(&script, "%s element bridge cut api { %q }\n", verb, c.B)
		case c.B == API:
			fmt.Fprintf(&script, "%s element bridge cut api { %q }\n", verb, c.A)
		default:
			fmt.Fprintf(&script, "%s element bridge cut pairs { %q . %q, %q . %q }\n", verb, c.A, c.B, c.B, c.A)
		}
	}
	if script.Len() == 0 {
		return nil
	}
	_, err := nft(p, script.String(), "-f", "-") // one transaction: the cut is whole or not at all
	return err
}

// Cuts returns the sorted pairs that are cut now, as the kernel has them.
func Cuts(p Plan) ([]Pair, error) {
	out, err := nft(p, "", "-j", "list", "table", "bridge", "cut")
	if err != nil {
		return nil, err
	}
	return parseCuts(out)
}

func parseCuts(listing []byte) ([]Pair, error) {
	var doc struct {
		Nftables []struct {
			Set struct {
				Name string            `json:"name"`
				Elem []json.RawMessage `json:"elem"`
			} `json:"set"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(listing, &doc); err != nil {
		return nil, fmt.Errorf("read nftables listing: %w", err)
	}
	var cuts []Pair
	for _, object := range doc.Nftables {
		for _, elem := range object.Set.Elem {
			var single string
			var double struct{ Concat []string }
			switch {
			case json.Unmarshal(elem, &single) == nil:
				cuts = append(cuts, pair(API, single))
			case json.Unmarshal(elem, &double) == nil && len(double.Concat) == 2:
				cuts = append(cuts, pair(double.Concat[0], double.Concat[1]))
			default:
				return nil, fmt.Errorf("read nftables listing: element %s", elem)
			}
		}
	}
	slices.SortFunc(cuts, func(x, y Pair) int { return strings.Compare(x.A+" "+x.B, y.A+" "+y.B) })
	return slices.Compact(cuts), nil
}

func nft(p Plan, script string, args ...string) ([]byte, error) {
	cmd := netspace.Command(netspace.Path(p.Namespace), append([]string{"nft"}, args...)...)
	cmd.Stdin = strings.NewReader(script)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("nft %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// LinkDown takes the node's link down inside the node, as pulling its cable would.
func LinkDown(n Node) error {
	return withHandle(n.Namespace, func(h *netlink.Handle) error {
		link, err := h.LinkByName(linkName)
		if err != nil {
			return fmt.Errorf("link of %s: %w", n.Name, err)
		}
		return h.LinkSetDown(link)
	})
}

// LinkUp brings the node's link up again, with the addresses and routes that a host's network service would restore:
// the kernel drops routes, and all IPv6 addresses, when a link goes down.
func LinkUp(p Plan, n Node) error {
	return withHandle(n.Namespace, func(h *netlink.Handle) error {
		link, err := h.LinkByName(linkName)
		if err != nil {
			return fmt.Errorf("link of %s: %w", n.Name, err)
		}
		if err := h.LinkSetUp(link); err != nil {
			return err
		}
		if err := addAddresses(h, link, onLink(n.Address, Link), onLink(n.Address6, Link6)); err != nil {
			return err
		}
		return addRoutes(h, p, n, link)
	})
}

// ForgetAddresses removes what a machine without power does not remember: every address of its link besides its own,
// and every address of its loopback besides that of loopbacks.
func ForgetAddresses(n Node) error {
	return withHandle(n.Namespace, func(h *netlink.Handle) error {
		for _, name := range []string{linkName, "lo"} {
			link, err := h.LinkByName(name)
			if err != nil {
				return fmt.Errorf("link %s of %s: %w", name, n.Name, err)
			}
			addresses, err := List(h, link)
			if err != nil {
				return fmt.Errorf("addresses of %s: %w", n.Name, err)
			}
			for _, a := range addresses {
				addr, ok := netip.AddrFromSlice(a.IP)
				addr = addr.Unmap()
				if !ok || addr.IsLoopback() || addr == n.Address || addr == n.Address6 {
					continue
				}
				if err := h.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
					return fmt.Errorf("forget %s of %s: %w", addr, n.Name, err)
				}
			}
		}
		return nil
	})
}

// dumps is how often a list that changes while it is read is read again.
const dumps = 50

// List returns the addresses of a link. With many of them, the kernel tells them in several pieces, and says so if one
// came or went in between; then it is asked again.
func List(h *netlink.Handle, link netlink.Link) (addresses []netlink.Addr, err error) {
	for range dumps {
		addresses, err = h.AddrList(link, netlink.FAMILY_ALL)
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return addresses, err
}

// Addresses returns every address of the node's link, sorted, the node's own and link-local ones included.
func Addresses(n Node) ([]netip.Addr, error) {
	_, all, err := linkState(n)
	return all, err
}

// LinkState says whether the node's link is up, and which addresses it holds beyond the node's own (the load
// balancers' among them), sorted.
func LinkState(n Node) (up bool, extra []netip.Addr, err error) {
	up, all, err := linkState(n)
	return up, slices.DeleteFunc(all, func(a netip.Addr) bool {
		return a.IsLinkLocalUnicast() || a == n.Address || a == n.Address6
	}), err
}

func linkState(n Node) (up bool, all []netip.Addr, err error) {
	err = withHandle(n.Namespace, func(h *netlink.Handle) error {
		link, err := h.LinkByName(linkName)
		if err != nil {
			return err
		}
		up = link.Attrs().RawFlags&unix.IFF_UP != 0
		addresses, err := List(h, link)
		if err != nil {
			return err
		}
		for _, a := range addresses {
			if addr, ok := netip.AddrFromSlice(a.IP); ok {
				all = append(all, addr.Unmap())
			}
		}
		slices.SortFunc(all, netip.Addr.Compare)
		return nil
	})
	if err != nil {
		return false, nil, fmt.Errorf("link of %s: %w", n.Name, err)
	}
	return up, all, nil
}
