// Package e2e tests kubectl-lb with OpenStack as users meet it: the programs and the manifests of deploy/ in a lab's
// cluster, and a real Octavia beside it (package octavia), from the ConfigMap to the load balancer that is ACTIVE and
// back.
//
// Nothing answers at the addresses: the drivers of the lab's Octavia start no virtual machines.
package e2e
