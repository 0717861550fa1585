package cli

import (
	"fmt"
	"testing"
)

// BenchmarkStatus1000 shows a thousand load balancers from the API server to the last line of the table. The goal is a
// second.
func BenchmarkStatus1000(b *testing.B) {
	w := newWorld(b, "thousand")
	for i := range 1000 {
		w.serve(fmt.Sprintf("lb-%04d", i), fmt.Sprintf("10.88.%d.%d", 100+i/250, 1+i%250), "lb2", 80)
	}
	w.publish()
	c := call{args: append(w.in([]string{"status"}), "--kubeconfig", w.kubeconfig), now: w.now}
	for b.Loop() {
		if r := c.run(b.Context()); r.code != ExitOK || r.errOut != "" {
			b.Fatalf("exit status %d: %s", r.code, r.errOut)
		}
	}
}
