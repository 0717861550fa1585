package cli

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // cloud providers' logins, as in kubectl
	"k8s.io/client-go/rest"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/apiclock"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// systemSelector selects the documents of the controller and the daemons, and the orders to them.
const systemSelector = nodeconfig.LabelApp + " in (" + nodeconfig.AppConfig + "," + nodeconfig.AppNode + "," +
	nodeconfig.AppOrders + ")"

// pageSize bounds one answer of a List; the whole list takes as many as it needs.
const pageSize = 500

// cluster is the API server as the commands use it.
type cluster struct {
	kubernetes.Interface
	// namespace is the one that the user means by -n or the kubeconfig's context.
	namespace string
	// system is the namespace of the controller and the daemons.
	system string
	// clock reads documents whose times belong to other clocks.
	clock *apiclock.Clock
}

// connect makes a client from the connection flags. It does not talk to the server yet.
func (p *program) connect() (*cluster, error) {
	config, err := p.connection.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	config.UserAgent = userAgent()
	config.WarningHandlerWithContext = warnings{p}
	// A command makes few requests; the client's own brake would only delay them.
	config.QPS, config.Burst = -1, 0
	config.Wrap(p.clock.Listen)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	namespace, err := p.namespace()
	if err != nil {
		return nil, err
	}
	return &cluster{Interface: client, namespace: namespace, system: p.systemNamespace, clock: p.clock}, nil
}

// namespace returns the namespace that the user means.
func (p *program) namespace() (string, error) {
	namespace, _, err := p.connection.ToRawKubeConfigLoader().Namespace()
	return namespace, err
}

// warnings shows the API server's warnings on stderr.
type warnings struct{ p *program }

func (w warnings) HandleWarningHeaderWithContext(_ context.Context, code int, _, text string) {
	if code == 299 && text != "" {
		w.p.note("Warning: %s", text)
	}
}

var _ rest.WarningHandlerWithContext = warnings{}

// objects lists the users' ConfigMaps of a namespace ("" for all), further narrowed by a label selector.
func (c *cluster) objects(ctx context.Context, namespace, selector string) ([]corev1.ConfigMap, error) {
	all := configmap.LabelKey + "=" + configmap.LabelValue
	if selector != "" {
		all += "," + selector
	}
	return c.configMaps(ctx, namespace, all)
}

// documents lists the documents of the controller and the daemons.
func (c *cluster) documents(ctx context.Context) ([]corev1.ConfigMap, error) {
	docs, err := c.configMaps(ctx, c.system, systemSelector)
	switch {
	case apierrors.IsForbidden(err):
		return nil, &advised{fmt.Errorf("read the nodes' documents: %w", err), fmt.Sprintf(
			"The Roles lb-status-viewer and lb-operator in namespace %q have that leave", c.system)}
	case err != nil:
		return nil, fmt.Errorf("read the nodes' documents: %w", err)
	}
	return docs, nil
}

func (c *cluster) configMaps(ctx context.Context, namespace, selector string) ([]corev1.ConfigMap, error) {
	var items []corev1.ConfigMap
	options := metav1.ListOptions{LabelSelector: selector, Limit: pageSize}
	for {
		page, err := c.CoreV1().ConfigMaps(namespace).List(ctx, options)
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.Continue == "" {
			return items, nil
		}
		options.Continue = page.Continue
	}
}
