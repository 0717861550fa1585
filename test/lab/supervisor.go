package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-lb/kubectl-lb/test/lab/cluster"
	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/kubelet"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// heartbeatPort is where nodes find out whether they reach the control plane's side of the network.
const heartbeatPort = fabric.APIPort + 1

// supervisor holds a lab: its control plane, its kubelets, the way in for the host, and the control socket.
type supervisor struct {
	dir     string
	options Options
	plan    fabric.Plan
	log     *slog.Logger
	cluster *cluster.Cluster
	client  kubernetes.Interface
	kubelet *kubelet.Kubelet
	steps   *steps
	begun   time.Time
	wg      sync.WaitGroup
}

// Supervise is what a supervisor process does, until ctx ends; then it removes the lab, itself excepted.
func Supervise(ctx context.Context, dir string, log *slog.Logger) error {
	s := &supervisor{dir: dir, log: log, steps: newSteps(os.Stdout), begun: time.Now()}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	info, err := s.start(ctx)
	result := outcome{Info: info}
	if err != nil {
		result = outcome{Error: err.Error()}
	}
	if writeErr := writeJSON(filepath.Join(dir, readyFile), result); writeErr != nil {
		err = errors.Join(err, writeErr)
	}
	if err != nil {
		log.Error("lab not started", "error", err)
		return err // whoever started it cleans up
	}
	<-ctx.Done()
	s.wg.Wait()
	if err := destroy(s.options.Name); err != nil {
		return err
	}
	tidyBase()
	return nil
}

func (s *supervisor) start(ctx context.Context) (*Info, error) {
	if err := readJSON(filepath.Join(s.dir, optionsFile), &s.options); err != nil {
		return nil, err
	}
	o := s.options
	var err error
	s.plan, err = fabric.NewPlan(o.Name, fabric.Size{LBNodes: o.LBNodes, Workers: o.Workers, Clients: o.Clients})
	if err != nil {
		return nil, err
	}
	if err := fabric.Build(s.plan); err != nil {
		return nil, err
	}
	s.steps.done(fmt.Sprintf("network: %d nodes, %d clients", len(s.plan.Members()), o.Clients))
	if err := s.startCluster(ctx); err != nil {
		return nil, err
	}
	if err := s.startNodes(ctx); err != nil {
		return nil, err
	}
	if err := s.serveControl(ctx); err != nil {
		return nil, err
	}
	info := newInfo(o, s.dir, s.plan)
	info.StartSeconds = time.Since(s.begun).Seconds()
	return &info, nil
}

func (s *supervisor) startCluster(ctx context.Context) error {
	// etcd's writes go to memory: they would only be in the way of what is measured.
	etcd := filepath.Join(s.dir, "etcd")
	if err := os.Mkdir(etcd, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("etcd", etcd, "tmpfs", 0, "mode=0700"); err != nil {
		return fmt.Errorf("mount tmpfs for etcd: %w", err)
	}
	outer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("forwarder: %w", err)
	}
	s.cluster, err = cluster.New(cluster.Options{
		Plan: s.plan, Binaries: s.options.Binaries, Dir: s.dir, Env: []string{mark(s.dir)},
		Forward: outer.Addr().String(), Log: s.log,
	})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { outer.Close() })
	go s.cluster.Forward(outer)
	s.cluster.Start(ctx)
	s.wg.Go(func() {
		<-ctx.Done()
		s.cluster.Wait()
	})
	if err := s.cluster.WaitReady(ctx); err != nil {
		return err
	}
	s.steps.done("etcd, kube-apiserver")
	s.cluster.StartControllers(ctx)
	s.client, err = kubernetes.NewForConfig(s.cluster.RESTConfig())
	return err
}

