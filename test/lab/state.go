package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/test/lab/cluster"
	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// Info says what a running lab is; `lab up --json` prints it.
type Info struct {
	Name string `json:"name"`
	// Dir holds everything of this lab: logs, kubeconfigs, the nodes' files.
	Dir string `json:"dir"`
	// Kubeconfig works on the host (and wherever the host's loopback is); InsideKubeconfig in the lab's namespaces.
	Kubeconfig       string `json:"kubeconfig"`
	InsideKubeconfig string `json:"insideKubeconfig"`
	// Kubectl is the cluster's own kubectl.
	Kubectl string        `json:"kubectl"`
	Nodes   []fabric.Node `json:"nodes"`
	// Client stands outside the cluster; ClientNamespace is where it lives. Further clients are Clients[1:].
	Client          fabric.Node   `json:"client"`
	ClientNamespace string        `json:"clientNamespace"`
	Clients         []fabric.Node `json:"clients"`
	// FabricNamespace holds the bridge and the control plane.
	FabricNamespace string `json:"fabricNamespace"`
	// AddressPools are free for load balancers, IPv4 first.
	AddressPools []string `json:"addressPools"`
	// StartSeconds is how long `up` took.
	StartSeconds float64 `json:"startSeconds"`
}

// The files of a lab's folder besides what package cluster puts there.
const (
	ownerFile   = "owner.json"   // the process that is starting or holding the lab
	optionsFile = "options.json" // what was asked for
	readyFile   = "ready.json"   // what came of it: an Info, or an error
	socketFile  = "control.sock"
	logFile     = "supervisor.log"
)

// outcome is what the supervisor leaves in readyFile.
type outcome struct {
	Info  *Info  `json:"info,omitempty"`
	Error string `json:"error,omitempty"`
}

// markName is the variable that every process of a lab has in its environment; its value is the lab's folder.
const markName = "KUBECTL_LB_LAB_MARK"

func mark(dir string) string { return markName + "=" + dir }

func newInfo(o Options, dir string, plan fabric.Plan) Info {
	info := Info{
		Name: o.Name, Dir: dir,
		Kubeconfig: cluster.Kubeconfig(dir), InsideKubeconfig: cluster.InsideKubeconfig(dir),
		Kubectl: filepath.Join(o.Binaries, "kubectl"), FabricNamespace: plan.Namespace,
		AddressPools: []string{fabric.Pool, fabric.Pool6},
	}
	for _, n := range plan.Nodes {
		if n.Role == fabric.RoleClient {
			info.Clients = append(info.Clients, n)
			continue
		}
		info.Nodes = append(info.Nodes, n)
	}
	info.Client = info.Clients[0]
	info.ClientNamespace = info.Client.Namespace
	return info
}

// claim takes the folder of a new lab, or says that a lab runs there. What a dead lab left is removed first.
func claim(name string) (dir string, err error) {
	base := BaseDir()
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("lab %s: %w", name, err)
	}
	lock, err := os.Open(base)
	if err != nil {
		return "", fmt.Errorf("lab %s: %w", name, err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("lab %s: lock %s: %w", name, base, err)
	}
	dir = filepath.Join(base, name)
	if _, err := os.Stat(dir); err == nil {
		if owner, err := readOwner(dir); err == nil && owner.Alive() {
			return "", fmt.Errorf("lab %s runs already (process %d): `lab down --name %s` ends it", name, owner.PID, name)
		}
	}
	// Namespaces may be left over even where the folder is gone.
	if err := destroy(name); err != nil {
		return "", fmt.Errorf("lab %s: remove what a dead one left: %w", name, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("lab %s: %w", name, err)
	}
	return dir, writeOwner(dir, os.Getpid())
}

func writeOwner(dir string, pid int) error {
	p, err := netspace.Look(pid)
	if err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, ownerFile), p)
}

func readOwner(dir string) (netspace.Process, error) {
	var p netspace.Process
	err := readJSON(filepath.Join(dir, ownerFile), &p)
	return p, err
}

// writeJSON replaces the file in one step.
func writeJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(tmp, path)
}

func readJSON(path string, value any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// ErrNotRunning says that there is no such lab.
var ErrNotRunning = errors.New("no such lab runs")
