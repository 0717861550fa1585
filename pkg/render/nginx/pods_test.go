package nginx_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/rendertest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// pods are options that go by endpoints.
func pods(m lb.Method, a lb.Affinity) lb.Options {
	return lb.Options{Retries: 2, Upstream: lb.Upstream{Endpoints: true, Method: m, Affinity: a}}
}

// podGoldens are the cases of upstreams of pods that have a directory below testdata.
func podGoldens() map[string]nginx.Input {
	web := func(paths ...string) (out []lb.Route) {
		for _, p := range paths {
			out = append(out, route("", p, "10.244.0.2:8080", "10.244.1.2:8080", "10.244.1.3:8081"))
		}
		return out
	}
	unsure := pods("", "")
	unsure.Retries = 0
	trusting := pods("", lb.Cookie)
	trusting.TrustedProxies = prefixes("10.0.0.0/8")
	moved := pods("", lb.Cookie)
	moved.HTTP.RedirectTo = 443
	apart := split(route("", "/apart", "10.244.0.2:80"), 3, "10.244.1.2:80", "10.244.1.3:80", "10.244.1.4:80")
	return map[string]nginx.Input{
		"pods": input(balancer("tea", []string{"10.0.0.30"},
			with(http(80, append(web("/"), apart)...), pods(lb.LeastConnections, "")),
			with(tcp(81, "10.244.0.2:7", "10.244.1.2:7"), pods(lb.SourceIPHash, "")),
			with(tcp(82, "10.244.0.2:7"), unsure),
			with(udp(53, "10.244.0.2:53", "10.244.1.2:53"), lb.Options{Upstream: lb.Upstream{Endpoints: true}}),
			with(http(83, route("", "/none")), pods("", "")),
			with(tcp(84), pods("", "")))),
		"pods-hash": input(balancer("cache", []string{"10.0.0.31", "fd00::31"},
			with(http(80, append(web("/"), apart)...), pods(lb.RequestHash, "")),
			with(passthrough(443, route("a.example.com", "", "[fd00:244::1]:443", "[fd00:244::2]:443")),
				pods("", lb.ClientIP)))),
		"pods-cookie": input(balancer("shop", []string{"10.0.0.32"},
			with(http(80, web("/")...), pods("", lb.Cookie)), with(http(81, web("/")...), trusting),
			with(http(82, web("/")...), moved))),
	}
}

func TestPodsGolden(t *testing.T) {
	for name, in := range podGoldens() {
		t.Run(name, func(t *testing.T) {
			res, err := nginx.Render(in)
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Refused) > 0 {
				t.Errorf("refused: %v", res.Refused)
			}
			rendertest.Golden(t, filepath.Join("testdata", name), res.Files, *update)
			accepted(t, res)
		})
	}
}

// A thousand pods behind one port fit, with every way to choose between them, also when they share with one other.
func TestThousandPods(t *testing.T) {
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("10.244.%d.%d:8080", i/250, i%250+1))
	}
	var lbs []lb.LoadBalancer
	for i, m := range lb.Methods() {
		lbs = append(lbs, balancer(fmt.Sprintf("big%d", i), []string{fmt.Sprintf("10.0.0.%d", 40+i)},
			with(http(80, route("", "", many...), split(route("", "/x", many...), 1000, "10.1.1.1:80")), pods(m, ""))))
	}
	lbs = append(lbs, balancer("bigtcp", []string{"10.0.0.50"}, with(tcp(80, many...), pods("", lb.ClientIP))))
	res, err := nginx.Render(input(lbs...))
	if err != nil || len(res.Refused) > 0 {
		t.Fatal(err, res.Refused)
	}
	accepted(t, res)
}

// What can't be is refused, and what is unknown never reaches a file.
func TestUpstreamRefused(t *testing.T) {
	grpc := pods("", lb.Cookie)
	grpc.HTTP.GRPC = true
	for name, s := range map[string]lb.Listener{
		"unknown method":        with(tcp(80, "10.0.0.1:80"), pods("least_conn; }", "")),
		"unknown affinity":      with(tcp(80, "10.0.0.1:80"), pods("", "$cookie_x")),
		"method of a service":   with(tcp(80, "10.0.0.1:80"), lb.Options{Upstream: lb.Upstream{Method: lb.LeastConnections}}),
		"affinity of a service": with(tcp(80, "10.0.0.1:80"), lb.Options{Upstream: lb.Upstream{Affinity: lb.ClientIP}}),
		"requests of TCP":       with(tcp(80, "10.0.0.1:80"), pods(lb.RequestHash, "")),
		"cookies of TCP":        with(tcp(80, "10.0.0.1:80"), pods("", lb.Cookie)),
		"cookies of gRPC":       with(http(80, route("", "", "10.0.0.1:80")), grpc),
	} {
		res, err := nginx.Render(input(balancer("bad", []string{"10.0.0.9"}, s)))
		if err != nil || len(res.Refused) != 1 || !strings.Contains(res.Refused[0].Field, "upstream") {
			t.Errorf("%s: %v, %v", name, err, res.Refused)
		}
	}
}

// FuzzUpstream spreads over any pods in any way: what is not refused is taken by nginx, and leaves a neighbour as it is.
func FuzzUpstream(f *testing.F) {
	for i, m := range append(lb.Methods(), "", "x") {
		for j, a := range append(lb.Affinities(), "", "y;") {
			f.Add(string(m), string(a), []string{"HTTP", "TCP", "UDP", "TLS-PASSTHROUGH"}[(i+j)%4], uint16(i*j), uint16(i*300), j)
		}
	}
	f.Fuzz(func(t *testing.T, method, affinity, protocol string, weight, many uint16, retries int) {
		var eps []string
		for i := range many % 1200 {
			eps = append(eps, fmt.Sprintf("10.%d.%d.1:8080", i/256, i%256))
		}
		r := split(route("", "", eps...), weight, "10.9.9.9:80")
		o := pods(lb.Method(method), lb.Affinity(affinity))
		o.Retries = retries
		l := balancer("pods", []string{"10.0.0.9"},
			with(lb.Listener{Port: 80, Protocol: lb.Protocol(protocol), Routes: []lb.Route{r}}, o))
		sound := balancer("sound", []string{"10.0.0.1"}, http(80, route("", "", "10.96.0.1:80")))
		alone, err := nginx.Render(input(sound))
		if err != nil {
			t.Fatal(err)
		}
		res, err := nginx.Render(input(l, sound))
		if err != nil {
			t.Fatal(err)
		}
		want, _ := alone.Files.Get("http/default_sound.conf")
		if got, _ := res.Files.Get("http/default_sound.conf"); !bytes.Equal(got, want) {
			t.Errorf("the neighbour's file became\n%s", got)
		}
		if f := res.Refused; len(f) == 0 || many%97 == 0 {
			accepted(t, res)
		}
	})
}
