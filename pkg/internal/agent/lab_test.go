package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/ifaddr"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// lab is a bridge with load-balancer nodes, a client and a backend, each in a network namespace of its own.
type lab struct {
	t      *testing.T
	prefix string
	nodes  []*node
}

// node is a load-balancer node. Its agent is this test binary, started again.
type node struct {
	lab  *lab
	name string
	ns   string
	addr netip.Addr
	dir  string
	// env is added to the agent's environment.
	env []string
	// command, where set, precedes the agent's own.
	command []string
	agent   *exec.Cmd
	ended   chan struct{}
}

// backend answers HTTP and TCP in the fabric.
var backend = netip.MustParseAddrPort("10.77.0.254:8080")

// newLab lets the tests that have a lab run beside each other, as many at a time as there are cores: they wait more than
// they compute, and share nothing.
func newLab(t *testing.T, nodes int) *lab {
	t.Helper()
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root: network namespaces, nginx and keepalived")
	}
	l := &lab{t: t, prefix: fmt.Sprintf("klbd%d%x-", os.Getpid()%10000, time.Now().UnixNano()&0xffffffff)}
	l.ip("netns", "add", l.prefix+"f")
	t.Cleanup(func() { l.remove("f") })
	l.in("f", "link", "add", "br0", "type", "bridge")
	l.in("f", "link", "set", "br0", "up")
	l.in("f", "link", "set", "lo", "up")
	l.in("f", "addr", "add", backend.Addr().String()+"/16", "dev", "br0")
	for i := 1; i <= nodes; i++ {
		n := &node{lab: l, name: fmt.Sprintf("lb%d", i), addr: netip.MustParseAddr(fmt.Sprintf("10.77.0.%d", i))}
		n.ns, n.dir = l.prefix+n.name, t.TempDir()
		// nginx's workers, which are not root, have to get at the certificates below.
		if err := os.Chmod(filepath.Dir(n.dir), 0o711); err != nil { //nolint:gosec // as is /var/lib
			t.Fatal(err)
		}
		l.host(n.name, n.addr)
		l.nodes = append(l.nodes, n)
	}
	l.host("c", netip.MustParseAddr("10.77.0.200"))
	l.serve()
	t.Cleanup(func() {
		for _, n := range l.nodes {
			n.sweep()
		}
	})
	return l
}

// host makes a namespace with an interface eth0 on the bridge.
func (l *lab) host(name string, addr netip.Addr) {
	l.ip("netns", "add", l.prefix+name)
	l.t.Cleanup(func() { l.remove(name) })
	l.in("f", "link", "add", "p-"+name, "type", "veth", "peer", "name", "eth0", "netns", l.prefix+name)
	l.in("f", "link", "set", "p-"+name, "master", "br0", "up")
	l.in(name, "link", "set", "lo", "up")
	l.in(name, "link", "set", "eth0", "up")
	l.in(name, "addr", "add", addr.String()+"/16", "dev", "eth0")
	l.in(name, "addr", "add", six(addr).String()+"/64", "dev", "eth0", "nodad")
}

// six returns the IPv6 address that goes with an address.
func six(a netip.Addr) netip.Addr {
	b := a.As4()
	return netip.MustParseAddr(fmt.Sprintf("fd00:77::%x:%x", b[2], b[3]))
}

func (l *lab) remove(name string) {
	if out, err := exec.Command("ip", "netns", "del", l.prefix+name).CombinedOutput(); err != nil {
		l.t.Errorf("remove namespace: %v: %s", err, out)
	}
}

func (l *lab) ip(args ...string) {
	l.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		l.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func (l *lab) in(name string, args ...string) {
	l.t.Helper()
	l.ip(append([]string{"-n", l.prefix + name}, args...)...)
}

// within runs a function on a thread that is in the namespace.
func (l *lab) within(name string, f func()) {
	l.t.Helper()
	var wait sync.WaitGroup
	wait.Go(func() {
		runtime.LockOSThread()
		if syscall.Gettid() == os.Getpid() {
			// The first thread cannot be thrown away, and what it enters the whole process seems to be in.
			defer runtime.UnlockOSThread()
			l.within(name, f)
			return
		}
		// Never unlocked: the thread dies with the goroutine.
		ns, err := netns.GetFromName(l.prefix + name)
		if err == nil {
			defer ns.Close()
			err = netns.Set(ns)
		}
		if err != nil {
			l.t.Errorf("enter namespace %s: %v", name, err)
			return
		}
		f()
	})
	wait.Wait()
}

// serve starts the backend.
func (l *lab) serve() {
	l.within("f", func() {
		listener, err := net.Listen("tcp", backend.String())
		if err != nil {
			l.t.Errorf("backend: %v", err)
			return
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "hello")
		})}
		go func() { _ = server.Serve(listener) }()
		l.t.Cleanup(func() { _ = server.Close() })
	})
}

// get asks once, as a client outside, with its own connection and deadline.
func get(to netip.AddrPort) error {
	conn, err := net.DialTimeout("tcp", to.String(), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", to); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		return err
	}
	if !strings.Contains(string(buf[:n]), " 200 ") {
		return fmt.Errorf("answer %q", buf[:n])
	}
	return nil
}

// patience is how long something may take that has no time of its own to keep: this machine may be busy. What is a law
// says so where it is tested.
const patience = time.Minute

// answers waits until the client is answered.
func (l *lab) answers(to netip.AddrPort) {
	l.t.Helper()
	var err error
	l.within("c", func() {
		err = eventually(patience, func() error { return get(to) })
	})
	l.must(patience, err)
}

