package lb

// Capabilities are what a backend can do. The plan turns a wish beyond them into a finding before anything is applied.
type Capabilities struct {
	// Protocols that a listener may have.
	Protocols []Protocol
	// Hosts and Paths say whether HTTP requests can be routed by them.
	Hosts, Paths bool
	// Wildcards, ExactPaths and Weights say what more a route may have: a host such as "*.example.com", a path that
	// matches nothing below it, several targets.
	Wildcards, ExactPaths, Weights bool
	// TLS, ClientAuth and BackendTLS say whether TLS can be terminated, clients be asked for certificates, and targets
	// be spoken to by TLS.
	TLS, ClientAuth, BackendTLS bool
	// SourceRanges, TrustedProxies, Limits and ClientLimits say whether [Options.Sources], [Options.TrustedProxies],
	// [Limits.Connections] and [Limits.PerClient] are kept.
	SourceRanges, TrustedProxies, Limits, ClientLimits bool
	// AcceptProxy, SendProxy and SendProxyV2 say whether the [Options] of that name are.
	AcceptProxy, SendProxy, SendProxyV2 bool
	// Timeouts, SendTimeout, IdleTimeout, Responses, Retries and AccessLog say whether the other times, [Timeouts.Send],
	// [Timeouts.Idle], [Options.Responses], [Options.Retries] and [Options.AccessLog] are kept.
	Timeouts, SendTimeout, IdleTimeout, Responses, Retries, AccessLog bool
	// Rewrite, Redirect, GRPC, Headers, MaxBody and Gzip say whether [Route.Rewrite] and what is in [HTTPOptions] are.
	Rewrite, Redirect, GRPC, Headers, MaxBody, Gzip bool
	// Endpoints says whether connections can go to the pods themselves; Methods and Affinities are what it then can do.
	Endpoints  bool
	Methods    []Method
	Affinities []Affinity
	// Spread says that it can do those also where connections do not go to the pods themselves.
	Spread bool
	// Cloud says whether what is in [Cloud] is kept.
	Cloud bool
	// Sharing says whether several load balancers can have an address in common.
	Sharing bool
	// MaxSize is how large a load balancer may be, as JSON in bytes; zero is no bound.
	MaxSize int
	// Families that a virtual IP may have.
	Families []Family
}
