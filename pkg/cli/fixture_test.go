package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// world is a cluster as the controller and three daemons would leave it, in namespaces of one test.
type world struct {
	*server
	t testing.TB
	// user is the namespace of the load balancers, system that of the documents.
	user, system string
	now          time.Time
	// live says that the clock runs.
	live     bool
	shard    nodeconfig.Shard
	statuses map[string]*nodeconfig.Status
}

// newWorld makes a fleet of three nodes that serves nothing. The clock stands half an hour ahead of the objects, so
// that their ages are the same in every run.
func newWorld(t testing.TB, name string) *world {
	t.Helper()
	w := &world{
		server: apiServer(t), t: t, user: name, system: name + "-system",
		now:      time.Now().Add(30*time.Minute + 30*time.Second).Truncate(time.Second),
		shard:    nodeconfig.Shard{Version: nodeconfig.Version, Revision: 7},
		statuses: map[string]*nodeconfig.Status{},
	}
	for _, ns := range []string{w.user, w.system} {
		object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}
		_, err := w.client.CoreV1().Namespaces().Create(t.Context(), object, metav1.CreateOptions{})
		w.must(err)
	}
	fleet := nodeconfig.Fleet{
		Version: nodeconfig.Version, Revision: 3, Cluster: "00000000-0000-0000-0000-000000000001",
		Timing: nodeconfig.DefaultTiming(),
	}
	for i := range 3 {
		node := fmt.Sprintf("lb%d", i+1)
		fleet.Nodes = append(fleet.Nodes, nodeconfig.Node{
			Name: node, Addresses: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.88.0.%d", i+11))},
		})
		group := nodeconfig.Group{
			ID: i, VRID: uint8(51 + i), Home: node,
			Anchors: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("169.254.7.%d", i+1))},
		}
		for j := range 3 {
			group.Priorities = append(group.Priorities, nodeconfig.Priority{
				Node: fmt.Sprintf("lb%d", j+1), Priority: []uint8{200, 150, 100}[(j-i+3)%3],
			})
		}
		fleet.Groups = append(fleet.Groups, group)
		w.statuses[node] = w.status(node, i)
	}
	text, err := nodeconfig.Encode(fleet)
	w.must(err)
	w.document(nodeconfig.FleetName, nodeconfig.AppConfig, nodeconfig.KeyConfig, text)
	w.publish()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) status(node string, home int) *nodeconfig.Status {
	running := nodeconfig.Running{
		Generation: "7f3a91c2d4e5f607", Fleet: 3, Shards: map[string]int64{"lb-shard-000": 7},
		Since: w.now.Add(-12 * time.Minute),
	}
	s := &nodeconfig.Status{
		Version: nodeconfig.Version, Node: node, Reported: w.now.Add(-5 * time.Second),
		Versions: nodeconfig.Versions{Daemon: "v0.1.0", Nginx: "1.22.1", Keepalived: "2.2.7"},
		Wanted:   running, Running: running,
	}
	for id := range 3 {
		state := nodeconfig.StateBackup
		if id == home {
			state = nodeconfig.StateMaster
		}
		s.Groups = append(s.Groups, nodeconfig.GroupStatus{
			ID: id, Family: lb.IPv4, State: state, Since: w.now.Add(-26 * time.Hour),
		})
	}
	return s
}

// document writes a document.
func (w *world) document(name, app, key, text string) {
	w.put(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: w.system, Labels: map[string]string{nodeconfig.LabelApp: app},
		},
		Data: map[string]string{key: text},
	})
}

func (w *world) put(cm *corev1.ConfigMap) {
	w.t.Helper()
	ctx := context.Background()
	_, err := w.client.CoreV1().ConfigMaps(cm.Namespace).Create(ctx, cm, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = w.client.CoreV1().ConfigMaps(cm.Namespace).Update(ctx, cm, metav1.UpdateOptions{})
	}
	w.must(err)
}

// publish writes the shard and the nodes' statuses.
func (w *world) publish() {
	w.t.Helper()
	text, err := nodeconfig.Encode(w.shard)
	w.must(err)
	w.document("lb-shard-000", nodeconfig.AppConfig, nodeconfig.KeyConfig, text)
	for node, s := range w.statuses {
		text, err := nodeconfig.Encode(*s)
		w.must(err)
		w.document(nodeconfig.StatusName(node), nodeconfig.AppNode, nodeconfig.KeyStatus, text)
	}
}

// service makes a Service.
func (w *world) service(name string, ports ...corev1.ServicePort) {
	w.t.Helper()
	_, err := w.client.CoreV1().Services(w.user).Create(context.Background(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Ports: ports},
	}, metav1.CreateOptions{})
	w.must(err)
}

