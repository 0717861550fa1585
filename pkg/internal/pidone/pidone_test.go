package pidone

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// exited and killed are wait statuses as the kernel gives them (wait(2)).
func exited(code int) unix.WaitStatus      { return unix.WaitStatus(code << 8) }
func killed(s unix.Signal) unix.WaitStatus { return unix.WaitStatus(s) }
func newState(alive time.Duration) *state {
	return &state{log: slog.New(slog.DiscardHandler), pid: 7, since: time.Now().Add(-alive)}
}

func TestWhatAnEndMeans(t *testing.T) {
	for _, tt := range []struct {
		name     string
		status   unix.WaitStatus
		stopping bool
		done     bool
		exit     int
	}{
		{"a clean end", exited(0), false, true, 0},
		{"a failure that it tells itself", exited(1), false, true, 1},
		{"a panic", exited(2), false, false, 2},
		{"a kill", killed(unix.SIGKILL), false, false, 137},
		{"a kill while it is to end", killed(unix.SIGKILL), true, true, 137},
	} {
		s := newState(0)
		s.stopping = tt.stopping
		pause, done := s.ended(tt.status)
		if done != tt.done || pause != 0 || exitStatus(tt.status) != tt.exit {
			t.Errorf("%s: done %v after %s, exit status %d", tt.name, done, pause, exitStatus(tt.status))
		}
	}
}

func TestPausesGrow(t *testing.T) {
	s := newState(0)
	for i, want := range []time.Duration{0, firstPause, 2 * firstPause, 4 * firstPause, 8 * firstPause} {
		s.since = time.Now()
		if pause, _ := s.ended(killed(unix.SIGKILL)); pause != want {
			t.Errorf("death %d: pause %s, want %s", i, pause, want)
		}
	}
	s.pause = longPause
	if pause, _ := s.ended(killed(unix.SIGKILL)); pause != longPause || s.pause != longPause {
		t.Errorf("pause %s, next %s", pause, s.pause)
	}
	s.since = time.Now().Add(-2 * healthy)
	if pause, _ := s.ended(killed(unix.SIGKILL)); pause != 0 {
		t.Errorf("after a long life: pause %s", pause)
	}
}

func TestNeeded(t *testing.T) {
	if os.Getpid() != 1 && Needed() {
		t.Error("needed though this is not the first process")
	}
}
