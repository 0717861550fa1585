package certs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// shelf is a library of what is put into it.
type shelf struct {
	pairs   map[lb.Key]KeyPair
	bundles map[lb.Key]Bundle
	err     error
}

func (s shelf) KeyPair(_ context.Context, key lb.Key) (KeyPair, error) {
	if s.err != nil {
		return KeyPair{}, s.err
	}
	if p, ok := s.pairs[key]; ok {
		return p, nil
	}
	return KeyPair{}, NotFound()
}

func (s shelf) Bundle(_ context.Context, _ string, key lb.Key) (Bundle, error) {
	if b, ok := s.bundles[key]; ok {
		return b, nil
	}
	return Bundle{}, NotFound()
}

func pair(t *testing.T, o certtest.Options) KeyPair {
	t.Helper()
	p := certtest.Make(t, o)
	got, err := ParseKeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// wish wants certificates for hosts.
func wish(secrets []string, hosts ...string) lb.Wish {
	l := lb.Listener{Port: 443, Protocol: lb.HTTP, TLS: &lb.TLS{}}
	for _, s := range secrets {
		l.TLS.Certificates = append(l.TLS.Certificates, lb.Certificate{Secret: s})
	}
	for _, h := range hosts {
		l.Routes = append(l.Routes, lb.Route{Host: h})
	}
	w := lb.Wish{Fields: lb.Fields{Certificates: "data[tls-secret-name]", ClientCA: "data[tls-client-ca]", BackendTLS: "data[backend-tls-ca]"}}
	w.LoadBalancer.Origin.Key = lb.Key{Namespace: "ns", Name: "web"}
	w.LoadBalancer.Listeners = []lb.Listener{l}
	return w
}

func codes(fs []lb.Finding) (out []string) {
	for _, f := range fs {
		out = append(out, string(f.Code)+" "+f.Field)
	}
	return out
}

func TestResolve(t *testing.T) {
	now := time.Now()
	days := func(n int) time.Time { return now.AddDate(0, 0, n) }
	key := func(name string) lb.Key { return lb.Key{Namespace: "ns", Name: name} }
	library := shelf{pairs: map[lb.Key]KeyPair{
		key("good"):                          pair(t, certtest.Options{Names: []string{"a.example.com", "*.example.com"}, From: days(-1), To: days(90)}),
		key("soon"):                          pair(t, certtest.Options{Names: []string{"b.c"}, From: days(-80), To: days(10)}),
		key("brief"):                         pair(t, certtest.Options{From: days(-2), To: days(6)}),
		key("old"):                           pair(t, certtest.Options{From: days(-80), To: days(-1)}),
		key("future"):                        pair(t, certtest.Options{From: days(1), To: days(90)}),
		{Namespace: "other", Name: "theirs"}: pair(t, certtest.Options{}),
		key("many"):                          pair(t, certtest.Options{Names: manyNames(maxNames + 44), To: days(365)}),
		key("full"):                          pair(t, certtest.Options{Names: manyNames(maxNames), To: days(365)}),
	}, bundles: map[lb.Key]Bundle{key("ca"): {Digest: "d"}}}
	const at = "data[tls-secret-name]"
	for name, tt := range map[string]struct {
		wish lb.Wish
		want []string
	}{
		"good":        {wish([]string{"good"}, "a.example.com", "x.example.com", "*.example.com", ""), nil},
		"brief":       {wish([]string{"brief"}), nil},
		"soon":        {wish([]string{"soon"}), []string{"LB0506 " + at}},
		"old":         {wish([]string{"good", "old"}), []string{"LB0505 " + at}},
		"future":      {wish([]string{"future"}), []string{"LB0505 " + at}},
		"missing":     {wish([]string{"none", "none"}), []string{"LB0501 " + at}},
		"other's":     {wish([]string{"theirs"}), []string{"LB0501 " + at}},
		"uncovered":   {wish([]string{"good"}, "example.com", "x.y.example.com", "*.y.example.com"), []string{"LB0507 " + at, "LB0507 " + at, "LB0507 " + at}},
		"full":        {wish([]string{"full"}, "n255.example.com"), nil},
		"many":        {wish([]string{"many", "many"}, "n255.example.com"), []string{"LB0509 " + at}},
		"cut":         {wish([]string{"many"}, "n299.example.com"), []string{"LB0509 " + at, "LB0507 " + at}},
		"by a second": {wish([]string{"good", "soon"}, "b.c"), []string{"LB0506 " + at}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Resolve(t.Context(), &tt.wish, library, now); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, codes(tt.wish.Findings)); diff != "" {
				t.Errorf("%s\n%v", diff, tt.wish.Findings)
			}
			for _, f := range tt.wish.Findings {
				if strings.Contains(f.Message, "PRIVATE") {
					t.Errorf("%v", f)
				}
			}
		})
	}
}