func (s *supervisor) startNodes(ctx context.Context) error {
	if err := s.serveHeartbeats(ctx); err != nil {
		return err
	}
	k, err := kubelet.New(kubelet.Options{
		Client: s.client, Plan: s.plan, Dir: filepath.Join(s.dir, "nodes"), Self: s.options.Program,
		Images: kubelet.Images{
			BinDir: s.options.BinDir, Pause: []string{s.options.Program, PauseCommand}, More: s.options.Images,
		},
		Env:       []string{mark(s.dir)},
		Heartbeat: netip.AddrPortFrom(s.plan.Address, heartbeatPort),
		API:       netip.AddrPortFrom(s.plan.Address, fabric.APIPort),
		Version:   kubernetesVersion(s.options.Binaries), Log: s.log,
	})
	if err != nil {
		return err
	}
	s.kubelet = k
	s.wg.Go(func() {
		if err := k.Run(ctx); err != nil {
			s.log.Error("kubelets ended", "error", err)
		}
	})
	if err := s.waitNodes(ctx); err != nil {
		return err
	}
	s.steps.done("kubelets: all nodes Ready")
	if err := s.waitProxies(ctx); err != nil {
		return err
	}
	s.steps.done("kube-proxy: ClusterIPs answer on all nodes")
	return nil
}

// serveHeartbeats listens in the fabric and hangs up on everyone: to be reached is all.
func (s *supervisor) serveHeartbeats(ctx context.Context) error {
	var listener net.Listener
	err := netspace.Do(netspace.Path(s.plan.Namespace), func() error {
		var err error
		listener, err = net.Listen("tcp", netip.AddrPortFrom(s.plan.Address, heartbeatPort).String())
		return err
	})
	if err != nil {
		return fmt.Errorf("heartbeat listener: %w", err)
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	return nil
}

// waitNodes waits until every node is Ready and free of the taint that new nodes have, and until Pods can be made in
// the default namespace.
func (s *supervisor) waitNodes(ctx context.Context) error {
	want := len(s.plan.Members())
	return poll(ctx, "nodes", func() error {
		nodes, err := s.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		ready := 0
		for _, n := range nodes.Items {
			if usable(&n) {
				ready++
			}
		}
		if ready < want {
			return fmt.Errorf("%d of %d nodes are Ready", ready, want)
		}
		_, err = s.client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

func usable(n *corev1.Node) bool {
	for _, t := range n.Spec.Taints {
		if t.Key == corev1.TaintNodeNotReady {
			return false
		}
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// waitProxies waits until the API server's ClusterIP answers on each node.
func (s *supervisor) waitProxies(ctx context.Context) error {
	service := netip.AddrPortFrom(netip.MustParsePrefix(fabric.ServiceRange).Addr().Next(), 443).String()
	for _, n := range s.plan.Members() {
		dialer, err := netspace.NewDialer(netspace.Path(n.Namespace))
		if err != nil {
			return err
		}
		err = poll(ctx, "kube-proxy of "+n.Name, func() error {
			ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			defer cancel()
			conn, err := dialer.DialContext(ctx, "tcp", service)
			if err != nil {
				return err
			}
			return conn.Close()
		})
		dialer.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func poll(ctx context.Context, what string, ok func() error) error {
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// serveControl answers on a unix socket what only the supervisor can do.
func (s *supervisor) serveControl(ctx context.Context) error {
	listener, err := net.Listen("unix", filepath.Join(s.dir, socketFile))
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api-down", func(http.ResponseWriter, *http.Request) { s.cluster.APIDown() })
	mux.HandleFunc("POST /api-up", func(w http.ResponseWriter, r *http.Request) {
		if err := s.cluster.APIUp(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	for verb, do := range map[string]func(string) error{
		powerOff: s.powerOff, powerOn: s.powerOn,
	} {
		mux.HandleFunc("POST /"+verb+"/{node}", func(w http.ResponseWriter, r *http.Request) {
			if err := do(r.PathValue("node")); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("control socket", "error", err)
		}
	}()
	return nil
}

// powerOff takes a node's power: its Pods and, as every node has one, its kube-proxy.
func (s *supervisor) powerOff(node string) error {
	err := s.kubelet.PowerOff(node)
	s.cluster.PowerOff(node)
	return err
}

func (s *supervisor) powerOn(node string) error {
	err := s.kubelet.PowerOn(node)
	s.cluster.PowerOn(node)
	return err
}

// kubernetesVersion reads the version from the cache folder's name (v1.37.2-0123456789ab).
func kubernetesVersion(binaries string) string {
	version, _, _ := strings.Cut(filepath.Base(binaries), "-")
	if !strings.HasPrefix(version, "v") {
		return "v0.0.0"
	}
	return version
}
