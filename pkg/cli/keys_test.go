package cli

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/rendertest"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// A shownKey says how a key is shown to work.
type shownKey struct {
	// value is the key's in its golden file, other what it needs beside it, as "key: value".
	value string
	other []string
	// elsewhere says that the file is the same without it: it decides on the Service or the address.
	elsewhere bool
	// e2e is the function below test/ that uses the key at a cluster.
	e2e string
}

// plus adds lines to others, which stay as they are.
func plus(lines []string, more ...string) []string { return slices.Concat(lines, more) }

// shownKeys has every key that a user writes.
func shownKeys() map[string]shownKey {
	web := []string{"target-service-name: web", "protocol: HTTP"}
	secure := []string{"target-service-name: web", "tls-secret-name: a"}
	https, raw := plus(secure, "protocol: HTTPS"), []string{"target-service-name: web", "protocol: TCP"}
	udp := []string{"target-service-name: two", "ports: 53:dns/UDP"}
	pods := plus(web, "upstream: endpoints")
	inside := plus(web, "backend-protocol: GRPCS")
	return map[string]shownKey{
		"namespace":                  {"default", web, true, "TestRevoked"},
		"target-service-name":        {"web", nil, false, "TestTimeouts"},
		"target-port":                {"http", []string{"target-service-name: two", "bind-port: 81"}, false, "TestHTTPS"},
		"bind-port":                  {"8080", web, false, "TestSSL"},
		"ports":                      {"80:http/HTTP, 81:http/TCP, 53:dns/UDP", udp[:1], false, "TestTimeouts"},
		"protocol":                   {"HTTP", web[:1], false, "TestRetries"},
		"host":                       {"*.example.com", web, false, "TestHTTPRouting"},
		"path":                       {"/menu", web, false, "TestHTTPRouting"},
		"path-type":                  {"Exact", plus(web, "path: /menu"), false, "TestOneRoute"},
		"path-rewrite":               {"/v2", plus(web, "path: /menu"), false, "TestOneRoute"},
		"routes":                     {"host=a.b path=/x service=two:http weight=3 service=web", web, false, "TestRoutesToServices"},
		"SSL":                        {"true", secure, false, "TestSSL"},
		"ssl-port":                   {"8443", plus(secure, "SSL: true"), false, "TestSSL"},
		"upstream":                   {"endpoints", web, false, "TestRetries"},
		"lb-method":                  {"least-connections", pods, false, "TestMethodsOfPods"},
		"session-affinity":           {"cookie", pods, false, "TestAffinity"},
		"tls-secret-name":            {"a, b", plus(web[:1], "protocol: HTTPS"), false, "TestHTTPS"},
		"tls-client-ca":              {"configmap/ca", https, false, "TestClientCertificatesOfTCP"},
		"tls-client-auth":            {"optional", plus(https, "tls-client-ca: secret/ca"), false, "TestClientCertificatesOfTCP"},
		"allowed-source-ranges":      {"10.0.0.0/8", web, false, "TestEveryProtocol"},
		"proxy-protocol":             {"accept,send", plus(raw, "trusted-proxies: 10.0.0.0/8"), false, "TestProxyProtocol"},
		"trusted-proxies":            {"10.0.0.0/8", web, false, "TestForwarded"},
		"max-connections":            {"7", raw, false, "TestConnectionLimits"},
		"max-connections-per-client": {"7", web, false, "TestConnectionLimits"},
		"connect-timeout":            {"7s", raw, false, "TestTimeouts"},
		"idle-timeout":               {"7s", udp, false, "TestUDPSessions"},
		"udp-responses":              {"1", udp, false, "TestUDPSessions"},
		"retries":                    {"3", raw, false, "TestRetries"},
		"access-log":                 {"true", raw, false, "TestEveryProtocol"},
		"redirect-to-https":          {"true", web, false, "TestSSL"},
		"backend-protocol":           {"GRPC", web, false, "TestGRPC"},
		"backend-tls-ca":             {"configmap/ca", inside, false, "TestGRPCS"},
		"backend-tls-server-name":    {"rpc.inside", plus(inside, "backend-tls-ca: secret/ca"), false, "TestGRPCS"},
		"send-timeout":               {"7s", web, false, "TestTimeouts"},
		"read-timeout":               {"7s", web, false, "TestHTTPOptions"},
		"set-request-headers":        {"X-Team: $tea", web, false, "TestHTTPOptions"},
		"remove-request-headers":     {"X-Debug", web, false, "TestHTTPOptions"},
		"set-response-headers":       {"X-Frame-Options: DENY", web, false, "TestHTTPOptions"},
		"remove-response-headers":    {"X-Powered-By", web, false, "TestHTTPOptions"},
		"max-body-size":              {"10m", web, false, "TestHTTPOptions"},
		"gzip":                       {"true", web, false, "TestGzip"},
		"requested-ip":               {"10.0.0.77", web, false, "TestAddressKeys"},
		"address-pool":               {"p", web, true, "TestAddressKeys"},
		"ip-families":                {"IPv6", web, false, "TestIPv6"},
		"share-key":                  {"edge", web, true, "TestSharedAddress"},
		"share-with-namespaces":      {"*", plus(web, "share-key: edge"), true, "TestRevoked"},
	}
}

