package octavia

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// The services' places behind a gate.
const (
	keystonePath = "/identity"
	octaviaPath  = "/load-balancer"
	barbicanPath = "/key-manager"
	networkPath  = "/network"
)

// Gate is a way into the cloud from where it listens: Keystone under /identity, Octavia under /load-balancer, Barbican
// under /key-manager, and under /network as much of Neutron as floating IPs need, which is the gate's own. In what
// passes, addresses of the services become the gate's own, so that the catalogue leads through the gate. It remembers
// every call, and breaks those that it is told to.
type Gate struct {
	listener net.Listener
	server   *http.Server
	base     string
	routes   map[string]http.Handler
	network  *neutron

	mu     sync.Mutex
	calls  []Call
	faults []*pending
	hidden string
}

// Call is a request that has come to a gate.
type Call struct {
	Method string
	// Service is "identity", "load-balancer", "key-manager" or "network"; Path is the service's own, without the query.
	Service, Path, Query string
	// Status is the answer's, 0 where a fault kept it back.
	Status int
}

// Write reports whether the call was to change something in Octavia.
func (c Call) Write() bool { return c.Service == "load-balancer" && c.Method != http.MethodGet }

// String returns such as "GET /v2.0/lbaas/loadbalancers 200".
func (c Call) String() string { return fmt.Sprintf("%s %s %d", c.Method, c.Path, c.Status) }

// OpenGate lets traffic in through the listener, of whatever namespace, until the gate is closed.
func (c *Cloud) OpenGate(listener net.Listener) *Gate {
	g := &Gate{listener: listener, base: "http://" + listener.Addr().String()}
	transport := &http.Transport{DialContext: c.dialer.DialContext, DisableKeepAlives: true}
	g.network = &neutron{base: g.base + networkPath, there: c.isVIP}
	g.routes = map[string]http.Handler{
		keystonePath: g.proxy(keystoneURL, transport), octaviaPath: g.proxy(octaviaURL, transport),
		barbicanPath: g.proxy(barbicanURL, transport), networkPath: g.network,
	}
	g.server = &http.Server{Handler: g} //nolint:gosec // only tests come in
	go func() { _ = g.server.Serve(listener) }()
	return g
}

// AuthURL is Keystone's address for OS_AUTH_URL.
func (g *Gate) AuthURL() string { return g.base + keystonePath + "/v3" }

// Hide takes a kind of service, such as "key-manager", out of the catalogues that logins get from now on.
func (g *Gate) Hide(kind string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hidden = kind
}

// Close shuts the gate and everything that is passing through it.
func (g *Gate) Close() error { return g.server.Close() }

func (g *Gate) proxy(to string, transport http.RoundTripper) *httputil.ReverseProxy {
	target, err := url.Parse(to)
	if err != nil {
		panic(err) // the constants of this package
	}
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			g.untranslate(r.Out)
		},
		ModifyResponse: g.translate,
		ErrorLog:       log.New(io.Discard, "", 0), // the client is told
	}
}

// translate writes the gate's addresses for the services' own.
func (g *Gate) translate(r *http.Response) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body.Close()
	body = bytes.ReplaceAll(body, []byte(keystoneURL), []byte(g.base+keystonePath))
	body = bytes.ReplaceAll(body, []byte(octaviaURL), []byte(g.base+octaviaPath))
	body = bytes.ReplaceAll(body, []byte(barbicanURL), []byte(g.base+barbicanPath))
	body = bytes.ReplaceAll(body, []byte(neutronURL), []byte(g.base+networkPath))
	g.mu.Lock()
	if g.hidden != "" {
		body = bytes.ReplaceAll(body, []byte(`"type": "`+g.hidden+`"`), []byte(`"type": "hidden"`))
	}
	g.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	r.Header.Del("Connection") // the service's wish for its connection is none for this one
	return nil
}

// untranslate writes Barbican's own address for the gate's: Barbican takes no other, and Octavia keeps what it is told.
func (g *Gate) untranslate(r *http.Request) {
	if r.Body == nil || r.ContentLength <= 0 {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone, and the call fails
	}
	body = bytes.ReplaceAll(body, []byte(g.base+barbicanPath), []byte(barbicanURL))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// ServeHTTP implements http.Handler.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == controlPath {
		g.control(w, r)
		return
	}
	for prefix, service := range g.routes {
		path, ok := strings.CutPrefix(r.URL.Path, prefix)
		if !ok {
			continue
		}
		call := Call{Method: r.Method, Service: prefix[1:], Path: path, Query: r.URL.RawQuery}
		i := g.record(call)
		answer := &recorder{ResponseWriter: w}
		pass := http.StripPrefix(prefix, service).ServeHTTP
		if f, ok := g.faultFor(call); ok {
			f.serve(answer, r, pass)
		} else {
			pass(answer, r)
		}
		g.mu.Lock()
		if i < len(g.calls) {
			g.calls[i].Status = answer.status
		}
		g.mu.Unlock()
		return
	}
	http.NotFound(w, r)
}

func (g *Gate) record(c Call) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, c)
	return len(g.calls) - 1
}

// Calls returns what has come since the last [Gate.Reset].
func (g *Gate) Calls() []Call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Call(nil), g.calls...)
}

// Reset forgets the calls and the faults.
func (g *Gate) Reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls, g.faults = nil, nil
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// cut ends the client's connection without an answer, with a reset.
func cut(w http.ResponseWriter) error {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return errors.Join(errors.New("no TCP connection to reset"), conn.Close())
	}
	if err := tcp.SetLinger(0); err != nil {
		return err
	}
	return tcp.Close()
}
