package cut

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Table is the name of the table.
const Table = "kubectl-lb-drill"

// Cut is what is to be cut.
type Cut struct {
	Interface string
	// Addresses are the virtual IPs and anchors.
	Addresses []netip.Addr
	// VRIDs are the virtual routers whose adverts are cut, too, of both families and every version. Those of others pass:
	// another keepalived on the interface has nothing to do with a drill.
	VRIDs []uint8
	// Inbound cuts only what comes, which every kernel can.
	Inbound bool
}

// priority is before everybody else's filters.
const priority nftables.ChainPriority = -500

// Make cuts, in one step, in place of what was cut before. It wraps [errors.ErrUnsupported] where the kernel lacks the
// hook for what leaves (Linux 5.16 has it).
func (c Cut) Make() error {
	// The kernel would take a name that no interface has yet.
	if _, err := net.InterfaceByName(c.Interface); err != nil {
		return fmt.Errorf("cut traffic of %s: %w", c.Interface, err)
	}
	conn, err := nftables.New(nftables.WithSockOptions(roomy))
	if err != nil {
		return fmt.Errorf("cut: %w", err)
	}
	table := replaced(conn)
	sets, err := addSets(conn, table, c.Addresses)
	if err != nil {
		return fmt.Errorf("cut: %w", err)
	}
	hooks := map[string]nftables.ChainHook{"ingress": unix.NF_NETDEV_INGRESS, "egress": unix.NF_NETDEV_EGRESS}
	if c.Inbound {
		delete(hooks, "egress")
	}
	drops := rules(sets)
	if len(c.VRIDs) > 0 {
		addAdverts(conn, table, c.VRIDs)
		drops = append(drops, toAdverts()...)
	}
	for name, hook := range hooks {
		chain := conn.AddChain(&nftables.Chain{
			Name: name, Table: table, Hooknum: &hook, Priority: new(priority),
			Type: nftables.ChainTypeFilter, Device: c.Interface,
		})
		for _, exprs := range drops {
			conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
		}
	}
	if err := conn.Flush(); err != nil {
		if errors.Is(err, unix.EOPNOTSUPP) {
			err = errors.Join(errors.ErrUnsupported, err)
		}
		return fmt.Errorf("cut traffic of %s: %w", c.Interface, err)
	}
	return nil
}

// roomy makes room for the kernel's answers, one for every rule and set: without it they would be lost, and a cut that
// was made look as if it were not.
func roomy(conn *netlink.Conn) error { return conn.SetReadBuffer(1 << 20) }

// Mend takes the table away; without one it does nothing, as with a kernel that has no tables.
func Mend() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("mend: %w", err)
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyNetdev)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) {
		return nil // nobody in the kernel takes the question, which has no parameter that could be wrong
	}
	if err != nil {
		return fmt.Errorf("mend: list the tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == Table {
			conn.DelTable(t)
		}
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("mend: %w", err)
	}
	return nil
}

// replaced returns the table, emptied in the same step.
func replaced(conn *nftables.Conn) *nftables.Table {
	t := &nftables.Table{Name: Table, Family: nftables.TableFamilyNetdev}
	conn.AddTable(t)
	conn.DelTable(t)
	return conn.AddTable(t)
}
