package configmap

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// FuzzParse gives one key any value and adds any key. Nothing but harmless text may leave the package, in the model as
// in the messages.
func FuzzParse(f *testing.F) {
	for i, value := range []string{
		"", "80", "a.example.com", "/menu", "true", "10.0.0.1,fd00::1", "IPv4,IPv6", "\x00", "a\nb", "${x}", "*.a", "gold",
		"/a;}server{", "ÄÖ\u202e", "1e3", "::ffff:1.2.3.4", "-1", "80:http/HTTP,53/UDP", "path=/a service=web:80 weight=2 service=two:443\nhost=*.b service=six",
		"host=a\x00 service=web", "port=80 service=web", "30s", "http", "\xff\xfe", strings.Repeat("x", 5000), "/%00",
		"default", "endpoints", "cookie", "least-connections",
	} {
		f.Add(i, value, "bind_port")
		f.Add(i+7, value, value)
	}
	harmless := regexp.MustCompile(`^[A-Za-z0-9._~+,=:@/-]*$`)
	f.Fuzz(func(t *testing.T, which int, value, other string) {
		keys := Keys()
		key := keys[((which%len(keys))+len(keys))%len(keys)].Name
		w := Parse(object(other, value, key, value), cluster())
		for _, finding := range w.Findings {
			text := finding.String()
			if i := strings.IndexFunc(text, func(c rune) bool { return !strconv.IsPrint(c) }); i >= 0 || len(text) > 2000 {
				t.Errorf("unsafe finding %q", text)
			}
		}
		if w.Failed() == (w.LoadBalancer.Listeners != nil) {
			t.Errorf("failed %v, listeners %v", w.Failed(), w.LoadBalancer.Listeners)
		}
		for _, l := range w.LoadBalancer.Listeners {
			if l.Port == 0 || len(l.Routes) == 0 {
				t.Errorf("incomplete %+v", l)
			}
			for _, r := range l.Routes {
				host := strings.TrimPrefix(r.Host, "*.")
				if !harmless.MatchString(host) || !harmless.MatchString(r.Path) || len(r.Target.Endpoints) > 1 ||
					l.Options.Upstream.Endpoints != (len(r.Target.Endpoints) == 0) {
					t.Errorf("unsafe %+v", r)
				}
			}
		}
		if !harmless.MatchString(w.Address.Pool) {
			t.Errorf("unsafe pool %q", w.Address.Pool)
		}
		for _, as := range [][]netip.Addr{w.Address.Recorded, w.Address.Requested} {
			if len(as) > 2 || len(as) == 2 && lb.FamilyOf(as[0]) == lb.FamilyOf(as[1]) {
				t.Errorf("addresses %v", as)
			}
		}
	})
}
