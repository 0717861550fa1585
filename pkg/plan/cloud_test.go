package plan

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

func clouded(w *lb.Wish) { w.Clouded = []string{"data[flavor]"} }

// forCloud writes down what is to be served, and with how many listeners, and the findings.
func forCloud(in CloudInput) string {
	if in.Capabilities.Protocols == nil {
		in.Capabilities = everything()
	}
	out := MakeForCloud(in)
	text := ""
	for _, l := range out.LoadBalancers {
		text += fmt.Sprintf("%s=%s/%d ", l.Origin.Name, join(l.VIPs), len(l.Listeners))
	}
	return text + findings(out)
}

// A cloud is asked for what is wished; what is wrong leaves the last good version, or whatever the cloud has, alone.
func TestMakeForCloud(t *testing.T) {
	cannot := everything()
	cannot.Protocols = []lb.Protocol{lb.HTTP}
	for _, c := range []struct {
		name string
		in   CloudInput
		want string
	}{
		{"plain", CloudInput{Wishes: []lb.Wish{wish("b", 1), wish("a", 2)}}, "a=/1 b=/1 "},
		{"requested", CloudInput{Wishes: []lb.Wish{wish("a", 1, requestedIP("10.0.0.7"))}}, "a=10.0.0.7/1 "},
		{"recorded is no wish", CloudInput{Wishes: []lb.Wish{wish("a", 1, recordedIP("10.0.0.7"))}}, "a=/1 "},
		{"broken", CloudInput{Wishes: []lb.Wish{wish("a", 1, broken)}}, "a=/0 a stale: LB0103 data[bind-port]: broken"},
		{"broken, served", CloudInput{
			Wishes: []lb.Wish{wish("a", 1, broken)}, Current: []lb.LoadBalancer{balancer("a", 1, "10.0.0.9")},
		}, "a=10.0.0.9/1 a stale: LB0103 data[bind-port]: broken"},
		{"beyond it", CloudInput{Wishes: []lb.Wish{wish("a", 1)}, Capabilities: cannot},
			"a=/0 a stale: LB0401 protocol: the backend cannot serve protocol TCP; it can serve HTTP"},
		{"its own check", CloudInput{Wishes: []lb.Wish{wish("a", 1)}, Check: func(w lb.Wish) []lb.Finding {
			return []lb.Finding{{Code: lb.CodeBackendCannot, Message: "no " + w.LoadBalancer.Origin.Name}}
		}}, "a=/0 a stale: LB0401 no a"},
		{"a pool", CloudInput{Wishes: []lb.Wish{wish("a", 1, inPool("p"))}},
			"a=/0 a stale: LB0401 pool: addresses of Octavia are of a subnet, not of a pool; remove the key, or use vip-subnet"},
	} {
		if d := cmp.Diff(c.want, forCloud(c.in)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// The cloud is told which address the object had, also of an object with an error: it may have to tell two apart.
func TestRecordedForCloud(t *testing.T) {
	for _, w := range []lb.Wish{wish("a", 1, recordedIP("10.0.0.7")), wish("a", 1, recordedIP("10.0.0.7"), broken)} {
		out := MakeForCloud(CloudInput{Wishes: []lb.Wish{w}, Capabilities: everything()})
		if got := join(out.LoadBalancers[0].Cloud.Recorded); got != "10.0.0.7" {
			t.Errorf("recorded %q", got)
		}
	}
}

// What only a cloud has is refused where there is none.
func TestCloudKeysNeedACloud(t *testing.T) {
	can := everything()
	can.Cloud = false
	want := "a: LB0401 data[flavor]: only a load balancer of Octavia has this; remove the key, or set provider to octavia"
	if got := one(t, wish("a", 1, clouded), can); got != want {
		t.Errorf("%q", got)
	}
	if got := one(t, wish("a", 1, clouded), everything()); got != "" {
		t.Errorf("a cloud: %q", got)
	}
}
