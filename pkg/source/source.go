// Package source says what a source of load balancers is: a kind of Kubernetes object that users write. Each source
// has a package of its own below this one. A source only reads; statuses are written by the controller.
//
// Sources know nothing of backends.
package source

import (
	"context"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Source yields the wishes of one kind of object.
type Source interface {
	// Name is the source's name in logs and metrics, such as "configmap".
	Name() string
	// Wishes returns what every object of the kind asks for, sorted by key. Faults of the users are findings of the
	// wish; an error means that the objects could not be read.
	Wishes(ctx context.Context) ([]lb.Wish, error)
}
