package supervise

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func sleeper(t *testing.T, script string) Spec {
	t.Helper()
	dir := t.TempDir()
	return Spec{
		Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"GREETING=hello"},
		Log: filepath.Join(dir, "log"), Record: filepath.Join(dir, "record"),
	}
}

func eventually(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(time.Millisecond)
	}
}

func TestStartSignalEnd(t *testing.T) {
	spec := sleeper(t, `trap 'exit 3' TERM; echo $GREETING; while :; do sleep 0.01; done`)
	p, err := Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if data, _ := os.ReadFile(spec.Log); string(data) != "hello\n" {
			return fmt.Errorf("log %q", data)
		}
		return nil
	})
	eventually(t, func() error {
		// The shell blocks every signal for the moment in which it starts a sleep.
		if !p.Handles(syscall.SIGTERM) || p.Handles(syscall.SIGUSR2) {
			return fmt.Errorf("SIGTERM handled %v, SIGUSR2 %v", p.Handles(syscall.SIGTERM), p.Handles(syscall.SIGUSR2))
		}
		return nil
	})
	if !p.Alive() || p.PID() <= 0 || time.Since(p.Since()) > time.Minute {
		t.Errorf("alive %v, pid %d, since %s", p.Alive(), p.PID(), p.Since())
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if p.Ended() != "exit status 3" || p.Alive() {
		t.Errorf("ended %q, alive %v", p.Ended(), p.Alive())
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, ErrNotRunning) {
		t.Errorf("signal to a dead process: %v", err)
	}
	if _, err := Adopt(spec); !errors.Is(err, ErrNotRunning) {
		t.Errorf("adopted the dead: %v", err)
	}
}

func TestAdopt(t *testing.T) {
	spec := sleeper(t, "exec sleep 60")
	p, err := Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	adopted, err := Adopt(spec)
	if err != nil {
		t.Fatal(err)
	}
	if adopted.PID() != p.PID() {
		t.Errorf("adopted %d, not %d", adopted.PID(), p.PID())
	}
	if err := adopted.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-adopted.Done()
	<-p.Done()
	if p.Ended() != "signal: killed" {
		t.Errorf("ended %q", p.Ended())
	}
}

// TestAdoptNobodyElse: a number that another process has now is not taken for ours.
func TestAdoptNobodyElse(t *testing.T) {
	spec := sleeper(t, "")
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]identity{
		"another start": {PID: self.PID, Start: self.Start + 1, Boot: self.Boot},
		"another boot":  {PID: self.PID, Start: self.Start, Boot: "x"},
		"no process":    {PID: 1 << 30, Start: self.Start, Boot: self.Boot},
	} {
		if err := remember(spec.Record, id); err != nil {
			t.Fatal(err)
		}
		if _, err := Adopt(spec); !errors.Is(err, ErrNotRunning) {
			t.Errorf("%s: %v", name, err)
		}
		if o := Orphans(spec.Record); len(o) > 0 {
			t.Errorf("%s: orphans %v", name, o)
		}
	}
	if err := os.WriteFile(spec.Record, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Adopt(spec); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a broken record: %v", err)
	}
}

func TestOrphans(t *testing.T) {
	spec := sleeper(t, "sleep 60 & sleep 60 & wait")
	p, err := Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	three := func() error {
		if o := Orphans(spec.Record); len(o) != 3 || o[0] != p.PID() {
			return fmt.Errorf("session %v, want three led by %d", o, p.PID())
		}
		return nil
	}
	eventually(t, three)
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if o := Orphans(spec.Record); len(o) != 2 {
		t.Errorf("orphans %v, want two", o)
	}
	if n := SignalOrphans(spec.Record, 0); n != 2 {
		t.Errorf("%d orphans could be signalled, not two", n)
	}
	EndOrphans(t.Context(), spec.Record, 0)
	if o := Orphans(spec.Record); len(o) > 0 {
		t.Errorf("orphans %v are left", o)
	}
}

// TestChild follows a child of a program that it did not start, to its end; nobody else's is taken for one.
func TestChild(t *testing.T) {
	spec := sleeper(t, "sleep 60 & echo $!; wait; sleep 60")
	p, err := Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	eventually(t, func() error {
		data, err := os.ReadFile(spec.Log)
		if err == nil {
			_, err = fmt.Sscan(string(data), &pid)
		}
		return err
	})
	c, err := p.Child(pid)
	if err != nil || c.PID() != pid || !c.Alive() || c.Stopped() {
		t.Fatalf("child %+v, %v", c, err)
	}
	for _, other := range []int{p.PID(), os.Getpid(), 1 << 30} {
		if _, err := p.Child(other); !errors.Is(err, ErrNotRunning) {
			t.Errorf("process %d: %v", other, err)
		}
	}
	if err := c.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if !c.Stopped() {
			return errors.New("not stopped")
		}
		return nil
	})
	if err := c.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	if c.Stopped() || !p.Alive() {
		t.Error("the wrong one ended")
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	EndOrphans(t.Context(), spec.Record, 0)
	if _, err := p.Child(pid); !errors.Is(err, ErrNotRunning) {
		t.Errorf("child of the dead: %v", err)
	}
}

func TestStartFails(t *testing.T) {
	spec := sleeper(t, "")
	spec.Path = "/no/such/program"
	if _, err := Start(spec); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("error %v", err)
	}
}

func TestParseStat(t *testing.T) {
	line := "7 (a) b) c) S 1 7 5 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1"
	st, err := parseStat(line)
	if err != nil || st.state != 'S' || st.session != 5 || st.start != 12345 {
		t.Errorf("%+v, %v", st, err)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S 1 2", strings.Replace(line, " 5 0", " x 0", 1)} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("7 (a) S 1 7 5 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1")
	f.Fuzz(func(_ *testing.T, s string) { _, _ = parseStat(s) })
}

func TestMasked(t *testing.T) {
	status := "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"
	for sig, want := range map[syscall.Signal]bool{1: true, 2: false, 13: true, 64: false} {
		if got := masked(status, sig); got != want {
			t.Errorf("signal %d: %v", sig, got)
		}
	}
}
