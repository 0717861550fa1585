package controller

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

func TestJudgeCloud(t *testing.T) {
	vips := []netip.Addr{netip.MustParseAddr("198.51.100.7")}
	refused := lb.Finding{Code: lb.CodeCloudRefused, Message: "no"}
	degraded := lb.Finding{Code: lb.CodeCloudDegraded, Message: "one"}
	for _, c := range []struct {
		name           string
		vips           []netip.Addr
		health         backend.Health
		findings       []lb.Finding
		bindIP, status string
		keep, unknown  bool
	}{
		{"being made", vips, backend.Health{Reason: "Octavia is at work on it (PENDING_CREATE)"}, nil, "198.51.100.7",
			"PENDING : Octavia is at work on it (PENDING_CREATE)", false, false},
		{"ready", vips, backend.Health{Ready: true}, nil, "198.51.100.7", "SUCCESS", false, false},
		{"a member down", vips, backend.Health{Ready: true, Findings: []lb.Finding{degraded}}, nil, "198.51.100.7", "SUCCESS",
			false, false},
		{"refused", nil, backend.Health{Findings: []lb.Finding{refused}}, nil, "", "ERROR : LB0601 no", true, false},
		{"the user's fault", vips, backend.Health{Ready: true}, []lb.Finding{{Code: lb.CodeBadPort, Message: "x"}},
			"198.51.100.7", "ERROR : LB0103 x", false, false},
		{"after a start", nil, backend.Health{}, nil, "", "PENDING : OpenStack has not been asked yet", true, true},
	} {
		v := judgeCloud(plan.Outcome{Findings: c.findings}, c.vips, c.health)
		if v.bindIP != c.bindIP || v.status != c.status || v.keepIP != c.keep || v.unknown != c.unknown {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

// An object that is being deleted says what it waits for.
func TestJudgeGoing(t *testing.T) {
	cm := func(name string, deleted bool, finalizers ...string) *corev1.ConfigMap {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name),
			Finalizers: finalizers}}
		if deleted {
			cm.DeletionTimestamp = &metav1.Time{}
		}
		return cm
	}
	key := func(name string) lb.Key { return lb.Key{Namespace: "default", Name: name} }
	cloud := &lb.CloudStatus{ID: "x"}
	got := judgeGoing([]*corev1.ConfigMap{
		cm("denied", true, configmap.Finalizer), cm("stuck", true, "other", configmap.Finalizer), cm("there", false,
			configmap.Finalizer), cm("others", true, "other"), cm("gone", true, configmap.Finalizer), cm("new", true, configmap.Finalizer),
	}, backend.State{Health: map[lb.Key]backend.Health{
		key("denied"): {Findings: []lb.Finding{{Code: lb.CodeCloudDenied, Message: "no"}}, Cloud: cloud},
		key("stuck"):  {Reason: "stuck in PENDING_DELETE"}, key("there"): {}, key("others"): {}, key("new"): {},
	}})
	want := map[types.UID]string{"denied": "ERROR : LB0603 no", "new": "PENDING : it is being deleted in OpenStack",
		"stuck": "PENDING : it is being deleted in OpenStack: stuck in PENDING_DELETE"}
	if len(got) != len(want) || got["denied"].cloud != cloud {
		t.Errorf("%+v", got)
	}
	for uid, status := range want {
		if v := got[uid]; v.status != status || !v.keepIP {
			t.Errorf("%s: %+v", uid, v)
		}
	}
}

// An object chooses its provider; one whose choice cannot be read stays where it is.
func TestSplit(t *testing.T) {
	wish := func(name string, p lb.Provider) lb.Wish {
		w := lb.Wish{Fields: lb.Fields{Provider: "data[provider]"}}
		w.LoadBalancer.Origin = lb.Origin{Key: lb.Key{Namespace: "default", Name: name}, UID: name}
		w.LoadBalancer.Provider = p
		return w
	}
	misspelt := func(name string) lb.Wish {
		w := wish(name, "")
		w.Findings = []lb.Finding{{Code: lb.CodeBadValue, Field: "data[provider]", Message: "no"}}
		return w
	}
	held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{UID: "held", Finalizers: []string{configmap.Finalizer}}}
	wishes := []lb.Wish{wish("any", ""), wish("cloud", lb.ProviderOctavia), wish("own", lb.ProviderSoftware), misspelt("held"),
		misspelt("free")}
	names := func(ws []lb.Wish) string {
		var out []string
		for _, w := range ws {
			name := w.LoadBalancer.Origin.Name
			if slices.ContainsFunc(w.Findings, func(f lb.Finding) bool { return f.Code == lb.CodeBackendAbsent }) {
				name += "!"
			}
			out = append(out, name)
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		provider     lb.Provider
		cloud        *clouds
		own, clouded string
	}{
		{lb.ProviderSoftware, &clouds{}, "any own free", "cloud held"},
		{lb.ProviderOctavia, &clouds{}, "own free", "any cloud held"},
		{lb.ProviderSoftware, nil, "any cloud! own held! free", ""},
	} {
		r := &reconciler{provider: c.provider, cloud: c.cloud}
		own, clouded := r.split(wishes, []*corev1.ConfigMap{held})
		if names(own) != c.own || names(clouded) != c.clouded {
			t.Errorf("%+v: %q and %q", c, names(own), names(clouded))
		}
	}
}

