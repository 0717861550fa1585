package cli

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/freeport"
)

// server is a real API server, shared by all tests of the package. It is started by the first test that asks for it.
type server struct {
	kubeconfig string
	client     kubernetes.Interface
	processes  []*exec.Cmd
	dir        string
	err        error
	started    bool
}

var shared server

func TestMain(m *testing.M) {
	code := m.Run()
	shared.stop()
	os.Exit(code)
}

// apiServer returns the API server. `make test` says where its binaries are.
func apiServer(t testing.TB) *server {
	t.Helper()
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		t.Skip("KUBEBUILDER_ASSETS is not set; make test sets it")
	}
	if !shared.started {
		shared.started = true
		shared.err = shared.start(assets)
	}
	if shared.err != nil {
		t.Fatalf("start the API server: %v", shared.err)
	}
	return &shared
}

func (s *server) start(assets string) error {
	var err error
	if s.dir, err = os.MkdirTemp("", "kubectl-lb-cli-"); err != nil {
		return err
	}
	if err := writeKey(filepath.Join(s.dir, "sa.key")); err != nil {
		return err
	}
	tokens := filepath.Join(s.dir, "tokens.csv")
	if err := os.WriteFile(tokens, []byte("secret,admin,admin,\"system:masters\"\n"), 0o600); err != nil {
		return err
	}
	var ports [3]uint16
	for i := range ports {
		if ports[i], err = freeport.Take(); err != nil {
			return err
		}
	}
	etcd := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	err = s.run(filepath.Join(assets, "etcd"), "--data-dir", filepath.Join(s.dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", etcd, "--advertise-client-urls", etcd,
		"--listen-peer-urls", fmt.Sprintf("http://127.0.0.1:%d", ports[1]))
	if err != nil {
		return err
	}
	err = s.run(filepath.Join(assets, "kube-apiserver"), "--etcd-servers", etcd,
		"--cert-dir", filepath.Join(s.dir, "certs"), "--secure-port", fmt.Sprint(ports[2]),
		"--bind-address", "127.0.0.1", "--advertise-address", "192.0.2.1", "--authorization-mode", "RBAC",
		"--service-account-issuer", "https://localhost", "--service-account-key-file", filepath.Join(s.dir, "sa.key"),
		"--service-account-signing-key-file", filepath.Join(s.dir, "sa.key"), "--token-auth-file", tokens,
		"--service-cluster-ip-range", "10.96.0.0/16", "--disable-admission-plugins", "ServiceAccount")
	if err != nil {
		return err
	}
	return s.connect(ports[2])
}

func (s *server) connect(port uint16) error {
	s.kubeconfig = filepath.Join(s.dir, "kubeconfig")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: x,
clusters: [{name: c, cluster: {server: "https://127.0.0.1:%d", insecure-skip-tls-verify: true}}],
users: [{name: u, user: {token: secret}}], contexts: [{name: x, context: {cluster: c, user: u}}]}`, port)
	if err := os.WriteFile(s.kubeconfig, []byte(text), 0o600); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	if s.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		_, err := s.client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil {
			return nil
		}
		if !pause(ctx, 100*time.Millisecond) {
			return fmt.Errorf("the API server is not ready (see %s): %w", s.dir, err)
		}
	}
}

func (s *server) run(name string, args ...string) error {
	log, err := os.Create(filepath.Join(s.dir, filepath.Base(name)+".log"))
	if err != nil {
		return err
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	s.processes = append(s.processes, cmd)
	return cmd.Start()
}

func (s *server) stop() {
	for _, p := range slices.Backward(s.processes) {
		if p.Process != nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	}
	if s.dir != "" && s.err == nil {
		_ = os.RemoveAll(s.dir)
	}
}

func writeKey(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return os.WriteFile(path, pem.EncodeToMemory(block), 0o600)
}
