package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// SystemNamespace is where deploy/ puts everything that is not a user's object.
const SystemNamespace = "kubectl-lb-system"

// configFile is the one manifest of deploy/ that every installation has to change: it holds the address pools.
const configFile = "20-config.yaml"

// Install applies deploy/ with the lab's address pools and waits until the controller leads and every daemon serves.
func (r *Rig) Install(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(r.Repo, "deploy", "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.Join(fmt.Errorf("no manifests in %s/deploy", r.Repo), err)
	}
	slices.Sort(files)
	var manifests []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if filepath.Base(file) == configFile {
			text = []byte(r.config())
		}
		manifests = append(manifests, string(text))
	}
	if r.manifests != "" {
		manifests = slices.Insert(manifests, 1, r.manifests)
	}
	if err := r.Apply(ctx, strings.Join(manifests, "\n---\n")); err != nil {
		return err
	}
	return r.WaitInstalled(ctx)
}

// config is the controller's configuration for the lab: its pools, and one of two addresses for running out of them.
func (r *Rig) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: v1
kind: ConfigMap
metadata:
  name: lb-controller-config
  namespace: %s
data:
  config.yaml: |
    apiVersion: kubectl-lb.io/v1alpha1
    kind: ControllerConfiguration
    addressPools:
`, SystemNamespace)
	for _, p := range Pools() {
		fmt.Fprintf(&b, "    - name: %s\n      addresses: [%q]\n      autoAssign: %t\n", p.Name, p.Addresses, p.AutoAssign)
	}
	if r.software != "" {
		fmt.Fprintf(&b, "    software: %s\n", r.software)
	}
	if r.octavia != "" {
		fmt.Fprintf(&b, "    octavia: %s\n", r.octavia)
	}
	return b.String()
}

// Pool is an address pool of the rig's controller.
type Pool struct {
	Name, Addresses string
	AutoAssign      bool
}

// Pools are the rig's address pools, inside the lab's ranges and apart from each other.
func Pools() []Pool {
	return []Pool{
		{Name: "default", Addresses: "10.88.96.0/21", AutoAssign: true},
		{Name: "tiny", Addresses: "10.88.104.1-10.88.104.2"},
		{Name: "default6", Addresses: "fd00:88::100:0/112", AutoAssign: true},
	}
}

// WaitInstalled waits until the Deployment is complete and every node's daemon reports that it runs what the
// controller wants of it.
func (r *Rig) WaitInstalled(ctx context.Context) error {
	return wait(ctx, 90*time.Second, "kubectl-lb to be installed", func() (bool, string) {
		d, err := r.Client.AppsV1().Deployments(SystemNamespace).Get(ctx, "lb-controller", metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		if d.Status.ReadyReplicas != *d.Spec.Replicas {
			return false, fmt.Sprintf("%d of %d controllers are ready", d.Status.ReadyReplicas, *d.Spec.Replicas)
		}
		if _, err := r.Leader(ctx); err != nil {
			return false, err.Error()
		}
		fleet, err := r.Fleet(ctx)
		if err != nil {
			return false, err.Error()
		}
		if want := len(r.LBNodes()); len(fleet.Nodes) != want {
			return false, fmt.Sprintf("the fleet has %d of %d nodes", len(fleet.Nodes), want)
		}
		for _, n := range r.LBNodes() {
			s, err := r.NodeStatus(ctx, n)
			if err != nil {
				return false, err.Error()
			}
			if s.Running.Fleet < fleet.Revision {
				return false, fmt.Sprintf("%s runs fleet revision %d, not %d", n, s.Running.Fleet, fleet.Revision)
			}
		}
		return r.atHome(fleet)
	})
}

// atHome says whether every VRRP group is carried by its home and by nobody else, as it is once nobody waits to
// preempt. It looks at the kernels' anchor addresses, for a report may be older than what happened.
func (r *Rig) atHome(fleet nodeconfig.Fleet) (bool, string) {
	for _, g := range fleet.Groups {
		for _, anchor := range g.Anchors {
			nodes, err := r.Holders(anchor.String())
			if err != nil {
				return false, err.Error()
			}
			if !slices.Equal(nodes, []string{g.Home}) {
				return false, fmt.Sprintf("the anchor %s of group %d is on %v, not on its home %s", anchor, g.ID, nodes, g.Home)
			}
		}
	}
	return true, ""
}

// Fleet reads the document that the daemons share.
func (r *Rig) Fleet(ctx context.Context) (nodeconfig.Fleet, error) {
	cm, err := r.Client.CoreV1().ConfigMaps(SystemNamespace).Get(ctx, nodeconfig.FleetName, metav1.GetOptions{})
	if err != nil {
		return nodeconfig.Fleet{}, err
	}
	return nodeconfig.Decode[nodeconfig.Fleet](cm.Data[nodeconfig.KeyConfig])
}

// NodeStatus reads what a node's daemon says about itself.
func (r *Rig) NodeStatus(ctx context.Context, node string) (nodeconfig.Status, error) {
	name := nodeconfig.StatusName(node)
	cm, err := r.Client.CoreV1().ConfigMaps(SystemNamespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nodeconfig.Status{}, err
	}
	return nodeconfig.Decode[nodeconfig.Status](cm.Data[nodeconfig.KeyStatus])
}

// Configure gives the controllers another value of the key software, as [Options.Software], and restarts them.
func (r *Rig) Configure(ctx context.Context, software string) error {
	r.software = software
	if err := r.Apply(ctx, r.config()); err != nil {
		return err
	}
	before, err := r.Fleet(ctx)
	if err != nil {
		return err
	}
	for _, verb := range [][]string{{"restart"}, {"status", "--timeout=60s"}} {
		args := append([]string{"-n", SystemNamespace, "rollout"}, verb...)
		if _, err := r.MustKubectl(ctx, "", append(args, "deployment/lb-controller")...); err != nil {
			return err
		}
	}
	return wait(ctx, 60*time.Second, "the fleet to be configured anew", func() (bool, string) {
		fleet, err := r.Fleet(ctx)
		if err != nil {
			return false, err.Error()
		}
		return fleet.Revision > before.Revision, fmt.Sprintf("it has revision %d", fleet.Revision)
	})
}
