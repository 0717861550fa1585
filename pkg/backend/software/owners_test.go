package software

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

const (
	testVIP    = "10.9.0.1"
	mac1, mac2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
)

// scene is a load balancer "a" with the address 10.9.0.1 on the nodes lb1 and lb2, played in fake time.
type scene struct {
	t     *testing.T
	store *testStore
	b     *Backend
	nodes map[string]*nodeconfig.Status
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, store: newTestStore("lb1", "lb2"), nodes: map[string]*nodeconfig.Status{
		"lb1": {Node: "lb1", Hardware: mac1}, "lb2": {Node: "lb2", Hardware: mac2},
	}}
	s.b = New(s.store, Options{})
	apply(t, s.b, balancer("a", testVIP))
	for _, st := range s.nodes {
		st.Running = nodeconfig.Running{Fleet: s.store.fleet(t).Revision, Shards: s.store.running(t)}
		st.Share.State = nodeconfig.ShareServing
	}
	return s
}

// hold makes exactly these nodes hold the address, and all nodes report.
func (s *scene) hold(names ...string) {
	for name, st := range s.nodes {
		st.Holding = nil
		if slices.Contains(names, name) {
			st.Holding = []netip.Addr{netip.MustParseAddr(testVIP)}
		}
	}
	s.report()
}

func (s *scene) report(names ...string) {
	for name, st := range s.nodes {
		if len(names) == 0 || slices.Contains(names, name) {
			st.Reported = time.Now()
			s.store.report(s.t, *st)
		}
	}
}

// see adds a conflict to what a node reports.
func (s *scene) see(node string, kind nodeconfig.ConflictKind, other string) {
	c := nodeconfig.Conflict{Kind: kind, Group: 0, Family: lb.IPv4, Other: other}
	if kind == nodeconfig.ConflictOwner {
		c.Address = netip.MustParseAddr(testVIP)
	}
	s.nodes[node].Conflicts = append(s.nodes[node].Conflicts, c)
}

func (s *scene) look() (backend.Health, backend.State) {
	s.t.Helper()
	state, err := s.b.State(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return state.Health[lb.Key{Namespace: "default", Name: "a"}], state
}

// expect checks the dispute, empty for none, and a part of the reason; a dispute comes with its finding.
func (s *scene) expect(kind, cause string, code lb.Code, reason string) {
	s.t.Helper()
	h, _ := s.look()
	var got backend.Dispute
	if len(h.Disputes) > 0 {
		got = h.Disputes[0]
	}
	if got.Kind != kind || got.Cause != cause {
		s.t.Errorf("dispute %+v, want %s by %s; reason %q", got, kind, cause, h.Reason)
	}
	if !strings.Contains(h.Reason, reason) || h.Ready != (reason == "") {
		s.t.Errorf("ready %v: %q lacks %q", h.Ready, h.Reason, reason)
	}
	if has := slices.ContainsFunc(h.Findings, func(f lb.Finding) bool { return f.Code == code }); has != (code != "") {
		s.t.Errorf("findings %v, want %q", h.Findings, code)
	}
}

func TestTwoOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.hold("lb1")
		s.expect("", "", "", "")
		// A move: the reports come one after the other.
		s.hold("lb1", "lb2")
		s.expect("", "", "", "held by several nodes")
		time.Sleep(time.Second)
		s.hold("lb2")
		s.expect("", "", "", "")
		// Two that both go on saying so.
		s.hold("lb1", "lb2")
		_, state := s.look()
		if got := time.Until(state.Expires); got > twoOwnersAfter {
			t.Errorf("nobody looks again for %s", got)
		}
		time.Sleep(twoOwnersAfter)
		s.expect("", "", "", "held by several nodes")
		s.report("lb1", "lb2")
		s.expect(backend.DisputeTwoOwners, backend.CausePartition, lb.CodeTwoOwners,
			"LB0404 10.9.0.1 is held by several nodes: lb1, lb2; they do not hear each other (partition)")
		s.hold("lb1")
		s.expect("", "", "", "")
	})
}

