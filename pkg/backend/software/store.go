package software

import (
	"context"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// Store keeps the documents. Only one backend may write to a store at a time.
type Store interface {
	// Documents returns what is stored, in any order. It is never older than what was written through this store.
	Documents(ctx context.Context) (Documents, error)
	// Nodes returns the load-balancer nodes of the cluster, in any order. A node whose addresses are not known yet has
	// none.
	Nodes(ctx context.Context) ([]nodeconfig.Node, error)
	// Write creates the configuration document if its Version is empty, and else replaces it if it still has that
	// version. It fails when somebody else wrote in between.
	Write(ctx context.Context, o Object) error
}

// Documents are the stored objects by their kind.
type Documents struct {
	// Config are the fleet's and the shards'.
	Config []Object
	// Status are the nodes' reports.
	Status []Object
	// Orders are what people ask of the nodes, by key; none where there is no such object.
	Orders map[string]string
}

// Object is a stored document.
type Object struct {
	// Name is the name of the ConfigMap that carries it.
	Name string
	// Version changes with every write; it is opaque. Empty in a write means that the object does not exist yet.
	Version string
	// Text is the encoded document.
	Text string
	// Heard is, of a node's report, when this version of it came, by this process's own clock; zero where it was there
	// already when somebody began to look.
	Heard time.Time
}
