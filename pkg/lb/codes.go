package lb

import (
	"slices"
	"sync"
)

// Code numbers a kind of finding. Numbers are stable: a retired one is never used again.
type Code string

// The codes, by the part of the work that finds them: LB01 the object's own data, LB02 the Service it targets, LB03
// its address, LB04 the backend, LB05 the certificates, LB06 OpenStack.
const (
	CodeUnknownKey        Code = "LB0101"
	CodeMissingKey        Code = "LB0102"
	CodeBadPort           Code = "LB0103"
	CodeBadValue          Code = "LB0104"
	CodeAmbiguousPort     Code = "LB0105"
	CodePortNotFound      Code = "LB0106"
	CodeUnsafeValue       Code = "LB0107"
	CodeConflictingKeys   Code = "LB0108"
	CodeServiceNotFound   Code = "LB0201"
	CodeServiceNoPorts    Code = "LB0202"
	CodeServiceNoIP       Code = "LB0203"
	CodeServiceForeign    Code = "LB0204"
	CodeServiceSticky     Code = "LB0205"
	CodeNoEndpoints       Code = "LB0206"
	CodeManyEndpoints     Code = "LB0207"
	CodeEndpointsUnread   Code = "LB0208"
	CodeServiceNoNodePort Code = "LB0209"
	CodeAddressOutside    Code = "LB0301"
	CodeAddressTaken      Code = "LB0302"
	CodeAddressPortTaken  Code = "LB0303"
	CodePoolExhausted     Code = "LB0304"
	CodePoolUnknown       Code = "LB0305"
	CodeAddressStray      Code = "LB0306"
	CodeShareRefused      Code = "LB0307"
	CodeBackendCannot     Code = "LB0401"
	CodeNoNodes           Code = "LB0402"
	CodeNodeRefused       Code = "LB0403"
	CodeTwoOwners         Code = "LB0404"
	CodeNoOwner           Code = "LB0405"
	CodeForeignOwner      Code = "LB0406"
	CodeBackendAbsent     Code = "LB0407"
	CodeTooLarge          Code = "LB0408"
	CodeSecretNotFound    Code = "LB0501"
	CodeSecretType        Code = "LB0502"
	CodeCertMalformed     Code = "LB0503"
	CodeKeyMismatch       Code = "LB0504"
	CodeCertExpired       Code = "LB0505"
	CodeCertExpiring      Code = "LB0506"
	CodeHostUncovered     Code = "LB0507"
	CodeBundleMalformed   Code = "LB0508"
	CodeCertNames         Code = "LB0509"
	CodeCloudRefused      Code = "LB0601"
	CodeCloudQuota        Code = "LB0602"
	CodeCloudDenied       Code = "LB0603"
	CodeCloudError        Code = "LB0604"
	CodeCloudStuck        Code = "LB0605"
	CodeCloudDegraded     Code = "LB0606"
	CodeCloudLate         Code = "LB0607"
)

// Description documents a code for docs/findings.md and `kubectl lb explain`.
type Description struct {
	Code     Code
	Severity Severity
	// Title says what is wrong, in a few words.
	Title string
	// Cause and Fix are a sentence each.
	Cause, Fix string
}

// Describe returns the documentation of a code.
func Describe(c Code) (Description, bool) {
	d, ok := described()[c]
	return d, ok
}

// described has every code's documentation. It is put together once, for a plan asks for many a finding's severity, and
// never changed.
var described = sync.OnceValue(func() map[Code]Description {
	all := map[Code]Description{}
	for _, d := range Descriptions() {
		all[d.Code] = d
	}
	return all
})

// Descriptions returns the documentation of every code, in their order.
func Descriptions() []Description {
	return slices.Concat(dataDescriptions(), serviceDescriptions(), addressDescriptions(), backendDescriptions(),
		certificateDescriptions(), cloudDescriptions())
}

// dataDescriptions documents LB01: the object's own data.
func dataDescriptions() []Description {
	return []Description{
		{CodeUnknownKey, SeverityError, "unknown key",
			"The object has a key that no version of the contract knows; it is usually a misspelling.",
			"Correct or remove the key; the message names the nearest valid one."},
		{CodeMissingKey, SeverityError, "missing key",
			"A key that every load balancer needs is absent or empty.",
			"Add the key."},
		{CodeBadPort, SeverityError, "bad port",
			"A port is not a number, or not between 1 and 65535.",
			"Give a port number between 1 and 65535."},
		{CodeBadValue, SeverityError, "bad value",
			"A value is not of the form that its key takes.",
			"Correct the value; the message says what the key takes."},
		{CodeAmbiguousPort, SeverityError, "ambiguous target port",
			"The Service has several ports and the object does not say which one is meant.",
			"Add target-port with one of the Service's ports."},
		{CodePortNotFound, SeverityError, "port not found",
			"The Service has no such port, or its protocol is not the load balancer's.",
			"Set target-port to one of the Service's ports."},
		{CodeUnsafeValue, SeverityError, "unsafe value",
			"A value holds a control character, is not valid UTF-8, or is far too long.",
			"Remove the character or shorten the value."},
		{CodeConflictingKeys, SeverityError, "conflicting keys",
			"Two keys of the object contradict each other.",
			"Remove one of the two."},
	}
}

