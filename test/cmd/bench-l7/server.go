package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const confName = "nginx.conf"

// server is an nginx that runs.
type server struct {
	cmd *exec.Cmd
	// at are where it listens, all alike.
	at []netip.AddrPort
}

// start starts the nginx of a directory and waits until it listens.
func start(ctx context.Context, dir string, at ...netip.AddrPort) (*server, error) {
	cmd := exec.CommandContext(ctx, "nginx", "-c", filepath.Join(dir, confName), "-e", "stderr")
	log, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, at: at}
	if err := untilListens(ctx, at[0]); err != nil {
		s.stop()
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("nginx of %s: %w: %.500s", dir, err, said)
	}
	return s, nil
}

// on is the same nginx, to be loaded elsewhere.
func (s *server) on(at ...netip.AddrPort) *server { return &server{cmd: s.cmd, at: at} }

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// cpu returns what its processes have taken of the processors (schedstat, proc(5)).
func (s *server) cpu() (time.Duration, error) {
	pid := s.cmd.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, p := range append(strings.Fields(string(children)), strconv.Itoa(pid)) {
		text, err := os.ReadFile("/proc/" + p + "/schedstat")
		if err != nil {
			return 0, err
		}
		var ns int64
		if _, err := fmt.Sscan(string(text), &ns); err != nil {
			return 0, fmt.Errorf("schedstat of process %s: %w", p, err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// untilListens waits until somebody listens at a place.
func untilListens(ctx context.Context, at netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.String())
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
