package controller

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubectl-lb/kubectl-lb/pkg/controller/config"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// apiServer is the real API server that the tests share; nil where there are no binaries for it.
var apiServer *rest.Config // set once by TestMain

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if os.Getenv("KUBEBUILDER_ASSETS") != "" {
		// The default of 20 s is too short for a machine that does other things besides.
		env := &envtest.Environment{ControlPlaneStartTimeout: 3 * time.Minute}
		rc, err := env.Start()
		if err != nil {
			fmt.Fprintln(os.Stderr, "start the API server:", err)
			return 1
		}
		defer func() { _ = env.Stop() }()
		apiServer = rc
	}
	return m.Run()
}

// rig is a cluster with load-balancer nodes that are played by the test, and a controller.
type rig struct {
	t      *testing.T
	client client.Client
	config config.Configuration
	frozen frost // the nodes neither run anything new nor say anything
	stop   func()
}

// frost stops the nodes. When Store(true) returns, none is in the middle of a report that would undo the test's own.
type frost struct {
	mu sync.Mutex
	on bool
}

func (f *frost) Store(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = on
}

func (f *frost) unless(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.on {
		do()
	}
}

// newRig returns a clean cluster with the Service default/coffee, three nodes, and a controller with the addresses.
func newRig(t *testing.T, addresses ...string) *rig {
	t.Helper()
	if apiServer == nil {
		t.Skip("KUBEBUILDER_ASSETS is not set; `make test` sets it")
	}
	rc := rest.CopyConfig(apiServer)
	rc.QPS = -1
	c, err := client.New(rc, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, client: c, config: config.Default()}
	r.config.AddressPools = []config.AddressPool{{Name: "default", Addresses: addresses}}
	r.config.MetricsBindAddress, r.config.HealthProbeBindAddress = "0", "0"
	r.config.LeaderElection.Enabled = false
	r.clean()
	t.Cleanup(r.clean)
	r.namespace(r.config.SystemNamespace)
	r.namespace(r.config.TLSNamespace)
	r.service("default", "coffee", 80)
	for i := range 3 {
		r.node(i + 1)
	}
	r.playNodes()
	r.stop = r.start()
	return r
}

// start starts a controller and returns what stops it.
func (r *rig) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(r.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	go func() { done <- run(ctx, apiServer, r.config, log) }()
	stopped := false
	stop = func() {
		cancel()
		if !stopped {
			stopped = true
			if err := <-done; err != nil {
				r.t.Errorf("the controller ended with: %v", err)
			}
		}
	}
	r.t.Cleanup(stop)
	return stop
}

// clean removes what a test may have left.
func (r *rig) clean() {
	ctx := context.Background()
	for _, app := range []string{appLoadBalancer, nodeconfig.AppConfig, nodeconfig.AppNode, nodeconfig.AppOrders} {
		var list corev1.ConfigMapList
		r.must(r.client.List(ctx, &list, client.MatchingLabels{"app": app}))
		for i := range list.Items {
			r.must(client.IgnoreNotFound(r.client.Delete(ctx, &list.Items[i])))
		}
	}
	for _, namespace := range []string{"default", r.config.SystemNamespace, r.config.TLSNamespace} {
		r.must(r.client.DeleteAllOf(ctx, &corev1.Secret{}, client.InNamespace(namespace)))
	}
	var services corev1.ServiceList
	r.must(r.client.List(ctx, &services))
	for i := range services.Items {
		if services.Items[i].Name != "kubernetes" {
			r.must(r.client.Delete(ctx, &services.Items[i]))
		}
	}
	r.must(r.client.DeleteAllOf(ctx, &corev1.Node{}))
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) namespace(name string) {
	r.t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := r.client.Create(r.t.Context(), ns); !apierrors.IsAlreadyExists(err) {
		r.must(err)
	}
}

func (r *rig) service(namespace, name string, ports ...int32) *corev1.Service {
	r.t.Helper()
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	for _, p := range ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: fmt.Sprintf("p%d", p), Port: p})
	}
	if len(ports) == 0 {
		s.Spec.ClusterIP = corev1.ClusterIPNone
	}
	r.must(r.client.Create(r.t.Context(), s))
	return s
}

func (r *rig) node(i int) {
	r.t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprintf("lb%d", i), Labels: map[string]string{"type": "loadbalancer"},
	}}
	r.must(r.client.Create(r.t.Context(), n))
	n.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeHostName, Address: n.Name},
		{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("10.0.0.%d", i)},
	}
	r.must(r.client.Status().Update(r.t.Context(), n))
}

// configMap creates a user's ConfigMap from keys and values.
func (r *rig) configMap(namespace, name string, data map[string]string) *corev1.ConfigMap {
	r.t.Helper()
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: map[string]string{"app": appLoadBalancer},
		},
		Data: data,
	}
	r.must(r.client.Create(r.t.Context(), cm))
	return cm
}

// coffee creates a ConfigMap that asks for the Service default/coffee.
func (r *rig) coffee(name string) *corev1.ConfigMap {
	return r.configMap("default", name, map[string]string{"target-service-name": "coffee"})
}

