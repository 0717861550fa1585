package daemon

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, p := range pairs {
			if n, v, _ := strings.Cut(p, "="); n == name {
				return v, true
			}
		}
		return "", false
	}
}

func TestConfigurationLayers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "daemon.yaml")
	text := "node-name: from-file\nnamespace: from-file\nstate-dir: /from-file\nlog-level: warn\ntls-namespace: from-file\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := loadConfiguration(
		[]string{"--config", file, "--node-name", "from-flag"},
		environment("LB_NODE_NAME=from-env", "LB_NAMESPACE=from-env", "NODE_NAME=ignored", "LB_LOG_FORMAT=json",
			"LB_TLS_NAMESPACE=certificates"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := Configuration{
		NodeName: "from-flag", Namespace: "from-env", TLSNamespace: "certificates", StateDir: "/from-file", RunDir: "/run/kubectl-lb",
		MetricsBindAddress: "127.0.0.1:9445", LogLevel: "warn", LogFormat: "json",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPrepareNode runs the real thing only in a network namespace of its own.
func TestPrepareNode(t *testing.T) {
	for _, tt := range []struct {
		args, env []string
		want      string
	}{
		{nil, nil, "node-address: "},
		{[]string{"--node-address", "10.0.0"}, nil, "node-address: "},
		{nil, []string{"LB_NODE_ADDRESS=203.0.113.77"}, "no interface has the address 203.0.113.77"},
		{[]string{"now"}, nil, `unknown argument "now"`},
		{[]string{"--what"}, nil, "unknown flag: --what"},
	} {
		var out bytes.Buffer
		code := Main(append([]string{prepareName}, tt.args...), environment(tt.env...), Streams{Err: &out})
		if code != exitError || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%v: %d, %s", tt.args, code, out.String())
		}
	}
	if code := Main([]string{prepareName, "--help"}, environment(), Streams{Err: io.Discard}); code != exitOK {
		t.Errorf("--help ends with %d", code)
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: a network namespace")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := `ip link set lo up
ip link add eth7 type veth peer name peer7
ip addr add 10.1.2.3/24 dev eth7
"$0"
cat /proc/sys/net/ipv4/ip_nonlocal_bind /proc/sys/net/ipv4/conf/eth7/arp_ignore /proc/sys/net/ipv4/conf/eth7/arp_announce`
	cmd := exec.CommandContext(t.Context(), "unshare", "--net", "sh", "-euc", script, self)
	cmd.Env = append(os.Environ(), "KLB_PREPARE=1", "LB_NODE_ADDRESS=10.1.2.3")
	out, err := cmd.CombinedOutput()
	if got := strings.Fields(string(out)); err != nil || strings.Join(got, " ") != "1 1 2" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestMain prepares the node where the test says so.
func TestMain(m *testing.M) {
	if os.Getenv("KLB_PREPARE") == "" {
		m.Run()
		return
	}
	os.Exit(Main([]string{prepareName}, Environment, Streams{Out: os.Stdout, Err: os.Stderr}))
}

func TestConfigurationDefaults(t *testing.T) {
	got, err := loadConfiguration(nil, environment("NODE_NAME=lb1", "POD_NAMESPACE=ns"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got.NodeName != "lb1" || got.Namespace != "ns" || got.StateDir != "/var/lib/kubectl-lb" || got.LogLevel != "info" ||
		got.TLSNamespace != "kubectl-lb-tls" {
		t.Errorf("%+v", got)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got, err = loadConfiguration(nil, environment(), io.Discard); err != nil || got.NodeName != host {
		t.Errorf("%+v, %v", got, err)
	}
	if got.Namespace != podNamespace(serviceAccountNamespace) {
		t.Errorf("namespace %q", got.Namespace)
	}
}

func TestConfigurationFaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "daemon.yaml")
	if err := os.WriteFile(file, []byte("nodename: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, want string }{
		{"--nonsense", "unknown flag: --nonsense"},
		{"run", `unknown argument "run"`},
		{"--log-level loud", `log-level: "loud" is none of`},
		{"--log-format xml", `log-format: "xml" is neither`},
		{"--metrics-bind-address here", "metrics-bind-address"},
		{"--state-dir x", `state-dir: "x" is not an absolute path`},
		{"--config " + file, "nodename"},
		{"--config /no/such.yaml", "no such file"},
	} {
		_, err := loadConfiguration(strings.Fields(tt.args), environment(), io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.args, err, tt.want)
		}
	}
}

func TestMainAnswers(t *testing.T) {
	var out, errs bytes.Buffer
	if code := Main([]string{"version"}, environment(), Streams{&out, &errs}); code != 0 {
		t.Errorf("version: exit status %d", code)
	}
	for _, name := range []string{"lb-daemon", "nginx", "keepalived"} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("version does not name %s: %q", name, out.String())
		}
	}
	if code := Main([]string{"--help"}, environment(), Streams{&out, &errs}); code != 0 {
		t.Errorf("help: exit status %d", code)
	}
	if !strings.Contains(errs.String(), "--state-dir") {
		t.Errorf("help: %q", errs.String())
	}
	if code := Main([]string{"--log-level", "x"}, environment(), Streams{&out, &errs}); code != 1 {
		t.Errorf("a fault: exit status %d", code)
	}
}

func TestPodNamespace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "namespace")
	if got := podNamespace(path); got != "kubectl-lb-system" {
		t.Errorf("outside a pod: %q", got)
	}
	if err := os.WriteFile(path, []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := podNamespace(path); got != "mine" {
		t.Errorf("in a pod: %q", got)
	}
}

func TestModules(t *testing.T) {
	for built, want := range map[string]bool{
		"--with-stream --with-http_ssl_module":           true,
		"--with-http_ssl_module":                         false,
		"--with-stream=dynamic --modules-path=/no/where": true, // this machine has it elsewhere
	} {
		if _, err := modules(built); (err == nil) != want {
			t.Errorf("%q: %v", built, err)
		}
	}
	if v := nginxVersion("nginx version: nginx/1.22.1\nbuilt with"); v != "1.22.1" {
		t.Errorf("version %q", v)
	}
	if v := nginxVersion("what?"); v != "" {
		t.Errorf("version %q", v)
	}
}

type ready bool

func (r ready) Ready() bool { return bool(r) }

func TestHandler(t *testing.T) {
	for _, tt := range []struct {
		path  string
		ready ready
		want  int
	}{
		{"/healthz", false, 200}, {"/readyz", false, 503}, {"/readyz", true, 200}, {"/metrics", true, 200}, {"/", true, 404},
	} {
		w := httptest.NewRecorder()
		newHandler(tt.ready, prometheus.NewRegistry()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, http.NoBody))
		if w.Code != tt.want {
			t.Errorf("%s while ready=%v: %d, want %d", tt.path, tt.ready, w.Code, tt.want)
		}
	}
}

func TestServe(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	stop, err := serve(t.Context(), "127.0.0.1:0", http.NotFoundHandler(), log)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if stop, err = serve(t.Context(), "0", nil, log); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := serve(t.Context(), "192.0.2.1:1", nil, log); err == nil {
		t.Error("served on an address that is not here")
	}
}
