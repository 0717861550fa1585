package controller

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/backend/software"
	"github.com/kubectl-lb/kubectl-lb/pkg/controller/vault"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// benchSystem is the namespace of the documents.
const benchSystem = "system"

// benchCluster is an API server and a cache that are the same, and take no time: what is measured is the pass.
type benchCluster struct {
	client.Client // nothing is asked of it but what follows

	mu         sync.Mutex                              // statuses are written many at a time
	configMaps map[string]map[string]*corev1.ConfigMap // by namespace and name
	services   []*corev1.Service
	nodes      []*corev1.Node
	version    int
	// written counts the writes, by namespace.
	written map[string]int
}

func (c *benchCluster) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	matches := func(l map[string]string) bool {
		return o.LabelSelector == nil || o.LabelSelector.Matches(labels.Set(l))
	}
	switch list := list.(type) {
	case *corev1.ConfigMapList:
		for namespace, all := range c.configMaps {
			for _, cm := range all {
				if (o.Namespace == "" || o.Namespace == namespace) && matches(cm.Labels) {
					list.Items = append(list.Items, *cm)
				}
			}
		}
	case *corev1.ServiceList:
		for _, s := range c.services {
			list.Items = append(list.Items, *s)
		}
	case *corev1.NodeList:
		for _, n := range c.nodes {
			list.Items = append(list.Items, *n)
		}
	case *corev1.SecretList:
	default:
		return fmt.Errorf("list %T", list)
	}
	return nil
}

func (c *benchCluster) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: fmt.Sprintf("%T", o)}, key.Name)
}

func (c *benchCluster) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	return c.put(o)
}

func (c *benchCluster) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	return c.put(o)
}

func (c *benchCluster) Apply(_ context.Context, o runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
	ac, ok := o.(*corev1ac.ConfigMapApplyConfiguration)
	if !ok {
		return fmt.Errorf("apply %T", o)
	}
	c.mu.Lock()
	cm := c.configMaps[*ac.Namespace][*ac.Name].DeepCopy()
	c.mu.Unlock()
	maps.Copy(cm.Data, ac.Data)
	if err := c.put(cm); err != nil {
		return err
	}
	ac.WithResourceVersion(cm.ResourceVersion)
	return nil
}

func (c *benchCluster) put(o client.Object) error {
	cm, ok := o.(*corev1.ConfigMap)
	if !ok {
		return fmt.Errorf("write %T", o)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	cm.ResourceVersion = strconv.Itoa(c.version)
	if c.configMaps[cm.Namespace] == nil {
		c.configMaps[cm.Namespace] = map[string]*corev1.ConfigMap{}
	}
	c.configMaps[cm.Namespace][cm.Name] = cm.DeepCopy()
	c.written[cm.Namespace]++
	return nil
}

// newBenchCluster returns a cluster with three load-balancer nodes and that many objects, each with a Service.
func newBenchCluster(b *testing.B, objects int) *benchCluster {
	b.Helper()
	c := &benchCluster{configMaps: map[string]map[string]*corev1.ConfigMap{}, written: map[string]int{}}
	for i := range 3 {
		c.nodes = append(c.nodes, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("lb%d", i+1)},
			Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("10.0.0.%d", i+1)},
				{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("fd00::%d", i+1)},
			}},
		})
	}
	created := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	for i := range objects {
		service, name := fmt.Sprintf("tea-%05d", i), fmt.Sprintf("many-%05d", i)
		c.services = append(c.services, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: service},
			Spec: corev1.ServiceSpec{
				ClusterIP: netip.AddrFrom4([4]byte{10, 96, byte(i >> 8), byte(i)}).String(), Type: corev1.ServiceTypeClusterIP,
				Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}},
			},
		})
		if err := c.put(&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "default", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: created,
				Labels: map[string]string{nodeconfig.LabelApp: appLoadBalancer},
			},
			Data: map[string]string{
				"target-service-name": service, "protocol": "HTTP", "ip-families": "IPv6",
				"host": fmt.Sprintf("host-%d.example.com", i),
			},
		}); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

