package agent

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/share"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// published is what a stance said last.
type published struct {
	share    nodeconfig.Share
	withheld []int
}

func testStance(t *testing.T, dir string) (*stance, *published) {
	t.Helper()
	var p published
	s := newStance(Options{RunDir: dir, Log: slog.New(slog.DiscardHandler)}, func(sh nodeconfig.Share, withheld []int) {
		p = published{sh, withheld}
	})
	return s, &p
}

// files returns what keepalived would read, such as "gate 1, 0 -127, 7 0".
func files(t *testing.T, dir string) string {
	t.Helper()
	words := []string{"gate " + content(t, filepath.Join(dir, gateName))}
	entries, err := os.ReadDir(filepath.Join(dir, weightDirName))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		words = append(words, e.Name()+" "+content(t, filepath.Join(dir, weightDirName, e.Name())))
	}
	return strings.Join(words, ", ")
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// member is a candidate of a full member with groups 0 and 7.
func member() *candidate {
	c := &candidate{}
	c.view.Timing.HoldTime = nodeconfig.Duration(5 * time.Second)
	c.view.Instances = []nodeconfig.Instance{
		{Group: 0, Peers: addrs("10.0.0.2")}, {Group: 0, Peers: addrs("fd00::2")}, {Group: 7, Peers: addrs("10.0.0.2")},
	}
	return c
}

func TestStanceOfAFreshNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, p := testStance(t, dir)
		withheld, err := s.load()
		if err != nil || len(withheld) > 0 {
			t.Fatal(withheld, err)
		}
		go s.follow(t.Context())
		a := &Agent{stance: s}
		check := func(want nodeconfig.ShareState, text string) {
			t.Helper()
			synctest.Wait()
			if got := files(t, dir); p.share.State != want || got != text {
				t.Errorf("%s (%s), files %s; want %s, %s", p.share.State, p.share.Reason, got, want, text)
			}
		}
		s.begin(nil, time.Hour, false)
		check(nodeconfig.ShareSilent, "gate 1")
		s.configure(member())
		check(nodeconfig.ShareUnfit, "gate 1, 0 -127, 7 -127")
		a.Open(reasonNginx)
		check(nodeconfig.ShareUnfit, "gate 0, 0 -127, 7 -127")
		s.announcing(true)
		check(nodeconfig.ShareHolding, "gate 0, 0 -127, 7 -127")
		time.Sleep(5*time.Second + time.Millisecond)
		check(nodeconfig.ShareHolding, "gate 0, 0 0, 7 -127")
		time.Sleep(share.ReleasePause + time.Millisecond)
		check(nodeconfig.ShareServing, "gate 0, 0 0, 7 0")
		s.holding(true)
		a.obey(nodeconfig.Order{Drain: &nodeconfig.Drain{By: "alice"}})
		check(nodeconfig.ShareDraining, "gate 0, 0 -127, 7 -127")
		s.holding(false)
		check(nodeconfig.ShareDrained, "gate 0, 0 -127, 7 -127")
		if p.share.Reason != `drained by "alice"` || !slices.Equal(p.withheld, []int{0, 7}) {
			t.Errorf("published %+v", *p)
		}
		a.obey(nodeconfig.Order{})
		time.Sleep(2*share.ReleasePause + time.Millisecond)
		check(nodeconfig.ShareServing, "gate 0, 0 0, 7 0")
		a.Shut("witness", "the gateway is silent")
		check(nodeconfig.ShareUnfit, "gate 1, 0 -127, 7 -127")
		a.Open("witness")
		check(nodeconfig.ShareHolding, "gate 0, 0 -127, 7 -127")
		s.silent("it has ended")
		check(nodeconfig.ShareSilent, "gate 0, 0 -127, 7 -127")
	})
}

// TestStanceAdopts: until it begins nothing changes, and then nothing does that has no reason.
func TestStanceAdopts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		left  map[string]string
		do    func(*Agent)
		state nodeconfig.ShareState
		want  string
	}{
		{
			"a serving node", map[string]string{"gate": "0\n", "weight/0": "0   \n", "weight/7": "0   \n"},
			func(*Agent) {}, nodeconfig.ShareServing, "gate 0, 0 0, 7 0",
		},
		{
			"a drained node", map[string]string{"gate": "0   \n", "weight/0": "-127\n"},
			func(a *Agent) { a.obey(nodeconfig.Order{Drain: &nodeconfig.Drain{}}) },
			nodeconfig.ShareDrained, "gate 0, 0 -127",
		},
		{
			"a node that held", map[string]string{"gate": "0   \n", "weight/0": "-127\n", "weight/7": "0   \n"},
			func(*Agent) {}, nodeconfig.ShareHolding, "gate 0, 0 -127, 7 0",
		},
		{
			"a node whose gate was shut", map[string]string{"gate": "1   \n", "weight/0": "-127\n"},
			func(*Agent) {}, nodeconfig.ShareUnfit, "gate 1, 0 -127",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, weightDirName), 0o700); err != nil {
				t.Fatal(err)
			}
			for name, text := range tt.left {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before := files(t, dir)
			s, p := testStance(t, dir)
			withheld, err := s.load()
			if err != nil {
				t.Fatal(err)
			}
			tt.do(&Agent{stance: s})
			if got := files(t, dir); got != before {
				t.Errorf("before it begins: %s, want %s", got, before)
			}
			s.begin(withheld, time.Hour, true)
			if got := files(t, dir); got != tt.want || p.share.State != tt.state {
				t.Errorf("%s, files %s; want %s, %s", p.share.State, got, tt.state, tt.want)
			}
		})
	}
}

