package feed

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/keyring"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// Update is what the daemon is to run, as far as is known.
type Update struct {
	// Config is nil while nothing is known.
	Config *nodeconfig.Config
	// Findings say what could not be read.
	Findings []nodeconfig.NodeFinding
	// Material is nil while nothing is known.
	Material *keyring.Material
}

// Documents are what the ConfigMaps hold.
type Documents struct {
	// Config are the texts of the controller's documents, by the name of their ConfigMap.
	Config map[string]string
	// Orders is the data of [nodeconfig.OrdersName], nil when there is no such ConfigMap.
	Orders map[string]string
}

// Assembler turns documents into updates, and remembers the last good ones.
type Assembler struct {
	// Last is what is known already; nil for nothing.
	Last *nodeconfig.Config

	// read are the shards that could be read the last time, by name: a change is of one of them, mostly.
	read map[string]reading
}

// reading is a shard and the text that it was read from. Nobody changes it.
type reading struct {
	text  string
	shard nodeconfig.Shard
}

// Assemble returns what the documents amount to.
func (a *Assembler) Assemble(docs Documents) Update {
	var fs findings
	fleet, ok := a.fleet(docs.Config, &fs)
	orders := a.orders(docs.Orders, &fs)
	if !ok {
		if a.Last != nil {
			next := *a.Last
			next.Orders = orders
			a.Last = &next
		}
		return Update{Config: a.Last, Findings: fs}
	}
	next := nodeconfig.Config{Fleet: fleet, Shards: make(map[string]nodeconfig.Shard), Orders: orders}
	before := a.read
	a.read = make(map[string]reading)
	for _, name := range slices.Sorted(maps.Keys(docs.Config)) {
		switch {
		case name == nodeconfig.FleetName:
		case !strings.HasPrefix(name, nodeconfig.ShardPrefix):
			fs.addf("ConfigMap %s is none of this project's documents; it is ignored", name)
		default:
			a.shard(name, docs.Config[name], before[name], next.Shards, &fs)
		}
	}
	a.keepVanished(next.Shards, &fs)
	a.Last = &next
	return Update{Config: &next, Findings: fs}
}

func (a *Assembler) fleet(docs map[string]string, fs *findings) (nodeconfig.Fleet, bool) {
	text, ok := docs[nodeconfig.FleetName]
	if !ok {
		if a.Last != nil {
			fs.addf("ConfigMap %s has vanished; the last configuration stays in force", nodeconfig.FleetName)
		}
		return nodeconfig.Fleet{}, false
	}
	fleet, err := nodeconfig.Decode[nodeconfig.Fleet](text)
	if err == nil {
		return fleet, true
	}
	fs.addf("ConfigMap %s cannot be read, its last version stays in force: %v", nodeconfig.FleetName, err)
	if a.Last == nil {
		return nodeconfig.Fleet{}, false
	}
	return a.Last.Fleet, true
}

// shard reads a shard, unless it was read from the very same text before.
func (a *Assembler) shard(name, text string, before reading, shards map[string]nodeconfig.Shard, fs *findings) {
	var err error
	if before.text != text || text == "" {
		before = reading{text: text}
		before.shard, err = nodeconfig.Decode[nodeconfig.Shard](text)
	}
	if err == nil {
		shards[name], a.read[name] = before.shard, before
		return
	}
	fs.addf("ConfigMap %s cannot be read, its last version stays in force: %v", name, err)
	if last, ok := a.lastShard(name); ok {
		shards[name] = last
	}
}

func (a *Assembler) lastShard(name string) (nodeconfig.Shard, bool) {
	if a.Last == nil {
		return nodeconfig.Shard{}, false
	}
	s, ok := a.Last.Shards[name]
	return s, ok
}

// keepVanished adds the shards that are gone though they had load balancers, without those whose key or address
// somebody else has by now.
func (a *Assembler) keepVanished(shards map[string]nodeconfig.Shard, fs *findings) {
	if a.Last == nil {
		return
	}
	keys, vips := make(map[lb.Key]bool), make(map[netip.Addr]bool)
	for _, s := range shards {
		for _, e := range s.LoadBalancers {
			keys[e.Origin.Key] = true
			for _, vip := range e.VIPs {
				vips[vip] = true
			}
		}
		for _, w := range s.Withdrawn {
			keys[w.Key] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Last.Shards)) {
		if _, ok := shards[name]; ok {
			continue
		}
		last := a.Last.Shards[name]
		last.LoadBalancers = slices.DeleteFunc(slices.Clone(last.LoadBalancers), func(e nodeconfig.Entry) bool {
			return keys[e.Origin.Key] || slices.ContainsFunc(e.VIPs, func(v netip.Addr) bool { return vips[v] })
		})
		if n := len(last.LoadBalancers); n > 0 {
			shards[name] = last
			fs.addf("ConfigMap %s has vanished; its %d load balancers stay in force", name, n)
		}
	}
}

// orders reads the nodes' orders. What cannot be read leaves the last known order in force: an order that is no more
// has no key.
func (a *Assembler) orders(data map[string]string, fs *findings) map[string]nodeconfig.Order {
	var last map[string]nodeconfig.Order
	if a.Last != nil {
		last = a.Last.Orders
	}
	if data == nil {
		if len(last) > 0 {
			fs.addf("ConfigMap %s has vanished; the last orders stay in force", nodeconfig.OrdersName)
		}
		return last
	}
	orders := make(map[string]nodeconfig.Order)
	unreadable := 0
	for _, key := range slices.Sorted(maps.Keys(data)) {
		node, ok := strings.CutPrefix(key, nodeconfig.KeyOrderPrefix)
		if !ok || data[key] == "" {
			continue // the fleet's, for the controller; or none
		}
		order, err := readOrder(data[key])
		if err != nil {
			unreadable++
			if unreadable <= maxUnreadable {
				fs.addf("ConfigMap %s: %s cannot be read, its last version stays in force: %.200v",
					nodeconfig.OrdersName, key, err)
			}
			if order, ok = last[node]; !ok {
				continue
			}
		}
		orders[node] = order
	}
	return orders
}

// The bounds of what people may put into orders: it ends up in the status of the node, which has to fit into an object.
const (
	maxUnreadable = 10
	maxOrderID    = 64
	maxOrderText  = 256
)

// readOrder reads an order. Its words are cut to a length; what the node acts on must be right.
func readOrder(text string) (nodeconfig.Order, error) {
	o, err := nodeconfig.Decode[nodeconfig.Order](text)
	if err != nil {
		return o, err
	}
	if d := o.Drain; d != nil {
		d.By, d.Reason = shorten(d.By), shorten(d.Reason)
	}
	if d := o.Drill; d != nil {
		d.By = shorten(d.By)
		if d.ID == "" || len(d.ID) > maxOrderID || len(d.Kind) > maxOrderID {
			return o, fmt.Errorf("the drill's id and kind take 1 to %d characters", maxOrderID)
		}
	}
	return o, nil
}

func shorten(text string) string {
	if len(text) > maxOrderText {
		text = strings.ToValidUTF8(text[:maxOrderText], "") + "…"
	}
	return text
}

type findings []nodeconfig.NodeFinding

func (fs *findings) addf(format string, args ...any) {
	*fs = append(*fs, nodeconfig.NodeFinding{
		Finding: lb.Finding{Code: lb.CodeNodeRefused, Message: fmt.Sprintf(format, args...)},
	})
}
