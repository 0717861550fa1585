package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// Options describe a control plane.
type Options struct {
	Plan fabric.Plan
	// Binaries is the folder of the programs (controlplane.Ensure).
	Binaries string
	// Dir takes certificates, kubeconfigs, logs and etcd's data. It must exist.
	Dir string
	// Env is added to the programs' environment (the lab's mark).
	Env []string
	// Forward is the address of the host, 127.0.0.1:PORT, at which the admin kubeconfig finds the API server.
	Forward string
	Log     *slog.Logger
}

// Cluster is a running control plane.
type Cluster struct {
	opts      Options
	ca        *authority
	dialer    *netspace.Dialer
	config    *rest.Config
	keepers   []*keeper
	apiserver *keeper
	proxies   map[string]*keeper // by node
	wg        sync.WaitGroup
}

// Kubeconfig is the administrator's, by the forwarder on the host's loopback.
func Kubeconfig(dir string) string { return filepath.Join(dir, "kubeconfig") }

// InsideKubeconfig is the administrator's for programs inside the lab's namespaces.
func InsideKubeconfig(dir string) string { return filepath.Join(dir, "kubeconfig-inside") }

// New prepares keys and kubeconfigs.
func New(opts Options) (*Cluster, error) {
	for _, sub := range []string{"logs", "etcd"} {
		if err := os.MkdirAll(filepath.Join(opts.Dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("control plane: %w", err)
		}
	}
	ca, err := newAuthority(filepath.Join(opts.Dir, "pki"))
	if err != nil {
		return nil, err
	}
	c := &Cluster{opts: opts, ca: ca, proxies: map[string]*keeper{}}
	if err := c.issueAll(); err != nil {
		return nil, err
	}
	if c.dialer, err = netspace.NewDialer(netspace.Path(opts.Plan.Namespace)); err != nil {
		return nil, err
	}
	if c.config, err = clientcmd.BuildConfigFromFlags("", InsideKubeconfig(opts.Dir)); err != nil {
		return nil, fmt.Errorf("control plane: %w", err)
	}
	c.config.Dial = c.dialer.DialContext
	c.config.QPS, c.config.Burst = 200, 400
	c.config.UserAgent = "kubectl-lb-lab"
	return c, nil
}

// RESTConfig is the lab's own way to the API server, as an administrator, from inside the fabric.
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.config) }

func (c *Cluster) issueAll() error {
	p := c.opts.Plan
	ids := map[string]identity{
		"apiserver": {
			Name: "kube-apiserver",
			Names: []string{
				"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc.cluster.local",
			},
			Addresses: []netip.Addr{
				netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback(), p.Address, p.Address6,
				netip.MustParsePrefix(fabric.ServiceRange).Addr().Next(),
				netip.MustParsePrefix(fabric.ServiceRange6).Addr().Next(),
			},
		},
		"admin":      {Name: "lab-admin", Groups: []string{"system:masters"}},
		"kubelet":    {Name: "lab-kubelet", Groups: []string{"system:masters"}},
		"controller": {Name: "system:kube-controller-manager"},
		"scheduler":  {Name: "system:kube-scheduler"},
		"proxy":      {Name: "system:kube-proxy"},
	}
	inside := "https://" + netip.AddrPortFrom(p.Address, fabric.APIPort).String()
	for file, id := range ids {
		if err := c.ca.issue(file, id); err != nil {
			return err
		}
		if file == "apiserver" {
			continue
		}
		if err := c.ca.kubeconfig(c.ca.file(file+".kubeconfig"), file, inside); err != nil {
			return err
		}
	}
	if err := c.ca.kubeconfig(Kubeconfig(c.opts.Dir), "admin", "https://"+c.opts.Forward); err != nil {
		return err
	}
	return c.ca.kubeconfig(InsideKubeconfig(c.opts.Dir), "admin", inside)
}

// Start starts every program; they run until the context ends. Readiness is for [Cluster.WaitReady].
func (c *Cluster) Start(ctx context.Context) {
	fabricNS := c.opts.Plan.Namespace
	c.keep(ctx, "etcd", fabricNS, c.etcd())
	c.apiserver = c.keep(ctx, "kube-apiserver", fabricNS, c.kubeAPIServer())
}

// StartControllers starts what needs an API server to be there: started before, each would only fail and back off.
func (c *Cluster) StartControllers(ctx context.Context) {
	fabricNS := c.opts.Plan.Namespace
	c.keep(ctx, "kube-controller-manager", fabricNS, c.controllerManager())
	c.keep(ctx, "kube-scheduler", fabricNS, c.scheduler())
	for _, n := range c.opts.Plan.Members() {
		c.proxies[n.Name] = c.keep(ctx, "kube-proxy-"+n.Name, n.Namespace, c.proxy(n))
	}
}

func (c *Cluster) keep(ctx context.Context, name, namespace string, argv []string) *keeper {
	k := &keeper{
		name: name, namespace: netspace.Path(namespace), argv: argv, log: c.opts.Log,
		logDir: filepath.Join(c.opts.Dir, "logs"), env: c.opts.Env, wake: make(chan struct{}, 1),
	}
	c.keepers = append(c.keepers, k)
	c.wg.Go(func() { k.run(ctx) })
	return k
}

// Wait returns when every program has ended, after the context of Start.
func (c *Cluster) Wait() {
	c.wg.Wait()
	c.dialer.Close()
}

// APIDown kills the API server and keeps it down.
func (c *Cluster) APIDown() { c.apiserver.hold() }

// APIUp lets the API server start again and waits until it is ready.
func (c *Cluster) APIUp(ctx context.Context) error {
	c.apiserver.release()
	return c.WaitReady(ctx)
}

// PowerOff kills the node's kube-proxy and keeps it down until PowerOn.
func (c *Cluster) PowerOff(node string) {
	if k, ok := c.proxies[node]; ok {
		k.hold()
	}
}

// PowerOn lets the node's kube-proxy start again.
func (c *Cluster) PowerOn(node string) {
	if k, ok := c.proxies[node]; ok {
		k.release()
	}
}

// WaitReady waits until the API server says that it is ready.
func (c *Cluster) WaitReady(ctx context.Context) error {
	config := c.RESTConfig()
	config.Timeout = 2 * time.Second
	client, err := rest.UnversionedRESTClientFor(withDefaults(config))
	if err != nil {
		return fmt.Errorf("API server: %w", err)
	}
	for {
		body, err := client.Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			reason := strings.TrimSpace(string(body))
			return fmt.Errorf("API server is not ready: %w: %s", err, reason)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Forward serves the API server on a listener of the host until the listener is closed.
func (c *Cluster) Forward(listener net.Listener) {
	to := netip.AddrPortFrom(c.opts.Plan.Address, fabric.APIPort).String()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go c.pipe(conn, to)
	}
}
