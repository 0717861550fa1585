package driver

import (
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/supervise"
)

// killEvery and killWithin are the pace of killing: a master may make a worker while it is being killed.
const (
	killEvery  = 5 * time.Millisecond
	killWithin = time.Second
)

// Kill kills nginx's master and its workers, as a crash of all of them would. It may be called at any time.
func (n *Nginx) Kill() { kill(n.proc.Load(), n.record(), nil) }

// Kill kills both of keepalived's processes, as a crash would: no advert says goodbye, and the addresses stay. It may
// be called at any time.
func (k *Keepalived) Kill() {
	worker, _ := k.Worker()
	kill(k.proc.Load(), k.record(), worker)
}

// kill kills a process and then its children. The child goes first where it is known: it would say goodbye if it saw
// the other's end.
func kill(p *supervise.Process, record string, child *supervise.Process) {
	if p == nil {
		return
	}
	_ = p.Signal(syscall.SIGSTOP)
	if child != nil {
		_ = child.Signal(syscall.SIGKILL)
	}
	_ = p.Signal(syscall.SIGKILL)
	timeout := time.NewTimer(killWithin)
	defer timeout.Stop()
	tick := time.NewTicker(killEvery)
	defer tick.Stop()
	for ended := false; ; {
		left := supervise.SignalOrphans(record, syscall.SIGKILL)
		if ended && left == 0 {
			return
		}
		select {
		case <-p.Done():
			ended = true
		default:
		}
		select {
		case <-tick.C:
		case <-timeout.C:
			return
		}
	}
}
