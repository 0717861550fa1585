package configmap

import (
	"slices"
	"sync"
)

// The label that makes a ConfigMap ask for a load balancer, as in 2016.
const (
	LabelKey   = "app"
	LabelValue = "loadbalancer"
)

// AnnotationAllowFrom on a Service lets ConfigMaps of other namespaces target it: namespaces separated by commas, or
// "*" for all.
const AnnotationAllowFrom = "kubectl-lb.io/allow-from-namespaces"

// Finalizer keeps a ConfigMap until what was made for it in OpenStack has gone.
const Finalizer = "kubectl-lb.io/octavia"

// AnnotationCloud on a ConfigMap holds what a cloud says of the load balancer, as JSON (lb.CloudStatus). The controller
// writes it.
const AnnotationCloud = "kubectl-lb.io/cloud-status"

// AnnotationWarnings on a ConfigMap holds the warnings about the load balancer, as JSON (a list of lb.Finding). The
// controller writes it.
const AnnotationWarnings = "kubectl-lb.io/warnings"

// The keys of a ConfigMap's data.
const (
	KeyNamespace   = "namespace"
	KeyService     = "target-service-name"
	KeyTargetPort  = "target-port"
	KeyBindPort    = "bind-port"
	KeyPorts       = "ports"
	KeyProtocol    = "protocol"
	KeyHost        = "host"
	KeyPath        = "path"
	KeyPathType    = "path-type"
	KeyRoutes      = "routes"
	KeyRewrite     = "path-rewrite"
	KeySSL         = "SSL"
	KeySSLPort     = "ssl-port"
	KeyTLSSecret   = "tls-secret-name"
	KeyClientCA    = "tls-client-ca"
	KeyClientAuth  = "tls-client-auth"
	KeyRequestedIP = "requested-ip"
	KeyPool        = "address-pool"
	KeyFamilies    = "ip-families"
	KeySources     = "allowed-source-ranges"
	KeyProxy       = "proxy-protocol"
	KeyTrusted     = "trusted-proxies"
	KeyMaxConns    = "max-connections"
	KeyMaxPerIP    = "max-connections-per-client"
	KeyConnectTime = "connect-timeout"
	KeySendTime    = "send-timeout"
	KeyReadTime    = "read-timeout"
	KeyIdleTimeout = "idle-timeout"
	KeyRetries     = "retries"
	KeyAccessLog   = "access-log"
	KeyRedirect    = "redirect-to-https"
	KeyBackend     = "backend-protocol"
	KeyBackendCA   = "backend-tls-ca"
	KeyBackendName = "backend-tls-server-name"
	KeySetRequest  = "set-request-headers"
	KeyCutRequest  = "remove-request-headers"
	KeySetAnswer   = "set-response-headers"
	KeyCutAnswer   = "remove-response-headers"
	KeyMaxBody     = "max-body-size"
	KeyGzip        = "gzip"
	KeyResponses   = "udp-responses"
	KeyShare       = "share-key"
	KeyShareWith   = "share-with-namespaces"
	KeyBindIP      = "bind-ip"
	KeyStatus      = "status"
)

// Key documents a key of the data and knows how to read it.
type Key struct {
	Name string
	// Takes says what the value looks like, Default what counts without one ("required" when there must be one).
	Takes, Default string
	// Meaning is what the key does, in a sentence or two.
	Meaning string
	// Since is the first version that knew the key.
	Since string
	// Written says that the controller writes the key, not the user.
	Written bool
	// Lines says that the value has several lines.
	Lines bool
	// Cloud says that only a cloud's load balancer has what the key asks for.
	Cloud bool
	// read reads a value that is not empty and known to be safe; a written key's may be anything.
	read func(*reading, string)
}

// Keys returns the keys of the contract, in the order in which they are documented and read.
func Keys() []Key { return slices.Clone(known().keys) }

// contract is all keys and where they are among them. It is put together once, for every pass reads every object by it,
// and it is never changed.
type contract struct {
	keys  []Key
	names []string
	index map[string]int
}

