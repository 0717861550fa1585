package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// failoverRunOptions are what `failover run` is told.
type failoverRunOptions struct {
	*program
	waiting
	confirming
	name string
}

func (p *program) failoverRunCommand() *cobra.Command {
	o := &failoverRunOptions{program: p}
	cmd := &cobra.Command{
		Use:   "run NAME",
		Short: "Have Octavia fail a load balancer over",
		Long: `Have Octavia replace what carries a load balancer, such as one that is in ERROR (LB0604), or one whose machines
are to come from a new image. The addresses stay; connections are cut, and with the topology SINGLE nothing answers
until a new machine has booted.

It needs your own credentials of OpenStack, the variables OS_* or a clouds.yaml, with the role load-balancer_admin.
A load balancer whose tags in Octavia do not name the object and this cluster is refused.

A load balancer on this cluster's own nodes has nothing to replace: "drain" moves its address away from a node on
purpose, and "failover test" proves that it survives one.`,
		Example: p.example(
			"kubectl lb failover run coffee",
			"kubectl lb failover run coffee --yes --timeout 30m"),
		Args: func(_ *cobra.Command, args []string) error {
			if err := exactly(1, "the load balancer")(nil, args); err != nil {
				return err
			}
			o.name = nameOf(args[0])
			return o.waiting.validate()
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
		ValidArgsFunction: p.completeLoadBalancer,
	}
	o.confirming.addTo(cmd)
	o.waiting.addTo(cmd, "Octavia is done with it")
	byDefault(cmd, "wait", "true")
	byDefault(cmd, "timeout", cloudLimit.String())
	return cmd
}

func (o *failoverRunOptions) run(ctx context.Context) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	cm, err := c.CoreV1().ConfigMaps(c.namespace).Get(ctx, o.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	l, err := o.inOctavia(cm)
	if err != nil {
		return err
	}
	uid, err := o.clusterUID(ctx, c)
	if err != nil {
		return err
	}
	operator := o.operator()
	now, err := o.findOwn(ctx, operator, uid, cm, *l)
	if err != nil {
		return err
	}
	if now.Working() {
		return fmt.Errorf("load balancer %s is in %s: Octavia is at work on it, and takes no other order meanwhile", l.ID,
			now.Provisioning)
	}
	o.note("Octavia is to fail over load balancer %s (%s), which is %s/%s: it replaces what carries it. Its addresses "+
		"(%s) stay; connections are cut.", now.Name, l.ID, now.Provisioning, now.Operating,
		printer.Or(listAddresses(view.Addresses(*cm)), "none"))
	if err := o.confirm(ctx, o.program); err != nil {
		return err
	}
	return o.order(ctx, operator, l.ID)
}

// inOctavia returns what is known of an object's load balancer in Octavia, which must be there.
func (o *failoverRunOptions) inOctavia(cm *corev1.ConfigMap) (*lb.CloudStatus, error) {
	switch {
	case !isLoadBalancer(cm):
		return nil, notOurs(cm)
	case !view.IsCloud(*cm):
		return nil, &advised{
			fmt.Errorf("%s is on this cluster's load-balancer nodes, not in Octavia; there is nothing to replace", cm.Name),
			fmt.Sprintf("'%[1]s drain NODE' moves addresses away from a node on purpose; '%[1]s failover test %[2]s' is a "+
				"drill.", o.display, cm.Name),
		}
	}
	l, err := o.cloudStatus(cm)
	if l == nil && err == nil {
		err = o.notInOctaviaYet(cm.Name)
	}
	return l, err
}

// order gives the order, waits, and says what has happened.
func (o *failoverRunOptions) order(ctx context.Context, operator *octavia.Operator, id string) error {
	begin := time.Now()
	if err := operator.Failover(ctx, id); err != nil {
		return failoverRefused(id, err)
	}
	if !o.wait {
		_, err := fmt.Fprintf(o.Out, "configmap/%s failover ordered\n", o.name)
		return err
	}
	s, err := o.untilOver(ctx, operator, id)
	if ctx.Err() != nil {
		o.note("Octavia goes on with the failover.")
	}
	if err != nil {
		return err
	}
	took := time.Since(begin).Round(100 * time.Millisecond)
	if err := endedWell(id, s, took); err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.Out, "configmap/%s failed over: load balancer %s is %s/%s after %s\n", o.name, id,
		s.Provisioning, s.Operating, took)
	return err
}
