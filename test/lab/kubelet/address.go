package kubelet

import (
	"fmt"
	"net/netip"
	"sync"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
)

// addresses gives the pods of one node a pair of addresses each, with the same number in both families. It goes round
// the range before it gives an address again, as real plug-ins do, so that a stale client meets nobody else's pod.
type addresses struct {
	node fabric.Node
	mu   sync.Mutex
	used [256]bool
	last int
}

// take returns a free pair and its number, for give.
func (a *addresses) take() (v4, v6 netip.Addr, number int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := 1; i <= 254; i++ {
		n := (a.last+i-1)%254 + 1
		if a.used[n] {
			continue
		}
		a.used[n], a.last = true, n
		b4, b6 := a.node.Pods.Addr().As4(), a.node.Pods6.Addr().As16()
		b4[3], b6[15] = byte(n), byte(n)
		return netip.AddrFrom4(b4), netip.AddrFrom16(b6), n, nil
	}
	return v4, v6, 0, fmt.Errorf("node %s: no pod address is free", a.node.Name)
}

func (a *addresses) give(number int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used[number] = false
}