var known = sync.OnceValue(func() *contract { //nolint:gochecknoglobals // a constant
	c := &contract{index: map[string]int{}}
	c.keys = slices.Concat(targetKeys(), upstreamKeys(), tlsKeys(), optionKeys(), httpKeys(), CloudKeys(), addressKeys())
	for i, k := range c.keys {
		c.names = append(c.names, k.Name)
		c.index[k.Name] = i
	}
	return c
})

// given returns the keys that an object has a value for, in the order of the contract.
func (c *contract) given(data map[string]string) []*Key {
	at := make([]int, 0, len(data))
	for name, v := range data {
		if i, ok := c.index[name]; ok && v != "" {
			at = append(at, i)
		}
	}
	slices.Sort(at)
	out := make([]*Key, 0, len(at))
	for _, i := range at {
		out = append(out, &c.keys[i])
	}
	return out
}

// targetKeys returns the keys that say what is served.
func targetKeys() []Key {
	const first, next = "2016", "0.1"
	return []Key{
		{Name: KeyNamespace, Takes: "a namespace", Default: "the ConfigMap's own", Since: first,
			Meaning: "Namespace of the Service. Another namespace than the ConfigMap's needs the leave of the Service: its " +
				"annotation `" + AnnotationAllowFrom + "` lists namespaces separated by commas, or `*`. Where that is taken " +
				"back, what is served sends nothing there any more.",
			read: (*reading).readNamespace},
		{Name: KeyService, Takes: "a Service's name", Default: "required without routes", Since: first,
			Meaning: "The Service that gets the traffic. It needs a cluster IP, unless upstream is `endpoints`.",
			read:    (*reading).readService},
		{Name: KeyTargetPort, Takes: "a port of the Service, by number or name", Default: "the Service's only port, or all",
			Since: first, Meaning: "The port of the Service (not of its pods) that gets the traffic.",
			read: (*reading).readTargetPort},
		{Name: KeyBindPort, Takes: "1 to 65535", Default: "the target port's number", Since: first,
			Meaning: "The port at which the load balancer listens.", read: (*reading).readBindPort},
		{Name: KeyPorts, Takes: "ports such as `80:http/HTTP, 443, 53/UDP`", Default: "every port of the Service",
			Since: next, Meaning: "Several ports, in place of bind-port and target-port: the port to listen at, `:` and " +
				"the port of the " +
				"Service by number or name (without it, the one of the same number, or the only one), `/` and the protocol.",
			read: (*reading).readPorts},
		{Name: KeyProtocol, Takes: "`HTTP`, `HTTPS`, `TCP`, `TLS`, `UDP`, `SCTP` or `TLS-PASSTHROUGH`",
			Default: "that of the Service's port; `HTTP` with host, path or SSL", Since: next,
			Meaning: "What the load balancer speaks to its clients. TCP passes every connection on as it is, and UDP every " +
				"datagram. HTTPS and TLS are HTTP and TCP under TLS, which ends at the load balancer. SCTP needs provider " +
				"octavia. TLS-PASSTHROUGH leaves TLS to the Service and goes by the host that the client asks for (SNI).",
			read: (*reading).readProtocol},
		{Name: KeyHost, Takes: "a DNS name, or one such as `*.example.com`", Default: "every host", Since: first,
			Meaning: "Only HTTP requests, or TLS connections, for this host reach the Service. Upper and lower case are " +
				"the same. `*` stands for " +
				"one part or more; a name without it goes first.",
			read: (*reading).readHost},
		{Name: KeyPath, Takes: "a path such as `/menu`", Default: "every path", Since: first,
			Meaning: "Only HTTP requests whose path begins so reach the Service.", read: (*reading).readPath},
		{Name: KeyPathType, Takes: "`Prefix` or `Exact`", Default: "`Prefix`", Since: next,
			Meaning: "Whether path also stands for what is below it: the prefix `/a` for `/a` and `/a/b`, but not for `/ab`.",
			read:    (*reading).readPathType},
		{Name: KeyRewrite, Takes: "a path such as `/`", Default: "the path as it is", Since: next,
			Meaning: "What the Service gets in place of path: with path `/shop` and path-rewrite `/v2`, `/shop/cart` " +
				"becomes " +
				"`/v2/cart`.",
			read: (*reading).readRewrite},
		{Name: KeyRoutes, Takes: "a route in each line, such as `host=a.example.com path=/menu service=tea:80`", Lines: true,
			Default: none, Since: next,
			Meaning: "More routes, also to other Services, beside target-service-name's. `host`, `path`, `path-type` and " +
				"`rewrite` are as " +
				"the keys of that name (path-rewrite); `service` is `NAME`, `NAME:PORT` or `NAMESPACE/NAME:PORT`. Of " +
				"several services in a " +
				"line each gets a share by the `weight` (0 to 1000, else 1) after it. `port` keeps the route to one port of " +
				"the " +
				"load balancer; a TCP or UDP port takes one such route, without host and path, in place of target-service-name. " +
				"A route of every host is one of each host, too; there are at most 2,000 of them in all.",
			read: (*reading).readRoutes},
		{Name: KeySSL, Takes: takesFlag, Default: "`false`", Since: first,
			Meaning: "Also listen for HTTPS at ssl-port, beside the port of HTTP. It needs tls-secret-name.",
			read:    (*reading).readSSL},
		{Name: KeySSLPort, Takes: "1 to 65535", Default: "`443`", Since: first,
			Meaning: "The port for HTTPS where SSL is true, or where protocol is HTTPS and there is no bind-port.",
			read:    (*reading).readSSLPort},
	}
}

