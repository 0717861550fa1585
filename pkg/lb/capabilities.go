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
	// TLS says whether TLS can be terminated.
	TLS bool
	// IdleTimeout and Responses say whether [Timeouts.Idle] and [Options.Responses] are kept.
	IdleTimeout, Responses bool
	// Families that a virtual IP may have.
	Families []Family
}
