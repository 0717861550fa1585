package configmap

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// written writes down what the first listener's routes are, one a line.
func written(l lb.Listener) string {
	lines := []string{fmt.Sprintf("%d/%s", l.Port, l.Protocol)}
	for _, r := range l.Routes {
		line := r.Host + r.Path
		if r.Exact {
			line += "$"
		}
		for _, t := range r.Targets() {
			line += fmt.Sprintf(" %s*%d", t.Service, t.Weight)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}

// TestRoutes has values of routes and what comes of them.
func TestRoutes(t *testing.T) {
	for _, tc := range []struct {
		name string
		keys []string
		want string
	}{
		{"alone", []string{KeyService, "", KeyRoutes, "host=Tea.Example.com path=/menu service=web"},
			"80/HTTP\ntea.example.com/menu default/web:80*0"},
		{"beside the Service", []string{KeyHost, "a.b", KeyRoutes, "\n  path=/two/\tservice=two:http \r\n\n"},
			"80/HTTP\n/two/ default/two:80*0\na.b default/web:80*0"},
		{"split", []string{KeyBindPort, "8080", KeyService, "",
			KeyRoutes, "path=/ service=web weight=90 service=other/allowed:80 weight=10 service=two:443"},
			"8080/HTTP\n/ default/two:443*1 default/web:80*90 other/allowed:80*10"},
		{"none for one of them", []string{KeyService, "", KeyRoutes, "path=/ service=web weight=0 service=six"},
			"80/HTTP\n/ default/six:80*1 default/web:80*0"},
		{"exact beside prefix", []string{KeyService, "",
			KeyRoutes, "path=/a service=web\npath=/a path-type=Exact service=six\nhost=*.a.b service=web"},
			"80/HTTP\n/a default/web:80*0\n/a$ default/six:80*0\n*.a.b default/web:80*0"},
		{"exact key", []string{KeyPath, "/a", KeyPathType, "Exact"}, "80/HTTP\n/a$ default/web:80*0"},
		{"passthrough", []string{KeyHost, "a.b", KeyPath, "/x", KeyPorts, "443/TLS-PASSTHROUGH, 8080/HTTP",
			KeyRoutes, "host=*.b service=six\nhost=c path=/y service=six"}, "443/TLS-PASSTHROUGH\n*.b default/six:80*0\n" +
			"a.b default/web:80*0"},
		{"passthrough alone", []string{KeyService, "", KeyProtocol, "tls-passthrough", KeyRoutes, "host=a service=two:https"},
			"443/TLS-PASSTHROUGH\na default/two:443*0"},
		{"a TCP port split", []string{KeyService, "", KeyProtocol, "TCP", KeyBindPort, "5432",
			KeyRoutes, "service=web weight=3 service=six"}, "5432/TCP\ndefault/six:80*1 default/web:80*3"},
		{"a port without a word", []string{KeyService, "", KeyRoutes, "service=two:https"}, "443/TCP\ndefault/two:443*0"},
		{"for the Service's own port", []string{KeyPath, "/", KeyRoutes, "path=/a port=80 service=six"},
			"80/HTTP\n/ default/web:80*0\n/a default/six:80*0"},
		{"for the Service's own port of TCP", []string{KeyRoutes, "port=80 service=six"}, "80/TCP\ndefault/six:80*0"},
		{"for the port that HTTP has by itself", []string{KeyService, "", KeyRoutes, "path=/a port=80 service=six"},
			"80/HTTP\n/a default/six:80*0"},
		{"a TCP port of its own", []string{KeyPorts, "70/TCP,80/HTTP", KeyRoutes, "port=70 service=two:https"},
			"70/TCP\ndefault/two:443*0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := Parse(object(tc.keys...), cluster())
			if len(w.Findings) > 0 {
				t.Fatal(texts(w.Findings))
			}
			if got := written(w.LoadBalancer.Listeners[0]); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// A route with a port is for that port only, one without for every HTTP port.
func TestRoutesOfPorts(t *testing.T) {
	w := Parse(object(KeyPorts, "80/HTTP, 8080/HTTP, 70/TCP", KeyRoutes, "path=/a service=six\n"+
		"path=/b port=8080 service=six"), cluster())
	var got []string
	for _, l := range w.LoadBalancer.Listeners {
		got = append(got, written(l))
	}
	want := "70/TCP\ndefault/web:80*0 80/HTTP\ndefault/web:80*0\n/a default/six:80*0 8080/HTTP\ndefault/web:80*0\n" +
		"/a default/six:80*0\n/b default/six:80*0"
	if strings.Join(got, " ") != want {
		t.Errorf("got\n%s\nwant\n%s\n%s", strings.Join(got, " "), want, texts(w.Findings))
	}
}

// TestRouteFindings has what can be wrong with routes.
func TestRouteFindings(t *testing.T) {
	long := strings.Repeat("service=a ", 17)
	for _, tc := range []struct {
		name, routes string
		keys         []string
		want         string
	}{
		{"no service", "path=/", nil, `LB0104 data[routes]: "path=/" leads nowhere; add service=NAME`},
		{"no pair", "/menu tea", nil, `LB0104 data[routes]: "/menu tea": "/menu"; give name=value, each name but service once`},
		{"no value", "path= service=a", nil,
			`LB0104 data[routes]: "path= service=a": "path="; give name=value, each name but service once`},
		{"a name twice", "path=/a path=/b service=a", nil,
			`LB0104 data[routes]: "path=/a path=/b service=a": "path=/b"; give name=value, each name but service once`},
		{"unknown name", "service=web snippet=x", nil, `LB0104 data[routes]: "service=web snippet=x": a route has host, ` +
			`path, path-type, rewrite, port, service and weight, not "snippet"`},
		{"weight before service", "weight=1 service=web", nil,
			`LB0104 data[routes]: weight "1" is not a number from 0 to 1000 after its service`},
		{"weight too big", "service=web weight=1001", nil,
			`LB0104 data[routes]: weight "1001" is not a number from 0 to 1000 after its service`},
		{"weights all zero", "path=/ service=web weight=0 service=six weight=0", nil, `LB0104 data[routes]: "path=/ ` +
			`service=web weight=0 service=six weight=0": all weights are 0; give one Service at least 1`},
		{"weights all zero, one twice", "path=/ service=web weight=0 weight=0 service=six weight=0", nil,
			`LB0104 data[routes]: "path=/ service=web weight=0 weight=0 service=six weight=0": "weight=0"; give a Service ` +
				`one weight`},
		{"the only weight zero", "path=/ service=web weight=0", nil, `LB0104 data[routes]: "path=/ service=web weight=0": ` +
			`all weights are 0; give one Service at least 1`},
		{"sprawling", sprawling(), nil, `LB0104 data[routes]: a route of every host is one of each host that leaves room ` +
			`for it, and one of each port: more than 2000 in all; have fewer of them, or give the hosts a route of path / of ` +
			`their own`},
		{"too many Services", long, nil, `LB0104 data[routes]: "` + long[:64] + `"… has 17 Services; give at most 16`},
		{"type without path", "path-type=Exact service=web", nil,
			`LB0104 data[routes]: "path-type=Exact service=web": path-type needs a path`},
		{"host", "host=a_b service=web", nil, `LB0104 data[routes]: "a_b" is not a DNS name; give letters, digits and ` +
			`dashes in parts separated by dots, without a port; the first part may be *`},
		{"path", "path=menu service=web", nil, `LB0104 data[routes]: "menu" is not a path; it must begin with "/"`},
		{"port", "port=0 service=web", nil, `LB0103 data[routes]: "0" is not a port; give a number from 1 to 65535`},
		{"service", "service=A/b", nil,
			`LB0104 data[routes]: "A/b" is not a Service; give NAME, NAME:PORT or NAMESPACE/NAME:PORT`},
		{"service's port", "service=web:a..b", nil,
			`LB0103 data[routes]: "a..b" is neither a port number nor a port's name`},
		{"too many", strings.Repeat("service=web\n", 257), nil, `LB0104 data[routes]: 257 routes; give at most 256`},
		{"control character", "path=/\x00 service=web", nil, `LB0107 data[routes]: the value "path=/\x00 service=web" ` +
			`holds the invisible or control character U+0000 at byte 6; remove it`},
		{"no such Service", "path=/ service=nowhere", nil,
			`LB0201 data[routes]: there is no Service default/nowhere; create it or correct the name`},
		{"foreign", "path=/ service=other/private", nil, `LB0204 data[routes]: Service other/private does not exist or ` +
			`does not allow namespace "default"; its owner may annotate it with kubectl-lb.io/allow-from-namespaces: "default"`},
		{"ambiguous", "path=/ service=two", nil,
			`LB0105 data[routes]: Service default/two has several ports (80 "http", 443 "https"); give one of them`},
		{"no such port", "path=/ service=two:81", nil,
			`LB0106 data[routes]: Service default/two has no port "81"; its ports are 80 "http", 443 "https"`},
		{"headless", "path=/ service=headless", nil,
			`LB0203 data[routes]: Service default/headless is headless; use one with a cluster IP, or set upstream: endpoints`},
		{"the same twice", "path=/a service=web\npath=/a/ service=six", nil,
			`LB0108 data[routes]: port 80 has two routes for host "" and path "/a/"; remove one`},
		{"for no port", "path=/a port=81 service=web", []string{KeyService, "web", KeyPath, "/"},
			`LB0108 data[routes]: "path=/a port=81 service=web" is for no port of the load balancer; routes need a port of ` +
				`protocol HTTP or TLS-PASSTHROUGH`},
		{"for TCP", "path=/a service=web", []string{KeyProtocol, "TCP", KeyService, "web"},
			`LB0108 data[routes]: "path=/a service=web" is for no port of the load balancer; routes need a port of ` +
				`protocol HTTP or TLS-PASSTHROUGH`},
		{"path at TCP", "path=/a port=70 service=web", []string{KeyPorts, "70/TCP", KeyService, "web"},
			`LB0108 data[routes]: port 70 of protocol TCP takes one route, without host and path`},
		{"path at passthrough", "path=/a port=70 service=web", []string{KeyPorts, "70/TLS-PASSTHROUGH"},
			`LB0108 data[routes]: port 70 of protocol TLS-PASSTHROUGH sees no paths; leave path and rewrite out`},
		{"only paths at passthrough", "path=/a service=web", []string{KeyPorts, "70/TLS-PASSTHROUGH"},
			`LB0102 data[target-service-name]: nothing says where port 70 leads; add target-service-name, or a route for it ` +
				`to routes`},
		{"two at TCP", "service=web\nservice=six", []string{KeyPorts, "70/TCP"},
			`LB0108 data[routes]: port 70 of protocol TCP takes one route, without host and path`},
		{"nothing for a port", "path=/a service=web", []string{KeyPorts, "80/HTTP,70/TCP"},
			`LB0102 data[target-service-name]: nothing says where port 70 leads; add target-service-name, or a route for it ` +
				`to routes`},
		{"target-port of nothing", "path=/a service=web", []string{KeyTargetPort, "80"}, `LB0102 data[target-service-name]: ` +
			`target-port names a port of the Service, but no Service is named; add target-service-name or name the port in routes`},
		{"host of nothing", "path=/a service=web", []string{KeyHost, "a.b"},
			`LB0108 data[host]: the key is about target-service-name, which is not there; put it into routes`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			keys := append([]string{KeyService, "", KeyRoutes, tc.routes}, tc.keys...)
			w := Parse(object(keys...), cluster())
			if got := texts(w.Findings); got != tc.want || w.LoadBalancer.Listeners != nil {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// sprawling has 128 hosts that leave room for 128 routes of every host.
func sprawling() string {
	var b strings.Builder
	for i := range 128 {
		fmt.Fprintf(&b, "host=h%d path=/own service=web\npath=/p%d service=web\n", i, i)
	}
	return b.String()
}

// Without a cluster nobody knows which ports a Service has, so no route is for none of them.
func TestPortsOfRoutesWithoutServices(t *testing.T) {
	for _, keys := range [][]string{
		{KeyRoutes, "port=8080 service=six"}, {KeyPath, "/", KeyRoutes, "path=/a port=8080 service=six"},
		{KeyTargetPort, "http", KeyPath, "/", KeyRoutes, "path=/a port=8080 service=six"},
	} {
		if w := Parse(object(keys...), nil); len(w.Findings) > 0 {
			t.Errorf("%q: %s", keys, texts(w.Findings))
		}
	}
	w := Parse(object(KeyTargetPort, "80", KeyPath, "/", KeyRoutes, "path=/a port=8080 service=six"), nil)
	if got := texts(w.Findings); !strings.HasPrefix(got, "LB0108 data[routes]") {
		t.Errorf("a port that the object names: %q", got)
	}
}

// Without a cluster, routes are judged by themselves.
func TestRoutesWithoutServices(t *testing.T) {
	w := Parse(object(KeyService, "", KeyRoutes, "path=/ service=a:80 service=x/b"), nil)
	if len(w.Findings) > 0 {
		t.Fatal(texts(w.Findings))
	}
	if got, want := written(w.LoadBalancer.Listeners[0]), "80/HTTP\n/ default/a:80*1 x/b:0*1"; got != want {
		t.Errorf("got %s", got)
	}
}