// tlsKeys returns the keys about TLS that the load balancer terminates.
func tlsKeys() []Key {
	const next = "0.1"
	return []Key{
		{Name: KeyTLSSecret, Takes: "Secrets' names separated by commas", Default: "required for HTTPS and TLS", Since: next,
			Meaning: "The certificates to show: Secrets of type `kubernetes.io/tls` in the ConfigMap's own namespace. Each is " +
				"shown to the clients that ask for one of its DNS names (SNI), the first to all others. A new version of a " +
				"Secret is served within a few seconds, without a reload ([tls.md](tls.md)).",
			read: (*reading).readTLSSecret},
		{Name: KeyClientCA, Takes: "`secret/NAME` or `configmap/NAME`", Default: "nobody is asked", Since: next,
			Meaning: "Clients need a certificate that one of these authorities has signed: the key `ca.crt` of a Secret or " +
				"ConfigMap in the ConfigMap's namespace. HTTP Services get the headers `SSL-Client-Verify`, " +
				"`SSL-Client-Subject-DN` and `SSL-Client-Issuer-DN`.",
			read: (*reading).readClientCA},
		{Name: KeyClientAuth, Takes: "`required` or `optional`", Default: "`required`", Since: next,
			Meaning: "Whether clients without a certificate are refused. One that is not believed is refused always.",
			read:    (*reading).readClientAuth},
	}
}

