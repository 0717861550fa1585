package nginx

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// requestHeaders adds the headers that services get. What a client says of itself is replaced, never added to.
func requestHeaders(t *render.Text) {
	t.Line("proxy_headers_hash_max_size 2048;")
	t.Line("proxy_headers_hash_bucket_size 256;")
	// The one way to write a dollar sign where variables are expanded.
	t.Block("geo $lb_dollar", func() { t.Line(`default "$";`) })
	// The Host header with its port, unless it contradicts the host that the request was routed by.
	t.Block(`map "$host $http_host" $lb_host`, func() {
		t.Line(`"~*^(?<lb_name>\S+) (?<lb_authority>\k<lb_name>(:[0-9]+)?)$"`, "$lb_authority;")
		t.Line(`"~^ "`, "localhost;")
		t.Line("default $host;")
	})
	// Upgrades pass but that to HTTP/2, which would carry requests past the headers set here.
	t.Block("map $http_upgrade $lb_upgrade", func() {
		t.Line(`"~*h2c"`, `"";`)
		t.Line("default $http_upgrade;")
	})
	t.Block("map $lb_upgrade $lb_connection", func() {
		t.Line(`""`, `"";`)
		t.Line("default upgrade;")
	})
	// An address as RFC 7239, 6 writes it.
	t.Block("map $remote_addr $lb_for", func() {
		t.Line(`"~:"`, `"\"[$remote_addr]\"";`)
		t.Line("default $remote_addr;")
	})
	// Who asks may name the request, by a name that is harmless in a log. Other names are of what nginx counts anyway, and
	// no secret: random numbers, as $request_id is, take a fifth of all that nginx does for a small request.
	t.Block("map $http_x_request_id $lb_request_id", func() {
		t.Line(`"~^[A-Za-z0-9._:/=+-]{1,128}$"`, "$http_x_request_id;")
		t.Line(`default "$hostname-$msec-$connection-$connection_requests";`)
	})
	setHeaders(t, "proxy", forwarded(false, nil))
}

// A Forwarded that came is never passed on: most proxies set only X-Forwarded-* and hand their client's own through.
//
// trustedHeaders adds what services get where the peer is a trusted proxy: what it says, and what it is itself. A
// server that uses them sets $lb_trusted to 1 for such a peer.
func trustedHeaders(t *render.Text) {
	// Each is the header's value behind the verdict, so that one match tells both.
	trusted := func(header, variable, pattern, value, otherwise string) {
		t.Block(`map "$lb_trusted:$http_`+header+`" `+variable, func() {
			t.Line(quote("~*^1:"+pattern+"$"), quote(value)+";")
			t.Line("default", otherwise+";")
		})
	}
	trusted("x_forwarded_for", "$lb_forwarded_for", "(?<lb_x_for>.+)", "$lb_x_for, $realip_remote_addr", "$remote_addr")
	// Of a list the first is what the client spoke; some proxies write it in capitals.
	t.Block(`map "$lb_trusted:$http_x_forwarded_proto" $lb_forwarded_proto`, func() {
		t.Line(`"~*^1: *https *(,|$)"`, "https;")
		t.Line(`"~*^1: *http *(,|$)"`, "http;")
		t.Line("default $scheme;")
	})
	trusted("x_forwarded_host", "$lb_forwarded_host", `(?<lb_x_host>[A-Za-z0-9.:\[\]_-]+)`, "$lb_x_host", "$lb_host")
	trusted("x_forwarded_port", "$lb_forwarded_port", "(?<lb_x_port>[0-9]{1,5})", "$lb_x_port", "$server_port")
}

