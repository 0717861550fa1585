package controller

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	discovery "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// pod is an endpoint: "10.244.0.1", or "10.244.0.1 ending" for one that ends but serves.
func pod(text string) discoveryv1.Endpoint {
	address, state, _ := strings.Cut(text, " ")
	ready := state == ""
	return discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{
		Ready: new(ready), Serving: new(ready || state == "ending"), Terminating: new(state == "ending"),
	}}
}

// pods makes the slice of a Service in default have exactly these pods, as the endpoint slice controller would.
func (r *rig) pods(service string, pods ...string) {
	r.t.Helper()
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: service + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: service},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("p80"), Port: new(int32(8080))}},
	}
	for _, p := range pods {
		s.Endpoints = append(s.Endpoints, pod(p))
	}
	if err := r.client.Create(r.t.Context(), s); err != nil {
		r.must(r.client.Update(r.t.Context(), s))
		return
	}
	r.t.Cleanup(func() { _ = r.client.Delete(context.Background(), s) })
}

// endpointsOf returns the addresses that the nodes are told for the first port of a load balancer.
func (r *rig) endpointsOf(name string) string {
	for _, e := range r.desired(r.t.Context()).LoadBalancers() {
		if e.Origin.Name == name {
			return strings.Trim(fmt.Sprint(e.Listeners[0].Routes[0].Target.Endpoints), "[]")
		}
	}
	return "no such load balancer"
}

func (r *rig) waitEndpoints(name, want string) {
	r.t.Helper()
	r.eventually(func() string {
		if got := r.endpointsOf(name); got != want {
			return fmt.Sprintf("%s goes to %q, not %q", name, got, want)
		}
		return ""
	})
}

// byEndpoints creates a ConfigMap that goes to the pods of default/coffee.
func (r *rig) byEndpoints(name string, more ...string) *corev1.ConfigMap {
	data := map[string]string{"target-service-name": "coffee", "upstream": "endpoints"}
	for i := 0; i+1 < len(more); i += 2 {
		data[more[i]] = more[i+1]
	}
	return r.configMap("default", name, data)
}

// TestPods: the pods of a load balancer are those of now, whatever becomes of its object, its status does not flap, and
// its neighbour is left alone.
func TestPods(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	r.pods("coffee", "10.244.0.1", "10.244.0.2")
	neighbour := r.waitStatus(r.coffee("neighbour"), "SUCCESS")
	cm := r.waitStatus(r.byEndpoints("tea"), "SUCCESS")
	r.waitEndpoints("tea", "10.244.0.1:8080 10.244.0.2:8080")
	version := func() string { return r.get(cm).ResourceVersion + " " + r.get(neighbour).ResourceVersion }
	before := version()
	r.pods("coffee", "10.244.0.2 ending", "10.244.0.3")
	r.waitEndpoints("tea", "10.244.0.3:8080")
	r.pods("coffee", "10.244.0.3 ending")
	r.waitEndpoints("tea", "10.244.0.3:8080")
	r.pods("coffee", "10.244.0.4")
	r.waitEndpoints("tea", "10.244.0.4:8080")
	if after := version(); after != before {
		t.Errorf("the objects were written: versions %s, then %s", before, after)
	}
	r.pods("coffee")
	r.waitEndpoints("tea", "")
	r.waitEvent(cm, "Warning", "Warning", "LB0206 data[upstream]: no pod behind port 80 of Service default/coffee is ready")
	r.pods("coffee", "10.244.0.4")
	r.waitEndpoints("tea", "10.244.0.4:8080")
	// The last good version goes on with the pods of now.
	bad := r.get(cm)
	bad.Data["lb-method"] = "fastest"
	r.must(r.client.Update(t.Context(), bad))
	r.waitStatus(cm, "ERROR : LB0104 data[lb-method]")
	r.pods("coffee", "10.244.0.5")
	r.waitEndpoints("tea", "10.244.0.5:8080")
	// And over a restart.
	r.stop()
	r.pods("coffee", "10.244.0.6")
	r.stop = r.start()
	r.waitEndpoints("tea", "10.244.0.6:8080")
	if got := r.endpointsOf("neighbour"); !strings.HasSuffix(got, ":80") || strings.Contains(got, " ") {
		t.Errorf("the neighbour goes to %q", got)
	}
}

