package view

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

func now() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// scene is two nodes that serve one load balancer as they should; each test spoils something.
type scene struct {
	object   corev1.ConfigMap
	docs     Documents
	entry    *nodeconfig.Entry
	lb1, lb2 *nodeconfig.Status
}

func newScene(change func(*scene)) Snapshot {
	vip := netip.MustParseAddr("10.0.0.9")
	s := &scene{
		object: corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "tea"},
			Data:       map[string]string{"target-service-name": "tea", "bind-ip": "10.0.0.9", "status": "SUCCESS"},
		},
		entry: &nodeconfig.Entry{
			LoadBalancer: lb.LoadBalancer{
				Origin: lb.Origin{Key: lb.Key{Namespace: "default", Name: "tea"}}, VIPs: []netip.Addr{vip},
				Listeners: []lb.Listener{{Port: 80, Protocol: lb.TCP}},
			},
			Revision: 5,
		},
		docs: Documents{HasFleet: true, Config: nodeconfig.Config{
			Fleet: nodeconfig.Fleet{Nodes: []nodeconfig.Node{{Name: "lb1"}, {Name: "lb2"}}},
		}},
		lb1: status("lb1"), lb2: status("lb2"),
	}
	s.lb1.Holding = []netip.Addr{vip}
	change(s)
	shard := nodeconfig.Shard{Revision: 6}
	if s.entry != nil {
		shard.LoadBalancers = append(shard.LoadBalancers, *s.entry)
	}
	s.docs.Config.Shards = map[string]nodeconfig.Shard{"lb-shard-000": shard}
	for _, st := range []*nodeconfig.Status{s.lb1, s.lb2} {
		if st != nil {
			s.docs.Statuses = append(s.docs.Statuses, *st)
		}
	}
	return Snapshot{Objects: []corev1.ConfigMap{s.object}, Documents: &s.docs, Now: now()}
}

func status(node string) *nodeconfig.Status {
	return &nodeconfig.Status{
		Node: node, Reported: now().Add(-time.Second),
		Running: nodeconfig.Running{Generation: "abc", Shards: map[string]int64{"lb-shard-000": 6}},
	}
}

