package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// apiServer starts a real one.
func apiServer(t *testing.T) (*envtest.Environment, *rest.Config) {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skip("KUBEBUILDER_ASSETS is not set; make test sets it")
	}
	env := &envtest.Environment{}
	config, err := env.Start()
	if err != nil {
		t.Fatalf("start the API server: %v", err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Errorf("stop the API server: %v", err)
		}
	})
	return env, config
}

// They are namespaces that every API server has.
const (
	namespace    = "default"
	certificates = "kube-system"
)

func both() Namespaces { return Namespaces{Documents: namespace, Certificates: certificates} }

func (c *Client) write(t *testing.T, name, text string) {
	t.Helper()
	c.apply(t, name, nodeconfig.AppConfig, nodeconfig.KeyConfig, text)
}

func (c *Client) order(t *testing.T, node, text string) {
	t.Helper()
	c.apply(t, nodeconfig.OrdersName, nodeconfig.AppOrders, nodeconfig.OrderKey(node), text)
}

func (c *Client) apply(t *testing.T, name, app, key, text string) {
	t.Helper()
	body := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"labels":{%q:%q}},"data":{%q:%q}}`,
		name, nodeconfig.LabelApp, app, key, text)
	force := true
	err := c.rest.Patch(types.ApplyPatchType).Namespace(namespace).Resource("configmaps").Name(name).
		VersionedParams(&metav1.PatchOptions{FieldManager: "test", Force: &force}, c.params).
		Body([]byte(body)).Do(t.Context()).Error()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *Client) remove(t *testing.T, name string) {
	t.Helper()
	err := c.rest.Delete().Namespace(namespace).Resource("configmaps").Name(name).Do(t.Context()).Error()
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
}

// inbox keeps the newest update.
type inbox struct {
	mu  sync.Mutex
	got *Update
}

func (i *inbox) put(u Update) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.got = &u
}

func (i *inbox) await(t *testing.T, want string, findings int) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		i.mu.Lock()
		got := i.got
		i.mu.Unlock()
		if got != nil && summary(got.Config) == want && len(got.Findings) == findings {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %+v, want %q and %d findings", got, want, findings)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestWatchAndReport(t *testing.T) {
	_, config := apiServer(t)
	c, err := NewClient(config, both())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var in inbox
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Watch(ctx, slog.New(slog.DiscardHandler), nil, in.put)
	}()

	in.await(t, "nothing", 0)
	c.write(t, "lb-shard-000", encode(t, shardOf(1, 1)))
	c.write(t, nodeconfig.FleetName, encode(t, fleet(1)))
	in.await(t, "f1 0@1:1", 0)
	c.write(t, "lb-shard-000", encode(t, shardOf(2, 1, 2)))
	in.await(t, "f1 0@2:1,2", 0)
	c.remove(t, nodeconfig.FleetName)
	in.await(t, "f1 0@2:1,2", 1)
	c.write(t, nodeconfig.FleetName, encode(t, fleet(2)))
	in.await(t, "f2 0@2:1,2", 0)
	c.order(t, "lb1", encode(t, nodeconfig.Order{Version: nodeconfig.Version, Drain: &nodeconfig.Drain{}}))
	in.await(t, "f2 0@2:1,2 lb1", 0)
	c.remove(t, nodeconfig.OrdersName)
	in.await(t, "f2 0@2:1,2 lb1", 1)
	cancel()
	<-done

	for round := range 2 { // the first makes the object, the second changes it
		s := nodeconfig.Status{Version: nodeconfig.Version, Node: "lb1", Running: nodeconfig.Running{Fleet: int64(round)}}
		if err := c.Report(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		cm := &corev1.ConfigMap{}
		err := c.rest.Get().Namespace(namespace).Resource("configmaps").Name("lb-node-lb1").Do(t.Context()).Into(cm)
		if err != nil {
			t.Fatal(err)
		}
		got, err := nodeconfig.Decode[nodeconfig.Status](cm.Data[nodeconfig.KeyStatus])
		if err != nil || got.Running.Fleet != int64(round) || cm.Labels[nodeconfig.LabelApp] != nodeconfig.AppNode {
			t.Errorf("round %d: status %+v, labels %v, error %v", round, got, cm.Labels, err)
		}
	}
}

func TestNoAPIServer(t *testing.T) {
	c, err := NewClient(&rest.Config{Host: "http://127.0.0.1:1"}, both())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	called := false
	c.Watch(ctx, slog.New(slog.DiscardHandler), nil, func(Update) { called = true })
	if called {
		t.Error("an update came from nowhere")
	}
	if err := c.Report(ctx, nodeconfig.Status{Node: "lb1"}); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("report: %v", err)
	}
}
