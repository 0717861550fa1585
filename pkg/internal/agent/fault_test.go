package agent_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// up starts every node with one load balancer and waits until all is calm.
func up(t *testing.T, nodes int) *lab {
	t.Helper()
	l := newLab(t, nodes)
	l.want(l.config(1, load(1, lb.TCP, 80)))
	for _, n := range l.nodes {
		n.start()
	}
	for _, n := range l.nodes {
		n.runs(1)
	}
	l.answers(at(1, 80))
	l.settled()
	return l
}

// settled waits until every group is with its home node, as the tests count on.
func (l *lab) settled() {
	l.t.Helper()
	l.eventually(patience, func() error {
		for i, n := range l.nodes {
			for _, g := range n.status().Groups {
				if home := g.ID == i; home != (g.State == nodeconfig.StateMaster) {
					return fmt.Errorf("%s is %s in group %d", n.name, g.State, g.ID)
				}
			}
		}
		return nil
	})
}

func TestUnchangedFilesAreNotReloaded(t *testing.T) {
	l := up(t, 1)
	n := l.nodes[0]
	before := n.pids()
	l.want(l.config(7, load(1, lb.TCP, 80)))
	n.runs(7)
	if after := n.pids(); !slices.Equal(before, after) {
		t.Errorf("processes before %v, after %v: something was reloaded", before, after)
	}
	if s := n.status(); s.Wanted.Generation != s.Running.Generation || len(s.Findings) > 0 {
		t.Errorf("status %+v", s)
	}
}

func TestPortOfAnotherProgramRefusesOnlyOneLoadBalancer(t *testing.T) {
	l := up(t, 1)
	n := l.nodes[0]
	var other net.Listener
	l.within("lb1", func() {
		var err error
		if other, err = net.Listen("tcp", ":2222"); err != nil {
			t.Error(err)
		}
	})
	defer other.Close()
	bad := load(2, lb.TCP, 2222)
	l.want(l.config(2, load(1, lb.TCP, 80), bad, load(3, lb.HTTP, 80)))
	n.runs(2)
	l.answers(at(3, 80))
	s := n.status()
	if len(s.Findings) != 1 || s.Findings[0].Key != bad.Origin.Key || s.Findings[0].Code != lb.CodeNodeRefused {
		t.Errorf("findings %+v, want one LB0403 of %s", s.Findings, bad.Origin.Key)
	}
	if n.has(vip(2)) {
		t.Errorf("%s is announced though nginx cannot serve it", vip(2))
	}
	other.Close()
	l.want(l.config(3, load(1, lb.TCP, 80), bad, load(3, lb.HTTP, 80)))
	l.answers(at(2, 2222))
	l.eventually(patience, func() error {
		if fs := n.status().Findings; len(fs) > 0 {
			return fmt.Errorf("findings %+v after the port is free", fs)
		}
		return nil
	})
}

// TestRemovedListenerIsGone: once a generation is reported to run, nothing of the former one accepts connections. So an
// address and port that come back at once are not taken for another program's.
func TestRemovedListenerIsGone(t *testing.T) {
	l := up(t, 1)
	n := l.nodes[0]
	for revision := int64(2); revision < 12; revision += 2 {
		l.want(l.config(revision, load(1, lb.TCP, 80), load(2, lb.TCP, 8080)))
		n.runs(revision)
		l.want(l.config(revision+1, load(1, lb.TCP, 80)))
		n.runs(revision + 1)
		l.within("lb1", func() {
			conn, err := net.Listen("tcp", at(2, 8080).String())
			if err != nil {
				t.Errorf("revision %d runs, but %s is still in use: %v", revision+1, at(2, 8080), err)
				return
			}
			conn.Close()
		})
		if fs := n.status().Findings; len(fs) > 0 {
			t.Errorf("findings %+v", fs)
		}
	}
}

