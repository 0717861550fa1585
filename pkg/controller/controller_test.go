package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

func TestServes(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	cm := r.waitStatus(r.coffee("coffee"), "SUCCESS")
	if got := cm.Data["bind-ip"]; got != "10.88.0.1" {
		t.Errorf("bind-ip %q", got)
	}
	if cm.Data["target-service-name"] != "coffee" || len(cm.Data) != 3 {
		t.Errorf("data: %v", cm.Data)
	}
	r.waitEvent(cm, "Normal", "AddressAssigned", "10.88.0.1")
	r.waitEvent(cm, "Normal", "Ready", "10.88.0.1")
	c := r.desired(t.Context())
	if got := len(c.Fleet.Nodes); got != 3 {
		t.Errorf("%d nodes", got)
	}
	if e := c.LoadBalancers(); len(e) != 1 || e[0].Origin.UID != string(cm.UID) {
		t.Errorf("entries: %v", e)
	}
	for _, f := range cm.ManagedFields {
		if f.Manager == fieldManager && f.Operation != metav1.ManagedFieldsOperationApply {
			t.Errorf("written by %s", f.Operation)
		}
	}
}

// TestUserApplyDoesNotFight re-applies the user's manifest with a bind-ip of his own in it, as the README of 2016
// shows one.
func TestUserApplyDoesNotFight(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	cm := r.waitStatus(r.coffee("coffee"), "SUCCESS")
	cm.Data["bind-ip"] = "10.0.0.10"
	r.must(r.client.Update(t.Context(), cm))
	r.eventually(func() string {
		if ip := r.get(cm).Data["bind-ip"]; ip != "10.88.0.1" {
			return "bind-ip " + ip
		}
		return ""
	})
}

// TestWithdrawal: a deleted load balancer's address is given to nobody before every node runs without it.
func TestWithdrawal(t *testing.T) {
	r := newRig(t, "10.88.0.1")
	first := r.waitStatus(r.coffee("first"), "SUCCESS")
	r.frozen.Store(true)
	r.must(r.client.Delete(t.Context(), first))
	r.eventually(func() string {
		if n := len(r.desired(t.Context()).LoadBalancers()); n != 0 {
			return fmt.Sprintf("%d load balancers are left", n)
		}
		return ""
	})
	second := r.waitStatus(r.coffee("second"), "ERROR : LB0304")
	if ip, ok := second.Data["bind-ip"]; ok {
		t.Errorf("bind-ip %q", ip)
	}
	// A new controller knows no more than what is stored.
	r.stop()
	r.stop = r.start()
	third := r.waitStatus(r.coffee("third"), "ERROR : LB0304")
	r.must(r.client.Delete(t.Context(), third))
	if n := len(r.desired(t.Context()).LoadBalancers()); n != 0 {
		t.Fatal("the address was given away while a node may hold it")
	}
	r.frozen.Store(false)
	if ip := r.waitStatus(second, "SUCCESS").Data["bind-ip"]; ip != "10.88.0.1" {
		t.Errorf("bind-ip %q", ip)
	}
	r.waitEvent(second, "Normal", "Recovered", "")
	r.eventually(func() string {
		for name, sh := range r.desired(t.Context()).Shards {
			if len(sh.Withdrawn) > 0 {
				return fmt.Sprintf("%s remembers %v", name, sh.Withdrawn)
			}
		}
		return ""
	})
}

// versions returns the versions of everything that a controller writes.
func (r *rig) versions() []string {
	r.t.Helper()
	var out []string
	for _, app := range []string{appLoadBalancer, nodeconfig.AppConfig} {
		var list corev1.ConfigMapList
		r.must(r.client.List(r.t.Context(), &list, client.MatchingLabels{"app": app}))
		for _, cm := range list.Items {
			out = append(out, cm.Namespace+"/"+cm.Name+"@"+cm.ResourceVersion)
		}
	}
	slices.Sort(out)
	return out
}