func TestState(t *testing.T) {
	refused := nodeconfig.NodeFinding{Key: lb.Key{Namespace: "default", Name: "tea"},
		Finding: lb.Finding{Code: lb.CodeNodeRefused, Message: "nginx says no"}}
	for _, c := range []struct {
		name   string
		change func(*scene)
		state  v1alpha1.State
		reason string
	}{
		{"all is well", func(*scene) {}, v1alpha1.Healthy, ""},
		{"new", func(s *scene) { s.object.Data, s.entry = nil, nil },
			v1alpha1.Pending, "no controller has looked at it yet"},
		{"no address yet", func(s *scene) {
			s.object.Data, s.entry = map[string]string{"status": "PENDING : waiting"}, nil
		}, v1alpha1.Pending, "waiting"},
		{"wrong, never served", func(s *scene) {
			s.object.Data, s.entry = map[string]string{"status": "ERROR : LB0201 data[x]: none"}, nil
		}, v1alpha1.Error, "LB0201 data[x]: none"},
		{"wrong, served as before", func(s *scene) { s.object.Data["status"] = "ERROR : LB0103 data[bind-port]: bad" },
			v1alpha1.Error, "LB0103 data[bind-port]: bad (the last good version is served)"},
		{"going", func(s *scene) { s.object.DeletionTimestamp = &metav1.Time{Time: now()} },
			v1alpha1.Deleting, "the object is being deleted"},
		{"two holders", func(s *scene) { s.lb2.Holding = s.lb1.Holding },
			v1alpha1.Degraded, "10.0.0.9 is held by 2 nodes at once: lb1, lb2"},
		{"no holder", func(s *scene) { s.lb1.Holding = nil }, v1alpha1.Down, "no node holds 10.0.0.9"},
		{"no holder yet", func(s *scene) { s.lb1.Holding, s.object.Data["status"] = nil, "PENDING" },
			v1alpha1.Pending, "no node holds 10.0.0.9 yet"},
		{"the holder is silent", func(s *scene) { s.lb1.Reported = now().Add(-nodeconfig.StaleAfter - time.Second) },
			v1alpha1.Unknown, "lb1 held 10.0.0.9 and is silent; see that it runs and reaches the API server"},
		{"one who did not hold it is silent", func(s *scene) {
			s.lb1.Holding, s.lb1.Reported = nil, now().Add(-time.Hour)
		}, v1alpha1.Down, "no node holds 10.0.0.9 (silent: lb1)"},
		{"two who held it are silent", func(s *scene) {
			s.lb2.Holding = s.lb1.Holding
			s.lb1.Reported, s.lb2.Reported = now().Add(-2*time.Hour), now().Add(-time.Hour)
		}, v1alpha1.Unknown, "lb2 held 10.0.0.9 and is silent; see that it runs and reaches the API server"},
		{"a fleet that cannot be read", func(s *scene) {
			s.docs.HasFleet, s.docs.Config.Fleet = false, nodeconfig.Fleet{}
			s.docs.Problems = []string{"configmap/lb-fleet: version 9"}
		}, v1alpha1.Unknown, "the fleet's document cannot be read"},
		{"all are silent", func(s *scene) {
			s.lb1.Holding, s.lb1.Reported, s.lb2.Reported = nil, now().Add(-time.Hour), now().Add(-time.Hour)
		}, v1alpha1.Unknown, "all nodes are silent: lb1, lb2"},
		{"a standby is silent", func(s *scene) { s.lb2.Reported = now().Add(-time.Hour) },
			v1alpha1.Degraded, "lb2 is silent"},
		{"a standby never spoke", func(s *scene) { s.lb2 = nil }, v1alpha1.Degraded, "lb2 has never reported"},
		{"a standby is behind", func(s *scene) { s.lb2.Running.Shards["lb-shard-000"] = 4 },
			v1alpha1.Degraded, "lb2 does not run the wanted version"},
		{"a neighbour's change is not ours", func(s *scene) { s.lb2.Running.Shards["lb-shard-000"] = 5 },
			v1alpha1.Healthy, ""},
		{"a node refuses it", func(s *scene) { s.lb2.Findings = []nodeconfig.NodeFinding{refused} },
			v1alpha1.Degraded, "lb2: LB0403 nginx says no"},
		{"a silent node's refusal is old news", func(s *scene) {
			s.lb2.Findings, s.lb2.Reported = []nodeconfig.NodeFinding{refused}, now().Add(-time.Hour)
		}, v1alpha1.Degraded, "lb2 is silent"},
		{"no nodes", func(s *scene) { s.docs.Config.Fleet.Nodes = nil },
			v1alpha1.Down, "there is no load-balancer node"},
		{"no pod", func(s *scene) {
			s.object.Annotations = map[string]string{configmap.AnnotationWarnings: `[{"code":"LB0206","message":"no pod"}]`}
		}, v1alpha1.Degraded, "LB0206 no pod"},
		{"a warning that is none", func(s *scene) {
			s.object.Annotations = map[string]string{configmap.AnnotationWarnings: `[{"code":"LB0103","message":"bad"}]`}
		}, v1alpha1.Healthy, ""},
		{"warnings that cannot be read", func(s *scene) {
			s.object.Annotations = map[string]string{configmap.AnnotationWarnings: `{`}
		}, v1alpha1.Healthy, ""},
		{"lost documents", func(s *scene) { s.entry = nil }, v1alpha1.Degraded, "the controller's documents lack it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Build(newScene(c.change)).Items[0].Status
			if got.State != c.state || got.Reason != c.reason {
				t.Errorf("got %s %q, want %s %q", got.State, got.Reason, c.state, c.reason)
			}
		})
	}
}