// optionKeys returns the keys that say how it is served.
func optionKeys() []Key {
	const next = "0.1"
	return []Key{
		{Name: KeySources, Takes: "ranges such as `10.0.0.0/8, fd00::/8`", Default: "everybody", Since: next,
			Meaning: "Only clients of these ranges are served; others get status 403 for everything, or their connection is " +
				"closed.",
			read: (*reading).readSources},
		{Name: KeyProxy, Takes: "`accept`, `send`, `accept,send` or `send-v2`", Default: "neither", Since: next,
			Meaning: "`accept`: every connection must begin with a PROXY protocol header, which is believed from " +
				"trusted-proxies. `send`: connections of TCP ports to the Service begin with such a header. `send-v2`: with one " +
				"of version 2, which needs provider octavia.",
			read: (*reading).readProxy},
		{Name: KeyTrusted, Takes: "ranges such as `10.0.0.0/8, fd00::/8`", Default: "nobody", Since: next,
			Meaning: "The proxies in front of the load balancer. What they say of a client is believed: by the PROXY " +
				"protocol " +
				"where that is accepted, else by `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`, which are replaced when " +
				"they " +
				"come from anybody else. Of a list of protocols the first counts.",
			read: (*reading).readTrusted},
		{Name: KeyMaxConns, Takes: "1 to 1000000", Default: "no limit", Since: next,
			Meaning: "How many connections a port of a node has at once; for HTTP, those with a request in hand. What is " +
				"above " +
				"gets status 429, or is closed.",
			read: (*reading).readMaxConns},
		{Name: KeyMaxPerIP, Takes: "1 to 1000000", Default: "no limit", Since: next,
			Meaning: "The same for each client address.", read: (*reading).readMaxPerIP},
		{Name: KeyConnectTime, Takes: takesTime, Default: "`5s`", Since: next,
			Meaning: "How long the Service may take to accept a connection.", read: (*reading).readConnectTime},
		{Name: KeyIdleTimeout, Takes: takesTime, Default: "`1h` for TCP, `30s` for UDP", Since: next,
			Meaning: "How long a TCP connection or a UDP session may carry nothing before it is ended.",
			read:    (*reading).readIdleTimeout},
		{Name: KeyResponses, Takes: "1 to 1000", Default: "any number", Since: next,
			Meaning: "How many datagrams answer one of a UDP client's, such as 1 for DNS. After them the session is over, " +
				"which saves a node's sockets; without it, idle-timeout ends it.",
			read: (*reading).readResponses},
		{Name: KeyRetries, Takes: "0 to 10", Default: "`0`; `2` with upstream endpoints", Since: next,
			Meaning: "How many more times a connection is tried that the Service does not accept, or a request of HTTP " +
				"that it " +
				"has surely not answered; never one that must not be repeated, such as a POST that was sent.",
			read: (*reading).readRetries},
		{Name: KeyAccessLog, Takes: takesFlag, Default: "`false`", Since: next,
			Meaning: "Log each request, connection or session as a line of JSON in the log of the lb-daemon.",
			read:    (*reading).readAccessLog},
	}
}

// httpKeys returns the keys that say what happens to requests of HTTP.
func httpKeys() []Key {
	const next = "0.1"
	return []Key{
		{Name: KeyRedirect, Takes: takesFlag, Default: "`false`", Since: next,
			Meaning: "Answer every HTTP request with a redirect (308) to the same address of HTTPS, at ssl-port.",
			read:    (*reading).readRedirect},
		{Name: KeyBackend, Takes: "`HTTP`, `HTTPS`, `GRPC` or `GRPCS`", Default: "`HTTP`", Since: next,
			Meaning: "What the Service speaks. With GRPC it is HTTP/2 in clear text, and so it is to clients of a port " +
				"without TLS. HTTPS and GRPCS are the same under TLS, and need backend-tls-ca.",
			read: (*reading).readBackend},
		{Name: KeyBackendCA, Takes: "`secret/NAME`, `configmap/NAME` or `none`",
			Default: "required with backend-protocol HTTPS and GRPCS", Since: next,
			Meaning: "Who may have signed the Service's certificate: the key `ca.crt` of a Secret or ConfigMap in the " +
				"ConfigMap's namespace. With `none` anybody is taken for the Service.",
			read: (*reading).readBackendCA},
		{Name: KeyBackendName, Takes: "a DNS name", Default: "`SERVICE.NAMESPACE.svc`", Since: next,
			Meaning: "The name that the Service's certificate is for, and by which it is asked for it (SNI).",
			read:    (*reading).readBackendName},
		{Name: KeySendTime, Takes: takesTime, Default: "`60s`; `1h` for GRPC", Since: next,
			Meaning: "How long the Service may take in nothing of a request.", read: (*reading).readSendTime},
		{Name: KeyReadTime, Takes: takesTime, Default: "`60s`; `1h` for GRPC", Since: next,
			Meaning: "How long the Service may send nothing of an answer.", read: (*reading).readReadTime},
		{Name: KeySetRequest, Takes: "a header in each line, such as `X-Team: tea`", Default: none, Lines: true,
			Since:   next,
			Meaning: "Headers that the Service gets, in place of the client's of that name.",
			read:    (*reading).readSetRequest},
		{Name: KeyCutRequest, Takes: "header names such as `Cookie, X-Debug`", Default: none, Since: next,
			Meaning: "Headers that the Service does not get.", read: (*reading).readCutRequest},
		{Name: KeySetAnswer, Takes: "a header in each line, such as `X-Frame-Options: DENY`", Default: none, Lines: true,
			Since: next, Meaning: "Headers that clients get, in place of the Service's of that name.",
			read: (*reading).readSetAnswer},
		{Name: KeyCutAnswer, Takes: "header names such as `X-Powered-By`", Default: none, Since: next,
			Meaning: "Headers that clients do not get.", read: (*reading).readCutAnswer},
		{Name: KeyMaxBody, Takes: "a number of bytes, or of `k`, `m` or `g`", Default: "no limit", Since: next,
			Meaning: "The largest request body. A larger one gets status 413.", read: (*reading).readMaxBody},
		{Name: KeyGzip, Takes: takesFlag, Default: "`false`", Since: next,
			Meaning: "Compress answers of text for clients that ask for it.", read: (*reading).readGzip},
	}
}