// forwarded returns the headers that services get, the dropped ones with an empty value. Who a client is by its
// certificate is said where it was asked for one, by the names that ingress-nginx has made common.
func forwarded(trusting bool, asked *lb.TLS) [][2]string {
	set := [][2]string{
		{"Host", "$lb_host"}, {"Upgrade", "$lb_upgrade"}, {"Connection", "$lb_connection"},
		{"X-Real-IP", "$remote_addr"}, {"X-Forwarded-For", "$remote_addr"}, {"X-Forwarded-Proto", "$scheme"},
		{"X-Forwarded-Host", "$lb_host"}, {"X-Forwarded-Port", "$server_port"},
		{"Forwarded", `"for=$lb_for;proto=$scheme"`}, {"X-Request-ID", "$lb_request_id"},
	}
	if trusting {
		set = append(set[:4], [][2]string{
			{"X-Forwarded-For", "$lb_forwarded_for"}, {"X-Forwarded-Proto", "$lb_forwarded_proto"},
			{"X-Forwarded-Host", "$lb_forwarded_host"}, {"X-Forwarded-Port", "$lb_forwarded_port"},
			{"Forwarded", `"for=$lb_for;proto=$lb_forwarded_proto"`}, {"X-Request-ID", "$lb_request_id"},
		}...)
	}
	verify, subject, issuer := `""`, `""`, `""`
	if asked != nil && asked.Clients != nil {
		verify, subject, issuer = "$ssl_client_verify", "$ssl_client_s_dn", "$ssl_client_i_dn"
	}
	set = append(set, [][2]string{
		{"SSL-Client-Verify", verify}, {"SSL-Client-Subject-DN", subject}, {"SSL-Client-Issuer-DN", issuer},
	}...)
	for _, h := range dropped() {
		set = append(set, [2]string{h, `""`})
	}
	return set
}

// dropped returns the fields by which a client could pass for another one, or for a proxy, with services that believe
// what some proxy or other says in them; and those that are between a client and its next hop. Whoever ends TLS must
// drop Client-Cert and Client-Cert-Chain (RFC 9440, 2.4); SSL-Client-Cert and X-Forwarded-Client-Cert are what
// ingress-nginx and Envoy write.
func dropped() []string {
	return []string{
		"Client-Cert", "Client-Cert-Chain", "Client-IP", "Front-End-Https", "HTTP2-Settings", "Proxy", "SSL-Client-Cert",
		"True-Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-Forwarded-Client-Cert", "X-Forwarded-Prefix",
		"X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Original-URL",
		"X-Rewrite-URL", "X-Url-Scheme",
	}
}

func setHeaders(t *render.Text, module string, headers [][2]string) {
	for _, h := range headers {
		t.Line(module+"_set_header", h[0], h[1]+";")
	}
}

// headerOptions adds a listener's own headers. Headers of a server replace all those of http{}, so they are all there.
func headerOptions(t *render.Text, s lb.Listener) {
	o := s.Options
	trusting := trusts(s)
	if trusting {
		for _, p := range o.TrustedProxies {
			t.Line("set_real_ip_from", p.String()+";")
		}
		t.Line("real_ip_header X-Forwarded-For;")
		t.Line("real_ip_recursive on;")
		t.Line("set $lb_trusted", peers(o).variable()+";")
	}
	if trusting || o.HTTP.GRPC || changes(o.HTTP.Request) || s.TLS != nil && s.TLS.Clients != nil {
		headers := forwarded(trusting, s.TLS)
		replaced := func(name string) {
			headers = slices.DeleteFunc(headers, func(h [2]string) bool { return strings.EqualFold(h[0], name) })
		}
		for _, h := range o.HTTP.Request.Set {
			replaced(h.Name)
			headers = append(headers, [2]string{h.Name, quoteText(h.Value)})
		}
		for _, name := range o.HTTP.Request.Remove {
			replaced(name)
			headers = append(headers, [2]string{name, `""`})
		}
		setHeaders(t, module(s), headers)
	}
	for _, h := range o.HTTP.Response.Set {
		t.Line(module(s)+"_hide_header", h.Name+";")
		t.Line("add_header", h.Name, quoteText(h.Value), "always;")
	}
	for _, name := range o.HTTP.Response.Remove {
		t.Line(module(s)+"_hide_header", name+";")
	}
}

func changes(c lb.HeaderChanges) bool { return len(c.Set)+len(c.Remove) > 0 }

// trusts reports whether a listener believes X-Forwarded-For and its like of some peers.
func trusts(s lb.Listener) bool {
	return s.Protocol == lb.HTTP && len(s.Options.TrustedProxies) > 0 && !s.Options.AcceptProxy
}

// identifier stands for a listener in the names of variables, which take no "-" and ".": a hash.
func identifier(k lb.Key, s lb.Listener) string {
	sum := sha256.Sum256([]byte(listenerName(k, s)))
	return hex.EncodeToString(sum[:8])
}

// quoteText returns s as one token where variables are expanded: it has none.
func quoteText(s string) string { return strings.ReplaceAll(quote(s), "$", "${lb_dollar}") }
