package lb

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Options are what can be asked of a listener beyond where its traffic goes. The zero value leaves everything to the
// backend.
type Options struct {
	// Sources are the clients that are served, as canonical prefixes; empty serves everybody.
	Sources []netip.Prefix `json:"sources,omitempty"`
	// TrustedProxies are the peers that are believed what they say of a client: by the PROXY protocol where AcceptProxy
	// is set, else by X-Forwarded-For and its like.
	TrustedProxies []netip.Prefix `json:"trustedProxies,omitempty"`
	// AcceptProxy says that every connection begins with a PROXY protocol header, of version 1 or 2.
	AcceptProxy bool `json:"acceptProxy,omitempty"`
	// SendProxy says that every connection to a target begins with a PROXY protocol header.
	SendProxy bool `json:"sendProxy,omitempty"`
	// SendProxyV2 says that it begins with one of version 2.
	SendProxyV2 bool   `json:"sendProxyV2,omitempty"`
	Limits      Limits `json:"limits,omitzero"`
	// Timeouts bound how long is waited.
	Timeouts Timeouts `json:"timeouts,omitzero"`
	// Retries is how many more times a connection or request is tried when the target surely has not answered it.
	Retries int `json:"retries,omitempty"`
	// AccessLog says that each request, connection or session is logged when it is over.
	AccessLog bool        `json:"accessLog,omitempty"`
	HTTP      HTTPOptions `json:"http,omitzero"`
	// Upstream is how traffic is spread over the targets' pods.
	Upstream Upstream `json:"upstream,omitzero"`
	// Responses is how many datagrams answer one of a UDP client's, after which its session is over; zero means any
	// number, and only [Timeouts.Idle] ends it.
	Responses int `json:"responses,omitempty"`
	// BackendTLS, where set, says that HTTP targets speak TLS.
	BackendTLS *BackendTLS `json:"backendTLS,omitempty"`
}

// Limits bound what a listener takes on at once, on each node; zero is no limit. For HTTP a connection counts while it
// has a request in hand.
type Limits struct {
	// Connections is for all clients together, PerClient for each client address.
	Connections int `json:"connections,omitempty"`
	PerClient   int `json:"perClient,omitempty"`
}

// Timeouts bound how long a listener waits, in whole milliseconds; zero leaves it to the backend.
type Timeouts struct {
	// Connect is how long a target may take to accept a connection.
	Connect time.Duration `json:"connect,omitempty"`
	// Send and Read are how long an HTTP target may leave a request or an answer without progress.
	Send time.Duration `json:"send,omitempty"`
	Read time.Duration `json:"read,omitempty"`
	// Idle is how long a TCP connection or a UDP session may carry nothing.
	Idle time.Duration `json:"idle,omitempty"`
}

// HTTPOptions are those of an HTTP listener.
type HTTPOptions struct {
	// RedirectTo is the port of HTTPS that all requests are redirected to; zero serves them.
	RedirectTo uint16 `json:"redirectTo,omitempty"`
	// GRPC says that the targets speak HTTP/2, as gRPC does: in clear text unless [Options.BackendTLS] is set. A listener
	// without TLS then speaks nothing else to its clients.
	GRPC bool `json:"grpc,omitempty"`
	// Request are changes to what targets get, Response to what clients get.
	Request  HeaderChanges `json:"request,omitzero"`
	Response HeaderChanges `json:"response,omitzero"`
	// MaxBody is the largest request body, in bytes; zero is no limit.
	MaxBody int64 `json:"maxBody,omitempty"`
	// Gzip says that answers of text are compressed for clients that understand it.
	Gzip bool `json:"gzip,omitempty"`
}

// HeaderChanges are what is done to the header fields of a message. No name is in both.
type HeaderChanges struct {
	// Set replaces fields.
	Set []Header `json:"set,omitempty"`
	// Remove takes fields away, by name.
	Remove []string `json:"remove,omitempty"`
}

// Header is a header field.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// clone returns a deep copy.
func (o Options) clone() Options {
	o.Sources = slices.Clone(o.Sources)
	o.TrustedProxies = slices.Clone(o.TrustedProxies)
	o.BackendTLS = clonePointer(o.BackendTLS)
	for _, c := range []*HeaderChanges{&o.HTTP.Request, &o.HTTP.Response} {
		c.Set, c.Remove = slices.Clone(c.Set), slices.Clone(c.Remove)
	}
	return o
}

// normalize sorts what has no order.
func (o *Options) normalize() {
	slices.SortFunc(o.Sources, netip.Prefix.Compare)
	slices.SortFunc(o.TrustedProxies, netip.Prefix.Compare)
	for _, c := range []*HeaderChanges{&o.HTTP.Request, &o.HTTP.Response} {
		slices.SortFunc(c.Set, func(a, b Header) int { return strings.Compare(a.Name, b.Name) })
		slices.Sort(c.Remove)
	}
}
