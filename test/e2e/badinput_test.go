package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// badInput is a fault of a user: what is applied, the finding it must get, and how it is mended.
type badInput struct {
	name string
	// before is applied first and stays good throughout.
	before string
	// bad is the load balancer "victim" with the fault in it, and whatever makes it a fault.
	bad string
	// code and words must be in the status and in an Event.
	code, words string
	// mend is applied, or runs, to clear the finding; the load balancer then has to serve.
	mend     string
	mendWith func(t *testing.T)
}

const port80 = "bind-port: \"80\""

func badInputs() []badInput {
	coffee := "target-service-name: coffee-svc"
	good := loadBalancer("victim", coffee)
	return []badInput{
		{
			name: "unknown Service", bad: loadBalancer("victim", "target-service-name: cofee-svc"),
			code: "LB0201", words: "cofee-svc", mend: good,
		},
		{
			name: "Service without ports", code: "LB0202", words: "ports",
			bad: "apiVersion: v1\nkind: Service\nmetadata: {name: portless, namespace: default}\n" +
				"spec: {clusterIP: None, selector: {app: coffee}}\n---\n" +
				loadBalancer("victim", "target-service-name: portless"),
			mend: good,
		},
		{
			name: "port out of range", bad: loadBalancer("victim", coffee, `bind-port: "70000"`),
			code: "LB0103", words: "70000", mend: loadBalancer("victim", coffee, port80),
		},
		{
			name: "port not a number", bad: loadBalancer("victim", coffee, `bind-port: "eighty"`),
			code: "LB0103", words: "eighty", mend: loadBalancer("victim", coffee, port80),
		},
		{
			name: "address and port taken", before: loadBalancer("holder", coffee, "requested-ip: 10.88.97.7", port80),
			bad:  loadBalancer("victim", coffee, "requested-ip: 10.88.97.7", port80),
			code: "LB0303", words: "default/holder", mend: loadBalancer("victim", coffee, "requested-ip: 10.88.97.8", port80),
		},
		{
			name: "address taken", before: loadBalancer("holder", coffee, "requested-ip: 10.88.97.9", port80),
			bad:  loadBalancer("victim", coffee, "requested-ip: 10.88.97.9", `bind-port: "8080"`, `target-port: "80"`),
			code: "LB0302", words: "default/holder", mend: good,
		},
		{
			name: "address outside the pools", bad: loadBalancer("victim", coffee, "requested-ip: 203.0.113.5"),
			code: "LB0301", words: "203.0.113.5", mend: good,
		},
		{
			name: "network address of a pool", bad: loadBalancer("victim", coffee, "requested-ip: 10.88.96.0"),
			code: "LB0301", words: "10.88.96.0", mend: good,
		},
		{
			name: "pool exhausted", code: "LB0304", words: "tiny",
			before: loadBalancer("tiny-1", coffee, "address-pool: tiny") + "---\n" +
				loadBalancer("tiny-2", coffee, "address-pool: tiny"),
			bad: loadBalancer("victim", coffee, "address-pool: tiny"),
			mendWith: func(t *testing.T) { // the user makes room; the address comes free once no node holds it
				remove(t, loadBalancer("tiny-2"))
			},
		},
		{
			name: "misspelt key", bad: loadBalancer("victim", coffee, `bind-prot: "80"`),
			code: "LB0101", words: "bind-port", mend: good,
		},
		{
			name: "ambiguous target port", code: "LB0105", words: "target-port",
			bad: "apiVersion: v1\nkind: Service\nmetadata: {name: two-ports, namespace: default}\nspec:\n" +
				"  selector: {app: coffee}\n  ports:\n  - {name: http, port: 80}\n  - {name: admin, port: 8080, targetPort: 80}\n" +
				"---\n" + loadBalancer("victim", "target-service-name: two-ports", `bind-port: "80"`),
			mend: loadBalancer("victim", "target-service-name: two-ports", `bind-port: "80"`, "target-port: \"8080\""),
		},
		{
			name: "Service of another namespace", code: "LB0204", words: "kubectl-lb.io/allow-from-namespaces",
			bad: "apiVersion: v1\nkind: Namespace\nmetadata: {name: strangers}\n---\n" + strangersService("") + "---\n" +
				loadBalancer("victim", "namespace: strangers", "target-service-name: guarded"),
			mend: strangersService("default"),
		},
	}
}

// strangersService is a Service of another namespace without pods (its cluster IP refuses), with or without its
// owner's leave.
func strangersService(leave string) string {
	annotations := ""
	if leave != "" {
		annotations = "  annotations: {kubectl-lb.io/allow-from-namespaces: \"" + leave + "\"}\n"
	}
	return "apiVersion: v1\nkind: Service\nmetadata:\n  name: guarded\n  namespace: strangers\n" + annotations +
		"spec: {selector: {app: coffee}, ports: [{port: 80}]}\n"
}

// TestBadInput: every fault gets its numbered finding on the object and as an Event, a neighbour that is probed
// throughout loses nothing, and the finding clears when the fault is mended.
func TestBadInput(t *testing.T) {
	neighbour := serve(t, "neighbour", "target-service-name: coffee-svc")
	running := probe(t, neighbour)
	for _, c := range badInputs() {
		t.Run(c.name, func(t *testing.T) { checkBadInput(t, c) })
	}
	lossless(t, running.Stop())
}

func checkBadInput(t *testing.T, c badInput) {
	ctx := t.Context()
	if c.before != "" {
		apply(t, c.before)
		for part := range strings.SplitSeq(c.before, "---\n") {
			_, err := shared.WaitServing(ctx, "default", rig.NameOf(part))
			must(t, err)
		}
	}
	apply(t, c.bad)
	data, err := shared.WaitStatus(ctx, "default", "victim", "ERROR : "+c.code, 30*time.Second)
	must(t, err)
	if !strings.Contains(data["status"], c.words) {
		t.Errorf("status %q does not speak of %q", data["status"], c.words)
	}
	if ip, ok := data["bind-ip"]; ok {
		t.Errorf("a load balancer that was never good has bind-ip %q", ip)
	}
	must(t, rig.Wait(ctx, 30*time.Second, "an Event with "+c.code, func() (bool, string) {
		out, err := shared.MustKubectl(ctx, "", "get", "events", "-o",
			`jsonpath={range .items[?(@.involvedObject.name=="victim")]}{.type} {.message}{"\n"}{end}`)
		if err != nil {
			return false, err.Error()
		}
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "Warning "+c.code) && strings.Contains(line, c.words) {
				return true, ""
			}
		}
		return false, out
	}))
	if c.mendWith != nil {
		c.mendWith(t)
	} else {
		must(t, shared.Apply(ctx, c.mend))
	}
	_, err = shared.WaitServing(ctx, "default", "victim")
	must(t, err)
}
