package controller

import (
	"log/slog"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// heldMap is a ConfigMap with these finalizers and this value of the app label.
func heldMap(name, app string, finalizers ...string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: name, UID: types.UID(name), ResourceVersion: "7", Finalizers: finalizers,
		Labels: map[string]string{nodeconfig.LabelApp: app},
	}}
}

// TestFindHeld: an object whose label was taken away while no controller ran is let go as well.
func TestFindHeld(t *testing.T) {
	b, err := octavia.New(octavia.Options{Cluster: "c"})
	if err != nil {
		t.Fatal(err)
	}
	objects := fake.NewClientBuilder().WithObjects(heldMap("unlabelled", "", configmap.Finalizer),
		heldMap("sharer", "", configmap.Finalizer), heldMap("labelled", appLoadBalancer, configmap.Finalizer), heldMap("free", "", "other")).Build()
	f := &finalizers{client: objects, api: objects, backend: b, log: slog.New(slog.DiscardHandler),
		held: map[types.UID]lb.Origin{}, releasing: map[types.UID]bool{}, versions: map[types.UID]string{},
		begun: map[types.UID]bool{}, asked: map[string]bool{}}
	var orphans []octavia.Orphan
	for _, name := range []string{"unlabelled", "labelled", "free", "gone"} {
		orphans = append(orphans, octavia.Orphan{ID: name, Key: lb.Key{Namespace: "default", Name: name}})
	}
	orphans = append(orphans, octavia.Orphan{ID: "cut"},
		octavia.Orphan{ID: "shared", Sharers: []lb.Key{{Namespace: "default", Name: "gone"}, {Namespace: "default", Name: "sharer"}}})
	if err := f.find(t.Context(), orphans); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.held["unlabelled"]; !ok || len(f.held) != 2 || f.held["sharer"].Name != "sharer" {
		t.Errorf("%+v", f.held)
	}
	if err := f.release(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if b.Released(lb.Key{Namespace: "default", Name: "unlabelled"}) || !f.releasing["unlabelled"] {
		t.Error("the backend is not told to let it go")
	}
}

// TestHoldAgain: a finalizer that somebody has taken away is not believed to be there. An older cache says nothing.
func TestHoldAgain(t *testing.T) {
	for version, held := range map[string]bool{"6": true, "7": true, "8": false} {
		f := &finalizers{held: map[types.UID]lb.Origin{"a": {}}, versions: map[types.UID]string{"a": "7"}, begun: map[types.UID]bool{}}
		cm := heldMap("a", appLoadBalancer)
		cm.ResourceVersion = version
		if err := f.hold(t.Context(), []*corev1.ConfigMap{cm}, nil); err != nil {
			t.Fatal(err)
		}
		if _, ok := f.held["a"]; ok != held {
			t.Errorf("version %s: held %v", version, ok)
		}
	}
}

// TestBegun: what has the finalizer when this process first sees it may be under way, whatever this one does to it.
func TestBegun(t *testing.T) {
	ours, before := heldMap("ours", appLoadBalancer), heldMap("before", appLoadBalancer, configmap.Finalizer)
	objects := fake.NewClientBuilder().WithObjects(ours, before).Build()
	f := &finalizers{client: objects, held: map[types.UID]lb.Origin{}, versions: map[types.UID]string{},
		begun: map[types.UID]bool{}}
	for range 2 {
		want := []lb.LoadBalancer{{Origin: originOf(ours)}, {Origin: originOf(before)}}
		for i := range want {
			want[i].Listeners = []lb.Listener{{Port: 80}}
		}
		if err := f.hold(t.Context(), []*corev1.ConfigMap{ours, before}, want); err != nil {
			t.Fatal(err)
		}
		if want[0].Cloud.Begun || !want[1].Cloud.Begun {
			t.Errorf("begun %v, %v", want[0].Cloud.Begun, want[1].Cloud.Begun)
		}
		ours = ours.DeepCopy()
		ours.Finalizers = []string{configmap.Finalizer}
	}
}