// TestPodless: who goes by a cluster IP without a pod behind it hears of it, without a change of what the nodes are told, and
// once it has pods, it is said no more.
func TestPodless(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	r.pods("coffee", "10.244.0.1")
	fine := r.waitStatus(r.coffee("fine"), "SUCCESS")
	r.pods("coffee", "10.244.0.1 unready")
	const text = "no pod of Service default/coffee is ready"
	r.waitEvent(fine, "Warning", "Warning", "LB0206 data[target-service-name]: "+text)
	warns := func(want string) {
		t.Helper()
		r.eventually(func() string {
			if got := r.get(fine).Annotations[configmap.AnnotationWarnings]; got != want {
				return fmt.Sprintf("warnings %s, want %s", got, want)
			}
			return ""
		})
	}
	told := func() int { return strings.Count(strings.Join(r.eventsOf(fine), "\n"), "LB0206") }
	before := r.endpointsOf("fine")
	r.pods("coffee", "10.244.0.1 ending")
	warns("")
	routed := r.waitStatus(r.configMap("default", "routed", map[string]string{"routes": "path=/ service=coffee"}), "SUCCESS")
	r.pods("coffee")
	r.waitEvent(routed, "Warning", "Warning", "LB0206 data[routes]: "+text)
	warned := `[{"code":"LB0206","field":"data[target-service-name]","message":"` + text +
		`; see that its selector finds pods and that they are ready"}]`
	warns(warned)
	r.eventually(func() string {
		if n := told(); n != 2 {
			return fmt.Sprintf("told %d times: %q", n, r.eventsOf(fine))
		}
		return ""
	})
	// What stands is neither taken back nor said again by another controller.
	version := r.get(fine).ResourceVersion
	r.stop()
	r.stop = r.start()
	r.waitStatus(r.coffee("another"), "SUCCESS")
	warns(warned)
	if now := r.get(fine).ResourceVersion; now != version || told() != 2 {
		t.Errorf("version %s, and then %s; told %d times", version, now, told())
	}
	r.pods("coffee", "10.244.0.2")
	warns("")
	if after := r.endpointsOf("fine"); after != before || after == "" {
		t.Errorf("the nodes are told %q, and then %q", before, after)
	}
}

// TestPodsNeverVanish: what is served is never without pods while they are read, after a restart as after a change from
// the Service to its endpoints.
func TestPodsNeverVanish(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	r.pods("coffee", "10.244.0.1")
	cm := r.waitStatus(r.coffee("tea"), "SUCCESS")
	done, looked := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-done:
				looked <- n
				return
			default:
			}
			if got := r.endpointsOf("tea"); got == "" {
				t.Error("it went nowhere")
			}
			n++
		}
	}()
	now := r.get(cm)
	now.Data["upstream"] = "endpoints"
	r.must(r.client.Update(t.Context(), now))
	r.waitEndpoints("tea", "10.244.0.1:8080")
	for i := range 3 {
		r.stop()
		r.stop = r.start()
		r.pods("coffee", fmt.Sprintf("10.244.1.%d", i))
		r.waitEndpoints("tea", fmt.Sprintf("10.244.1.%d:8080", i))
	}
	close(done)
	if n := <-looked; n < 10 {
		t.Errorf("looked %d times only", n)
	}
}

// TestManyPods: a thousand pods that change as fast as can be make few changes of what the nodes are told.
func TestManyPods(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	var all []string
	for i := range 1000 {
		all = append(all, fmt.Sprintf("10.244.%d.%d", i/250, i%250+1))
	}
	r.pods("coffee", all...)
	r.waitStatus(r.byEndpoints("tea"), "SUCCESS")
	r.eventually(func() string {
		if n := strings.Count(r.endpointsOf("tea"), ":"); n != 1000 {
			return fmt.Sprintf("%d pods", n)
		}
		return ""
	})
	seen := map[int64]bool{}
	begun := time.Now()
	for i := range 60 {
		r.pods("coffee", all[i+1:]...)
		for _, s := range r.desired(t.Context()).Shards {
			seen[s.Revision] = true
		}
	}
	took := time.Since(begun)
	r.eventually(func() string {
		for _, s := range r.desired(t.Context()).Shards {
			seen[s.Revision] = true
		}
		if got := r.endpointsOf("tea"); strings.Contains(got, "10.244.0.60:") || !strings.Contains(got, "10.244.0.61:") {
			return "it has not caught up"
		}
		return ""
	})
	if most := podBurst + podPasses*int(took.Seconds()+2) + 2; len(seen) > most {
		t.Errorf("%d changes in %s, more than %d", len(seen), took, most)
	}
}