// TestMoving: what may be an address on its way between nodes is told from what has lasted, and from a wait for nodes that
// do not run it yet.
func TestMoving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		moving := func(want bool) {
			t.Helper()
			if h, _ := s.look(); h.Moving != want || h.Moving && h.Ready {
				t.Errorf("%+v, want moving %v", h, want)
			}
		}
		s.hold("lb1")
		moving(false)
		s.hold()
		moving(true)
		s.hold("lb2")
		moving(false)
		s.hold("lb1", "lb2")
		moving(true)
		time.Sleep(twoOwnersAfter)
		s.report("lb1", "lb2")
		moving(false)
		s.expect(backend.DisputeTwoOwners, backend.CausePartition, lb.CodeTwoOwners, "LB0404")
		s.hold()
		moving(true)
		time.Sleep(noOwnerAfter(s.b.options.Timing))
		moving(false)
		s.expect(backend.DisputeNoOwner, backend.CauseUnknown, lb.CodeNoOwner, "LB0405")
		// Nobody is expected to hold what one of them does not run yet, and nobody can who is unfit.
		s.nodes["lb2"].Running.Shards = nil
		s.hold()
		moving(false)
		s.nodes["lb2"].Running.Shards = s.store.running(t)
		for _, st := range s.nodes {
			st.Share.State = nodeconfig.ShareUnfit
		}
		s.hold()
		moving(false)
	})
}

// TestComesAndGoes: an address that has an owner now and then has none for long enough, all in all.
func TestComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		limit := noOwnerAfter(s.b.options.Timing)
		told := 0
		for range 4 {
			s.hold()
			s.look()
			time.Sleep(limit / 2)
			s.report()
			if h, _ := s.look(); len(h.Disputes) > 0 {
				told++
			}
			s.hold("lb1")
			s.expect("", "", "", "")
			time.Sleep(time.Second)
			s.report()
			s.look()
		}
		if told != 3 {
			t.Errorf("told %d times", told)
		}
		for range 2 {
			time.Sleep(wellAfter)
			s.report()
			s.expect("", "", "", "")
		}
		s.hold()
		s.look()
		time.Sleep(limit / 2)
		s.report()
		s.expect("", "", "", "no node holds 10.9.0.1 yet")
	})
}

// TestDeadOwner: the last words of a node that has died make no second owner, whatever its clock said.
func TestDeadOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.hold("lb1")
		time.Sleep(time.Second)
		s.nodes["lb2"].Holding = s.nodes["lb1"].Holding
		for range 28 {
			s.report("lb2")
			h, _ := s.look()
			if len(h.Disputes) > 0 {
				t.Fatalf("%+v", h)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(3 * time.Second)
		s.report("lb2")
		s.expect("", "", "", "")
	})
}

func TestCauses(t *testing.T) {
	for _, tc := range []struct {
		name    string
		kind    nodeconfig.ConflictKind
		other   string
		holders []string
		// want are the dispute, its cause, the code and a part of the reason.
		want, cause string
		code        lb.Code
		reason      string
	}{
		{"skewed configuration", nodeconfig.ConflictSkew, "10.0.0.2", []string{"lb1", "lb2"}, backend.DisputeTwoOwners,
			backend.CauseSkew, lb.CodeTwoOwners, "lb1 and lb2 run different configurations (skewed configuration)"},
		{"foreign VRID, two owners", nodeconfig.ConflictVRID, "10.0.0.99", []string{"lb1", "lb2"},
			backend.DisputeTwoOwners, backend.CauseForeignVRID, lb.CodeTwoOwners,
			"10.0.0.99, which is no load-balancer node, sends adverts with the virtual router identifier 51"},
		{"foreign VRID, no owner", nodeconfig.ConflictVRID, "10.0.0.99", nil,
			backend.DisputeNoOwner, backend.CauseForeignVRID, lb.CodeNoOwner, "foreign VRID"},
		{"no owner", "", "", nil,
			backend.DisputeNoOwner, backend.CauseUnknown, lb.CodeNoOwner,
			"LB0405 no node holds 10.9.0.1, although they could: lb1, lb2"},
		{"foreign owner", nodeconfig.ConflictOwner, "02:00:00:00:00:99", []string{"lb1"},
			backend.DisputeForeignOwner, backend.CauseForeign, lb.CodeForeignOwner, "answered by 02:00:00:00:00:99"},
		{"foreign owner, not announced", nodeconfig.ConflictOwner, "02:00:00:00:00:99", nil,
			backend.DisputeForeignOwner, backend.CauseForeign, lb.CodeForeignOwner, "answered by 02:00:00:00:00:99"},
		{"a node of ours that does not know that it holds it", nodeconfig.ConflictOwner, strings.ToUpper(mac2),
			[]string{"lb1"}, backend.DisputeTwoOwners, backend.CausePartition, lb.CodeTwoOwners, "lb1, lb2"},
		{"all is well", "", "", []string{"lb2"}, "", "", "", ""},
		{"skew alone is no dispute", nodeconfig.ConflictSkew, "", []string{"lb2"}, "", "", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				if tc.kind != "" {
					s.see("lb1", tc.kind, tc.other)
				}
				s.hold(tc.holders...)
				s.look()
				time.Sleep(noOwnerAfter(nodeconfig.DefaultTiming()))
				s.report()
				s.expect(tc.want, tc.cause, tc.code, tc.reason)
			})
		})
	}
}

