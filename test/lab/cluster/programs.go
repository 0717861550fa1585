package cluster

import (
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
)

const etcdURL = "http://127.0.0.1:2379"

func (c *Cluster) binary(name string) string { return filepath.Join(c.opts.Binaries, name) }

// etcd keeps nothing across a power cut (no fsync): the lab dies with its machine anyway.
func (c *Cluster) etcd() []string {
	return []string{
		c.binary("etcd"), "--name=lab", "--data-dir=" + filepath.Join(c.opts.Dir, "etcd", "data"), "--unsafe-no-fsync",
		"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=lab=http://127.0.0.1:2380", "--log-level=warn",
		"--auto-compaction-mode=periodic", "--auto-compaction-retention=10m",
	}
}

func (c *Cluster) kubeAPIServer() []string {
	return []string{
		c.binary("kube-apiserver"), "--etcd-servers=" + etcdURL,
		"--bind-address=::", "--secure-port=" + strconv.Itoa(fabric.APIPort),
		"--advertise-address=" + c.opts.Plan.Address.String(),
		"--service-cluster-ip-range=" + fabric.ServiceRange + "," + fabric.ServiceRange6,
		"--tls-cert-file=" + c.ca.file("apiserver.crt"), "--tls-private-key-file=" + c.ca.file("apiserver.key"),
		"--client-ca-file=" + c.ca.file("ca.crt"),
		"--kubelet-client-certificate=" + c.ca.file("admin.crt"), "--kubelet-client-key=" + c.ca.file("admin.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.ca.file("service-accounts.key"),
		"--service-account-signing-key-file=" + c.ca.file("service-accounts.key"),
		"--authorization-mode=RBAC", "--allow-privileged=true", "--profiling=false",
		"--cert-dir=" + filepath.Join(c.opts.Dir, "pki"), "--v=1",
	}
}

// controllerManager runs the controllers that a cluster without a cloud, without storage and with its pod ranges given
// needs. Leader election is off: there is one, and it would add seconds to every start.
func (c *Cluster) controllerManager() []string {
	return []string{
		c.binary("kube-controller-manager"), "--kubeconfig=" + c.ca.file("controller.kubeconfig"),
		"--controllers=*,-persistentvolume-attach-detach-controller,-persistentvolume-binder-controller," +
			"-persistentvolume-expander-controller,-horizontal-pod-autoscaler-controller,-node-ipam-controller",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.ca.file("service-accounts.key"),
		"--root-ca-file=" + c.ca.file("ca.crt"),
		"--cluster-signing-cert-file=" + c.ca.file("ca.crt"), "--cluster-signing-key-file=" + c.ca.file("ca.key"),
		"--service-cluster-ip-range=" + fabric.ServiceRange + "," + fabric.ServiceRange6,
		"--allocate-node-cidrs=false", "--leader-elect=false", "--secure-port=0", "--profiling=false", "--v=1",
	}
}

func (c *Cluster) scheduler() []string {
	return []string{
		c.binary("kube-scheduler"), "--kubeconfig=" + c.ca.file("scheduler.kubeconfig"),
		"--authentication-kubeconfig=" + c.ca.file("scheduler.kubeconfig"),
		"--authorization-kubeconfig=" + c.ca.file("scheduler.kubeconfig"),
		"--leader-elect=false", "--bind-address=127.0.0.1", "--profiling=false", "--v=1",
	}
}

// proxy is a node's kube-proxy. Its servers stay on the node's own address, away from 0.0.0.0, where they would answer
// on the load balancers' addresses, too. It is not told the pods' range: it would masquerade what nodes send to cluster
// IPs, from random ports, and a pod that has just closed a connection from the same port refuses the next one for a
// moment (docs/operations.md, "Many short connections").
func (c *Cluster) proxy(n fabric.Node) []string {
	return []string{
		c.binary("kube-proxy"), "--kubeconfig=" + c.ca.file("proxy.kubeconfig"), "--hostname-override=" + n.Name,
		"--proxy-mode=nftables", "--conntrack-max-per-core=0",
		fmt.Sprintf("--healthz-bind-address=%s:10256", n.Address),
		fmt.Sprintf("--metrics-bind-address=%s:10249", n.Address), "--v=1",
	}
}