// TestStanceWithoutFiles keeps trying.
func TestStanceWithoutFiles(t *testing.T) {
	s, p := testStance(t, "/proc/no/such")
	if _, err := s.load(); err == nil {
		t.Error("no error though nothing can be written")
	}
	s.begin(nil, time.Second, false)
	s.configure(member())
	if s.next.IsZero() || p.share.State != nodeconfig.ShareUnfit {
		t.Errorf("again at %s, %+v", s.next, p.share)
	}
}

func TestSuspension(t *testing.T) {
	s := newSuspension()
	a := &Agent{suspension: s}
	for _, name := range []string{"drill", "test"} {
		if err := a.Suspend(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if s.begin() {
		t.Error("a change begins though nothing may be changed")
	}
	a.Resume("drill")
	if !a.suspension.active() || len(s.over) > 0 {
		t.Error("one reason is left")
	}
	a.Resume("test")
	if a.suspension.active() || len(s.over) != 1 {
		t.Error("no reason is left")
	}
	if !s.begin() {
		t.Error("nothing may be changed though no reason is left")
	}
}

// TestSuspensionWaits: what is killed for a drill must not be in the midst of a start.
func TestSuspensionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &Agent{suspension: newSuspension()}
		if !a.suspension.begin() {
			t.Fatal("no change can begin")
		}
		suspended := make(chan error, 1)
		go func() { suspended <- a.Suspend(t.Context(), "drill") }()
		time.Sleep(time.Second)
		synctest.Wait()
		if a.suspension.active() || len(suspended) > 0 {
			t.Error("it is suspended in the midst of a change")
		}
		a.suspension.end()
		if err := <-suspended; err != nil || a.suspension.begin() {
			t.Errorf("after the change: %v", err)
		}
		a.Resume("drill")
		if !a.suspension.begin() {
			t.Fatal("no change can begin")
		}
		if err := a.Suspend(t.Context(), "drill"); !errors.Is(err, errChanging) || a.suspension.active() {
			t.Errorf("in the midst of a change that does not end: %v", err)
		}
	})
}

func TestExpected(t *testing.T) {
	var e expected
	if !e.has("anything") {
		t.Error("nothing is expected, so anything is right")
	}
	e.set("", "b")
	if e.has("a") || !e.has("b") {
		t.Error("only b is expected")
	}
	e.set("")
	if !e.has("a") {
		t.Error("nothing is known again")
	}
}

func TestSilence(t *testing.T) {
	view := func(phase nodeconfig.Phase, instances int) nodeconfig.View {
		v := nodeconfig.View{Instances: make([]nodeconfig.Instance, instances)}
		v.Node.Phase = phase
		return v
	}
	for want, v := range map[string]nodeconfig.View{
		"": view("", 1),
		"it joins: every other node has to know it first": view(nodeconfig.PhaseJoining, 0),
		"it leaves the fleet":                             view(nodeconfig.PhaseLeaving, 1),
		"it takes part in no group":                       view("", 0),
	} {
		if got := silenceOf(v); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		c := candidate{view: v, silence: silenceOf(v)}
		if (len(c.announced()) > 0) != (want == "") {
			t.Errorf("%q announces %v", want, c.announced())
		}
	}
}

func TestAnswerOwnOnly(t *testing.T) {
	root := t.TempDir()
	set := func(iface, name, text string) {
		t.Helper()
		dir := filepath.Join(root, "ipv4", "conf", iface)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := answerOwnOnly(root, "eth0"); err == nil || !strings.Contains(err.Error(), "net.ipv4.conf.eth0.arp_ignore=1") {
		t.Errorf("an interface that is not there: %v", err)
	}
	set("all", "arp_ignore", "0\n")
	set("all", "arp_announce", "2\n")
	set("eth0", "arp_ignore", "0\n")
	set("eth0", "arp_announce", "0\n")
	if err := answerOwnOnly(root, "eth0"); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "ipv4", "conf", "eth0")
	if got := content(t, filepath.Join(dir, "arp_ignore")); got != "1" {
		t.Errorf("arp_ignore is %s", got)
	}
	if got := content(t, filepath.Join(dir, "arp_announce")); got != "0" {
		t.Errorf("arp_announce is %s, though that of all is enough", got)
	}
	set("eth0", "arp_ignore", "2\n")
	if err := answerOwnOnly(root, "eth0"); err != nil || content(t, filepath.Join(dir, "arp_ignore")) != "2" {
		t.Errorf("a stricter setting was changed, %v", err)
	}
}
