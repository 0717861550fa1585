package view

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// Snapshot is everything that the status of load balancers is worked out from.
type Snapshot struct {
	// Objects are the users' ConfigMaps.
	Objects []corev1.ConfigMap
	// Documents are nil where they could not be read; then the objects have to speak for themselves.
	Documents *Documents
	Now       time.Time
}

// Build works out how the load balancers of a snapshot fare.
func Build(s Snapshot) *v1alpha1.LoadBalancerStatusList {
	list := &v1alpha1.LoadBalancerStatusList{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindLoadBalancerStatusList},
		Items:    make([]v1alpha1.LoadBalancerStatus, 0, len(s.Objects)),
	}
	docs := s.Documents
	if docs != nil && docs.empty() { // It is another namespace that they are in.
		docs = nil
	}
	f := newFleetView(docs, s.Now)
	for _, cm := range s.Objects {
		list.Items = append(list.Items, build(cm, f, s.Now))
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.LoadBalancerStatus) int {
		return lb.Key{Namespace: a.Namespace, Name: a.Name}.Compare(lb.Key{Namespace: b.Namespace, Name: b.Name})
	})
	return list
}

func build(cm corev1.ConfigMap, f *fleetView, now time.Time) v1alpha1.LoadBalancerStatus {
	out := v1alpha1.LoadBalancerStatus{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindLoadBalancerStatus},
		ObjectMeta: metav1.ObjectMeta{
			Name: cm.Name, Namespace: cm.Namespace, UID: cm.UID, Labels: cm.Labels,
			CreationTimestamp: cm.CreationTimestamp, DeletionTimestamp: cm.DeletionTimestamp,
		},
		Status: v1alpha1.Status{
			Object:     cm.Data["status"],
			NodesKnown: f != nil,
			VIPs:       []v1alpha1.VIP{},
			Listeners:  []v1alpha1.Listener{},
		},
	}
	st := &out.Status
	st.Findings = append(objectFindings(st.Object), warnings(cm)...)
	key := lb.Key{Namespace: cm.Namespace, Name: cm.Name}
	if IsCloud(cm) {
		fromCloud(st, cm)
		st.State, st.Reason = judgeCloud(cm, st, now)
		doubt(st)
		return out
	}
	if entry, ok := f.entry(key); ok {
		fromEntry(st, entry)
	} else {
		fromObject(st, cm)
	}
	f.describe(st, key)
	st.State, st.Reason = judge(cm, st)
	if f != nil && !f.docs.HasFleet && st.State == v1alpha1.Down {
		st.State, st.Reason = v1alpha1.Unknown, "the fleet's document cannot be read"
	}
	doubt(st)
	return out
}

// fromEntry takes the virtual IPs and listeners from what is served.
func fromEntry(st *v1alpha1.Status, e placed) {
	st.Config = &v1alpha1.Config{Group: e.Group, Shard: e.shard, Revision: e.Revision}
	for _, a := range e.VIPs {
		st.VIPs = append(st.VIPs, v1alpha1.VIP{Address: a, Holders: []string{}})
	}
	for _, l := range e.Listeners {
		out := v1alpha1.Listener{Port: l.Port, Protocol: spoken(l), Certificates: certificatesOf(l)}
		if u := l.Options.Upstream; u.Endpoints {
			out.Upstream = &u
		}
		for _, r := range l.Routes {
			out.Routes = append(out.Routes, routesOf(r)...)
		}
		st.Listeners = append(st.Listeners, out)
	}
}

// The names of protocols under TLS that the load balancer terminates, as users write them.
const (
	overHTTPS lb.Protocol = "HTTPS"
	overTLS   lb.Protocol = "TLS"
)

// spoken returns what clients speak at a listener.
func spoken(l lb.Listener) lb.Protocol {
	switch {
	case l.TLS == nil:
		return l.Protocol
	case l.Protocol == lb.HTTP:
		return overHTTPS
	default:
		return overTLS
	}
}

