package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// TestIsolatedNodeTakesNothingNew changes the configuration while a node is cut off: what it does not know to be cut it
// must not announce, or the address had two owners. It follows when the drill is over.
func TestIsolatedNodeTakesNothingNew(t *testing.T) {
	l, c := serving(t)
	n := l.nodes[0]
	isolate := drill("one", nodeconfig.DrillIsolate)
	isolate.Duration = nodeconfig.Duration(time.Minute)
	l.want(drilled(c, n.name, isolate))
	n.drillIs("one", nodeconfig.DrillRunning)
	next := l.config(2, load(1, "TCP", 80), load(2, "TCP", 80), load(3, "TCP", 80), load(4, "TCP", 80))
	l.want(drilled(next, n.name, isolate))
	for _, other := range l.nodes[1:] {
		other.runs(2)
	}
	l.movesAway(vip(4), n)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		if n.has(vip(4)) {
			t.Fatalf("%s announces %s, which it cannot know to be free", n.name, vip(4))
		}
		time.Sleep(20 * time.Millisecond)
	}
	l.answers(at(4, 80))
	l.want(next)
	n.drillIs("one", nodeconfig.DrillRestored)
	n.runs(2)
	n.shares(nodeconfig.ShareServing)
	l.heldBy(vip(4), n)
	l.answers(at(4, 80))
}

// TestHungNginxStaysUnfit: a change that nginx has no part in proves nothing about it.
func TestHungNginxStaysUnfit(t *testing.T) {
	l := up(t, 2)
	n := l.nodes[0]
	if err := syscall.Kill(-n.process("nginx"), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	since := n.shares(nodeconfig.ShareUnfit).Share.Since
	before := content(t, filepath.Join(n.dir, "run", "gate"))
	for revision := int64(2); revision < 5; revision++ {
		c := l.config(revision, load(1, lb.TCP, 80))
		c.Fleet.Revision = revision
		c.Fleet.Timing.AdvertInterval += nodeconfig.Duration(10 * time.Millisecond * time.Duration(revision))
		l.want(c)
		n.runs(revision)
	}
	if s := n.shares(nodeconfig.ShareUnfit); !s.Share.Since.Equal(since) {
		t.Errorf("it was fit between %s and %s", since, s.Share.Since)
	}
	if after := content(t, filepath.Join(n.dir, "run", "gate")); after != before {
		t.Errorf("the gate says %q, and said %q", after, before)
	}
	if err := syscall.Kill(-n.process("nginx"), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	n.shares(nodeconfig.ShareServing)
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}
