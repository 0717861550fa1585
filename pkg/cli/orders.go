package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// orderAttempts bounds how often an order is written anew because somebody else's came between.
const orderAttempts = 20

// orderWriter changes what is asked of the nodes. Each key is changed on its own, on top of the version that was read,
// so that nobody's order is lost to anybody else's.
type orderWriter struct {
	c *cluster
	// manager owns what is written; dryRun is the field of the requests.
	manager string
	dryRun  []string
	// check, if not nil, may forbid a change for what is asked of all the nodes at the moment of writing.
	check func(orders map[string]nodeconfig.Order) error
}

// node changes a node's order and reports whether anything changed. An order that asks for nothing is taken away.
func (w orderWriter) node(ctx context.Context, node string, change func(*nodeconfig.Order) error) (bool, error) {
	return w.key(ctx, nodeconfig.OrderKey(node), func(old string) (string, error) {
		order := nodeconfig.Order{Version: nodeconfig.Version}
		if old != "" {
			var err error
			if order, err = nodeconfig.Decode[nodeconfig.Order](old); err != nil {
				return "", err
			}
		}
		if err := change(&order); err != nil {
			return "", err
		}
		if order.Drain == nil && order.Drill == nil {
			return "", nil
		}
		return nodeconfig.Encode(order)
	})
}

// key changes the text of a key; "" is no such key.
func (w orderWriter) key(ctx context.Context, key string, change func(old string) (string, error)) (bool, error) {
	var conflict error
	for attempt := range orderAttempts {
		if attempt > 0 && !pause(ctx, time.Duration(attempt)*10*time.Millisecond) {
			return false, ctx.Err()
		}
		cm, err := w.read(ctx)
		if err != nil {
			return false, err
		}
		if w.check != nil {
			if err := w.check(w.c.clock.Documents([]corev1.ConfigMap{*cm}).Config.Orders); err != nil {
				return false, err
			}
		}
		text, err := change(cm.Data[key])
		if err != nil {
			return false, fmt.Errorf("configmap/%s, %s: %w", nodeconfig.OrdersName, key, err)
		}
		if text == cm.Data[key] {
			return false, nil
		}
		if conflict = w.write(ctx, cm, key, text); conflict == nil {
			return true, nil
		}
		if !apierrors.IsConflict(conflict) && !apierrors.IsAlreadyExists(conflict) {
			return false, conflict
		}
	}
	return false, conflict
}

// read returns the orders; empty ones, without a version, where there are none yet.
func (w orderWriter) read(ctx context.Context) (*corev1.ConfigMap, error) {
	cm, err := w.c.CoreV1().ConfigMaps(w.c.system).Get(ctx, nodeconfig.OrdersName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return &corev1.ConfigMap{}, nil
	}
	if err == nil && cm.Labels[nodeconfig.LabelApp] != nodeconfig.AppOrders {
		return nil, fmt.Errorf("configmap %s/%s lacks the label %s=%s, so the nodes do not read it", cm.Namespace, cm.Name,
			nodeconfig.LabelApp, nodeconfig.AppOrders)
	}
	return cm, err
}

// write sets a key on top of the version that was read, or takes it away.
func (w orderWriter) write(ctx context.Context, read *corev1.ConfigMap, key, text string) error {
	if read.ResourceVersion == "" {
		return w.create(ctx, key, text)
	}
	var value any
	if text != "" {
		value = text
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": read.ResourceVersion, "uid": read.UID},
		"data":     map[string]any{key: value},
	})
	if err != nil {
		return err
	}
	_, err = w.c.CoreV1().ConfigMaps(w.c.system).Patch(ctx, nodeconfig.OrdersName, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: w.manager, DryRun: w.dryRun})
	if apierrors.IsForbidden(err) {
		return &advised{err, fmt.Sprintf("The Role lb-operator in namespace %q has that leave", w.c.system)}
	}
	return err
}

func (w orderWriter) create(ctx context.Context, key, text string) error {
	_, err := w.c.CoreV1().ConfigMaps(w.c.system).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: nodeconfig.OrdersName, Labels: map[string]string{nodeconfig.LabelApp: nodeconfig.AppOrders},
		},
		Data: map[string]string{key: text},
	}, metav1.CreateOptions{FieldManager: w.manager, DryRun: w.dryRun})
	if apierrors.IsForbidden(err) {
		return &advised{err, fmt.Sprintf("The ConfigMap %s/%s is missing; deploy/ has it", w.c.system, nodeconfig.OrdersName)}
	}
	return err
}

// whoami returns the name that the API server knows the user by; empty where it does not tell.
func (c *cluster) whoami(ctx context.Context) string {
	review, err := c.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authv1.SelfSubjectReview{},
		metav1.CreateOptions{})
	if err != nil {
		return ""
	}
	return review.Status.UserInfo.Username
}

// newID names an order.
func newID() string { return strings.ToLower(rand.Text()[:12]) }

// fleetDocuments reads the documents for a command that is nothing without them.
func (p *program) fleetDocuments(ctx context.Context, c *cluster) (view.Documents, error) {
	cms, err := c.documents(ctx)
	if err != nil {
		return view.Documents{}, err
	}
	docs := c.clock.Documents(cms)
	for _, problem := range docs.Problems {
		p.note("note: %s", problem)
	}
	if !docs.HasFleet {
		return docs, fmt.Errorf("namespace %q has no fleet document: is lb-controller running there? "+
			"(see --system-namespace)", c.system)
	}
	return docs, nil
}

// nodeOf strips the kind that kubectl puts before a node's name.
func nodeOf(arg string) string {
	for _, kind := range []string{"node/", "nodes/", "no/"} {
		if name, ok := strings.CutPrefix(arg, kind); ok {
			return name
		}
	}
	return arg
}

// knownNode reports a node that is not in the fleet, with the names that were probably meant.
func knownNode(docs view.Documents, node string) error {
	var names []string
	for _, n := range docs.Config.Fleet.Nodes {
		names = append(names, n.Name)
	}
	switch near := nearestNames(node, names); {
	case slices.Contains(names, node):
		return nil
	case len(near) > 0:
		return fmt.Errorf("%q is no load-balancer node; did you mean %s?", node, strings.Join(near, " or "))
	case len(names) == 0:
		return fmt.Errorf("%q is no load-balancer node; there is none", node)
	default:
		return fmt.Errorf("%q is no load-balancer node; they are %s", node, strings.Join(names, ", "))
	}
}

// nearestNames returns the names that one may have been meant to be, by the measure that finds misspelt commands.
func nearestNames(name string, names []string) []string {
	tree := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, n := range names {
		tree.AddCommand(&cobra.Command{Use: n, Run: func(*cobra.Command, []string) {}})
	}
	near := tree.SuggestionsFor(name)
	slices.Sort(near)
	return near
}