// report lets every node say that it runs what is stored; the addresses are with them in turns.
func (c *benchCluster) report(b *testing.B) {
	b.Helper()
	running := nodeconfig.Running{Shards: map[string]int64{}}
	holding := make([][]netip.Addr, len(c.nodes))
	for name, cm := range c.configMaps[benchSystem] {
		text := cm.Data[nodeconfig.KeyConfig]
		switch {
		case name == nodeconfig.FleetName:
			fleet, err := nodeconfig.Decode[nodeconfig.Fleet](text)
			if err != nil {
				b.Fatal(err)
			}
			running.Fleet = fleet.Revision
		case strings.HasPrefix(name, nodeconfig.ShardPrefix):
			shard, err := nodeconfig.Decode[nodeconfig.Shard](text)
			if err != nil {
				b.Fatal(err)
			}
			running.Shards[name] = shard.Revision
			for _, e := range shard.LoadBalancers {
				holding[e.Group%len(holding)] = append(holding[e.Group%len(holding)], e.VIPs...)
			}
		}
	}
	for i, n := range c.nodes {
		slices.SortFunc(holding[i], netip.Addr.Compare)
		text, err := nodeconfig.Encode(nodeconfig.Status{
			Version: nodeconfig.Version, Node: n.Name, Reported: time.Now(), Wanted: running, Running: running,
			Holding: holding[i],
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.put(&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: benchSystem, Name: nodeconfig.StatusName(n.Name),
				Labels: map[string]string{nodeconfig.LabelApp: nodeconfig.AppNode},
			},
			Data: map[string]string{nodeconfig.KeyStatus: text},
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// change gives an object another header.
func (c *benchCluster) change(b *testing.B, name string) {
	b.Helper()
	cm := c.configMaps["default"][name].DeepCopy()
	cm.Data["set-response-headers"] = fmt.Sprintf("X-Trial: %d", c.version)
	if err := c.put(cm); err != nil {
		b.Fatal(err)
	}
}

func newBenchReconciler(b *testing.B, c *benchCluster) *reconciler {
	b.Helper()
	pool, err := ipam.ParsePool("p", []string{"fd00:10::/64"}, ipam.Options{})
	if err != nil {
		b.Fatal(err)
	}
	log, objects := slog.New(slog.DiscardHandler), reader{cache: c}
	backing := newBacking(nil, log)
	backing.changed = func() {}
	r := &reconciler{
		source: configmap.New(objects), objects: objects,
		pods: &pods{
			services: c, backing: backing,
			watch: &podWatch{lifetime: b.Context(), log: log, services: map[lb.Key]*sliceStore{}},
		},
		vault: vault.New(vault.Options{
			Cache: c, API: c, Writer: c, Namespace: "tls", Owner: fieldManager, Log: log,
		}),
		connect: func(context.Context) (backend.Backend, error) {
			return software.New(&store{
				namespace: benchSystem, cache: c, api: c, writer: c, nodes: labels.Everything(), pulses: &pulses{},
			}, software.Options{Cluster: "c", Log: log}), nil
		},
		provider: lb.ProviderSoftware, pools: []ipam.Pool{pool},
		statuses: &statusWriter{client: c, log: log, written: map[types.UID]written{}, herald: &herald{
			events: &events.FakeRecorder{}, log: log,
		}},
		metrics: newMetrics(), log: log,
	}
	return r
}

// BenchmarkPass measures a pass after one object has changed beside many, and one after nothing has. The API server
// answers at once.
func BenchmarkPass(b *testing.B) {
	for _, objects := range []int{1000, 5000} {
		c := newBenchCluster(b, objects)
		r := newBenchReconciler(b, c)
		pass := func() {
			if _, err := r.Reconcile(b.Context(), reconcile.Request{}); err != nil {
				b.Fatal(err)
			}
		}
		pass()
		c.report(b)
		pass()
		for _, cm := range c.configMaps["default"] {
			if cm.Data["status"] != "SUCCESS" {
				b.Fatalf("%s: %v", cm.Name, cm.Data)
			}
		}
		b.Run(fmt.Sprintf("changed/%d", objects), func(b *testing.B) {
			b.ReportAllocs()
			before, n := c.written[benchSystem], 0
			for b.Loop() {
				c.change(b, "many-00500")
				pass()
				n++
			}
			if got := c.written[benchSystem] - before; got != n {
				b.Errorf("%d changes wrote %d documents", n, got)
			}
		})
		b.Run(fmt.Sprintf("unchanged/%d", objects), func(b *testing.B) {
			b.ReportAllocs()
			before := c.written[benchSystem]
			for b.Loop() {
				pass()
			}
			if got := c.written[benchSystem] - before; got > 0 {
				b.Errorf("no change wrote %d documents", got)
			}
		})
	}
}