// TestClaimedBeforeAnnounced: nodes that do not announce an address, because somebody else has it, do not lack an owner.
func TestClaimedBeforeAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		claimed := nodeconfig.NodeFinding{Key: lb.Key{Namespace: "default", Name: "a"}, Finding: lb.Finding{
			Code: lb.CodeForeignOwner, Message: testVIP + " is answered by 02:00:00:00:00:99",
		}}
		for _, st := range s.nodes {
			st.Findings = []nodeconfig.NodeFinding{claimed}
		}
		s.hold()
		s.look()
		time.Sleep(noOwnerAfter(nodeconfig.DefaultTiming()))
		s.report()
		s.expect(backend.DisputeForeignOwner, backend.CauseForeign, lb.CodeForeignOwner, "is answered by 02:00:00:00:00:99")
		if h, _ := s.look(); len(h.Findings) != len(s.nodes) {
			t.Errorf("findings: %v", h.Findings)
		}
		for _, st := range s.nodes {
			st.Findings = nil
		}
		s.hold("lb1")
		s.expect("", "", "", "")
	})
}

// TestNobodyCanHold: where no node is fit, that is said instead, and nobody is blamed.
func TestNobodyCanHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		for _, st := range s.nodes {
			st.Share = nodeconfig.Share{State: nodeconfig.ShareUnfit, Reason: "nginx does not answer"}
		}
		s.hold()
		s.look()
		time.Sleep(10 * time.Second)
		s.report()
		s.expect("", "", "", "no node holds 10.9.0.1 yet; node lb1: nginx does not answer")
	})
}

// TestNewController: it needs its own time to say what it sees, and says it then.
func TestNewController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.hold()
		s.look()
		time.Sleep(time.Minute)
		s.report()
		s.b = New(s.store, Options{})
		s.expect("", "", "", "no node holds")
		_, state := s.look()
		time.Sleep(time.Until(state.Expires))
		s.report()
		s.expect(backend.DisputeNoOwner, backend.CauseUnknown, lb.CodeNoOwner, "LB0405")
	})
}

func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.see("lb1", nodeconfig.ConflictSkew, "")
		s.see("lb1", nodeconfig.ConflictSkew, "")
		s.see("lb2", nodeconfig.ConflictVRID, "10.0.0.99")
		s.hold("lb1")
		s.store.join("lb3")
		apply(t, s.b, balancer("a", testVIP))
		notices := func() string {
			_, state := s.look()
			var out []string
			for _, n := range state.Nodes {
				for _, notice := range n.Notices {
					out = append(out, n.Name+" "+n.Phase+" "+notice.Reason+": "+notice.Message)
				}
			}
			return strings.Join(out, "\n")
		}
		got := notices()
		for _, want := range []string{
			"lb1 member SkewedConfiguration: another node and lb1 run different", "lb2 member ForeignVRID: 10.0.0.99, which is no",
		} {
			if strings.Count(got, want) != 1 {
				t.Errorf("%q is not once in\n%s", want, got)
			}
		}
		if strings.Contains(got, "lb3") {
			t.Errorf("lb3 waits already:\n%s", got)
		}
		delete(s.store.nodes, "lb2")
		apply(t, s.b, balancer("a", testVIP))
		time.Sleep(waitsAfter + time.Second)
		s.report()
		got = notices()
		for _, want := range []string{
			"lb3 joining JoinWaits: lb3 joins once these nodes have confirmed that they know it: lb1, lb2, lb3;",
			"lb2 leaving LeaveWaits: lb2 leaves, and is not known to have let go",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not in\n%s", want, got)
			}
		}
	})
}

// TestLeaversDoNotCount: a node that leaves need not run what is new, and one that joins not yet; an address that the
// leaver still holds counts.
func TestLeaversDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.hold("lb1")
		delete(s.store.nodes, "lb1")
		s.store.join("lb3")
		s.nodes["lb3"] = &nodeconfig.Status{Node: "lb3"}
		a := balancer("a", testVIP)
		a.Listeners[0].Port = 81
		apply(t, s.b, a)
		s.nodes["lb2"].Running.Shards = s.store.running(t)
		s.report()
		s.expect("", "", "", "")
		s.nodes["lb2"].Share.State = nodeconfig.ShareSilent
		delete(s.store.nodes, "lb2")
		apply(t, s.b, a)
		s.report()
		s.expect("", "", "", "no node can carry it yet: lb1 is on its way in or out")
	})
}
