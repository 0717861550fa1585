package e2e

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// badL7 is a fault in the keys of layer 7: what is added to an object that was good, and the finding that it gets.
type badL7 struct {
	name string
	keys []string
	// finding is its code and place, words are in it, too.
	finding, words string
}

func badL7s() []badL7 {
	long := strings.Repeat("x", 100<<10)
	return []badL7{
		{"host that is no DNS name", []string{"host: tea_shop.example.com"}, "LB0104 data[host]", "DNS name"},
		{"host with a port", []string{"host: tea.example.com:80"}, "LB0104 data[host]", "without a port"},
		{"duplicate host and path", []string{"host: tea.example.com", "path: /menu",
			"routes: host=TEA.example.com path=/menu/ service=tea"}, "LB0108 data[routes]", "tea.example.com"},
		{"duplicate among routes", []string{`routes: "path=/menu service=tea\npath=/menu service=echo:80"`},
			"LB0108 data[routes]", "/menu"},
		{"two protocols at one port", []string{"ports: 80:http/HTTP, 80:tcp/TCP"}, "LB0108 data[ports]", "port 80"},
		{"HTTP beside passthrough", []string{"ports: 80:http/HTTP, 80:http/TLS-PASSTHROUGH"}, "LB0108 data[ports]", "port 80"},
		{"unknown protocol", []string{"protocol: QUIC"}, "LB0104 data[protocol]", "QUIC"},
		{"unknown protocol of a port", []string{"ports: 80/QUIC"}, "LB0104 data[ports]", "QUIC"},
		{"path without a slash", []string{"path: menu"}, "LB0104 data[path]", "begin with"},
		{"rewrite without a slash", []string{"path: /menu", "path-rewrite: v2"}, "LB0104 data[path-rewrite]", "begin with"},
		{"header name with CR and LF", []string{`remove-request-headers: "X-A\r\nX-B"`},
			"LB0107 data[remove-request-headers]", "U+000D"},
		{"header that CR and LF split", []string{`set-request-headers: "X-A: a\r\nX B: b"`},
			"LB0104 data[set-request-headers]", "X B"},
		{"illegal character in a header's name", []string{`set-response-headers: "X(A): a"`},
			"LB0104 data[set-response-headers]", "X(A)"},
		{"control character in a header's value", []string{`set-response-headers: "X-A: a\x01"`},
			"LB0107 data[set-response-headers]", "U+0001"},
		{"header of the load balancer's own", []string{`set-request-headers: "Connection: close"`},
			"LB0104 data[set-request-headers]", "Connection"},
		{"request without Host", []string{"remove-request-headers: Host"}, "LB0104 data[remove-request-headers]", "Host"},
		{"weights all zero", []string{"routes: path=/split service=echo:80 weight=0 service=tea weight=0"},
			"LB0104 data[routes]", "weights are 0"},
		{"a value of 100 KiB", []string{"path: /" + long}, "LB0107 data[path]", "4096 bytes"},
		{"lines of 100 KiB", []string{"routes: " + long}, "LB0107 data[routes]", "65536 bytes"},
		{"control character in a host", []string{`host: "tea.example.com\x07"`}, "LB0107 data[host]", "U+0007"},
		{"control character in a path", []string{`path: "/a\x1b[31m"`}, "LB0107 data[path]", "U+001B"},
		{"line break in a path", []string{`path: "/a\nreturn 200"`}, "LB0107 data[path]", "U+000A"},
		{"control character in a route", []string{`routes: "path=/a\0 service=tea"`}, "LB0107 data[routes]", "U+0000"},
		{"nginx in a path", []string{`path: "/a;}server{listen 81;"`}, "LB0104 data[path]", "letters, digits"},
		{"a range that is none", []string{"allowed-source-ranges: everywhere"}, "LB0104 data[allowed-source-ranges]", "everywhere"},
		{"PROXY protocol from anybody", []string{"proxy-protocol: accept"}, "LB0108 data[proxy-protocol]", "trusted-proxies"},
		{"an option that no port can have", []string{`udp-responses: "1"`}, "LB0108 data[udp-responses]", "UDP"},
		{"hosts that multiply routes", []string{"routes: \"" + sprawlingRoutes() + `"`}, "LB0104 data[routes]", "2000"},
	}
}

