package rig

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
	"github.com/kubectl-lb/kubectl-lb/test/lab/controlplane"
	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// Options describe a rig.
type Options struct {
	// Name is the lab's; see lab.Options.
	Name string
	// LBNodes, Workers and Clients count the machines; defaults 3, 2 and 1.
	LBNodes, Workers, Clients int
	// ProbeTimeout bounds each probe, default 300 ms.
	ProbeTimeout time.Duration
	// Software is the value of the key software of the controller's configuration, a YAML flow mapping such as
	// "{timing: {profile: fast}}"; empty leaves the defaults.
	Software string
	// Octavia is the value of the key octavia in the same way.
	Octavia string
	// Manifests are applied with those of deploy/, after the namespace and before what may need them.
	Manifests string
	// Progress takes the lab's progress; nil keeps it quiet.
	Progress io.Writer
}

// Rig is a lab and what is needed to use it.
type Rig struct {
	Lab *lab.Lab
	// Client is an administrator's.
	Client kubernetes.Interface
	// Repo is the checkout, Bin holds what was built from it, Binaries the control plane's programs.
	Repo, Bin, Binaries string
	// ProbeTimeout bounds each probe of [Rig.Probe]; zero leaves it to the prober.
	ProbeTimeout time.Duration

	software, octavia, manifests string

	home    string
	mu      sync.Mutex
	dialers map[string]*netspace.Dialer
}

// builtEnv names the folder of programs that have just been built; the Makefile sets it. Without it [Up] builds them.
const builtEnv = "KUBECTL_LB_BIN"

// Up builds the programs of the checkout and starts a lab. The product is not installed yet: see [Rig.Install].
func Up(ctx context.Context, o Options) (*Rig, error) {
	repo, err := controlplane.RepoRoot()
	if err != nil {
		return nil, err
	}
	r := &Rig{
		Repo: repo, Bin: os.Getenv(builtEnv), ProbeTimeout: o.ProbeTimeout, software: o.Software, octavia: o.Octavia,
		manifests: o.Manifests,
		dialers:   map[string]*netspace.Dialer{},
	}
	if r.Bin == "" {
		r.Bin = filepath.Join(repo, "bin")
		if err := r.build(ctx); err != nil {
			return nil, err
		}
	}
	if r.Lab, err = lab.Up(ctx, lab.Options{
		Name: o.Name, LBNodes: o.LBNodes, Workers: o.Workers, Clients: o.Clients, BinDir: r.Bin, Out: o.Progress,
	}); err != nil {
		return nil, err
	}
	r.Binaries = filepath.Dir(r.Lab.Info().Kubectl)
	if err := r.connect(); err != nil {
		r.Down()
		return nil, err
	}
	return r, nil
}

// build compiles what the lab runs. One rig builds at a time: another's lab may not start a program that is half
// written, and what is up to date is left alone.
func (r *Rig) build(ctx context.Context) error {
	if err := os.MkdirAll(r.Bin, 0o755); err != nil {
		return err
	}
	dir, err := os.Open(r.Bin)
	if err != nil {
		return err
	}
	defer dir.Close() // and with it the lock
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", r.Bin, err)
	}
	tests := filepath.Join(r.Repo, "test")
	for _, c := range []struct{ dir, packages string }{
		{r.Repo, "./cmd/..."}, {tests, "./lab/cmd/..."}, {tests, "./hello/..."},
	} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", r.Bin+"/", c.packages)
		cmd.Dir = c.dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s in %s: %w\n%s", c.packages, c.dir, err, out)
		}
	}
	return nil
}

func (r *Rig) connect() error {
	config, err := r.Lab.RESTConfig()
	if err != nil {
		return err
	}
	if r.Client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	r.home, err = os.MkdirTemp("", "kubectl-lb-rig-")
	return err
}

// Down removes the lab and everything of the rig. It may be called more than once.
func (r *Rig) Down() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, d := range r.dialers {
		d.Close()
		delete(r.dialers, name)
	}
	if err := r.Lab.Down(); err != nil {
		fmt.Fprintln(os.Stderr, "rig:", err)
	}
	if r.home != "" {
		os.RemoveAll(r.home)
	}
}

// LBNodes returns the names of the load-balancer nodes.
func (r *Rig) LBNodes() []string {
	var names []string
	for _, n := range r.Lab.Info().Nodes {
		if n.Role == fabric.RoleLB {
			names = append(names, n.Name)
		}
	}
	return names
}

// dialer returns the one dialer of a machine.
func (r *Rig) dialer(node string) (*netspace.Dialer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d, ok := r.dialers[node]; ok {
		return d, nil
	}
	d, err := r.Lab.Dialer(node)
	if err == nil {
		r.dialers[node] = d
	}
	return d, err
}