// TestEveryKey holds the vocabulary to its tests: each key has a golden file of what nginx reads because of it, which
// the real nginx accepts, or of what Octavia is asked for; without the key it is another one. And each has a test that
// uses it at a cluster. docs/testing.md has the table.
func TestEveryKey(t *testing.T) {
	shown, functions := shownKeys(), testsBelow(t, "../../test")
	var files render.Files
	var table strings.Builder
	maps.Copy(shown, shownCloudKeys())
	for _, k := range configmap.Keys() {
		if k.Written {
			continue
		}
		s, ok := shown[k.Name]
		if !ok {
			t.Errorf("no test shows what the key %s does: name them in shownKeys", k.Name)
			continue
		}
		delete(shown, k.Name)
		if !uses(functions[s.e2e], k.Name) {
			t.Errorf("no test %s below test/ uses the key %s", s.e2e, k.Name)
		}
		show, path := s.rendered, k.Name+".conf"
		if inCloud(k) {
			show, path = s.planted, k.Name+".txt"
		}
		with, without := show(t, k.Name, true), show(t, k.Name, false)
		if same := with == without; same != s.elsewhere || with == "" {
			t.Errorf("%s: the file is the same without the key: %v, want %v; with it\n%s", k.Name, same, s.elsewhere, with)
		}
		head := fmt.Sprintf("# %s: %s\n# %s\n", k.Name, s.value, strings.Join(s.other, "\n# "))
		files = append(files, render.File{Path: path, Data: []byte(head + with)})
		fmt.Fprintf(&table, "| `%s` | [%s](../pkg/cli/testdata/keys/%s) | `%s` |\n", k.Name, path, path, s.e2e)
	}
	for name := range shown {
		t.Errorf("there is no key %s", name)
	}
	rendertest.Golden(t, filepath.Join("testdata", "keys"), files, *update)
	documented(t, table.String())
}

// object is the one that is shown, with the key or without it.
func (s shownKey) object(t *testing.T, key string, with bool) *corev1.ConfigMap {
	t.Helper()
	cm := wished("shown")
	for _, line := range s.other {
		name, value, _ := strings.Cut(line, ": ")
		cm.Data[name] = value
	}
	if with {
		cm.Data[key] = s.value
	} else if _, needed := cm.Data[key]; needed && !s.elsewhere {
		t.Errorf("%s is in what it needs", key)
	}
	return cm
}

// unharmed fails where the object with the key has findings.
func unharmed(t *testing.T, key string, out plan.Output) {
	t.Helper()
	for _, o := range out.Outcomes {
		for _, f := range o.Findings {
			t.Errorf("%s: %s", key, f)
		}
	}
}

// rendered returns what nginx reads of the object, with the key or without it.
func (s shownKey) rendered(t *testing.T, key string, with bool) string {
	t.Helper()
	cm := s.object(t, key, with)
	out, result := pipeline(t, cm)
	if with {
		unharmed(t, key, out)
		acceptedByNginx(t, cm, result)
	}
	var b strings.Builder
	for _, f := range result.Files {
		if _, owned := result.Owner(f.Path); owned {
			b.Write(f.Data)
		}
	}
	return b.String()
}

// documented holds the table of docs/testing.md to the keys.
func documented(t *testing.T, table string) {
	t.Helper()
	const path, begin, end = "../../docs/testing.md", "| key | golden file | test at a cluster |\n|---|---|---|\n", "\n<!-- end -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	have, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no table of keys", path)
	}
	if have == table {
		return
	}
	if !*update {
		t.Errorf("%s differs, run with -update if it should; of the new lines\n%s", path, newLines(have, table))
		return
	}
	if err := os.WriteFile(path, []byte(head+begin+table+end+tail), 0o644); err != nil { //nolint:gosec // a document
		t.Fatal(err)
	}
}

// newLines returns the lines of a text that another one has not.
func newLines(have, want string) string {
	old := slices.Collect(strings.Lines(have))
	var out []string
	for line := range strings.Lines(want) {
		if !slices.Contains(old, line) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}
