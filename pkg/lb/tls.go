package lb

import (
	"slices"
	"time"
)

// TLS is the termination of TLS at a listener. It names Secrets; key material never enters the model.
type TLS struct {
	// Certificates are shown by the name that the client asks for (SNI, RFC 6066, 3), the first where none is for it.
	// Their order counts.
	Certificates []Certificate `json:"certificates"`
	// Clients, where set, says that clients are asked for certificates of their own.
	Clients *ClientAuth `json:"clients,omitempty"`
}

// Certificate is a certificate chain with its key.
type Certificate struct {
	// Secret is the name of a kubernetes.io/tls Secret in the load balancer's namespace.
	Secret string `json:"secret"`
	// Material is what it was when it was last good.
	Material Material `json:"material,omitzero"`
	// Names are the DNS names that it is for, sorted, in lower case; "*.example.com" stands for one label before the rest.
	Names []string `json:"names,omitempty"`
	// Expires is the end of its validity.
	Expires time.Time `json:"expires,omitzero"`
}

// Material is how the nodes find what may not be in a document: the name that they keep it under, and which version of
// it is meant. Both are empty until the Secret or ConfigMap has been looked at.
type Material struct {
	Name string `json:"name"`
	// Digest is over what is public of it.
	Digest string `json:"digest"`
}

// The kinds of objects that a [CABundle] can be in.
const (
	KindSecret    = "Secret"
	KindConfigMap = "ConfigMap"
)

// CABundle names an object of the load balancer's namespace that has certificates of authorities under the key
// "ca.crt". The zero value is none.
type CABundle struct {
	// Kind is one of those above.
	Kind     string   `json:"kind"`
	Name     string   `json:"name"`
	Material Material `json:"material,omitzero"`
}

// ClientAuth says whose certificates clients must have.
type ClientAuth struct {
	CA CABundle `json:"ca"`
	// Optional lets clients in that show no certificate; a wrong one is refused all the same.
	Optional bool `json:"optional,omitempty"`
}

// BackendTLS says that targets speak TLS.
type BackendTLS struct {
	// CA is who may have signed their certificates. Without it anything is taken for the target.
	CA CABundle `json:"ca,omitzero"`
	// ServerName is what their certificates must be for, and what they are asked for by SNI; empty means the Service's
	// name in the cluster, such as "tea.default.svc".
	ServerName string `json:"serverName,omitempty"`
}

// Certificates returns the certificates of all listeners, to be read or filled in.
func (l *LoadBalancer) Certificates() []*Certificate {
	var out []*Certificate
	for i := range l.Listeners {
		if t := l.Listeners[i].TLS; t != nil {
			for j := range t.Certificates {
				out = append(out, &t.Certificates[j])
			}
		}
	}
	return out
}

// CABundles returns the bundles of all listeners, to be read or filled in.
func (l *LoadBalancer) CABundles() []*CABundle {
	var out []*CABundle
	for i := range l.Listeners {
		if t := l.Listeners[i].TLS; t != nil && t.Clients != nil {
			out = append(out, &t.Clients.CA)
		}
		if b := l.Listeners[i].Options.BackendTLS; b != nil && b.CA.Name != "" {
			out = append(out, &b.CA)
		}
	}
	return out
}

// clone returns a deep copy.
func (t *TLS) clone() *TLS {
	if t == nil {
		return nil
	}
	c := TLS{Certificates: slices.Clone(t.Certificates), Clients: clonePointer(t.Clients)}
	for i := range c.Certificates {
		c.Certificates[i].Names = slices.Clone(c.Certificates[i].Names)
	}
	return &c
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}
