package lb

import "net/netip"

// Wish is what one object asks for: a load balancer without virtual IPs, how it would like them, and what is wrong
// with the asking. A wish with an error among its findings is not served; its last good version goes on serving.
type Wish struct {
	LoadBalancer LoadBalancer
	Address      AddressWish
	// Leaves are the Services of other namespaces that the object may target, sorted. Where it has lost the leave of one,
	// its last good version sends nothing there any more.
	Leaves   []Key
	Findings []Finding
	// Fields let the plan point its own findings at the object.
	Fields Fields
	// Clouded are the places of what is in [Cloud], in the form of [Finding.Field], for a backend that knows nothing of
	// that.
	Clouded []string
}

// Fields are the places of the object that a wish was read from, in the form of [Finding.Field]. An empty one makes
// the finding point at the whole object; that of Retries says that nobody has asked for them.
type Fields struct {
	Requested, Pool, Families, Protocol, Port, Host, Path, PathType, Routes, TLS, Share string
	Sources, TrustedProxies, ProxyProtocol, Limits, Timeouts, Idle, Responses           string
	Retries, AccessLog, Rewrite, Redirect, GRPC, Request, Response, Body, Gzip          string
	PerClient, SendTimeout                                                              string
	Provider, Service, Subnet, Monitor                                                  string
	Upstream, Method, Affinity                                                          string
	Certificates, ClientCA, BackendTLS                                                  string
}

// AddressWish is how a load balancer would like its virtual IPs.
type AddressWish struct {
	// Families are the wanted address families; empty leaves the choice to the pools.
	Families []Family
	// Requested are addresses asked for by the user, at most one of each family, and only of wanted families.
	Requested []netip.Addr
	// ShareWith are the other namespaces whose load balancers may share with this one; "*" are all.
	ShareWith []string
	// Pool names the pool to take addresses from; empty allows every pool.
	Pool string
	// Recorded are the addresses that the object's status says it has. They are adopted before any is allocated. The
	// user may have written them, so they are claims and not facts.
	Recorded []netip.Addr
	// Troubled says that by the object's status it had an error.
	Troubled bool
}

// Failed reports whether an error among the findings keeps the wish from being served.
func (w Wish) Failed() bool { return HasErrors(w.Findings) }
