package lb

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// eachLeaf calls visit for everything that can be reached and is written, each with how to change it.
func eachLeaf(v reflect.Value, path string, visit func(path string, change func())) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			visit(path, func() { v.SetZero() })
			eachLeaf(v.Elem(), path, visit)
		}
	case reflect.Slice:
		visit(path+"[:0]", func() { v.Set(v.Slice(0, 0)) })
		visit(path+"[:n-1]", func() { v.Set(v.Slice(0, v.Len()-1)) })
		for i := range v.Len() {
			eachLeaf(v.Index(i), path+"[]", visit)
		}
	case reflect.Struct:
		switch v.Interface().(type) {
		case time.Time, netip.Addr, netip.AddrPort, netip.Prefix:
			visit(path, func() { v.SetZero() })
			return
		}
		for field, f := range v.Fields() {
			if field.Tag.Get("json") != "-" {
				eachLeaf(f, path+"."+field.Name, visit)
			}
		}
	default:
		visit(path, func() { v.SetZero() })
	}
}

// TestSameText changes everything that is written, one thing at a time, so that a field that somebody forgets is found.
func TestSameText(t *testing.T) {
	full := func() LoadBalancer {
		var l LoadBalancer
		swell(reflect.ValueOf(&l).Elem(), 1, 2)
		return l
	}
	var paths []string
	l := full()
	eachLeaf(reflect.ValueOf(&l).Elem(), "", func(path string, _ func()) { paths = append(paths, path) })
	if len(paths) < 250 {
		t.Errorf("only %d fields; the test is blind", len(paths))
	}
	for n, path := range paths {
		a, b, at := full(), full(), 0
		if !a.SameText(&b) {
			t.Fatal("two that are the same are not")
		}
		var do func()
		eachLeaf(reflect.ValueOf(&b).Elem(), "", func(_ string, change func()) {
			if at == n {
				do = change
			}
			at++
		})
		do()
		x, errX := json.Marshal(a)
		y, errY := json.Marshal(b)
		if errX != nil || errY != nil || bytes.Equal(x, y) {
			t.Fatalf("%s: the change cannot be seen: %v, %v", path, errX, errY)
		}
		if a.SameText(&b) || b.SameText(&a) {
			t.Errorf("%s: a change is not seen", path)
		}
	}
	var none, empty LoadBalancer
	empty.VIPs = []netip.Addr{}
	if none.SameText(&empty) {
		t.Error("none and an empty list are the same")
	}
	a, b := full(), full()
	b.Provider, b.Cloud, b.Listeners[0].Routes[0].Target.Check = "", Cloud{}, Check{}
	if !a.SameText(&b) {
		t.Error("what is in no document counts")
	}
}
