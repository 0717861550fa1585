package lb

import (
	"encoding/json"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// farWest is the time zone that takes the most bytes.
var farWest = time.FixedZone("", -23*3600-59*60)

// swell fills everything that can be reached: texts of that many bytes that JSON makes the most of, lists of that many
// parts, and what takes the most bytes of all else.
func swell(v reflect.Value, text, parts int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		swell(v.Elem(), text, parts)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), parts, parts))
		for i := range parts {
			swell(v.Index(i), text, parts)
		}
	case reflect.Struct:
		long := netip.MustParseAddr("1111:1111:1111:1111:1111:1111:1111:1111")
		switch v.Interface().(type) {
		case time.Time:
			v.Set(reflect.ValueOf(time.Date(9999, 12, 31, 23, 59, 59, 999999999, farWest)))
		case netip.Addr:
			v.Set(reflect.ValueOf(long.WithZone(strings.Repeat("<", text))))
		case netip.AddrPort:
			v.Set(reflect.ValueOf(netip.AddrPortFrom(long.WithZone(strings.Repeat("<", text)), 65535)))
		case netip.Prefix:
			v.Set(reflect.ValueOf(netip.PrefixFrom(long, 128)))
		default:
			for _, f := range v.Fields() {
				swell(f, text, parts)
			}
		}
	case reflect.String:
		v.SetString(strings.Repeat("<", text))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(math.MinInt64)
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(math.MaxUint64 >> (64 - v.Type().Bits()))
	default:
		panic("a field of kind " + v.Kind().String())
	}
}

// TestSizeBound: however large the parts of a load balancer are, and however many, it takes no more than its bound. A
// field that somebody forgets in the bound is found by its text.
func TestSizeBound(t *testing.T) {
	for _, text := range []int{0, 1, 3000} {
		for parts := range 5 {
			var l LoadBalancer
			swell(reflect.ValueOf(&l).Elem(), text, parts)
			data, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			if bound := l.SizeBound(); bound < len(data) {
				t.Errorf("%d parts, texts of %d: %d bytes, and the bound is %d", parts, text, len(data), bound)
			}
		}
	}
	usual := sample()
	if bound := usual.SizeBound(); bound > 32<<10 {
		t.Errorf("the bound of a usual one is %d", bound)
	}
}
