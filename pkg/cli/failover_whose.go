package cli

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// clusterUID returns what load balancers in Octavia name the cluster by, as the controller knows it: the UID of the
// namespace kube-system. It is empty, and the user is told so, where the user may not read that.
func (p *program) clusterUID(ctx context.Context, c *cluster) (string, error) {
	ns, err := c.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if apierrors.IsForbidden(err) {
		p.note("You may not get the namespace %s, so that nobody can say whether the load balancer is of this cluster.",
			metav1.NamespaceSystem)
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return string(ns.UID), nil
}

// findOwn returns the load balancer with the ID as Octavia has it, and refuses one that was not made for the object of
// the cluster: the ID is from an annotation, which anybody may have written who may write to the object. Where Octavia
// does not let the user read it, the user is told so, and nothing is known but what the object says.
func (p *program) findOwn(
	ctx context.Context, operator *octavia.Operator, uid string, cm *corev1.ConfigMap, said lb.CloudStatus,
) (octavia.Found, error) {
	found, err := operator.Find(ctx, said.ID)
	if octavia.Denied(err) {
		p.note("Octavia does not let you read load balancer %s, so that nobody can say whether it is that of %s/%s, whose "+
			"annotation calls it %s.", said.ID, cm.Namespace, cm.Name, printer.Or(said.Name, "nothing"))
		return octavia.Found{ID: said.ID, Name: said.Name, Statuses: octavia.Statuses{
			Provisioning: said.Provisioning, Operating: said.Operating,
		}}, nil
	}
	if err != nil {
		return found, failoverRefused(said.ID, err)
	}
	if found.ID != said.ID || !found.Of(uid, lb.Key{Namespace: cm.Namespace, Name: cm.Name}) {
		return found, &advised{
			fmt.Errorf("load balancer %s (%s) was not made for configmap %s/%s of this cluster, or has lost its tags; nothing "+
				"was done", found.Name, said.ID, cm.Namespace, cm.Name),
			"Its ID is from the annotation " + configmap.AnnotationCloud + " of the configmap, which others may have changed. " +
				"'openstack loadbalancer show " + said.ID + "' tells whose it is.",
		}
	}
	return found, nil
}
