// Package v1alpha1 holds the objects that kubectl lb prints with -o json, yaml and the templates: how load balancers
// and nodes fare ([LoadBalancerStatusList], [NodeStatusList]), what a failover test measured ([FailoverReport]), what
// is wrong with objects ([FindingReport]), and which software runs ([VersionReport]). They are no objects of the API
// server.
//
// Within a version, fields are only added. Every value that a table shows is in the object too.
package v1alpha1

// APIVersion is the apiVersion of every object of this package.
const APIVersion = "kubectl-lb.io/v1alpha1"