// certificatesOf returns what a listener shows.
func certificatesOf(l lb.Listener) []v1alpha1.Certificate {
	if l.TLS == nil {
		return nil
	}
	out := make([]v1alpha1.Certificate, 0, len(l.TLS.Certificates))
	for _, c := range l.TLS.Certificates {
		out = append(out, v1alpha1.Certificate{Secret: c.Secret, Names: c.Names, Expires: metav1.Time{Time: c.Expires}})
	}
	return out
}

// routesOf returns a route for each Service of one.
func routesOf(r lb.Route) []v1alpha1.Route {
	var out []v1alpha1.Route
	for _, t := range r.Targets() {
		one := v1alpha1.Route{Host: r.Host, Path: r.Path, Exact: r.Exact, Service: t.Service, Addresses: t.Endpoints}
		if len(r.Others) > 0 {
			one.Weight = new(t.Weight)
		}
		out = append(out, one)
	}
	return out
}

// fromObject takes them from the user's object: it is not served yet, or what is served can't be read. What does not
// parse is left out; the controller's own status says what is wrong with it.
func fromObject(st *v1alpha1.Status, cm corev1.ConfigMap) {
	for _, a := range Addresses(cm) {
		st.VIPs = append(st.VIPs, v1alpha1.VIP{Address: a, Holders: []string{}})
	}
	for _, l := range configmap.Parse(&cm, nil).LoadBalancer.Listeners {
		if l.Port > 0 {
			st.Listeners = append(st.Listeners, v1alpha1.Listener{Port: l.Port, Protocol: spoken(l)})
		}
	}
	if len(st.Listeners) > 0 {
		return
	}
	port := cm.Data["bind-port"]
	if port == "" {
		port = cm.Data["target-port"]
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
		st.Listeners = append(st.Listeners, v1alpha1.Listener{Port: uint16(n), Protocol: protocolOf(cm)})
	}
}

// Addresses returns the virtual IPs that the controller has written on an object.
func Addresses(cm corev1.ConfigMap) []netip.Addr {
	var out []netip.Addr
	for text := range strings.SplitSeq(cm.Data["bind-ip"], ",") {
		if a, err := netip.ParseAddr(strings.TrimSpace(text)); err == nil {
			out = append(out, a)
		}
	}
	return out
}

// protocolOf returns the protocol that an object asks for; empty when it is none that is known.
func protocolOf(cm corev1.ConfigMap) lb.Protocol {
	switch p := lb.Protocol(strings.ToUpper(cm.Data["protocol"])); {
	case p == lb.HTTP || p == lb.TCP || p == lb.UDP || p == lb.Passthrough || p == overHTTPS || p == overTLS:
		return p
	case p != "":
		return ""
	case cm.Data["host"] != "" || cm.Data["path"] != "":
		return lb.HTTP
	}
	return lb.TCP
}

// errorPrefix starts the status of an object with a finding: "ERROR : LB0201 data[x]: message".
const errorPrefix = "ERROR"

// objectFindings reads the finding back out of an object's status.
func objectFindings(status string) []v1alpha1.Finding {
	text, ok := strings.CutPrefix(status, errorPrefix)
	if !ok {
		return nil
	}
	text = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), ":"))
	if text == "" {
		text = "the controller gives no reason"
	}
	f := lb.Finding{Message: text}
	code, rest, _ := strings.Cut(text, " ")
	if _, known := lb.Describe(lb.Code(code)); known {
		f.Code, f.Message = lb.Code(code), rest
		if field, message, ok := strings.Cut(rest, ": "); ok && !strings.Contains(field, " ") {
			f.Field, f.Message = field, message
		}
	}
	return []v1alpha1.Finding{{Finding: f, Severity: lb.SeverityError}}
}

// warnings returns what the controller warns of on an object.
func warnings(cm corev1.ConfigMap) []v1alpha1.Finding {
	var told []lb.Finding
	text := cm.Annotations[configmap.AnnotationWarnings]
	if text == "" || json.Unmarshal([]byte(text), &told) != nil {
		return nil
	}
	var out []v1alpha1.Finding
	for _, f := range told {
		if f.Severity() == lb.SeverityWarning { // anybody may write an annotation
			out = append(out, v1alpha1.Finding{Finding: f, Severity: lb.SeverityWarning})
		}
	}
	return out
}
