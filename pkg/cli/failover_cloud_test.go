package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/drill"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/probe"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// openStack is a Keystone and an Octavia that knows one load balancer.
type openStack struct {
	*httptest.Server
	// id is the load balancer's, "x" if empty; before and after are its provisioning status, ACTIVE if empty.
	id, before, after string
	// work is how many looks after a failover it works for, 2 if 0; away is how many of those get no answer.
	work, away int32
	// refuse is the status of its answer to a failover, 0 for yes; locked says that nobody gets in.
	refuse int
	locked bool
	// name and tags are the load balancer's; blind refuses to show it.
	name  string
	tags  []string
	blind bool
	// orders counts the failovers, and looks the looks after one.
	orders, looks atomic.Int32
}

func newOpenStack(t *testing.T, denied bool) *openStack {
	t.Helper()
	s := &openStack{name: "default-tea-loadbalancer", tags: []string{"kubectl-lb-configmap=default/tea"}}
	if denied {
		s.refuse = http.StatusForbidden
	}
	return s.start(t)
}

func (s *openStack) start(t *testing.T) *openStack {
	t.Helper()
	s.id, s.before, s.after = cmp.Or(s.id, "x"), cmp.Or(s.before, "ACTIVE"), cmp.Or(s.after, "ACTIVE")
	s.work = cmp.Or(s.work, 2)
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *openStack) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/v3/auth/tokens" && s.locked:
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":{"message":"The request you have made requires authentication."}}`)
	case r.URL.Path == "/v3/auth/tokens":
		w.Header().Set("X-Subject-Token", "t")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token":{"expires_at":"2099-01-01T00:00:00.000000Z","catalog":[{"type":"load-balancer","name":"octavia",
			"endpoints":[{"interface":"public","region":"R","region_id":"R","url":%q}]}]}}`, s.URL+"/lb")
	case strings.HasSuffix(r.URL.Path, "/failover") && s.refuse != 0:
		w.WriteHeader(s.refuse)
		fmt.Fprint(w, `{"faultstring":"Policy does not allow this request to be performed."}`)
	case strings.HasSuffix(r.URL.Path, "/failover"):
		s.orders.Add(1)
		w.WriteHeader(http.StatusAccepted)
	case strings.HasSuffix(r.URL.Path, "/stats"):
		fmt.Fprint(w, `{"stats":{"bytes_in":10,"bytes_out":3000000,"active_connections":1,"total_connections":2,"request_errors":0}}`)
	case strings.HasSuffix(r.URL.Path, "/loadbalancers/"+s.id):
		s.look(w)
	default:
		fmt.Fprintf(w, `{"versions":[{"id":"v2.26","status":"CURRENT","links":[{"rel":"self","href":%q}]}]}`, s.URL+"/lb/v2")
	}
}

// look shows the load balancer.
func (s *openStack) look(w http.ResponseWriter) {
	if s.blind {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"faultstring":"Policy does not allow this request to be performed."}`)
		return
	}
	status := s.before
	if s.orders.Load() > 0 {
		n := s.looks.Add(1)
		if n <= s.away {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if status = "PENDING_UPDATE"; n > s.work {
			status = s.after
		}
	}
	tags, err := json.Marshal(s.tags)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(w, `{"loadbalancer":{"id":%q,"name":%q,"tags":%s,"provisioning_status":%q,"operating_status":"ONLINE"}}`, s.id,
		s.name, tags, status)
}

// env are a person's credentials for the cloud.
func (s *openStack) env() map[string]string {
	return map[string]string{
		"OS_AUTH_URL": s.URL + "/v3", "OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_PROJECT_NAME": "demo", "OS_REGION_NAME": "R",
	}
}

// person runs commands with credentials for the cloud.
func (s *openStack) person() (*program, *bytes.Buffer, *bytes.Buffer) {
	var out, errOut bytes.Buffer
	env := s.env()
	return &program{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}, now: time.Now,
		env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}, &out, &errOut
}

