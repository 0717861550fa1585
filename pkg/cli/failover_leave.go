package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// mayDrill asks up front whether the user has all the leave that a test needs: one that could begin a fault but not
// watch it, or leave no trace of it, must not begin.
func (o *failoverOptions) mayDrill(ctx context.Context, c *cluster) error {
	configMaps := func(verb, name string) *authorizationv1.ResourceAttributes {
		return &authorizationv1.ResourceAttributes{Namespace: c.system, Verb: verb, Resource: "configmaps", Name: name}
	}
	needed := []*authorizationv1.ResourceAttributes{configMaps("list", ""), configMaps("watch", "")}
	if o.real() {
		needed = append(needed, configMaps("get", nodeconfig.OrdersName), configMaps("patch", nodeconfig.OrdersName),
			eventLeave(c.system))
	}
	var lacking []string
	for _, attributes := range needed {
		ok, err := c.allowed(ctx, attributes)
		if err != nil {
			return err
		}
		if !ok {
			lacking = append(lacking, strings.TrimSpace(attributes.Verb+" "+attributes.Resource+" "+attributes.Name))
		}
	}
	if len(lacking) > 0 {
		return fmt.Errorf("a failover test needs leave that you lack in namespace %q: %s; the Role lb-operator has it",
			c.system, strings.Join(lacking, ", "))
	}
	return nil
}

func eventLeave(namespace string) *authorizationv1.ResourceAttributes {
	return &authorizationv1.ResourceAttributes{
		Namespace: namespace, Verb: "create", Group: eventsv1.GroupName, Resource: "events",
	}
}

// allowed asks the API server whether the user may do something.
func (c *cluster) allowed(ctx context.Context, a *authorizationv1.ResourceAttributes) (bool, error) {
	review, err := c.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: a},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask what you may do: %w", err)
	}
	return review.Status.Allowed, nil
}

const (
	// maxNote is the longest note of an Event that the API server takes.
	maxNote = 1024
	// maxTold bounds how many load balancers get an Event each.
	maxTold = 50
	// eventAction and eventController say in the Events what was done, and by which program.
	eventAction     = "FailoverTest"
	eventController = "kubectl-lb"
)

// herald leaves Events about a test: on the node's report always; on the Node, and on the load balancers whose
// addresses move, where the user may.
type herald struct {
	c         *cluster
	regarding []corev1.ObjectReference
}

func newHerald(ctx context.Context, c *cluster, plan v1alpha1.FailoverPlan) *herald {
	h := &herald{c: c, regarding: []corev1.ObjectReference{
		c.reference(ctx, lb.Key{Namespace: c.system, Name: nodeconfig.StatusName(plan.Node)}),
	}}
	// Events about what has no namespace are in the namespace default, and kubectl describe finds those whose UID is the
	// node's name, which is how kubelets write them.
	if ok, err := c.allowed(ctx, eventLeave(metav1.NamespaceDefault)); ok && err == nil {
		h.regarding = append(h.regarding, corev1.ObjectReference{
			APIVersion: "v1", Kind: "Node", Name: plan.Node, UID: types.UID(plan.Node),
		})
	}
	may, told := map[string]bool{}, map[lb.Key]bool{}
	for _, a := range plan.Addresses {
		key := lb.Key{Namespace: a.Namespace, Name: a.Name}
		if told[key] || len(told) >= maxTold {
			continue
		}
		told[key] = true
		if _, asked := may[key.Namespace]; !asked {
			ok, err := c.allowed(ctx, eventLeave(key.Namespace))
			may[key.Namespace] = ok && err == nil
		}
		if may[key.Namespace] {
			h.regarding = append(h.regarding, c.reference(ctx, key))
		}
	}
	return h
}

// reference names a ConfigMap, with its UID where that may be read.
func (c *cluster) reference(ctx context.Context, key lb.Key) corev1.ObjectReference {
	ref := corev1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: key.Namespace, Name: key.Name}
	if cm, err := c.CoreV1().ConfigMaps(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{}); err == nil {
		ref.UID = cm.UID
	}
	return ref
}

// tell writes an Event on everything concerned. Only the one on the node's report has to succeed.
func (h *herald) tell(ctx context.Context, kind, reason, note string) error {
	note = printer.Escape(note)
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote], "")
	}
	var must error
	for i, ref := range h.regarding {
		namespace := ref.Namespace
		if namespace == "" {
			namespace = metav1.NamespaceDefault
		}
		_, err := h.c.EventsV1().Events(namespace).Create(ctx, &eventsv1.Event{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "failover-test-", Namespace: namespace},
			EventTime:  metav1.NewMicroTime(time.Now()), Type: kind, Reason: reason, Action: eventAction, Note: note,
			ReportingController: eventController, ReportingInstance: eventController, Regarding: ref,
		}, metav1.CreateOptions{})
		if err != nil && i == 0 {
			must = fmt.Errorf("write an Event about %s %s: %w", strings.ToLower(ref.Kind), ref.Name, err)
		}
	}
	return must
}