// manyNames are n000.example.com and so on.
func manyNames(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("n%03d.example.com", i))
	}
	return out
}

// What is cut from a certificate's names is said, and in which order it was cut.
func TestOmittedNames(t *testing.T) {
	library := shelf{pairs: map[lb.Key]KeyPair{{Namespace: "ns", Name: "s"}: pair(t, certtest.Options{Names: manyNames(300)})}}
	w := wish([]string{"s"})
	if err := Resolve(t.Context(), &w, library, time.Now()); err != nil {
		t.Fatal(err)
	}
	const want = `LB0509 data[tls-secret-name]: Secret ns/s has a certificate for 300 names, of which the first 256 by the ` +
		`alphabet count, up to "n255.example.com"; put the others into certificates of their own`
	if len(w.Findings) != 1 || w.Findings[0].String() != want || w.Findings[0].Severity() != lb.SeverityWarning {
		t.Errorf("%v", w.Findings)
	}
	if n := len(w.LoadBalancer.Certificates()[0].Names); n != 256 {
		t.Errorf("%d names", n)
	}
}

func TestResolveFills(t *testing.T) {
	good := pair(t, certtest.Options{Names: []string{"a.b"}})
	library := shelf{pairs: map[lb.Key]KeyPair{{Namespace: "ns", Name: "s"}: good},
		bundles: map[lb.Key]Bundle{{Namespace: "ns", Name: "ca"}: {Digest: "d"}}}
	w := wish([]string{"s"})
	l := &w.LoadBalancer.Listeners[0]
	l.TLS.Clients = &lb.ClientAuth{CA: lb.CABundle{Kind: lb.KindConfigMap, Name: "ca"}}
	l.Options.BackendTLS = &lb.BackendTLS{CA: lb.CABundle{Kind: lb.KindSecret, Name: "ca"}}
	if err := Resolve(t.Context(), &w, library, time.Now()); err != nil || len(w.Findings) > 0 {
		t.Fatal(err, w.Findings)
	}
	c := w.LoadBalancer.Certificates()[0]
	if c.Material.Digest != good.Digest || !strings.HasPrefix(c.Material.Name, "lb-tls-") || c.Expires != good.NotAfter ||
		cmp.Diff(c.Names, []string{"a.b"}) != "" {
		t.Errorf("%+v", c)
	}
	bundles := w.LoadBalancer.CABundles()
	if len(bundles) != 2 || bundles[0].Material.Digest != "d" || bundles[0].Material.Name == bundles[1].Material.Name {
		t.Errorf("%+v", bundles)
	}
	l.TLS.Clients.CA.Name, l.Options.BackendTLS.CA.Name = "x", "y"
	if err := Resolve(t.Context(), &w, library, time.Now()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"LB0501 data[tls-client-ca]", "LB0501 data[backend-tls-ca]"}, codes(w.Findings)); diff != "" {
		t.Error(diff)
	}
	// What is not the user's fault is none of his findings.
	w = wish([]string{"s"})
	if err := Resolve(t.Context(), &w, shelf{err: errors.New("no answer")}, time.Now()); err == nil || len(w.Findings) > 0 {
		t.Errorf("%v, %v", err, w.Findings)
	}
}