// A load balancer of Octavia is failed over by Octavia, and asked meanwhile.
func TestFailoverOfACloud(t *testing.T) {
	answers, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answers.Close() })
	go func() {
		for {
			c, err := answers.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	there := probe.Target{Address: netip.MustParseAddrPort(answers.Addr().String())}
	nowhere := probe.Target{Address: netip.MustParseAddrPort("127.0.0.1:1")}
	const own = "default-tea-loadbalancer (x)"
	for _, c := range []struct {
		name    string
		denied  bool
		dry     string
		targets []probe.Target
		budget  time.Duration
		err     string
		out     string
		// object is the one that names the load balancer, shown what that is called.
		object, shown string
	}{
		{name: "done", targets: []probe.Target{there}, out: "longest gap", shown: own},
		{name: "within the budget", targets: []probe.Target{there}, budget: time.Minute, out: "longest gap", shown: own},
		{name: "beyond it", targets: []probe.Target{nowhere}, budget: time.Second, err: "findings",
			out: "it has never answered from here; FAILED, the budget is 1s", shown: own},
		{name: "no role", denied: true, err: "load balancer x: Policy does not allow this request to be performed.", shown: own},
		{name: "dry", dry: dryRunClient, denied: true, shown: "what it says (x)"},
		{name: "another's", object: "coffee", err: "load balancer default-tea-loadbalancer (x) was not made for configmap " +
			"default/coffee of this cluster, or has lost its tags; nothing was done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, out, errOut := newOpenStack(t, c.denied).person()
			o := &failoverOptions{program: p, confirming: confirming{yes: true}, dryRun: dryRun(c.dry)}
			if c.dry == "" {
				o.dryRun = dryRunNone
			}
			o.wish = drill.Wish{ProbeTimeout: time.Second, Hold: 100 * time.Millisecond}
			l := &clouded{object: &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: cmp.Or(c.object, "tea")}},
				targets: c.targets, status: lb.CloudStatus{ID: "x", Name: "what it says", Provisioning: "ERROR"}}
			err := o.runCloud(t.Context(), l, c.budget)
			if text := fmt.Sprint(err); err != nil && text != c.err || err == nil && c.err != "" {
				t.Errorf("%v, not %q", err, c.err)
			}
			if !strings.Contains(out.String(), c.out) || !strings.Contains(errOut.String(), c.shown) {
				t.Errorf("%s\n%s", out, errOut)
			}
		})
	}
}

// What is asked are the ports of TCP at the addresses that the object is told.
func TestCloudTargets(t *testing.T) {
	got := cloudTargets("203.0.113.1,2001:db8::1", lb.CloudStatus{Listeners: []lb.CloudListener{
		{Name: "http-80"}, {Name: "tcp-5432"}, {Name: "udp-53"}, {Name: "https-443"}, {Name: "somebody's"}, {Name: "tcp-x"},
	}})
	var texts []string
	for _, g := range got {
		texts = append(texts, fmt.Sprint(g.Address, g.HTTP))
	}
	want := []string{"203.0.113.1:80 true", "203.0.113.1:5432 false", "[2001:db8::1]:80 true", "[2001:db8::1]:5432 false"}
	if d := gocmp.Diff(want, texts); d != "" {
		t.Error(d)
	}
}

// The counters of a load balancer are asked for by the one who wants them.
func TestTraffic(t *testing.T) {
	p, _, _ := newOpenStack(t, false).person()
	o := &statusOptions{program: p}
	s := v1alpha1.LoadBalancerStatus{Status: v1alpha1.Status{Cloud: &lb.CloudStatus{ID: "x"}}}
	if err := o.addTraffic(t.Context(), &s); err != nil || s.Status.Cloud.Traffic.BytesOut != 3000000 {
		t.Errorf("%+v, %v", s.Status.Cloud.Traffic, err)
	}
	if err := o.addTraffic(t.Context(), &v1alpha1.LoadBalancerStatus{}); err == nil {
		t.Error("the software backend counts nothing")
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 3 << 40: "3.0 TiB"} {
		if got := bytesOf(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
