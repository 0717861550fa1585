package nginx

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// The bounds of header changes. nginx's hash of names has room for the longest name: the gRPC module's has buckets of
// 64 bytes and no directive for more, and what does not fit fails the whole configuration without naming a file.
const (
	maxHeaders     = 64
	maxHeaderName  = 46
	maxHeaderValue = 1024
)

// idleGRPC is how long a stream of messages may be silent.
const idleGRPC = time.Hour

// module is what passes requests on.
func module(s lb.Listener) string {
	if s.Options.HTTP.GRPC {
		return "grpc"
	}
	return "proxy"
}

// httpOptions adds what was asked for beyond where requests go.
func httpOptions(t *render.Text, in Input, l lb.LoadBalancer, s lb.Listener) {
	o := s.Options
	// By a variable, and before anything is answered: nginx's own allow and deny come after every return.
	if len(o.Sources) > 0 {
		t.Block("if ("+clients(o).variable()+" = 0)", func() { t.Line("return 403;") })
	}
	admission(t, listenerName(l.Origin.Key, s), o)
	if o.AcceptProxy {
		t.Line("real_ip_header proxy_protocol;")
	}
	if o.Limits != (lb.Limits{}) {
		t.Line("limit_conn_status 429;")
	}
	headerOptions(t, s)
	if o.HTTP.GRPC {
		grpcDefaults(t, o)
	}
	httpTimeouts(t, s)
	backendTLS(t, s, in.TLSDir)
	if o.Retries > 0 && !o.HTTP.GRPC {
		t.Line("proxy_next_upstream_tries", strconv.Itoa(o.Retries+1)+";")
	}
	giveCookie(t, s)
	if o.HTTP.MaxBody > 0 {
		t.Line("client_max_body_size", strconv.FormatInt(o.HTTP.MaxBody, 10)+";")
	}
	if o.HTTP.Gzip {
		gzip(t)
	}
	if o.AccessLog {
		t.Line("access_log", logFile, logName(l.Origin.Key, s)+";")
	}
}

// grpcDefaults adds for gRPC what proxyDefaults are for HTTP.
func grpcDefaults(t *render.Text, o lb.Options) {
	t.Line("grpc_buffer_size 16k;")
	t.Line("grpc_socket_keepalive on;")
	t.Line("grpc_next_upstream error timeout;")
	t.Line("grpc_next_upstream_tries", strconv.Itoa(o.Retries+1)+";")
	t.Line("grpc_pass_header Server;")
	t.Line("grpc_pass_header Date;")
	t.Line("grpc_ignore_headers X-Accel-Redirect X-Accel-Limit-Rate X-Accel-Charset X-Accel-Buffering;")
	t.Line("client_body_timeout", seconds(cmp.Or(o.Timeouts.Read, idleGRPC))+";")
}

// httpTimeouts adds the times that differ from those of http{}.
func httpTimeouts(t *render.Text, s lb.Listener) {
	times := s.Options.Timeouts
	if s.Options.HTTP.GRPC {
		times.Connect = cmp.Or(times.Connect, connectTime)
		times.Send, times.Read = cmp.Or(times.Send, idleGRPC), cmp.Or(times.Read, idleGRPC)
	}
	for _, d := range []struct {
		name string
		time time.Duration
	}{{"connect", times.Connect}, {"send", times.Send}, {"read", times.Read}} {
		if d.time > 0 {
			t.Line(module(s)+"_"+d.name+"_timeout", seconds(d.time)+";")
		}
	}
}

func gzip(t *render.Text) {
	t.Line("gzip on;")
	t.Line("gzip_proxied any;")
	t.Line("gzip_vary on;")
	t.Line("gzip_min_length 256;")
	t.Line("gzip_types text/plain text/css text/javascript text/xml application/javascript application/json " +
		"application/xml application/wasm image/svg+xml;")
}