// TestRestart: a restart, and a restart after everything stored was lost, keep every address.
func TestRestart(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.99")
	want := map[string]string{}
	for _, n := range []string{"a", "b", "c", "d"} {
		want[n] = r.waitStatus(r.coffee(n), "SUCCESS").Data["bind-ip"]
	}
	gone := r.get(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}})
	r.must(r.client.Delete(t.Context(), gone))
	delete(want, "a")
	r.eventually(func() string { return withdrawn(r) })
	r.stop()
	before := r.versions()
	r.stop = r.start()
	fifth := r.waitStatus(r.coffee("e"), "SUCCESS")
	want["e"] = fifth.Data["bind-ip"]
	after := r.versions()
	for _, v := range before {
		if !strings.Contains(v, "/lb-shard-") && !slices.Contains(after, v) {
			t.Errorf("%s was written without need; now %v", v, after)
		}
	}
	r.stop()
	var docs corev1.ConfigMapList
	r.must(r.client.List(t.Context(), &docs, client.MatchingLabels{"app": nodeconfig.AppConfig}))
	for i := range docs.Items {
		r.must(r.client.Delete(t.Context(), &docs.Items[i]))
	}
	r.stop = r.start()
	r.waitStatus(r.coffee("f"), "SUCCESS")
	for n, ip := range want {
		cm := r.waitStatus(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: n}}, "SUCCESS")
		if got := cm.Data["bind-ip"]; got != ip {
			t.Errorf("%s had %s and has %s", n, ip, got)
		}
	}
}

// withdrawn waits for no withdrawal to be left.
func withdrawn(r *rig) string {
	for name, sh := range r.desired(r.t.Context()).Shards {
		if len(sh.Withdrawn) > 0 || len(sh.LoadBalancers) > 3 {
			return name + " is not settled"
		}
	}
	return ""
}

// TestLeaderChange: the standby takes over when the leader ends, and no address changes.
func TestLeaderChange(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.99")
	r.stop()
	r.config.LeaderElection.Enabled = true
	r.config.LeaderElection.LeaseDuration.Duration = 3 * time.Second
	r.config.LeaderElection.RenewDeadline.Duration = 2 * time.Second
	r.config.LeaderElection.RetryPeriod.Duration = 200 * time.Millisecond
	first := r.start()
	a := r.waitStatus(r.coffee("a"), "SUCCESS")
	second := r.start()
	first()
	b := r.waitStatus(r.coffee("b"), "SUCCESS")
	if now := r.get(a); now.Data["bind-ip"] != a.Data["bind-ip"] || now.ResourceVersion != a.ResourceVersion {
		t.Errorf("a was %v and is %v", a.Data, now.Data)
	}
	if a.Data["bind-ip"] == b.Data["bind-ip"] {
		t.Errorf("a and b share %s", a.Data["bind-ip"])
	}
	second()
}

// TestLeaderRestart: a leader that is back under its name need not wait for the lease that it left behind.
func TestLeaderRestart(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.99")
	r.stop()
	r.config.LeaderElection.Enabled = true
	r.config.LeaderElection.Identity = "lb-controller-a"
	r.config.LeaderElection.LeaseDuration.Duration = time.Hour
	now := metav1.NowMicro()
	seconds := int32(3600)
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.config.SystemNamespace, Name: leaseName},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &r.config.LeaderElection.Identity, LeaseDurationSeconds: &seconds,
			AcquireTime: &now, RenewTime: &now,
		},
	}
	r.must(client.IgnoreNotFound(r.client.Delete(t.Context(), lease.DeepCopy())))
	r.must(r.client.Create(t.Context(), lease))
	t.Cleanup(func() { r.must(client.IgnoreNotFound(r.client.Delete(context.WithoutCancel(t.Context()), lease))) })
	stop := r.start()
	r.waitStatus(r.coffee("a"), "SUCCESS")
	stop()
}

// TestSilentNodes: that no node reports any more is noticed without any event, by the controller's own clock: those of
// the nodes are wrong.
func TestSilentNodes(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	cm := r.waitStatus(r.coffee("coffee"), "SUCCESS")
	r.frozen.Store(true)
	c := r.desired(t.Context())
	for _, n := range c.Fleet.Nodes {
		s := nodeconfig.Status{Version: nodeconfig.Version, Node: n.Name}
		s.Reported = time.Now().Add(time.Hour)
		r.must(r.writeReport(t.Context(), s))
	}
	silent := time.Now()
	r.waitStatus(cm, "PENDING")
	r.eventuallyWithin(nodeconfig.StaleAfter+20*time.Second, func() string {
		if status := r.get(cm).Data["status"]; !strings.HasPrefix(status, "ERROR : LB0402") {
			return status
		}
		return ""
	})
	if took := time.Since(silent); took < nodeconfig.StaleAfter {
		t.Errorf("they are given up after %s", took)
	}
	now := r.get(cm)
	if now.Data["bind-ip"] != cm.Data["bind-ip"] {
		t.Errorf("bind-ip %q", now.Data["bind-ip"])
	}
	r.waitEvent(cm, "Warning", "NotReady", "")
}