// eventually polls until the check returns "", and fails with what it returned last.
func (r *rig) eventually(check func() string) {
	r.t.Helper()
	r.eventuallyWithin(20*time.Second, check)
}

func (r *rig) eventuallyWithin(limit time.Duration, check func() string) {
	r.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		wrong := check()
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatal(wrong)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (r *rig) get(cm *corev1.ConfigMap) *corev1.ConfigMap {
	r.t.Helper()
	var now corev1.ConfigMap
	r.must(r.client.Get(r.t.Context(), client.ObjectKeyFromObject(cm), &now))
	return &now
}

// waitStatus waits until the object's status begins so, and returns the object.
func (r *rig) waitStatus(cm *corev1.ConfigMap, prefix string) *corev1.ConfigMap {
	r.t.Helper()
	var now *corev1.ConfigMap
	r.eventually(func() string {
		now = r.get(cm)
		if strings.HasPrefix(now.Data["status"], prefix) {
			return ""
		}
		return fmt.Sprintf("%s: status %q does not begin with %q", now.Name, now.Data["status"], prefix)
	})
	return now
}

// waitEvent waits for an Event about the object with that reason and text.
func (r *rig) waitEvent(cm *corev1.ConfigMap, kind, reason, text string) {
	r.t.Helper()
	r.eventually(func() string {
		all := r.eventsOf(cm)
		if slices.ContainsFunc(all, func(e string) bool {
			return strings.HasPrefix(e, kind+" "+reason+": ") && strings.Contains(e, text)
		}) {
			return ""
		}
		return fmt.Sprintf("no Event %s %s %q about %s, but %q", kind, reason, text, cm.Name, all)
	})
}

// eventsOf returns the Events about an object as "Warning NotReady: text".
func (r *rig) eventsOf(cm *corev1.ConfigMap) []string {
	r.t.Helper()
	var list corev1.EventList
	r.must(r.client.List(r.t.Context(), &list, client.InNamespace(cm.Namespace)))
	var all []string
	for _, e := range list.Items {
		if e.InvolvedObject.UID == cm.UID {
			all = append(all, e.Type+" "+e.Reason+": "+e.Message)
		}
	}
	return all
}

// playNodes lets the nodes run what they are told at once, each holding the addresses of the groups that it is the home
// of, as long as they are not frozen.
func (r *rig) playNodes() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		last := map[string]string{}
		for ctx.Err() == nil {
			r.frozen.unless(func() { r.report(ctx, last) })
			time.Sleep(5 * time.Millisecond)
		}
	}()
	r.t.Cleanup(func() { cancel(); <-done })
}

// desired reads what the nodes are told.
func (r *rig) desired(ctx context.Context) nodeconfig.Config {
	var list corev1.ConfigMapList
	if err := r.client.List(ctx, &list, client.InNamespace(r.config.SystemNamespace),
		client.MatchingLabels{"app": nodeconfig.AppConfig}); err != nil {
		return nodeconfig.Config{}
	}
	c := nodeconfig.Config{Shards: map[string]nodeconfig.Shard{}}
	for _, cm := range list.Items {
		text := cm.Data[nodeconfig.KeyConfig]
		if cm.Name == nodeconfig.FleetName {
			c.Fleet, _ = nodeconfig.Decode[nodeconfig.Fleet](text)
		} else if sh, err := nodeconfig.Decode[nodeconfig.Shard](text); err == nil {
			c.Shards[cm.Name] = sh
		}
	}
	return c
}

// report writes the nodes' reports that would say something new.
func (r *rig) report(ctx context.Context, last map[string]string) {
	c := r.desired(ctx)
	for _, n := range c.Fleet.Nodes {
		s := nodeconfig.Status{Version: nodeconfig.Version, Node: n.Name, Running: nodeconfig.Running{
			Fleet: c.Fleet.Revision, Shards: map[string]int64{},
		}, Share: nodeconfig.Share{State: nodeconfig.ShareServing}}
		if n.Phase != "" {
			s.Share.State = nodeconfig.ShareSilent
		}
		for name, sh := range c.Shards {
			s.Running.Shards[name] = sh.Revision
		}
		for _, e := range c.LoadBalancers() {
			for _, g := range c.Fleet.Groups {
				if g.ID == e.Group && g.Home == n.Name && n.Phase == "" {
					s.Holding = append(s.Holding, e.VIPs...)
				}
			}
		}
		slices.SortFunc(s.Holding, netip.Addr.Compare)
		text, _ := nodeconfig.Encode(s)
		if last[n.Name] != text && r.writeReport(ctx, s) == nil {
			last[n.Name] = text
		}
	}
}

func (r *rig) writeReport(ctx context.Context, s nodeconfig.Status) error {
	if s.Reported.IsZero() {
		s.Reported = time.Now()
	}
	text, err := nodeconfig.Encode(s)
	if err != nil {
		return err
	}
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.config.SystemNamespace, Name: nodeconfig.StatusName(s.Node),
			Labels: map[string]string{"app": nodeconfig.AppNode},
		},
		Data: map[string]string{nodeconfig.KeyStatus: text},
	}
	err = r.client.Update(ctx, cm)
	if apierrors.IsNotFound(err) {
		err = r.client.Create(ctx, cm)
	}
	return err
}
