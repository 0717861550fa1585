// Package cluster runs the lab's control plane: etcd, kube-apiserver, kube-controller-manager and kube-scheduler in the
// fabric's namespace and a kube-proxy in each node's, with a certificate authority made for this one lab.
//
// Each program is restarted when it dies; the API server can be taken away and given back (an outage). It never
// touches Nodes or Pods: that is the kubelet stand-in's work (package kubelet).
package cluster