// serviceDescriptions documents LB02: the Service it targets.
func serviceDescriptions() []Description {
	return []Description{
		{CodeServiceNotFound, SeverityError, "Service not found",
			"The Service that the object names does not exist.",
			"Create the Service or correct target-service-name and namespace."},
		{CodeServiceNoPorts, SeverityError, "Service without ports",
			"The Service has no ports, so there is nothing to send traffic to.",
			"Add a port to the Service."},
		{CodeServiceNoIP, SeverityError, "Service without cluster IP",
			"The Service is headless or of type ExternalName, so kube-proxy gives it no address.",
			"Use a Service with a cluster IP, or upstream: endpoints for a headless one."},
		{CodeServiceForeign, SeverityError, "Service of another namespace",
			"The object targets a Service of another namespace, whose owner has not allowed it (any more); what it served " +
				"goes on, but sends that Service nothing.",
			"Annotate the Service with kubectl-lb.io/allow-from-namespaces, or put the object beside it."},
		{CodeServiceSticky, SeverityWarning, "Service sticks to the load balancer",
			"The Service has sessionAffinity ClientIP, and all that kube-proxy sees of clients is a node's address.",
			"Take sessionAffinity from the Service, or set upstream: endpoints and session-affinity: client-ip."},
		{CodeNoEndpoints, SeverityWarning, "no endpoint is ready",
			"No pod of the Service is ready: HTTP gets status 503; TCP is refused, or behind a cluster IP let in and closed.",
			"See that the Service's selector finds pods and that these are ready."},
		{CodeManyEndpoints, SeverityWarning, "too many endpoints",
			"The Service has more endpoints than a load balancer takes; some of them get no traffic.",
			"Use upstream: service, or fewer ports and pods."},
		{CodeEndpointsUnread, SeverityError, "endpoints unread",
			"The object goes by endpoints, and those of the Service could not be read from the API server yet.",
			"Wait; if it stays so, see that the lb-controller may list and watch endpointslices."},
		{CodeServiceNoNodePort, SeverityError, "Service without node port",
			"A load balancer of Octavia reaches a Service by a node port, and the Service has none.",
			"Make the Service's type NodePort or LoadBalancer, or set member to pod where pods can be reached."},
	}
}

// addressDescriptions documents LB03: its address.
func addressDescriptions() []Description {
	return []Description{
		{CodeAddressOutside, SeverityError, "address outside the pools",
			"The requested address belongs to no address pool (or not to the named one).",
			"Request an address of a pool, or have the pool extended in the controller's configuration."},
		{CodeAddressTaken, SeverityError, "address taken",
			"The requested address belongs to another load balancer, or is still being withdrawn from the nodes.",
			"Request another address, or delete the other load balancer."},
		{CodeAddressPortTaken, SeverityError, "address and port taken",
			"Another load balancer already serves the same port of the same address, or the host there, or a wildcard " +
				"above the host.",
			"Request another address, take another port or host, or delete the other load balancer."},
		{CodePoolExhausted, SeverityError, "pool exhausted",
			"No address is left in the pools that the object may use.",
			"Delete load balancers that are no longer needed, or have a pool extended."},
		{CodePoolUnknown, SeverityError, "unknown pool",
			"The object names an address pool that the controller's configuration does not have.",
			"Name one of the configured pools."},
		{CodeAddressStray, SeverityWarning, "address not in the pool",
			"The load balancer keeps its address, but no pool (or not the named one) holds it.",
			"Extend a pool by the address, request one of the pool, or recreate the load balancer to get another one."},
		{CodeShareRefused, SeverityError, "share refused",
			"The object wants to share an address of another namespace, where nobody has allowed it; if somebody had, it " +
				"has left the address.",
			"Add share-with-namespaces to an object there that has the share-key, or share within the namespace."},
	}
}