// TestFailedReloadIsRolledBack uses an nginx that finds every configuration good and has too few files to load a big
// one, so that only the proof after the reload can tell.
func TestFailedReloadIsRolledBack(t *testing.T) {
	l := newLab(t, 1)
	n := l.nodes[0]
	wrapper := filepath.Join(n.dir, "nginx")
	script := "#!/bin/sh\nfor a; do [ \"$a\" = -t ] && exit 0; done\nulimit -n 60\nexec /usr/sbin/nginx \"$@\"\n"
	if err := os.WriteFile(wrapper, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	n.env = []string{"KLB_AGENT_NGINX=" + wrapper}
	first := load(1, lb.TCP, 80)
	l.want(l.config(1, first))
	n.start()
	n.runs(1)
	l.answers(at(1, 80))
	good := n.status().Running.Generation

	stop := l.probe(at(1, 80))
	loads := []lb.LoadBalancer{first}
	for i := 2; i < 100; i++ {
		loads = append(loads, load(i, lb.TCP, 80))
	}
	l.want(l.config(2, loads...))
	l.eventually(patience, func() error {
		if fs := n.status().Findings; len(fs) == 0 || fs[0].Code != lb.CodeNodeRefused {
			return fmt.Errorf("findings %+v, want LB0403", fs)
		}
		return nil
	})
	s := n.status()
	if s.Running.Generation != good || s.Running.Shards[shard] != 1 || s.Wanted.Shards[shard] != 2 {
		t.Errorf("wanted %+v, running %+v; want the first generation to run", s.Wanted, s.Running)
	}
	if n.has(vip(2)) {
		t.Errorf("%s is announced though it is not served", vip(2))
	}
	l.want(l.config(3, first, load(2, lb.HTTP, 80)))
	n.runs(3)
	l.answers(at(2, 80))
	if asked, failed, _ := stop(); failed > 0 {
		t.Errorf("%d of %d probes of the first load balancer failed", failed, asked)
	}
}

func TestKilledAgentLeavesTrafficAndAdopts(t *testing.T) {
	l := up(t, 3)
	n := l.oneHolder(vip(1))
	nginx, keepalived := n.process("nginx"), n.process("keepalived")
	stop := l.probe(at(1, 80))
	n.kill()
	_ = os.Remove(filepath.Join(n.dir, "status.json"))
	n.start()
	n.runs(1)
	if a, b := n.process("nginx"), n.process("keepalived"); a != nginx || b != keepalived {
		t.Errorf("nginx %d, keepalived %d; before the death of the agent %d and %d", a, b, nginx, keepalived)
	}
	if have := l.oneHolder(vip(1)); have != n {
		t.Errorf("%s moved from %s to %s", vip(1), n.name, have.name)
	}
	// What has been adopted takes changes.
	l.want(l.config(2, load(1, lb.TCP, 80), load(2, lb.HTTP, 80)))
	l.answers(at(2, 80))
	if asked, failed, _ := stop(); failed > 0 {
		t.Errorf("%d of %d probes failed", failed, asked)
	}
	if p := n.process("nginx"); p != nginx {
		t.Errorf("nginx %d, not the adopted %d", p, nginx)
	}
}

func TestKilledNginxIsStartedAgain(t *testing.T) {
	l := up(t, 3)
	n := l.oneHolder(vip(1))
	for _, victim := range []string{"master", "all"} {
		old := n.process("nginx")
		stop := l.probe(at(1, 80))
		if victim == "all" {
			killGroup(t, old)
		} else if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		l.eventually(10*time.Second, func() error {
			if p := n.process("nginx"); p == 0 || p == old {
				return fmt.Errorf("nginx %d", p)
			}
			return nil
		})
		l.answers(at(1, 80))
		asked, failed, gap := stop()
		t.Logf("nginx %s killed: %d of %d probes failed, gap %s", victim, failed, asked, gap)
		l.oneHolder(vip(1))
	}
}

// killGroup kills all processes of a session.
func killGroup(t *testing.T, leader int) {
	t.Helper()
	if err := syscall.Kill(-leader, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func TestKilledKeepalivedLeavesNoAddress(t *testing.T) {
	l := up(t, 3)
	n := l.oneHolder(vip(1))
	old := n.process("keepalived")
	stop := l.probe(at(1, 80))
	killGroup(t, old)
	l.eventually(10*time.Second, func() error {
		if p := n.process("keepalived"); p == 0 || p == old {
			return fmt.Errorf("keepalived %d", p)
		}
		return nil
	})
	l.oneHolder(vip(1))
	l.answers(at(1, 80))
	asked, failed, gap := stop()
	t.Logf("keepalived killed: %d of %d probes failed, gap %s", failed, asked, gap)
	l.settled() // the node takes its share back
	if have := l.oneHolder(vip(1)); have != n {
		t.Errorf("%s is on %s, not back home on %s", vip(1), have.name, n.name)
	}
}

func TestForeignAddressesAreLeftAlone(t *testing.T) {
	l := newLab(t, 1)
	n := l.nodes[0]
	l.in("lb1", "addr", "add", "10.77.200.1/32", "dev", "eth0")
	l.in("lb1", "addr", "add", vip(1).String()+"/32", "dev", "eth0") // a stale one, of nobody's memory yet
	l.want(l.config(1, load(1, lb.TCP, 80)))
	n.start()
	n.runs(1)
	l.oneHolder(vip(1))
	out, err := exec.Command("ip", "-n", n.ns, "addr", "show", "dev", "eth0").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "10.77.200.1/32") {
		t.Errorf("the foreign address is gone: %v\n%s", err, out)
	}
}

// TestLeftoverIsRemoved: an address that keepalived knows nothing of, as one has that lost its VRRP process while the
// configuration changed, goes with the load balancer that it belonged to.
func TestLeftoverIsRemoved(t *testing.T) {
	l := up(t, 2)
	n, other := l.nodes[0], l.nodes[1]
	l.in(other.name, "addr", "add", vip(1).String()+"/32", "dev", "eth0")
	l.want(l.config(2, load(2, lb.TCP, 80)))
	n.runs(2)
	other.runs(2)
	if have := l.holders(vip(1)); len(have) > 0 {
		t.Errorf("%s still has %s", have[0].name, vip(1))
	}
}

func TestTerminatedAgentResigns(t *testing.T) {
	l := up(t, 3)
	n := l.oneHolder(vip(1))
	stop := l.probe(at(1, 80))
	n.terminate()
	if have := l.oneHolder(vip(1)); have == n {
		t.Errorf("%s still holds %s", n.name, vip(1))
	}
	l.answers(at(1, 80))
	asked, failed, gap := stop()
	t.Logf("resigned: %d of %d probes failed, gap %s", failed, asked, gap)
	if code := n.agent.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if left := n.pids(); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	if s := n.status(); len(s.Holding) > 0 || s.Processes[0].PID != 0 || s.Processes[1].PID != 0 {
		t.Errorf("the last status says %+v", s)
	}
}

func TestStartsFromTheSavedConfiguration(t *testing.T) {
	l := up(t, 1)
	n := l.nodes[0]
	n.terminate()
	if err := os.Remove(filepath.Join(n.dir, "wanted.json")); err != nil {
		t.Fatal(err)
	}
	n.start()
	l.answers(at(1, 80))
	l.oneHolder(vip(1))
}

func TestNodeThatLeavesTheFleetFallsSilent(t *testing.T) {
	l := up(t, 2)
	n := l.nodes[0]
	c := l.config(2, load(1, lb.TCP, 80))
	c.Fleet.Nodes = c.Fleet.Nodes[1:]
	l.want(c)
	n.runs(2)
	if n.has(vip(1)) || n.process("keepalived") != 0 {
		t.Errorf("%s still takes part", n.name)
	}
	l.answers(at(1, 80))
	l.want(l.config(3, load(1, lb.TCP, 80)))
	n.runs(3)
	l.settled()
}

func TestFirstProcessOfAContainer(t *testing.T) {
	l := newLab(t, 1)
	n := l.nodes[0]
	n.command = []string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}
	l.want(l.config(1, load(1, lb.TCP, 80)))
	n.start()
	n.runs(1)
	l.answers(at(1, 80))
	nginx := n.process("nginx")
	init := child(t, n.agent.Process.Pid)
	agent := child(t, init)
	stop := l.probe(at(1, 80))
	if err := syscall.Kill(agent, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(n.dir, "status.json"))
	n.runs(1)
	if p := n.process("nginx"); p != nginx {
		t.Errorf("nginx %d, not the adopted %d", p, nginx)
	}
	if asked, failed, _ := stop(); failed > 0 {
		t.Errorf("%d of %d probes failed while the agent was dead", failed, asked)
	}
	if err := syscall.Kill(init, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the container does not end")
	}
	if code := n.agent.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if n.has(vip(1)) {
		t.Errorf("%s is left", vip(1))
	}
}

// child returns the first child of a process.
func child(t *testing.T, pid int) int {
	t.Helper()
	var found int
	err := eventually(5*time.Second, func() error {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // each thread has its own
		if err != nil {
			return err
		}
		var words []string
		for _, task := range tasks {
			data, err := os.ReadFile(task)
			if err != nil {
				return err
			}
			words = append(words, strings.Fields(string(data))...)
		}
		if len(words) == 0 {
			return errors.New("no child")
		}
		found, err = strconv.Atoi(words[0])
		return err
	})
	if err != nil {
		t.Fatalf("child of %d: %v", pid, err)
	}
	return found
}
