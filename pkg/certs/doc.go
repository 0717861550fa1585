// Package certs reads certificates, keys and bundles of authorities, and judges whether a load balancer can serve with
// them. What passes is what nginx takes: everything is parsed here and written anew, so that no text of a user's
// reaches a file as it came.
//
// A key never leaves the package but in [KeyPair.PEM]: not in an error, a finding, a name or a digest.
//
// The package performs no IO and knows no Kubernetes.
package certs