// TestNodeRefuses: the words of a node's nginx arrive on the object, harmless.
func TestNodeRefuses(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	cm := r.waitStatus(r.coffee("coffee"), "SUCCESS")
	r.frozen.Store(true)
	s := nodeconfig.Status{Version: nodeconfig.Version, Node: "lb1"}
	f := nodeconfig.NodeFinding{Key: keyOf(cm)}
	f.Code, f.Message = "LB0403", "nginx: \x1b[31mno\n"+strings.Repeat("ä", 2000)
	s.Findings = append(s.Findings, f)
	r.must(r.writeReport(t.Context(), s))
	now := r.waitStatus(cm, `ERROR : LB0403 node lb1: nginx: \x1b[31mno\n`)
	if len(now.Data["status"]) > maxStatus {
		t.Errorf("a status of %d bytes", len(now.Data["status"]))
	}
	r.waitEvent(cm, "Warning", "Invalid", "LB0403")
}

// TestNothingToDo: without news nothing is written, and a heartbeat is no news.
func TestNothingToDo(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	cm := r.waitStatus(r.coffee("coffee"), "SUCCESS")
	r.frozen.Store(true)
	before := r.versions()
	c := r.desired(t.Context())
	for range 5 {
		for _, n := range c.Fleet.Nodes {
			var status corev1.ConfigMap
			key := client.ObjectKey{Namespace: r.config.SystemNamespace, Name: nodeconfig.StatusName(n.Name)}
			r.must(r.client.Get(t.Context(), key, &status))
			s, err := nodeconfig.Decode[nodeconfig.Status](status.Data[nodeconfig.KeyStatus])
			r.must(err)
			s.Reported = time.Now()
			r.must(r.writeReport(t.Context(), s))
		}
	}
	// A change of another object shows that the passes before it are over.
	r.frozen.Store(false)
	r.waitStatus(r.coffee("other"), "SUCCESS")
	after := r.versions()
	for _, v := range before {
		if !strings.Contains(v, "/lb-shard-") && !slices.Contains(after, v) {
			t.Errorf("%s was written without need", v)
		}
	}
	if r.get(cm).Data["status"] != "SUCCESS" {
		t.Error("a neighbour's change disturbed it")
	}
}

// TestTwoHundred creates many at once.
func TestTwoHundred(t *testing.T) {
	r := newRig(t, "10.88.0.0/22")
	start := time.Now()
	for i := range 200 {
		r.coffee(fmt.Sprintf("lb%03d", i))
	}
	created := time.Since(start)
	r.eventually(func() string {
		var list corev1.ConfigMapList
		r.must(r.client.List(t.Context(), &list, client.MatchingLabels{"app": appLoadBalancer}))
		ready, ips := 0, map[string]bool{}
		for _, cm := range list.Items {
			if cm.Data["status"] == "SUCCESS" {
				ready++
				ips[cm.Data["bind-ip"]] = true
			}
		}
		if ready != 200 || len(ips) != 200 {
			return fmt.Sprintf("%d ready with %d addresses", ready, len(ips))
		}
		return ""
	})
	t.Logf("200 created in %s, all ready after %s", created, time.Since(start))
}

// TestDeletionIsRespected: an object that somebody's finalizer keeps is withdrawn and no longer touched.
func TestDeletionIsRespected(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	cm := r.coffee("coffee")
	cm.Finalizers = []string{"example.org/keep"}
	r.must(r.client.Update(t.Context(), cm))
	cm = r.waitStatus(cm, "SUCCESS")
	r.must(r.client.Delete(t.Context(), cm))
	r.eventually(func() string {
		if n := len(r.desired(t.Context()).LoadBalancers()); n != 0 {
			return "it is still served"
		}
		return ""
	})
	now := r.get(cm)
	if now.Data["status"] != "SUCCESS" {
		t.Errorf("status %q", now.Data["status"])
	}
	now.Finalizers = nil
	r.must(r.client.Update(t.Context(), now))
}