// TestPodsForbidden: where the controller may not read endpoints, those who go by them are told so, and nobody else is
// concerned.
func TestPodsForbidden(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	r.stop()
	r.applyManifest("../../deploy/10-rbac-controller.yaml")
	var role rbacv1.ClusterRole
	r.must(r.client.Get(t.Context(), client.ObjectKey{Name: "kubectl-lb-controller"}, &role))
	role.Rules = slices.DeleteFunc(role.Rules, func(p rbacv1.PolicyRule) bool { return p.APIGroups[0] == "discovery.k8s.io" })
	r.must(r.client.Update(t.Context(), &role))
	admin := apiServer
	t.Cleanup(func() { apiServer = admin })
	apiServer = rest.CopyConfig(admin)
	apiServer.Impersonate.UserName = "system:serviceaccount:" + r.config.SystemNamespace + ":lb-controller"
	r.stop = r.start()
	cm := r.waitStatus(r.byEndpoints("tea"), "ERROR : LB0208 data[upstream]: the endpoints of Service default/coffee")
	r.waitStatus(r.coffee("neighbour"), "SUCCESS")
	// It is served as soon as it may be.
	r.pods("coffee", "10.244.0.1")
	r.applyManifest("../../deploy/10-rbac-controller.yaml")
	r.waitStatus(cm, "SUCCESS")
	r.waitEndpoints("tea", "10.244.0.1:8080")
	r.stop()
}

// TestPodsOfFailedWishes: what an object asks for that will not be served is not watched, nor is a word said about it.
func TestPodsOfFailedWishes(t *testing.T) {
	p := &pods{watch: &podWatch{services: map[lb.Key]*sliceStore{}}}
	var w lb.Wish
	target := lb.Target{Service: lb.Service{Key: lb.Key{Namespace: "default", Name: "tea"}, Port: 80}}
	w.LoadBalancer.Listeners = []lb.Listener{{
		Port: 80, Protocol: lb.TCP, Options: lb.Options{Upstream: lb.Upstream{Endpoints: true}},
		Routes: []lb.Route{{Target: target}},
	}}
	w.Findings = []lb.Finding{{Code: lb.CodeBadValue}}
	wishes := []lb.Wish{w}
	if err := p.fill(t.Context(), wishes, nil); err != nil || len(p.watch.services) > 0 || len(wishes[0].Findings) != 1 {
		t.Errorf("%v, %d watches, findings %v", err, len(p.watch.services), wishes[0].Findings)
	}
}

// TestPodWatch: only Services that are asked for are watched, as long as they are.
func TestPodWatch(t *testing.T) {
	r := newRig(t, "10.88.0.1")
	r.stop()
	r.service("default", "tea", 80)
	r.pods("tea", "10.244.0.1")
	r.pods("coffee", "10.244.0.2")
	c, err := discovery.NewForConfig(apiServer)
	r.must(err)
	changes := make(chan struct{}, 100)
	w := &podWatch{
		lifetime: t.Context(), client: c, changed: func() { changes <- struct{}{} }, log: slog.New(slog.DiscardHandler),
		services: map[lb.Key]*sliceStore{},
	}
	key := lb.Key{Namespace: "default", Name: "tea"}
	if _, err := w.slices(key); err == nil {
		t.Error("slices without a watch")
	}
	w.follow(t.Context(), map[lb.Key]bool{key: true})
	all, err := w.slices(key)
	if err != nil || len(all) != 1 || all[0].Endpoints[0].Addresses[0] != "10.244.0.1" {
		t.Fatalf("%v, %v", all, err)
	}
	<-changes
	r.pods("coffee", "10.244.0.3")
	r.pods("tea", "10.244.0.4")
	<-changes
	if all, err = w.slices(key); err != nil || all[0].Endpoints[0].Addresses[0] != "10.244.0.1" {
		t.Fatalf("a change was shown before it was due: %v, %v", all, err)
	}
	show := func() {
		w.due.Store(true)
		w.follow(t.Context(), map[lb.Key]bool{key: true})
	}
	show()
	all, err = w.slices(key)
	if err != nil || len(all) != 1 || all[0].Endpoints[0].Addresses[0] != "10.244.0.4" {
		t.Fatalf("%v, %v", all, err)
	}
	r.must(r.client.Delete(t.Context(), all[0].DeepCopy()))
	<-changes
	show()
	if all, err = w.slices(key); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	w.follow(t.Context(), nil)
	if _, err := w.slices(key); err == nil || len(w.services) != 0 {
		t.Error("it is watched still")
	}
}