// sprawlingRoutes are 128 hosts that leave room for 128 routes of every host.
func sprawlingRoutes() string {
	var b strings.Builder
	for i := range 128 {
		n := string(rune('a'+i/26)) + string(rune('a'+i%26))
		b.WriteString(`host=` + n + ` path=/own service=tea\npath=/` + n + ` service=tea\n`)
	}
	return b.String()
}

// TestBadL7: every fault of layer 7 gets its numbered finding on the object and as an Event; neither a neighbour nor the
// object's own last good version loses a probe, and the finding clears when the fault is gone.
func TestBadL7(t *testing.T) {
	echo(t)
	neighbour := probe(t, serve(t, "l7-neighbour", "target-service-name: echo", "ports: 80:http/HTTP"))
	good := []string{"target-service-name: echo", "ports: 80:http/HTTP"}
	// Several objects, for Events about one are rationed.
	const share = 7
	probes := []*rig.Probe{neighbour}
	for i, c := range badL7s() {
		name := fmt.Sprintf("l7-victim-%d", i/share)
		if i%share == 0 {
			probes = append(probes, probe(t, serve(t, name, good...)))
		}
		t.Run(c.name, func(t *testing.T) { checkBadL7(t, name, good, c) })
	}
	for _, p := range probes {
		lossless(t, p.Stop())
	}
}

func checkBadL7(t *testing.T, name string, good []string, c badL7) {
	keys := good
	if strings.HasPrefix(c.keys[0], "ports:") || strings.HasPrefix(c.keys[0], "protocol:") {
		keys = good[:1]
	}
	must(t, shared.Apply(t.Context(), loadBalancer(name, slices.Concat(keys, c.keys)...)))
	data, err := shared.WaitStatus(t.Context(), "default", name, "ERROR : "+c.finding, 30*time.Second)
	must(t, err)
	if !strings.Contains(data["status"], c.words) || len(data["status"]) > 1000 || data["bind-ip"] == "" {
		t.Errorf("bind-ip %q, status %q, which should speak of %q", data["bind-ip"], data["status"], c.words)
	}
	eventOf(t, name, c.finding, c.words)
	must(t, shared.Apply(t.Context(), loadBalancer(name, good...)))
	_, err = shared.WaitServing(t.Context(), "default", name)
	must(t, err)
}

// eventOf waits for an Event with a finding about an object.
func eventOf(t *testing.T, name, finding, words string) {
	t.Helper()
	must(t, rig.Wait(t.Context(), 30*time.Second, "an Event with "+finding, func() (bool, string) {
		out, err := shared.MustKubectl(t.Context(), "", "get", "events", "-o",
			`jsonpath={range .items[?(@.involvedObject.name=="`+name+`")]}{.type} {.message}{"\n"}{end}`)
		if err != nil {
			return false, err.Error()
		}
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "Warning "+finding) && strings.Contains(line, words) {
				return true, ""
			}
		}
		return false, out
	}))
}