// The annotation changes only with what it says, and never outgrows an object.
func TestCloudText(t *testing.T) {
	status := func(members int) *lb.CloudStatus {
		s := &lb.CloudStatus{Provider: lb.ProviderOctavia, ID: "x", Operating: "DEGRADED"}
		pool := lb.CloudPool{Name: "tcp-80"}
		for i := range members {
			operating := "ONLINE"
			if i == 0 {
				operating = "ERROR"
			}
			pool.Members = append(pool.Members, lb.CloudMember{Address: strings.Repeat("x", 40) + string(rune('a'+i%26)), Operating: operating})
		}
		s.Listeners = []lb.CloudListener{{Name: "tcp-80", Pools: []lb.CloudPool{pool}}}
		return s
	}
	first, err := cloudText(status(3), "")
	if err != nil {
		t.Fatal(err)
	}
	var read lb.CloudStatus
	if err := json.Unmarshal([]byte(first), &read); err != nil || read.Since.IsZero() || len(read.Failing()) != 1 {
		t.Errorf("%s, %v", first, err)
	}
	read.Since = read.Since.Add(-time.Hour)
	for k := range read.Listeners[0].Pools[0].Members {
		read.Listeners[0].Pools[0].Members[k].Since = read.Since
	}
	older, err := json.Marshal(read)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := cloudText(status(3), string(older)); err != nil || again != string(older) {
		t.Errorf("nothing is new: %s, %v", again, err)
	}
	if text, err := cloudText(status(5000), ""); err != nil || len(text) > maxCloud || !strings.Contains(text, "ERROR") {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if text, err := cloudText(nil, first); err != nil || text != "" {
		t.Errorf("%q, %v", text, err)
	}
}

// Of a node and of endpoints only what matters is kept, and a heartbeat is no news.
func TestCloudTriggers(t *testing.T) {
	node := func(beat time.Time, status corev1.ConditionStatus) *corev1.Node {
		n := &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeDiskPressure, LastHeartbeatTime: metav1.NewTime(beat)},
			{Type: corev1.NodeReady, Status: status, LastHeartbeatTime: metav1.NewTime(beat)},
		}}}
		if _, err := stripNode(n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	then := time.Unix(100, 0)
	if nodeMatters(node(then, corev1.ConditionTrue), node(then.Add(time.Minute), corev1.ConditionTrue)) {
		t.Error("a heartbeat matters")
	}
	if !nodeMatters(node(then, corev1.ConditionTrue), node(then, corev1.ConditionFalse)) {
		t.Error("a node that is not ready any more does not matter")
	}
	kept := node(then, corev1.ConditionTrue)
	kept.Labels = map[string]string{corev1.LabelNodeExcludeBalancers: ""}
	if !nodeMatters(node(then, corev1.ConditionTrue), kept) {
		t.Error("a label does not matter")
	}
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Labels: map[string]string{
		discoveryv1.LabelServiceName: "b", "more": "x"}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, TargetRef: &corev1.ObjectReference{Name: "pod"}}}}
	if _, err := stripSlice(s); err != nil || len(s.Labels) != 1 || s.Endpoints[0].TargetRef != nil ||
		serviceOf(s) != (lb.Key{Namespace: "a", Name: "b"}) {
		t.Errorf("%+v, %v", s, err)
	}
	var w watchedServices
	if w.has(lb.Key{}) {
		t.Error("it watches before it is told to")
	}
	w.set.Store(&map[lb.Key]bool{{Namespace: "a", Name: "b"}: true})
	if !w.has(serviceOf(s)) {
		t.Error("it does not watch")
	}
}