// Without the documents, the object has to speak for itself, and nothing is claimed about nodes.
func TestWithoutDocuments(t *testing.T) {
	snap := newScene(func(*scene) {})
	snap.Documents = nil
	got := Build(snap).Items[0].Status
	if got.State != v1alpha1.Healthy || got.NodesKnown || len(got.Nodes) != 0 || len(got.VIPs[0].Holders) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestElsewhere: where nothing is of a controller, the object speaks for itself.
func TestElsewhere(t *testing.T) {
	s := newScene(func(*scene) {})
	s.Documents = &Documents{}
	if got := Build(s).Items[0].Status; got.State != v1alpha1.Healthy || got.NodesKnown {
		t.Errorf("%s %q, nodes known: %v", got.State, got.Reason, got.NodesKnown)
	}
}

func TestSorted(t *testing.T) {
	var snap Snapshot
	for _, name := range []string{"b/x", "a/z", "a/y"} {
		snap.Objects = append(snap.Objects, corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: name[:1], Name: name[2:]}})
	}
	var got []string
	for _, s := range Build(snap).Items {
		got = append(got, s.Namespace+"/"+s.Name)
	}
	if diff := cmp.Diff([]string{"a/y", "a/z", "b/x"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFromObject(t *testing.T) {
	for _, c := range []struct {
		data map[string]string
		want []v1alpha1.Listener
	}{
		{map[string]string{"bind-port": "80"}, []v1alpha1.Listener{{Port: 80, Protocol: lb.TCP}}},
		{map[string]string{"target-port": "81", "path": "/"}, []v1alpha1.Listener{{Port: 81, Protocol: lb.HTTP}}},
		{map[string]string{"bind-port": "80", "protocol": "smoke"}, []v1alpha1.Listener{{Port: 80}}},
		{map[string]string{"bind-port": "0"}, []v1alpha1.Listener{}},
		{map[string]string{"target-port": "http"}, []v1alpha1.Listener{}},
	} {
		got := Build(Snapshot{Objects: []corev1.ConfigMap{{Data: c.data}}}).Items[0].Status.Listeners
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v: %s", c.data, diff)
		}
	}
}

func TestDecodeDocuments(t *testing.T) {
	cm := func(name, app, key, text string) corev1.ConfigMap {
		return corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{nodeconfig.LabelApp: app}},
			Data:       map[string]string{key: text},
		}
	}
	docs := DecodeDocuments([]corev1.ConfigMap{
		cm("lb-fleet", nodeconfig.AppConfig, nodeconfig.KeyConfig, `{"version":1,"revision":4}`),
		cm("lb-shard-001", nodeconfig.AppConfig, nodeconfig.KeyConfig, `{"version":1,"revision":2}`),
		cm("lb-shard-002", nodeconfig.AppConfig, nodeconfig.KeyConfig, `{"version":99}`),
		cm("lb-node-b", nodeconfig.AppNode, nodeconfig.KeyStatus, `{"version":1,"node":"b"}`),
		cm("lb-node-a", nodeconfig.AppNode, nodeconfig.KeyStatus, `{"version":1,"node":"a"}`),
		cm("lb-node-c", nodeconfig.AppNode, nodeconfig.KeyStatus, `not json`),
		cm("other", "x", "y", "z"),
	})
	if !docs.HasFleet || docs.Config.Fleet.Revision != 4 || len(docs.Config.Shards) != 1 {
		t.Errorf("%+v", docs.Config)
	}
	if len(docs.Statuses) != 2 || docs.Statuses[0].Node != "a" || len(docs.Problems) != 2 {
		t.Errorf("statuses %+v, problems %q", docs.Statuses, docs.Problems)
	}
}

// An address is held back until every node of the fleet reports the shard without it.
func TestHolds(t *testing.T) {
	a := netip.MustParseAddr("10.0.0.7")
	snap := newScene(func(s *scene) { s.lb2.Running.Shards = map[string]int64{"lb-shard-000": 5} })
	shard := snap.Documents.Config.Shards["lb-shard-000"]
	shard.Withdrawn = []nodeconfig.Withdrawal{
		{Key: lb.Key{Namespace: "default", Name: "gone"}, VIPs: []netip.Addr{a}, Revision: 6},
		{Key: lb.Key{Namespace: "default", Name: "long-gone"}, VIPs: []netip.Addr{a.Next()}, Revision: 5},
	}
	snap.Documents.Config.Shards["lb-shard-000"] = shard
	holds := snap.Documents.Holds()
	if len(holds) != 1 || holds[0].Address != a || fmt.Sprint(holds[0].Nodes) != "[lb2]" {
		t.Errorf("%+v", holds)
	}
}

func FuzzObject(f *testing.F) {
	f.Add("10.0.0.1", "ERROR : LB0103 data[x]: y", "80")
	f.Add("10.0.0.1,fd00::1", "SUCCESS", "x")
	f.Add(",,", "ERROR", "-1")
	f.Fuzz(func(t *testing.T, ip, status, port string) {
		list := Build(Snapshot{Now: now(), Objects: []corev1.ConfigMap{{Data: map[string]string{
			"bind-ip": ip, "status": status, "bind-port": port,
		}}}})
		if s := list.Items[0].Status; s.State == "" || s.State != v1alpha1.Healthy && s.Reason == "" {
			t.Errorf("state %q without a reason", s.State)
		}
	})
}

func BenchmarkBuild1000(b *testing.B) {
	snap := newScene(func(*scene) {})
	shard := snap.Documents.Config.Shards["lb-shard-000"]
	for i := range 1000 {
		name := fmt.Sprintf("lb-%04d", i)
		object := *snap.Objects[0].DeepCopy()
		object.Name = name
		snap.Objects = append(snap.Objects, object)
		entry := shard.LoadBalancers[0]
		entry.Origin.Name = name
		shard.LoadBalancers = append(shard.LoadBalancers, entry)
	}
	snap.Documents.Config.Shards["lb-shard-000"] = shard
	for b.Loop() {
		Build(snap)
	}
}