func port(n int32, name string) corev1.ServicePort { return corev1.ServicePort{Port: n, Name: name} }

// endpoints makes an EndpointSlice with some pods, the last of which is not ready.
func (w *world) endpoints(service string, ready, unready int) {
	w.t.Helper()
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: service + "-abcde", Labels: map[string]string{discoveryv1.LabelServiceName: service},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new(string), Port: new(int32(8080))}},
	}
	for i := range ready + unready {
		isReady := i < ready
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.244.0.%d", i+1)},
			Conditions: discoveryv1.EndpointConditions{Ready: &isReady},
		})
	}
	_, err := w.client.DiscoveryV1().EndpointSlices(w.user).Create(context.Background(), slice, metav1.CreateOptions{})
	w.must(err)
}

// object writes a load balancer's ConfigMap.
func (w *world) object(name string, data map[string]string) {
	w.t.Helper()
	w.put(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: w.user,
			Labels: map[string]string{configmap.LabelKey: configmap.LabelValue, "world": w.user},
		},
		Data: data,
	})
}

// serve makes a load balancer that is served and held by a node: the object, the entry and the holder.
// annotate adds to the object of a load balancer.
func (w *world) annotate(name, key, value string) {
	w.t.Helper()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{key: value}}})
	w.must(err)
	_, err = w.client.CoreV1().ConfigMaps(w.user).Patch(context.Background(), name, types.MergePatchType, patch,
		metav1.PatchOptions{})
	w.must(err)
}

func (w *world) serve(name, vip, holder string, bindPort uint16) {
	w.t.Helper()
	w.object(name, map[string]string{
		"target-service-name": name, "bind-port": fmt.Sprint(bindPort), "bind-ip": vip, "status": "SUCCESS",
	})
	w.entry(name, vip, holder, bindPort)
}

func (w *world) entry(name, vip, holder string, bindPort uint16) {
	key := lb.Key{Namespace: w.user, Name: name}
	address := netip.MustParseAddr(vip)
	w.shard.LoadBalancers = append(w.shard.LoadBalancers, nodeconfig.Entry{
		LoadBalancer: lb.LoadBalancer{
			Origin: lb.Origin{Kind: "ConfigMap", Key: key, Created: w.now.Add(-time.Hour).UTC()},
			VIPs:   []netip.Addr{address},
			Listeners: []lb.Listener{{Port: bindPort, Protocol: lb.TCP, Routes: []lb.Route{{Target: lb.Target{
				Service:   lb.Service{Key: key, Port: 80},
				Endpoints: []netip.AddrPort{netip.MustParseAddrPort("10.96.100.1:80")},
			}}}}},
		},
		Group: 1, Revision: 7,
	})
	if s := w.statuses[holder]; s != nil {
		s.Holding = append(s.Holding, address)
	}
}

// allow lets a user do something by a ClusterRole, in one namespace or (with none) in all.
func (w *world) allow(user, namespace string, rules ...rbacv1.PolicyRule) {
	w.t.Helper()
	ctx := context.Background()
	name := w.user + "-" + user
	subject := []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: user, APIGroup: rbacv1.GroupName}}
	_, err := w.client.RbacV1().Roles(namespace).Create(ctx,
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}, metav1.CreateOptions{})
	w.must(err)
	_, err = w.client.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: subject,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
	}, metav1.CreateOptions{})
	w.must(err)
	for _, rule := range rules {
		for _, verb := range rule.Verbs {
			w.awaitLeave(user, authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Group: rule.APIGroups[0], Resource: rule.Resources[0],
				Name: strings.Join(rule.ResourceNames, ""),
			})
		}
	}
}

// awaitLeave waits until the API server has heard of a role that it has just been given.
func (w *world) awaitLeave(user string, what authorizationv1.ResourceAttributes) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s may %s %s", user, what.Verb, what.Resource), func() bool {
		review, err := w.client.AuthorizationV1().SubjectAccessReviews().Create(context.Background(),
			&authorizationv1.SubjectAccessReview{
				Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &what},
			}, metav1.CreateOptions{})
		w.must(err)
		return review.Status.Allowed
	})
}

// lb runs the program in this world, by its clock.
func (w *world) lb(t *testing.T, args ...string) result {
	t.Helper()
	return w.call(t, call{args: w.in(args), now: w.now})
}

// in adds the flags of this world.
func (w *world) in(args []string) []string {
	return append(append([]string(nil), args...), "-n", w.user, "--system-namespace", w.system)
}

// eventually waits until something holds.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for !holds() {
		if !pause(ctx, 50*time.Millisecond) {
			w.t.Fatalf("never: %s", what)
		}
	}
}