// TestNoEndpoints: where a Service has no pods clients of HTTP read 503 on a plain page and not a reset, those of TCP
// are let go at once, and a neighbour loses nothing.
func TestNoEndpoints(t *testing.T) {
	echo(t)
	neighbour := probe(t, serve(t, "endless-neighbour", "target-service-name: echo", "ports: 80:http/HTTP"))
	apply(t, "apiVersion: v1\nkind: Service\nmetadata: {name: podless, namespace: default}\n"+
		"spec: {selector: {app: nobody}, ports: [{port: 80}]}\n")
	ip := serve(t, "endless", "target-service-name: podless", "ports: 80/HTTP, 7:80/TCP")
	for range 20 {
		if code, header, body := fetch(t, ip+"/", "tea.example.com"); code != 503 ||
			!strings.HasPrefix(body, "503 Service Unavailable: ") || header.Get("Content-Type") != "text/plain" {
			t.Errorf("got %d %v %q", code, header, body)
		}
	}
	begun := time.Now()
	c, err := dialClient(t.Context(), "tcp", net.JoinHostPort(ip, "7"))
	if err == nil {
		defer c.Close()
		must(t, c.SetDeadline(begun.Add(answerTime)))
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("TCP: read %d bytes, %v", n, err)
		}
	}
	if took := time.Since(begun); took > answerTime/2 {
		t.Errorf("TCP: let go after %s", took)
	}
	// Everybody who may read the object is told, and whoever waits for it goes on waiting.
	const words = "no pod of Service default/podless is ready"
	if out := kubectlLB(t, 3, "", "status", "endless", "--exit-code").Stdout; !strings.Contains(out, "Degraded") || !strings.Contains(out, words) {
		t.Errorf("status:\n%s", out)
	}
	if res := kubectlLB(t, 4, "", "expose", "svc/podless", "--wait", "--timeout=3s"); !strings.Contains(res.Stderr, words) {
		t.Errorf("expose --wait: %+v", res)
	}
	kubectlLB(t, 0, "", "delete", "podless")
	lossless(t, neighbour.Stop())
}

// TestRevoked: a guest of a shared address has to leave it when its host takes the invitation back, and what is served
// sends nothing to a Service that has taken its leave back. Both hold while the objects are broken, and end with it.
func TestRevoked(t *testing.T) {
	echo(t)
	apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: guests}\n")
	service := strings.Replace(echoService, "namespace: default", "namespace: guests", 1)
	invited := loadBalancer("party", "target-service-name: echo", "ports: 80:http/HTTP", "host: a.example.com",
		"share-key: party", "share-with-namespaces: guests")
	apply(t, invited)
	ip, err := shared.WaitServing(t.Context(), "default", "party")
	must(t, err)
	running := probe(t, serve(t, "party-neighbour", "target-service-name: echo", "ports: 80:http/HTTP"))
	guest := strings.Replace(loadBalancer("guest", "namespace: default", "target-service-name: echo", "ports: 80:http/HTTP",
		"host: b.example.com", "share-key: default/party"), "namespace: default\n  labels", "namespace: guests\n  labels", 1)
	leave := func(annotation string) string {
		return strings.Replace(echoService, "spec:", "  annotations: {"+annotation+"}\nspec:", 1)
	}
	const open = `kubectl-lb.io/allow-from-namespaces: "guests"`
	must(t, shared.Apply(t.Context(), leave(open)))
	apply(t, service+"---\n"+guest)
	_, err = shared.WaitServing(t.Context(), "guests", "guest")
	must(t, err)
	answers(t, ip, "b.example.com", 200)

	must(t, shared.Apply(t.Context(), leave(`kubectl-lb.io/allow-from-namespaces: "nobody"`)))
	answers(t, ip, "b.example.com", 503)
	must(t, shared.Apply(t.Context(), leave(open)))
	answers(t, ip, "b.example.com", 200)

	must(t, shared.Apply(t.Context(), strings.Replace(invited, "with-namespaces: guests", "with-namespaces: others", 1)))
	answers(t, ip, "b.example.com", 404)
	if _, err := shared.WaitStatus(t.Context(), "guests", "guest", "ERROR : LB0307", 30*time.Second); err != nil {
		t.Error(err)
	}
	answers(t, ip, "a.example.com", 200)
	must(t, shared.Apply(t.Context(), invited))
	answers(t, ip, "b.example.com", 200)
	lossless(t, running.Stop())
}

// answers waits until an address answers requests for a host with a status.
func answers(t *testing.T, ip, host string, want int) {
	t.Helper()
	must(t, rig.Wait(t.Context(), 30*time.Second, "the answer", func() (bool, string) {
		r, err := shared.Request(t.Context(), "client", ip, host, "/")
		if err != nil {
			return false, err.Error()
		}
		return r.Code == want, fmt.Sprint(r.Code, " ", r.Body)
	}))
}
