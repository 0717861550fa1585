package cli

import (
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// A Service that several routes lead to is one target.
func TestTargetsOf(t *testing.T) {
	route := func(name string) v1alpha1.Route {
		return v1alpha1.Route{Service: lb.Service{Key: lb.Key{Namespace: "shop", Name: name}, Port: 80}}
	}
	st := v1alpha1.Status{Listeners: []v1alpha1.Listener{
		{Routes: []v1alpha1.Route{route("coffee"), route("tea"), route("tea")}},
		{Routes: []v1alpha1.Route{route("tea")}},
	}}
	if got := targetsOf(st); got != "shop/coffee:80,shop/tea:80" {
		t.Errorf("got %q", got)
	}
}