// addressKeys returns the keys that say where it is served.
func addressKeys() []Key {
	const first, next = "2016", "0.1"
	return []Key{
		{Name: KeyRequestedIP, Takes: "an address, or two of different families separated by a comma", Default: "any",
			Since: next, Meaning: "The address wanted. It must lie in a pool and be free. Changing it moves the load " +
				"balancer; without it an address, once given, is kept. Octavia moves only a floating IP: an address of its own " +
				"is given while the load balancer is made, and a later change is a finding.",
			read: (*reading).readRequestedIP},
		{Name: KeyPool, Takes: "an address pool's name", Default: "every pool that is not manual", Since: next,
			Meaning: "The pool of the controller's configuration to take the address from. A load balancer that has an " +
				"address keeps it when this changes.",
			read: (*reading).readPool},
		{Name: KeyFamilies, Takes: "`IPv4`, `IPv6` or `IPv4,IPv6`", Default: "`IPv4` where a pool has it, else `IPv6`",
			Since: next, Meaning: "The families of the load balancer's addresses, one address of each.",
			read: (*reading).readFamilies},
		{Name: KeyShare, Takes: "a name, or `NAMESPACE/NAME`", Default: "its own address", Since: next,
			Meaning: "Objects with the same share-key have one address in common: at different ports, or at one port for " +
				"HTTP of " +
				"different hosts. Who is served keeps what it has, and then the older one; a wildcard keeps what is below it " +
				"from other namespaces, and no host is what nobody else has. The name of another namespace's needs an object " +
				"there whose share-with-namespaces allows it.",
			read: (*reading).readShare},
		{Name: KeyShareWith, Takes: "namespaces separated by commas, or `*`", Default: "nobody", Since: next,
			Meaning: "The other namespaces whose objects may have this share-key. One that is taken out of the list has to " +
				"leave the address.", read: (*reading).readShareWith},
		{Name: KeyBindIP, Takes: "one address, or two separated by a comma", Since: first, Written: true,
			Meaning: "The address that the load balancer has. When the controller has lost its memory, this is how an " +
				"object gets its address back. To ask for an address, use requested-ip.",
			read: (*reading).readBindIP},
		{Name: KeyStatus, Takes: "a text", Since: first, Written: true,
			Meaning: "`SUCCESS`; `PENDING : ` and what is missing; or `ERROR : ` and a finding of " +
				"[findings.md](findings.md), " +
				"while the last good version goes on serving.",
			read: (*reading).readStatus},
	}
}