// probe asks every 5 ms until the returned function is called, which returns how many were asked and failed, and the
// longest time without an answer.
func (l *lab) probe(to netip.AddrPort) func() (asked, failed int, gap time.Duration) {
	stop, done := make(chan struct{}), make(chan struct{})
	var asked, failed int
	var gap time.Duration
	go func() {
		defer close(done)
		l.within("c", func() {
			last := time.Now()
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for {
				select {
				case <-stop:
					return
				default:
				}
				asked++
				at := time.Now()
				if err := get(to); err != nil {
					failed++
					if failed > 3 {
						continue
					}
					l.t.Logf("%s probe failed: %v", at.Format(time.StampMilli), err)
				} else {
					gap = max(gap, at.Sub(last))
					last = at
				}
				<-pace.C
			}
		})
	}()
	return func() (int, int, time.Duration) {
		close(stop)
		<-done
		return asked, failed, gap
	}
}

func (l *lab) eventually(within time.Duration, f func() error) {
	l.t.Helper()
	l.must(within, eventually(within, f))
}

// must ends the test with an error that stayed.
func (l *lab) must(within time.Duration, err error) {
	l.t.Helper()
	if err != nil {
		l.dump()
		l.t.Fatalf("after %s: %v", within, err)
	}
}

func eventually(within time.Duration, f func() error) error {
	deadline := time.Now().Add(within)
	for {
		err := f()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-time.After(5 * time.Millisecond)
	}
}

// dump shows what the agents said.
func (l *lab) dump() {
	for _, n := range l.nodes {
		data, _ := os.ReadFile(filepath.Join(n.dir, "agent.log"))
		l.t.Logf("--- %s\n%s", n.name, data)
	}
}

// want hands a configuration to nodes.
func (l *lab) want(c nodeconfig.Config, nodes ...*node) {
	l.t.Helper()
	if len(nodes) == 0 {
		nodes = l.nodes
	}
	data, err := json.Marshal(c)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, n := range nodes {
		path := filepath.Join(n.dir, "wanted.json")
		if err := os.WriteFile(path+".new", data, 0o600); err != nil {
			l.t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			l.t.Fatal(err)
		}
	}
}

// holders returns the nodes that have the address.
func (l *lab) holders(a netip.Addr) []*node {
	var have []*node
	for _, n := range l.nodes {
		if n.has(a) {
			have = append(have, n)
		}
	}
	return have
}

// oneHolder waits until exactly one node has the address.
func (l *lab) oneHolder(a netip.Addr) *node {
	l.t.Helper()
	var have []*node
	l.eventually(patience, func() error {
		if have = l.holders(a); len(have) != 1 {
			return fmt.Errorf("%d nodes hold %s", len(have), a)
		}
		return nil
	})
	return have[0]
}

func (n *node) has(a netip.Addr) bool {
	found := false
	n.lab.within(n.name, func() {
		have, err := ifaddr.List("eth0")
		if err != nil {
			n.lab.t.Errorf("addresses of %s: %v", n.name, err)
		}
		for _, h := range have {
			found = found || h == a
		}
	})
	return found
}

// start starts the node's agent.
func (n *node) start() {
	n.lab.t.Helper()
	self, err := os.Executable()
	if err != nil {
		n.lab.t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(n.dir, "agent.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		n.lab.t.Fatal(err)
	}
	defer log.Close()
	argv := append([]string{"ip", "netns", "exec", n.ns}, n.command...)
	argv = append(argv, self)
	n.agent = exec.Command(argv[0], argv[1:]...)
	n.agent.Env = append(os.Environ(), append(n.env, "KLB_AGENT_NODE="+n.name, "KLB_AGENT_DIR="+n.dir)...)
	n.agent.Stdout, n.agent.Stderr = log, log
	n.agent.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := n.agent.Start(); err != nil {
		n.lab.t.Fatal(err)
	}
	n.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		_ = cmd.Wait()
	}(n.agent, n.ended)
}

// kill ends the agent at once and leaves the rest.
func (n *node) kill() {
	_ = n.agent.Process.Kill()
	<-n.ended
}

// terminate asks the agent to end and waits until it has.
func (n *node) terminate() {
	n.lab.t.Helper()
	_ = n.agent.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.ended:
	case <-time.After(20 * time.Second):
		n.lab.dump()
		n.lab.t.Fatalf("%s: the agent does not end", n.name)
	}
}

// sweep kills whatever still runs in the node's namespace.
func (n *node) sweep() {
	if n.agent != nil {
		n.kill()
	}
	for _, pid := range n.pids() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = eventually(2*time.Second, func() error {
		if left := n.pids(); len(left) > 0 {
			return fmt.Errorf("processes %v are left", left)
		}
		return nil
	})
}

// pids returns the processes in the node's namespace.
func (n *node) pids() []int {
	out, err := exec.CommandContext(context.Background(), "ip", "netns", "pids", n.ns).Output()
	if err != nil {
		return nil
	}
	var pids []int
	for word := range strings.FieldsSeq(string(out)) {
		if pid, err := strconv.Atoi(word); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// status returns what the agent last reported.
func (n *node) status() nodeconfig.Status {
	var s nodeconfig.Status
	data, err := os.ReadFile(filepath.Join(n.dir, "status.json"))
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return nodeconfig.Status{}
	}
	return s
}

// process returns the PID of a supervised program, as reported.
func (n *node) process(name string) int {
	for _, p := range n.status().Processes {
		if p.Name == name {
			return p.PID
		}
	}
	return 0
}

// runs waits until the node reports a revision of its shard as running.
func (n *node) runs(revision int64) {
	n.lab.t.Helper()
	n.lab.eventually(patience, func() error {
		if have := n.status().Running.Shards[shard]; have < revision {
			return fmt.Errorf("%s runs revision %d of its shard, not %d", n.name, have, revision)
		}
		return nil
	})
}