// redirect adds the way to HTTPS. A trusted proxy may have come that way already.
func redirect(t *render.Text, s lb.Listener) {
	port := ""
	if p := s.Options.HTTP.RedirectTo; p != 443 {
		port = ":" + strconv.Itoa(int(p))
	}
	line := `return 308 "https://$host` + port + `$request_uri";`
	if trusts(s) {
		t.Block("if ($lb_forwarded_proto != https)", func() { t.Line(line) })
		return
	}
	t.Line(line)
}

// headerName is a field's name (RFC 9110, 5.1) of letters, digits and "-" only, which no language takes for more.
var headerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*$`)

// reserved returns the fields that are nginx's to write: how the message is framed and passed on.
func reserved() []string {
	return []string{
		"connection", "content-length", "date", "keep-alive", "proxy-connection", "server", "te", "trailer",
		"transfer-encoding", "upgrade",
	}
}

// checkHTTP returns the first of the options of HTTP that nginx would not take.
func checkHTTP(s lb.Listener) (lb.Finding, bool) {
	o := s.Options.HTTP
	place := field(s) + ".http"
	if s.Protocol != lb.HTTP {
		if o.RedirectTo > 0 || o.GRPC || o.MaxBody != 0 || o.Gzip || changes(o.Request) || changes(o.Response) ||
			s.Options.Timeouts.Send+s.Options.Timeouts.Read > 0 {
			return finding(lb.CodeBackendCannot, place, "protocol %s has no options of HTTP", s.Protocol), true
		}
		return lb.Finding{}, false
	}
	if o.MaxBody < 0 {
		return finding(lb.CodeBadValue, place, "a body of %d bytes", o.MaxBody), true
	}
	for _, c := range []lb.HeaderChanges{o.Request, o.Response} {
		if err := checkHeaders(c); err != nil {
			return finding(lb.CodeBadValue, place, "%v", err), true
		}
	}
	if slices.ContainsFunc(o.Request.Remove, func(name string) bool { return strings.EqualFold(name, "host") }) {
		return finding(lb.CodeBadValue, place, "a request cannot be without Host"), true
	}
	return lb.Finding{}, false
}

func checkHeaders(c lb.HeaderChanges) error {
	if len(c.Set)+len(c.Remove) > maxHeaders {
		return fmt.Errorf("more than %d header changes", maxHeaders)
	}
	seen := map[string]bool{}
	names := c.Remove
	for _, h := range c.Set {
		names = append(slices.Clip(names), h.Name)
		if len(h.Value) > maxHeaderValue || strings.ContainsFunc(h.Value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return fmt.Errorf("header %q: the value is not at most %d printable characters of ASCII", h.Name, maxHeaderValue)
		}
	}
	for _, name := range names {
		lower := strings.ToLower(name)
		if len(name) > maxHeaderName || !headerName.MatchString(name) {
			return fmt.Errorf("%q is not a header name of letters, digits and -", name)
		}
		if slices.Contains(reserved(), lower) {
			return fmt.Errorf("header %q is not for changing", name)
		}
		if seen[lower] {
			return fmt.Errorf("header %q is changed twice", name)
		}
		seen[lower] = true
	}
	return nil
}

// rewritePath is what a path may be rewritten to: characters that mean nothing to proxy_pass, which expands variables.
var rewritePath = regexp.MustCompile(`^/[A-Za-z0-9._~+,=:@/-]*$`)

// checkRewrite returns why a route's path can't be rewritten.
func checkRewrite(s lb.Listener, r lb.Route) (lb.Finding, bool) {
	switch {
	case r.Rewrite == "":
	case s.Options.HTTP.GRPC:
		return finding(lb.CodeBackendCannot, field(s)+".rewrite", "nginx can't rewrite paths of gRPC"), true
	case len(r.Rewrite) > maxPath || !rewritePath.MatchString(r.Rewrite):
		return finding(lb.CodeBadValue, field(s)+".rewrite", "%q is not a path to rewrite to", r.Rewrite), true
	}
	return lb.Finding{}, false
}
