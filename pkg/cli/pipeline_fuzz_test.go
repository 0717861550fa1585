package cli

import (
	"bytes"
	"context"
	"flag"
	"hash/fnv"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/software"
	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/rendertest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/endpoints"
)

// marker is in what a fuzzed object says, so that it can be seen where it gets to.
const marker = "Mark3r"

// everyCertificate is a library in which everything is found.
type everyCertificate struct{}

func (everyCertificate) KeyPair(_ context.Context, key lb.Key) (certs.KeyPair, error) {
	now := time.Now().Truncate(24 * time.Hour)
	return certs.KeyPair{
		Digest: "aa", Names: []string{key.Name + ".example.com", "*.a", "default"}, NotBefore: now.AddDate(0, 0, -1),
		NotAfter: now.AddDate(1, 0, 0),
	}, nil
}

func (everyCertificate) Bundle(context.Context, string, lb.Key) (certs.Bundle, error) {
	return certs.Bundle{Digest: "bb"}, nil
}

// pipeline sends objects all the way: source, plan, render.
func pipeline(t *testing.T, cms ...*corev1.ConfigMap) (plan.Output, nginx.Result) {
	t.Helper()
	service := func(name, ip string, ports ...corev1.ServicePort) *corev1.Service {
		return &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
			Spec:       corev1.ServiceSpec{ClusterIP: ip, Ports: ports},
		}
	}
	services := configmap.MapServices([]*corev1.Service{
		service("web", "10.96.0.1", corev1.ServicePort{Name: "http", Port: 80}),
		service("two", "10.96.0.2", corev1.ServicePort{Name: "http", Port: 80},
			corev1.ServicePort{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}),
		service("six", "fd00:96::1", corev1.ServicePort{Port: 443}),
	})
	pool, err := ipam.ParsePool("p", []string{"10.0.0.0/24", "fd00::/120"}, ipam.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in := plan.Input{Pools: []ipam.Pool{pool}, Capabilities: new(software.Backend).Capabilities()}
	for _, cm := range cms {
		w := configmap.Parse(cm, services)
		endpoints.Fill(&w.LoadBalancer, "", func(endpoints.Port) []netip.AddrPort {
			return []netip.AddrPort{netip.MustParseAddrPort("10.244.0.1:80"), netip.MustParseAddrPort("10.244.0.2:80")}
		})
		if err := certs.Resolve(t.Context(), &w, everyCertificate{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		in.Wishes = append(in.Wishes, w)
	}
	out := plan.Make(in)
	result, err := nginx.Render(nginx.Input{
		LoadBalancers: out.LoadBalancers, RunDir: "/run/kubectl-lb", Workers: 1,
		Modules: []string{"/usr/lib/nginx/modules/ngx_stream_module.so"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, result
}

// wished makes an object of keys and values.
func wished(name string, pairs ...string) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: "u"}, Data: map[string]string{},
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			cm.Data[pairs[i]] = pairs[i+1]
		}
	}
	return cm
}

// aged makes an object older than all fuzzed ones, with an address that it has had before.
func aged(cm *corev1.ConfigMap, address string) *corev1.ConfigMap {
	cm.CreationTimestamp = metav1.NewTime(time.Date(2016, 6, 17, 0, 0, 0, 0, time.UTC))
	cm.Data[configmap.KeyBindIP] = address
	return cm
}

// FuzzPipeline gives three keys any values, beside a protocol and a Service that let them through. Nothing panics; what
// is said is printable; the neighbour is served as if it were alone, and so is one that shares its address with whoever
// wants; whatever passes the source passes the renderer; and nginx reads in the files of the object the same directives
// as in those of a harmless one: no value is more than the word that it should be.
//
// hack/fuzz-l7.sh runs it for a while, with the real nginx for as many as it can.
func FuzzPipeline(f *testing.F) {
	keys := configmap.Keys()
	index := map[string]uint8{}
	for i, k := range keys {
		index[k.Name] = uint8(i) //nolint:gosec // there are few keys
	}
	for _, s := range [][3]string{
		{configmap.KeyHost, "a.b;}server{", configmap.KeyPath}, {configmap.KeySetRequest, `X-A: "; } $uri ${x} \`, ""},
		{configmap.KeySetAnswer, "X-A: b\r\nX-B: \\", ""}, {configmap.KeyRewrite, "/$uri", ""},
		{configmap.KeyRoutes, "host=default path=/;} service=web\nhost=*.a service=two:http weight=0 service=six", ""},
		{configmap.KeySources, "10.0.0.0/8;deny all", ""}, {configmap.KeyMaxBody, "1g;", ""}, {configmap.KeyIdleTimeout, "1h", ""},
		{configmap.KeyPorts, "80:http/HTTP,443:80/TLS-PASSTHROUGH,53:dns/UDP,70/TCP", ""},
		{configmap.KeyShare, "edge", configmap.KeyHost}, {configmap.KeyMaxConns, "3", configmap.KeyShare},
		{configmap.KeyTrusted, "::/0,0.0.0.0/0", ""}, {configmap.KeyCutAnswer, "A,Server", ""}, {configmap.KeyUpstream, "endpoints", ""},
		{configmap.KeyMethod, "request-hash;", ""}, {configmap.KeyAffinity, "cookie", ""}, {configmap.KeyProxy, "accept", ""},
		{configmap.KeyTLSSecret, "a, b", configmap.KeySSL}, {configmap.KeyTLSSecret, "a;}server{", ""},
		{configmap.KeyClientCA, "secret/$x", ""}, {configmap.KeyBackendName, "a\"; } b", configmap.KeyBackendCA},
	} {
		for _, protocol := range []string{"HTTP", "HTTPS", "TCP", "TLS", "UDP", "TLS-PASSTHROUGH", ""} {
			f.Add(protocol, "web", index[configmap.KeyTLSSecret], "a,b", index[s[0]], s[1], index[configmap.KeyHost], "A."+marker)
			f.Add(protocol, "web", index[configmap.KeyTLSSecret], "a", index[configmap.KeyBackend], "HTTPS",
				index[configmap.KeyBackendCA], "secret/"+s[1])
			f.Add(protocol, "two", index[s[0]], s[1], index[s[2]], "/"+marker, index[configmap.KeyAccessLog], "true")
			f.Add(protocol, "web", index[configmap.KeyHost], marker, index[s[0]], s[1], index[configmap.KeyTrusted], "fd00::/8")
		}
	}
	neighbour := aged(wished("neighbour", configmap.KeyService, "web", configmap.KeyPath, "/"), "10.0.0.1")
	sharer := aged(wished("sharer", configmap.KeyService, "web", configmap.KeyHost, "*.example.com", configmap.KeyShare,
		"edge"), "10.0.0.2")
	f.Fuzz(func(t *testing.T, protocol, service string, k1 uint8, v1 string, k2 uint8, v2 string, k3 uint8, v3 string) {
		name := func(k uint8) string { return keys[int(k)%len(keys)].Name }
		cm := wished("fuzzed", configmap.KeyProtocol, protocol, configmap.KeyService, service, name(k1), v1, name(k2), v2,
			name(k3), v3)
		cm.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		out, result := pipeline(t, cm, neighbour, sharer)
		said(t, out)
		if len(result.Refused) > 0 {
			t.Errorf("%q passed the source but not the renderer: %v", cm.Data, result.Refused)
		}
		_, alone := pipeline(t, neighbour)
		untouched(t, alone.Files, result.Files)
		if _, ok := result.Files.Get("http/default_sharer.conf"); !ok {
			t.Errorf("%q keeps another one from being served", cm.Data)
		}
		for _, file := range result.Files {
			if _, owned := result.Owner(file.Path); !owned && bytes.Contains(file.Data, []byte(marker)) {
				t.Errorf("%q got into %s", cm.Data, file.Path)
			}
		}
		balanced(t, cm, result)
		if flag.Lookup("test.fuzz").Value.String() == "" || worthNginx(out, v1, v2, v3) {
			acceptedByNginx(t, cm, result)
		}
	})
}

// worthNginx chooses one of eight objects that are served: nginx takes many times as long as all the rest, and what is
// not served leaves nothing for it to read.
func worthNginx(out plan.Output, values ...string) bool {
	served := slices.ContainsFunc(out.LoadBalancers, func(l lb.LoadBalancer) bool { return l.Origin.Name == "fuzzed" })
	h := fnv.New32a()
	for _, v := range values {
		_, _ = h.Write([]byte(v)) // it never fails
	}
	return served && h.Sum32()%8 == 0
}

// said wants findings without control characters.
func said(t *testing.T, out plan.Output) {
	t.Helper()
	for _, o := range out.Outcomes {
		for _, f := range o.Findings {
			if strings.ContainsFunc(f.String(), unicode.IsControl) {
				t.Errorf("finding %q", f)
			}
		}
	}
}

// untouched wants the neighbour's address and file to be the same, but for the address, which may be the next one.
func untouched(t *testing.T, alone, beside render.Files) {
	t.Helper()
	const path = "http/default_neighbour.conf"
	want, _ := alone.Get(path)
	got, ok := beside.Get(path)
	strip := func(b []byte) string {
		var lines []string
		for line := range strings.Lines(string(b)) {
			if !strings.HasPrefix(strings.TrimSpace(line), "listen ") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "")
	}
	if !ok || strip(got) != strip(want) {
		t.Errorf("the neighbour's file became\n%s", got)
	}
}

// directives are the names that the files of a load balancer may begin a line with.
var directives = strings.Fields(`upstream server listen server_name location proxy_pass return keepalive keepalive_time
	keepalive_timeout limit_conn_zone limit_conn limit_conn_status allow deny set_real_ip_from real_ip_header
	real_ip_recursive set map default hostnames proxy_set_header proxy_hide_header grpc_set_header grpc_hide_header
	add_header proxy_connect_timeout proxy_send_timeout proxy_read_timeout proxy_next_upstream_tries grpc_connect_timeout
	grpc_send_timeout grpc_read_timeout grpc_next_upstream_tries grpc_next_upstream grpc_next_upstream_timeout
	grpc_pass_header grpc_ignore_headers grpc_buffer_size grpc_socket_keepalive grpc_pass client_body_timeout
	client_max_body_size gzip gzip_proxied gzip_vary gzip_min_length gzip_types access_log log_format if proxy_timeout
	proxy_responses proxy_protocol ssl_preread ssl_certificate ssl_certificate_key ssl_reject_handshake ssl_verify_client
	ssl_verify_depth ssl_client_certificate ssl_session_cache ssl_session_tickets ssl_handshake_timeout
	proxy_ssl_server_name proxy_ssl_protocols proxy_ssl_verify proxy_ssl_verify_depth proxy_ssl_trusted_certificate
	proxy_ssl_name grpc_ssl_server_name grpc_ssl_protocols grpc_ssl_verify grpc_ssl_verify_depth
	grpc_ssl_trusted_certificate grpc_ssl_name zone hash least_conn`)

// balanced reads the object's files as nginx does, line by line: each is one directive that the renderer can write, and
// outside quotes there is nothing but the characters that it writes there.
func balanced(t *testing.T, cm *corev1.ConfigMap, result nginx.Result) {
	t.Helper()
	for _, file := range result.Files {
		key, owned := result.Owner(file.Path)
		if !owned || key != (lb.Key{Namespace: "default", Name: "fuzzed"}) {
			continue
		}
		inMap := false
		for line := range strings.Lines(string(file.Data)) {
			line = strings.TrimSpace(line)
			bare := outsideQuotes(t, line)
			first, _, _ := strings.Cut(strings.TrimRight(bare, ";{ "), " ")
			known := line == "}"
			for _, d := range directives {
				known = known || first == d
			}
			if _, err := netip.ParsePrefix(first); inMap && (err == nil || first == `""`) {
				known = true
			}
			inMap = strings.HasPrefix(line, "geo ") || strings.HasPrefix(line, "map ") || inMap && line != "}"
			ends := strings.HasSuffix(bare, ";") || strings.HasSuffix(bare, " {") || line == "}"
			if inner := strings.TrimRight(bare, ";{}"); !known || !ends || strings.ContainsAny(inner, ";{}#\\'") {
				t.Errorf("%q: %s has the line %q", cm.Data, file.Path, line)
			}
		}
	}
}

// outsideQuotes returns a line with what is in quotes taken out, and "${lb_dollar}" outside none.
func outsideQuotes(t *testing.T, line string) string {
	t.Helper()
	var b strings.Builder
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == '\\':
			i++
		case quote != 0 && c == quote:
			quote = 0
			b.WriteByte('"')
		case quote != 0:
			if c == '$' && !strings.HasPrefix(line[i:], "${lb_dollar}") && strings.Contains(line, marker) &&
				!strings.HasPrefix(line, "log_format ") && !strings.HasPrefix(line, "location ") {
				t.Errorf("a variable beside a value in %q", line)
			}
		case c == '"' || c == '\'':
			quote = c
			b.WriteByte('"')
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		t.Errorf("a quote stays open in %q", line)
	}
	return b.String()
}

// acceptedByNginx feeds the files to the real nginx -t.
func acceptedByNginx(t *testing.T, cm *corev1.ConfigMap, result nginx.Result) {
	t.Helper()
	dir := t.TempDir()
	files := rendertest.WithMaterial(t, result.Files, nginx.DefaultTLSDir, certtest.Authority(t, "ca").Cert)
	rendertest.Write(t, dir, files)
	cmd := rendertest.Sandboxed(t, "nginx", "-t", "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%q: nginx -t: %v\n%s", cm.Data, err, out)
	}
	counted(t)
}

// counted adds a byte to the file of hack/fuzz-l7.sh, which counts what nginx has read.
func counted(t *testing.T) {
	t.Helper()
	path := os.Getenv("FUZZ_L7_COUNT")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("."); err != nil {
		t.Fatal(err)
	}
}