// backendDescriptions documents LB04: the backend.
func backendDescriptions() []Description {
	return []Description{
		{CodeBackendCannot, SeverityError, "not supported by the backend",
			"The backend in use cannot do what the object asks for.",
			"Drop the wish or use a backend that can fulfil it."},
		{CodeNoNodes, SeverityError, "no load-balancer node",
			"No node runs an lb-daemon that reports, so nothing can hold the address.",
			"Label nodes with type=loadbalancer and see that the lb-daemon runs on them."},
		{CodeNodeRefused, SeverityError, "refused by a node",
			"A node's lb-daemon, nginx or keepalived refused the configuration made from this object; the last good one serves.",
			"See the message for the node's words; report it as a bug if the object looks right."},
		{CodeTwoOwners, SeverityWarning, "two owners",
			"Two nodes hold the address at once, so clients reach the one or the other; the message names the cause.",
			"Mend the network between the nodes, or what else the message names; software.witness keeps a cut-off node quiet."},
		{CodeNoOwner, SeverityWarning, "no owner",
			"No node holds the address, although some run the load balancer and say that they are well.",
			"See the lb-daemon's log on the nodes that the message names, and whether VRRP passes between them."},
		{CodeForeignOwner, SeverityError, "address answered by a foreign machine",
			"A machine that is no load-balancer node answers for the address; its hardware address is in the message.",
			"Take the address from that machine, or out of the pool and recreate the load balancer."},
		{CodeBackendAbsent, SeverityError, "backend not configured",
			"The object asks for a provider that the controller is not configured for.",
			"Have the backend configured, or choose another provider."},
		{CodeTooLarge, SeverityError, "too large for the backend",
			"The object's certificates, routes and pods together are more than the backend takes in one piece; the last good " +
				"version serves.",
			"Use fewer certificates, or such with fewer names, or split the object into several that share an address."},
	}
}

// cloudDescriptions documents LB06: OpenStack.
func cloudDescriptions() []Description {
	return []Description{
		{CodeCloudRefused, SeverityError, "refused by Octavia",
			"Octavia does not take what the object asks for, such as a subnet that does not exist.",
			"See the message for Octavia's words, and correct the object or the controller's configuration."},
		{CodeCloudQuota, SeverityError, "quota reached",
			"The OpenStack project may not have more of what the message names.",
			"Delete load balancers that are no longer needed, or have the project's quota raised."},
		{CodeCloudDenied, SeverityError, "not allowed in OpenStack",
			"The controller's OpenStack user lacks a role.",
			"Give the user the role load-balancer_member in its project, and for tls-secret-name also creator."},
		{CodeCloudError, SeverityError, "load balancer in ERROR",
			"Octavia could not do its work on the load balancer and takes no change of it; it may still serve.",
			"Have it failed over by \"kubectl lb failover run\", which needs the role load-balancer_admin; or delete the " +
				"object and create it anew, which may change the address."},
		{CodeCloudStuck, SeverityWarning, "load balancer stuck",
			"Octavia has been at work on the load balancer for far too long, mostly since a part of Octavia was killed.",
			"Have an operator set the load balancer's status to ERROR in Octavia's database and fail it over."},
		{CodeCloudDegraded, SeverityWarning, "members do not answer",
			"Members of the load balancer fail Octavia's health monitor.",
			"See that the nodes run, that their node ports answer, and that security groups let Octavia reach them."},
		{CodeCloudLate, SeverityWarning, "change not served yet",
			"OpenStack has failed for more than a minute, so that the load balancer serves as it was before the object's " +
				"last change.",
			"Nothing, if OpenStack is away: it is tried again by itself. Otherwise see the message, such as for a " +
				"wrong password."},
	}
}

// certificateDescriptions documents LB05: the certificates.
func certificateDescriptions() []Description {
	return []Description{
		{CodeSecretNotFound, SeverityError, "certificate not found",
			"The Secret or ConfigMap that the object names does not exist in the object's namespace.",
			"Create it beside the object, or correct the name; those of other namespaces are not used."},
		{CodeSecretType, SeverityError, "Secret of the wrong type",
			"The Secret is not of type kubernetes.io/tls.",
			"Make it with `kubectl create secret tls`; the type of a Secret cannot be changed, so delete the old one."},
		{CodeCertMalformed, SeverityError, "malformed certificate or key",
			"The Secret's tls.crt is no certificate chain in PEM, its tls.key is no key without a passphrase, or one of them " +
				"is too weak.",
			"Replace the Secret; the message says what is wrong. Until then the last good version is served."},
		{CodeKeyMismatch, SeverityError, "key of another certificate",
			"The Secret's tls.key does not belong to the first certificate of its tls.crt.",
			"Put the server's own certificate first and the key that it was made with beside it."},
		{CodeCertExpired, SeverityError, "certificate not valid now",
			"The certificate has expired, or is not valid yet.",
			"Renew the certificate and replace the Secret; it is served at once."},
		{CodeCertExpiring, SeverityWarning, "certificate expires soon",
			"The certificate expires within 21 days, or has less than a third of its life left where that is shorter.",
			"Renew the certificate and replace the Secret; it is served at once, without a reload."},
		{CodeHostUncovered, SeverityWarning, "host without a certificate",
			"None of the object's certificates is for a host that it serves, so clients will refuse the connection.",
			"Add the Secret of a certificate for the host to tls-secret-name, or correct the host."},
		{CodeBundleMalformed, SeverityError, "malformed CA bundle",
			"The Secret or ConfigMap has no ca.crt, or that is no list of certificates in PEM.",
			"Put the authorities' certificates under the key ca.crt."},
		{CodeCertNames, SeverityWarning, "certificate with too many names",
			"The certificate is for more than 256 names; clients that ask for one of the others are shown the first " +
				"certificate.",
			"Put the names into several certificates and name the Secrets of all of them in tls-secret-name."},
	}
}
