package nodeconfig_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// featureless are the fields of a load balancer, with all that is in them, that a reader may do without: those that every
// reader has known from the first, and those whose absence changes nothing about who gets what.
func featureless() []string {
	return []string{
		"Origin", "VIPs", "Listeners.Port", "Listeners.Protocol",
		"Listeners.Routes.Host", "Listeners.Routes.Path", "Listeners.Routes.Target",
		"Listeners.Options.Timeouts", "Listeners.Options.Retries", "Listeners.Options.AccessLog",
		"Listeners.Options.Responses", "Listeners.Options.HTTP.Gzip", "Listeners.Options.Upstream",
		"Provider", "Cloud", // no daemon serves a cloud's load balancers
	}
}

// TestEveryFieldIsDecidedOn: a new field of the model either has a feature or is one that a reader may do without.
func TestEveryFieldIsDecidedOn(t *testing.T) {
	fields := 0
	eachField(reflect.TypeFor[lb.LoadBalancer](), "", func(l reflect.Value) reflect.Value { return l }, func(path string, set func(reflect.Value)) {
		fields++
		var l lb.LoadBalancer
		set(reflect.ValueOf(&l).Elem())
		got := nodeconfig.Requires(l)
		without := slices.ContainsFunc(featureless(), func(p string) bool { return path == p || strings.HasPrefix(path, p+".") })
		if without == (len(got) > 0) {
			t.Errorf("%s requires %v; decide whether a reader may do without it", path, got)
		}
	})
	if fields < 50 {
		t.Errorf("only %d fields were looked at", fields)
	}
}

// eachField calls f for every field that is no struct, pointer or slice of such, with what sets it alone. reach leads from a
// load balancer to a value of the type.
func eachField(typ reflect.Type, path string, reach func(reflect.Value) reflect.Value, f func(string, func(reflect.Value))) {
	inside := strings.Contains(typ.PkgPath(), "pkg/lb")
	switch {
	case typ.Kind() == reflect.Struct && inside:
		for i := range typ.NumField() {
			field := typ.Field(i)
			at := strings.TrimPrefix(path+"."+field.Name, ".")
			eachField(field.Type, at, func(l reflect.Value) reflect.Value { return reach(l).Field(i) }, f)
		}
	case typ.Kind() == reflect.Pointer:
		eachField(typ.Elem(), path, func(l reflect.Value) reflect.Value {
			p := reach(l)
			if p.IsNil() {
				p.Set(reflect.New(typ.Elem()))
			}
			return p.Elem()
		}, f)
	case typ.Kind() == reflect.Slice:
		eachField(typ.Elem(), path, func(l reflect.Value) reflect.Value {
			s := reach(l)
			if s.Len() == 0 {
				s.Set(reflect.MakeSlice(typ, 1, 1))
			}
			return s.Index(0)
		}, f)
	default:
		f(path, func(l reflect.Value) {
			switch v := reach(l); v.Kind() {
			case reflect.String:
				v.SetString("x")
			case reflect.Bool:
				v.SetBool(true)
			case reflect.Int, reflect.Int64:
				v.SetInt(1)
			case reflect.Uint16:
				v.SetUint(1)
			default: // an address or a time: that it is there is all that counts
			}
		})
	}
}

// TestRequires names what the richest load balancer needs, in order, once.
func TestRequires(t *testing.T) {
	l := sampleShard().LoadBalancers[0].LoadBalancer
	l.Listeners = append(l.Listeners, l.Listeners[0])
	want := []nodeconfig.Feature{
		"backend-tls", "client-auth", "exact-paths", "grpc", "headers", "limits", "proxy-protocol", "redirect", "rewrite",
		"share", "source-ranges", "tls", "trusted-proxies", "weights",
	}
	if diff := cmp.Diff(want, nodeconfig.Requires(l)); diff != "" {
		t.Error(diff)
	}
	if got := nodeconfig.Requires(lb.LoadBalancer{Listeners: []lb.Listener{{Port: 80, Protocol: lb.TCP}}}); got != nil {
		t.Errorf("a plain one requires %v", got)
	}
}

// TestUnread: what a reader does not know, and what was lost on the way, is what it must not serve.
func TestUnread(t *testing.T) {
	whole := sampleShard().LoadBalancers[0]
	for name, tt := range map[string]struct {
		change func(*nodeconfig.Entry)
		want   []nodeconfig.Feature
	}{
		"all of it":           {func(*nodeconfig.Entry) {}, nil},
		"nothing is required": {func(e *nodeconfig.Entry) { e.Requires = nil }, nil},
		"unknown": {func(e *nodeconfig.Entry) { e.Requires = append(e.Requires, "z", "quic", "z") },
			[]nodeconfig.Feature{"quic", "z"}},
		"lost": {func(e *nodeconfig.Entry) {
			e.LoadBalancer = e.Clone()
			e.Listeners[0].TLS = nil
		}, []nodeconfig.Feature{"client-auth", "tls"}},
		"more than required": {func(e *nodeconfig.Entry) { e.Requires = []nodeconfig.Feature{"tls"} }, nil},
	} {
		e := whole
		e.Requires = slices.Clone(e.Requires)
		tt.change(&e)
		if diff := cmp.Diff(tt.want, e.Unread()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
