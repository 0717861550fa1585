package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/test/lab/echo"
	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
	"github.com/kubectl-lb/kubectl-lb/test/lab/owner"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// patience is how long a fleet may take to settle between two trials.
const patience = 90 * time.Second

// stage is a cluster with load balancers, watched from all sides.
type stage struct {
	options options
	profile string
	rig     *rig.Rig
	watch   *owner.Watch
	// near stands with the client, far with the second one; control is a target that no fault touches.
	near, far *echo.Prober
	control   netip.Addr
	addresses []netip.Addr
	// asked are those of the addresses that the client asks.
	asked map[netip.Addr]bool
	// homes say where each address belongs; see [stage.converge].
	homes map[netip.Addr]string
	nodes []string
	burns []*os.Process
}

func newStage(ctx context.Context, o options, profile, software string) (*stage, error) {
	r, err := rig.Up(ctx, rig.Options{
		Name: "failover", LBNodes: 3, Workers: 2, Clients: 2, Software: software, Progress: os.Stderr,
	})
	if err != nil {
		return nil, err
	}
	s := &stage{options: o, profile: profile, rig: r, nodes: r.LBNodes(), control: netip.MustParseAddr("10.88.0.1")}
	if err := s.prepare(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) prepare(ctx context.Context) error {
	if err := s.rig.Install(ctx); err != nil {
		return err
	}
	if err := s.rig.ApplyFile(ctx, "examples/coffee-app.yaml"); err != nil {
		return err
	}
	if err := s.rig.WaitService(ctx, "default", "coffee-svc"); err != nil {
		return err
	}
	if err := s.expose(ctx, s.options.addresses); err != nil {
		return err
	}
	if err := s.observe(5 * time.Millisecond); err != nil {
		return err
	}
	return hurry()
}

// expose creates load balancers until there are n, and waits until all are served.
func (s *stage) expose(ctx context.Context, n int) error {
	maps := s.rig.Client.CoreV1().ConfigMaps("default")
	for i := len(s.addresses); i < n; i++ {
		if _, err := maps.Create(ctx, loadBalancer(i), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	for i := len(s.addresses); i < n; i++ {
		ip, err := s.rig.WaitServing(ctx, "default", loadBalancer(i).Name)
		if err != nil {
			return err
		}
		address, err := netip.ParseAddr(ip)
		if err != nil {
			return err
		}
		s.addresses = append(s.addresses, address)
	}
	return nil
}

func loadBalancer(i int) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("failover-%04d", i), Labels: map[string]string{"app": "loadbalancer"},
		},
		Data: map[string]string{"target-service-name": "coffee-svc", "bind-port": "80"},
	}
}

// observe begins to watch the kernels and to ask all addresses, at that interval.
func (s *stage) observe(interval time.Duration) error {
	s.unobserve()
	var err error
	if s.watch, err = owner.Start(s.lbNodes()); err != nil {
		return err
	}
	info := s.rig.Lab.Info()
	s.asked = map[netip.Addr]bool{}
	targets := []netip.Addr{s.control}
	for i := 0; i < len(s.addresses); i += 1 + len(s.addresses)/mostAsked {
		s.asked[s.addresses[i]] = true
		targets = append(targets, s.addresses[i])
	}
	s.near, err = echo.Start(echo.Options{
		Namespace: netspace.Path(info.Clients[0].Namespace), Interval: interval, Targets: targets,
	})
	return err
}

// mostAsked is how many addresses the client asks at most. All namespaces share the kernel's one table of neighbours,
// which holds 1,024 (net.ipv4.neigh.default.gc_thresh3) and is the host's to change. The kernels are watched for all.
const mostAsked = 300

// observeFar lets the second client ask as well, which costs as much again.
func (s *stage) observeFar() error {
	if s.far != nil {
		return nil
	}
	var err error
	s.far, err = echo.Start(echo.Options{
		Namespace: netspace.Path(s.rig.Lab.Info().Clients[1].Namespace),
		Targets:   append(slices.Clone(s.addresses), s.control),
	})
	return err
}

func (s *stage) unobserve() {
	if s.watch != nil {
		s.watch.Stop()
	}
	for _, p := range []*echo.Prober{s.near, s.far} {
		if p != nil {
			p.Stop()
		}
	}
	s.watch, s.near, s.far = nil, nil, nil
}

func (s *stage) close() {
	s.unobserve()
	for _, p := range s.burns {
		_ = p.Kill()
	}
	s.rig.Down()
}

func (s *stage) lbNodes() []fabric.Node {
	return slices.DeleteFunc(slices.Clone(s.rig.Lab.Info().Nodes), func(n fabric.Node) bool {
		return n.Role != fabric.RoleLB
	})
}

// ownPriority is the nice value of this program while it measures.
const ownPriority = -10

// hurry gives this program's threads priority over what it measures, the lab's processes excepted, which were started
// before. Without the right to do so it goes on as it is, and shows as stalls.
func hurry() error {
	threads, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		return err
	}
	for _, t := range threads {
		if id, err := strconv.Atoi(filepath.Base(t)); err == nil {
			if now, err := unix.Getpriority(unix.PRIO_PROCESS, id); err == nil && now > 10 { // 20 - nice
				_ = unix.Setpriority(unix.PRIO_PROCESS, id, ownPriority)
			}
		}
	}
	return nil
}

// converge waits until every address is on its home, everything runs what it should, and the client gets answers. While
// the API server is away (asked is false) the kernels alone are asked.
func (s *stage) converge(ctx context.Context, asked bool) error {
	if asked {
		err := rig.Wait(ctx, patience, "the fleet to settle", func() (bool, string) {
			homes, err := s.rig.Homes(ctx)
			if err != nil {
				return false, err.Error()
			}
			s.homes = homes
			ok, missing := s.rig.Settled(ctx, s.nodes)
			if !ok {
				time.Sleep(100 * time.Millisecond) // to ask more often would be a load of its own
			}
			return ok, missing
		})
		if err != nil {
			return err
		}
	}
	return rig.Wait(ctx, patience, "every address to be at home", func() (bool, string) {
		now := time.Now()
		for _, a := range s.addresses {
			if owners := s.watch.Owners(a); len(owners) != 1 || owners[0] != s.homes[a] {
				return false, fmt.Sprintf("%s is on %v, not on %s", a, owners, s.homes[a])
			}
			if s.asked[a] && !s.near.Answering(a, now.Add(-50*time.Millisecond)) {
				return false, fmt.Sprintf("%s does not answer", a)
			}
		}
		return true, ""
	})
}

// on returns the addresses that the node owns alone.
func (s *stage) on(node string) []netip.Addr {
	var mine []netip.Addr
	for _, a := range s.addresses {
		if slices.Equal(s.watch.Owners(a), []string{node}) {
			mine = append(mine, a)
		}
	}
	return mine
}

var errNothing = errors.New("the node holds no address")
