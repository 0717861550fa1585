package plan

import (
	"reflect"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// bare is a backend that can pass traffic on, and no more.
func bare() lb.Capabilities {
	return lb.Capabilities{Protocols: everything().Protocols, Families: everything().Families}
}

// one plans a single wish.
func one(t *testing.T, w lb.Wish, can lb.Capabilities) string {
	t.Helper()
	return findings(Make(Input{
		Wishes: []lb.Wish{w}, Pools: []ipam.Pool{pool(t, "p", "10.0.0.1")}, Capabilities: can,
	}))
}

// Every option that there is can be missing in a backend, and is refused then: none is dropped in silence.
func TestEveryOptionNeedsItsCapability(t *testing.T) {
	eachLeaf(reflect.TypeFor[lb.Options](), nil, func(name string, index []int) {
		w := wish("a", 1)
		w.Fields = places()
		fill(reflect.ValueOf(&w.LoadBalancer.Listeners[0].Options).Elem().FieldByIndex(index))
		if got := one(t, w, bare()); !strings.HasPrefix(got, "a: LB0401 ") || strings.Contains(got, "\n") ||
			strings.HasPrefix(got, "a: LB0401 the backend") {
			t.Errorf("%s: %q is not one finding at a place", name, got)
		}
		if got := one(t, w, everything()); got != "" {
			t.Errorf("%s: a backend that can do everything: %s", name, got)
		}
	})
}

// So can everything about a route.
func TestEveryRouteNeedsItsCapability(t *testing.T) {
	for name, r := range map[string]lb.Route{
		"host": {Host: "a"}, "path": {Path: "/"}, "exact": {Exact: true}, "rewrite": {Rewrite: "/"}, "others": {Others: make([]lb.Target, 1)},
	} {
		w := wish("a", 1)
		w.Fields = places()
		w.LoadBalancer.Listeners[0].Routes[0] = r
		if got := one(t, w, bare()); !strings.HasPrefix(got, "a: LB0401 ") || strings.Contains(got, "\n") {
			t.Errorf("%s: %q is not one finding", name, got)
		}
		if got := one(t, w, everything()); got != "" {
			t.Errorf("%s: a backend that can do everything: %s", name, got)
		}
	}
	w := wish("a", 1)
	w.LoadBalancer.Listeners[0].Routes[0].Host = "*.a"
	can := everything()
	can.Wildcards = false
	if got := one(t, w, can); got != "a: LB0401 host: the backend cannot route by wildcard host" {
		t.Errorf("a wildcard: %q", got)
	}
}

// A backend that can terminate TLS need not be able to ask for certificates.
func TestClientAuthNeedsItsCapability(t *testing.T) {
	w := wish("a", 1)
	w.Fields = places()
	w.LoadBalancer.Listeners[0].TLS = &lb.TLS{Clients: &lb.ClientAuth{}}
	can := everything()
	can.ClientAuth = false
	if got := one(t, w, can); got != "a: LB0401 clientca: the backend cannot ask clients for certificates" {
		t.Errorf("%q", got)
	}
	if got := one(t, w, everything()); got != "" {
		t.Errorf("a backend that can do everything: %s", got)
	}
}

// Without endpoints not every backend can say who gets the traffic.
func TestSpread(t *testing.T) {
	w := wish("a", 1)
	w.Fields = places()
	w.LoadBalancer.Listeners[0].Options.Upstream = lb.Upstream{Method: lb.LeastConnections}
	can := everything()
	can.Spread = false
	const want = "a: LB0401 method: the pods are kube-proxy's to choose, and all that it sees of clients is a node's address; " +
		"add upstream: endpoints"
	if got := one(t, w, can); got != want {
		t.Errorf("%q", got)
	}
	if got := one(t, w, everything()); got != "" {
		t.Errorf("a backend that can: %s", got)
	}
	w.LoadBalancer.Listeners[0].Options.Upstream.Endpoints = true
	if got := one(t, w, can); got != "" {
		t.Errorf("with endpoints: %s", got)
	}
}

// Retries that nobody has asked for are no fault.
func TestRetriesByDefault(t *testing.T) {
	w := wish("a", 1)
	w.Fields = places()
	w.Fields.Retries, w.LoadBalancer.Listeners[0].Options.Retries = "", 2
	if got := one(t, w, bare()); got != "" {
		t.Errorf("%q", got)
	}
}

// A backend that can do everything has every capability.
func TestEverything(t *testing.T) {
	eachLeaf(reflect.TypeFor[lb.Capabilities](), nil, func(name string, index []int) {
		if reflect.ValueOf(everything()).FieldByIndex(index).IsZero() {
			t.Errorf("%s is not among everything", name)
		}
	})
}

// places returns fields that all have a name.
func places() lb.Fields {
	var at lb.Fields
	eachLeaf(reflect.TypeFor[lb.Fields](), nil, func(name string, index []int) {
		reflect.ValueOf(&at).Elem().FieldByIndex(index).SetString(strings.ToLower(name))
	})
	return at
}

// eachLeaf visits the fields of a struct and of the structs in it.
func eachLeaf(typ reflect.Type, at []int, visit func(name string, index []int)) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		index := append(append([]int{}, at...), i)
		if f.Type.Kind() == reflect.Struct {
			eachLeaf(f.Type, index, visit)
			continue
		}
		visit(f.Name, index)
	}
}

// fill sets a value that asks for something.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("x")
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Uint16:
		v.SetUint(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	default:
		v.SetInt(1)
	}
}
