package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// PauseCommand is the hidden first argument by which bin/lab sleeps until SIGTERM.
const PauseCommand = "pause"

// Lab is a running lab.
type Lab struct {
	info Info
	plan fabric.Plan
}

func newLab(info Info) *Lab {
	plan := fabric.Plan{Namespace: info.FabricNamespace}
	plan.Nodes = append(append(plan.Nodes, info.Nodes...), info.Clients...)
	full, err := fabric.NewPlan(info.Name, fabric.Size{Clients: 1})
	if err == nil { // the bridge's addresses are the same in every lab
		plan.Address, plan.Address6 = full.Address, full.Address6
	}
	return &Lab{info: info, plan: plan}
}

// Open attaches to the running lab of that name ("" is [DefaultName]). The error is [ErrNotRunning] if there is none.
func Open(name string) (*Lab, error) {
	if name == "" {
		name = DefaultName
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	dir := filepath.Join(BaseDir(), name)
	var result outcome
	err := readJSON(filepath.Join(dir, readyFile), &result)
	if errors.Is(err, os.ErrNotExist) || err == nil && result.Info == nil {
		return nil, fmt.Errorf("lab %s: %w", name, ErrNotRunning)
	}
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", name, err)
	}
	if owner, err := readOwner(dir); err != nil || !owner.Alive() {
		return nil, fmt.Errorf("lab %s: %w: its supervisor died, `lab down` removes the rest", name, ErrNotRunning)
	}
	return newLab(*result.Info), nil
}

// Down removes the lab of that name and everything that a crash of it may have left. No lab is no error.
func Down(name string) error {
	if name == "" {
		name = DefaultName
	}
	if err := checkName(name); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("the lab needs root")
	}
	if err := destroy(name); err != nil {
		return err
	}
	tidyBase()
	return nil
}

// Info says what the lab is.
func (l *Lab) Info() Info { return l.info }

// Down removes the lab.
func (l *Lab) Down() error { return Down(l.info.Name) }

// RESTConfig is the administrator's, by the host's loopback.
func (l *Lab) RESTConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.info.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", l.info.Name, err)
	}
	config.QPS, config.Burst = -1, 0 // a test must never wait for its own client
	return config, nil
}

// Node returns the machine of that name, clients included.
func (l *Lab) Node(name string) (fabric.Node, error) {
	n, ok := l.plan.Node(name)
	if !ok {
		var names []string
		for _, n := range l.plan.Nodes {
			names = append(names, n.Name)
		}
		return n, fmt.Errorf("lab %s has no node %q (it has %s)", l.info.Name, name, strings.Join(names, ", "))
	}
	return n, nil
}

// Command returns a command to run in the machine's network. Its file system and processes are the host's; its
// environment says where the cluster is (KUBECONFIG).
func (l *Lab) Command(node string, argv ...string) (*exec.Cmd, error) {
	n, err := l.Node(node)
	if err != nil {
		return nil, err
	}
	if len(argv) == 0 {
		return nil, errors.New("no command")
	}
	cmd := netspace.Command(netspace.Path(n.Namespace), argv...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+l.info.InsideKubeconfig)
	return cmd, nil
}

// Output runs a command in the machine's network and returns its standard output; what it says on standard error is
// part of the error.
func (l *Lab) Output(ctx context.Context, node string, argv ...string) ([]byte, error) {
	base, err := l.Command(node, argv...)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, base.Path, base.Args[1:]...)
	cmd.Env = base.Env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s on %s: %w: %s", argv[0], node, err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// Dialer dials from the machine; close it after use.
func (l *Lab) Dialer(node string) (*netspace.Dialer, error) {
	n, err := l.Node(node)
	if err != nil {
		return nil, err
	}
	return netspace.NewDialer(netspace.Path(n.Namespace))
}

// control asks the supervisor for something.
func (l *Lab) control(ctx context.Context, verb string) error {
	socket := filepath.Join(l.info.Dir, socketFile)
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://lab/"+verb, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("lab %s: %s: %w", l.info.Name, verb, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("lab %s: %s: %w", l.info.Name, verb, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("lab %s: %s: %s", l.info.Name, verb, strings.TrimSpace(string(body)))
	}
	return nil
}
