// Package keyring keeps what nginx needs for TLS in files: certificates with their keys, bundles of authorities, and
// the keys of session tickets. They outlive the daemon and the API server.
//
//	<name>.0.pem <name>.1.pem    a certificate, twice: nginx reads the one in even seconds, the other in odd ones
//	<name>-<digest>.pem          a bundle of authorities
//	tickets-<digest>.<n>.key     keys for session tickets, the first to make them with
//
// # Who may read them
//
// The directory belongs to root, and the group of nginx's workers may pass through it but not list it. Certificates are
// that group's to read and nobody's to write, for workers read them at every handshake; ticket keys are root's alone,
// for the master reads them.
//
// # Replacing a certificate
//
// A handshake reads a file twice, once for the certificate and once for the key. So a file is only replaced, by one
// rename, in a second in which it is not read, a good way from the second's ends: a worker may be late. Within two
// seconds both are the new ones. See the renderer (pkg/render/nginx) for the other half of the bargain.
//
// The package never starts or signals anything, and trusts nobody: what cannot be served is refused, and the last good
// version stays.
package keyring
