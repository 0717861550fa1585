package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// keeper keeps one program running in a namespace:
//
//	held ──release──► running ──dies──► waiting (0.5 s … 5 s) ──► running
//	  ▲                  │
//	  └─────hold─────────┘   (killed at once)
//
// It ends with its context, killing the program.
type keeper struct {
	name      string
	namespace string // path
	argv      []string
	log       *slog.Logger
	logDir    string
	env       []string

	mu   sync.Mutex
	held bool
	kill func()
	wake chan struct{}
}

func (k *keeper) run(ctx context.Context) {
	pause := 500 * time.Millisecond
	for ctx.Err() == nil {
		if k.isHeld() {
			select {
			case <-ctx.Done():
			case <-k.wake:
			}
			continue
		}
		started := time.Now()
		err := k.once(ctx)
		if ctx.Err() != nil || k.isHeld() {
			continue
		}
		if time.Since(started) > 10*time.Second {
			pause = 500 * time.Millisecond
		}
		k.log.Warn("program ended, starting it again", "program", k.name, "error", err, "pause", pause,
			"said", k.lastWords())
		select {
		case <-ctx.Done():
		case <-k.wake:
		case <-time.After(pause):
		}
		pause = min(2*pause, 5*time.Second)
	}
}

func (k *keeper) once(ctx context.Context) error {
	out, err := os.OpenFile(k.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("log of %s: %w", k.name, err)
	}
	defer out.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k.mu.Lock()
	if k.held {
		k.mu.Unlock()
		return nil
	}
	k.kill = cancel
	k.mu.Unlock()
	base := netspace.Command(k.namespace, k.argv...)
	cmd := exec.CommandContext(ctx, base.Path, base.Args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), k.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Run()
}

// lastWords is the end of the program's log: a lab that fails to start takes its logs away.
func (k *keeper) lastWords() string {
	data, err := os.ReadFile(k.logPath())
	if err != nil {
		return ""
	}
	text := strings.TrimSpace(string(data[max(0, len(data)-2000):]))
	return text[strings.LastIndexByte(text, '\n')+1:]
}

func (k *keeper) logPath() string { return filepath.Join(k.logDir, k.name+".log") }

func (k *keeper) isHeld() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held
}

// hold kills the program and keeps it from starting; release lets it start.
func (k *keeper) hold() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = true
	if k.kill != nil {
		k.kill()
	}
}

func (k *keeper) release() {
	k.mu.Lock()
	k.held = false
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}
