package configmap

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// BenchmarkWishes reads many ConfigMaps, as every pass of the controller does.
func BenchmarkWishes(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var c reader
			for i := range n {
				cm := object("protocol", "HTTP", "ip-families", "IPv6", "host", fmt.Sprintf("host-%d.example.com", i),
					"bind-ip", fmt.Sprintf("fd00:10::%x", i), "status", "SUCCESS")
				cm.Name, cm.UID = fmt.Sprintf("many-%05d", i), types.UID(fmt.Sprint("uid-", i))
				cm.Data[KeyService] = fmt.Sprintf("tea-%05d", i)
				c.configMaps = append(c.configMaps, cm)
				c.services = append(c.services, service("default", cm.Data[KeyService], "10.96.0.1", "http:80"))
			}
			s := New(c)
			b.ReportAllocs()
			for b.Loop() {
				wishes, err := s.Wishes(b.Context())
				if err != nil || len(wishes) != n || wishes[n-1].Failed() {
					b.Fatalf("%d wishes, %v", len(wishes), err)
				}
			}
		})
	}
}
