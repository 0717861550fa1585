package netspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newSpace makes a namespace with its loopback up, removed with the test.
func newSpace(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: no network namespaces")
	}
	name := fmt.Sprintf("klbns-%d-%d", os.Getpid(), time.Now().UnixNano()%1e6)
	if err := Create(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Delete(name); err != nil {
			t.Error(err)
		}
	})
	if out, err := Command(Path(name), "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("lo up: %v: %s", err, out)
	}
	return name
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestCreateListDelete(t *testing.T) {
	name := newSpace(t)
	names, err := List(name[:len(name)-1])
	if err != nil || !slices.Contains(names, name) {
		t.Errorf("List: %v, %v: want %s in it", names, err, name)
	}
	if err := Create(name); err == nil {
		t.Error("Create took a name twice")
	}
	if err := Delete(name); err != nil {
		t.Fatal(err)
	}
	if err := Delete(name); err != nil {
		t.Errorf("Delete of what is gone: %v", err)
	}
	if _, err := os.Stat(Path(name)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the name is still there: %v", err)
	}
}

// TestDoComesHome runs many at once: whatever thread is used, fn sees the namespace, and afterwards no thread of this
// process is in it.
func TestDoComesHome(t *testing.T) {
	name := newSpace(t)
	want := inode(t, Path(name))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			err := Do(Path(name), func() error {
				if unix.Gettid() == unix.Getpid() {
					return errors.New("ran on the main thread")
				}
				if got := inode(t, "/proc/thread-self/ns/net"); got != want {
					return fmt.Errorf("ran in namespace %d, want %d", got, want)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := threadsIn(t, want); n != 0 {
		t.Errorf("%d threads stayed in the namespace", n)
	}
	sentinel := errors.New("mine")
	if err := Do(Path(name), func() error { return sentinel }); !errors.Is(err, sentinel) {
		t.Errorf("Do returned %v, want fn's error", err)
	}
	if err := Do("/run/netns/klbns-no-such", func() error { return nil }); err == nil {
		t.Error("Do entered what is not there")
	}
}

func threadsIn(t *testing.T, ns uint64) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, task := range tasks {
		var st unix.Stat_t
		if unix.Stat("/proc/self/task/"+task.Name()+"/ns/net", &st) == nil && st.Ino == ns {
			n++
		}
	}
	return n
}

func TestDialer(t *testing.T) {
	name := newSpace(t)
	var listener net.Listener
	err := Do(Path(name), func() error {
		var err error
		listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hi")
			conn.Close()
		}
	}()
	address := listener.Addr().String()
	if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		conn.Close()
		t.Fatal("the listener is reachable from outside its namespace")
	}
	d, err := NewDialer(Path(name))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			conn, err := d.DialContext(ctx, "tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if got, err := io.ReadAll(conn); err != nil || string(got) != "hi" {
				t.Errorf("read %q, %v", got, err)
			}
		})
	}
	wg.Wait()
	ns := inode(t, Path(name))
	if n := threadsIn(t, ns); n != 1 {
		t.Errorf("%d threads are in the namespace while dialing, want the dialer's one", n)
	}
	d.Close()
	deadline := time.Now().Add(5 * time.Second)
	for threadsIn(t, ns) > 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // polling the kernel
	}
	if n := threadsIn(t, ns); n != 0 {
		t.Errorf("%d threads stayed after Close", n)
	}
	if _, err := d.DialContext(t.Context(), "tcp", address); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial after Close: %v", err)
	}
}

func TestDialerErrors(t *testing.T) {
	name := newSpace(t)
	d, err := NewDialer(Path(name))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.DialContext(t.Context(), "tcp", "127.0.0.1:1"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("closed port: %v, want connection refused", err)
	}
	if _, err := d.DialContext(t.Context(), "tcp", "[::1]:1"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("closed port: %v, want connection refused", err)
	}
	if _, err := d.DialContext(t.Context(), "tcp", "10.9.9.9:1"); !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("no route: %v, want network unreachable", err)
	}
	for _, bad := range [][2]string{{"tcp", "localhost:1"}, {"unix", "127.0.0.1:1"}, {"tcp", "127.0.0.1"}} {
		if _, err := d.DialContext(t.Context(), bad[0], bad[1]); err == nil {
			t.Errorf("dial %v: no error", bad)
		}
	}
	// A route that swallows everything: only the context ends the wait.
	for _, argv := range [][]string{
		{"ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"}, {"ip", "address", "add", "10.9.0.1/24", "dev", "v0"},
		{"ip", "link", "set", "v0", "up"}, {"ip", "link", "set", "v1", "up"},
		{"ip", "neighbour", "add", "10.9.0.2", "lladdr", "02:00:00:00:00:01", "dev", "v0"},
	} {
		if out, err := Command(Path(name), argv...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", argv, err, out)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := d.DialContext(ctx, "tcp", "10.9.0.2:80"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("silent peer: %v, want the deadline", err)
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("the deadline of 50 ms took %s", took)
	}
}

func TestProcesses(t *testing.T) {
	name := newSpace(t)
	cmd := Command(Path(name), "sleep", "60")
	cmd.Env = append(os.Environ(), "KLBNS_TEST="+name)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	defer func() { _ = cmd.Process.Kill(); <-exited }()
	p := awaitProcess(t, name, cmd.Process.Pid, "sleep")
	if p.InnerPID != p.PID {
		t.Errorf("inner pid %d of a process without a PID namespace, want %d", p.InnerPID, p.PID)
	}
	if !slices.Equal(p.Args, []string{"sleep", "60"}) {
		t.Errorf("args %q", p.Args)
	}
	marked, err := ProcessesWithEnv("KLBNS_TEST=" + name)
	if err != nil || len(marked) != 1 || marked[0].PID != p.PID {
		t.Errorf("found by environment: %v, %v", marked, err)
	}
	if other, _ := ProcessesWithEnv("KLBNS_TEST=" + name[:len(name)-1]); len(other) != 0 {
		t.Errorf("a part of the value matched: %v", other)
	}
	imposter := p
	imposter.Start++
	if err := imposter.Signal(unix.SIGKILL); err != nil || !p.Alive() {
		t.Errorf("a process that only shares the pid was killed (%v)", err)
	}
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Error(err)
	}
	<-exited
	if p.Alive() {
		t.Error("a dead process is alive")
	}
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Errorf("signal to a dead process: %v", err)
	}
}

func awaitProcess(t *testing.T, space string, pid int, program string) Process {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		found, err := Processes(Path(space))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range found {
			// In the midst of execve(2) a process has its new executable and no command line yet.
			if p.PID == pid && p.Program == program && len(p.Args) > 0 {
				return p
			}
		}
		time.Sleep(time.Millisecond) // polling the kernel
	}
	t.Fatalf("process %d (%s) never showed in %s", pid, program, space)
	return Process{}
}
