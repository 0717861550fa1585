package plan

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// many returns the input of n load balancers, none of them served yet.
func many(tb testing.TB, n int) Input {
	tb.Helper()
	in := Input{Pools: []ipam.Pool{pool(tb, "p", "10.0.0.0/16"), pool(tb, "six", "fd00::/64")}, Capabilities: everything()}
	for i := range n {
		in.Wishes = append(in.Wishes, wish(fmt.Sprintf("lb%05d", i), i%7, families(lb.IPv4, lb.IPv6)))
	}
	return in
}

// BenchmarkMake plans 5,000 load balancers: all new, all served, and all refused by an exhausted pool while as many
// addresses wait for their withdrawal.
func BenchmarkMake(b *testing.B) {
	fresh := many(b, 5000)
	steady := fresh
	steady.Current = Make(fresh).LoadBalancers
	full := fresh
	full.Pools = []ipam.Pool{pool(b, "p", "10.0.0.0/20"), pool(b, "six", "fd00::/116")}
	for i := range 4094 {
		a := addr(fmt.Sprintf("10.0.%d.%d", (i+1)/256, (i+1)%256))
		full.Withdrawn = append(full.Withdrawn, Hold{Key: lb.Key{Namespace: "gone", Name: fmt.Sprint(i)}, Address: a})
	}
	for name, in := range map[string]Input{
		"new": fresh, "steady": steady, "full": full, "shared": sharers(b, 5000), "sharing": served5000(b),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Make(in)
			}
		})
	}
}

// sharers returns the input of n load balancers that share one address by hosts.
func sharers(tb testing.TB, n int) Input {
	tb.Helper()
	in := many(tb, n)
	for i := range in.Wishes {
		w := &in.Wishes[i]
		sharing("default/edge")(w)
		hosts(fmt.Sprintf("h%d.example.com", i), fmt.Sprintf("www.h%d.example.com", i))(w)
	}
	return in
}

// served5000 is the same when all of them are served.
func served5000(tb testing.TB) Input {
	tb.Helper()
	in := sharers(tb, 5000)
	in.Current = Make(in).LoadBalancers
	return in
}

// The controller plans anew with every change, so 8,000 load balancers must not cost it much more each than 1,000 do:
// what is quadratic takes 64 times as long for eight times as many; caches that no longer hold them all may double what
// they take. The benchmark has the figures.
func TestMakeGrowsLinearly(t *testing.T) {
	for name, input := range map[string]func(testing.TB, int) Input{"alone": many, "shared": sharers} {
		few, all := input(t, 1000), input(t, 8000)
		// Whatever else runs on the machine makes a run longer, never shorter.
		took := func(in Input) time.Duration {
			shortest := time.Duration(math.MaxInt64)
			for range 3 {
				start := time.Now()
				if out := Make(in); len(out.LoadBalancers) != len(in.Wishes) {
					t.Errorf("%s: %d load balancers of %d", name, len(out.LoadBalancers), len(in.Wishes))
				}
				shortest = min(shortest, time.Since(start))
			}
			return shortest
		}
		one, eight := took(few), took(all)
		t.Logf("%s: 1,000 take %s, 8,000 take %s", name, one, eight)
		if eight > 32*one {
			t.Errorf("%s: 1,000 take %s, 8,000 take %s", name, one, eight)
		}
	}
}
